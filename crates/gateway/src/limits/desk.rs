//! Makes, changes and removes the limits of the store, and puts them in force beside those of the configuration.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::Clock;
use domain::entropy::Entropy;
use domain::id::{LimitId, OrganizationId, ProjectId, ReplicaId};
use domain::key::Origin;
use domain::limit::{Bound, Limit, LimitRevision, LimitStore, QueueRules, Scope};
use domain::money::Cost;
use domain::spend::{CorrectionStore, SpendStore};
use domain::store_error::StoreError;
use tokio::sync::Mutex;

use super::{Limits, opening};
use crate::ledger::Ledger;
use crate::within::within;

/// At which parts of a budget an event is raised unless said otherwise, in per cent.
pub const USUAL_ALERTS: [u8; 3] = [50, 80, 100];

/// Corrections that are read together.
const CORRECTIONS: u32 = 1_000;

/// How long a budget that is new waits for calls that are on their way to the store.
const HANDOVER_WAIT: Duration = Duration::from_secs(10);
/// Longer than it takes a call to be written down that has ended.
const ENDING: Duration = Duration::from_millis(50);

/// What a limit is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLimit {
    /// What people call it: 1–128 characters.
    pub name: String,
    /// For whom and for what it holds.
    pub scope: Scope,
    /// How much may be taken.
    pub bound: Bound,
    /// Whether calls wait for room, and how.
    pub queue: Option<QueueRules>,
    /// At which parts an event is raised, in per cent.
    pub alerts: Vec<u8>,
}

/// Why a limit is not made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// The name is empty or too long.
    #[error("a limit's name has 1 to 128 characters and no control characters")]
    Name,
    /// It permits nothing, or less.
    #[error("a limit is at least 1, and a budget is not negative")]
    Amount,
    /// Calls cannot wait so.
    #[error(
        "calls wait for requests, tokens or other calls, at most 10 minutes, and at least one may wait"
    )]
    Queue,
    /// Events cannot be raised so.
    #[error("events are raised at parts from 1 to 100 per cent")]
    Alerts,
    /// It stands in the configuration.
    #[error("limit {0} stands in the configuration and is changed there")]
    ReadOnly(LimitId),
    /// There is none.
    #[error("there is no limit {0}")]
    NoSuchLimit(LimitId),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes, changes and removes the limits of the store. What it does takes effect here at once; other processes
/// follow by [`LimitDesk::follow`].
pub struct LimitDesk {
    store: Arc<dyn LimitStore>,
    spend: Arc<dyn SpendStore>,
    corrections: Arc<dyn CorrectionStore>,
    limits: Arc<Limits>,
    ledger: Option<Arc<Ledger>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    known: Mutex<Known>,
}

/// The limits that are put in force together.
#[derive(Default)]
struct Known {
    configured: Vec<Limit>,
    stored: Vec<Limit>,
    revision: LimitRevision,
    /// The last correction that is counted.
    corrected: u64,
}

impl LimitDesk {
    /// A desk over a store and the limits that it keeps current. Nothing is in force before
    /// [`LimitDesk::open`].
    pub fn new(
        store: Arc<dyn LimitStore>,
        spend: Arc<dyn SpendStore>,
        corrections: Arc<dyn CorrectionStore>,
        limits: Arc<Limits>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            store,
            spend,
            corrections,
            limits,
            ledger: None,
            clock,
            entropy,
            known: Mutex::default(),
        }
    }

    /// The same beside a ledger whose calls run while limits change: budgets that are made then count those of them
    /// that the store does not have yet.
    #[must_use]
    pub fn beside(mut self, ledger: Arc<Ledger>) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// Puts the limits of the configuration and of the store in force, with what was spent before. Called once,
    /// before anything is admitted.
    pub async fn open(&self, configured: Vec<Limit>) -> Result<(), StoreError> {
        let mut known = self.known.lock().await;
        known.configured = configured;
        let now = self.clock.now();
        let (sums, corrected) = opening::sums(&*self.spend, &*self.corrections, now).await?;
        known.corrected = corrected;
        if let Some((stored, revision)) = self.store.limits_since(0).await? {
            (known.stored, known.revision) = (stored, revision);
        }
        self.limits.remember(known.all(), &sums).await
    }

    /// Puts other limits of the configuration in force.
    pub async fn reconfigure(&self, configured: Vec<Limit>) -> Result<(), StoreError> {
        let mut known = self.known.lock().await;
        known.configured = configured;
        self.put_in_force(known.all()).await
    }

    /// Puts in force what has changed in the store, here or by another process.
    pub async fn follow(&self) -> Result<(), StoreError> {
        let mut known = self.known.lock().await;
        if let Some((stored, revision)) = self.store.limits_since(known.revision).await? {
            let all = known.configured.iter().chain(&stored).cloned().collect();
            self.put_in_force(all).await?;
            (known.stored, known.revision) = (stored, revision);
        }
        Ok(())
    }

    /// Puts limits in force while calls run.
    async fn put_in_force(&self, limits: Vec<Limit>) -> Result<(), StoreError> {
        let ledger = self.ledger.as_ref();
        let Some(ledger) = ledger.filter(|_| self.limits.has_new_budget(&limits)) else {
            let nothing = |_| Vec::new();
            self.limits.replace(limits, &*self.spend, &nothing).await?;
            return Ok(());
        };
        let clock = &*self.clock;
        let Some(_handover) = within(clock, HANDOVER_WAIT, ledger.handover()).await else {
            return Err(StoreError::Unavailable(Box::new(NothingRecorded)));
        };
        let unrecorded = |book| ledger.unrecorded(book);
        let mut budgets = self
            .limits
            .replace(limits, &*self.spend, &unrecorded)
            .await?;
        // Of calls that ended in that moment, what they cost is counted before their end is where it can be read.
        within(clock, ENDING, std::future::pending::<()>()).await;
        let late = ledger.unrecorded(budgets.book);
        self.limits.count_unrecorded(&mut budgets, late);
        Ok(())
    }

    /// Counts what calls cost more than was recorded, or less, as it is found out by this process or another.
    /// Where replicas share their counts, one of them counts it for all; `replica` is then this one.
    pub async fn follow_corrections(&self, replica: Option<ReplicaId>) -> Result<(), StoreError> {
        let mut known = self.known.lock().await;
        loop {
            let after = known.corrected;
            let corrections = self
                .corrections
                .corrections_after(after, CORRECTIONS)
                .await?;
            for correction in &corrections {
                let sequence = correction.sequence;
                let is_counted_here = match replica {
                    Some(replica) => self.corrections.claim_correction(sequence, replica).await?,
                    None => true,
                };
                self.limits.correct(correction, is_counted_here);
                known.corrected = sequence;
            }
            if corrections.len() < CORRECTIONS as usize {
                return Ok(());
            }
        }
    }

    /// Makes a limit.
    pub async fn add(&self, new: NewLimit) -> Result<Limit, LimitError> {
        let now = self.clock.now();
        let limit = checked(new, LimitId::new(now, &*self.entropy), now)?;
        self.store.add_limit(&limit).await?;
        self.follow().await?;
        Ok(limit)
    }

    /// Puts a limit in the place of the one that is there; where it counts the same, the count goes on.
    pub async fn replace(&self, id: LimitId, new: NewLimit) -> Result<Limit, LimitError> {
        let Some(old) = self.find(id).await? else {
            return Err(LimitError::NoSuchLimit(id));
        };
        if old.origin == Origin::Configuration {
            return Err(LimitError::ReadOnly(id));
        }
        let limit = checked(new, id, old.created_at)?;
        if !self.store.replace_limit(&limit).await? {
            return Err(LimitError::NoSuchLimit(id));
        }
        self.follow().await?;
        Ok(limit)
    }

    /// Removes a limit; answers what it was.
    pub async fn remove(&self, id: LimitId) -> Result<Limit, LimitError> {
        let Some(old) = self.find(id).await? else {
            return Err(LimitError::NoSuchLimit(id));
        };
        if old.origin == Origin::Configuration {
            return Err(LimitError::ReadOnly(id));
        }
        self.store.remove_limit(id).await?;
        self.follow().await?;
        Ok(old)
    }

    /// One limit, of the configuration or of the store.
    pub async fn find(&self, id: LimitId) -> Result<Option<Limit>, StoreError> {
        let configured = {
            let known = self.known.lock().await;
            let mut configured = known.configured.iter();
            configured.find(|limit| limit.id == id).cloned()
        };
        match configured {
            Some(limit) => Ok(Some(limit)),
            None => self.store.limit(id).await,
        }
    }

    /// At most `limit` limits of the store, newest first, that were made before the limit `before`.
    pub async fn list(
        &self,
        before: Option<LimitId>,
        limit: u32,
    ) -> Result<Vec<Limit>, StoreError> {
        self.store.list_limits(before, limit).await
    }

    /// The limits of the configuration.
    pub async fn configured(&self) -> Vec<Limit> {
        self.known.lock().await.configured.clone()
    }
}

impl Known {
    fn all(&self) -> Vec<Limit> {
        self.configured
            .iter()
            .chain(&self.stored)
            .cloned()
            .collect()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("calls are not recorded, so that what was spent is not known")]
struct NothingRecorded;

fn checked(new: NewLimit, id: LimitId, created_at: jiff::Timestamp) -> Result<Limit, LimitError> {
    let length = new.name.chars().count();
    if length == 0 || length > 128 || new.name.chars().any(char::is_control) {
        return Err(LimitError::Name);
    }
    let is_budget = match new.bound {
        Bound::Dollars { most, .. } if most < Cost::ZERO => return Err(LimitError::Amount),
        Bound::Dollars { .. } => true,
        bound if bound.most() == 0 => return Err(LimitError::Amount),
        _ => false,
    };
    if new
        .queue
        .is_some_and(|queue| is_budget || !queue.is_possible())
    {
        return Err(LimitError::Queue);
    }
    let mut alerts = new.alerts;
    alerts.sort_unstable();
    alerts.dedup();
    let is_percent = |percent: &u8| (1..=100).contains(percent);
    if !alerts.iter().all(is_percent) {
        return Err(LimitError::Alerts);
    }
    Ok(Limit {
        id,
        name: new.name,
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        scope: new.scope,
        bound: new.bound,
        queue: new.queue,
        alerts,
        origin: Origin::Store,
        created_at,
    })
}
