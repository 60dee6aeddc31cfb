//! One count of one limit: what was taken, what is set aside, and what may still be.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::limit::{Bound, CounterName, Limit, Subject};
use domain::money::Cost;
use jiff::Timestamp;

use super::alert::Alert;
use super::line::Line;
use super::purse::Purse;
use super::reached::{LimitReached, Relief};
use super::share::Share;
use super::standing::Meter;
use super::window::Window;

/// How often operators hear at most that a rate is used up to a part; of one per day, once a day.
const ALERT_ROUND: Duration = Duration::from_hours(1);

/// A count that some calls share. Counters that are locked together are locked in the order of their numbers.
pub(super) struct Counter {
    pub(super) number: u64,
    pub(super) name: CounterName,
    pub(super) subject: Subject,
    state: Mutex<State>,
}

/// What is known of a counter at a moment.
pub(super) struct State {
    /// The limit as it is now.
    pub(super) limit: Arc<Limit>,
    pub(super) tally: Tally,
    /// What this process may give out, where replicas share the counter.
    pub(super) share: Option<Box<Share>>,
    /// Who waits for room.
    pub(super) line: Option<Box<Line>>,
    /// The last alert, in per cent, and when the time began in which it is told once.
    announced: u8,
    announced_in: Option<Timestamp>,
}

/// What was taken.
pub(super) enum Tally {
    /// In a window; what is set aside is in it.
    Sliding(Box<Window>),
    /// In a calendar period.
    Period(Purse),
    /// At the moment.
    InUse {
        /// How many calls there are.
        count: u64,
        /// How long a call usually takes; `None` before the first has ended.
        usual: Option<Duration>,
    },
}

/// What the time is: on the wall, and in seconds since the process began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) time: Timestamp,
    pub(super) second: u64,
}

/// What a call wants of every counter that holds for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) cost: Cost,
    /// What it costs at least.
    pub(super) least_cost: Cost,
    /// When the call began: it costs in the periods that had begun then.
    pub(super) began: Timestamp,
}

/// What a call needs of a counter so that it may begin, and what is then set aside for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) least: u64,
    pub(super) wanted: u64,
}

impl Want {
    /// How much it is in the unit of `bound`.
    pub(super) fn of(&self, bound: Bound) -> u64 {
        match bound {
            Bound::Requests { .. } | Bound::Concurrency { .. } => 1,
            Bound::Tokens { .. } => self.input_tokens.saturating_add(self.output_tokens),
            Bound::Dollars { .. } => units(self.cost),
        }
    }
}

impl Counter {
    pub(super) fn new(
        number: u64,
        name: CounterName,
        subject: Subject,
        limit: Arc<Limit>,
        now: Timestamp,
    ) -> Self {
        let tally = match limit.bound {
            Bound::Requests { per, .. } | Bound::Tokens { per, .. } => {
                Tally::Sliding(Box::new(Window::of(per)))
            }
            Bound::Concurrency { .. } => Tally::InUse {
                count: 0,
                usual: None,
            },
            Bound::Dollars { per, .. } => Tally::Period(Purse::of(per, now)),
        };
        Self {
            number,
            name,
            subject,
            state: Mutex::new(State {
                limit,
                tally,
                share: None,
                line: None,
                announced: 0,
                announced_in: None,
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The most that may be taken here: of the whole limit, or of this process's share of it.
    pub(super) fn ceiling(&self) -> u64 {
        match &self.share {
            None => self.limit.bound.most(),
            Some(share) => share.ceiling(),
        }
    }

    /// What was taken and what is set aside.
    pub(super) fn taken(&mut self, now: Now) -> u64 {
        self.advance(now);
        match &mut self.tally {
            Tally::Sliding(window) => window.total(now.second),
            Tally::Period(purse) => units(purse.committed()),
            Tally::InUse { count, .. } => *count,
        }
    }

    /// Whether `want` may begin although it has `held` of this counter already.
    pub(super) fn check(&mut self, want: &Want, held: u64, now: Now) -> Result<(), Shortage> {
        let taken = self.taken(now);
        if self.is_of_an_earlier_period(want) {
            return Ok(());
        }
        let most = self.limit.bound.most();
        let wanted = want.of(self.limit.bound).saturating_sub(held);
        let is_alone = match &self.tally {
            Tally::Sliding(_) => taken == 0,
            Tally::Period(purse) => units(purse.held()) == held,
            Tally::InUse { .. } => false,
        };
        let least = match self.limit.bound {
            Bound::Tokens { .. } if want.input_tokens > most => {
                return Err(Shortage::never(want.input_tokens));
            }
            // A call that is alone in its window is not refused for output that it may never make.
            Bound::Tokens { .. } if is_alone => want.input_tokens,
            // A call that is alone may use the rest of a budget even when it may take more than the rest, unless
            // it surely does; of one that is spent nothing is left.
            Bound::Dollars { .. } if is_alone => wanted
                .min(self.rest(taken))
                .max(units(want.least_cost).saturating_sub(held))
                .max(u64::from(held == 0)),
            Bound::Dollars { .. } => wanted.max(u64::from(held == 0)),
            _ => wanted,
        };
        // What takes no more than it has goes on, also where it has more than there was.
        let has_enough = least == 0 && held > 0;
        if has_enough || taken.saturating_add(least) <= self.ceiling() {
            return Ok(());
        }
        Err(Shortage {
            is_whole: self.is_beyond_all(taken.saturating_add(least), now),
            ..self.shortage(Need { least, wanted }, now)
        })
    }

    /// Whether so much is more than there is, of this process and the others together: then it is no use to ask
    /// for a larger share.
    fn is_beyond_all(&self, taken: u64, now: Now) -> bool {
        let elsewhere = self
            .share
            .as_ref()
            .map_or(0, |share| share.surely_elsewhere(now));
        taken.saturating_add(elsewhere) > self.limit.bound.most()
    }

    /// Whether it began before the period that is now: then it takes nothing of it.
    fn is_of_an_earlier_period(&self, want: &Want) -> bool {
        matches!(&self.tally, Tally::Period(purse) if want.began < purse.starts())
    }

    /// What there is still to be had, here or from the other replicas.
    fn rest(&self, taken: u64) -> u64 {
        let most = match &self.share {
            Some(share) if share.is_all_there_is() => share.ceiling(),
            _ => self.limit.bound.most(),
        };
        most.saturating_sub(taken)
    }

    /// Counts `want` in, beside the `held` that it has already, whatever the limit says. Answers how much is
    /// set aside now.
    pub(super) fn take(&mut self, want: &Want, held: u64, now: Now) -> u64 {
        self.advance(now);
        if self.is_of_an_earlier_period(want) {
            return held;
        }
        let wanted = want.of(self.limit.bound);
        let more = wanted.saturating_sub(held);
        let ceiling = self.ceiling();
        match &mut self.tally {
            Tally::Sliding(window) => window.add(now.second, more),
            Tally::Period(purse) => purse.hold(dollars(more), dollars(ceiling)),
            Tally::InUse { count, .. } => *count = count.saturating_add(more),
        }
        if let Some(share) = &mut self.share {
            share.used(more);
        }
        held.max(wanted)
    }

    /// What `taken` says is put in the place of the `held` that was set aside at `at`.
    pub(super) fn settle(&mut self, held: u64, at: Now, taken: Taken, now: Now) {
        self.advance(now);
        let limit = self.limit.bound.most();
        let limit = dollars(limit.saturating_sub(self.taken_elsewhere()));
        let is_news = match (&mut self.tally, self.limit.bound) {
            (Tally::Sliding(window), Bound::Tokens { .. }) => {
                window.correct(now.second, at.second, held, taken.tokens);
                held != taken.tokens
            }
            (Tally::Sliding(window), _) if !taken.was_sent => {
                window.correct(now.second, at.second, held, 0);
                true
            }
            (Tally::Sliding(_), _) => false,
            (Tally::Period(purse), _) => {
                purse.settle(at.time, dollars(held), taken.cost, limit);
                true
            }
            (Tally::InUse { count, usual }, _) => {
                *count = count.saturating_sub(held);
                let took = Duration::from_secs(now.second.saturating_sub(at.second));
                *usual = Some(usual.map_or(took, |usual| (usual * 7 + took) / 8));
                true
            }
        };
        if let Some(share) = self.share.as_mut().filter(|_| is_news) {
            share.settled();
        }
    }

    /// The alert that what was taken has come to, once for each in its time; `is_refused` says whether something was
    /// turned away because the limit is used up.
    pub(super) fn alert(&mut self, subject: &Subject, is_refused: bool, now: Now) -> Option<Alert> {
        if self.limit.alerts.is_empty() {
            return None;
        }
        let most = self.limit.bound.most();
        let (taken, since) = match &mut self.tally {
            // What is set aside may never be spent.
            Tally::Period(purse) => (units(purse.spent()), purse.starts()),
            Tally::Sliding(window) => {
                let round = window.length().max(ALERT_ROUND);
                let taken = window.total(now.second);
                // More than there is may be wanted before all is taken.
                (
                    taken.max(if is_refused { most } else { 0 }),
                    start_of(round, now.time),
                )
            }
            Tally::InUse { count, .. } => (*count, start_of(ALERT_ROUND, now.time)),
        };
        let taken = taken.saturating_add(self.taken_elsewhere());
        if self.announced_in != Some(since) {
            (self.announced_in, self.announced) = (Some(since), 0);
        }
        let passed = |percent: &&u8| {
            most > 0 && u128::from(taken) * 100 >= u128::from(most) * u128::from(**percent)
        };
        let percent = *self.limit.alerts.iter().rev().find(passed)?;
        if percent <= self.announced {
            return None;
        }
        self.announced = percent;
        Some(Alert {
            limit: Arc::clone(&self.limit),
            subject: subject.clone(),
            percent,
            taken,
            since,
        })
    }

    /// How much is left of requests or tokens, as headers say it.
    pub(super) fn meter(&mut self, now: Now) -> Option<Meter> {
        let taken = self.taken(now);
        let (Bound::Requests { most, per } | Bound::Tokens { most, per }) = self.limit.bound else {
            return None;
        };
        let elsewhere = self.taken_elsewhere();
        Some(Meter {
            limit: most,
            remaining: most.saturating_sub(taken).saturating_sub(elsewhere),
            per,
        })
    }

    /// How things stand with `want` behind those who wait already: for room, or for more of what replicas share.
    pub(super) fn shortage_of(&mut self, want: &Want, held: u64, now: Now) -> Shortage {
        let wanted = want.of(self.limit.bound).saturating_sub(held);
        let need = Need {
            least: wanted,
            wanted,
        };
        let ahead = self.line.as_ref().map_or(0, |line| line.waiting_for());
        let taken = self.taken(now).saturating_add(ahead);
        let is_whole =
            self.share.is_none() || self.is_beyond_all(taken.saturating_add(wanted), now);
        Shortage {
            is_whole,
            ..self.shortage(need, now)
        }
    }

    /// How things stand when there is no room for `need` behind those who wait already.
    pub(super) fn shortage(&mut self, need: Need, now: Now) -> Shortage {
        let ahead = self.line.as_ref().map_or(0, |line| line.waiting_for());
        let ceiling = self.limit.bound.most();
        let relief = match &mut self.tally {
            Tally::Sliding(window) => {
                let amount = need.least.saturating_add(ahead);
                Relief::After(window.wait_for(now.second, amount, ceiling))
            }
            Tally::Period(purse) => match purse.ends() {
                Some(at) => Relief::At(at),
                None => Relief::Unknown,
            },
            Tally::InUse { usual, .. } => {
                let turns = ahead / ceiling.max(1) + 1;
                let turns = u32::try_from(turns).unwrap_or(u32::MAX);
                Relief::After(usual.unwrap_or_default().saturating_mul(turns))
            }
        };
        Shortage {
            need,
            relief,
            is_whole: true,
        }
    }

    /// What the caller is told.
    pub(super) fn reached(&self, relief: Relief) -> LimitReached {
        let left = match &self.tally {
            Tally::Period(purse) => {
                let taken = units(purse.committed()).saturating_add(self.taken_elsewhere());
                dollars(self.limit.bound.most().saturating_sub(taken))
            }
            _ => Cost::ZERO,
        };
        LimitReached {
            left,
            whose: super::reached::whose(&self.limit),
            bound: self.limit.bound,
            relief,
            is_of_target: self.limit.scope.has_target(),
            standing: None,
        }
    }

    /// What the other replicas have taken, as far as was heard, and this process does not count.
    pub(super) fn taken_elsewhere(&self) -> u64 {
        let share = self.share.as_ref();
        share.map_or(0, |share| share.elsewhere())
    }

    /// Wakes who is next in line.
    pub(super) fn wake(&mut self) {
        if let Some(line) = &mut self.line {
            line.wake();
        }
    }

    fn advance(&mut self, now: Now) {
        if let Tally::Period(purse) = &mut self.tally
            && purse.advance(now.time)
            && let Some(share) = &mut self.share
        {
            share.begin_period();
        }
    }
}

/// What a call took in the end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    pub(super) tokens: u64,
    pub(super) cost: Cost,
    /// Whether it went out at all.
    pub(super) was_sent: bool,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shortage {
    pub(super) need: Need,
    pub(super) relief: Relief,
    /// Whether the whole limit is used up, or only this process's share of it.
    pub(super) is_whole: bool,
}

impl Shortage {
    fn never(needed: u64) -> Self {
        Self {
            need: Need {
                least: needed,
                wanted: needed,
            },
            relief: Relief::Never { needed },
            is_whole: true,
        }
    }
}

/// When the stretch of time of this length began that `now` is in: the same at every replica.
fn start_of(length: Duration, now: Timestamp) -> Timestamp {
    let length = i64::try_from(length.as_secs()).unwrap_or(i64::MAX).max(1);
    let second = now.as_second();
    Timestamp::from_second(second - second.rem_euclid(length)).unwrap_or(now)
}

/// A cost as a count of nano-dollars.
pub(super) fn units(cost: Cost) -> u64 {
    u64::try_from(cost.nano_dollars()).unwrap_or(0)
}

/// So many nano-dollars.
pub(super) fn dollars(units: u64) -> Cost {
    Cost::from_nano_dollars(i64::try_from(units).unwrap_or(i64::MAX))
}
