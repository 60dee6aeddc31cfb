//! Client secrets: what a caller hands to a browser or a device, so that it holds realtime sessions without
//! the caller's key (<https://platform.openai.com/docs/api-reference/realtime-sessions>).

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::id::{KeyId, OrganizationId, ProjectId};
use crate::key::KeyHash;
use crate::store_error::StoreError;

/// A secret that opens realtime sessions for a while, on behalf of the key that it was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSecret {
    /// Recognises its text, which is kept nowhere.
    pub hash: KeyHash,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// The key that it was made with: what that may do, and no longer than that may, it may do.
    pub key_id: KeyId,
    /// What its sessions begin with, as whoever made it wrote it down.
    pub session: Bytes,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it opens no session. Those that it has opened go on.
    pub expires_at: Timestamp,
}

/// Keeps client secrets. Every method is one transaction.
#[async_trait]
pub trait ClientSecretStore: Send + Sync {
    /// Keeps a secret, unless its key has `most` or more that were good still when this one was made; answers
    /// whether it is kept. Several at the same moment may each find the last place free.
    async fn keep_client_secret(
        &self,
        secret: &ClientSecret,
        most: u32,
    ) -> Result<bool, StoreError>;

    /// The secret with this hash; `None` when there is none, or it had expired at `now`.
    async fn client_secret(
        &self,
        hash: &KeyHash,
        now: Timestamp,
    ) -> Result<Option<ClientSecret>, StoreError>;

    /// Deletes at most `limit` secrets that had expired at `now`, the oldest end first; answers how many.
    async fn drop_expired_client_secrets(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;
}
