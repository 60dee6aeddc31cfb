//! The metadata service of a machine in EC2, version 2: a session first, then the role's name, then its
//! keys.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>

use bytes::Bytes;
use domain::egress::Reach;
use domain::secret::Secret;
use http::{Method, Request, Response};
use jiff::Timestamp;

use super::issued::{Issued, refused};
use crate::credential::{self, Step, Unobtained};
use crate::{token, url};

/// Where every machine finds it.
const ADDRESS: &str = "http://169.254.169.254";

/// How it is called in errors.
const NAME: &str = "the machine's metadata service";

/// How long a session lasts, in seconds: as long as can be.
const SESSION: &str = "21600";

/// Below this path stand the machine's roles.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The metadata service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Where it answers, without a slash at its end (`AWS_EC2_METADATA_SERVICE_ENDPOINT`).
    pub base_url: String,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            base_url: ADDRESS.to_owned(),
        }
    }
}

impl Metadata {
    /// Asks for a session, and goes on to the keys.
    pub(super) fn begin(&self) -> Result<Step, Unobtained> {
        let service = self.clone();
        let mut request = self.request(Method::PUT, "/latest/api/token", None)?;
        request.headers_mut().insert(
            "x-aws-ec2-metadata-token-ttl-seconds",
            http::HeaderValue::from_static(SESSION),
        );
        Ok(Step::ask(request, Reach::Any, move |answer, now| {
            let session = Secret::new(text(&answer, now)?);
            service.ask_for_the_role(session)
        }))
    }

    fn ask_for_the_role(self, session: Secret<String>) -> Result<Step, Unobtained> {
        let request = self.request(Method::GET, ROLES, Some(&session))?;
        Ok(Step::ask(request, Reach::Any, move |answer, now| {
            if answer.status().as_u16() == 404 {
                return Err(Unobtained::for_good(
                    "the machine has no role: attach an instance profile to it",
                ));
            }
            let roles = text(&answer, now)?;
            let role = roles.lines().next().unwrap_or_default();
            self.ask_for_the_keys(role, &session)
        }))
    }

    fn ask_for_the_keys(&self, role: &str, session: &Secret<String>) -> Result<Step, Unobtained> {
        let role = url::segment(role).map_err(|_| {
            Unobtained::for_good("the machine has no role: attach an instance profile to it")
        })?;
        let path = format!("{ROLES}{role}");
        let request = self.request(Method::GET, &path, Some(session))?;
        Ok(Step::ask(request, Reach::Any, |answer, now| {
            let issued = Issued::read(NAME, &answer, now)?;
            Ok(Step::Done(issued.granted()))
        }))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        session: Option<&Secret<String>>,
    ) -> Result<Request<Bytes>, Unobtained> {
        let address = format!("{}{path}", self.base_url);
        let mut request = Request::builder()
            .method(method)
            .uri(&address)
            .body(Bytes::new())
            .map_err(|error| token::no_request(&address, &error))?;
        if let Some(session) = session {
            let value = credential::field("", session)
                .map_err(|refusal| Unobtained::for_good(refusal.detail))?;
            request
                .headers_mut()
                .insert("x-aws-ec2-metadata-token", value);
        }
        Ok(request)
    }
}

/// An answer of one word.
fn text(answer: &Response<Bytes>, now: Timestamp) -> Result<String, Unobtained> {
    if !answer.status().is_success() {
        return Err(refused(NAME, answer, now));
    }
    Ok(String::from_utf8_lossy(answer.body()).trim().to_owned())
}
