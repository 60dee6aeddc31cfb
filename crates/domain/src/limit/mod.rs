//! Limits: how much of something may be taken in which time, by whom.

mod bound;
mod port;
mod scope;
mod shares;

use std::time::Duration;

use jiff::Timestamp;

pub use bound::{Bound, Window};
pub use port::{
    CounterName, Demand, Epoch, GONE, Grant, LEASE, LimitRevision, LimitStore, MAX_DEMANDS,
    SharedCounters, Span,
};
pub use scope::{InvalidPart, Part, Scope, Subject};
pub use shares::Shares;

use crate::id::{LimitId, OrganizationId, ProjectId};
use crate::key::Origin;

/// A limit. All limits that hold for a call hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its identifier.
    pub id: LimitId,
    /// What people call it.
    pub name: String,
    /// Whose record it is.
    pub organization_id: OrganizationId,
    /// The tenant's project that it is a record of.
    pub project_id: ProjectId,
    /// For whom and for what it holds.
    pub scope: Scope,
    /// How much may be taken.
    pub bound: Bound,
    /// Whether calls wait for room, and how; never of dollars.
    pub queue: Option<QueueRules>,
    /// At which parts operators want to hear of it, in per cent, ascending.
    pub alerts: Vec<u8>,
    /// Where it comes from.
    pub origin: Origin,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How calls wait for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueRules {
    /// How long a call waits at most.
    pub max_wait: Duration,
    /// How many wait at most.
    pub max_waiting: u32,
}

impl QueueRules {
    /// The longest that a call may wait: longer than clients do.
    pub const MAX_WAIT: Duration = Duration::from_mins(10);
    /// How many wait at most unless said otherwise.
    pub const USUAL_WAITING: u32 = 100;

    /// Whether calls can wait so: at most [`QueueRules::MAX_WAIT`], and one of them at least.
    pub fn is_possible(&self) -> bool {
        self.max_wait <= Self::MAX_WAIT && self.max_waiting > 0
    }
}

/// How much a waiting call counts beside others: a tenant's calls of a higher priority are admitted more often,
/// and none never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// One in its turn.
    Low,
    /// Four in its turn.
    #[default]
    Normal,
    /// Sixteen in its turn.
    High,
}

impl Priority {
    /// Every priority, the lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// The word used in the API, the configuration and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// The priority of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|priority| priority.as_str() == word)
    }

    /// How many calls are admitted in one turn.
    pub fn weight(self) -> u64 {
        match self {
            Self::Low => 1,
            Self::Normal => 4,
            Self::High => 16,
        }
    }
}
