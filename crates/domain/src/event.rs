//! What happened that operators want to hear of, and where it is kept.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use crate::id::{EventId, OrganizationId, ProjectId};
use crate::store_error::StoreError;

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its identifier.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// What happened.
    pub kind: EventKind,
    /// What is the same in two events that are one: only the first is kept. At most a kilobyte.
    pub mark: String,
    /// What there is to know of it: one object.
    pub detail: Value,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A budget was used up to a part that operators want to hear of.
    BudgetAlert,
    /// A limit of requests, tokens or calls at the same time was used up to a part that operators want to hear of.
    RateAlert,
    /// What a key had written into a vendor's prompt cache was not read, more than operators want.
    PromptCacheUnread,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::BudgetAlert, Self::RateAlert, Self::PromptCacheUnread];

    /// The word used in the API, the logs and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BudgetAlert => "budget_alert",
            Self::RateAlert => "rate_alert",
            Self::PromptCacheUnread => "prompt_cache_unread",
        }
    }
}

/// Keeps events. Every method is one transaction.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Keeps an event; answers whether it is the first with its mark.
    async fn record_event(&self, event: &Event) -> Result<bool, StoreError>;

    /// At most `limit` events, newest first, that were kept before the event `before`.
    async fn list_events(
        &self,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError>;

    /// Forgets at most `limit` events that happened before `before`; answers how many.
    async fn drop_events_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
