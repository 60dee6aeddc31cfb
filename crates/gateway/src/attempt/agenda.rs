//! Who is asked next, and when.
//!
//! Primaries come first, in their order: one that turned the call away is waited for as the retries of the
//! route say, unless it is a rate limit that it waits for and somebody else could answer in the meantime.
//! Fallbacks come when no primary is left, and only after failures that they are for.

use std::time::Duration;

use domain::clock::Moment;
use domain::entropy::Entropy;
use domain::provider_error::{Cause, ProviderError};

use super::retry::wait_before_next;
use crate::routes::{Candidate, Candidates, Retries, Standing, When};

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask this candidate.
    Ask(usize),
    /// Wait, and look again.
    Wait(Duration),
    /// Nobody is left to be asked.
    Nobody,
}

/// How a call stands with each of its candidates.
pub(super) struct Agenda<'p> {
    candidates: &'p Candidates,
    retries: Retries,
    standings: Vec<Progress>,
    /// What went wrong so far.
    causes: Vec<Cause>,
    /// The largest context window that was too small, in tokens.
    too_small: Option<u64>,
}

/// How a call stands with one candidate.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    asked: u32,
    turn: Turn,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Turn {
    /// It has not been asked.
    #[default]
    Fresh,
    /// It turned the call away, and may be asked again from then on.
    From(Moment, Patience),
    /// It is not asked again.
    Out,
}

/// Whether it is worth waiting for a candidate while another could be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Worthwhile,
    Idle,
}

impl<'p> Agenda<'p> {
    pub(super) fn new(candidates: &'p Candidates, retries: Retries) -> Self {
        Self {
            candidates,
            retries,
            standings: vec![Progress::default(); candidates.len()],
            causes: Vec::new(),
            too_small: None,
        }
    }

    /// Whether the candidate at `index` was asked.
    pub(super) fn has_asked(&self, index: usize) -> bool {
        self.standings.get(index).is_some_and(|it| it.asked > 0)
    }

    /// Notes that the candidate at `index` was asked and failed.
    pub(super) fn note(
        &mut self,
        index: usize,
        error: &ProviderError,
        now: Moment,
        entropy: &dyn Entropy,
    ) {
        if error.cause == Cause::ContextTooLong {
            self.too_small = self
                .too_small
                .max(context_window(self.candidates.at(index)));
        }
        self.causes.push(error.cause);
        let retries = &self.retries;
        if let Some(progress) = self.standings.get_mut(index) {
            progress.asked += 1;
            let wait = wait_before_next(error, retries, progress.asked, entropy);
            let patience = match error.cause {
                Cause::RateLimited => Patience::Idle,
                _ => Patience::Worthwhile,
            };
            progress.turn = wait.map_or(Turn::Out, |wait| Turn::From(now.after(wait), patience));
        }
    }

    /// Notes that the candidate at `index` cannot be asked.
    pub(super) fn leave_out(&mut self, index: usize) {
        if let Some(progress) = self.standings.get_mut(index) {
            progress.turn = Turn::Out;
        }
    }

    /// What is to be done at `now`, of a call that is over at `deadline`.
    pub(super) fn next(&self, now: Moment, deadline: Moment) -> Next {
        if now >= deadline {
            return Next::Nobody;
        }
        let primary = |standing| standing == Standing::Primary;
        let fallback = |when| move |standing| standing == Standing::Fallback(when);
        let whens = [
            When::ContextWindow,
            When::ContentPolicy,
            When::RateLimit,
            When::Always,
        ];
        let ask = self.ready(now, primary).or_else(|| {
            match self.soonest(now, deadline, |patience| patience == Patience::Worthwhile) {
                Some(from) => Some(Next::Wait(from.since(now))),
                None => whens
                    .into_iter()
                    .find_map(|when| self.ready(now, fallback(when))),
            }
        });
        ask.or_else(|| {
            let from = self.soonest(now, deadline, |_| true)?;
            Some(Next::Wait(from.since(now)))
        })
        .unwrap_or(Next::Nobody)
    }

    /// The first candidate of such a standing that may be asked at once.
    fn ready(&self, now: Moment, is_meant: impl Fn(Standing) -> bool) -> Option<Next> {
        let mut candidates = self.candidates.iter().zip(&self.standings);
        let index = candidates.position(|(candidate, progress)| {
            is_meant(candidate.standing)
                && match progress.turn {
                    Turn::Fresh => self.may_help(candidate),
                    Turn::From(from, _) => from <= now,
                    Turn::Out => false,
                }
        });
        index.map(Next::Ask)
    }

    /// When the first of those may be asked again that are worth waiting for.
    fn soonest(
        &self,
        now: Moment,
        deadline: Moment,
        is_worth: impl Fn(Patience) -> bool,
    ) -> Option<Moment> {
        let waiting = self.standings.iter().filter_map(|it| match it.turn {
            Turn::From(from, patience) if now < from && from < deadline && is_worth(patience) => {
                Some(from)
            }
            _ => None,
        });
        waiting.min()
    }

    /// Whether a candidate that was not asked may do better than those that were.
    fn may_help(&self, candidate: &Candidate) -> bool {
        let when = match candidate.standing {
            Standing::Primary => When::Always,
            Standing::Fallback(when) => when,
        };
        let has_room = match (self.too_small, context_window(candidate)) {
            (Some(too_small), Some(window)) => window > too_small,
            _ => true,
        };
        has_room && self.causes.iter().any(|cause| when.covers(*cause))
    }
}

/// The model's context window in tokens, where it is known.
fn context_window(candidate: &Candidate) -> Option<u64> {
    candidate.target.capabilities.context_window
}

#[cfg(test)]
mod tests;
