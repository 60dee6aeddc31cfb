//! The keys with which requests to Amazon's services are signed here: one that is documented and lasts, and temporary ones that
//! say by themselves until when they live.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::digest::Digest;
use crate::issuer::{self, Audience, Standing};

/// The id of the access key that lasts.
pub(crate) const ACCESS_KEY_ID: &str = "AKIASIMULATED0000000";
/// Its secret.
pub(crate) const SECRET_ACCESS_KEY: &str = "simulated/secret/access/key/000000000000";

/// A key with its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// What is sent along with a temporary key.
    pub(crate) session_token: Option<String>,
}

impl Key {
    /// A temporary key for `about` that lives until `until`, in seconds since 1970.
    pub(crate) fn temporary(seed: u64, about: &str, until: u64) -> Self {
        let hash = Digest::new(seed)
            .with(b"temporary key")
            .with(about.as_bytes())
            .with_number(until)
            .value();
        let id = format!("ASIA{hash:016X}");
        Self {
            session_token: Some(issuer::issue(seed, Audience::Aws, &id, until)),
            secret: temporary_secret(seed, &id),
            id,
        }
    }

    /// The secret of a key that was sent with this session token, and how the key stands.
    pub(super) fn known(
        seed: u64,
        id: &str,
        session_token: Option<&str>,
        now: u64,
    ) -> (String, Standing) {
        if id == ACCESS_KEY_ID {
            let standing = match session_token {
                None => Standing::Good,
                Some(_) => Standing::Unknown,
            };
            return (SECRET_ACCESS_KEY.to_owned(), standing);
        }
        let standing = session_token.map_or(Standing::Unknown, |token| {
            issuer::standing(seed, Audience::Aws, id, token, now)
        });
        (temporary_secret(seed, id), standing)
    }
}

fn temporary_secret(seed: u64, id: &str) -> String {
    let hash = digest(&SHA256, format!("simulated secret {seed} {id}").as_bytes());
    let mut secret = STANDARD_NO_PAD.encode(hash.as_ref());
    secret.truncate(40);
    secret
}
