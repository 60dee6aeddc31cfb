//! By how much the limit may be overrun: the bound that `docs/replicas.md` states.

use std::time::Duration;

use domain::limit::{Bound, LEASE, Span};

use super::{Charge, Node, World};
use crate::limits::share::counts_no_longer;

/// What was heard of a replica last.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// What it had taken for good then, and what more was its own to take.
    pub(super) spent: u64,
    pub(super) room: u64,
    pub(super) at: Duration,
    /// How much it was given in all.
    pub(super) given: u64,
    /// How much the others had been given when it was answered last; `None` before.
    pub(super) others_given: Option<u64>,
}

impl World {
    /// The most that may be taken now: the limit and the stated bound.
    pub(in super::super) fn stated_bound(&self) -> u64 {
        self.bound_while_all_is_well() + self.excused_of_each().iter().sum::<u64>()
    }

    /// The same while everybody reaches what is shared and nothing of it is lost.
    pub(in super::super) fn bound_while_all_is_well(&self) -> u64 {
        self.bound.most() + self.excess_of(None)
    }

    /// Whether a replica might have taken more than was its own, and not because somebody's calls took more than was set
    /// aside for them: that is missing to all, and whoever was not told yet has had it.
    pub(in super::super) fn somebody_is_excused(&self) -> bool {
        let excess = self.excess_of(None);
        self.excused_of_each()
            .into_iter()
            .any(|amount| amount > excess)
    }

    /// By how much more than its own each replica may have taken; each may have given it out at another time.
    fn excused_of_each(&self) -> Vec<u64> {
        let since = self.since();
        let mut most = vec![0; self.nodes.len()];
        for excused in self.excused.iter().filter(|it| it.at >= since) {
            most[excused.replica] = excused.amount.max(most[excused.replica]);
        }
        most
    }

    /// What calls of one replica, or of all, took beyond what was set aside.
    pub(super) fn excess_of(&self, replica: Option<usize>) -> u64 {
        let since = self.since();
        let excess = self.excess.iter().filter(|it| it.at >= since);
        let of_it = excess.filter(|it| replica.is_none_or(|replica| it.replica == replica));
        of_it.map(|it| it.amount).sum()
    }

    pub(super) fn exceed(&mut self, replica: usize, amount: u64) {
        self.excess.push(Charge {
            at: self.second(),
            replica,
            amount,
            is_open: false,
        });
    }

    pub(super) fn unsaid_by(&self, number: usize) -> u64 {
        let said = self.known_of(number).map_or(0, |heard| heard.spent);
        self.taken_by(number).saturating_sub(said)
    }

    /// What is known of a replica, where it is of the period that is now.
    pub(super) fn known_of(&self, number: usize) -> Option<&Heard> {
        let heard = self.nodes[number].heard.as_ref()?;
        let of_now = heard.at.as_secs() >= self.since();
        Some(heard).filter(|_| of_now || !matches!(self.bound, Bound::Dollars { .. }))
    }

    pub(super) fn given_to_others(&self, number: usize) -> u64 {
        let others = (0..self.nodes.len()).filter(|other| *other != number);
        others
            .filter_map(|other| Some(self.known_of(other)?.given))
            .sum()
    }

    /// What is this replica's as the shared counter sees it.
    pub(super) fn backed(&self, number: usize) -> u64 {
        let Some(heard) = self.known_of(number) else {
            return 0;
        };
        let silent = self.clock.elapsed().saturating_sub(heard.at);
        let length = match self.bound {
            Bound::Requests { .. } | Bound::Tokens { .. } => Duration::from_mins(1),
            Bound::Concurrency { .. } => Duration::ZERO,
            Bound::Dollars { .. } => Duration::MAX,
        };
        if silent <= LEASE {
            heard.spent + heard.room
        } else if silent <= LEASE.saturating_add(length) {
            heard.spent
        } else {
            0
        }
    }

    /// What a replica took and may take, as it sees it.
    fn potential(&self, number: usize) -> u64 {
        self.taken_by(number) + self.room(number)
    }
    /// Notes by how much more than the limit the replicas may take now, as the page on replicas has it: a replica
    /// that is not answered has what others were given since, or give out alone of what was its own.
    pub(super) fn excuse(&mut self) {
        let alive = self.alive();
        let excused_of = |number: &usize| {
            let unbacked = self.unbacked(*number);
            if let Some(beyond) = self.beyond_its_part(*number) {
                return unbacked.min(beyond);
            }
            let heard = self.known_of(*number);
            let Some((heard, given)) = heard.and_then(|heard| Some((heard, heard.others_given?)))
            else {
                return unbacked;
            };
            let since = self.given_to_others(*number).saturating_sub(given);
            // Its share was its own until its lease was over, or until the others were heard after a loss.
            let has_lapsed = |other: &usize| {
                if self.nodes[*number].is_unheard {
                    return !self.nodes[*other].is_unheard;
                }
                let other = self.known_of(*other);
                other.is_some_and(|other| other.at > heard.at + LEASE)
            };
            let others = alive.iter().filter(|other| *other != number);
            let alone = others.filter(|other| has_lapsed(other));
            let alone: u64 = alone.map(|other| self.unbacked(*other)).sum();
            unbacked.min(since + alone + self.part_of_one_cut_off(*number))
        };
        let excused: Vec<Charge> = alive
            .iter()
            .map(|number| Charge {
                at: self.second(),
                replica: *number,
                amount: excused_of(number),
                is_open: false,
            })
            .filter(|excused| excused.amount > 0)
            .collect();
        self.excused.extend(excused);
    }

    /// What a replica took and may take beyond what was left to it when everything was lost. Until its lease is over,
    /// whoever was not heard of since is left an equal part, but for what others have that had more than theirs.
    /// `None` of any other.
    fn beyond_its_part(&self, number: usize) -> Option<u64> {
        let is_left_a_part = |node: &Node| {
            let is_leased = |at| self.clock.elapsed() < at + LEASE;
            node.is_alive && node.is_unheard && self.lost_at.is_some_and(is_leased)
        };
        if !is_left_a_part(&self.nodes[number]) {
            return None;
        }
        let part = self.bound.most() / self.most_alive;
        let others = (0..self.nodes.len()).filter(|other| *other != number);
        let theirs = others.map(|other| {
            if is_left_a_part(&self.nodes[other]) {
                self.potential(other).max(part)
            } else {
                self.backed(other)
            }
        });
        let left = self.bound.most().saturating_sub(theirs.sum());
        Some(self.potential(number).saturating_sub(left.min(part)))
    }

    /// The part of the limit that a replica has when it was cut off for so long that nothing counts of what it knew of:
    /// calls that run for longer count at their replica only.
    fn part_of_one_cut_off(&self, number: usize) -> u64 {
        let span = match self.bound {
            Bound::Requests { .. } | Bound::Tokens { .. } => Span::Sliding(Duration::from_mins(1)),
            Bound::Concurrency { .. } => Span::InUse,
            Bound::Dollars { .. } => Span::Period(None),
        };
        let Some(cut_off) = &self.nodes[number].cut_off else {
            return 0;
        };
        let alone = self.clock.elapsed().saturating_sub(cut_off.at);
        match counts_no_longer(span) {
            Some(after) if alone > after => self.bound.most() / cut_off.replicas,
            _ => 0,
        }
    }

    /// What a replica may have beside what is its own as the shared counter sees it.
    fn unbacked(&self, number: usize) -> u64 {
        let backed = self
            .backed(number)
            .saturating_add(self.excess_of(Some(number)));
        self.potential(number).saturating_sub(backed)
    }
}
