//! Client secrets: made for a caller, and recognised where realtime sessions begin.
//!
//! A secret stands for the key that it was made with: whoever shows it may do what the key may, within the key's
//! limits and from its addresses, for as long as the key is good. Only realtime sessions take it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::caller::Caller;
use domain::client_secret::{ClientSecret, ClientSecretStore};
use domain::clock::Clock;
use domain::entropy::Entropy;
use domain::key::VirtualKey;
use domain::secret::Secret;
use domain::store_error::StoreError;
use jiff::{SignedDuration, Timestamp};

use crate::ring::{KeyRing, Unrecognised};
use crate::text;

/// The most secrets of one key that are good at a time.
pub const MAX_SECRETS: u32 = 10_000;

/// Why a client secret is not made or not recognised.
#[derive(Debug, thiserror::Error)]
pub enum ClientSecretError {
    /// The key has [`MAX_SECRETS`] already.
    #[error("the API key has {MAX_SECRETS} client secrets that have not expired")]
    TooMany,
    /// No secret has this text, or it has expired.
    #[error("the client secret is not known or has expired")]
    Unknown,
    /// The key that it was made with is no longer good, or not from here.
    #[error(transparent)]
    Key(#[from] Unrecognised),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes client secrets and recognises them, at every replica of one store.
pub struct ClientSecrets {
    store: Arc<dyn ClientSecretStore>,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl ClientSecrets {
    /// Secrets in a store, of keys in a ring.
    pub fn new(
        store: Arc<dyn ClientSecretStore>,
        ring: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            store,
            ring,
            clock,
            entropy,
        }
    }

    /// Makes a secret that is good for `lifetime` and whose sessions begin with `session`. Answers its text, this
    /// once, and from when on it is no longer good.
    pub async fn issue(
        &self,
        caller: &Caller,
        session: Bytes,
        lifetime: Duration,
    ) -> Result<(Secret<String>, Timestamp), ClientSecretError> {
        let text = text::generate_client_secret(&*self.entropy);
        let now = self.clock.now();
        let lifetime = SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::ZERO);
        let expires_at = now.saturating_add(lifetime).unwrap_or(now);
        let secret = ClientSecret {
            hash: self.ring.hasher().hash(text.reveal()),
            organization_id: caller.organization_id(),
            project_id: caller.project_id(),
            key_id: caller.key_id(),
            session,
            created_at: now,
            expires_at,
        };
        if self.store.keep_client_secret(&secret, MAX_SECRETS).await? {
            Ok((text, expires_at))
        } else {
            Err(ClientSecretError::TooMany)
        }
    }

    /// For whom `text` speaks, shown from `address`, and what its sessions begin with.
    pub async fn recognise(
        &self,
        text: &str,
        address: IpAddr,
    ) -> Result<(Caller, Bytes), ClientSecretError> {
        let now = self.clock.now();
        let hash = self.ring.hasher().hash(text);
        let secret = self.store.client_secret(&hash, now).await?;
        let secret = secret.ok_or(ClientSecretError::Unknown)?;
        let caller = self.ring.recognise_delegate(secret.key_id, address, now)?;
        if was_made_by_a_former_text(&secret, caller.key(), now) {
            return Err(ClientSecretError::Unknown);
        }
        Ok((caller, secret.session))
    }
}

/// Whether the key's text was replaced since, and is no longer good: whoever had it has no more of it.
fn was_made_by_a_former_text(secret: &ClientSecret, key: &VirtualKey, now: Timestamp) -> bool {
    key.rotated_at.is_some_and(|at| secret.created_at < at)
        && key.previous.is_none_or(|previous| previous.until <= now)
}

/// Whether `text` may be that of a client secret.
pub fn is_client_secret(text: &str) -> bool {
    text.starts_with(text::CLIENT_SECRET_PREFIX)
}

#[cfg(test)]
mod tests;
