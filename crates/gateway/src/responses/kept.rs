//! What callers read of the answers that are kept for them, follow, cancel and delete.

use bytes::Bytes;
use domain::call::EndReason;
use domain::caller::Caller;
use domain::name::ProviderName;
use domain::problem::{Problem, ProblemKind};
use domain::response::{KeptResponse, ResponseId};
use futures_util::stream;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use providers::face::InvalidRequest;
use providers::openai::responses::state::background::{
    Stage, cancelled, failed, is_background, stage,
};
use providers::openai::responses::state::{self, Page, replayed, request_of};

use super::background::follow;
use super::{Events, Responses};
use crate::chat::{ChatError, Gateway, Inbound};
use crate::native::{NativeReply, NativeRequest};

/// How long after the end of its call an answer may still be on its way to the store, from another replica.
const LATENESS: SignedDuration = SignedDuration::from_secs(10);
/// After what time an answer that nobody is known to make, and whose call was never sent, is given up.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

impl Gateway {
    /// The provider that has an answer of the caller's of which nothing else is kept here.
    pub async fn holder_of(
        &self,
        caller: &Caller,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<ProviderName>, ChatError> {
        let found = match parsed(id) {
            Some(id) => self.responses.find(caller, &id, now).await?,
            None => None,
        };
        let held = found.filter(|kept| kept.answer.is_empty());
        Ok(held.map(|kept| kept.provider))
    }

    /// Passes a request about such an answer on to its provider; one that is deleted there is forgotten here.
    pub async fn ask_holder(
        &self,
        caller: &Caller,
        inbound: Inbound,
        asked: NativeRequest,
        id: &str,
    ) -> Result<NativeReply, ChatError> {
        let is_deletion = asked.method == Method::DELETE;
        let reply = self.pass_on(caller, inbound, asked).await?;
        if is_deletion {
            self.responses.forget(caller, id).await?;
        }
        Ok(reply)
    }

    /// An answer as the caller got it, or as far as it is (`GET /v1/responses/{id}`).
    pub async fn response(
        &self,
        caller: &Caller,
        id: &str,
        now: Timestamp,
    ) -> Result<Bytes, ChatError> {
        if let Some(running) = parsed(id).and_then(|id| self.jobs.of(caller, &id)) {
            return Ok(running.answer());
        }
        let kept = self.responses.named(caller, id, now).await?;
        Ok(self.responses.as_it_is(kept, now).await?.answer)
    }

    /// The same as a stream, from the event after the number `after` on
    /// (`GET /v1/responses/{id}?stream=true&starting_after=…`): followed where it is being made, told again
    /// where it is kept.
    pub async fn response_events(
        &self,
        caller: &Caller,
        id: &str,
        after: Option<u64>,
        now: Timestamp,
    ) -> Result<Events, ChatError> {
        if let Some(running) = parsed(id).and_then(|id| self.jobs.of(caller, &id)) {
            if running.is_streamed() {
                return Ok(follow(running, after));
            }
            return Err(not_to_be_followed());
        }
        let kept = self.responses.named(caller, id, now).await?;
        let kept = self.responses.as_it_is(kept, now).await?;
        if stage(&kept.answer) != Stage::Over {
            return Err(not_to_be_followed());
        }
        let events = replayed(&kept.answer, after).ok_or_else(|| not_found(id))?;
        Ok(Box::pin(stream::iter(events)))
    }

    /// Has an answer that is made in the background end, and answers it as it is then
    /// (`POST /v1/responses/{id}/cancel`). One that is over stays as it is.
    pub async fn cancel_response(
        &self,
        caller: &Caller,
        id: &str,
        now: Timestamp,
    ) -> Result<Bytes, ChatError> {
        if let Some(running) = parsed(id).and_then(|id| self.jobs.of(caller, &id)) {
            running.cancel();
            running.over().await;
        }
        let kept = self.responses.named(caller, id, now).await?;
        if !is_background(&kept.answer) {
            let detail = "Only an answer that is made in the background can be cancelled. Close the \
                          connection to cancel another.";
            return Err(InvalidRequest::of("response_id", detail).into());
        }
        let kept = self.responses.as_it_is(kept, now).await?;
        if stage(&kept.answer) == Stage::Over {
            return Ok(kept.answer);
        }
        // Another replica is at it; it stops as soon as it sees this, and what it makes finds its place taken.
        let answer = cancelled(&kept.answer);
        self.responses.conclude(&kept, answer.clone());
        Ok(answer)
    }

    /// Forgets an answer, and has it end where it is being made (`DELETE /v1/responses/{id}`); answers what the
    /// caller is told.
    pub async fn forget_response(&self, caller: &Caller, id: &str) -> Result<Bytes, ChatError> {
        if let Some(running) = parsed(id).and_then(|id| self.jobs.of(caller, &id)) {
            running.forget();
            running.over().await;
        }
        self.responses.forget(caller, id).await
    }
}

impl Responses {
    /// A page of the items that an answer was asked with, those of the answers before it included
    /// (`GET /v1/responses/{id}/input_items`).
    pub async fn input_items(
        &self,
        caller: &Caller,
        id: &str,
        page: &Page,
        now: Timestamp,
    ) -> Result<Bytes, ChatError> {
        let last = self.named(caller, id, now).await?;
        let chain = self.chain(caller, last, now).await?;
        Ok(state::input_items(id, &chain, page)?)
    }

    async fn forget(&self, caller: &Caller, id: &str) -> Result<Bytes, ChatError> {
        let was_there = match parsed(id) {
            Some(parsed) => self.delete(caller, &parsed).await?,
            None => false,
        };
        if was_there {
            return Ok(state::deleted(id));
        }
        Err(not_found(id))
    }

    /// An answer that nobody makes here. If nobody else does either, since whoever did is gone, it has failed.
    async fn as_it_is(
        &self,
        kept: KeptResponse,
        now: Timestamp,
    ) -> Result<KeptResponse, ChatError> {
        if stage(&kept.answer) == Stage::Over || !self.is_lost_work(&kept, now).await? {
            return Ok(kept);
        }
        let detail = "The gateway was stopped while it made this answer. Ask again.";
        let problem = Problem::new(ProblemKind::Internal, detail);
        let answer = failed(&kept.answer, &problem);
        self.conclude(&kept, answer.clone());
        Ok(KeptResponse { answer, ..kept })
    }

    /// Whether the ledger says that the call of an answer has ended, so that no more will come of it.
    async fn is_lost_work(&self, kept: &KeptResponse, now: Timestamp) -> Result<bool, ChatError> {
        let Some(request) = request_of(kept.id.as_str()) else {
            return Ok(true);
        };
        Ok(match self.calls.call(request).await? {
            Some(call) => {
                call.end_reason == Some(EndReason::Interrupted)
                    || now.duration_since(call.ended_at) > LATENESS
            }
            None => now.duration_since(kept.created_at) > ABANDONED,
        })
    }

    async fn named(
        &self,
        caller: &Caller,
        id: &str,
        now: Timestamp,
    ) -> Result<KeptResponse, ChatError> {
        let found = match parsed(id) {
            Some(id) => self.find(caller, &id, now).await?,
            None => None,
        };
        found.ok_or_else(|| not_found(id))
    }
}

fn parsed(id: &str) -> Option<ResponseId> {
    id.parse().ok()
}

fn not_found(id: &str) -> ChatError {
    ChatError::NotKept {
        detail: format!("Response with id '{id}' not found."),
        param: "response_id".to_owned(),
    }
}

fn not_to_be_followed() -> ChatError {
    let detail = "This answer is being made and was not asked for with `stream`, so that there are no events \
                  to follow. Look at it without `stream` until it is over.";
    InvalidRequest::of("stream", detail).into()
}
