//! What was spent, hour by hour, by whom and on what: sums of the calls that the ledger has.

use async_trait::async_trait;
use jiff::Timestamp;

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

/// Keeps sums of what calls cost. They change in the transaction that records the calls, so that they are what
/// the calls add up to at any moment.
#[async_trait]
pub trait SpendStore: Send + Sync {
    /// What was spent by calls that started at `since` or later, which is the beginning of an hour; since the
    /// beginning of a month, or of all time, fewer sums are read. In no order.
    async fn spend_since(&self, since: Timestamp) -> Result<Vec<Spend>, StoreError>;

    /// Forgets the hours before `before`, at most about `limit` sums; answers how many. Months are kept.
    async fn drop_hours_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
