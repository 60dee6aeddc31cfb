//! The processes that serve one installation, as they are seen in its store.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::id::ReplicaId;
use crate::store_error::StoreError;

/// How often a replica says that it lives.
pub const BEAT: Duration = Duration::from_secs(2);
/// How long after its last word a replica is taken to live. The clocks of replicas may differ by somewhat less.
pub const ALIVE: Duration = Duration::from_secs(10);

/// One process that serves, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Which one; later replicas have larger identifiers.
    pub id: ReplicaId,
    /// When it started, by its own clock.
    pub started_at: Timestamp,
    /// When it said last that it lives, by its own clock.
    pub seen_at: Timestamp,
    /// Which version of Trunkline it runs.
    pub version: String,
    /// Where it listens, for people: its machine's name and its address.
    pub address: String,
    /// Whether it shares what limits count.
    pub is_sharing: bool,
}

impl Replica {
    /// Whether it is taken to live at `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        let silent = now.duration_since(self.seen_at);
        Duration::try_from(silent).map_or(true, |silent| silent <= ALIVE)
    }
}

/// Keeps replicas. Every method is one transaction.
#[async_trait]
pub trait ReplicaStore: Send + Sync {
    /// Says that `replica` lives; answers every one that was seen at `since` or later, itself included, the
    /// oldest first.
    async fn beat(&self, replica: &Replica, since: Timestamp) -> Result<Vec<Replica>, StoreError>;

    /// Every replica that was seen at `since` or later, the oldest first.
    async fn replicas(&self, since: Timestamp) -> Result<Vec<Replica>, StoreError>;

    /// Forgets a replica that has ended.
    async fn forget_replica(&self, id: ReplicaId) -> Result<(), StoreError>;

    /// Forgets every replica that was seen last before `before`; answers how many.
    async fn drop_silent_replicas(&self, before: Timestamp) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;

    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn a_replica_lives_until_it_was_silent_for_long() {
        let seen_at = Timestamp::UNIX_EPOCH;
        let replica = Replica {
            id: ReplicaId::new(seen_at, &Zeros),
            started_at: seen_at,
            seen_at,
            version: "1.0.0".to_owned(),
            address: "a:8080".to_owned(),
            is_sharing: false,
        };
        assert!(replica.is_alive(seen_at - Duration::from_secs(5)));
        assert!(replica.is_alive(seen_at + ALIVE));
        assert!(!replica.is_alive(seen_at + ALIVE + Duration::from_millis(1)));
    }
}
