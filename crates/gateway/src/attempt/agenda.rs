//! Who is asked next, and when.
//!
//! Primaries come first, in their order: one that turned the call away is waited for as the retries of the
//! route say, unless it is a rate limit that it waits for and somebody else could answer in the meantime.
//! Fallbacks come when no primary is left, and only after failures that they are for. Whoever is known not to
//! answer, by its breaker or its keys, is passed over, and comes last where there is nobody else.

use std::sync::Arc;
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
        let candidates = self.candidates.iter();
        let troubles: Vec<_> = candidates.map(|it| it.target.health.trouble(now)).collect();
        let view = View {
            now,
            troubles: &troubles,
        };
        if let Some(next) = self.ready(&view, Standing::Primary, Will::Good) {
            return next;
        }
        let worthwhile = |patience| patience == Patience::Worthwhile;
        if let Some(from) = self.soonest(now, deadline, worthwhile) {
            return Next::Wait(from.since(now));
        }
        if let Some(next) = self.ready_fallback(&view, Will::Good) {
            return next;
        }
        if let Some(from) = self.soonest(now, deadline, |_| true) {
            return Next::Wait(from.since(now));
        }
        self.ready(&view, Standing::Primary, Will::Last)
            .or_else(|| self.ready_fallback(&view, Will::Last))
            .unwrap_or(Next::Nobody)
    }

    fn ready_fallback(&self, view: &View<'_>, will: Will) -> Option<Next> {
        let whens = [
            When::ContextWindow,
            When::ContentPolicy,
            When::RateLimit,
            When::Always,
        ];
        whens
            .into_iter()
            .find_map(|when| self.ready(view, Standing::Fallback(when), will))
    }

    /// The first candidate of a standing that may be asked at once.
    fn ready(&self, view: &View<'_>, standing: Standing, will: Will) -> Option<Next> {
        let candidates = self.candidates.iter().zip(&self.standings);
        let mut candidates = candidates.zip(view.troubles);
        let index = candidates.position(|((candidate, progress), trouble)| {
            candidate.standing == standing
                && match progress.turn {
                    Turn::Fresh => {
                        (trouble.is_none() || will == Will::Last)
                            && self.may_help(candidate, view)
                            && !self.is_asked_elsewhere(candidate)
                    }
                    Turn::From(from, _) => from <= view.now,
                    Turn::Out => false,
                }
        });
        index.map(Next::Ask)
    }

    /// Whether the same target was asked in another of its places: it may be listed for several causes.
    fn is_asked_elsewhere(&self, candidate: &Candidate) -> bool {
        let places = self.candidates.iter().zip(&self.standings);
        let mut asked = places.filter(|(_, progress)| progress.asked > 0);
        asked.any(|(other, _)| Arc::ptr_eq(&other.target.health, &candidate.target.health))
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

    /// Whether a candidate that was not asked may do better than those that were, or are known not to answer.
    fn may_help(&self, candidate: &Candidate, view: &View<'_>) -> bool {
        let has_room = match (self.too_small, context_window(candidate)) {
            (Some(too_small), Some(window)) => window > too_small,
            _ => true,
        };
        let mut causes = self.causes.iter().chain(view.troubles.iter().flatten());
        has_room
            && match candidate.standing {
                Standing::Primary => {
                    self.causes.is_empty() || causes.any(|cause| When::Always.covers(*cause))
                }
                Standing::Fallback(when) => causes.any(|cause| when.covers(*cause)),
            }
    }
}

/// How the candidates are doing at one moment.
struct View<'v> {
    now: Moment,
    /// Why each should rather not be asked.
    troubles: &'v [Option<Cause>],
}

/// Whom one is willing to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Will {
    /// Only who is known to do well.
    Good,
    /// Who is known to fail as well: there is nobody else.
    Last,
}

/// The model's context window in tokens, where it is known.
fn context_window(candidate: &Candidate) -> Option<u64> {
    candidate.target.capabilities.context_window
}

#[cfg(test)]
mod tests;
