//! What a call holds of the limits, from its admission to its end.

use std::sync::{Arc, MutexGuard};

use domain::limit::{Bound, Priority};
use domain::money::Cost;
use domain::name::{ModelName, ProviderName};
use smallvec::SmallVec;

use super::counter::{Counter, Now, State, Taken, Want};
use super::exchange::Haste;
use super::holder::Holder;
use super::line::Place;
use super::purse::Purses;
use super::reached::LimitReached;
use super::standing::Standing;
use super::turn::Refusal;
use super::{Bench, Expectation};

/// Who is to answer: what limits on providers and models are looked up by.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The configured provider.
    pub provider: &'a ProviderName,
    /// The model in the provider's words.
    pub model: &'a str,
}

/// What a call is expected to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outlay {
    /// What such calls usually cost: so much is set aside.
    pub usual: Cost,
    /// What it costs at least, whatever the answer is: a budget of which less is left refuses it.
    pub least: Cost,
}

impl Outlay {
    /// Exactly so much, or nothing is to begin.
    pub fn exactly(cost: Cost) -> Self {
        Self {
            usual: cost,
            least: cost,
        }
    }
}

/// A request that was counted in. Dropping it without [`Admission::settle`] gives back all that it held:
/// nothing was sent.
pub struct Admission {
    bench: Arc<Bench>,
    holder: Arc<Holder>,
    began: Now,
    want: Want,
    priority: Priority,
    /// The route that its output teaches something about.
    route: Option<ModelName>,
    holds: Holds,
    standing: Standing,
    /// Whether requests and tokens count, or only what it costs.
    counts_rates: bool,
    /// Whether it counts as a call at the same time as others.
    counts_as_call: bool,
    is_over: bool,
}

/// What is held of each counter; few calls hold more than fits here.
type Holds = SmallVec<[Hold; 4]>;

/// So much of a counter.
struct Hold {
    counter: Arc<Counter>,
    amount: u64,
    /// Since when.
    at: Now,
    /// Whether another target has other counters.
    is_of_target: bool,
}

/// Several counters, locked in their order.
type Locked<'a> = SmallVec<[MutexGuard<'a, State>; 6]>;

impl Admission {
    /// One that holds nothing yet. Without an expectation, requests, tokens and concurrency do not count.
    pub(super) fn new(
        bench: &Arc<Bench>,
        holder: Arc<Holder>,
        began: Now,
        want: Want,
        expected: Option<&Expectation<'_>>,
    ) -> Self {
        Self {
            bench: Arc::clone(bench),
            holder,
            began,
            want,
            priority: expected
                .map(|expected| expected.priority)
                .unwrap_or_default(),
            route: expected.and_then(|expected| expected.route).cloned(),
            holds: SmallVec::new(),
            standing: Standing::default(),
            counts_rates: expected.is_some(),
            counts_as_call: expected.is_some_and(|expected| !expected.is_within_call),
            is_over: false,
        }
    }

    /// [`Admission::reserve`] for a target that no limit depends on.
    #[cfg(test)]
    pub(crate) fn set_aside(&mut self, cost: Cost) -> Result<(), LimitReached> {
        let provider = crate::testing::someone();
        self.reserve(
            crate::testing::somewhere(&provider),
            crate::testing::usually(cost),
        )
    }

    /// The output that the key's calls for this route usually take, within the caller's own bound, in tokens.
    pub fn expected_output_tokens(&self) -> u64 {
        self.want.output_tokens
    }

    /// How things stand with the rates that hold for the call; `None` where none does.
    pub fn standing(&self) -> Option<Standing> {
        Some(self.standing).filter(|standing| !standing.is_empty())
    }

    /// Whether only so much may be spent on a call to this target.
    pub fn has_budget_at(&self, target: Destination<'_>) -> bool {
        let is_budget =
            |counter: &Arc<Counter>| matches!(counter.lock().limit.bound, Bound::Dollars { .. });
        !self.holder.budgets.is_empty()
            || self
                .bench
                .at_target(&self.holder, target)
                .is_some_and(|counters| counters.iter().any(is_budget))
    }

    /// Whether any money limit holds for the caller, whoever answers.
    pub fn has_budget(&self) -> bool {
        self.holder.has_budget()
    }

    /// Sets aside what the call takes of the limits of `target`, and `outlay` of every budget. What was held for
    /// another target before is given back, and of what holds for both only the difference is taken. When a
    /// limit is reached nothing changes, so that another target may be tried.
    pub fn reserve(&mut self, target: Destination<'_>, outlay: Outlay) -> Result<(), LimitReached> {
        self.try_reserve(target, outlay, None)
            .map_err(|refusal| refusal.reached)
    }

    /// The same; where the limit says so, after waiting for room. Dropping the future leaves the line.
    pub fn reserve_in_turn(
        &mut self,
        target: Destination<'_>,
        outlay: Outlay,
    ) -> impl Future<Output = Result<(), LimitReached>> {
        self.reserve_or_wait(target, outlay, std::convert::identity)
    }

    /// The same; where only this replica's share is too small, after waiting for more of it: that says nothing of
    /// the limit. Dropping the future leaves the line.
    pub fn reserve_when_shared(
        &mut self,
        target: Destination<'_>,
        outlay: Outlay,
    ) -> impl Future<Output = Result<(), LimitReached>> {
        self.reserve_or_wait(target, outlay, Refusal::but_for_a_share)
    }

    /// The same, after waiting for what a refusal may wait for, as `for_what` sees it.
    async fn reserve_or_wait(
        &mut self,
        target: Destination<'_>,
        outlay: Outlay,
        for_what: fn(Box<Refusal>) -> Box<Refusal>,
    ) -> Result<(), LimitReached> {
        match self.try_reserve(target, outlay, None).map_err(for_what) {
            Ok(()) => Ok(()),
            Err(refusal) if refusal.may_wait() => {
                let (bench, holder) = (Arc::clone(&self.bench), Arc::clone(&self.holder));
                let priority = self.priority;
                let again = |place: &Arc<Place>| {
                    let reserved = self.try_reserve(target, outlay, Some(place));
                    reserved.map_err(for_what)
                };
                Box::pin(bench.in_turn(&holder, priority, refusal, again)).await
            }
            Err(refusal) => Err(refusal.reached),
        }
    }

    fn try_reserve(
        &mut self,
        target: Destination<'_>,
        outlay: Outlay,
        place: Option<&Arc<Place>>,
    ) -> Result<(), Box<Refusal>> {
        let bench = Arc::clone(&self.bench);
        let at_target = bench.at_target(&self.holder, target);
        if at_target.is_none() && self.holder.budgets.is_empty() {
            return Ok(());
        }
        let now = self.bench.now();
        let want = Want {
            cost: outlay.usual,
            least_cost: outlay.least,
            ..self.want
        };
        let holder = Arc::clone(&self.holder);
        let at_target = at_target.as_deref().unwrap_or_default();
        let counters: SmallVec<[(&Arc<Counter>, bool); 6]> = holder
            .budgets
            .iter()
            .map(|counter| (counter, false))
            .chain(at_target.iter().map(|counter| (counter, true)))
            .collect();
        self.take(&counters, &want, now, place)?;
        let is_left = |hold: &Hold| {
            let is_of_both = at_target.iter().any(|at| Arc::ptr_eq(at, &hold.counter));
            hold.is_of_target && !is_of_both
        };
        for hold in self.holds.iter().filter(|hold| is_left(hold)) {
            self.bench.give_back(hold, Taken::default(), now);
        }
        self.holds.retain(|hold| !is_left(hold));
        Ok(())
    }

    /// Takes `want` of all of `counters`, or of none.
    pub(super) fn take(
        &mut self,
        counters: &[(&Arc<Counter>, bool)],
        want: &Want,
        now: Now,
        place: Option<&Arc<Place>>,
    ) -> Result<(), Box<Refusal>> {
        let mut order: SmallVec<[(&Arc<Counter>, bool); 6]> = SmallVec::from_slice(counters);
        order.sort_unstable_by_key(|(counter, _)| counter.number);
        let mut locked: Locked<'_> = order.iter().map(|(counter, _)| counter.lock()).collect();
        let counts = self.counting();
        let mut refusal: Option<Box<Refusal>> = None;
        for ((counter, _), state) in order.iter().zip(&mut locked) {
            if !counts(state.limit.bound) {
                continue;
            }
            let checked =
                Refusal::unless_free(counter, state, want, held(&self.holds, counter), now, place);
            if let Err(found) = checked
                && refusal
                    .as_ref()
                    .is_none_or(|known| found.is_worse_than(known))
            {
                refusal = Some(found);
            }
        }
        if let Some(mut refusal) = refusal {
            for ((counter, _), state) in order.iter().zip(&mut locked) {
                let is_used_up = refusal.is_for_good(counter);
                if let Some(alert) = state.alert(&counter.subject, is_used_up, now) {
                    self.bench.announce(alert);
                }
                self.standing.tighten(state.limit.bound, state.meter(now));
            }
            refusal.reached.standing = Some(self.standing)
                .filter(|it| !it.is_empty())
                .map(Box::new);
            drop(locked);
            if self.bench.is_shared() {
                // All that lack something ask for it at once, not one after the other.
                for (counter, _) in &order {
                    self.bench.list(counter, Haste::None);
                }
                let haste = match place {
                    _ if refusal.shortage.is_whole => Haste::None,
                    None => Haste::Now,
                    // What came was not enough: the others have to be heard first.
                    Some(_) => Haste::Soon,
                };
                self.bench.list(&refusal.counter, haste);
            }
            return Err(refusal);
        }
        let mut alerts = Vec::new();
        for ((counter, is_of_target), state) in order.iter().zip(&mut locked) {
            if !counts(state.limit.bound) {
                continue;
            }
            let before = held(&self.holds, counter);
            let amount = state.take(want, before, now);
            alerts.extend(state.alert(&counter.subject, false, now));
            self.standing.tighten(state.limit.bound, state.meter(now));
            match self
                .holds
                .iter_mut()
                .find(|hold| Arc::ptr_eq(&hold.counter, counter))
            {
                Some(hold) => hold.amount = amount,
                None => self.holds.push(Hold {
                    counter: Arc::clone(counter),
                    amount,
                    at: Now {
                        time: want.began,
                        ..now
                    },
                    is_of_target: *is_of_target,
                }),
            }
        }
        drop(locked);
        for alert in alerts {
            self.bench.announce(alert);
        }
        if self.bench.is_shared() {
            for (counter, _) in &order {
                self.bench.list(counter, Haste::None);
            }
        }
        Ok(())
    }

    /// Which limits the call is part of.
    fn counting(&self) -> impl Fn(Bound) -> bool + use<> {
        let (rates, call) = (self.counts_rates, self.counts_as_call);
        move |bound| match bound {
            Bound::Requests { .. } | Bound::Tokens { .. } => rates,
            Bound::Concurrency { .. } => call,
            Bound::Dollars { .. } => true,
        }
    }

    /// Counts in whatever the limits say.
    pub(super) fn take_anyway(
        &mut self,
        counters: &[Arc<Counter>],
        want: &Want,
        is_of_target: bool,
    ) {
        for counter in counters {
            let mut state = counter.lock();
            if !self.counting()(state.limit.bound) {
                continue;
            }
            let amount = state.take(want, 0, self.began);
            drop(state);
            self.holds.push(Hold {
                counter: Arc::clone(counter),
                amount,
                at: self.began,
                is_of_target,
            });
        }
    }

    /// Sets `cost` aside of every budget that holds for a call to `target`, whatever they say: it was begun
    /// already, and what comes next is to find it counted.
    pub fn hold(&mut self, target: Destination<'_>, cost: Cost) {
        let want = Want { cost, ..self.want };
        self.charge(Some(target), &want);
    }

    /// Makes the call part of every budget, and of every count of `target`.
    pub(super) fn charge(&mut self, target: Option<Destination<'_>>, want: &Want) {
        let holder = Arc::clone(&self.holder);
        self.take_anyway(&holder.budgets, want, false);
        let at_target = target.and_then(|target| self.bench.at_target(&holder, target));
        if let Some(counters) = at_target {
            self.take_anyway(&counters, want, true);
        }
    }

    /// Counts what a call really took that nobody answered.
    pub fn settle(self, input_tokens: u64, output_tokens: u64, cost: Cost) {
        self.settle_at(None, input_tokens, output_tokens, cost);
    }

    /// Counts what the call really took, of whom it was had. Answers with the number of the book of limits in which
    /// what it cost is counted.
    pub fn settle_at(
        mut self,
        target: Option<Destination<'_>>,
        input_tokens: u64,
        output_tokens: u64,
        cost: Cost,
    ) -> u64 {
        let taken = Taken {
            tokens: input_tokens.saturating_add(output_tokens),
            cost,
            was_sent: true,
        };
        self.is_over = true;
        let now = self.bench.now();
        let mut own_budget = None;
        {
            let mut own = self.holder.own();
            if output_tokens > 0 && self.counts_rates {
                // A call that said nothing teaches nothing about those that do.
                let route = self.route.as_ref().map(ModelName::as_str);
                own.habits.learn(route.unwrap_or_default(), output_tokens);
            }
            if cost > Cost::ZERO {
                let began = self.began.time;
                let purses = own
                    .purses
                    .get_or_insert_with(|| Box::new(Purses::at(began)));
                purses.add(cost, began, now.time);
                let is_new = |budget: &&Arc<Counter>| !self.holder.has_budget_of(budget);
                own_budget = own.budget.as_ref().filter(is_new).map(Arc::clone);
            }
        }
        let mut counted_in = 0;
        if cost > Cost::ZERO {
            // Budgets that were made meanwhile hold for this call too.
            let nothing = Want {
                cost: Cost::ZERO,
                least_cost: Cost::ZERO,
                ..self.want
            };
            let bench = Arc::clone(&self.bench);
            let book = bench.book.load();
            counted_in = book.generation;
            let mut newcomers = bench.newcomers(&book, &self.holder, target);
            newcomers.extend(own_budget);
            self.take_anyway(&newcomers, &nothing, false);
        }
        self.give_all_back(taken, now);
        counted_in
    }

    fn give_all_back(&mut self, taken: Taken, now: Now) {
        for hold in self.holds.drain(..) {
            self.bench.give_back(&hold, taken, now);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.is_over {
            self.give_all_back(Taken::default(), self.bench.now());
        }
    }
}

impl Bench {
    /// What `taken` says is put in the place of what was held; whoever waits for what is free now is woken.
    fn give_back(&self, hold: &Hold, taken: Taken, now: Now) {
        let alert = {
            let mut state = hold.counter.lock();
            state.settle(hold.amount, hold.at, taken, now);
            state.wake();
            state.alert(&hold.counter.subject, false, now)
        };
        if self.is_shared() {
            self.list(&hold.counter, Haste::None);
        }
        if let Some(alert) = alert {
            self.announce(alert);
        }
    }
}

/// How much of `counter` is held.
fn held(holds: &Holds, counter: &Arc<Counter>) -> u64 {
    let hold = holds
        .iter()
        .find(|hold| Arc::ptr_eq(&hold.counter, counter));
    hold.map_or(0, |hold| hold.amount)
}
