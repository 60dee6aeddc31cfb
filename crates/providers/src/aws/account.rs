//! Where AWS keys come from: a first pair, and the roles that are assumed with it, one after the other.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use std::path::PathBuf;

use domain::secret::Secret;
use jiff::Timestamp;

use super::container::Endpoint;
use super::machine::Metadata;
use super::sts::{Role, Sts};
use crate::credential::{AwsKeys, Credential, Granted, Step, Unobtained};

/// Where keys come from, as it is configured.
#[derive(Debug, Clone)]
pub struct Account {
    /// The first keys.
    pub origin: Origin,
    /// The roles that are assumed, each with the keys of the one before. Keys of a role that was assumed
    /// with another role's last an hour at most.
    pub roles: Vec<Role>,
    /// Who gives out the keys of roles.
    pub sts: Sts,
}

/// Where the first keys come from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// They are there.
    Keys(AwsKeys),
    /// A role, assumed with a token that somebody else issued and that stands in a file, as on EKS
    /// (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`).
    WebIdentity {
        /// The file; its content is replaced before the token expires.
        token_file: PathBuf,
        /// The role.
        role: Role,
    },
    /// The endpoint that a container's platform offers, as on ECS and EKS.
    Container(Endpoint),
    /// The metadata service of a machine in EC2.
    Machine(Metadata),
}

impl Account {
    /// The first step on the way to keys.
    pub fn begin(&self, now: Timestamp) -> Result<Step, Unobtained> {
        let first = match &self.origin {
            Origin::Keys(keys) => Step::Done(Granted {
                credential: Credential::Aws(keys.clone()),
                expires_at: None,
            }),
            Origin::WebIdentity { token_file, role } => {
                let (sts, role) = (self.sts.clone(), role.clone());
                Step::read(token_file.clone(), move |token, _| {
                    let token = String::from_utf8_lossy(&token).trim().to_owned();
                    sts.assume_with_web_identity(&role, &Secret::new(token))
                })
            }
            Origin::Container(endpoint) => endpoint.begin()?,
            Origin::Machine(metadata) => metadata.begin()?,
        };
        self.roles.iter().try_fold(first, |step, role| {
            let (sts, role) = (self.sts.clone(), role.clone());
            step.and_then(now, move |granted, now| match granted.credential {
                Credential::Aws(keys) => sts.assume(&role, &keys, now),
                Credential::ApiKey(_) | Credential::Token(_) => Err(Unobtained::for_good(
                    "a role is assumed with AWS keys, not with a token",
                )),
            })
        })
    }
}
