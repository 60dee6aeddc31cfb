//! What was spent in a calendar period, and what of it is set aside.

use domain::key::Period;
use domain::money::Cost;
use jiff::Timestamp;

/// What was spent in the period that is now, and ever since its beginning.
#[derive(Debug)]
pub(super) struct Purse {
    period: Period,
    starts: Timestamp,
    /// When the period is over.
    ends: Option<Timestamp>,
    spent: Cost,
    held: Cost,
    /// By how much the calls of this period may have gone beyond the limit together: what they took beyond
    /// what was set aside for them, since the purse was last at rest within the limit.
    excess: Cost,
}

impl Purse {
    /// The period that `now` is in, of which nothing is known.
    pub(super) fn of(period: Period, now: Timestamp) -> Self {
        Self {
            period,
            starts: period.start(now),
            ends: period.end(now),
            spent: Cost::ZERO,
            held: Cost::ZERO,
            excess: Cost::ZERO,
        }
    }

    /// Begins anew when the period is over; answers whether it did. A clock that was set back changes nothing.
    pub(super) fn advance(&mut self, now: Timestamp) -> bool {
        let is_over = self.ends.is_some_and(|ends| ends <= now);
        if is_over {
            *self = Self::of(self.period, now);
        }
        is_over
    }

    /// When the period began.
    pub(super) fn starts(&self) -> Timestamp {
        self.starts
    }

    /// When the next one begins.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        self.ends
    }

    /// What was spent.
    pub(super) fn spent(&self) -> Cost {
        self.spent
    }

    /// What is set aside.
    pub(super) fn held(&self) -> Cost {
        self.held
    }

    /// By how much the limit can have been overrun.
    pub(super) fn excess(&self) -> Cost {
        self.excess
    }

    /// Takes over what the ledger says was spent in the period.
    pub(super) fn remember(&mut self, spent: Cost) {
        self.spent = self.spent.saturating_add(spent);
    }

    /// Takes over what a call that began at `began` cost more than was counted, or less.
    pub(super) fn correct(&mut self, began: Timestamp, cost: Cost) {
        if began >= self.starts {
            self.spent = self.spent.saturating_add(cost).max(Cost::ZERO);
        }
    }

    /// What was spent or is set aside.
    pub(super) fn committed(&self) -> Cost {
        self.spent.saturating_add(self.held)
    }

    /// Sets `cost` aside; what goes beyond `limit` is excess.
    pub(super) fn hold(&mut self, cost: Cost, limit: Cost) {
        let before = self.committed();
        self.held = self.held.saturating_add(cost);
        self.exceed(before.max(limit), self.committed());
    }

    /// Gives back `held`, which a call that began at `began` had set aside, and counts what it cost: in the
    /// period in which it began.
    pub(super) fn settle(&mut self, began: Timestamp, held: Cost, cost: Cost, limit: Cost) {
        if began < self.starts {
            return;
        }
        let before = self.committed();
        self.held = self.held.saturating_sub(held);
        self.spent = self.spent.saturating_add(cost);
        self.exceed(before, self.committed());
        if self.held == Cost::ZERO && self.spent <= limit {
            self.excess = Cost::ZERO;
        }
    }

    fn exceed(&mut self, before: Cost, after: Cost) {
        let more = after.saturating_sub(before).max(Cost::ZERO);
        self.excess = self.excess.saturating_add(more);
    }
}

/// What was spent in every period that there is.
#[derive(Debug)]
pub(super) struct Purses([Purse; Period::ALL.len()]);

impl Purses {
    /// Nothing was spent.
    pub(super) fn at(now: Timestamp) -> Self {
        Self(Period::ALL.map(|period| Purse::of(period, now)))
    }

    /// What was spent in the period that `now` is in.
    pub(super) fn spent(&mut self, period: Period, now: Timestamp) -> Cost {
        self.of(period, now).map_or(Cost::ZERO, |purse| purse.spent)
    }

    /// Takes over what the ledger says was spent in a period.
    pub(super) fn remember(&mut self, period: Period, spent: Cost, now: Timestamp) {
        if let Some(purse) = self.of(period, now) {
            purse.remember(spent);
        }
    }

    /// Counts what a call cost that began at `began`, or what that is corrected by.
    pub(super) fn add(&mut self, cost: Cost, began: Timestamp, now: Timestamp) {
        for purse in &mut self.0 {
            purse.advance(now);
            purse.correct(began, cost);
        }
    }

    fn of(&mut self, period: Period, now: Timestamp) -> Option<&mut Purse> {
        let purse = self.0.iter_mut().find(|purse| purse.period == period)?;
        purse.advance(now);
        Some(purse)
    }
}
