//! The keys that a target is asked with, and which of them are good.
//!
//! A vendor's rate limits hold for a key and a model, and a key may be good for one model and not for another:
//! so each target keeps its own account of its provider's keys. Only a key that the provider does not know is
//! good for none of its models, and then all its targets know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use domain::clock::Moment;
use domain::provider_error::{Cause, ProviderError, Retry};
use providers::headroom::Headroom;
use serde::Serialize;

use super::micros;

/// How long a key rests that the provider refuses (401, 403); then a call tries it again. A reload of the
/// configuration gives it another chance at once.
const REFUSED: Duration = Duration::from_mins(10);
/// How long a key rests whose account has no credit or quota left (402).
const EXHAUSTED: Duration = Duration::from_mins(30);
/// How long a key rests that reached a rate limit (429), where the provider does not say.
const THROTTLED: Duration = Duration::from_secs(5);
/// The longest that a provider's own word on it counts.
const LONGEST: Duration = Duration::from_hours(24);

/// Which of a provider's keys, counted from 0 in the order of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyNumber(pub u16);

impl KeyNumber {
    /// The first, which of most providers is the only one.
    pub const FIRST: Self = Self(0);
}

/// What is known of one key at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyState {
    /// For how long it is left alone, in seconds; `None` where it is good.
    pub rests_for_s: Option<f64>,
    /// Why.
    pub cause: Option<Cause>,
    /// How much of its rate limit the provider says is left, 0 to 1; `None` where it does not say.
    pub headroom: Option<f64>,
}

pub(super) struct Keys {
    each: Box<[Key]>,
    /// Which of them the provider does not know, whatever model it is asked for.
    unknown: Arc<Unknown>,
    turn: AtomicU32,
}

/// Until when a provider's keys are left alone at all its targets, because it does not know them: for each, in
/// microseconds of the monotonic clock; 0 where it never was.
pub(super) struct Unknown(Box<[AtomicU64]>);

impl Unknown {
    /// Of so many keys; at least one.
    pub(super) fn of(keys: usize) -> Arc<Self> {
        Arc::new(Self((0..keys.max(1)).map(|_| AtomicU64::new(0)).collect()))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

struct Key {
    /// Until when it is left alone, in microseconds of the monotonic clock; 0 where it never was.
    rests_until: AtomicU64,
    /// Why, as the place in [`CAUSES`].
    cause: AtomicU32,
    /// What is left of the rate limit, in thousandths; more than that where the provider does not say.
    headroom: AtomicU32,
    /// Until when that is so.
    headroom_until: AtomicU64,
}

/// Why a key may be left alone.
const CAUSES: [Cause; 3] = [Cause::RateLimited, Cause::QuotaExhausted, Cause::Permission];

/// Stands for a headroom that is not known.
const NOT_SAID: u32 = u32::MAX;

impl Default for Key {
    fn default() -> Self {
        Self {
            rests_until: AtomicU64::new(0),
            cause: AtomicU32::new(0),
            headroom: AtomicU32::new(NOT_SAID),
            headroom_until: AtomicU64::new(0),
        }
    }
}

impl Keys {
    pub(super) fn new(unknown: Arc<Unknown>) -> Self {
        Self {
            each: (0..unknown.len()).map(|_| Key::default()).collect(),
            unknown,
            turn: AtomicU32::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.each.len()
    }

    /// The next key whose turn it is and that is good.
    pub(super) fn next(&self, turns: &[KeyNumber], now: Moment) -> Option<KeyNumber> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) as usize;
        let begin = turn.checked_rem(turns.len())?;
        let (later, first) = turns.split_at_checked(begin)?;
        let is_good = |number: &&KeyNumber| {
            let place = usize::from(number.0);
            let key = self.each.get(place);
            key.is_some_and(|key| self.rest(place, key, now).is_none())
        };
        first.iter().chain(later).find(is_good).copied()
    }

    /// Why no key is good; `None` where one is.
    pub(super) fn trouble(&self, now: Moment) -> Option<Cause> {
        let mut trouble = None;
        for (place, key) in self.each.iter().enumerate() {
            let (_, cause) = self.rest(place, key, now)?;
            trouble = Some(cause);
        }
        trouble
    }

    /// How long a key is still left alone, and why; `None` where it is good.
    fn rest(&self, place: usize, key: &Key, now: Moment) -> Option<(Duration, Cause)> {
        let unknown = self.unknown.0.get(place);
        let until = unknown.map_or(0, |until| until.load(Ordering::Relaxed));
        let of_provider = until.saturating_sub(micros(now));
        if of_provider > 0 {
            return Some((Duration::from_micros(of_provider), Cause::Authentication));
        }
        key.rest(now).map(|rest| (rest, key.cause()))
    }

    pub(super) fn note_failure(&self, number: KeyNumber, error: &ProviderError, now: Moment) {
        let asked_for = match error.retry {
            Retry::After(wait) => Some(wait.min(LONGEST)),
            Retry::Now | Retry::Never => None,
        };
        let rest = match error.cause {
            Cause::RateLimited => asked_for.unwrap_or(THROTTLED),
            Cause::QuotaExhausted => asked_for.unwrap_or(EXHAUSTED),
            Cause::Authentication => {
                if let Some(until) = self.unknown.0.get(usize::from(number.0)) {
                    until.store(micros(now.after(REFUSED)), Ordering::Relaxed);
                }
                return;
            }
            Cause::Permission => REFUSED,
            _ => return,
        };
        if let Some(key) = self.each.get(usize::from(number.0)) {
            key.rest_until(now.after(rest), error.cause);
        }
    }

    /// Notes that the provider takes a key: it is left alone no longer for having been refused.
    pub(super) fn revive(&self, number: KeyNumber) {
        let place = usize::from(number.0);
        if let Some(until) = self.unknown.0.get(place) {
            until.store(0, Ordering::Relaxed);
        }
        let key = self.each.get(place);
        if let Some(key) = key.filter(|key| key.cause() == Cause::Permission) {
            key.rests_until.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn note_headroom(&self, number: KeyNumber, headroom: &Headroom, now: Moment) {
        let Some(key) = self.each.get(usize::from(number.0)) else {
            return;
        };
        let until = now.after(headroom.resets_after.min(LONGEST));
        key.headroom.store(headroom.left, Ordering::Relaxed);
        key.headroom_until.store(micros(until), Ordering::Relaxed);
        if headroom.left == 0 {
            key.rest_until(until, Cause::RateLimited);
        }
    }

    pub(super) fn headroom(&self, now: Moment) -> Option<f64> {
        let known = self.each.iter().filter_map(|key| key.headroom(now));
        known.max_by(f64::total_cmp)
    }

    pub(super) fn states(&self, now: Moment) -> Vec<KeyState> {
        let state = |(place, key): (usize, &Key)| {
            let rest = self.rest(place, key, now);
            KeyState {
                rests_for_s: rest.map(|(rest, _)| rest.as_secs_f64()),
                cause: rest.map(|(_, cause)| cause),
                headroom: key.headroom(now),
            }
        };
        self.each.iter().enumerate().map(state).collect()
    }

    pub(super) fn forget(&self) {
        for until in &self.unknown.0 {
            until.store(0, Ordering::Relaxed);
        }
        for key in &self.each {
            key.rests_until.store(0, Ordering::Relaxed);
            key.headroom.store(NOT_SAID, Ordering::Relaxed);
        }
    }
}

impl Key {
    /// How long it is still left alone; `None` where it is good.
    fn rest(&self, now: Moment) -> Option<Duration> {
        let until = self.rests_until.load(Ordering::Relaxed);
        let left = until.saturating_sub(micros(now));
        (left > 0).then(|| Duration::from_micros(left))
    }

    fn rest_until(&self, until: Moment, cause: Cause) {
        let place = CAUSES.iter().position(|it| *it == cause).unwrap_or(0);
        let place = u32::try_from(place).unwrap_or(0);
        self.cause.store(place, Ordering::Relaxed);
        self.rests_until.store(micros(until), Ordering::Relaxed);
    }

    fn cause(&self) -> Cause {
        let place = self.cause.load(Ordering::Relaxed) as usize;
        CAUSES.get(place).copied().unwrap_or(Cause::RateLimited)
    }

    fn headroom(&self, now: Moment) -> Option<f64> {
        let left = self.headroom.load(Ordering::Relaxed);
        let is_so = micros(now) < self.headroom_until.load(Ordering::Relaxed);
        (left != NOT_SAID && is_so).then(|| f64::from(left) / 1_000.0)
    }
}

#[cfg(test)]
mod tests;
