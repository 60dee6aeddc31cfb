//! The endpoint that gives keys to a container: ECS, EKS and whoever imitates them.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>

use std::net::IpAddr;
use std::path::PathBuf;

use bytes::Bytes;
use domain::egress::Reach;
use domain::secret::Secret;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{Request, Uri};

use super::issued::Issued;
use crate::credential::{self, Step, Unobtained};
use crate::token;

/// Where ECS answers.
const ECS: &str = "http://169.254.170.2";

/// The addresses that may be asked without encryption, beside those of the container itself: ECS, and EKS
/// by either protocol.
const LINK_LOCAL: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/// The endpoint and what proves that the container may ask.
#[derive(Debug, Clone)]
pub struct Endpoint {
    address: String,
    proof: Proof,
}

/// What proves to the endpoint that the container may ask.
#[derive(Debug, Clone)]
pub enum Proof {
    /// Nothing: that it is asked from within suffices.
    None,
    /// A token (`AWS_CONTAINER_AUTHORIZATION_TOKEN`).
    Token(Secret<String>),
    /// A token in a file whose content is replaced from time to time
    /// (`AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`).
    File(PathBuf),
}

/// The address is not one that keys may be asked of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} may not be asked for AWS keys: it must be https, the container's own address, or one of ECS and EKS"
)]
pub struct ForeignEndpoint(String);

impl Endpoint {
    /// A path of the endpoint of ECS (`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`).
    pub fn of_ecs(path: &str, proof: Proof) -> Result<Self, ForeignEndpoint> {
        Self::at(&format!("{ECS}/{}", path.trim_start_matches('/')), proof)
    }

    /// An absolute address (`AWS_CONTAINER_CREDENTIALS_FULL_URI`). Without encryption only addresses
    /// that do not leave the machine are taken, so that nobody on the way learns the keys.
    pub fn at(address: &str, proof: Proof) -> Result<Self, ForeignEndpoint> {
        let uri: Option<Uri> = address.parse().ok();
        let is_own = uri.is_some_and(|uri| match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => true,
            (Some("http"), Some(host)) => stays_on_the_machine(host),
            _ => false,
        });
        if !is_own {
            return Err(ForeignEndpoint(address.to_owned()));
        }
        Ok(Self {
            address: address.to_owned(),
            proof,
        })
    }

    /// Asks for keys.
    pub(super) fn begin(&self) -> Result<Step, Unobtained> {
        match &self.proof {
            Proof::None => self.ask(None),
            Proof::Token(token) => self.ask(Some(token)),
            Proof::File(file) => {
                let endpoint = self.clone();
                Ok(Step::read(file.clone(), move |content, _| {
                    let token = String::from_utf8_lossy(&content).trim().to_owned();
                    endpoint.ask(Some(&Secret::new(token)))
                }))
            }
        }
    }

    fn ask(&self, proof: Option<&Secret<String>>) -> Result<Step, Unobtained> {
        let mut request = Request::get(&self.address)
            .header(ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|error| token::no_request(&self.address, &error))?;
        if let Some(proof) = proof {
            let value = credential::field("", proof)
                .map_err(|refusal| Unobtained::for_good(refusal.detail))?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(Step::ask(request, Reach::Any, |answer, now| {
            let issued = Issued::read("the container's endpoint", &answer, now)?;
            Ok(Step::Done(issued.granted()))
        }))
    }
}

fn stays_on_the_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    is_loopback || host == "localhost" || LINK_LOCAL.contains(&host)
}
