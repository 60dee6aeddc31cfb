//! What replicas tell each other of the targets that fail.

use std::time::Duration;

use async_trait::async_trait;

use crate::fleet::SharedStateError;
use crate::name::ProviderName;

/// The circuit breaker of one target, as a replica has turned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerTurn {
    /// The provider.
    pub provider: ProviderName,
    /// The model in the provider's words.
    pub model: String,
    /// How much longer calls go elsewhere; `None` where it is closed again.
    pub rest: Option<Duration>,
}

/// Where replicas tell each other which targets fail. Nobody waits for it: it is told and heard in the
/// background.
#[async_trait]
pub trait SharedBreakers: Send + Sync {
    /// Tells the others.
    async fn tell(&self, turns: &[BreakerTurn]) -> Result<(), SharedStateError>;

    /// Every breaker that is not closed, by anybody's word; one whose rest is over is told with a rest of zero
    /// until it is closed, or for a few minutes.
    async fn hear(&self) -> Result<Vec<BreakerTurn>, SharedStateError>;
}
