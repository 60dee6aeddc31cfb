//! The ledger: every call is written down before it leaves, and ends exactly once.
//!
//! [`Ledger::open`] gives an [`OpenCall`]; [`OpenCall::dispatch`] journals the intent and the attempt
//! before anything is sent; [`OpenCall::end`] journals its end and hands the call on to the store. The
//! store is written in batches by a loop that `server` runs ([`Ledger::take_batch`],
//! [`Ledger::recorded`], [`Ledger::release`]); when it cannot keep up, the journal is the queue. At
//! start, [`recovery`] settles what a process left open.

mod journal;
mod open_call;
pub mod outstanding;
mod record;
pub mod recovery;
mod unrecorded;

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::call::{Call, CallObserver};
use domain::clock::Clock;
use domain::id::ReplicaId;
use tokio::sync::Notify;

pub use journal::{JournalError, Limits as JournalLimits, Sync};
pub use open_call::{Ending, OpenCall, Opening};
pub use unrecorded::Unrecorded;

use journal::{Journal, Position, Ticket};
use record::{Ended, Record};

/// Ended calls that wait in memory for the store; more wait in the journal.
const MAX_WAITING: usize = 10_000;

/// The calls of this process.
pub struct Ledger {
    journal: Journal,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn CallObserver>,
    /// Calls whose ends have joined a write and wait for it.
    ending: Mutex<Vec<(Ticket, Ended)>>,
    /// Wakes the loop that writes ends.
    ends: Notify,
    waiting: Mutex<Waiting>,
    /// Wakes the loop that writes to the store.
    wake: Notify,
    /// Held while calls are on their way from here to the store.
    handover: tokio::sync::Mutex<()>,
    dispatched: AtomicU64,
    captured: AtomicU64,
}

/// Ended calls on their way to the store.
#[derive(Default)]
struct Waiting {
    calls: VecDeque<Stored>,
    /// The last place in the journal of a call that went into memory.
    last: Position,
    /// Where the calls stand that did not fit into memory; everything from there on is read from the
    /// journal, until it is caught up with.
    overflow: Option<Position>,
    /// What was read back from the journal when it was caught up with last, or is being read.
    reread: Range<Position>,
}

/// An ended call and the segments that are kept for it.
struct Stored {
    call: Call,
    segments: Vec<u64>,
    counted_in: u64,
}

/// What the journal still keeps for calls that the store has.
pub struct Receipt(Vec<u64>);

/// Calls to be recorded together. Give it to [`Ledger::recorded`] when the store has it.
pub struct Batch {
    calls: Vec<Call>,
    segments: Vec<u64>,
    /// How far the journal is read when this batch came from it.
    reread_to: Option<Position>,
}

impl Batch {
    /// The calls.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }
}

impl Ledger {
    /// Opens the ledger of a process that calls itself `replica`, with its journal in `directory`.
    pub fn new(
        directory: &Path,
        replica: ReplicaId,
        sync: Sync,
        limits: JournalLimits,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn CallObserver>,
    ) -> Result<Self, JournalError> {
        Ok(Self {
            journal: Journal::open(directory, replica, sync, limits)?,
            clock,
            observer,
            ending: Mutex::default(),
            ends: Notify::new(),
            waiting: Mutex::default(),
            wake: Notify::new(),
            handover: tokio::sync::Mutex::default(),
            dispatched: AtomicU64::new(0),
            captured: AtomicU64::new(0),
        })
    }

    /// Begins a call. Nothing is written before its first dispatch, and an opening that is dropped
    /// before that leaves no trace. It is on the heap, since it is handed on from step to step.
    pub fn open(self: &Arc<Self>, opening: Opening) -> Result<Box<OpenCall>, JournalError> {
        self.journal.check_room()?;
        Ok(Box::new(OpenCall::new(Arc::clone(self), opening)))
    }

    /// Keeps calls from going to the store, or waits until those have that are on their way. Whoever brings them there
    /// holds this from [`Ledger::take_batch`] to [`Ledger::recorded`].
    pub async fn handover(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.handover.lock().await
    }

    /// Waits until the ends of calls were written since the last batch was taken.
    pub async fn calls_ended(&self) {
        self.wake.notified().await;
    }

    /// At most `limit` calls that the store has not got yet; empty when there are none.
    pub fn take_batch(&self, limit: usize) -> std::io::Result<Batch> {
        let overflow = {
            let mut waiting = locked(&self.waiting);
            if !waiting.calls.is_empty() {
                let count = waiting.calls.len().min(limit);
                return Ok(Batch::of(waiting.calls.drain(..count)));
            }
            waiting.overflow
        };
        match overflow {
            None => Ok(Batch::of([])),
            Some(from) => self.reread(from, limit),
        }
    }

    /// The store has the calls of this batch. What the journal keeps for them may go once the store
    /// has them on its disk: [`Ledger::release`].
    pub fn recorded(&self, batch: Batch) -> Receipt {
        if let Some(position) = batch.reread_to {
            locked(&self.waiting).overflow = Some(position);
        }
        Receipt(batch.segments)
    }

    /// Lets go of what the journal kept for calls that are safe in the store.
    pub fn release(&self, receipts: &[Receipt]) -> std::io::Result<()> {
        let segments = receipts.iter().flat_map(|receipt| &receipt.0);
        segments
            .into_iter()
            .try_for_each(|segment| self.journal.release(*segment, 1))
    }

    /// Brings the journal to the disk; blocks for as long as the disk takes.
    pub fn sync(&self) -> std::io::Result<()> {
        self.journal.sync()
    }

    /// Attempts that were journaled before they were sent.
    pub fn dispatched(&self) -> u64 {
        self.dispatched.load(Ordering::Relaxed)
    }

    /// Attempts of calls that have ended. At rest it equals [`Ledger::dispatched`].
    pub fn captured(&self) -> u64 {
        self.captured.load(Ordering::Relaxed)
    }

    /// Bytes that the journal holds.
    pub fn journal_bytes(&self) -> u64 {
        self.journal.bytes()
    }

    /// Closes the journal of a process that ends in order: when everything is stored, nothing is left.
    pub fn close(&self) -> Result<(), JournalError> {
        self.write_ends();
        self.journal.sync()?;
        self.journal.seal()?;
        Ok(self.journal.remove_if_empty()?)
    }

    /// Ends a call, of which `segments` hold what was written before. Its end goes into the journal with
    /// the next write, at the latest with [`Ledger::write_ends`].
    fn end(&self, segments: Vec<u64>, call: Call, counted_in: u64, traceparent: Option<&str>) {
        let attempts = call.attempts.len() as u64;
        self.captured.fetch_add(attempts, Ordering::Relaxed);
        self.observer.ended(&call, traceparent);
        let ended = Ended {
            segments,
            call,
            counted_in,
        };
        let waiting = domain::json::in_scratch(|line| {
            record::write_end(&ended, line);
            let mut ending = locked(&self.ending);
            ending.push((self.journal.join(line, 1), ended));
            ending.len()
        });
        if waiting == 1 {
            self.ends.notify_one();
        }
    }

    /// Waits until a call has ended whose end may not be in the journal yet.
    pub async fn ends_wait(&self) {
        self.ends.notified().await;
    }

    /// Writes the ends that no other write has taken along, and lets the store have their calls.
    pub fn write_ends(&self) {
        let ending = std::mem::take(&mut *locked(&self.ending));
        if ending.is_empty() {
            return;
        }
        for (ticket, ended) in ending {
            let written = self.journal.complete(&ticket);
            if let Err(error) = &written {
                tracing::error!(
                    request_id = %ended.call.request_id,
                    %error,
                    "a call's end could not be journaled; it is kept in memory until it is stored"
                );
            }
            let stored = Stored::of(ended, written.as_ref().ok());
            locked(&self.waiting).take_in(stored, written.ok());
        }
        self.wake.notify_one();
    }

    /// Reads ended calls that did not fit into memory back from the journal.
    fn reread(&self, from: Position, limit: usize) -> std::io::Result<Batch> {
        let (records, to) = self.journal.read(from, limit)?;
        let mut waiting = locked(&self.waiting);
        if to == from {
            // Whoever ended a call and left it to this reader wrote before it looked here, so that
            // an unchanged end of the journal means that nobody did.
            if self.journal.end() <= from {
                waiting.overflow = None;
            }
            return Ok(Batch::of([]));
        }
        waiting.reread.end = to;
        let calls = records
            .into_iter()
            .filter_map(|placed| match placed.record {
                Record::End(ended) => Some(Stored::of(*ended, Some(&placed.at))),
                Record::Intent(_) | Record::Attempt(_) => None,
            });
        Ok(Batch {
            reread_to: Some(to),
            ..Batch::of(calls)
        })
    }
}

impl Waiting {
    /// Takes in a call whose end stands at `at`, unless it is, or was, for the journal's reader.
    /// Threads come here in another order than they wrote in: a call that was written before the
    /// overflow began belongs into memory, however full that is.
    fn take_in(&mut self, stored: Stored, at: Option<Position>) {
        if let Some(at) = at {
            if self.reread.contains(&at) || self.overflow.is_some_and(|from| from <= at) {
                return;
            }
            let is_newest = at > self.last && at >= self.reread.end;
            if self.calls.len() >= MAX_WAITING && is_newest && self.overflow.is_none() {
                self.overflow = Some(at);
                self.reread = at..at;
                return;
            }
            self.last = self.last.max(at);
        }
        self.calls.push_back(stored);
    }
}

impl Stored {
    /// An ended call that stands at `at`, or nowhere where it could not be written down.
    fn of(ended: Ended, at: Option<&Position>) -> Self {
        let mut segments = ended.segments;
        segments.extend(at.map(|at| at.segment));
        Self {
            call: ended.call,
            segments,
            counted_in: ended.counted_in,
        }
    }
}

impl Batch {
    fn of(stored: impl IntoIterator<Item = Stored>) -> Self {
        let mut batch = Self {
            calls: Vec::new(),
            segments: Vec::new(),
            reread_to: None,
        };
        for Stored { call, segments, .. } in stored {
            batch.calls.push(call);
            batch.segments.extend(segments);
        }
        batch
    }

    /// Whether there is nothing to record and nothing more to read.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.reread_to.is_none()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
