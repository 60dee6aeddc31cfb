//! Where batches are kept.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Batch, BatchFace, EndedLine};
use crate::id::{BatchId, KeyId, ReplicaId};
use crate::store_error::StoreError;

/// Keeps batches and their lines that have ended. Every method is one transaction.
///
/// Whoever works on a batch has claimed it, and holds it by saying so again before its lease ends. What is
/// written for a batch is written only while it is held: a replica that lost it changes nothing any more.
#[async_trait]
pub trait BatchStore: Send + Sync {
    /// Adds a batch, unless its key has `max_open` that have not ended; answers whether it did.
    async fn add_batch(&self, batch: &Batch, max_open: u32) -> Result<bool, StoreError>;

    /// A batch of this key's; `None` when there is none or it is another's.
    async fn batch(&self, id: BatchId, owner: KeyId) -> Result<Option<Batch>, StoreError>;

    /// At most `limit` batches of this key's and this API's, newest first, from `cursor` on.
    async fn list_batches(
        &self,
        owner: KeyId,
        face: BatchFace,
        cursor: Option<BatchCursor>,
        limit: u32,
    ) -> Result<Vec<Batch>, StoreError>;

    /// Notes that the owner wants a batch to end; the first time counts, and one that has ended stays as it
    /// is. Answers the batch as it is then; `None` when there is none or it is another's.
    async fn cancel_batch(
        &self,
        id: BatchId,
        owner: KeyId,
        at: Timestamp,
    ) -> Result<Option<Batch>, StoreError>;

    /// Forgets a batch of this key's that has ended; answers whether it did.
    async fn delete_batch(&self, id: BatchId, owner: KeyId) -> Result<bool, StoreError>;

    /// Claims a batch that has not ended and that nobody holds at `now`, the one that waited longest, until
    /// `until`. No two replicas are given the same one.
    async fn claim_batch(
        &self,
        holder: ReplicaId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Batch>, StoreError>;

    /// At most `limit` batches whose lines are being asked or run, whoever holds them, in the order of their
    /// identifiers and after `last`.
    async fn batches_in_progress(
        &self,
        last: Option<BatchId>,
        limit: u32,
    ) -> Result<Vec<Batch>, StoreError>;

    /// Holds a batch until `until`.
    async fn hold_batch(
        &self,
        id: BatchId,
        holder: ReplicaId,
        until: Timestamp,
    ) -> Result<Hold, StoreError>;

    /// Writes what became of a batch, but not whether it is to be cancelled and how many lines have ended;
    /// one that has ended is let go of, with its lines. Answers whether it was held.
    async fn save_batch(&self, batch: &Batch, holder: ReplicaId) -> Result<bool, StoreError>;

    /// Writes as [`BatchStore::save_batch`] does, and to the disk before it returns: a provider is about to be
    /// asked for something that it charges for, and what is written stands for that.
    async fn save_before_asking(
        &self,
        batch: &Batch,
        holder: ReplicaId,
    ) -> Result<bool, StoreError>;

    /// Lets go of a batch, for whoever wants to go on with it.
    async fn release_batch(&self, id: BatchId, holder: ReplicaId) -> Result<(), StoreError>;

    /// Keeps lines that have ended and counts them. A line that is there already stays as it is and does
    /// not count again. Answers whether the batch was held.
    async fn end_lines(
        &self,
        batch: &Batch,
        holder: ReplicaId,
        lines: &[EndedLine],
    ) -> Result<bool, StoreError>;

    /// The numbers of the lines of a batch that have ended, in order.
    async fn ended_numbers(&self, id: BatchId) -> Result<Vec<u32>, StoreError>;

    /// At most `limit` lines that have ended, in order, after the line of that number.
    async fn ended_lines(
        &self,
        id: BatchId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<EndedLine>, StoreError>;

    /// Forgets at most `limit` batches that have ended and were made before `before`.
    async fn drop_old_batches(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// Whether a batch is still held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It is.
    Held {
        /// When its owner wanted it to end.
        cancelling_at: Option<Timestamp>,
    },
    /// Another replica has it, or it is gone.
    Lost,
}

/// A place in the list of batches, which is ordered by their identifiers, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchCursor {
    /// The list goes on after this batch.
    After(BatchId),
    /// What comes just before this batch.
    Before(BatchId),
}
