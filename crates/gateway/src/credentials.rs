//! The credentials that providers are shown: those that are fetched are kept until shortly before they
//! expire, and fetched by one call while the others wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::clock::Clock;
use domain::egress::{Egress, Outbound};
use domain::name::ProviderName;
use domain::provider_error::{Cause, ProviderError};
use jiff::{SignedDuration, Timestamp};
use providers::credential::{Credential, Granted, Source, Step, Unobtained};

use crate::attempt::read_whole;
use crate::health::KeyNumber;

/// How long before its end a credential is fetched anew, so that none expires on its way.
const HEADROOM: SignedDuration = SignedDuration::from_secs(60);
/// The largest answer of a token service, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;
/// The most often that one credential is used while another is used once.
const MAX_WEIGHT: u32 = 100;
/// The most steps on the way to one credential.
const MAX_STEPS: usize = 32;

/// Several credentials of one provider, which take turns.
#[derive(Debug)]
pub struct Rotation {
    sources: Vec<Source>,
    /// Which credential's turn it is, over and over.
    turns: Vec<KeyNumber>,
}

impl Rotation {
    /// Credentials with how often each is used in proportion to the others, 1 to 100.
    pub fn new(credentials: impl IntoIterator<Item = (Source, u32)>) -> Self {
        let (sources, weights): (Vec<_>, Vec<_>) = credentials.into_iter().unzip();
        let most = weights.iter().copied().max().unwrap_or(1).min(MAX_WEIGHT);
        // Round by round, so that a key that is used often is not used many times at a stretch.
        let turns = (0..most).flat_map(|round| {
            let in_round = weights.iter().zip(0_u16..);
            in_round
                .filter(move |(weight, _)| **weight > round)
                .map(|(_, number)| KeyNumber(number))
        });
        Self {
            turns: turns.collect(),
            sources,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.sources.len()
    }

    pub(crate) fn source(&self, key: KeyNumber) -> Option<&Source> {
        self.sources.get(usize::from(key.0))
    }

    pub(crate) fn turns(&self) -> &[KeyNumber] {
        &self.turns
    }
}

/// The credentials that were fetched, by provider.
#[derive(Default)]
pub(crate) struct Credentials {
    purses: Mutex<HashMap<ProviderName, Arc<Purse>>>,
}

/// What was fetched for one provider. Whoever holds the lock fetches for all who wait for it.
type Purse = tokio::sync::Mutex<Option<Granted>>;

impl Credentials {
    /// Forgets everything: the configuration is another.
    pub(crate) fn clear(&self) {
        self.locked().clear();
    }

    /// The credential of a provider, fetched where it is not there or about to expire.
    pub(crate) async fn of(
        &self,
        provider: &ProviderName,
        source: &Source,
        egress: &dyn Egress,
        clock: &dyn Clock,
    ) -> Result<Credential, ProviderError> {
        let purse = Arc::clone(self.locked().entry(provider.clone()).or_default());
        let mut granted = purse.lock().await;
        let now = clock.now();
        if let Some(kept) = granted.as_ref()
            && outlasts(kept, now.saturating_add(HEADROOM).unwrap_or(Timestamp::MAX))
        {
            return Ok(kept.credential.clone());
        }
        match fetch(source, egress, clock).await {
            Ok(fetched) => Ok(granted.insert(fetched).credential.clone()),
            Err(unobtained) => {
                tracing::error!(%provider, error = %unobtained, "no credential could be fetched");
                // One that still holds is better than none.
                match granted.as_ref().filter(|kept| outlasts(kept, now)) {
                    Some(kept) => Ok(kept.credential.clone()),
                    None => Err(refused(&unobtained)),
                }
            }
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<ProviderName, Arc<Purse>>> {
        self.purses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outlasts(granted: &Granted, at: Timestamp) -> bool {
    granted.expires_at.is_none_or(|end| end > at)
}

/// Goes the way to a credential, step by step.
async fn fetch(
    source: &Source,
    egress: &dyn Egress,
    clock: &dyn Clock,
) -> Result<Granted, Unobtained> {
    let mut step = source.begin(clock.now())?;
    for _ in 0..MAX_STEPS {
        step = match step {
            Step::Done(granted) => return Ok(granted),
            Step::Ask {
                request,
                reach,
                then,
            } => {
                let outbound = Outbound { request, reach };
                let response = egress.send(outbound).await.map_err(|error| Unobtained {
                    detail: format!("The token service cannot be asked: {error}."),
                    retry: domain::provider_error::Retry::Now,
                })?;
                let (head, body) = response.into_parts();
                let body = read_whole(body, MAX_ANSWER)
                    .await
                    .map_err(|error| Unobtained {
                        detail: error.message,
                        retry: error.retry,
                    })?;
                then(http::Response::from_parts(head, body), clock.now())?
            }
            Step::Read { file, then } => {
                let content = std::fs::read(&file).map_err(|error| {
                    let path = file.display();
                    Unobtained::for_good(format!("{path} cannot be read: {error}."))
                })?;
                then(Bytes::from(content), clock.now())?
            }
        };
    }
    Err(Unobtained::for_good(
        "The way to the credential has no end: a service leads back to itself.",
    ))
}

/// The caller learns that the provider cannot be used, the operator finds the cause in the log.
fn refused(unobtained: &Unobtained) -> ProviderError {
    ProviderError::new(
        Cause::Authentication,
        "The gateway could not obtain its credential for the provider.",
    )
    .with_retry(unobtained.retry)
}

#[cfg(test)]
mod tests;
