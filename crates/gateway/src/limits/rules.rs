//! The limits in force, and which counters belong to them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::caller::Caller;
use domain::id::{LimitId, RequestId};
use domain::key::{Period, VirtualKey};
use domain::limit::{Bound, CounterName, Limit, Part, Scope, Subject, Window};
use domain::money::Cost;
use domain::spend::{Correction, Spend, SpendStore};
use domain::store_error::StoreError;
use jiff::Timestamp;

use super::counter::{Counter, Tally};
use super::exchange::Haste;
use super::holder::{Holder, Own};
use super::purse::Purses;
use super::share::Share;
use super::{Bench, Destination, Limits};
use crate::ledger::Unrecorded;

/// When operators hear of a key's own budget, in per cent.
const KEY_ALERTS: [u8; 2] = [80, 100];

/// The limits in force, but for those that stand with a key.
#[derive(Default)]
pub(super) struct Book {
    /// Another number for every change.
    pub(super) generation: u64,
    pub(super) limits: Vec<Arc<Limit>>,
}

impl Book {
    /// Whether a limit is in force that counts the same.
    fn has_one_like(&self, limit: &Limit) -> bool {
        self.limits.iter().any(|known| counts_like(known, limit))
    }
}

/// Budgets that came into force while calls run, and which calls of those that had ended before are counted in them.
pub struct NewBudgets {
    /// The number of the book that they came in.
    pub(super) book: u64,
    limits: Vec<Arc<Limit>>,
    counted: HashSet<RequestId>,
}

/// Whether the count of one limit goes on when the other takes its place.
fn counts_like(one: &Limit, other: &Limit) -> bool {
    one.id == other.id
        && one.scope == other.scope
        && one.bound.per() == other.bound.per()
        && one.bound.measure() == other.bound.measure()
}

fn is_budget_per(limit: &Limit, period: Period) -> bool {
    matches!(limit.bound, Bound::Dollars { per, .. } if per == period)
}

/// What tells counters apart: the limit, what it counts and in which time, and whose count it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CounterKey {
    limit: LimitId,
    measure: &'static str,
    per: Option<&'static str>,
    subject: Subject,
}

impl CounterKey {
    fn of(limit: &Limit, subject: Subject) -> Self {
        Self {
            limit: limit.id,
            measure: limit.bound.measure(),
            per: limit.bound.per(),
            subject,
        }
    }

    /// Whether it counts for this limit.
    pub(super) fn is_of(&self, limit: LimitId) -> bool {
        self.limit == limit
    }

    /// Whether the limit stands with a key.
    fn is_of_a_key(&self) -> bool {
        let mut key = self.subject.key_id.into_iter();
        key.any(|key| LimitId::of_key(key) == self.limit)
    }

    /// The name of the counter among replicas.
    fn name(&self) -> CounterName {
        let tenant = match self.subject.organization_id {
            Some(id) => id.to_string(),
            None => "all".to_owned(),
        };
        CounterName::of(&[
            &tenant,
            &self.limit.to_string(),
            self.measure,
            self.per.unwrap_or("now"),
            &self.subject.to_string(),
        ])
    }
}

impl Limits {
    /// Takes over what the ledger says was spent before: for every key, and for `limits`, which come into force.
    /// Called at start, before anything is admitted.
    pub async fn remember(
        &self,
        limits: Vec<Limit>,
        ledger: &dyn SpendStore,
    ) -> Result<(), StoreError> {
        let now = self.bench.now().time;
        for period in Period::ALL {
            let spends = ledger.spend_since(period.start(now)).await?;
            self.remember_keys(period, &spends, now);
        }
        let nothing_runs = |_| Vec::new();
        self.replace(limits, ledger, &nothing_runs).await?;
        Ok(())
    }

    /// Puts other limits in force; whoever waits goes on as the new ones say. Counts go on where a limit counts
    /// as it did; a budget that is new counts what the ledger has of its period, and what `unrecorded` says of calls
    /// that have ended, are not in the ledger, and were counted in an earlier book than that of this number. Nothing of
    /// these may go to the ledger meanwhile.
    pub async fn replace(
        &self,
        limits: Vec<Limit>,
        ledger: &dyn SpendStore,
        unrecorded: &(dyn Fn(u64) -> Vec<Unrecorded> + Sync),
    ) -> Result<NewBudgets, StoreError> {
        let now = self.bench.now().time;
        let limits: Vec<Arc<Limit>> = limits.into_iter().map(Arc::new).collect();
        let old = self.bench.book.load_full();
        let is_new = |limit: &&Arc<Limit>| !old.has_one_like(limit);
        let new: Vec<Arc<Limit>> = limits.iter().filter(is_new).map(Arc::clone).collect();
        self.bench
            .forget(|id| new.iter().any(|limit| limit.id == id));
        let mut spent = Vec::new();
        for period in Period::ALL {
            if new.iter().any(|limit| is_budget_per(limit, period)) {
                let start = period.start(now);
                spent.push((period, ledger.spend_since(start).await?));
            }
        }
        let mut budgets = NewBudgets {
            book: old.generation + 1,
            limits: new,
            counted: HashSet::new(),
        };
        for (period, spends) in &spent {
            let of_it = budgets.limits.iter();
            of_it
                .filter(|limit| is_budget_per(limit, *period))
                .for_each(|limit| self.bench.remember(limit, spends, now));
        }
        self.count_unrecorded(&mut budgets, unrecorded(old.generation + 1));
        let book = Book {
            generation: old.generation + 1,
            limits,
        };
        self.bench.keep_only(&book);
        self.bench.book.store(Arc::new(book));
        Ok(budgets)
    }

    /// Counts in budgets that came into force what calls cost that had ended before, but for those that were counted
    /// then.
    pub fn count_unrecorded(&self, budgets: &mut NewBudgets, unrecorded: Vec<Unrecorded>) {
        let now = self.bench.now().time;
        for call in unrecorded {
            if !budgets.counted.insert(call.request_id) {
                continue;
            }
            let spends = [call.spend];
            for period in Period::ALL {
                if call.started_at < period.start(now) {
                    continue;
                }
                let of_it = budgets.limits.iter();
                of_it
                    .filter(|limit| is_budget_per(limit, period))
                    .for_each(|limit| self.bench.remember(limit, &spends, now));
            }
        }
    }

    /// Whether one of `limits` is a budget that does not count yet.
    pub fn has_new_budget(&self, limits: &[Limit]) -> bool {
        let book = self.bench.book.load();
        let mut limits = limits.iter();
        limits
            .any(|limit| matches!(limit.bound, Bound::Dollars { .. }) && !book.has_one_like(limit))
    }

    /// Counts what a call cost more than was counted for it, or less: in the periods in which it began, of every
    /// budget that it is part of. Where replicas share their counts, one of them counts it in these, as
    /// `is_counted_here` says; what a key has spent each of them remembers.
    pub fn correct(&self, correction: &Correction, is_counted_here: bool) {
        let (who, cost) = (&correction.spend.subject, correction.spend.cost);
        let (began, now) = (correction.started_at, self.bench.now().time);
        let of_key = who.key_id.map(|key| {
            let mut holders = self.holders.write().unwrap_or_else(PoisonError::into_inner);
            let unknown = || Arc::new(Holder::unknown());
            let holder = Arc::clone(holders.entry(key).or_insert_with(unknown));
            let mut own = holder.own();
            let purses = own.purses.get_or_insert_with(|| Box::new(Purses::at(now)));
            purses.add(cost, began, now);
            drop(own);
            holder
        });
        if !is_counted_here {
            return;
        }
        let book = self.bench.book.load();
        for limit in &book.limits {
            if let Some(subject) = budgeted(limit, who) {
                let counter = self.bench.counter(limit, subject, Cost::ZERO);
                self.bench.correct(&counter, began, cost, now);
            }
        }
        let key = of_key.as_ref().and_then(|holder| holder.key());
        for limit in key.into_iter().flat_map(limits_of) {
            // One that there is not yet begins with what its key has spent.
            let known = budgeted(&limit, who).and_then(|subject| {
                let key = CounterKey::of(&limit, subject);
                self.bench.counters().get(&key).map(Arc::clone)
            });
            if let Some(counter) = known {
                self.bench.correct(&counter, began, cost, now);
            }
        }
    }

    /// The limits in force, but for those that stand with a key.
    pub fn in_force(&self) -> Vec<Arc<Limit>> {
        self.bench.book.load().limits.clone()
    }

    fn remember_keys(&self, period: Period, spends: &[Spend], now: Timestamp) {
        let mut holders = self.holders.write().unwrap_or_else(PoisonError::into_inner);
        for spend in spends {
            let Some(key) = spend.subject.key_id else {
                continue;
            };
            let holder = holders
                .entry(key)
                .or_insert_with(|| Arc::new(Holder::unknown()));
            let mut own = holder.own();
            let purses = own.purses.get_or_insert_with(|| Box::new(Purses::at(now)));
            purses.remember(period, spend.cost, now);
        }
    }
}

impl Bench {
    /// What holds for a caller's key.
    pub(super) fn holder_of(&self, caller: &Caller, book: &Book, own: Arc<Mutex<Own>>) -> Holder {
        let who = Subject::of(caller);
        let mut counters = Vec::new();
        let mut targeted = Vec::new();
        for limit in &book.limits {
            let Some(subject) = limit.scope.of_caller(&who) else {
                continue;
            };
            if limit.scope.has_target() {
                targeted.push((Arc::clone(limit), subject));
            } else {
                counters.push(self.counter(limit, subject, Cost::ZERO));
            }
        }
        for limit in limits_of(caller.key()) {
            let subject = limit.scope.of_caller(&who).unwrap_or_default();
            let limit = Arc::new(limit);
            counters.push(match limit.bound {
                Bound::Dollars { per, .. } => self.own_budget(&limit, subject, per, &own),
                _ => self.counter(&limit, subject, Cost::ZERO),
            });
        }
        if caller.key().budget.is_none() {
            let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
            own.budget = None;
        }
        let counters = counters.into_iter().map(|counter| {
            let is_budget = matches!(counter.lock().limit.bound, Bound::Dollars { .. });
            (counter, is_budget)
        });
        Holder::new(caller, book.generation, counters, targeted, own)
    }

    /// The counter of a key's own budget. One that the key did not have a moment ago begins at what the key has spent;
    /// from then on every call that ends is part of it.
    fn own_budget(
        &self,
        limit: &Arc<Limit>,
        subject: Subject,
        per: Period,
        own: &Mutex<Own>,
    ) -> Arc<Counter> {
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        let key = CounterKey::of(limit, subject.clone());
        let known = self.counters().get(&key).map(Arc::clone);
        let goes_on =
            |known: &Arc<Counter>| own.budget.as_ref().is_some_and(|it| Arc::ptr_eq(it, known));
        if !known.as_ref().is_some_and(goes_on) {
            // What there is from an earlier time misses what was spent since.
            self.counters().remove(&key);
        }
        let now = self.now().time;
        let purses = own.purses.as_mut();
        let spent = purses.map_or(Cost::ZERO, |purses| purses.spent(per, now));
        let counter = self.counter(limit, subject, spent);
        own.budget = Some(Arc::clone(&counter));
        counter
    }

    /// The budgets that came into force after `holder` was made, of those that hold for `target` too.
    pub(super) fn newcomers(
        &self,
        book: &Book,
        holder: &Holder,
        target: Option<Destination<'_>>,
    ) -> Vec<Arc<Counter>> {
        let Some(key) = holder
            .key()
            .filter(|_| book.generation != holder.generation)
        else {
            return Vec::new();
        };
        let who = subject_of(key);
        let budgets = book.limits.iter();
        let budgets = budgets.filter(|limit| matches!(limit.bound, Bound::Dollars { .. }));
        let counters = budgets.filter_map(|limit| {
            let mut subject = limit.scope.of_caller(&who)?;
            if limit.scope.has_target() {
                let mut known = holder.targeted.iter();
                if known.any(|(known, _)| counts_like(known, limit)) {
                    return None;
                }
                let at = target?;
                subject = limit.scope.at_target(&subject, at.provider, at.model)?;
            }
            Some(self.counter(limit, subject, Cost::ZERO))
        });
        counters
            .filter(|counter| !holder.has_budget_of(counter))
            .collect()
    }

    /// The counters of `target` for the holder; `None` when no limit depends on who answers.
    pub(super) fn at_target(
        &self,
        holder: &Holder,
        target: Destination<'_>,
    ) -> Option<Arc<[Arc<Counter>]>> {
        holder.at_target(target.provider, target.model, |targeted| {
            targeted
                .iter()
                .filter_map(|(limit, subject)| {
                    let at = limit
                        .scope
                        .at_target(subject, target.provider, target.model)?;
                    Some(self.counter(limit, at, Cost::ZERO))
                })
                .collect()
        })
    }

    /// The counter of a limit for `subject`; a new one begins at `spent`.
    fn counter(&self, limit: &Arc<Limit>, subject: Subject, spent: Cost) -> Arc<Counter> {
        let key = CounterKey::of(limit, subject);
        let mut counters = self.counters();
        if let Some(counter) = counters.get(&key) {
            let mut state = counter.lock();
            if !Arc::ptr_eq(&state.limit, limit) {
                state.limit = Arc::clone(limit);
                state.wake();
            }
            drop(state);
            return Arc::clone(counter);
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let (name, subject) = (key.name(), key.subject.clone());
        let now = self.now().time;
        let counter = Counter::new(number, name, subject, Arc::clone(limit), now);
        {
            let mut state = counter.lock();
            state.share = self.is_shared().then(Box::<Share>::default);
            if let Tally::Period(purse) = &mut state.tally {
                purse.remember(spent);
            }
        }
        let counter = Arc::new(counter);
        counters.insert(key, Arc::clone(&counter));
        counter
    }

    /// Counts what the ledger has of the period of a budget.
    fn remember(&self, limit: &Arc<Limit>, spends: &[Spend], now: Timestamp) {
        let mut sums: HashMap<Subject, Cost> = HashMap::new();
        for spend in spends {
            if let Some(subject) = budgeted(limit, &spend.subject) {
                let sum = sums.entry(subject).or_default();
                *sum = sum.saturating_add(spend.cost);
            }
        }
        for (subject, spent) in sums {
            let counter = self.counter(limit, subject, Cost::ZERO);
            let mut state = counter.lock();
            if let Tally::Period(purse) = &mut state.tally {
                purse.advance(now);
                purse.remember(spent);
            }
        }
    }

    fn correct(&self, counter: &Arc<Counter>, began: Timestamp, cost: Cost, now: Timestamp) {
        let mut state = counter.lock();
        if let Tally::Period(purse) = &mut state.tally {
            purse.advance(now);
            purse.correct(began, cost);
        }
        state.wake();
        drop(state);
        self.list(counter, Haste::None);
    }

    /// Forgets the counters of the limits that `is_gone` says.
    fn forget(&self, is_gone: impl Fn(LimitId) -> bool) {
        self.counters().retain(|key, _| !is_gone(key.limit));
    }

    /// Forgets the counters of limits that are not in force any more, and tells the others what their limit is.
    fn keep_only(&self, book: &Book) {
        let limits: HashMap<LimitId, &Arc<Limit>> =
            book.limits.iter().map(|limit| (limit.id, limit)).collect();
        self.counters().retain(|key, counter| {
            let mut state = counter.lock();
            if key.is_of_a_key() {
                return true;
            }
            let Some(limit) = limits.get(&key.limit) else {
                return false;
            };
            state.limit = Arc::clone(limit);
            state.wake();
            true
        });
    }

    pub(super) fn counters(&self) -> MutexGuard<'_, HashMap<CounterKey, Arc<Counter>>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose count of a budget something counts in that was spent by `who`; `None` where it is none of this budget.
fn budgeted(limit: &Limit, who: &Subject) -> Option<Subject> {
    if !matches!(limit.bound, Bound::Dollars { .. }) {
        return None;
    }
    let subject = limit.scope.of_caller(who)?;
    if !limit.scope.has_target() {
        return Some(subject);
    }
    let (provider, model) = (who.provider.as_ref()?, who.model.as_deref()?);
    limit.scope.at_target(&subject, provider, model)
}

/// Whose calls are those of a key.
fn subject_of(key: &VirtualKey) -> Subject {
    Subject {
        organization_id: Some(key.organization_id),
        project_id: Some(key.project_id),
        user_id: key.user_id,
        application_id: key.application_id,
        key_id: Some(key.id),
        provider: None,
        model: None,
    }
}

/// What a key itself may use up.
fn limits_of(key: &VirtualKey) -> impl Iterator<Item = Limit> {
    let requests = key.rate.rpm.map(|most| Bound::Requests {
        most: u64::from(most),
        per: Window::Minute,
    });
    let tokens = key.rate.tpm.map(|most| Bound::Tokens {
        most,
        per: Window::Minute,
    });
    let concurrency = key.rate.concurrency.map(|most| Bound::Concurrency {
        most: u64::from(most),
    });
    let budget = key.budget.map(|budget| Bound::Dollars {
        most: budget.limit,
        per: budget.per,
    });
    [requests, tokens, concurrency, budget]
        .into_iter()
        .flatten()
        .map(|bound| Limit {
            id: LimitId::of_key(key.id),
            name: key.name.clone(),
            organization_id: key.organization_id,
            project_id: key.project_id,
            scope: Scope {
                key: Part::Only(key.id),
                organization: Part::Only(key.organization_id),
                ..Scope::default()
            },
            bound,
            queue: match bound {
                Bound::Dollars { .. } => None,
                _ => key.rate.queue,
            },
            alerts: match bound {
                Bound::Dollars { .. } => KEY_ALERTS.to_vec(),
                _ => Vec::new(),
            },
            origin: key.origin,
            created_at: key.created_at,
        })
}
