//! Reasoning state in custody: what providers sealed into their answers, kept for callers who leave it out
//! of what they send back. Stores see nothing of it but ciphertext.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::id::{KeyId, OrganizationId, ProjectId};
use crate::name::ProviderName;
use crate::store_error::StoreError;

/// Where the state of a turn is found: a hash of the identifier of one of its tool calls, under a key of
/// its owner's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place([u8; 32]);

impl Place {
    /// The place of this hash.
    pub fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The state of one turn. Cheap to clone but for its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTurn {
    /// Where it is found: one place for each of its tool calls, at least one.
    pub places: Vec<Place>,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// Whose it is: nobody else may know that it is there.
    pub key_id: KeyId,
    /// The account that made it.
    pub provider: ProviderName,
    /// The state, encrypted.
    pub sealed: Bytes,
    /// From when on it is to be forgotten.
    pub keep_until: Timestamp,
}

/// The state of a turn as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTurn {
    /// The state, encrypted.
    pub sealed: Bytes,
    /// From when on it is to be forgotten.
    pub keep_until: Timestamp,
}

/// Keeps reasoning state. Every method is one transaction.
#[async_trait]
pub trait CustodyStore: Send + Sync {
    /// Keeps turns. At a place where one is found already, the later one is found from now on.
    async fn keep_turns(&self, turns: &[KeptTurn]) -> Result<(), StoreError>;

    /// The turns of this key's at these places, each once, but for those that were to be kept until `now`
    /// or earlier: together at most `max_bytes`, those first that are kept longest.
    async fn turns(
        &self,
        places: &[Place],
        owner: KeyId,
        now: Timestamp,
        max_bytes: u64,
    ) -> Result<Vec<FoundTurn>, StoreError>;

    /// Deletes at most `limit` places whose turns were to be kept until `now` or earlier, the oldest end
    /// first; answers how many.
    async fn drop_expired_turns(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
