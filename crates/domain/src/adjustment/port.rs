//! Where adjustments are kept, and what the store adds up.

use async_trait::async_trait;
use jiff::Timestamp;

use super::Adjustment;
use crate::id::{KeyId, ProjectId, RequestId};
use crate::money::Cost;
use crate::store_error::StoreError;

/// Keeps adjustments. Every method is one transaction.
#[async_trait]
pub trait AdjustmentStore: Send + Sync {
    /// Adds adjustments and answers how many were added. One whose call has an adjustment of that number is
    /// left out: it was computed from a cost that no longer held. The sums of what was spent
    /// ([`crate::spend`]) change with them.
    async fn add_adjustments(&self, adjustments: &[Adjustment]) -> Result<u64, StoreError>;

    /// What the calls of `ids` are adjusted by; of calls without an adjustment nothing is said.
    async fn adjusted(&self, ids: &[RequestId]) -> Result<Vec<Adjusted>, StoreError>;

    /// At most `limit` adjustments that pass `filter`, in the order of their calls' identifiers and their
    /// numbers, from `after` on.
    async fn list_adjustments(
        &self,
        filter: &AdjustmentFilter,
        after: Option<(RequestId, u32)>,
        limit: u32,
    ) -> Result<Vec<Adjustment>, StoreError>;

    /// What every key spent in every project on every day (in UTC) on calls that started in the time from
    /// `since` until before `until`, as the store adds it up, adjustments included.
    async fn spend_totals(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<SpendTotal>, StoreError>;

    /// At most `limit` hours, of those that begin in the time from `since` until before `until`, of which the sums
    /// of what was spent ([`crate::spend`]) are not what its calls and adjustments add up to. There are none.
    async fn hours_apart(
        &self,
        since: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<HourApart>, StoreError>;

    /// At most `limit` calls that the ledger has more than once. There are none.
    async fn doubled_calls(&self, limit: u32) -> Result<Vec<RequestId>, StoreError>;
}

/// What one call is adjusted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjusted {
    /// The call.
    pub request_id: RequestId,
    /// The sum of its adjustments.
    pub amount: Cost,
    /// The number of the last one.
    pub last_number: u32,
    /// Where the price comes from that holds since the last one.
    pub price_source: Option<String>,
}

/// Which adjustments are wanted; `None` leaves a field open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdjustmentFilter {
    /// Of this call.
    pub request_id: Option<RequestId>,
    /// Of calls that started at this time or later.
    pub since: Option<Timestamp>,
    /// Of calls that started before this time.
    pub until: Option<Timestamp>,
}

/// What a key spent in a project on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpendTotal {
    /// The key.
    pub key_id: KeyId,
    /// The project.
    pub project_id: ProjectId,
    /// The day, in days since 1970 in UTC.
    pub day: i64,
    /// How many calls started.
    pub calls: u64,
    /// What they cost, as they were recorded.
    pub cost: Cost,
    /// What they are adjusted by.
    pub adjusted: Cost,
    /// What they took, in tokens.
    pub input_tokens: u64,
    /// What they gave, in tokens.
    pub output_tokens: u64,
}

/// An hour of which the sum of what was spent is not what calls and adjustments add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourApart {
    /// The key.
    pub key_id: KeyId,
    /// The project.
    pub project_id: ProjectId,
    /// When the hour began.
    pub starts_at: Timestamp,
    /// What its calls and their adjustments add up to.
    pub rows: Cost,
    /// What the sum says.
    pub sum: Cost,
}
