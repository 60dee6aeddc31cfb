//! Keys that were given out, and until when they hold.

use bytes::Bytes;
use domain::secret::Secret;
use http::Response;
use jiff::Timestamp;
use serde::Deserialize;

use crate::credential::{AwsKeys, Credential, Granted, Unobtained};
use crate::failure;

/// Keys that were given out.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: Secret<String>,
    pub(super) session_token: Option<Secret<String>>,
    pub(super) expires_at: Option<Timestamp>,
}

impl Issued {
    pub(super) fn granted(self) -> Granted {
        Granted {
            credential: Credential::Aws(AwsKeys {
                access_key_id: self.access_key_id,
                secret_access_key: self.secret_access_key,
                session_token: self.session_token,
            }),
            expires_at: self.expires_at,
        }
    }

    /// Reads the answer of a metadata service, which `issuer` names in errors. Some refuse inside of a
    /// success.
    pub(super) fn read(
        issuer: &str,
        answer: &Response<Bytes>,
        now: Timestamp,
    ) -> Result<Self, Unobtained> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            access_key_id: String,
            secret_access_key: Secret<String>,
            token: Option<Secret<String>>,
            expiration: Option<Timestamp>,
        }
        if !answer.status().is_success() {
            return Err(refused(issuer, answer, now));
        }
        let Ok(keys) = serde_json::from_slice::<Answer>(answer.body()) else {
            return Err(refused(issuer, answer, now));
        };
        Ok(Self {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: keys.token,
            expires_at: keys.expiration,
        })
    }
}

/// What a metadata service says in place of keys.
pub(super) fn refused(issuer: &str, answer: &Response<Bytes>, now: Timestamp) -> Unobtained {
    #[derive(Deserialize, Default)]
    struct Told {
        #[serde(alias = "Code")]
        code: Option<String>,
        #[serde(alias = "Message")]
        message: Option<String>,
    }
    let status = answer.status().as_u16();
    let told: Told = serde_json::from_slice(answer.body()).unwrap_or_default();
    let words: Vec<String> = [told.code, told.message].into_iter().flatten().collect();
    let words = match words.as_slice() {
        // An answer that cannot be read may hold secrets.
        [] if answer.status().is_success() => "the answer is not readable".to_owned(),
        [] => failure::sentence(answer.body()),
        words => failure::clean(&words.join(": ")),
    };
    let wait = failure::retry_after(answer.headers(), now);
    Unobtained {
        detail: format!("{issuer} gives no AWS keys ({status}): {words}"),
        retry: failure::retry_of(failure::cause_of_status(status), wait),
    }
}
