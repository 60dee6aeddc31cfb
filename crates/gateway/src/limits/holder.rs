//! What holds for one key: which counters its calls are part of, and what its calls usually take.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::caller::Caller;
use domain::key::VirtualKey;
use domain::limit::{Bound, Limit, Subject};
use domain::name::ProviderName;

use super::counter::Counter;
use super::habits::Habits;
use super::purse::Purses;

/// The most targets of one key whose counters are known by heart.
const MAX_TARGETS: usize = 256;

/// What holds for the calls of one key, as long as neither the key nor the limits change.
pub(super) struct Holder {
    /// `None` where only what it spent is known.
    key: Option<Arc<VirtualKey>>,
    /// Which limits are in force.
    pub(super) generation: u64,
    /// Counters of requests, tokens and calls at the same time.
    pub(super) rates: Box<[Arc<Counter>]>,
    /// Counters of money.
    pub(super) budgets: Box<[Arc<Counter>]>,
    /// Limits that depend on who answers.
    pub(super) targeted: Box<[(Arc<Limit>, Subject)]>,
    targets: Mutex<Vec<AtTarget>>,
    pub(super) own: Arc<Mutex<Own>>,
}

/// The counters of one target.
struct AtTarget {
    provider: ProviderName,
    model: Box<str>,
    counters: Arc<[Arc<Counter>]>,
}

/// What is kept of a key whatever its limits are.
#[derive(Default)]
pub(super) struct Own {
    pub(super) habits: Habits,
    /// What was spent, so that a budget that comes later knows it; `None` while that is nothing.
    pub(super) purses: Option<Box<Purses>>,
    /// The key's own budget as it is now.
    pub(super) budget: Option<Arc<Counter>>,
}

impl Holder {
    pub(super) fn new(
        caller: &Caller,
        generation: u64,
        counters: impl Iterator<Item = (Arc<Counter>, bool)>,
        targeted: Vec<(Arc<Limit>, Subject)>,
        own: Arc<Mutex<Own>>,
    ) -> Self {
        let (mut rates, mut budgets) = (Vec::new(), Vec::new());
        for (counter, is_budget) in counters {
            if is_budget { &mut budgets } else { &mut rates }.push(counter);
        }
        Self {
            key: Some(Arc::clone(caller.key())),
            generation,
            rates: rates.into(),
            budgets: budgets.into(),
            targeted: targeted.into(),
            targets: Mutex::default(),
            own,
        }
    }

    /// A key that was not seen yet.
    pub(super) fn unknown() -> Self {
        Self {
            key: None,
            generation: 0,
            rates: Box::default(),
            budgets: Box::default(),
            targeted: Box::default(),
            targets: Mutex::default(),
            own: Arc::default(),
        }
    }

    /// The key as it was seen last.
    pub(super) fn key(&self) -> Option<&VirtualKey> {
        self.key.as_deref()
    }

    /// Whether nothing has changed of what decides which limits hold.
    pub(super) fn is_of(&self, key: &Arc<VirtualKey>, generation: u64) -> bool {
        let Some(old) = &self.key else { return false };
        let is_same = || {
            let new = key;
            old.rate == new.rate
                && old.budget == new.budget
                && old.organization_id == new.organization_id
                && old.project_id == new.project_id
                && old.application_id == new.application_id
                && old.user_id == new.user_id
        };
        self.generation == generation && (Arc::ptr_eq(old, key) || is_same())
    }

    /// Whether only so much may be spent, on some target at least.
    pub(super) fn has_budget(&self) -> bool {
        let mut targeted = self.targeted.iter();
        let is_budget = |bound| matches!(bound, Bound::Dollars { .. });
        !self.budgets.is_empty() || targeted.any(|(limit, _)| is_budget(limit.bound))
    }

    /// Whether `counter` is one of its budgets.
    pub(super) fn has_budget_of(&self, counter: &Arc<Counter>) -> bool {
        let mut budgets = self.budgets.iter();
        budgets.any(|budget| Arc::ptr_eq(budget, counter))
    }

    /// The counters of a target, which `find` looks for when they are not known.
    pub(super) fn at_target(
        &self,
        provider: &ProviderName,
        model: &str,
        find: impl FnOnce(&[(Arc<Limit>, Subject)]) -> Arc<[Arc<Counter>]>,
    ) -> Option<Arc<[Arc<Counter>]>> {
        if self.targeted.is_empty() {
            return None;
        }
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let known = targets
            .iter()
            .find(|target| target.provider == *provider && *target.model == *model);
        if let Some(target) = known {
            return Some(Arc::clone(&target.counters));
        }
        let counters = find(&self.targeted);
        if targets.len() >= MAX_TARGETS {
            targets.clear();
        }
        targets.push(AtTarget {
            provider: provider.clone(),
            model: model.into(),
            counters: Arc::clone(&counters),
        });
        Some(counters)
    }

    pub(super) fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
