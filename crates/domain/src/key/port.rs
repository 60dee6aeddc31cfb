//! Where virtual keys are kept.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{KeyHash, PreviousHash, VirtualKey};
use crate::id::{KeyId, OrganizationId};
use crate::store_error::StoreError;

/// How far a reader has followed the changes of the keys; 0 is the beginning.
pub type KeyRevision = i64;

/// Keeps virtual keys. Every method is one transaction.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Adds a key.
    async fn add_key(&self, key: &VirtualKey) -> Result<(), StoreError>;

    /// The keys that were added or changed after `revision`, oldest change first, and the revision
    /// that the reader has followed to when it has read them. Every change gets a higher revision.
    async fn keys_changed_since(
        &self,
        revision: KeyRevision,
    ) -> Result<(Vec<VirtualKey>, KeyRevision), StoreError>;

    /// One key; `None` when there is none of that identifier.
    async fn key(&self, id: KeyId) -> Result<Option<VirtualKey>, StoreError>;

    /// At most `limit` keys, of this organisation where one is named, newest first, that were made before
    /// the key `before`.
    async fn list_keys(
        &self,
        organization_id: Option<OrganizationId>,
        before: Option<KeyId>,
        limit: u32,
    ) -> Result<Vec<VirtualKey>, StoreError>;

    /// Marks a key as revoked from `at` on; the earlier time holds when it already was. Answers the key
    /// as it is then; `None` when there is none of that identifier.
    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<Option<VirtualKey>, StoreError>;

    /// Replaces a key's text; `previous` stays good until its time comes. Answers the key as it is
    /// then; `None` when there is none of that identifier, it is revoked, or its text is no longer
    /// `previous`: of two rotations at the same time one is made.
    async fn rotate_key(
        &self,
        id: KeyId,
        rotation: &Rotation,
    ) -> Result<Option<VirtualKey>, StoreError>;
}

/// A key's new text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Recognises the new text.
    pub hash: KeyHash,
    /// The first characters of the new text.
    pub prefix: String,
    /// The last four characters of the new text.
    pub last_four: String,
    /// The old text and how long it stays good.
    pub previous: PreviousHash,
    /// When this happens.
    pub at: Timestamp,
}
