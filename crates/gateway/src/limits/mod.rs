//! What may be taken of requests, tokens, calls at the same time and money, by whom.
//!
//! A call is admitted before it is sent and settled when it has ended. In between it holds a reservation, so
//! that calls that come at the same time cannot all take the same rest. The reservation is what such calls
//! usually take, not the most that they could take: a worst case would block honest traffic. A budget is
//! therefore overrun by at most what the calls in flight take beyond their reservations.
//!
//! Every limit that holds for a call holds together with the others: all are looked at before anything is taken
//! of one. Suggested reading order: [`Limits`], [`Admission`], then `counter` with `window` and `purse`, `holder`
//! (which counters a key's calls are part of), `turn` and `line` (waiting for room), `share` and `exchange`
//! (several replicas).

mod admission;
mod alert;
mod counter;
pub mod desk;
mod exchange;
mod habits;
mod holder;
mod line;
mod opening;
mod purse;
mod reached;
mod rules;
mod share;
mod standing;
mod turn;
mod view;
mod window;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::caller::Caller;
use domain::clock::{Clock, Moment};
use domain::id::KeyId;
use domain::limit::Priority;
use domain::money::Cost;
use domain::name::ModelName;
use jiff::Timestamp;
use tokio::sync::mpsc;

pub use admission::{Admission, Destination, Outlay};
pub use alert::Alert;
pub use reached::{LimitReached, Relief};
pub use rules::NewBudgets;
pub use share::EXCHANGE_PAUSE;
pub use standing::{Meter, Standing};
pub use view::{Leases, Overrun, Usage};

use counter::{Counter, Now, Want};
use exchange::Sharing;
use holder::Holder;
use line::Place;
use rules::{Book, CounterKey};
use turn::Refusal;

/// Alerts that may wait to be written down.
const WAITING_ALERTS: usize = 1_024;

/// What a call is expected to take.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The model's name as the caller wrote it: calls for the same usually take the same.
    pub route: Option<&'a ModelName>,
    /// Estimated input, in tokens.
    pub input_tokens: u64,
    /// The caller's own bound on the output, in tokens.
    pub max_output_tokens: Option<u64>,
    /// How much it counts where calls wait.
    pub priority: Priority,
    /// Whether it is part of a call that is under way, and so no further one at the same time.
    pub is_within_call: bool,
}

impl Expectation<'_> {
    /// Of a request that takes nothing by itself.
    pub(crate) const NOTHING: Self = Self {
        route: None,
        input_tokens: 0,
        max_output_tokens: Some(0),
        priority: Priority::Normal,
        is_within_call: false,
    };
}

/// Keeps count for every key that was seen: about half a kilobyte for each key that was ever recognised, since
/// only those come here, and about as much for each of its limits.
pub struct Limits {
    bench: Arc<Bench>,
    holders: RwLock<HashMap<KeyId, Arc<Holder>>>,
}

/// What everyone who counts needs.
struct Bench {
    clock: Arc<dyn Clock>,
    /// The latest second that the clock has shown, in Unix seconds.
    latest: AtomicI64,
    book: ArcSwap<Book>,
    counters: Mutex<HashMap<CounterKey, Arc<Counter>>>,
    /// How many counters were made: they are locked in the order in which they were.
    made: AtomicU64,
    alerts: alert::Alerts,
    /// `None` where there is one replica.
    sharing: Option<Sharing>,
}

impl Bench {
    /// What the time is. Where the clock was set back, it stands still until the clock has caught up: what begins
    /// then would otherwise be of a period that is over, of which nothing is counted any more.
    fn now(&self) -> Now {
        let shown = self.clock.now();
        let latest = self.latest.load(Ordering::Relaxed);
        let time = if shown.as_second() > latest {
            self.latest.fetch_max(shown.as_second(), Ordering::Relaxed);
            shown
        } else {
            shown.max(Timestamp::from_second(latest).unwrap_or(shown))
        };
        Now {
            time,
            second: second_of(self.clock.moment()),
        }
    }

    fn announce(&self, alert: Alert) {
        if self.alerts.try_send(alert).is_err() {
            tracing::warn!("an alert of a limit is lost: too many wait to be written down");
        }
    }
}

impl Limits {
    /// Counts that begin at zero, and the alerts that they give rise to. `is_shared` says whether there may be
    /// other replicas: then nothing may be taken before the first [`Limits::exchange`].
    pub fn new(clock: Arc<dyn Clock>, is_shared: bool) -> (Self, mpsc::Receiver<Alert>) {
        let (alerts, waiting) = alert::alerts(WAITING_ALERTS);
        let bench = Bench {
            clock,
            latest: AtomicI64::new(i64::MIN),
            book: ArcSwap::default(),
            counters: Mutex::default(),
            made: AtomicU64::new(0),
            alerts,
            sharing: is_shared.then(Sharing::default),
        };
        let limits = Self {
            bench: Arc::new(bench),
            holders: RwLock::default(),
        };
        (limits, waiting)
    }

    /// Counts a request in, or says which limit is reached; where the limit says so, after waiting for room.
    /// Money, and what depends on who answers, is set aside later: [`Admission::reserve`].
    ///
    /// Dropping the future leaves the line.
    pub async fn admit(
        &self,
        caller: &Caller,
        expected: Expectation<'_>,
    ) -> Result<Admission, LimitReached> {
        match self.try_admit(caller, expected, None) {
            Ok(admission) => Ok(admission),
            Err(refusal) if refusal.may_wait() => {
                let holder = self.holder(caller);
                let again = |place: &Arc<Place>| self.try_admit(caller, expected, Some(place));
                let turn = self
                    .bench
                    .in_turn(&holder, expected.priority, refusal, again);
                Box::pin(turn).await
            }
            Err(refusal) => Err(refusal.reached),
        }
    }

    /// Counts a request that is no call: it takes nothing but its place in the caller's rates, and ends at once.
    pub async fn count_request(&self, caller: &Caller) -> Result<(), LimitReached> {
        let admission = self.admit(caller, Expectation::NOTHING).await?;
        admission.settle(0, 0, Cost::ZERO);
        Ok(())
    }

    fn try_admit(
        &self,
        caller: &Caller,
        expected: Expectation<'_>,
        place: Option<&Arc<Place>>,
    ) -> Result<Admission, Box<Refusal>> {
        let holder = self.holder(caller);
        let output_tokens = expected_output(&holder, expected);
        let now = self.bench.now();
        let want = Want {
            input_tokens: expected.input_tokens,
            output_tokens,
            cost: Cost::ZERO,
            least_cost: Cost::ZERO,
            began: now.time,
        };
        let rates = Arc::clone(&holder);
        let mut admission = Admission::new(&self.bench, holder, now, want, Some(&expected));
        if !rates.rates.is_empty() {
            let counters: smallvec::SmallVec<[(&Arc<Counter>, bool); 6]> =
                rates.rates.iter().map(|counter| (counter, false)).collect();
            admission.take(&counters, &want, now, place)?;
        }
        Ok(admission)
    }

    /// What calls of the caller's for `route` usually put out, in tokens; `None` before the first.
    pub fn usual_output(&self, caller: &Caller, route: &ModelName) -> Option<u64> {
        let holders = self.holders.read().unwrap_or_else(PoisonError::into_inner);
        let holder = holders.get(&caller.key_id()).map(Arc::clone);
        drop(holders);
        holder?.own().habits.usual_output(route.as_str())
    }

    /// Whether only so much may be spent by the caller, on some target at least.
    pub fn has_budget(&self, caller: &Caller) -> bool {
        self.holder(caller).has_budget()
    }

    /// Admits what was admitted before and has been done already, as a line of a batch that a provider ran: only
    /// what it cost counts, in the periods in which it began, not its tokens in the minute in which it is
    /// settled.
    pub fn admit_settled(
        &self,
        caller: &Caller,
        target: Option<Destination<'_>>,
        began: Timestamp,
    ) -> Admission {
        let want = Want::nothing(began);
        let now = Now {
            time: began,
            ..self.bench.now()
        };
        let holder = self.holder(caller);
        let mut admission = Admission::new(&self.bench, holder, now, want, None);
        admission.charge(target, &want);
        admission
    }

    /// Admits what is asked on a caller's behalf and is no request of theirs: only what it costs counts, and that
    /// holds as for any call.
    pub fn admit_aside(&self, caller: &Caller) -> Admission {
        let now = self.bench.now();
        let holder = self.holder(caller);
        Admission::new(&self.bench, holder, now, Want::nothing(now.time), None)
    }

    /// Counts in what a provider has begun without being asked, whatever the limits say: it costs, and what
    /// comes next is to find it counted.
    pub fn admit_begun(
        &self,
        caller: &Caller,
        target: Destination<'_>,
        expected: Expectation<'_>,
    ) -> Admission {
        let holder = self.holder(caller);
        let now = self.bench.now();
        let want = Want {
            output_tokens: expected_output(&holder, expected),
            ..Want::nothing(now.time)
        };
        let rates = Arc::clone(&holder);
        let mut admission = Admission::new(&self.bench, holder, now, want, Some(&expected));
        admission.take_anyway(&rates.rates, &want, false);
        admission.charge(Some(target), &want);
        admission
    }

    /// [`Limits::admit`] without waiting.
    #[cfg(test)]
    pub(crate) fn admit_now(
        &self,
        caller: &Caller,
        expected: Expectation<'_>,
    ) -> Result<Admission, LimitReached> {
        let admitted = self.try_admit(caller, expected, None);
        admitted.map_err(|refusal| refusal.reached)
    }

    /// What holds for the caller's key.
    fn holder(&self, caller: &Caller) -> Arc<Holder> {
        let book = self.bench.book.load();
        let known = {
            let holders = self.holders.read().unwrap_or_else(PoisonError::into_inner);
            holders.get(&caller.key_id()).map(Arc::clone)
        };
        match known {
            Some(holder) if holder.is_of(caller.key(), book.generation) => holder,
            known => self.hold(caller, &book, known.as_ref()),
        }
    }

    fn hold(&self, caller: &Caller, book: &Book, known: Option<&Arc<Holder>>) -> Arc<Holder> {
        let own = known.map_or_else(Arc::default, |known| Arc::clone(&known.own));
        let holder = Arc::new(self.bench.holder_of(caller, book, own));
        let mut holders = self.holders.write().unwrap_or_else(PoisonError::into_inner);
        holders.insert(caller.key_id(), Arc::clone(&holder));
        holder
    }
}

impl Want {
    /// Nothing, of a call that began at `began`.
    fn nothing(began: Timestamp) -> Self {
        Self {
            input_tokens: 0,
            output_tokens: 0,
            cost: Cost::ZERO,
            least_cost: Cost::ZERO,
            began,
        }
    }
}

fn expected_output(holder: &Holder, expected: Expectation<'_>) -> u64 {
    let route = expected.route.map_or("", ModelName::as_str);
    holder
        .own()
        .habits
        .expected_output(route, expected.max_output_tokens)
}

fn second_of(moment: Moment) -> u64 {
    moment.since(Moment::at(Duration::ZERO)).as_secs()
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
