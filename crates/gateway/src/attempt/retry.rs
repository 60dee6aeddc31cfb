//! Whether and when a call is sent again.

use std::time::Duration;

use domain::entropy::Entropy;
use domain::provider_error::{Cause, ProviderError, Retry};

use crate::routes::Retries;

/// How long to wait before the next attempt; `None` when there is to be none. Tried again is what the
/// provider turned away without working on it: a rate limit, an overload, a connection that never was.
pub(super) fn wait_before_next(
    error: &ProviderError,
    retries: &Retries,
    tried: u32,
    entropy: &dyn Entropy,
) -> Option<Duration> {
    let is_turned_away = matches!(
        error.cause,
        Cause::RateLimited | Cause::Overloaded | Cause::Unreachable
    );
    if tried >= retries.attempts || !is_turned_away {
        return None;
    }
    let doublings = tried.saturating_sub(1).min(16);
    let backoff = retries
        .initial_backoff
        .saturating_mul(1 << doublings)
        .min(retries.max_backoff);
    let jittered = jittered(backoff, entropy);
    match error.retry {
        Retry::Never => None,
        Retry::Now => Some(jittered),
        Retry::After(wait) if wait > retries.max_backoff => None,
        Retry::After(wait) => Some(wait.max(jittered)),
    }
}

/// Between half and all of `backoff`, so that callers who failed together do not come back together.
fn jittered(backoff: Duration, entropy: &dyn Entropy) -> Duration {
    let mut random = [0; 1];
    entropy.fill(&mut random);
    let [random] = random;
    backoff / 2 + backoff.mul_f64(f64::from(random) / 512.0)
}

#[cfg(test)]
mod tests;
