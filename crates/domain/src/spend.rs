//! What was spent, hour by hour, by whom and on what: sums of the calls that the ledger has and of what they are
//! corrected by.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::id::ReplicaId;
use crate::limit::Subject;
use crate::money::Cost;
use crate::store_error::StoreError;

/// What somebody has spent on something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// By whom and on what: everything that is known of it.
    pub subject: Subject,
    /// How much; calls without a known price count nothing.
    pub cost: Cost,
}

/// Keeps sums of what calls cost. They change in the transaction that records the calls, or what they are
/// corrected by, so that they are what these add up to at any moment.
#[async_trait]
pub trait SpendStore: Send + Sync {
    /// What was spent by calls that started at `since` or later, which is the beginning of an hour; since the
    /// beginning of a month, or of all time, fewer sums are read. In no order.
    async fn spend_since(&self, since: Timestamp) -> Result<Vec<Spend>, StoreError>;

    /// Forgets the hours before `before`, at most about `limit` sums; answers how many. Months are kept.
    async fn drop_hours_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// What a call cost more than was recorded, or less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Larger than that of every one before.
    pub sequence: u64,
    /// When the call started: it counts in the periods in which the call counts.
    pub started_at: Timestamp,
    /// By whom and on what; less than nothing where the call cost too much.
    pub spend: Spend,
}

/// Tells those who count what is spent of corrections, which are made while they count. Every method is one
/// transaction.
#[async_trait]
pub trait CorrectionStore: Send + Sync {
    /// The last correction's sequence; 0 when there is none.
    async fn last_correction(&self) -> Result<u64, StoreError>;

    /// At most `limit` corrections after that of `sequence`, in their order; none is ever added before one that
    /// was told.
    async fn corrections_after(
        &self,
        sequence: u64,
        limit: u32,
    ) -> Result<Vec<Correction>, StoreError>;

    /// Makes a correction the business of `replica`, for counts that replicas share; answers whether it was
    /// nobody's.
    async fn claim_correction(&self, sequence: u64, replica: ReplicaId)
    -> Result<bool, StoreError>;
}
