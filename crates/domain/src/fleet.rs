//! What replicas of one installation do together: the ports to what they share.

use std::time::Duration;

use async_trait::async_trait;

mod replica;

pub use replica::{ALIVE, BEAT, Replica, ReplicaStore};

/// Why what replicas share could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum SharedStateError {
    /// It cannot be reached, or did not answer in time; the same request may succeed later. Whether it was
    /// done is not known.
    #[error("shared state unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answered with an error that will not go away by itself.
    #[error("shared state failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Finds the one replica that does what must be done once in the whole fleet.
#[async_trait]
pub trait Election: Send + Sync {
    /// Whether this replica holds `office` for `term` from now. The holder asks again before the term is over
    /// to stay in office; when it does not, another one may be elected. At most one replica holds an office at
    /// any moment, as long as what replicas share is not lost.
    async fn stand(&self, office: &str, term: Duration) -> Result<bool, SharedStateError>;

    /// Gives the office up, if this replica holds it.
    async fn resign(&self, office: &str) -> Result<(), SharedStateError>;
}

/// Where there is one replica it holds every office.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

#[async_trait]
impl Election for Alone {
    async fn stand(&self, _office: &str, _term: Duration) -> Result<bool, SharedStateError> {
        Ok(true)
    }

    async fn resign(&self, _office: &str) -> Result<(), SharedStateError> {
        Ok(())
    }
}
