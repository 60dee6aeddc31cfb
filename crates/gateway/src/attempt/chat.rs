//! Asking for a chat.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::caller::Caller;
use domain::chat::{ChatEvent, ChatResponse};
use domain::clock::Moment;
use domain::egress::EgressBody;
use domain::provider_error::{Cause, ProviderError};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use http::response::Parts;
use providers::collect::Collector;
use providers::dialect::{DecodeError, End};
use providers::face::{Envelope, Face, Rendering};

use super::answer::{Answered, JSON, Whole};
use super::failure::{is_json, read_error_body, read_whole, successful, too_large, with_status};
use super::{Door, Errand};
use crate::chat::{ChatError, Gateway, Inbound, ReportWanted};
use crate::custody::Keeper;
use crate::pipeline::{Pipeline, provider_error};
use crate::prepare::{Passage, Prepared};
use crate::routes::{Plan, ResolvedTarget};

/// A chat that is asked for.
pub(crate) struct ChatErrand {
    pub(crate) face: &'static dyn Face,
    pub(crate) streamed: bool,
    /// How many answers are wanted.
    pub(crate) choices: u32,
    pub(crate) report: ReportWanted,
    /// Whether a stream may be gone on with elsewhere, and so is rendered anew whoever answers.
    pub(crate) is_continued: bool,
    /// What it takes to ask another candidate than the first; `None` where there is no other.
    pub(crate) again: Option<Box<Again>>,
}

/// A chat that is ready to be sent to one target.
pub(crate) struct ReadyChat {
    pub(crate) prepared: Prepared,
    pub(crate) rendering: Rendering,
    /// Keeps the reasoning state of the answer.
    pub(crate) keeper: Option<Keeper>,
}

/// What it takes to make a chat ready for another candidate.
pub(crate) struct Again {
    pub(crate) caller: Caller,
    /// As it was asked, with what it refers to in its place.
    pub(crate) inbound: Inbound,
    pub(crate) envelope: Envelope,
    /// The body as the caller sent it.
    pub(crate) asked: Bytes,
    pub(crate) estimated_input_tokens: u64,
}

impl ReadyChat {
    /// Keeps the reasoning state of a whole answer.
    fn keep(&self, response: &ChatResponse) {
        if let Some(keeper) = &self.keeper {
            for choice in &response.choices {
                keeper.keep(&choice.content);
            }
        }
    }
}

impl Errand for ChatErrand {
    type Ready = ReadyChat;
    type Answer = Answered;

    const IS_HEDGED: bool = true;

    fn patience(&self, plan: &Plan) -> Duration {
        if self.streamed {
            plan.timeouts.first_byte
        } else {
            plan.patience()
        }
    }

    fn is_verbatim(ready: &ReadyChat) -> bool {
        ready.prepared.passage.is_verbatim()
    }

    fn prepare<'a>(
        &'a self,
        gateway: &'a Gateway,
        target: &'a Arc<ResolvedTarget>,
        strict: bool,
    ) -> BoxFuture<'a, Result<Option<ReadyChat>, ChatError>> {
        Box::pin(async move {
            match &self.again {
                Some(again) => gateway.ready_again(again, target, strict).await.map(Some),
                None => Ok(None),
            }
        })
    }

    async fn exchange(
        &self,
        gateway: &Gateway,
        door: Door<'_>,
        ready: &ReadyChat,
        _: Moment,
    ) -> Result<(u16, Answered), ProviderError> {
        let prepared = &ready.prepared;
        let answered = gateway.courier.ask_at(door, &prepared.request).await?;
        let read = |head: &Parts, body: &[u8]| {
            let now = gateway.clock.now();
            prepared.dialect.decode_error(head, body, now)
        };
        let (head, body) = successful(answered, read).await?;
        let status = head.status.as_u16();
        let answered = if self.streamed {
            Box::pin(gateway.first_content(self, ready, &head, body)).await?
        } else if prepared.passage.exchange().streamed {
            Box::pin(gateway.collected(ready, body)).await?
        } else {
            gateway.whole(ready, &head, body).await?
        };
        Ok((status, answered))
    }
}

impl Gateway {
    async fn ready_again(
        &self,
        again: &Again,
        target: &Arc<ResolvedTarget>,
        strict: bool,
    ) -> Result<ReadyChat, ChatError> {
        let Again {
            caller,
            inbound,
            envelope,
            asked,
            estimated_input_tokens,
        } = again;
        let prepared = self
            .prepare(caller, inbound, envelope, target, strict)
            .await?;
        Ok(self.ready(
            prepared,
            caller,
            inbound,
            envelope,
            target,
            *estimated_input_tokens,
            asked.clone(),
        ))
    }

    async fn whole(
        &self,
        ready: &ReadyChat,
        head: &Parts,
        body: EgressBody,
    ) -> Result<Answered, ProviderError> {
        let body = read_whole(body, self.settings.max_response).await?;
        let refuse = |error| with_status(provider_error(error), head);
        let dialect = ready.prepared.dialect;
        let exchange = ready.prepared.passage.exchange();
        if let Passage::Verbatim { .. } = ready.prepared.passage {
            let observed = dialect.observe(exchange, head, &body);
            if let Some(keeper) = &ready.keeper {
                keeper.keep_unread(&body, || dialect.decode(exchange, head, &body).ok());
            }
            return Ok(Answered::Whole(Box::new(Whole {
                content_type: JSON,
                observed: observed.map_err(refuse)?,
                response: None,
                body,
            })));
        }
        let response = dialect.decode(exchange, head, &body).map_err(refuse)?;
        ready.keep(&response);
        Ok(Answered::Whole(Box::new(Whole::translated(response))))
    }

    /// The provider streams although the caller does not: its events make one answer.
    async fn collected(
        &self,
        ready: &ReadyChat,
        mut body: EgressBody,
    ) -> Result<Answered, ProviderError> {
        let mut decoder = ready
            .prepared
            .dialect
            .decoder(ready.prepared.passage.exchange());
        let mut collector = Collector::default();
        let mut events = Vec::new();
        let mut length = 0;
        let mut is_over = false;
        while !is_over {
            let decoded = match body.next().await {
                Some(Ok(piece)) => {
                    length += piece.len();
                    if length > self.settings.max_response {
                        return Err(too_large(self.settings.max_response));
                    }
                    decoder.push(&piece, &mut events)
                }
                ending => {
                    is_over = true;
                    let end = if ending.is_none() {
                        End::Clean
                    } else {
                        End::Broken
                    };
                    decoder.finish(end, &mut events)
                }
            };
            for event in events.drain(..) {
                match event {
                    ChatEvent::Error(error) => return Err(error),
                    event => collector.push(event),
                }
            }
            decoded.map_err(provider_error)?;
        }
        let response = collector.finish();
        ready.keep(&response);
        Ok(Answered::Whole(Box::new(Whole::translated(response))))
    }

    /// Makes the pipeline of a streamed chat and waits for its first content.
    async fn first_content(
        &self,
        errand: &ChatErrand,
        ready: &ReadyChat,
        head: &Parts,
        body: EgressBody,
    ) -> Result<Answered, ProviderError> {
        if is_json(head) {
            return Err(self.error_in_success(ready, head, body).await);
        }
        let reader = ready.keeper.as_ref().map(Keeper::reader);
        let (dialect, passage) = (ready.prepared.dialect, &ready.prepared.passage);
        let pipeline = if errand.is_continued {
            let decoder = dialect.decoder(passage.exchange());
            Pipeline::continued(decoder, errand.face.encoder(&ready.rendering), reader)
        } else {
            let reports = errand.report.any();
            Pipeline::new(
                errand.face,
                dialect,
                passage,
                &ready.rendering,
                reports,
                reader,
            )
        };
        let content_type = HeaderValue::from_static(errand.face.stream_type());
        self.begun(content_type, pipeline, head, body).await
    }

    /// A stream was asked for and a JSON document came: most often the provider's error inside a 200.
    async fn error_in_success(
        &self,
        ready: &ReadyChat,
        head: &Parts,
        body: EgressBody,
    ) -> ProviderError {
        let body = read_error_body(body).await;
        let exchange = ready.prepared.passage.exchange();
        let error = match ready.prepared.dialect.decode(exchange, head, &body) {
            Err(DecodeError::Provider(error)) => error,
            Err(DecodeError::Malformed(_)) | Ok(_) => ProviderError::new(
                Cause::Malformed,
                "The provider was asked for a stream and answered with a document.",
            ),
        };
        with_status(error, head)
    }
}
