//! Access tokens of Google Cloud, from whatever the operator has: the key of a service account, the
//! user's own login, another cloud's identity, or the machine itself
//! (<https://cloud.google.com/docs/authentication/application-default-credentials>).

mod authorized_user;
mod external;
mod impersonation;
mod metadata;
mod service_account;

use domain::egress::Reach;
use jiff::Timestamp;
use serde::Deserialize;

use authorized_user::AuthorizedUser;
use external::ExternalAccount;
use impersonation::ImpersonatedAccount;
use service_account::ServiceAccount;

use crate::credential::{Step, Unobtained};

/// What a token may be used for: everything that the account may do. Narrower scopes exist for no part
/// of the platform that is used here.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Who asks Google Cloud for tokens.
#[derive(Debug, Clone)]
pub enum Account {
    /// A service account with a key of its own.
    Service(ServiceAccount),
    /// A person who logged in with `gcloud auth application-default login`.
    User(AuthorizedUser),
    /// An identity of another cloud or of a workload (workload identity federation).
    External(ExternalAccount),
    /// A service account that another account acts for.
    Impersonated(ImpersonatedAccount),
    /// The service account of the machine, asked of its metadata server.
    Machine,
}

/// Why a credentials file is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAccount(String);

impl Account {
    /// Reads the JSON of a credentials file, as `gcloud` and the console write it.
    pub fn read(json: &str) -> Result<Self, InvalidAccount> {
        #[derive(Deserialize)]
        struct Typed {
            #[serde(rename = "type")]
            kind: Option<String>,
        }
        let typed: Typed = parse(json)?;
        match typed.kind.as_deref() {
            Some("service_account") => ServiceAccount::read(json).map(Self::Service),
            Some("authorized_user") => parse(json).map(Self::User),
            Some("external_account") => ExternalAccount::read(json).map(Self::External),
            Some("impersonated_service_account") => {
                ImpersonatedAccount::read(json).map(Self::Impersonated)
            }
            Some(other) => Err(InvalidAccount(format!(
                "its `type` is `{other}`; known are `service_account`, `authorized_user`, \
                 `external_account` and `impersonated_service_account`"
            ))),
            None => Err(InvalidAccount(
                "it has no `type`; a credentials file of Google Cloud begins with one".to_owned(),
            )),
        }
    }

    /// The project that the account belongs to, where its file says so.
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::Service(account) => account.project_id.as_deref(),
            Self::User(user) => user.quota_project_id.as_deref(),
            Self::External(_) | Self::Impersonated(_) | Self::Machine => None,
        }
    }

    /// The first step on the way to a token.
    pub fn begin(&self, now: Timestamp) -> Result<Step, Unobtained> {
        match self {
            Self::Service(account) => account.begin(now),
            Self::User(user) => user.begin(),
            Self::External(account) => account.begin(now),
            Self::Impersonated(account) => account.begin(now),
            Self::Machine => metadata::begin(),
        }
    }
}

/// Reads a credentials file; what is wrong is told without quoting it.
fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, InvalidAccount> {
    serde_json::from_str(json).map_err(|error| {
        let text = error.to_string();
        let missing = text
            .strip_prefix("missing field ")
            .and_then(|rest| rest.split(" at line").next());
        InvalidAccount(match missing {
            Some(field) => format!("{field} is missing in it"),
            None => format!(
                "it is not the JSON of a credentials file (line {}, column {})",
                error.line(),
                error.column()
            ),
        })
    })
}

/// A URL of a credentials file, which gets secrets: they go encrypted, or do not leave the machine.
fn secure(url: &str, field: &str) -> Result<(), InvalidAccount> {
    if url.starts_with("https://") || is_emulated(url) {
        return Ok(());
    }
    Err(InvalidAccount(format!(
        "its `{field}` is not an https:// URL"
    )))
}

/// Whether it is a service on this machine, such as an emulator.
fn is_emulated(url: &str) -> bool {
    let host = url.parse::<http::Uri>().ok().and_then(|uri| {
        uri.host()
            .map(|host| host.trim_matches(['[', ']']).to_owned())
    });
    host.is_some_and(|host| {
        let address: Option<std::net::IpAddr> = host.parse().ok();
        address.is_some_and(|address| address.is_loopback())
    })
}

/// Which addresses a service named in a credentials file may be at.
fn reach(url: &str) -> Reach {
    if is_emulated(url) {
        Reach::Any
    } else {
        Reach::Public
    }
}

#[cfg(test)]
mod tests;
