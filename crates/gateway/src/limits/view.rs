//! How things stand with the limits, for operators.

use domain::id::LimitId;
use domain::limit::{Bound, Subject};
use domain::money::Cost;
use jiff::Timestamp;

use super::Limits;
use super::counter::{Tally, dollars, units};

/// How much of a limit is used up by one of those that it counts apart. Amounts are requests, tokens, calls, or
/// nano-dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Whose count it is.
    pub subject: Subject,
    /// How much may be taken.
    pub bound: Bound,
    /// What was taken, in this process and as far as it heard of the others.
    pub taken: u64,
    /// What of it is set aside for calls in flight.
    pub held: u64,
    /// How many calls wait for room.
    pub waiting: usize,
    /// When the period ends; `None` where there is none.
    pub resets_at: Option<Timestamp>,
}

/// By how much budgets were overrun in their current periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrun {
    /// The most that was spent beyond a budget.
    pub observed: Cost,
    /// The most that can have been: what calls took beyond what was set aside for them.
    pub bound: Cost,
}

/// What this process holds of the limits that replicas share: the most of any limit that it may give out without
/// asking, and by which that limit is overrun if the process is killed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leases {
    /// Whether the shared counters answered when they were asked last.
    pub is_answered: bool,
    /// Requests.
    pub requests: u64,
    /// Tokens.
    pub tokens: u64,
    /// Calls at the same time.
    pub calls: u64,
    /// Money.
    pub cost: Cost,
}

impl Limits {
    /// What this process holds of the limits that replicas share; `None` where nothing is shared.
    pub fn leases(&self) -> Option<Leases> {
        let sharing = self.bench.sharing.as_ref()?;
        let mut leases = Leases {
            is_answered: !sharing.is_alone(),
            ..Leases::default()
        };
        let now = self.bench.now();
        for counter in self.bench.counters().values() {
            let mut state = counter.lock();
            let taken = state.taken(now);
            let left = state.ceiling().saturating_sub(taken);
            match state.limit.bound {
                Bound::Requests { .. } => leases.requests = leases.requests.max(left),
                Bound::Tokens { .. } => leases.tokens = leases.tokens.max(left),
                Bound::Concurrency { .. } => leases.calls = leases.calls.max(left),
                Bound::Dollars { .. } => leases.cost = leases.cost.max(dollars(left)),
            }
        }
        Some(leases)
    }

    /// How much of a limit is used up, by those with the most first; at most `count`.
    pub fn usage(&self, limit: LimitId, count: usize) -> Vec<Usage> {
        let now = self.bench.now();
        let mut usages: Vec<Usage> = self
            .bench
            .counters()
            .iter()
            .filter(|(key, _)| key.is_of(limit))
            .map(|(_, counter)| {
                let mut state = counter.lock();
                let taken = state.taken(now);
                let elsewhere = state.taken_elsewhere();
                let (held, resets_at) = match &state.tally {
                    Tally::Period(purse) => (units(purse.held()), purse.ends()),
                    Tally::InUse { count, .. } => (*count, None),
                    Tally::Sliding(_) => (0, None),
                };
                Usage {
                    subject: counter.subject.clone(),
                    bound: state.limit.bound,
                    taken: taken.saturating_add(elsewhere),
                    held,
                    waiting: state.line.as_ref().map_or(0, |line| line.len()),
                    resets_at,
                }
            })
            .collect();
        usages.sort_by_key(|usage| std::cmp::Reverse(usage.taken));
        usages.truncate(count);
        usages
    }

    /// By how much budgets were overrun in their current periods.
    pub fn overrun(&self) -> Overrun {
        let now = self.bench.now();
        let mut overrun = Overrun::default();
        for counter in self.bench.counters().values() {
            let mut state = counter.lock();
            state.taken(now);
            let most = dollars(state.limit.bound.most());
            let elsewhere = dollars(state.taken_elsewhere());
            if let Tally::Period(purse) = &state.tally {
                let spent = purse.spent().saturating_add(elsewhere);
                overrun.observed = overrun.observed.max(spent.saturating_sub(most));
                overrun.bound = overrun.bound.max(purse.excess());
            }
        }
        overrun
    }

    /// How many calls wait for room.
    pub fn waiting(&self) -> usize {
        let counters = self.bench.counters();
        let lines = counters.values().map(|counter| {
            let state = counter.lock();
            state.line.as_ref().map_or(0, |line| line.len())
        });
        lines.sum()
    }

    /// Forgets counters that count nothing and that nobody holds: of those that a limit has for each model or
    /// key there may be many that were used once.
    pub fn tidy(&self) {
        let now = self.bench.now();
        self.bench.counters().retain(|_, counter| {
            if std::sync::Arc::strong_count(counter) > 1 {
                return true;
            }
            let mut state = counter.lock();
            state.taken(now) > 0 || matches!(state.tally, Tally::Period(_))
        });
    }
}
