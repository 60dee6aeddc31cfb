//! This process's share of a counter that replicas share.

use std::time::Duration;

use domain::limit::{CounterName, Demand, Epoch, GONE, Grant, LEASE, Span};

use super::counter::{Counter, Now, State, Tally, units};

/// What this process may give out of a counter, and what it has heard of the others. It has nothing before the
/// first exchange.
#[derive(Debug, Default)]
pub(super) struct Share {
    epoch: Option<Epoch>,
    granted: u64,
    /// What was wished for in an exchange that is under way: no more is given out until its answer is there.
    asked: Option<u64>,
    /// Of a period, what had been spent here when this process became part of the epoch.
    spent_before: u64,
    /// When the first exchange began, in seconds.
    first_asked: Option<u64>,
    /// What had been spent here at the last exchange that was answered; `None` before the first.
    spent_when_heard: Option<u64>,
    /// The same, of the exchange that is under way.
    spent_when_asked: u64,
    /// What is nobody's share, as far as was heard.
    unallocated: u64,
    spent_elsewhere: u64,
    fair: Option<u64>,
    /// When the last exchange began that was answered, in seconds.
    heard: u64,
    /// When the first exchange began since then that was not answered, in seconds. Before that the others may have
    /// taken what this process, which had nothing to say, did not hear of.
    cut_off: Option<u64>,
    /// What may be given out beside the share while the shared counters cannot be asked.
    alone: u64,
    /// Among how many what is nobody's is divided while they cannot be asked; 0 while they can. It does not
    /// fall: whoever is not seen any more may have given out its part.
    divided_by: u64,
    /// What was given out since the last exchange, and how much that usually is.
    recent: u64,
    pace: u64,
    /// What somebody waits for.
    wish: u64,
    /// Whether it is on the list of those that are exchanged.
    is_listed: bool,
    /// Whether it has to be said how things stand although nothing is wanted.
    must_say: bool,
    /// Whether nothing was heard for so long that the share may be somebody else's.
    is_over: bool,
}

/// What there is to say of a counter.
pub(super) enum Word {
    /// How things stand, and what is wanted.
    Demand(Demand),
    /// What was said last still holds.
    Nothing,
    /// Nothing any more: it may be left alone.
    Farewell,
}

impl Share {
    /// The most that may be taken here.
    pub(super) fn ceiling(&self) -> u64 {
        let share = self
            .asked
            .map_or(self.granted, |asked| asked.min(self.granted));
        share
            .saturating_add(self.spent_before)
            .saturating_add(self.alone)
    }

    /// What the others have taken, beside what was spent before this process heard of them: that it counts itself.
    pub(super) fn elsewhere(&self) -> u64 {
        self.spent_elsewhere.saturating_sub(self.spent_before)
    }

    /// Of what the others have taken, what was heard of a moment ago, so that it cannot be had by waiting.
    pub(super) fn surely_elsewhere(&self, now: Now) -> u64 {
        let is_fresh = self.epoch.is_some() && now.second <= self.heard.saturating_add(1);
        if is_fresh { self.elsewhere() } else { 0 }
    }

    /// Whether nothing was heard yet, and the counters can be asked as far as is known.
    pub(super) fn is_first(&self) -> bool {
        self.epoch.is_none() && self.divided_by == 0
    }

    /// Whether there is nothing left that is nobody's.
    pub(super) fn is_all_there_is(&self) -> bool {
        (self.epoch.is_some() || self.alone > 0) && self.unallocated == 0
    }

    /// So much was given out.
    pub(super) fn used(&mut self, amount: u64) {
        self.recent = self.recent.saturating_add(amount);
    }

    /// A call has ended, and what it took is not what was said of it, which holds for the length of a lease only.
    pub(super) fn settled(&mut self) {
        self.must_say = true;
    }

    /// Somebody waits for so much.
    pub(super) fn wish(&mut self, amount: u64) {
        self.wish = self.wish.max(amount);
    }

    /// Whether it has to be put on the list of those that are exchanged.
    pub(super) fn list(&mut self) -> bool {
        !std::mem::replace(&mut self.is_listed, true)
    }

    /// Another period begins, which is another counter.
    pub(super) fn begin_period(&mut self) {
        *self = Self {
            is_listed: self.is_listed,
            ..Self::default()
        };
    }
}

impl State {
    /// What this process says of the counter and wishes for.
    pub(super) fn say(&mut self, counter: &Counter, now: Now) -> Word {
        let taken = self.taken(now);
        let span = self.span();
        let (spent, held) = match &self.tally {
            Tally::Sliding(_) => (taken, 0),
            Tally::Period(purse) => (units(purse.spent()), units(purse.held())),
            Tally::InUse { .. } => (0, taken),
        };
        let is_period = matches!(span, Span::Period(_));
        let name = self.shared_name(counter);
        let capacity = self.limit.bound.most();
        let Some(share) = self.share.as_mut() else {
            return Word::Farewell;
        };
        let silent = now.second.saturating_sub(share.heard);
        let first_asked = *share.first_asked.get_or_insert(now.second);
        let is_stale = now.second.saturating_sub(share.heard.max(first_asked)) > GONE.as_secs() / 2;
        let epoch = share.epoch.filter(|_| !is_stale);
        let unsaid = match share.spent_when_heard {
            // What was silent for too long may be counted as what is known by all.
            _ if !is_period || is_stale => 0,
            Some(heard) => spent.saturating_sub(heard),
            // What it began with is the ledger's, and what came then was given out alone.
            None if share.divided_by > 0 => spent.saturating_sub(share.spent_before),
            None => 0,
        };
        let since = match (is_period, epoch) {
            (true, Some(_)) => spent.saturating_sub(share.spent_before),
            (true, None) => unsaid,
            (false, _) => spent,
        };
        let known = match share.epoch {
            Some(_) => share
                .spent_elsewhere
                .saturating_add(spent.saturating_sub(share.spent_before)),
            None => spent,
        };
        share.pace = share.recent.max(share.pace / 2);
        share.recent = 0;
        let expected = share.wish.max(share.pace.saturating_mul(2));
        let expected = if expected == 0 {
            0
        } else {
            expected.max(capacity / 50)
        };
        let in_use = since.saturating_add(held);
        let fair = share.fair.unwrap_or(capacity).max(in_use);
        let wanted = in_use.saturating_add(expected).min(fair);
        // Nothing is offered back while nobody may hear of it.
        let wanted = match share.divided_by {
            0 => wanted,
            _ => wanted.max(share.granted),
        };
        if expected == 0 && share.granted <= in_use && !share.must_say {
            if in_use == 0 {
                share.is_listed = false;
                return Word::Farewell;
            }
            if silent < holds_for(span, held).as_secs() {
                return Word::Nothing;
            }
        }
        share.must_say = false;
        share.wish = 0;
        share.asked = Some(wanted);
        share.spent_when_asked = spent;
        if is_stale {
            // What it had is nobody's any more.
            share.granted = 0;
        }
        Word::Demand(Demand {
            counter: name,
            span,
            capacity,
            epoch,
            spent: since,
            unsaid,
            held,
            known,
            wanted,
        })
    }

    /// Takes over what was granted to `demand`, which was said at `asked`, and wakes who waits.
    pub(super) fn granted(&mut self, counter: &Counter, demand: &Demand, grant: Grant, asked: Now) {
        let is_of_now = self.shared_name(counter) == demand.counter;
        let Some(share) = self.share.as_mut().filter(|_| is_of_now) else {
            return;
        };
        if matches!(demand.span, Span::Period(_)) {
            if demand.joins(grant.epoch) {
                // What was said before is known there, and what was not said yet is how it begins.
                share.spent_before = share.spent_when_asked.saturating_sub(demand.unsaid);
            }
            share.spent_when_heard = Some(share.spent_when_asked);
        }
        share.granted = grant.share;
        share.epoch = Some(grant.epoch);
        share.asked = None;
        share.cut_off = None;
        share.alone = 0;
        share.divided_by = 0;
        share.is_over = false;
        share.unallocated = grant.unallocated;
        share.spent_elsewhere = grant.spent_elsewhere;
        share.fair = Some(grant.fair);
        share.heard = asked.second;
        self.wake_who_fits(asked);
    }

    /// The shared counters could not be asked: beside its share, which is its own, this process may give out
    /// its part of what is nobody's, as one of `replicas`. When the lease of the share is over, whoever can ask
    /// may have it: then this process has its part of what is left as far as it knows, and no more than it had.
    pub(super) fn lost(&mut self, replicas: u64, now: Now) {
        let capacity = self.limit.bound.most();
        let span = self.span();
        let (spent, taken) = match &self.tally {
            Tally::Period(purse) => (units(purse.spent()), units(purse.committed())),
            _ => (0, 0),
        };
        let Some(share) = &mut self.share else { return };
        if let Some(asked) = share.asked.take() {
            // What it offered back may be somebody else's: it is not known whether it was heard.
            share.granted = share.granted.min(asked);
        }
        let is_first = share.divided_by == 0;
        share.divided_by = share.divided_by.max(replicas).max(1);
        if share.epoch.is_none() && is_first {
            share.spent_before = spent;
            share.unallocated = capacity.saturating_sub(spent);
        }
        let part = |whole: u64| whole / share.divided_by;
        let silent = Duration::from_secs(now.second.saturating_sub(share.heard));
        let cut_off = *share.cut_off.get_or_insert(now.second);
        let alone = Duration::from_secs(now.second.saturating_sub(cut_off));
        if share.epoch.is_none() || silent <= LEASE {
            share.alone = part(share.unallocated);
        } else if !std::mem::replace(&mut share.is_over, true) {
            let had = share.granted.saturating_add(part(share.unallocated));
            let left = match span {
                Span::Period(_) => {
                    let since = taken.saturating_sub(share.spent_before);
                    let known = share.spent_elsewhere.saturating_add(since);
                    since.saturating_add(part(capacity.saturating_sub(known)))
                }
                Span::Sliding(_) | Span::InUse => part(capacity),
            };
            share.granted = 0;
            share.alone = left.min(had);
        } else if counts_no_longer(span).is_some_and(|after| alone > after) {
            // What the others took while they had more than their part counts no longer.
            share.alone = part(capacity);
        }
        self.wake_who_fits(now);
    }

    /// Nothing more will be taken.
    pub(super) fn expect_nothing(&mut self) {
        if let Some(share) = &mut self.share {
            (share.wish, share.recent, share.pace) = (0, 0, 0);
        }
    }

    /// Has it said again how things stand, when something was taken; answers whether.
    pub(super) fn must_say_anew(&mut self, now: Now) -> bool {
        let taken = self.taken(now);
        match &mut self.share {
            Some(share) if taken > 0 => {
                share.must_say = true;
                true
            }
            _ => false,
        }
    }

    /// For how long what is taken counts.
    fn span(&self) -> Span {
        match &self.tally {
            Tally::Sliding(window) => Span::Sliding(window.length()),
            Tally::Period(purse) => Span::Period(purse.ends()),
            Tally::InUse { .. } => Span::InUse,
        }
    }

    /// The counter's name among replicas: of a period, with its beginning.
    fn shared_name(&self, counter: &Counter) -> CounterName {
        match &self.tally {
            Tally::Period(purse) => counter.name.within(purse.starts()),
            _ => counter.name.clone(),
        }
    }
}

/// How long what was said of a counter of which nothing is wanted holds well enough. What is in a window falls
/// by itself, and calls in flight are not heard of in any other way.
fn holds_for(span: Span, held: u64) -> Duration {
    match span {
        Span::Sliding(length) => (length / 10).max(LEASE / 2),
        Span::Period(_) if held == 0 => GONE / 4,
        Span::Period(_) | Span::InUse => LEASE / 2,
    }
}

/// How long after it was cut off nothing counts any more of what was taken while the lease held, with room
/// for replicas whose leases did not end at the same moment. Of a period everything counts until it ends; calls
/// that run for longer than this are counted by nobody.
pub(super) fn counts_no_longer(span: Span) -> Option<Duration> {
    match span {
        Span::Sliding(length) => Some(length.saturating_add(LEASE * 2)),
        Span::Period(_) => None,
        Span::InUse => Some(LEASE * 2),
    }
}

/// How often shares are exchanged while something is given out.
pub const EXCHANGE_PAUSE: Duration = Duration::from_millis(200);
