//! How targets are doing, as the calls that go to them see it: who is slow, who fails, who has no room left.
//!
//! It is observed by the way and costs no request: a few counters per call, without a lock as long as all is
//! well. [`crate::routes`] reads it to put targets in order, [`crate::attempt`] to pass over those that would
//! fail. What is known of a target outlives a reload of the configuration. Beside that, and only where the
//! configuration wants it, providers are probed (`probe`), and targets that nobody asks get a canary (`canary`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use domain::clock::Moment;
use domain::name::ProviderName;
use domain::provider_error::{Cause, ProviderError};
use serde::Serialize;

use crate::routes::choice::Observation;

mod breaker;
mod canary;
mod flight;
mod keys;
mod probe;
mod service;
mod sharing;

pub use breaker::{BreakerRules, BreakerState, Permit};
pub use canary::CanaryRules;
pub use flight::Flight;
pub use keys::{KeyNumber, KeyState};
pub use probe::{ProbeRules, ProbeState};
pub use service::{ServiceCondition, ServiceStatus};

use breaker::Breaker;
use keys::{Keys, Unknown};

/// How many targets are remembered; callers choose names, so the number must have a bound. Beyond it, each call
/// sees a target for the first time.
const MAX_TARGETS: usize = 4096;

/// How all targets are doing.
pub struct Health {
    rules: BreakerRules,
    targets: RwLock<HashMap<(ProviderName, String), Arc<TargetHealth>>>,
    /// Which keys the providers do not know; there are no more than the configuration has had providers.
    unknown: RwLock<HashMap<ProviderName, Arc<Unknown>>>,
    probes: Mutex<HashMap<ProviderName, ProbeState>>,
}

/// How providers are looked after beside the calls that go to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthRules {
    /// When they are probed; `None` where they are not.
    pub probes: Option<ProbeRules>,
    /// When canaries are sent; `None` where none is.
    pub canary: Option<CanaryRules>,
}

impl Health {
    /// Nothing is known of any target.
    pub fn new(rules: BreakerRules) -> Self {
        Self {
            rules,
            targets: RwLock::default(),
            unknown: RwLock::default(),
            probes: Mutex::default(),
        }
    }

    /// How a target is doing that is asked with one of `keys` keys.
    pub(crate) fn of(
        &self,
        provider: &ProviderName,
        model: &str,
        keys: usize,
    ) -> Arc<TargetHealth> {
        let name = (provider.clone(), model.to_owned());
        let known = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&name)
            && known.keys.len() == keys
        {
            return Arc::clone(known);
        }
        drop(known);
        let unknown = self.unknown_keys(provider, keys);
        let health = Arc::new(TargetHealth::new(self.rules, name.clone(), unknown));
        let mut targets = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        if targets.len() < MAX_TARGETS || targets.contains_key(&name) {
            targets.insert(name, Arc::clone(&health));
        }
        health
    }

    /// What is known of a provider's keys at all its targets.
    fn unknown_keys(&self, provider: &ProviderName, keys: usize) -> Arc<Unknown> {
        let mut unknown = self.unknown.write().unwrap_or_else(PoisonError::into_inner);
        match unknown.get(provider) {
            Some(known) if known.len() == keys => Arc::clone(known),
            _ => {
                let fresh = Unknown::of(keys);
                unknown.insert(provider.clone(), Arc::clone(&fresh));
                fresh
            }
        }
    }

    /// Gives every key another chance: the configuration is another.
    pub(crate) fn forget_keys(&self) {
        for target in self.all() {
            target.keys.forget();
        }
    }

    /// Those of one provider.
    fn of_provider(&self, provider: &ProviderName) -> Vec<Arc<TargetHealth>> {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        let of_provider = targets.values().filter(|it| it.name.0 == *provider);
        of_provider.map(Arc::clone).collect()
    }

    fn probes(&self) -> MutexGuard<'_, HashMap<ProviderName, ProbeState>> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every target that was asked or planned for.
    pub fn all(&self) -> Vec<Arc<TargetHealth>> {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        targets.values().map(Arc::clone).collect()
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new(BreakerRules::default())
    }
}

/// How one target, a provider's model, is doing.
pub struct TargetHealth {
    name: (ProviderName, String),
    in_flight: AtomicU32,
    /// When it was asked last, in microseconds of the monotonic clock; 0 where it never was.
    last_asked: AtomicU64,
    first_byte: Mean,
    total: Mean,
    breaker: Breaker,
    keys: Keys,
}

/// What is known of a target at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// The provider.
    pub provider: ProviderName,
    /// The model in the provider's words.
    pub model: String,
    /// The state of its circuit breaker.
    pub breaker: BreakerState,
    /// Calls under way.
    pub in_flight: u32,
    /// Moving mean of the time until the first content of a stream, in milliseconds; `None` before the first.
    pub first_byte_ms: Option<f64>,
    /// Moving mean of the time until a whole answer, in milliseconds; `None` before the first.
    pub total_ms: Option<f64>,
    /// How much of its rate limit the provider says is left, 0 to 1; `None` where it does not say.
    pub headroom: Option<f64>,
    /// Its keys, in the order of the configuration.
    pub keys: Vec<KeyState>,
}

impl TargetHealth {
    fn new(rules: BreakerRules, name: (ProviderName, String), unknown: Arc<Unknown>) -> Self {
        Self {
            name,
            in_flight: AtomicU32::new(0),
            last_asked: AtomicU64::new(0),
            first_byte: Mean::default(),
            total: Mean::default(),
            breaker: Breaker::new(rules),
            keys: Keys::new(unknown),
        }
    }

    /// Whether a call that could go elsewhere should come here: its breaker lets calls through, and one of its
    /// keys is good.
    pub fn is_available(&self, now: Moment) -> bool {
        self.trouble(now).is_none()
    }

    /// Why a call should rather go elsewhere; `None` where it should not.
    pub(crate) fn trouble(&self, now: Moment) -> Option<Cause> {
        self.keys
            .trouble(now)
            .or_else(|| (!self.breaker.lets_through(now)).then_some(Cause::Overloaded))
    }

    /// A call comes here; what it holds is given back when it is dropped.
    pub(crate) fn board(self: &Arc<Self>, now: Moment) -> Flight {
        self.last_asked.store(micros(now).max(1), Ordering::Relaxed);
        Flight::new(Arc::clone(self), self.breaker.enter(now))
    }

    /// A call of another replica's came here at `at`.
    pub(crate) fn hear_of_call(&self, at: Moment) {
        self.last_asked
            .fetch_max(micros(at).max(1), Ordering::Relaxed);
    }

    /// The key that the next call is asked with: in the order of `turns`, the first that is good; `None` where
    /// none is.
    pub(crate) fn key(&self, turns: &[KeyNumber], now: Moment) -> Option<KeyNumber> {
        self.keys.next(turns, now)
    }

    /// Whether one of its keys is good.
    pub(crate) fn has_key(&self, now: Moment) -> bool {
        self.keys.trouble(now).is_none()
    }

    /// Notes that the provider turned a key away.
    pub(crate) fn note_failure(&self, key: KeyNumber, error: &ProviderError, now: Moment) {
        self.keys.note_failure(key, error, now);
    }

    /// Notes what the provider says is left of its rate limit for a key.
    pub(crate) fn note_headroom(
        &self,
        key: KeyNumber,
        headroom: &providers::headroom::Headroom,
        now: Moment,
    ) {
        self.keys.note_headroom(key, headroom, now);
    }

    /// What those who choose among targets look at.
    pub fn observation(&self, is_streamed: bool, now: Moment) -> Observation {
        let (latency, other) = if is_streamed {
            (self.first_byte(), self.total())
        } else {
            (self.total(), self.first_byte())
        };
        Observation {
            latency: latency.or(other),
            in_flight: self.in_flight(),
            headroom: self.headroom(now),
            is_out: !self.is_available(now),
        }
    }

    /// When it was asked last; `None` where it never was.
    pub fn last_asked(&self) -> Option<Moment> {
        match self.last_asked.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Moment::at(Duration::from_micros(micros))),
        }
    }

    /// Calls under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Moving mean of the time until the first content of a stream; `None` before the first.
    pub fn first_byte(&self) -> Option<Duration> {
        self.first_byte.get()
    }

    /// Moving mean of the time until a whole answer; `None` before the first.
    pub fn total(&self) -> Option<Duration> {
        self.total.get()
    }

    /// What about 95 of 100 calls to it do not exceed: until the first content of a stream, or until a whole
    /// answer; `None` before the first.
    pub fn usual_wait(&self, is_streamed: bool) -> Option<Duration> {
        if is_streamed {
            self.first_byte.p95()
        } else {
            self.total.p95()
        }
    }

    /// How much of its rate limit the provider says is left, 0 to 1, of the key that has most; `None` where it
    /// does not say.
    pub fn headroom(&self, now: Moment) -> Option<f64> {
        self.keys.headroom(now)
    }

    /// The state of its circuit breaker.
    pub fn breaker(&self, now: Moment) -> BreakerState {
        self.breaker.state(now)
    }

    /// The provider's name and the model in its words.
    pub fn name(&self) -> (&ProviderName, &str) {
        (&self.name.0, &self.name.1)
    }

    /// What is known of it.
    pub fn condition(&self, now: Moment) -> Condition {
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        Condition {
            provider: self.name.0.clone(),
            model: self.name.1.clone(),
            breaker: self.breaker(now),
            in_flight: self.in_flight(),
            first_byte_ms: self.first_byte().map(milliseconds),
            total_ms: self.total().map(milliseconds),
            headroom: self.headroom(now),
            keys: self.keys.states(now),
        }
    }
}

/// A moving mean of durations, each new one an eighth of it. Two that are noted at the same instant may count
/// as one.
#[derive(Default)]
struct Mean {
    mean: AtomicU64,
    /// Moving mean of how far each is from the mean, in microseconds.
    deviation: AtomicU64,
}

impl Mean {
    fn note(&self, took: Duration) {
        // Zero stands for none.
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let (mean, deviation) = match self.mean.load(Ordering::Relaxed) {
            0 => (took, took / 2),
            mean => {
                let deviation = self.deviation.load(Ordering::Relaxed);
                let off = mean.abs_diff(took);
                (
                    mean - mean / 8 + took / 8,
                    deviation - deviation / 8 + off / 8,
                )
            }
        };
        self.mean.store(mean.max(1), Ordering::Relaxed);
        self.deviation.store(deviation, Ordering::Relaxed);
    }

    fn get(&self) -> Option<Duration> {
        match self.mean.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    /// What about 95 of 100 do not exceed: two mean deviations above the mean, as of a normal distribution.
    fn p95(&self) -> Option<Duration> {
        let deviation = Duration::from_micros(self.deviation.load(Ordering::Relaxed));
        Some(self.get()? + deviation * 2)
    }
}

/// A moment as it is kept: microseconds of the monotonic clock.
fn micros(moment: Moment) -> u64 {
    let since_start = moment.since(Moment::at(Duration::ZERO));
    u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
