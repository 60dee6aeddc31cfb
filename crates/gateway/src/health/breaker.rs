//! A circuit breaker: it steers calls around a target that fails.
//!
//! Closed, it lets every call through and counts. When of the last calls too large a part failed it opens: calls
//! that can go elsewhere do. After a while it is half-open: a few calls at a time may try whether the target is
//! well again. So many that do well, one after another, close it; one that does not opens it again, for twice as
//! long. What comes while it is open, because there is nowhere else to go, counts as such a try.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::clock::Moment;
use serde::Serialize;

use super::micros;

/// When a breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerRules {
    /// How far back calls count.
    pub window: Duration,
    /// The fewest calls in the window that say anything.
    pub calls: u32,
    /// The part of them that has to fail, 0 to 1.
    pub failures: f64,
    /// How long it stays open the first time.
    pub open: Duration,
    /// How long it stays open at most.
    pub max_open: Duration,
    /// How many calls may try at the same time whether the target is well again, and how many must succeed one
    /// after another; at least 1.
    pub probes: u32,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            calls: 10,
            failures: 0.5,
            open: Duration::from_secs(10),
            max_open: Duration::from_mins(5),
            probes: 2,
        }
    }
}

/// What a breaker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It lets calls through.
    Closed,
    /// It lets a few calls through, to see whether the target is well again.
    HalfOpen,
    /// It steers calls elsewhere.
    Open,
}

impl BreakerState {
    /// The word used in the API, the logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// How a call went, as far as it says something of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Good,
    Bad,
}

/// How a breaker turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It lets calls through again.
    Closed,
    /// It rests for so long.
    Open(Duration),
}

/// What a call was let through as.
#[derive(Debug, PartialEq, Eq)]
pub enum Permit {
    /// One of all.
    Free,
    /// One of the few that try whether the target is well again; it holds one of their places.
    Probe,
    /// It has nowhere else to go, or its place as a probe was given back.
    Forced,
}

/// How long the replica that found out that a target fails is left to try alone whether it is well again: as long as
/// calls often take, and until the others have heard of it.
pub(super) const FINDERS_TURN: Duration = Duration::from_secs(4);
/// By how much what replicas know of one opening may differ.
const SLACK: Duration = Duration::from_secs(2);
/// The parts that the window is counted in.
const PARTS: usize = 10;

pub(super) struct Breaker {
    rules: BreakerRules,
    /// Calls of the last parts of the window: which part of time it is, and how many went well and badly, each in
    /// 20 bits.
    parts: [AtomicU64; PARTS],
    /// Looked at by every call; everything else of it is behind the lock.
    is_closed: AtomicBool,
    /// Until when it rests, in microseconds of the monotonic clock.
    open_until: AtomicU64,
    /// From when on calls may try here whether the target is well: where another replica found it out, some time
    /// after the rest.
    tries_from: AtomicU64,
    /// The end of its opening that other replicas know of; 0 where they know of none.
    told_until: AtomicU64,
    /// How many probes are under way.
    probing: AtomicU32,
    tries: Mutex<Tries>,
}

#[derive(Default)]
struct Tries {
    /// Probes that did well, one after another.
    good: u32,
    /// How often it has opened without staying closed for a window.
    openings: u32,
    closed_at: Option<Moment>,
}

impl Breaker {
    pub(super) fn new(rules: BreakerRules) -> Self {
        Self {
            rules,
            parts: Default::default(),
            is_closed: AtomicBool::new(true),
            open_until: AtomicU64::new(0),
            tries_from: AtomicU64::new(0),
            told_until: AtomicU64::new(0),
            probing: AtomicU32::new(0),
            tries: Mutex::default(),
        }
    }

    pub(super) fn state(&self, now: Moment) -> BreakerState {
        if self.is_closed.load(Ordering::Acquire) {
            BreakerState::Closed
        } else if micros(now) < self.tries_from.load(Ordering::Relaxed) {
            BreakerState::Open
        } else {
            BreakerState::HalfOpen
        }
    }

    /// Whether a call that could go elsewhere should come here.
    pub(super) fn lets_through(&self, now: Moment) -> bool {
        match self.state(now) {
            BreakerState::Closed => true,
            BreakerState::HalfOpen => self.probing.load(Ordering::Relaxed) < self.rules.probes,
            BreakerState::Open => false,
        }
    }

    /// A call comes. [`Breaker::leave`] must follow.
    pub(super) fn enter(&self, now: Moment) -> Permit {
        match self.state(now) {
            BreakerState::Closed => Permit::Free,
            BreakerState::Open => Permit::Forced,
            BreakerState::HalfOpen => {
                let probes = self.rules.probes;
                let more = |probing: u32| (probing < probes).then_some(probing + 1);
                let entered = self
                    .probing
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
                entered.map_or(Permit::Forced, |_| Permit::Probe)
            }
        }
    }

    /// A call is over, with or without a word on how it went.
    pub(super) fn leave(&self, permit: &mut Permit) {
        if std::mem::replace(permit, Permit::Forced) == Permit::Probe {
            self.probing.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Notes how a call went; answers the state that this has brought about.
    pub(super) fn note(
        &self,
        permit: &mut Permit,
        outcome: Outcome,
        now: Moment,
    ) -> Option<BreakerState> {
        let was_free = *permit == Permit::Free;
        self.leave(permit);
        if !self.is_closed.load(Ordering::Acquire) {
            // One that set out before it opened says nothing new.
            return if was_free {
                None
            } else {
                self.tried(outcome, now)
            };
        }
        self.count(outcome, now);
        if outcome == Outcome::Bad && self.fails_too_often(now) {
            return self.open(now);
        }
        None
    }

    /// What the other replicas do not know yet.
    pub(super) fn untold(&self, now: Moment) -> Option<News> {
        let is_closed = self.is_closed.load(Ordering::Acquire);
        let until = self.open_until.load(Ordering::Relaxed);
        let known = if is_closed { 0 } else { until };
        let told = self.told_until.swap(known, Ordering::Relaxed);
        let news = if is_closed {
            News::Closed
        } else {
            News::Open(self.rest(now))
        };
        (told != known).then_some(news)
    }

    /// Opens for as long as somebody says.
    pub(super) fn open_until(&self, until: Moment, now: Moment) {
        self.rest_until(until, until, now);
    }

    /// Opens as it did at another replica, which has the first turn to try; after that this one waits for `stagger`
    /// more, so that the others do not all try at once when there are no calls where it was found out.
    pub(super) fn open_as_told(&self, until: Moment, stagger: Duration, now: Moment) {
        let tries_from = until.after(FINDERS_TURN).after(stagger);
        self.rest_until(until, tries_from, now);
    }

    fn rest_until(&self, until: Moment, tries_from: Moment, now: Moment) {
        let (until, tries_from) = (micros(until), micros(tries_from));
        let known = self.open_until.load(Ordering::Relaxed);
        let is_open = !self.is_closed.load(Ordering::Acquire);
        // Clocks and ways differ by a little: what is known already is not news.
        let slack = u64::try_from(SLACK.as_micros()).unwrap_or(0);
        if until <= micros(now) || (is_open && until <= known.saturating_add(slack)) {
            return;
        }
        let mut tries = self.tries();
        tries.good = 0;
        self.open_until.store(until, Ordering::Relaxed);
        self.tries_from.store(tries_from, Ordering::Relaxed);
        self.told_until.store(until, Ordering::Relaxed);
        self.is_closed.store(false, Ordering::Release);
    }

    /// Closes as it did at another replica, unless the others never knew that it was open.
    pub(super) fn close_told(&self, now: Moment) {
        if self.told_until.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut tries = self.tries();
        self.told_until.store(0, Ordering::Relaxed);
        self.close_with(&mut tries, now);
    }

    /// Ends the time that it stays open: a few calls may try at once.
    pub(super) fn end_rest(&self, now: Moment) {
        self.open_until.fetch_min(micros(now), Ordering::Relaxed);
        self.tries_from.fetch_min(micros(now), Ordering::Relaxed);
    }

    /// How many calls of the window went well, and how many badly.
    pub(super) fn counts(&self, now: Moment) -> (u64, u64) {
        let epoch = self.epoch(now);
        let (mut good, mut bad) = (0, 0);
        for part in &self.parts {
            let counts = Counts::unpack(part.load(Ordering::Relaxed));
            let age = epoch.wrapping_sub(counts.epoch) & Counts::EPOCH;
            if age < PARTS as u64 {
                good += counts.good;
                bad += counts.bad;
            }
        }
        (good, bad)
    }

    /// How long it stays open from `now` on.
    pub(super) fn rest(&self, now: Moment) -> Duration {
        let until = Duration::from_micros(self.open_until.load(Ordering::Relaxed));
        Moment::at(until).since(now)
    }

    fn tried(&self, outcome: Outcome, now: Moment) -> Option<BreakerState> {
        let mut tries = self.tries();
        if self.is_closed.load(Ordering::Acquire) {
            return None;
        }
        match outcome {
            Outcome::Good => {
                tries.good += 1;
                if tries.good < self.rules.probes {
                    return None;
                }
                self.close_with(&mut tries, now);
                Some(BreakerState::Closed)
            }
            Outcome::Bad if self.state(now) == BreakerState::Open => {
                tries.good = 0;
                None
            }
            Outcome::Bad => {
                self.open_with(&mut tries, now);
                Some(BreakerState::Open)
            }
        }
    }

    fn open(&self, now: Moment) -> Option<BreakerState> {
        let mut tries = self.tries();
        if !self.is_closed.load(Ordering::Acquire) {
            return None;
        }
        let has_stayed_closed = tries
            .closed_at
            .is_none_or(|closed| now.since(closed) >= self.rules.window);
        if has_stayed_closed {
            tries.openings = 0;
        }
        self.open_with(&mut tries, now);
        Some(BreakerState::Open)
    }

    fn open_with(&self, tries: &mut Tries, now: Moment) {
        let doublings = tries.openings.min(16);
        let open = self.rules.open.saturating_mul(1 << doublings);
        tries.openings += 1;
        tries.good = 0;
        let until = now.after(open.min(self.rules.max_open));
        self.open_until.store(micros(until), Ordering::Relaxed);
        self.tries_from.store(micros(until), Ordering::Relaxed);
        self.is_closed.store(false, Ordering::Release);
    }

    fn close_with(&self, tries: &mut Tries, now: Moment) {
        tries.good = 0;
        tries.closed_at = Some(now);
        for part in &self.parts {
            part.store(0, Ordering::Relaxed);
        }
        self.is_closed.store(true, Ordering::Release);
    }

    fn count(&self, outcome: Outcome, now: Moment) {
        let epoch = self.epoch(now);
        let index = usize::try_from(epoch).unwrap_or(0) % PARTS;
        let Some(part) = self.parts.get(index) else {
            return;
        };
        let add = |packed: u64| {
            let mut counts = Counts::unpack(packed);
            if counts.epoch != epoch & Counts::EPOCH {
                counts = Counts {
                    epoch,
                    ..Counts::default()
                };
            }
            match outcome {
                Outcome::Good => counts.good = (counts.good + 1).min(Counts::MOST),
                Outcome::Bad => counts.bad = (counts.bad + 1).min(Counts::MOST),
            }
            Some(counts.pack())
        };
        let added = part.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        debug_assert!(added.is_ok(), "it always adds something");
    }

    fn fails_too_often(&self, now: Moment) -> bool {
        let (good, bad) = self.counts(now);
        let calls = good + bad;
        #[expect(
            clippy::cast_precision_loss,
            reason = "at most ten times 2^20 calls, which a float holds exactly"
        )]
        let fails = bad as f64 >= calls as f64 * self.rules.failures;
        calls >= u64::from(self.rules.calls) && fails
    }

    /// Which part of time `now` is in.
    fn epoch(&self, now: Moment) -> u64 {
        let part = (self.rules.window / 10).as_micros().max(1);
        u64::try_from(u128::from(micros(now)) / part).unwrap_or(0) + 1
    }

    fn tries(&self) -> MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls of one part of the window.
#[derive(Default)]
struct Counts {
    epoch: u64,
    good: u64,
    bad: u64,
}

impl Counts {
    const EPOCH: u64 = (1 << 24) - 1;
    const MOST: u64 = (1 << 20) - 1;

    fn unpack(packed: u64) -> Self {
        Self {
            epoch: packed >> 40,
            good: (packed >> 20) & Self::MOST,
            bad: packed & Self::MOST,
        }
    }

    fn pack(&self) -> u64 {
        (self.epoch & Self::EPOCH) << 40 | self.good << 20 | self.bad
    }
}

#[cfg(test)]
mod tests;
