//! Where one call may go.

use std::sync::Arc;
use std::time::Duration;

use super::affinity::Trace;
use super::fallback::When;
use super::hedge::Hedge;
use super::shadow::Shadow;
use super::{ResolvedTarget, Retries, Timeouts};
use crate::cache::Caching;

/// Where a call goes and how.
#[derive(Clone)]
pub struct Plan {
    /// The name of the configured route; `None` when the name was resolved directly.
    pub route: Option<String>,
    /// Whether a request is refused rather than sent with something dropped.
    pub strict: bool,
    /// Bounds on waiting.
    pub timeouts: Timeouts,
    /// How often one target is asked.
    pub retries: Retries,
    /// What of its answers is kept to be given again.
    pub caching: Caching,
    /// When a second target is asked while the first has not answered; `None` where it is not.
    pub hedge: Option<Arc<Hedge>>,
    /// What else gets a copy of the call; `None` where nobody does.
    pub shadow: Option<Arc<Shadow>>,
    /// Whether a stream that breaks off after its first content is gone on with at another candidate.
    pub continues: bool,
    /// What a chat is answered with when every candidate failed; `None` where the failure is told.
    pub safe_reply: Option<Arc<str>>,
    /// Where it may go, in the order in which they are tried.
    pub candidates: Candidates,
    /// What is remembered of the choice; `None` where there was none.
    pub routed: Option<Box<Routed>>,
}

/// What is remembered of a choice among targets.
#[derive(Debug, Clone)]
pub struct Routed {
    /// By what the request is known again.
    pub trace: Trace,
    /// What the targets are called in a comparison that the request takes part in.
    pub variant: Option<Arc<str>>,
}

impl Plan {
    /// A plan with one target and the bounds of a name that no route configures.
    pub fn of(target: Arc<ResolvedTarget>) -> Self {
        Self {
            route: None,
            strict: false,
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            caching: Caching::default(),
            hedge: None,
            shadow: None,
            continues: false,
            safe_reply: None,
            candidates: Candidates::only(Candidate::primary(target)),
            routed: None,
        }
    }

    /// What the targets are called in a comparison that the request takes part in.
    pub(crate) fn variant(&self) -> Option<String> {
        let variant = self.routed.as_ref()?.variant.as_ref()?;
        Some(variant.to_string())
    }

    /// How long one attempt at a whole answer may take.
    pub(crate) fn patience(&self) -> Duration {
        if self.candidates.len() > 1 {
            self.timeouts.attempt
        } else {
            self.timeouts.total
        }
    }

    /// The target that is tried first.
    pub fn target(&self) -> &Arc<ResolvedTarget> {
        &self.candidates.first.target
    }
}

/// Where a call may go, in the order in which they are tried: primaries, then fallbacks. There is at least
/// one; a plan with only one takes no memory for it beside its own.
#[derive(Clone)]
pub struct Candidates {
    first: Candidate,
    others: Vec<Candidate>,
}

impl Candidates {
    /// One candidate.
    pub fn only(candidate: Candidate) -> Self {
        Self {
            first: candidate,
            others: Vec::new(),
        }
    }

    /// These, in this order; `None` where there is none.
    pub fn of(candidates: impl IntoIterator<Item = Candidate>) -> Option<Self> {
        let mut candidates = candidates.into_iter();
        Some(Self {
            first: candidates.next()?,
            others: candidates.collect(),
        })
    }

    /// Keeps those that are meant; `false`, and keeps all, where none is.
    pub fn keep(&mut self, is_meant: impl Fn(&Candidate) -> bool) -> bool {
        let meant: Vec<Candidate> = self.iter().filter(|it| is_meant(it)).cloned().collect();
        match Self::of(meant) {
            Some(kept) => {
                *self = kept;
                true
            }
            None => false,
        }
    }

    /// Puts those first that are meant, in their order, to be tried in turn.
    pub fn put_first(&mut self, is_meant: impl Fn(&Candidate) -> bool) {
        let (meant, others): (Vec<_>, Vec<_>) = self.iter().cloned().partition(is_meant);
        let meant = meant.into_iter().map(|candidate| Candidate {
            standing: Standing::Primary,
            ..candidate
        });
        if let Some(candidates) = Self::of(meant.chain(others)) {
            *self = candidates;
        }
    }

    /// Leaves out all but the first.
    pub fn keep_first(&mut self) {
        self.others.clear();
    }

    /// Puts those others than the first that have a place in its order, before those that have none. One that
    /// was there for when others fail is tried in turn then, unless it is for failures of one cause.
    pub fn put_next(&mut self, place: impl Fn(&Candidate) -> Option<usize>) {
        let last = Standing::Fallback(When::Always);
        let is_movable =
            |it: &Candidate| matches!(it.standing, Standing::Primary) || it.standing == last;
        let place = |it: &Candidate| place(it).filter(|_| is_movable(it));
        for candidate in &mut self.others {
            if place(&*candidate).is_some() {
                candidate.standing = Standing::Primary;
            }
        }
        self.others.sort_by_key(|it| {
            (
                place(it).is_none(),
                it.standing != Standing::Primary,
                place(it),
            )
        });
    }

    /// How many there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// The candidate at `index`; the first where there are not so many.
    pub fn at(&self, index: usize) -> &Candidate {
        let other = index
            .checked_sub(1)
            .and_then(|index| self.others.get(index));
        other.unwrap_or(&self.first)
    }

    /// Leaves out those before `index`.
    pub fn begin_at(&mut self, index: usize) {
        if let Some(before) = index.checked_sub(1).filter(|at| *at < self.others.len()) {
            self.first = self
                .others
                .drain(..=before)
                .next_back()
                .unwrap_or_else(|| self.first.clone());
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Candidate> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// A target that a call may go to.
#[derive(Clone)]
pub struct Candidate {
    /// The target.
    pub target: Arc<ResolvedTarget>,
    /// When its turn comes.
    pub standing: Standing,
}

impl Candidate {
    /// A target that may be tried first.
    pub fn primary(target: Arc<ResolvedTarget>) -> Self {
        Self {
            target,
            standing: Standing::Primary,
        }
    }
}

/// When a candidate's turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In its order.
    Primary,
    /// When no primary answers, and one failed so.
    Fallback(When),
}
