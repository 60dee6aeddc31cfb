//! Who does what must be done once: a key that holds the replica's name for as long as its term.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use domain::fleet::{Election, SharedStateError};
use domain::id::ReplicaId;
use redis::Script;

use crate::connection::Shared;

/// How long an election may take.
const BOUND: Duration = Duration::from_secs(1);

/// Takes the office when nobody holds it, and prolongs the term of whoever does.
static STAND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local holder = redis.call('GET', KEYS[1])
         if holder and holder ~= ARGV[1] then return 0 end
         redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
         return 1",
    )
});

/// Leaves the office to others, unless another one holds it already.
static RESIGN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
         return 1",
    )
});

/// Elections among the replicas that share state.
pub struct SharedElection {
    shared: Shared,
    replica: String,
}

impl SharedElection {
    /// Elections in which this process stands as `replica`.
    pub fn new(shared: &Shared, replica: ReplicaId) -> Self {
        Self {
            shared: shared.apart(),
            replica: replica.to_string(),
        }
    }

    fn key(&self, office: &str) -> String {
        self.shared.key(format_args!("office:{office}"))
    }
}

#[async_trait]
impl Election for SharedElection {
    async fn stand(&self, office: &str, term: Duration) -> Result<bool, SharedStateError> {
        let term = term.as_millis().max(1).to_string();
        let arguments = [self.replica.clone(), term];
        self.shared
            .invoke(&STAND, &[self.key(office)], &arguments, BOUND)
            .await
    }

    async fn resign(&self, office: &str) -> Result<(), SharedStateError> {
        let arguments = [self.replica.clone()];
        let _done: i64 = self
            .shared
            .invoke(&RESIGN, &[self.key(office)], &arguments, BOUND)
            .await?;
        Ok(())
    }
}
