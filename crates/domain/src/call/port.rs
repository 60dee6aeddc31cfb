//! Where ended calls are kept.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Call, CallState, ShadowPair};
use crate::id::{ApplicationId, BatchId, KeyId, OrganizationId, ProjectId, RequestId, UserId};
use crate::money::Cost;
use crate::store_error::StoreError;

/// Keeps ended calls. Every method is one transaction.
#[async_trait]
pub trait CallStore: Send + Sync {
    /// Records calls. A call that is already there (by `request_id`) stays as it is, so that the same
    /// batch may be recorded again.
    async fn record_calls(&self, calls: &[Call]) -> Result<(), StoreError>;

    /// At most `limit` calls that pass `filter`, newest first, from `after` on.
    async fn list_calls(
        &self,
        filter: &CallFilter,
        after: Option<CallCursor>,
        limit: u32,
    ) -> Result<CallPage, StoreError>;

    /// One call; `None` when there is none of that identifier.
    async fn call(&self, id: RequestId) -> Result<Option<Call>, StoreError>;

    /// At most `limit` copies of calls that were sent with `key` and started in the time from `since` until
    /// before `until`, newest first, each with the call that it is a copy of.
    async fn shadows(
        &self,
        key: KeyId,
        since: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<ShadowPair>, StoreError>;

    /// What each key has spent on calls that started at `since` or later.
    async fn spend_by_key(&self, since: Timestamp) -> Result<Vec<Spend>, StoreError>;

    /// Keeps what was said in a call, apart from the call itself. What is already there stays.
    async fn keep_payloads(&self, payloads: &[Payload]) -> Result<(), StoreError>;

    /// What was said in a call; `None` when it was not kept or its time has passed.
    async fn payload(&self, id: RequestId) -> Result<Option<Payload>, StoreError>;

    /// Deletes at most `limit` payloads that were to be kept until `now` or earlier; answers how many.
    async fn drop_expired_payloads(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// Hears of every call that has ended: for metrics, logs and traces. Must not block.
pub trait CallObserver: Send + Sync {
    /// `call` has ended; `traceparent` is the caller's trace (W3C Trace Context), if it sent one.
    fn ended(&self, call: &Call, traceparent: Option<&str>);
}

/// Which calls are wanted; `None` leaves a field open.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallFilter {
    /// Of this tenant.
    pub organization_id: Option<OrganizationId>,
    /// Of this project.
    pub project_id: Option<ProjectId>,
    /// Of this application.
    pub application_id: Option<ApplicationId>,
    /// Of this user.
    pub user_id: Option<UserId>,
    /// Of this key.
    pub key_id: Option<KeyId>,
    /// With this identifier of the caller's.
    pub client_request_id: Option<String>,
    /// Lines of this batch.
    pub batch_id: Option<BatchId>,
    /// Ended so.
    pub state: Option<CallState>,
    /// Answered by this provider.
    pub provider: Option<String>,
    /// For this model, in the caller's words.
    pub request_model: Option<String>,
    /// Started at this time or later.
    pub since: Option<Timestamp>,
    /// Started before this time.
    pub until: Option<Timestamp>,
}

/// A place in the list of calls; the list goes on after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallCursor {
    /// When the last call that was seen started.
    pub started_at: Timestamp,
    /// Its identifier.
    pub request_id: RequestId,
}

/// A part of the list of calls.
#[derive(Debug, Clone, PartialEq)]
pub struct CallPage {
    /// The calls.
    pub calls: Vec<Call>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<CallCursor>,
}

/// What a key has spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend {
    /// The key.
    pub key_id: KeyId,
    /// How much; calls without a known price count nothing.
    pub cost: Cost,
}

/// What was said in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The call.
    pub request_id: RequestId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// The request's body as the caller sent it.
    pub request: Vec<u8>,
    /// The answer's body as the caller got it; a stream as it was written.
    pub response: Vec<u8>,
    /// From when on it is to be forgotten.
    pub keep_until: Timestamp,
}
