//! Replicas that share one limit, and what was taken of it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::caller::Caller;
use domain::clock::Clock;
use domain::id::ReplicaId;
use domain::key::{Period, Rate};
use domain::limit::{Bound, Subject};
use domain::money::Cost;
use domain::spend::{Spend, SpendStore};
use domain::store_error::StoreError;
use jiff::Timestamp;

use self::stated::Heard;
use super::super::counters::{Counters, Link};
use crate::limits::counter::{Tally, units};
use crate::limits::tests::limit;
use crate::limits::{Admission, Limits};
use crate::testing::{Hand, caller, poll, replica};

mod stated;
mod steps;

/// Replicas that share one limit.
pub(super) struct World {
    pub(super) bound: Bound,
    clock: Arc<Hand>,
    caller: Caller,
    counters: Arc<Counters>,
    nodes: Vec<Node>,
    calls: Vec<Call>,
    charges: Vec<Charge>,
    /// By how much more than the limit a replica may have taken, and in which second that was.
    excused: Vec<Charge>,
    /// The same, all of which adds up: what calls took beyond what was set aside or were let in with because they
    /// were alone, and what replicas that were killed had not said.
    excess: Vec<Charge>,
    /// What the ledger knew when a replica joined and had not been said: until the period ends it counts twice.
    pub(super) twice: u64,
    /// When everything was lost last, and how many replicas there were at most since then.
    pub(super) lost_at: Option<Duration>,
    most_alive: u64,
    /// The hour that it is, and the second in which it began for the replicas.
    hour: (Timestamp, u64),
}
/// Something that was taken, and counts.
#[derive(Debug, Clone)]
struct Charge {
    /// The second in which it was.
    at: u64,
    replica: usize,
    amount: u64,
    is_open: bool,
}

/// A call that is under way.
struct Call {
    admission: Admission,
    charge: usize,
}

/// One replica, and what the shared counter knows of it.
struct Node {
    limits: Arc<Limits>,
    id: ReplicaId,
    link: Link,
    is_alive: bool,
    heard: Option<Heard>,
    /// An exchange whose answer is on its way.
    under_way: Option<UnderWay>,
    /// Whether everything was lost, and it was not heard of since.
    is_unheard: bool,
    /// Since when it is not answered, where it is not.
    cut_off: Option<CutOff>,
}

/// When a replica was not answered, and how few there were since.
struct CutOff {
    at: Duration,
    replicas: u64,
}

/// An exchange that was heard.
struct UnderWay {
    outcome: Pin<Box<dyn Future<Output = bool>>>,
    /// How much the others had been given then.
    others_given: Option<u64>,
}
/// A ledger that knows at once what was spent.
struct Ledger(Vec<(Timestamp, Cost)>);

#[async_trait]
impl SpendStore for Ledger {
    async fn spend_since(&self, since: Timestamp) -> Result<Vec<Spend>, StoreError> {
        let since = self.0.iter().filter(|(at, _)| *at >= since);
        let cost = since.fold(Cost::ZERO, |sum, (_, cost)| sum.saturating_add(*cost));
        let subject = Subject::default();
        Ok(vec![Spend { subject, cost }])
    }

    async fn drop_hours_before(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}
impl World {
    pub(super) fn of(bound: Bound, count: usize) -> Self {
        let clock = Arc::new(Hand::default());
        let mut world = Self {
            bound,
            caller: caller(Rate::default(), None),
            counters: Arc::new(Counters::shared_by(1, &clock)),
            hour: (Period::Hour.start(clock.now()), 0),
            clock,
            nodes: Vec::new(),
            calls: Vec::new(),
            charges: Vec::new(),
            excused: Vec::new(),
            excess: Vec::new(),
            twice: 0,
            lost_at: None,
            most_alive: 1,
        };
        for _ in 0..count {
            world.join();
        }
        world
    }

    fn second(&self) -> u64 {
        self.clock.elapsed().as_secs()
    }

    pub(super) fn alive(&self) -> Vec<usize> {
        let numbers = 0..self.nodes.len();
        numbers
            .filter(|number| self.nodes[*number].is_alive)
            .collect()
    }

    fn join(&mut self) {
        let (limits, _alerts) = Limits::new(Arc::clone(&self.clock) as Arc<dyn Clock>, true);
        let (now, since) = (self.clock.now(), self.since());
        let is_money = matches!(self.bound, Bound::Dollars { .. });
        let recorded = self
            .charges
            .iter()
            .filter(|charge| is_money && !charge.is_open && charge.at >= since);
        let ledger =
            recorded.map(|charge| (now, Cost::from_nano_dollars(charge.amount.cast_signed())));
        let ledger = Ledger(ledger.collect());
        if is_money {
            let unsaid = self
                .alive()
                .into_iter()
                .map(|number| self.unsaid_by(number));
            self.twice += unsaid.sum::<u64>();
        }
        let opened = limits.remember(vec![limit(1, self.bound)], &ledger);
        assert!(poll(std::pin::pin!(opened)).is_ready());
        self.nodes.push(Node {
            limits: Arc::new(limits),
            id: replica(),
            link: Link::Whole,
            is_alive: true,
            heard: None,
            under_way: None,
            is_unheard: false,
            cut_off: None,
        });
        self.see_each_other();
    }

    fn see_each_other(&mut self) {
        let alive = self.alive();
        for number in &alive {
            let node = &mut self.nodes[*number];
            node.limits.replicas_seen(alive.len() as u64);
            if let Some(cut_off) = &mut node.cut_off {
                cut_off.replicas = cut_off.replicas.min(alive.len() as u64);
            }
        }
        self.counters.replicas_seen(alive.len() as u64);
        self.most_alive = self.most_alive.max(alive.len() as u64);
    }
    /// What is in a process is gone with it; what was sent and not answered is recorded as it was estimated.
    fn kill(&mut self, number: usize) {
        let unsaid = self.unsaid_by(number);
        self.nodes[number].is_alive = false;
        self.nodes[number].under_way = None;
        let (dead, alive): (Vec<_>, Vec<_>) = std::mem::take(&mut self.calls)
            .into_iter()
            .partition(|call| self.charges[call.charge].replica == number);
        self.calls = alive;
        for call in dead {
            let charge = &mut self.charges[call.charge];
            charge.is_open = false;
            if matches!(self.bound, Bound::Concurrency { .. }) {
                charge.amount = 0;
            }
        }
        if !matches!(self.bound, Bound::Concurrency { .. }) {
            self.exceed(number, unsaid);
        }
        self.see_each_other();
    }

    /// The first second of which everything counts that was taken in it.
    fn since(&self) -> u64 {
        let second = self.second();
        match self.bound {
            Bound::Requests { .. } | Bound::Tokens { .. } => (second + 1).saturating_sub(60),
            Bound::Concurrency { .. } => 0,
            Bound::Dollars { .. } => self.hour.1,
        }
    }

    /// Sees what time it is, after it has changed.
    fn look(&mut self) {
        let hour = Period::Hour.start(self.clock.now());
        if hour > self.hour.0 {
            self.hour = (hour, self.second());
        }
    }

    /// What is shared is lost, and what nobody can know any more of it.
    fn lose(&mut self) {
        let alive = self.alive();
        if matches!(self.bound, Bound::Dollars { .. }) {
            // Budgets begin at what the one knows that is heard of first.
            let known = alive.iter().map(|number| self.known_by(*number));
            let known = known.min().unwrap_or(0);
            let closed = self
                .charges
                .iter()
                .filter(|it| !it.is_open && it.at >= self.since());
            let spent: u64 = closed.map(|it| it.amount).sum();
            self.exceed(alive[0], spent.saturating_sub(known));
        } else {
            // Nobody speaks for those that were killed.
            for number in 0..self.nodes.len() {
                let excess = self.excess_of(Some(number));
                if !self.nodes[number].is_alive {
                    self.exceed(number, self.taken_by(number).saturating_sub(excess));
                }
            }
        }
        self.counters.lose();
        self.lost_at = Some(self.clock.elapsed());
        self.most_alive = alive.len() as u64;
        for node in &mut self.nodes {
            node.is_unheard = true;
            // What it does not know of the others stays unknown to it.
            if let Some(heard) = &mut node.heard {
                (heard.spent, heard.room) = (0, 0);
            }
        }
    }

    /// What a replica knows was spent of a budget.
    fn known_by(&self, number: usize) -> u64 {
        let bench = &self.nodes[number].limits.bench;
        let counter = bench.counters().values().next().map(Arc::clone);
        counter.map_or(0, |counter| {
            let mut state = counter.lock();
            state.taken(bench.now());
            let Tally::Period(purse) = &state.tally else {
                return 0;
            };
            units(purse.spent()).saturating_add(state.taken_elsewhere())
        })
    }

    fn taken_by(&self, number: usize) -> u64 {
        let since = self.since();
        let charges = self.charges.iter();
        let of_it = charges.filter(|it| it.replica == number && it.at >= since);
        of_it.map(|it| it.amount).sum()
    }

    pub(super) fn taken(&self) -> u64 {
        let since = self.since();
        let charges = self.charges.iter().filter(|it| it.at >= since);
        charges.map(|it| it.amount).sum()
    }

    fn room(&self, number: usize) -> u64 {
        let bench = &self.nodes[number].limits.bench;
        let counter = bench.counters().values().next().map(Arc::clone);
        let Some(counter) = counter else { return 0 };
        let mut state = counter.lock();
        let taken = state.taken(bench.now());
        state.ceiling().saturating_sub(taken)
    }
}
