//! Free probes: requests that cost nothing, which ask whether providers answer and take their keys.
//!
//! A list of models that comes does not show that a model answers: a probe that goes well closes no breaker. One
//! that fails twice opens those of the provider's models, before calls have to find out; when it goes well again
//! they are half-open at once. A key that is refused is left alone as after a call, and is good again as soon as
//! it is taken.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::Moment;
use domain::provider_error::{Cause, ProviderError};
use providers::probe::Probe;
use serde::Serialize;

use super::{Health, KeyNumber};
use crate::attempt::{Door, timed_out};
use crate::chat::Gateway;
use crate::routes::Provider;
use crate::within::within;

/// The most keys of one provider that are probed in one round; the next round begins with them again.
const MAX_KEYS: u16 = 16;
/// How many probes in a row have to fail before calls are steered elsewhere: one may be lost by itself.
const FAILURES: u32 = 2;

/// When providers are probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeRules {
    /// The time between two probes of a provider.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
}

/// What the last probes of a provider found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ProbeState {
    /// Whether it answered.
    pub is_reached: bool,
    /// Whether it refuses one of its keys.
    pub refuses_key: bool,
    /// How long its answer took, in milliseconds; `None` where none came.
    pub latency_ms: Option<u64>,
    /// Why it did not answer.
    pub cause: Option<Cause>,
    /// How many probes failed in a row.
    pub failures: u32,
}

impl ProbeState {
    /// Whether calls are steered elsewhere because of it.
    pub fn is_out(&self) -> bool {
        self.failures >= FAILURES
    }
}

/// What one probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The provider takes the key, or was asked without one.
    Well,
    /// It answers, and refuses the key.
    KeyRefused(Cause),
    /// It answers, and says nothing of the key: it has no such list, or turns the probe away for now.
    Answers,
    /// It does not answer, or with a failure of its own.
    Fails(Cause),
}

impl Gateway {
    /// Probes a provider with each of its keys; nothing is asked of the simulated one.
    pub async fn probe(&self, provider: &Arc<Provider>, rules: ProbeRules) {
        let keys = u16::try_from(provider.keys()).unwrap_or(u16::MAX);
        let mut refuses_key = false;
        let mut last = None;
        for number in (0..keys.min(MAX_KEYS)).map(KeyNumber) {
            let sent = self.clock.moment();
            let Some(found) = self.probe_key(provider, number, rules.timeout).await else {
                return;
            };
            let now = self.clock.moment();
            let health = Arc::clone(self.routes.load().health());
            health.hear_of_key(provider, number, found, now);
            refuses_key |= matches!(found, Found::KeyRefused(_));
            last = Some((found, now.since(sent)));
            if matches!(found, Found::Fails(_)) {
                break;
            }
        }
        if let Some((found, took)) = last {
            let now = self.clock.moment();
            let health = Arc::clone(self.routes.load().health());
            health.hear_of_probe(provider, found, refuses_key, took, rules, now);
        }
    }

    /// Asks once; `None` where there is nothing to ask.
    async fn probe_key(
        &self,
        provider: &Arc<Provider>,
        key: KeyNumber,
        timeout: Duration,
    ) -> Option<Found> {
        let plan = self
            .routes
            .load()
            .native_plan(provider, provider.kind, None);
        let target = plan.target();
        let asked = provider.kind.probe(&provider.base_url, &provider.host);
        let Probe { request, shows_key } = match asked {
            Ok(probe) => probe?,
            Err(refusal) => {
                tracing::debug!(provider = %provider.name, %refusal, "a provider cannot be probed");
                return None;
            }
        };
        let door = Door {
            key,
            ..Door::of(target)
        };
        let asked = async {
            let request = if shows_key {
                self.courier.authorized(request, door).await?
            } else {
                request
            };
            self.courier.send(request, provider.reach()).await
        };
        let answered = within(&*self.clock, timeout, asked).await;
        let answered = answered.unwrap_or_else(|| Err(timed_out(timeout)));
        Some(match answered {
            Ok(response) => Found::of(response.status(), shows_key),
            // A token that cannot be fetched says of the account what a refused key does.
            Err(error) => match error.cause {
                cause @ (Cause::Authentication | Cause::Permission) => Found::KeyRefused(cause),
                cause => Found::Fails(cause),
            },
        })
    }
}

impl Found {
    fn of(status: http::StatusCode, shows_key: bool) -> Self {
        match status.as_u16() {
            401 if shows_key => Self::KeyRefused(Cause::Authentication),
            403 if shows_key => Self::KeyRefused(Cause::Permission),
            529 => Self::Fails(Cause::Overloaded),
            500..=599 => Self::Fails(Cause::Server),
            200..=299 => Self::Well,
            _ => Self::Answers,
        }
    }
}

impl Health {
    /// What the last probes of a provider found; `None` before the first.
    pub fn probed(&self, provider: &Provider) -> Option<ProbeState> {
        self.probes().get(&provider.name).copied()
    }

    fn hear_of_key(&self, provider: &Provider, key: KeyNumber, found: Found, now: Moment) {
        for target in self.of_provider(&provider.name) {
            match found {
                Found::Well => target.keys.revive(key),
                Found::KeyRefused(cause) => {
                    let refused = ProviderError::new(cause, "The provider refuses the key.");
                    target.keys.note_failure(key, &refused, now);
                }
                Found::Answers | Found::Fails(_) => {}
            }
        }
    }

    fn hear_of_probe(
        &self,
        provider: &Provider,
        found: Found,
        refuses_key: bool,
        took: Duration,
        rules: ProbeRules,
        now: Moment,
    ) {
        let before = self.probed(provider);
        let failures = before.map_or(0, |before| before.failures);
        let cause = match found {
            Found::Fails(cause) => Some(cause),
            Found::Well | Found::Answers | Found::KeyRefused(_) => None,
        };
        let state = ProbeState {
            is_reached: cause.is_none(),
            refuses_key,
            latency_ms: cause
                .is_none()
                .then(|| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            cause,
            failures: cause.map_or(0, |_| failures.saturating_add(1)),
        };
        self.probes().insert(provider.name.clone(), state);
        let was_out = before.is_some_and(|before| before.is_out());
        if was_out != state.is_out() {
            let (provider, is_reached) = (&provider.name, state.is_reached);
            tracing::warn!(%provider, is_reached, cause = cause.map(Cause::as_str), "probes of a provider turned");
        }
        // Until the next probe has been heard of.
        let until = now.after(rules.interval.saturating_add(rules.timeout * 2));
        for target in self.of_provider(&provider.name) {
            if state.is_out() {
                target.breaker.open_until(until, now);
            } else if was_out {
                target.breaker.end_rest(now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
