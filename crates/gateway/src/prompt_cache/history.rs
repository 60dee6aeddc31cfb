//! What is known of earlier requests: whether prompts that begin in one way come again while a vendor still has
//! them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::clock::Moment;

use crate::routes::affinity::Remembered;
use crate::routes::hash::StableHash;

/// How many beginnings are remembered, about 48 bytes each.
const MAX_BEGINNINGS: usize = 65_536;
/// How many kinds of requests are remembered.
const MAX_KINDS: usize = 16_384;
/// How long vendors keep what is written, after it was written or read.
const LASTS: Duration = Duration::from_mins(5);
/// How long a kind of requests is remembered that does not come.
const KIND_LASTS: Duration = Duration::from_hours(24);
/// So many beginnings that did not come again are supposed before any was seen: what is new is not written on
/// the strength of one that came twice.
const SUPPOSED: f64 = 3.0;
/// Beyond so many, the older ones count half.
const MAX_COUNT: u32 = 512;

/// Where a beginning ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// Behind the tools.
    Tools,
    /// Behind the system prompt.
    System,
    /// Behind the last turn.
    Turn,
}

/// What is known of earlier requests.
pub(super) struct History(Mutex<Known>);

struct Known {
    beginnings: Remembered<()>,
    kinds: Remembered<Counts>,
}

/// How often beginnings of one kind were new, and how often they came again in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    new: u32,
    again: u32,
}

impl Default for History {
    fn default() -> Self {
        Self(Mutex::new(Known {
            beginnings: Remembered::new(MAX_BEGINNINGS, LASTS),
            kinds: Remembered::new(MAX_KINDS, KIND_LASTS),
        }))
    }
}

impl History {
    /// Whether a beginning was seen while a vendor would still have it.
    pub(super) fn is_warm(&self, beginning: StableHash, now: Moment) -> bool {
        self.known()
            .beginnings
            .find(beginning.bits(), now)
            .is_some()
    }

    /// Whether it pays to write this beginning, or it is written: it has come before, or what is new of this
    /// kind comes again more often than `enough`. Remembers that it came.
    pub(super) fn pays(
        &self,
        whose: StableHash,
        boundary: Boundary,
        beginning: StableHash,
        enough: f64,
        now: Moment,
    ) -> bool {
        let mut known = self.known();
        let is_warm = known.beginnings.find(beginning.bits(), now).is_some();
        known.came(whose, boundary, beginning, is_warm, enough, now)
    }

    /// The same of a conversation, which comes again when it goes on: `continues` says whether this request is
    /// an earlier one with more behind it, `end` is where it ends.
    pub(super) fn goes_on(
        &self,
        whose: StableHash,
        continues: bool,
        end: StableHash,
        enough: f64,
        now: Moment,
    ) -> bool {
        let mut known = self.known();
        let is_warm = known.beginnings.find(end.bits(), now).is_some();
        if continues {
            known.count(whose, Boundary::Turn, now, |counts| counts.again += 1);
        }
        known.came(whose, Boundary::Turn, end, is_warm, enough, now) || continues
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn came(
        &mut self,
        whose: StableHash,
        boundary: Boundary,
        beginning: StableHash,
        is_warm: bool,
        enough: f64,
        now: Moment,
    ) -> bool {
        self.beginnings.put(beginning.bits(), (), now);
        let counts = self.count(whose, boundary, now, |counts| {
            if is_warm {
                counts.again += 1;
            } else {
                counts.new += 1;
            }
        });
        is_warm || counts.expected() > enough
    }

    /// What was known before this was counted.
    fn count(
        &mut self,
        whose: StableHash,
        boundary: Boundary,
        now: Moment,
        count: impl FnOnce(&mut Counts),
    ) -> Counts {
        let kind = whose.and_number(boundary as u64).bits();
        let before = self.kinds.find(kind, now).unwrap_or_default();
        let mut after = before;
        count(&mut after);
        if after.new.max(after.again) > MAX_COUNT {
            after = Counts {
                new: after.new / 2,
                again: after.again / 2,
            };
        }
        self.kinds.put(kind, after, now);
        before
    }
}

impl Counts {
    /// How often what is new is expected to come again in time.
    fn expected(self) -> f64 {
        f64::from(self.again) / (f64::from(self.new) + SUPPOSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOSE: StableHash = StableHash::EMPTY;
    /// As at Anthropic: a quarter more to write, nine tenths less to read.
    const ENOUGH: f64 = 0.28;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    fn system(history: &History, number: u64, seconds: u64) -> bool {
        let beginning = WHOSE.and_number(number);
        history.pays(WHOSE, Boundary::System, beginning, ENOUGH, at(seconds))
    }

    #[test]
    fn what_comes_again_in_time_is_written_and_what_is_new_is_not() {
        let history = History::default();
        assert!(!system(&history, 1, 0));
        assert!(!system(&history, 2, 1));
        assert!(system(&history, 1, 299));
        assert!(!system(&history, 2, 600), "its time has passed");
    }

    #[test]
    fn what_is_new_is_written_at_once_where_such_prompts_come_again() {
        let history = History::default();
        for round in 0..10 {
            for number in 0..4 {
                system(&history, number, round);
            }
        }
        assert!(system(&history, 100, 20));
        // Other requests say nothing of these.
        let (other, prompt) = (WHOSE.and(b"other"), |number| WHOSE.and_number(number));
        assert!(!history.pays(other, Boundary::System, prompt(101), ENOUGH, at(20)));
        assert!(!history.pays(WHOSE, Boundary::Tools, prompt(102), ENOUGH, at(20)));
        // And when they come no more, it is not done any more.
        for number in 1_000..2_000 {
            system(&history, number, 30);
        }
        assert!(!system(&history, 3_000, 31));
    }

    #[test]
    fn a_conversation_that_goes_on_is_written() {
        let history = History::default();
        let end = |turn: u64| WHOSE.and_number(turn);
        assert!(!history.goes_on(WHOSE, false, end(1), ENOUGH, at(0)));
        assert!(history.is_warm(end(1), at(60)));
        assert!(history.goes_on(WHOSE, true, end(2), ENOUGH, at(60)));
        assert!(!history.is_warm(end(1), at(301)));
    }
}
