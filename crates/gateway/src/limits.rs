//! What a key may use up: requests and tokens per minute, and money per period.
//!
//! A call is admitted before it is sent and settled when it has ended. In between it holds a
//! reservation, so that calls that come at the same time cannot all spend the same rest. The
//! reservation is what the key's calls usually take, not the most that they could take: a worst case
//! would block honest traffic. A budget is therefore overrun by at most what the calls in flight take
//! beyond their reservations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use domain::call::Spend;
use domain::caller::Caller;
use domain::clock::{Clock, Moment};
use domain::id::KeyId;
use domain::key::Period;
use domain::money::Cost;
use jiff::Timestamp;

mod window;

use window::Window;

/// What a call is expected to take.
#[derive(Debug, Clone, Copy)]
pub struct Expectation {
    /// Estimated input, in tokens.
    pub input_tokens: u64,
    /// The caller's own bound on the output, in tokens.
    pub max_output_tokens: Option<u64>,
}

/// Which limit is reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    /// Requests per minute.
    #[error("the key's limit of {limit} requests per minute is reached")]
    Requests {
        /// Per minute.
        limit: u32,
        /// When there is room again.
        retry_after: Duration,
    },
    /// Tokens per minute.
    #[error("the key's limit of {limit} tokens per minute is reached")]
    Tokens {
        /// Per minute.
        limit: u64,
        /// When there is room again.
        retry_after: Duration,
    },
    /// The request alone takes more tokens than a minute has.
    #[error(
        "the request has about {needed} input tokens, and the key's limit is {limit} tokens per minute"
    )]
    TooManyTokens {
        /// Per minute.
        limit: u64,
        /// Estimated input.
        needed: u64,
    },
    /// Money.
    #[error("the key's budget of ${limit} per {} is spent", per.as_str())]
    Budget {
        /// How much.
        limit: Cost,
        /// In which time.
        per: Period,
        /// When the next period begins; `None` when there is none.
        resets_at: Option<Timestamp>,
    },
}

/// Keeps count for every key that was seen, on this node: about a kilobyte for each key that was ever
/// recognised, since only those come here.
pub struct Limits {
    clock: Arc<dyn Clock>,
    keys: RwLock<HashMap<KeyId, Arc<Mutex<KeyCount>>>>,
}

impl Limits {
    /// Counts that begin at zero; [`Limits::remember`] brings what was spent before.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            keys: RwLock::default(),
        }
    }

    /// Takes over what the ledger says was spent in the period that `now` is in. Called at start,
    /// before anything is admitted.
    pub fn remember(&self, period: Period, spends: &[Spend], now: Timestamp) {
        for spend in spends {
            let count = self.count_of(spend.key_id);
            locked(&count).purses.of(period, now).spent = spend.cost;
        }
    }

    /// Counts a request in, or says which limit is reached. Money is reserved later, when the target
    /// and so the price is known: [`Admission::reserve`].
    pub fn admit(&self, caller: &Caller, expected: Expectation) -> Result<Admission, LimitReached> {
        let rate = caller.key().rate;
        let count = self.count_of(caller.key_id());
        let second = second_of(self.clock.moment());
        let output_tokens = {
            let mut count = locked(&count);
            let output_tokens = count.expected_output(expected.max_output_tokens);
            if let Some(limit) = rate.rpm {
                count
                    .requests
                    .admit(second, 1, u64::from(limit))
                    .map_err(|retry_after| LimitReached::Requests { limit, retry_after })?;
            }
            if let Some(limit) = rate.tpm
                && let Err(reached) = count.admit_tokens(second, expected, output_tokens, limit)
            {
                // A request that is refused for its tokens does not count as one that was made.
                if rate.rpm.is_some() {
                    count.requests.correct(second, second, -1);
                }
                return Err(reached);
            }
            output_tokens
        };
        Ok(Admission {
            caller: caller.clone(),
            clock: Arc::clone(&self.clock),
            count,
            second,
            input_tokens: expected.input_tokens,
            output_tokens,
            reserved: Cost::ZERO,
            is_of_this_minute: true,
        })
    }

    /// Admits what was admitted before and has been done already, as a line of a batch that a provider ran:
    /// only what it cost counts, not its tokens in the minute in which it is settled.
    pub fn admit_settled(&self, caller: &Caller) -> Admission {
        Admission {
            caller: caller.clone(),
            clock: Arc::clone(&self.clock),
            count: self.count_of(caller.key_id()),
            second: second_of(self.clock.moment()),
            input_tokens: 0,
            output_tokens: 0,
            reserved: Cost::ZERO,
            is_of_this_minute: false,
        }
    }

    /// Counts in what a provider has begun without being asked, whatever the limits say: it costs, and what
    /// comes next is to find it counted.
    pub fn admit_begun(&self, caller: &Caller) -> Admission {
        let count = self.count_of(caller.key_id());
        let second = second_of(self.clock.moment());
        let output_tokens = {
            let mut count = locked(&count);
            let output_tokens = count.expected_output(None);
            count.requests.correct(second, second, 1);
            let expected = i64::try_from(output_tokens).unwrap_or(i64::MAX);
            count.tokens.correct(second, second, expected);
            output_tokens
        };
        Admission {
            caller: caller.clone(),
            clock: Arc::clone(&self.clock),
            count,
            second,
            input_tokens: 0,
            output_tokens,
            reserved: Cost::ZERO,
            is_of_this_minute: true,
        }
    }

    fn count_of(&self, key: KeyId) -> Arc<Mutex<KeyCount>> {
        if let Some(count) = self
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Arc::clone(count);
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(keys.entry(key).or_default())
    }
}

/// A request that was counted in. Dropping it without [`Admission::settle`] gives back what it held:
/// nothing was sent.
pub struct Admission {
    caller: Caller,
    clock: Arc<dyn Clock>,
    count: Arc<Mutex<KeyCount>>,
    second: u64,
    input_tokens: u64,
    output_tokens: u64,
    reserved: Cost,
    /// Whether its tokens count in the minute in which it ends.
    is_of_this_minute: bool,
}

impl Admission {
    /// The output that the key's calls usually take, within the caller's own bound, in tokens.
    pub fn expected_output_tokens(&self) -> u64 {
        self.output_tokens
    }

    /// Whether the key may spend so much and no more.
    pub fn has_budget(&self) -> bool {
        self.caller.key().budget.is_some()
    }

    /// What is set aside for the call so far.
    pub fn reserved(&self) -> Cost {
        self.reserved
    }

    /// Sets `cost` aside from the key's budget. A call that is alone may use the rest of a budget even
    /// when it may take more than the rest.
    pub fn reserve(&mut self, cost: Cost) -> Result<(), LimitReached> {
        let Some(budget) = self.caller.key().budget else {
            return Ok(());
        };
        let now = self.clock.now();
        let mut count = locked(&self.count);
        let spent = count.purses.of(budget.per, now).spent;
        let is_alone = count.reserved == Cost::ZERO;
        let committed = spent.saturating_add(count.reserved);
        let fits = committed.saturating_add(cost) <= budget.limit;
        if committed >= budget.limit || !(fits || is_alone) {
            return Err(LimitReached::Budget {
                limit: budget.limit,
                per: budget.per,
                resets_at: budget.per.end(now),
            });
        }
        count.reserved = count.reserved.saturating_add(cost);
        self.reserved = self.reserved.saturating_add(cost);
        Ok(())
    }

    /// Counts what the call really took.
    pub fn settle(mut self, input_tokens: u64, output_tokens: u64, cost: Cost) {
        let now = self.clock.now();
        let second = second_of(self.clock.moment());
        let expected = self.input_tokens.saturating_add(self.output_tokens);
        let taken = input_tokens.saturating_add(output_tokens);
        {
            let mut count = locked(&self.count);
            if output_tokens > 0 && self.is_of_this_minute {
                // A call that said nothing teaches nothing about those that do.
                count.learn(output_tokens);
            }
            if self.is_of_this_minute {
                count
                    .tokens
                    .correct(second, self.second, difference(taken, expected));
            }
            count.purses.add(cost, now);
            count.reserved = count.reserved.saturating_sub(self.reserved);
        }
        self.reserved = Cost::ZERO;
        self.input_tokens = 0;
        self.output_tokens = 0;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let held = self.input_tokens.saturating_add(self.output_tokens);
        if held == 0 && self.reserved == Cost::ZERO {
            return;
        }
        let second = second_of(self.clock.moment());
        let mut count = locked(&self.count);
        count
            .tokens
            .correct(second, self.second, difference(0, held));
        count.reserved = count.reserved.saturating_sub(self.reserved);
    }
}

#[derive(Default)]
struct KeyCount {
    requests: Window,
    tokens: Window,
    purses: Purses,
    reserved: Cost,
    /// Moving mean of the output of the key's calls; `None` before the first.
    mean_output: Option<u64>,
}

impl KeyCount {
    /// Before anything is known of a key, its calls are expected to take this much output.
    const FIRST_OUTPUT: u64 = 500;

    fn expected_output(&self, bound: Option<u64>) -> u64 {
        let usual = self
            .mean_output
            .map_or(Self::FIRST_OUTPUT, |mean| mean.saturating_mul(2));
        bound.map_or(usual, |bound| bound.min(usual))
    }

    fn learn(&mut self, output: u64) {
        self.mean_output = Some(match self.mean_output {
            None => output,
            Some(mean) => mean - mean / 8 + output / 8,
        });
    }

    fn admit_tokens(
        &mut self,
        second: u64,
        expected: Expectation,
        output_tokens: u64,
        limit: u64,
    ) -> Result<(), LimitReached> {
        if expected.input_tokens > limit {
            return Err(LimitReached::TooManyTokens {
                limit,
                needed: expected.input_tokens,
            });
        }
        let wanted = expected.input_tokens.saturating_add(output_tokens);
        // A call that is alone in its minute is not refused for output that it may never make.
        let checked = if self.tokens.total(second) == 0 {
            expected.input_tokens
        } else {
            wanted
        };
        self.tokens
            .admit(second, checked, limit)
            .map_err(|retry_after| LimitReached::Tokens { limit, retry_after })?;
        self.tokens
            .correct(second, second, difference(wanted, checked));
        Ok(())
    }
}

/// What was spent in the current day, week, month, and ever.
#[derive(Default)]
struct Purses([Option<Purse>; 4]);

struct Purse {
    /// When the period is over.
    ends: Option<Timestamp>,
    spent: Cost,
}

impl Purses {
    const PERIODS: [Period; 4] = [Period::Day, Period::Week, Period::Month, Period::Total];

    fn of(&mut self, period: Period, now: Timestamp) -> &mut Purse {
        let [day, week, month, total] = &mut self.0;
        let purse = match period {
            Period::Day => day,
            Period::Week => week,
            Period::Month => month,
            Period::Total => total,
        };
        if purse
            .as_ref()
            .is_some_and(|purse| purse.ends.is_some_and(|ends| ends <= now))
        {
            *purse = None;
        }
        purse.get_or_insert_with(|| Purse {
            ends: period.end(now),
            spent: Cost::ZERO,
        })
    }

    fn add(&mut self, cost: Cost, now: Timestamp) {
        for period in Self::PERIODS {
            let purse = self.of(period, now);
            purse.spent = purse.spent.saturating_add(cost);
        }
    }
}

fn second_of(moment: Moment) -> u64 {
    moment.since(Moment::at(Duration::ZERO)).as_secs()
}

fn difference(now: u64, before: u64) -> i64 {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    signed(now).saturating_sub(signed(before))
}

fn locked(count: &Mutex<KeyCount>) -> MutexGuard<'_, KeyCount> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
