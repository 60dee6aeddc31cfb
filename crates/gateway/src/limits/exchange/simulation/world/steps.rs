//! What happens to replicas, and what they say to each other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use domain::clock::Clock;
use domain::key::Period;
use domain::limit::{Bound, LEASE};
use domain::money::Cost;
use jiff::SignedDuration;

use super::super::super::counters::Link;
use super::super::schedule::Step;
use super::stated::Heard;
use super::{Call, Charge, CutOff, UnderWay, World};
use crate::testing::{expecting, poll, someone, somewhere, usually};

impl World {
    pub(in super::super) fn step(&mut self, step: &Step) {
        let alive = self.alive();
        let calls = self.calls.len();
        match *step {
            Step::Ask { replica, amount } => self.ask(alive[replica % alive.len()], amount),
            Step::Settle { call, percent } if calls > 0 => self.settle(call % calls, percent),
            Step::Drop { call } if calls > 0 => self.drop_call(call % calls),
            Step::Exchange { replica } => {
                let number = alive[replica % alive.len()];
                self.exchange(number, self.nodes[number].link);
            }
            Step::Begin { replica } => {
                let number = alive[replica % alive.len()];
                let link = match self.nodes[number].link {
                    Link::Whole => Link::Slow,
                    link => link,
                };
                self.exchange(number, link);
            }
            Step::Answer { replica, arrives } => self.answer(alive[replica % alive.len()], arrives),
            Step::Flush => self.lose(),
            Step::SetSharedBack { seconds } => {
                self.counters.set_back(Duration::from_secs(seconds));
            }
            Step::SetOn { minutes } => {
                self.clock.set_wall(SignedDuration::from_mins(minutes));
                // What is taken from now on is of a later second.
                self.pass(1);
            }
            Step::SetBack { seconds } => {
                // Another hour would be told from this one by no replica that joins later.
                let (began, now) = (self.hour.0, self.clock.now());
                let most = now.duration_since(began).as_secs();
                self.clock
                    .set_wall(-SignedDuration::from_secs(seconds.min(most)));
            }
            Step::Link { replica, link } => self.nodes[alive[replica % alive.len()]].link = link,
            Step::AllLinks { link } => {
                for number in alive {
                    self.nodes[number].link = link;
                }
            }
            Step::Pass { seconds } => self.pass(seconds),
            Step::Kill { replica } if alive.len() > 1 => self.kill(alive[replica % alive.len()]),
            Step::Join if alive.len() < 4 => self.join(),
            Step::Settle { .. } | Step::Drop { .. } | Step::Kill { .. } | Step::Join => {}
        }
        self.excuse();
    }

    /// Exchanges, or begins to.
    fn exchange(&mut self, number: usize, link: Link) {
        self.answer(number, true);
        let backed = self.backed(number);
        let spent = match self.bound {
            Bound::Requests { .. } | Bound::Tokens { .. } => self.taken_by(number),
            Bound::Concurrency { .. } => 0,
            Bound::Dollars { .. } => {
                let since = self.since();
                let charges = self.charges.iter();
                let of_it = charges.filter(|it| it.replica == number && it.at >= since);
                of_it.filter(|it| !it.is_open).map(|it| it.amount).sum()
            }
        };
        let node = &self.nodes[number];
        self.counters.link(link);
        let (limits, counters, id) = (
            Arc::clone(&node.limits),
            Arc::clone(&self.counters),
            node.id,
        );
        let mut outcome: Pin<Box<dyn Future<Output = bool>>> =
            Box::pin(async move { limits.exchange(&*counters, id).await.is_ok() });
        let answered = poll(outcome.as_mut());
        if let Poll::Ready(is_answered) = answered {
            self.is_answered(number, is_answered);
        }
        let Some((demand, grant)) = self.counters.take_last() else {
            if answered.is_pending() {
                self.counters.answer(id, true);
                assert!(poll(outcome.as_mut()).is_ready());
            }
            return;
        };
        let old = self.known_of(number).cloned();
        let room = grant.share.saturating_sub(demand.spent_in(grant.epoch));
        let more = (spent + room).saturating_sub(backed);
        let others_given = match answered {
            Poll::Ready(true) => Some(self.given_to_others(number)),
            Poll::Ready(false) | Poll::Pending => old.as_ref().and_then(|old| old.others_given),
        };
        if answered.is_pending() {
            self.nodes[number].under_way = Some(UnderWay {
                outcome,
                others_given: Some(self.given_to_others(number)),
            });
        }
        self.nodes[number].is_unheard = false;
        self.nodes[number].heard = Some(Heard {
            spent,
            room,
            at: self.clock.elapsed(),
            given: old.map_or(0, |old| old.given) + more,
            others_given,
        });
    }

    /// Notes since when a replica is not answered.
    fn is_answered(&mut self, number: usize, is_answered: bool) {
        let (at, replicas) = (self.clock.elapsed(), self.alive().len() as u64);
        let cut_off = &mut self.nodes[number].cut_off;
        if is_answered {
            *cut_off = None;
        } else {
            cut_off.get_or_insert(CutOff { at, replicas });
        }
    }

    /// The answer that is on its way arrives, or does not.
    fn answer(&mut self, number: usize, arrives: bool) {
        let node = &mut self.nodes[number];
        let Some(mut under_way) = node.under_way.take() else {
            return;
        };
        self.counters.answer(node.id, arrives);
        assert!(poll(under_way.outcome.as_mut()).is_ready());
        self.is_answered(number, arrives);
        let node = &mut self.nodes[number];
        if let Some(heard) = node.heard.as_mut().filter(|_| arrives) {
            heard.others_given = under_way.others_given;
        }
    }

    fn ask(&mut self, number: usize, amount: u64) {
        let room = self.room(number);
        let limits = &self.nodes[number].limits;
        let tokens = if matches!(self.bound, Bound::Tokens { .. }) {
            amount
        } else {
            1
        };
        let Ok(mut admission) = limits.admit_now(&self.caller, expecting(tokens, Some(0))) else {
            return;
        };
        let amount = match self.bound {
            Bound::Requests { .. } | Bound::Concurrency { .. } => 1,
            Bound::Tokens { .. } => amount,
            Bound::Dollars { .. } => {
                let cost = Cost::from_nano_dollars(amount.cast_signed());
                if admission
                    .reserve(somewhere(&someone()), usually(cost))
                    .is_err()
                {
                    return;
                }
                amount
            }
        };
        if amount > room {
            self.exceed(number, amount - room);
        }
        self.charges.push(Charge {
            at: self.second(),
            replica: number,
            amount,
            is_open: true,
        });
        self.calls.push(Call {
            admission,
            charge: self.charges.len() - 1,
        });
    }

    fn settle(&mut self, call: usize, percent: u64) {
        let call = self.calls.swap_remove(call);
        let charge = &mut self.charges[call.charge];
        charge.is_open = false;
        let (number, aside) = (charge.replica, charge.amount);
        let took = aside * percent / 100;
        match self.bound {
            Bound::Requests { .. } => call.admission.settle(1, 0, Cost::ZERO),
            Bound::Concurrency { .. } => {
                charge.amount = 0;
                call.admission.settle(1, 0, Cost::ZERO);
            }
            Bound::Tokens { .. } => {
                charge.amount = took;
                self.exceed(number, took.saturating_sub(aside));
                call.admission.settle(took, 0, Cost::ZERO);
            }
            Bound::Dollars { .. } => {
                charge.amount = took;
                self.exceed(number, took.saturating_sub(aside));
                call.admission
                    .settle(1, 0, Cost::from_nano_dollars(took.cast_signed()));
            }
        }
    }

    fn drop_call(&mut self, call: usize) {
        let call = self.calls.swap_remove(call);
        let charge = &mut self.charges[call.charge];
        (charge.amount, charge.is_open) = (0, false);
    }

    fn pass(&mut self, seconds: u64) {
        // Everyone is heard of before a lease ends.
        let step = if seconds > 100 { 5 } else { 1 };
        for _ in 0..seconds / step {
            self.clock.forward(Duration::from_secs(step));
            self.look();
            for number in self.alive() {
                self.exchange(number, self.nodes[number].link);
                self.excuse();
            }
        }
    }
    /// Everything ends, everybody is answered, and so much time passes that nothing but money counts.
    pub(in super::super) fn come_to_rest(&mut self) {
        while !self.calls.is_empty() {
            self.drop_call(0);
        }
        self.step(&Step::AllLinks { link: Link::Whole });
        // What was shared before its clock was set is looked at when it is asked for.
        for number in self.alive() {
            self.ask(number, 1);
        }
        while !self.calls.is_empty() {
            self.drop_call(0);
        }
        self.pass(2 * LEASE.as_secs() + 65);
        // No hour ends while it is looked at what is left of it.
        let ends = Period::Hour.end(self.clock.now());
        let left = ends.map(|ends| ends.duration_since(self.clock.now()).as_secs());
        if left.is_some_and(|left| left < 60) {
            self.pass(65);
        }
    }

    /// How much one replica alone comes to have, a unit after the other.
    pub(in super::super) fn use_up(&mut self, number: usize) -> u64 {
        let before = self.taken();
        let mut in_vain = 0;
        while in_vain < 8 {
            let mut had = self.taken();
            in_vain += 1;
            loop {
                self.ask(number, 1);
                if matches!(self.bound, Bound::Dollars { .. }) && !self.calls.is_empty() {
                    self.settle(0, 100);
                }
                if self.taken() == had {
                    break;
                }
                (had, in_vain) = (self.taken(), 0);
            }
            self.clock.forward(Duration::from_millis(200));
            self.look();
            for number in self.alive() {
                self.exchange(number, self.nodes[number].link);
            }
        }
        self.taken() - before
    }
}
