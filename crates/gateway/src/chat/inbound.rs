//! A request as it arrived.

use bytes::Bytes;
use domain::call::Operation;
use domain::caller::Caller;
use domain::clock::Moment;
use domain::id::{BatchId, RequestId};
use domain::name::ModelName;
use jiff::Timestamp;
use providers::face::{Asked, Face};

use crate::admit::Admitted;
use crate::ledger::Opening;
use crate::routes::{Plan, Wishes};

/// A request as it arrived: a chat, or with another `Api` a [task](crate::task).
pub struct Inbound<Api: ?Sized + 'static = dyn Face> {
    /// Its identifier.
    pub request_id: RequestId,
    /// When it arrived.
    pub started_at: Timestamp,
    /// The same on the monotonic clock.
    pub received: Moment,
    /// The API that is spoken.
    pub face: &'static Api,
    /// The same as it is recorded.
    pub face_name: domain::call::Face,
    /// What it says beside its body.
    pub asked: Asked,
    /// Its body.
    pub body: Bytes,
    /// The caller's own identifier (`x-client-request-id`).
    pub client_request_id: Option<String>,
    /// The batch that it is a line of.
    pub batch_id: Option<BatchId>,
    /// The caller's trace (W3C Trace Context).
    pub traceparent: Option<String>,
    /// What the caller wants to be told beside the answer.
    pub report: ReportWanted,
    /// What the caller wishes for the choice of a target.
    pub wishes: Option<Box<Wishes>>,
}

/// What the caller wants to be told beside the answer (`x-trunkline-report`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportWanted {
    /// What it cost, line by line.
    pub cost: bool,
    /// What a translation carried, changed, dropped.
    pub conversion: bool,
}

impl ReportWanted {
    /// Whether anything is wanted.
    pub fn any(self) -> bool {
        self.cost || self.conversion
    }
}

impl Clone for Inbound {
    fn clone(&self) -> Self {
        Self {
            request_id: self.request_id,
            started_at: self.started_at,
            received: self.received,
            face: self.face,
            face_name: self.face_name,
            asked: self.asked.clone(),
            body: self.body.clone(),
            client_request_id: self.client_request_id.clone(),
            batch_id: self.batch_id,
            traceparent: self.traceparent.clone(),
            report: self.report,
            wishes: self.wishes.clone(),
        }
    }
}

impl<Api: ?Sized> Inbound<Api> {
    /// What the ledger is told when the call is opened.
    pub(crate) fn opening(
        self,
        operation: Operation,
        streamed: bool,
        request_model: ModelName,
        caller: &Caller,
        plan: &Plan,
        admitted: Admitted,
    ) -> Opening {
        Opening {
            request_id: self.request_id,
            client_request_id: self.client_request_id,
            batch_id: self.batch_id,
            started_at: self.started_at,
            received: self.received,
            operation,
            face: self.face_name,
            streamed,
            request_model,
            route: plan.route.clone(),
            variant: plan.variant(),
            shadow_of: None,
            caller: caller.clone(),
            estimate: admitted.estimate,
            priced: admitted.priced,
            facts: plan.target().facts.clone(),
            admission: admitted.admission,
            traceparent: self.traceparent,
        }
    }
}
