//! Batches: many requests handed over together, answered within a day.
//!
//! A caller makes one with [`Batches::create`]. A loop of the server claims it ([`Batches::claim`]) and works
//! on it ([`Batches::work`]), which is the story of one batch: its lines are looked at (`validation`); they
//! are divided (`division`) and handed over as a whole to providers that run batches themselves
//! (`handover`), or asked one by one (`lines`); what became of them is written into files (`results`). Everything that matters is in the store
//! before it counts, so that whoever claims a batch next goes on where the last one stopped.

mod adoption;
mod cut;
mod desk;
mod division;
mod endpoint;
mod handover;
mod input;
mod leash;
mod lines;
mod passage;
mod reservation;
mod results;
mod settlement;
mod submission;
#[cfg(test)]
mod tests;
mod validation;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::batch::{Batch, BatchState, BatchStore, LineFault};
use domain::caller::Caller;
use domain::clock::Clock;
use domain::entropy::Entropy;
use domain::id::{BatchId, KeyId, ReplicaId};
use domain::problem::Problem;
use domain::store_error::StoreError;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, Semaphore, watch};

use crate::chat::{ChatError, Gateway};
use crate::files::FileError;
use crate::ledger::JournalError;

pub use desk::{BatchError, NewBatch, NewMessage};
pub use endpoint::Endpoint;
use leash::Leash;
use reservation::Held;

/// How long a batch is held without a sign of life.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// Batches that are read together at start.
const PAGE: u32 = 100;
/// How often whoever works on a batch says so.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// What bounds batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchRules {
    /// Lines that are asked at the same time, over all batches of this process.
    pub concurrency: usize,
    /// The most lines of one batch.
    pub max_lines: u32,
    /// The largest file of lines, in bytes.
    pub max_bytes: u64,
    /// The most batches of one key that have not ended.
    pub max_open: u32,
    /// How often a provider is asked how far its batch has come.
    pub poll: Duration,
    /// How long results and batches that have ended are kept.
    pub keep: Duration,
}

/// What batches need beside a store.
pub struct BatchParts {
    /// Bounds.
    pub rules: BatchRules,
    /// Where they are kept.
    pub store: Arc<dyn BatchStore>,
    /// This process, as others see it.
    pub replica: ReplicaId,
    /// Who holds a key, whether it is still good or not.
    pub holder: Box<dyn Fn(KeyId) -> Option<Caller> + Send + Sync>,
    /// What a caller is told of a failure.
    pub explain: fn(ChatError) -> Problem,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Keeps batches, and works on them.
pub struct Batches {
    parts: BatchParts,
    /// Lines that may be asked at the same time.
    room: Semaphore,
    /// Wakes the loop that claims batches.
    arrived: Notify,
    /// Wakes those who hold a batch: one is to be cancelled.
    wishes: Notify,
    /// Says that the process is about to end.
    halt: watch::Sender<bool>,
    /// What batches hold of budgets that were handed over before this process began.
    held: Mutex<HashMap<BatchId, Held>>,
    began_at: Timestamp,
}

/// Why the work on a batch was left to whoever claims it next.
#[derive(Debug, thiserror::Error)]
pub enum Unfinished {
    /// Another replica has it.
    #[error("another replica has the batch")]
    Lost,
    /// The process is about to end.
    #[error("the process is about to end")]
    Halted,
    /// The store did not answer.
    #[error("the store did not answer")]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("a file could not be read or written")]
    File(#[from] FileError),
    /// The ledger takes no calls.
    #[error("the ledger takes no calls")]
    Ledger(#[from] JournalError),
}

impl Batches {
    /// Batches of these parts.
    pub fn new(parts: BatchParts) -> Self {
        Self {
            room: Semaphore::new(parts.rules.concurrency),
            began_at: parts.clock.now(),
            parts,
            arrived: Notify::new(),
            wishes: Notify::new(),
            halt: watch::Sender::new(false),
            held: Mutex::default(),
        }
    }

    /// What bounds them.
    pub fn rules(&self) -> &BatchRules {
        &self.parts.rules
    }

    /// Waits until a batch was made here.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Says that the process is about to end: no further line is asked, and work ends when those that were
    /// asked have been answered.
    pub fn halt(&self) {
        self.halt.send_replace(true);
    }

    /// A batch that nobody works on; the caller has to [`work`](Self::work) on it at once.
    pub async fn claim(&self) -> Result<Option<Batch>, StoreError> {
        let now = self.parts.clock.now();
        let until = after(now, LEASE);
        let store = &self.parts.store;
        let claimed = store.claim_batch(self.parts.replica, now, until).await?;
        if claimed.is_none() && after(self.began_at, LEASE) < now {
            // Whatever is open is held by somebody who lives, and counted there.
            self.locked_held().clear();
        }
        Ok(claimed)
    }

    /// Sets aside what batches may still cost that were handed over before this process began. Called at
    /// start, before anything is admitted: what a provider works on is spent already, whoever claims the
    /// batch.
    pub async fn resume(&self, gateway: &Gateway) -> Result<(), StoreError> {
        let mut last = None;
        loop {
            let page = self.parts.store.batches_in_progress(last, PAGE).await?;
            for batch in &page {
                self.hold_open(gateway, batch);
            }
            last = page.last().map(|batch| batch.id);
            if page.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    fn locked_held(&self) -> std::sync::MutexGuard<'_, HashMap<BatchId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on a batch that was claimed until it has ended, or somebody else has to go on.
    ///
    /// Dropping the future leaves the batch to whoever claims it after its lease; calls that are under way
    /// are cancelled, and their lines asked again then.
    pub async fn work(&self, gateway: &Gateway, mut batch: Batch) -> Result<(), Unfinished> {
        let id = batch.id;
        let leash = Leash::new(&batch);
        let held = self.hold(id, batch.key_id, batch.expires_at, &leash);
        let worked = tokio::select! {
            lost = held => Err(lost),
            worked = self.story(gateway, &mut batch, &leash) => worked,
        };
        if matches!(worked, Err(Unfinished::Halted)) {
            self.parts
                .store
                .release_batch(id, self.parts.replica)
                .await?;
        }
        worked
    }

    /// The life of a batch, from the state that it is in.
    async fn story(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
        leash: &Leash,
    ) -> Result<(), Unfinished> {
        while !batch.has_ended() {
            match batch.state {
                BatchState::Validating => self.validate(gateway, batch).await?,
                BatchState::InProgress => {
                    self.have_answered(gateway, batch, leash).await?;
                    if !batch.has_ended() {
                        batch.state = BatchState::Finalizing;
                        batch.details.finalizing_at = Some(self.parts.clock.now());
                    }
                }
                _ => self.write_results(gateway, batch, leash).await?,
            }
            self.save(batch).await?;
        }
        tracing::info!(
            batch_id = %batch.id,
            state = %batch.state,
            lines = batch.details.lines,
            "a batch has ended"
        );
        Ok(())
    }

    /// Has every line answered, one way or the other.
    async fn have_answered(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
        leash: &Leash,
    ) -> Result<(), Unfinished> {
        let answered = if batch.details.handovers.is_empty() {
            self.ask_lines(gateway, batch, leash).await
        } else {
            self.hand_over(gateway, batch, leash).await
        };
        match answered {
            // Without its lines, a batch can only tell of those that have ended.
            Err(Unfinished::File(error)) if is_final(&error) => {
                let message = format!("The input file cannot be read any more: {error}.");
                batch.details.faults = vec![LineFault::of_batch("invalid_file", message)];
                Ok(())
            }
            answered => answered,
        }
    }

    /// Writes down how far a batch has come.
    async fn save(&self, batch: &Batch) -> Result<(), Unfinished> {
        if self
            .parts
            .store
            .save_batch(batch, self.parts.replica)
            .await?
        {
            Ok(())
        } else {
            Err(Unfinished::Lost)
        }
    }

    /// Whose batch it is, for as long as the key is good.
    fn caller(&self, key: KeyId) -> Option<Caller> {
        let now = self.parts.clock.now();
        (self.parts.holder)(key).filter(|caller| caller.is_valid_at(now))
    }

    /// Completes when the process is about to end.
    async fn halted(&self) {
        let mut halt = self.halt.subscribe();
        // The sender lives as long as this.
        let halted = halt.wait_for(|halt| *halt).await.map(|_| ());
        drop(halted);
    }

    fn is_halted(&self) -> bool {
        *self.halt.borrow()
    }
}

/// Whether a file cannot be read however often it is tried.
fn is_final(error: &FileError) -> bool {
    matches!(error, FileError::Unknown(_) | FileError::TooLarge { .. })
}

/// Ends a batch that could not begin.
fn fail(batch: &mut Batch, faults: Vec<LineFault>, now: Timestamp) {
    batch.state = BatchState::Failed;
    batch.details.faults = faults;
    batch.details.ended_at = Some(now);
}

fn after(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
