//! What an exchange with a shared counter means: its state, and how it changes. Whoever shares counters
//! between processes does exactly this, and is tested against it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::port::{Demand, Epoch, GONE, Grant, LEASE, Span};
use crate::id::ReplicaId;

/// How one counter is shared out. In one process it is shared by nobody and not needed; it is here as the
/// exact meaning of [`super::SharedCounters::exchange`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    epoch: Epoch,
    /// When everything that is shared began, or was lost.
    began: Duration,
    /// Of a period: what was taken for good by those who are not, or were not yet, part of this run.
    base: u64,
    replicas: BTreeMap<ReplicaId, Said>,
}

/// What one replica said last, and got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    spent: u64,
    held: u64,
    wanted: u64,
    share: u64,
    /// When it was heard of last.
    heard: Duration,
}

impl Said {
    fn taken(self) -> u64 {
        self.spent.saturating_add(self.held)
    }

    /// What is not anybody else's to take.
    fn allocated(self) -> u64 {
        self.share.max(self.taken())
    }
}

impl Shares {
    /// A counter that begins, among others the first of which began at `began`.
    pub fn new(epoch: Epoch, began: Duration) -> Self {
        Self {
            epoch,
            began,
            base: 0,
            replicas: BTreeMap::new(),
        }
    }

    /// What `replica`, one of so many, says and gets at `now`, by the counter's own clock.
    pub fn exchange(
        &mut self,
        replica: ReplicaId,
        replicas: u64,
        demand: &Demand,
        now: Duration,
    ) -> Grant {
        self.forget(demand.span, now);
        let mine = self.replicas.remove(&replica);
        let others = || self.replicas.values();
        let spent_by_others: u64 = others()
            .map(|other| other.spent)
            .fold(0, u64::saturating_add);
        let spent = demand.spent_in(self.epoch);
        if demand.joins(self.epoch) {
            // What it said before this run is in the base. What it has taken since, nobody else knows.
            let mut known = demand.known.saturating_sub(spent);
            if demand.epoch.is_none() {
                // It begins anew, and what it said before stays taken, but for what it says again.
                let before = mine.map_or(0, |mine| mine.spent.saturating_sub(spent));
                self.base = self.base.saturating_add(before);
                // The ledger may have told it of what others have said in this run.
                known = known.saturating_sub(spent_by_others);
            }
            self.base = self.base.max(known);
        }
        let allocated = others()
            .map(|other| other.allocated())
            .fold(self.base, u64::saturating_add);
        let room = demand.capacity.saturating_sub(allocated);
        let taken = spent.saturating_add(demand.held);
        let said_before = demand.spent.saturating_sub(spent);
        let wanted = demand.wanted.saturating_sub(said_before);
        let fair = self.fair(demand);
        // Only growth is bounded by what is fair: what it has, it may have given out since it asked.
        let had = mine.map_or(0, |mine| mine.share);
        let within = self.within(room, replicas, now);
        let share = wanted.min(within).min(fair.max(had)).max(taken);
        let said = Said {
            spent,
            held: demand.held,
            wanted,
            share,
            heard: now,
        };
        let grant = Grant {
            epoch: self.epoch,
            share,
            unallocated: within.saturating_sub(share),
            spent_elsewhere: self.base.saturating_add(spent_by_others),
            fair,
        };
        self.replicas.insert(replica, said);
        grant
    }

    /// When nothing of what was said counts any more, so that the counter may be forgotten; a period that
    /// never ends is never forgotten.
    pub fn is_over(&mut self, span: Span, now: Duration) -> bool {
        self.forget(span, now);
        self.replicas.is_empty() && self.base == 0
    }

    /// How much of `room` one may have now. Whoever has not been heard of since everything was lost may still give
    /// out what it had, until its lease is over: so it is left an equal part.
    fn within(&self, room: u64, replicas: u64, now: Duration) -> u64 {
        let others = self.replicas.values();
        let heard = others.filter(|other| other.heard >= self.began).count();
        let heard = u64::try_from(heard).unwrap_or(u64::MAX).saturating_add(1);
        let unheard = replicas.saturating_sub(heard);
        if now.saturating_sub(self.began) < LEASE {
            room.div_ceil(unheard.saturating_add(1))
        } else {
            room
        }
    }

    /// An equal part for everyone who wants something, while someone wants more than there is for them.
    fn fair(&self, demand: &Demand) -> u64 {
        let someone_waits = self
            .replicas
            .values()
            .any(|other| other.wanted > other.allocated());
        if !someone_waits {
            return demand.capacity;
        }
        let wanting = self.replicas.values().filter(|other| other.wanted > 0);
        let count = u64::try_from(wanting.count()).unwrap_or(u64::MAX);
        demand.capacity / count.saturating_add(1)
    }

    /// Takes the shares of those who were not heard of for [`LEASE`], and forgets what counts no longer.
    fn forget(&mut self, span: Span, now: Duration) {
        // Of a clock that was set back nothing lasts for longer than it would have.
        self.began = self.began.min(now);
        let base = &mut self.base;
        self.replicas.retain(|_, said| {
            said.heard = said.heard.min(now);
            let silent = now.saturating_sub(said.heard);
            if silent <= LEASE {
                return true;
            }
            said.share = 0;
            said.wanted = 0;
            match span {
                // The last of it may have been taken when its lease ended.
                Span::Sliding(length) => silent <= LEASE.saturating_add(length),
                Span::Period(_) => {
                    // What was set aside is not known to have been spent: the ledger will say.
                    said.held = 0;
                    if silent > GONE {
                        *base = base.saturating_add(said.spent);
                    }
                    silent <= GONE
                }
                Span::InUse => false,
            }
        });
    }
}

#[cfg(test)]
mod tests;
