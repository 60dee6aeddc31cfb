//! What a load brought to light.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;

use super::connection::Answered;
use crate::figures::count;

/// The longest latency that is told apart; longer ones count as this.
const LONGEST: Duration = Duration::from_mins(1);

/// The sum of a load's answers.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Answers that came whole and right.
    pub answered: u64,
    /// Everything else.
    pub failed: u64,
    /// What the first failure said.
    pub first_failure: Option<String>,
    /// From the first request to the last answer.
    pub took: Duration,
    /// From the moment a request was due until the last byte of its answer, in nanoseconds.
    pub latency: Histogram<u64>,
    /// From the moment a request was due until the first byte of its answer's body, in nanoseconds.
    pub first_byte: Histogram<u64>,
}

impl Outcome {
    fn new() -> anyhow::Result<Self> {
        let longest = nanoseconds(LONGEST);
        Ok(Self {
            answered: 0,
            failed: 0,
            first_failure: None,
            took: Duration::ZERO,
            latency: Histogram::new_with_bounds(1_000, longest, 3)?,
            first_byte: Histogram::new_with_bounds(1_000, longest, 3)?,
        })
    }

    /// Answers per second.
    pub fn rate(&self) -> f64 {
        count(self.answered) / self.took.as_secs_f64()
    }

    fn note(&mut self, due: Instant, answer: &anyhow::Result<Answered>) {
        match answer {
            Ok(answered) => {
                self.answered += 1;
                self.latency
                    .saturating_record(nanoseconds(answered.last_byte - due));
                self.first_byte
                    .saturating_record(nanoseconds(answered.first_byte - due));
            }
            Err(error) => {
                self.failed += 1;
                self.first_failure
                    .get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }
}

/// An outcome that the lanes of one load write to.
pub struct Tally {
    start: Instant,
    outcome: Mutex<Outcome>,
}

impl Tally {
    /// Begins now.
    pub fn begin() -> anyhow::Result<Self> {
        Ok(Self {
            start: crate::clock::now(),
            outcome: Mutex::new(Outcome::new()?),
        })
    }

    /// When it began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Notes the answer to a request that was due at `due`.
    pub fn note(&self, due: Instant, answer: &anyhow::Result<Answered>) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.note(due, answer);
    }

    /// The outcome, when every lane has ended.
    pub fn end(self) -> anyhow::Result<Outcome> {
        let mut outcome = self.outcome.into_inner().ok().context("a lane panicked")?;
        outcome.took = crate::clock::now() - self.start;
        Ok(outcome)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
