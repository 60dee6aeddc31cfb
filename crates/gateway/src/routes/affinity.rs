//! What is remembered of where requests went: sessions stay where they are, and prompts go where their
//! beginning is still in the provider's prompt cache.
//!
//! It is this replica's own memory, bounded and short: what it does not know, weighted rendezvous hashing
//! decides, in the same way on every replica ([`super::strategy`]).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::clock::Moment;

use super::hash::StableHash;
use super::question::Prefix;

/// How many sessions, and how many beginnings of prompts, are remembered: about 48 bytes each.
const MAX_REMEMBERED: usize = 65_536;
/// How long a session is remembered after its last request.
const SESSION_LASTS: Duration = Duration::from_hours(1);
/// How long a provider keeps the beginning of a prompt, at least: five minutes at Anthropic
/// (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>), five to ten at OpenAI
/// (<https://platform.openai.com/docs/guides/prompt-caching>).
const PREFIX_LASTS: Duration = Duration::from_mins(5);
/// The shortest beginning that providers cache, in tokens (the same pages).
const MIN_PREFIX: u64 = 1_024;

/// What is remembered of where requests went.
pub struct Affinity {
    sessions: Mutex<Remembered<StableHash>>,
    prefixes: Mutex<Remembered<u64>>,
}

impl Default for Affinity {
    fn default() -> Self {
        Self {
            sessions: Mutex::new(Remembered::new(MAX_REMEMBERED, SESSION_LASTS)),
            prefixes: Mutex::new(Remembered::new(MAX_REMEMBERED, PREFIX_LASTS)),
        }
    }
}

impl Affinity {
    /// The target that a session is at.
    pub fn target_of(&self, session: StableHash, now: Moment) -> Option<StableHash> {
        locked(&self.sessions).find(session.bits(), now)
    }

    /// How many tokens of a prompt a target probably still has in its prompt cache.
    pub fn cached_tokens(&self, prefix: Prefix, target: StableHash, now: Moment) -> u64 {
        if prefix.tokens < MIN_PREFIX {
            return 0;
        }
        let tokens = locked(&self.prefixes).find(place(prefix, target), now);
        tokens.unwrap_or_default().min(prefix.tokens)
    }

    /// Remembers that a target has answered.
    pub fn remember(&self, trace: &Trace, target: StableHash, now: Moment) {
        if let Some(session) = trace.session {
            locked(&self.sessions).put(session.bits(), target, now);
        }
        if let Some(prefix) = trace.prefix.filter(|prefix| prefix.tokens >= MIN_PREFIX) {
            locked(&self.prefixes).put(place(prefix, target), prefix.tokens, now);
        }
    }
}

/// By what a request is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trace {
    /// The session that it belongs to, told apart by route and tenant.
    pub session: Option<StableHash>,
    /// How its prompt begins.
    pub prefix: Option<Prefix>,
}

impl Trace {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.session.is_none() && self.prefix.is_none()
    }
}

fn place(prefix: Prefix, target: StableHash) -> u64 {
    prefix.hash.and_number(target.bits()).bits()
}

fn locked<T>(remembered: &Mutex<Remembered<T>>) -> std::sync::MutexGuard<'_, Remembered<T>> {
    remembered.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The keys are well mixed already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = StableHash::of(bytes).bits();
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

type Generation<T> = HashMap<u64, (T, Moment), BuildHasherDefault<AsItIs>>;

/// A bounded memory in two generations: when the young one is half of what there may be, it becomes the old
/// one, and what was not asked for since the last time is forgotten.
pub(crate) struct Remembered<T> {
    young: Generation<T>,
    old: Generation<T>,
    most: usize,
    lasts: Duration,
}

impl<T: Copy> Remembered<T> {
    pub(crate) fn new(most: usize, lasts: Duration) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            most,
            lasts,
        }
    }

    pub(crate) fn find(&mut self, key: u64, now: Moment) -> Option<T> {
        let (value, until) = if let Some(found) = self.young.get(&key) {
            *found
        } else {
            let found = self.old.remove(&key)?;
            self.insert(key, found);
            found
        };
        (now < until).then_some(value)
    }

    pub(crate) fn put(&mut self, key: u64, value: T, now: Moment) {
        self.insert(key, (value, now.after(self.lasts)));
    }

    fn insert(&mut self, key: u64, entry: (T, Moment)) {
        if self.young.len() >= self.most / 2 && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: StableHash = StableHash::EMPTY;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    fn prefix(number: u64, tokens: u64) -> Prefix {
        Prefix {
            hash: StableHash::EMPTY.and_number(number),
            tokens,
        }
    }

    fn session(number: u64) -> Trace {
        Trace {
            session: Some(StableHash::EMPTY.and_number(number)),
            prefix: None,
        }
    }

    #[test]
    fn a_session_stays_where_it_is_until_it_rests() {
        let affinity = Affinity::default();
        let trace = session(1);
        affinity.remember(&trace, TARGET, at(0));
        assert_eq!(
            affinity.target_of(trace.session.unwrap(), at(3_599)),
            Some(TARGET)
        );
        assert_eq!(affinity.target_of(trace.session.unwrap(), at(3_600)), None);
        affinity.remember(&trace, TARGET.and(b"other"), at(10));
        assert_eq!(
            affinity.target_of(trace.session.unwrap(), at(11)),
            Some(TARGET.and(b"other"))
        );
    }

    #[test]
    fn a_long_beginning_is_warm_for_five_minutes_where_it_was_answered() {
        let affinity = Affinity::default();
        let long = prefix(1, 2_000);
        let trace = Trace {
            session: None,
            prefix: Some(long),
        };
        affinity.remember(&trace, TARGET, at(0));
        assert_eq!(affinity.cached_tokens(long, TARGET, at(299)), 2_000);
        assert_eq!(affinity.cached_tokens(long, TARGET, at(300)), 0);
        assert_eq!(affinity.cached_tokens(long, TARGET.and(b"other"), at(1)), 0);
    }

    #[test]
    fn a_short_beginning_is_in_no_cache() {
        let affinity = Affinity::default();
        let short = prefix(1, 1_023);
        let trace = Trace {
            session: None,
            prefix: Some(short),
        };
        affinity.remember(&trace, TARGET, at(0));
        assert_eq!(affinity.cached_tokens(short, TARGET, at(1)), 0);
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_asked_for() {
        let affinity = Affinity::default();
        let used = session(u64::MAX);
        affinity.remember(&used, TARGET, at(0));
        for number in 0..3 * MAX_REMEMBERED as u64 {
            affinity.remember(&session(number), TARGET, at(0));
            let found = affinity.target_of(used.session.unwrap(), at(1));
            assert_eq!(found, Some(TARGET), "after {number}");
        }
        let sessions = locked(&affinity.sessions);
        assert!(sessions.young.len() + sessions.old.len() <= MAX_REMEMBERED + 1);
        drop(sessions);
        assert_eq!(affinity.target_of(session(0).session.unwrap(), at(1)), None);
    }
}
