//! What proves to a provider who asks, and where that comes from.

mod source;

pub use source::{Granted, Source, Step, Then, Unobtained};

use domain::secret::Secret;
use http::HeaderValue;

use crate::dialect::Refusal;

/// A credential, ready to be used: nothing more has to be fetched for it.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A key that the provider issued.
    ApiKey(Secret<String>),
    /// An access token (RFC 6750), which has been fetched and expires.
    Token(Secret<String>),
    /// Keys that sign requests (AWS Signature Version 4).
    Aws(AwsKeys),
}

/// Keys that sign requests to AWS
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/security-creds-programmatic-access.html>).
#[derive(Debug, Clone)]
pub struct AwsKeys {
    /// Names the key; not a secret.
    pub access_key_id: String,
    /// Signs.
    pub secret_access_key: Secret<String>,
    /// Stands beside keys that expire.
    pub session_token: Option<Secret<String>>,
}

/// A field's value made of a secret and what stands before it, marked so that it is never shown.
pub(crate) fn field(prefix: &str, secret: &Secret<String>) -> Result<HeaderValue, Refusal> {
    let text = [prefix, secret.reveal().as_str()].concat();
    let mut value = HeaderValue::try_from(text).map_err(|_| Refusal {
        detail: "The provider's API key holds characters that no field may have.".to_owned(),
        param: None,
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The credential is of a kind that this host does not take.
pub(crate) fn wrong_kind(host: &str, wanted: &str) -> Refusal {
    Refusal {
        detail: format!(
            "{host} takes {wanted}; the provider is configured with another credential."
        ),
        param: None,
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_marked_as_one() {
        let value = field("Bearer ", &Secret::new("sk-1".to_owned())).unwrap();
        assert_eq!(value, "Bearer sk-1");
        assert!(value.is_sensitive());
    }

    #[test]
    fn a_credential_that_no_field_can_carry_is_refused_and_not_quoted() {
        let refusal = field("", &Secret::new("sk-ant\n1".to_owned())).unwrap_err();
        assert!(!refusal.detail.contains("sk-ant"));
    }
}
