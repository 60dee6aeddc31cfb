//! Sending: one attempt after another until a provider answers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatEvent, ChatResponse};
use domain::clock::Moment;
use domain::egress::{EgressBody, EgressError, Outbound, Reach};
use domain::provider_error::{Cause, ProviderError, Retry};
use futures_util::StreamExt;
use http::HeaderValue;
use http::response::Parts;
use providers::collect::Collector;
use providers::dialect::{DecodeError, End, Refusal};
use providers::face::{Face, Rendering};
use providers::tap::Observed;
use providers::task::PreparedTask;

use crate::chat::{ChatError, Gateway, ReportWanted};
use crate::custody::Keeper;
use crate::ledger::OpenCall;
use crate::pipeline::{Pipeline, provider_error};
use crate::prepare::{Passage, Prepared};
use crate::routes::Plan;
use crate::within::within;

mod retry;

use retry::{has_time, wait_before_next};

/// The largest error body that is read, in bytes; what is longer is not read by people either.
const MAX_ERROR_BODY: usize = 256 * 1024;
/// The most of a stream that is held back until its first content is there, in bytes.
const MAX_PREFACE: usize = 1024 * 1024;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What is sent, and how its answer is read.
#[derive(Clone, Copy)]
pub(crate) enum Errand<'a> {
    /// A chat.
    Chat(&'a Prepared, Wanted<'a>),
    /// Anything else.
    Task(&'a PreparedTask),
}

/// A provider's answer that has begun well.
pub(crate) enum Answered {
    /// It is whole.
    Whole(Box<Whole>),
    /// Its first content is there.
    Stream(Begun),
}

/// An answer that is whole.
pub(crate) struct Whole {
    /// The media type that the caller gets.
    pub(crate) content_type: HeaderValue,
    /// The bytes for the caller, but for a chat that is translated.
    pub(crate) body: Bytes,
    /// What a chat's answer says, where it is translated.
    pub(crate) response: Option<Box<ChatResponse>>,
    /// What the ledger wants to know of it.
    pub(crate) observed: Observed,
}

/// A stream whose first content is there.
pub(crate) struct Begun {
    /// The media type that the caller gets.
    pub(crate) content_type: HeaderValue,
    /// What is to follow.
    pub(crate) body: EgressBody,
    /// Turns it into the caller's stream.
    pub(crate) pipeline: Box<Pipeline>,
    /// What the caller gets for what has come so far.
    pub(crate) ready: Vec<Bytes>,
    /// The provider's stream is over already.
    pub(crate) is_over: bool,
}

impl Whole {
    fn translated(response: ChatResponse) -> Self {
        Self {
            content_type: JSON,
            body: Bytes::new(),
            observed: Observed::of(&response),
            response: Some(Box::new(response)),
        }
    }
}

/// How the caller wants the answer.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) face: &'static dyn Face,
    pub(crate) rendering: &'a Rendering,
    pub(crate) streamed: bool,
    pub(crate) report: ReportWanted,
    /// Keeps the reasoning state of the answer.
    pub(crate) keeper: Option<&'a Keeper>,
}

impl Wanted<'_> {
    /// Keeps the reasoning state of a whole answer.
    fn keep(&self, response: &ChatResponse) {
        if let Some(keeper) = self.keeper {
            for choice in &response.choices {
                keeper.keep(&choice.content);
            }
        }
    }
}

impl Gateway {
    /// Sends the request until a provider answers or there is no use in trying again. Every attempt is
    /// in the journal before it is sent.
    pub(crate) async fn attempt(
        &self,
        plan: &Plan,
        errand: Errand<'_>,
        call: &mut OpenCall,
    ) -> Result<Answered, AttemptError> {
        let deadline = call.received().after(plan.timeouts.total);
        let patience = match errand {
            Errand::Chat(_, wanted) if wanted.streamed => plan.timeouts.first_byte,
            Errand::Chat(..) | Errand::Task(_) => plan.timeouts.total,
        };
        let exchange = || self.exchange(plan, errand, deadline);
        self.try_until(plan, patience, call, exchange).await
    }

    /// Makes the `exchange` until a provider answers or there is no use in trying again, each time for at most
    /// `patience` and as long as the route allows. Every attempt is in the journal before it is made.
    pub(crate) async fn try_until<T, E>(
        &self,
        plan: &Plan,
        patience: Duration,
        call: &mut OpenCall,
        exchange: impl Fn() -> E,
    ) -> Result<T, AttemptError>
    where
        E: Future<Output = Result<(u16, T), ProviderError>>,
    {
        let deadline = call.received().after(plan.timeouts.total);
        let mut failure = None;
        loop {
            let target = &plan.target;
            let provider = target.provider.name.clone();
            if let Err(error) = call.dispatch(provider, &target.model).await {
                // A call that was sent before has failed of what it failed of then.
                return Err(failure.map_or(error.into(), AttemptError::Provider));
            }
            let bound = deadline.since(self.clock.moment()).min(patience);
            let error = match within(&*self.clock, bound, exchange()).await {
                Some(Ok((status, answered))) => {
                    call.attempt_answered(Some(status), None);
                    return Ok(answered);
                }
                Some(Err(error)) => error,
                None => timed_out(bound),
            };
            call.attempt_answered(error.status, Some(error.cause));
            let tried = u32::try_from(call.attempts()).unwrap_or(u32::MAX);
            let Some(wait) = wait_before_next(&error, &plan.retries, tried, &*self.entropy) else {
                return Err(error.into());
            };
            if !has_time(self.clock.moment(), wait, deadline) {
                return Err(error.into());
            }
            self.clock.sleep(wait).await;
            call.paused(wait);
            failure = Some(error);
        }
    }

    async fn exchange(
        &self,
        plan: &Plan,
        errand: Errand<'_>,
        deadline: Moment,
    ) -> Result<(u16, Answered), ProviderError> {
        let request = match errand {
            Errand::Chat(prepared, _) => &prepared.request,
            Errand::Task(prepared) => &prepared.request,
        };
        let reach = plan.target.provider.reach();
        let request = self.authorized(request.clone(), plan).await?;
        let answered = self.send(request, reach).await?;
        let (head, body) = match errand {
            Errand::Chat(prepared, _) => {
                let read = |head: &Parts, body: &[u8]| {
                    let now = self.clock.now();
                    prepared.dialect.decode_error(head, body, now)
                };
                successful(answered, read).await?
            }
            Errand::Task(_) => self.successful_task(plan, answered).await?,
        };
        let status = head.status.as_u16();
        let answered = match errand {
            Errand::Task(prepared) => {
                let reader = &*prepared.reader;
                Box::pin(self.task(plan, reader, head, body, deadline)).await?
            }
            Errand::Chat(prepared, wanted) if wanted.streamed => {
                Box::pin(self.first_content(prepared, wanted, &head, body)).await?
            }
            Errand::Chat(prepared, wanted) if prepared.passage.exchange().streamed => {
                Box::pin(self.collected(prepared, wanted, body)).await?
            }
            Errand::Chat(prepared, wanted) => self.whole(prepared, wanted, &head, body).await?,
        };
        Ok((status, answered))
    }

    /// The request with the target's credential.
    pub(crate) async fn authorized(
        &self,
        mut request: http::Request<Bytes>,
        plan: &Plan,
    ) -> Result<http::Request<Bytes>, ProviderError> {
        let provider = &plan.target.provider;
        let Some(source) = &provider.credential else {
            return Ok(request);
        };
        let fetched;
        let credential = if let Some(ready) = source.ready() {
            ready
        } else {
            let (egress, clock) = (&*self.egress, &*self.clock);
            let name = &provider.name;
            fetched = Box::pin(self.credentials.of(name, source, egress, clock)).await?;
            &fetched
        };
        let target = plan.target.target();
        let kind = plan.target.kind;
        kind.authorize(&mut request, &target, credential, self.clock.now())
            .map_err(unauthorized)?;
        Ok(request)
    }

    /// Sends one request.
    pub(crate) async fn send(
        &self,
        request: http::Request<Bytes>,
        reach: Reach,
    ) -> Result<http::Response<EgressBody>, ProviderError> {
        self.egress
            .send(Outbound { request, reach })
            .await
            .map_err(|error| unreachable(&error))
    }

    /// An answer to a task, if its status is good. Whatever was asked, a provider of one kind says in one
    /// way what went wrong.
    pub(crate) async fn successful_task(
        &self,
        plan: &Plan,
        response: http::Response<EgressBody>,
    ) -> Result<(Parts, EgressBody), ProviderError> {
        let kind = plan.target.kind;
        let read = |head: &Parts, body: &[u8]| kind.decode_error(head, body, self.clock.now());
        successful(response, read).await
    }

    async fn whole(
        &self,
        prepared: &Prepared,
        wanted: Wanted<'_>,
        head: &Parts,
        body: EgressBody,
    ) -> Result<Answered, ProviderError> {
        let body = read_whole(body, self.settings.max_response).await?;
        let refuse = |error| with_status(provider_error(error), head);
        let dialect = prepared.dialect;
        let exchange = prepared.passage.exchange();
        if let Passage::Verbatim { .. } = prepared.passage {
            let observed = dialect.observe(exchange, head, &body);
            if let Some(keeper) = wanted.keeper {
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
        wanted.keep(&response);
        Ok(Answered::Whole(Box::new(Whole::translated(response))))
    }

    /// The provider streams although the caller does not: its events make one answer.
    async fn collected(
        &self,
        prepared: &Prepared,
        wanted: Wanted<'_>,
        mut body: EgressBody,
    ) -> Result<Answered, ProviderError> {
        let mut decoder = prepared.dialect.decoder(prepared.passage.exchange());
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
        wanted.keep(&response);
        Ok(Answered::Whole(Box::new(Whole::translated(response))))
    }

    /// Makes the pipeline of a streamed chat and waits for its first content.
    async fn first_content(
        &self,
        prepared: &Prepared,
        wanted: Wanted<'_>,
        head: &Parts,
        body: EgressBody,
    ) -> Result<Answered, ProviderError> {
        if is_json(head) {
            return Err(self.error_in_success(prepared, head, body).await);
        }
        let pipeline = Pipeline::new(
            wanted.face,
            prepared.dialect,
            &prepared.passage,
            wanted.rendering,
            wanted.report.any(),
            wanted.keeper.map(Keeper::reader),
        );
        let content_type = HeaderValue::from_static(wanted.face.stream_type());
        self.begun(content_type, pipeline, head, body).await
    }

    /// Waits for the first content, so that a failure before it is still a failure of the whole
    /// request.
    pub(crate) async fn begun(
        &self,
        content_type: HeaderValue,
        mut pipeline: Pipeline,
        head: &Parts,
        mut body: EgressBody,
    ) -> Result<Answered, ProviderError> {
        let mut ready = Vec::new();
        let mut length = 0;
        let mut is_over = false;
        while !pipeline.observed().has_content && !is_over {
            let pushed = match body.next().await {
                Some(Ok(piece)) => {
                    length += piece.len();
                    pipeline.push(piece, &mut ready)
                }
                Some(Err(error)) => Err(broken(&error)),
                None => {
                    is_over = true;
                    pipeline.finish(End::Clean, &mut ready)
                }
            };
            pushed.map_err(|error| with_status(error, head))?;
            if let Some(error) = pipeline.error() {
                return Err(with_status(error.clone(), head));
            }
            if length > MAX_PREFACE {
                let what = format!("The provider sent {MAX_PREFACE} bytes and no content.");
                return Err(with_status(
                    ProviderError::new(Cause::Malformed, what),
                    head,
                ));
            }
        }
        if !pipeline.observed().has_content {
            let what = "The provider's stream ended before it said anything.";
            return Err(with_status(
                ProviderError::new(Cause::Malformed, what),
                head,
            ));
        }
        Ok(Answered::Stream(Begun {
            content_type,
            body,
            pipeline: Box::new(pipeline),
            ready,
            is_over,
        }))
    }

    /// A stream was asked for and a JSON document came: most often the provider's error inside a 200.
    async fn error_in_success(
        &self,
        prepared: &Prepared,
        head: &Parts,
        body: EgressBody,
    ) -> ProviderError {
        let body = read_at_most(body, MAX_ERROR_BODY).await;
        let exchange = prepared.passage.exchange();
        let error = match prepared.dialect.decode(exchange, head, &body) {
            Err(DecodeError::Provider(error)) => error,
            Err(DecodeError::Malformed(_)) | Ok(_) => ProviderError::new(
                Cause::Malformed,
                "The provider was asked for a stream and answered with a document.",
            ),
        };
        with_status(error, head)
    }
}

/// An answer, if its status is good; otherwise the error that `read` reads of it.
async fn successful(
    response: http::Response<EgressBody>,
    read: impl FnOnce(&Parts, &[u8]) -> ProviderError,
) -> Result<(Parts, EgressBody), ProviderError> {
    let (head, body) = response.into_parts();
    if head.status.is_success() {
        return Ok((head, body));
    }
    let body = read_at_most(body, MAX_ERROR_BODY).await;
    Err(read(&head, &body))
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum AttemptError {
    /// No provider answered; the last failure.
    Provider(ProviderError),
    /// The call could not be written down, so it was not sent.
    Journal(crate::ledger::JournalError),
}

impl From<ProviderError> for AttemptError {
    fn from(error: ProviderError) -> Self {
        Self::Provider(error)
    }
}

impl From<crate::ledger::JournalError> for AttemptError {
    fn from(error: crate::ledger::JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<AttemptError> for ChatError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Journal(error) => Self::Ledger(error),
            AttemptError::Provider(error) => Self::Provider(Box::new(error)),
        }
    }
}

pub(crate) async fn read_whole(mut body: EgressBody, max: usize) -> Result<Bytes, ProviderError> {
    // Most answers come in one piece, which then is not copied.
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| broken(&error))?;
        if first.len().max(all.len()) + piece.len() > max {
            return Err(too_large(max));
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// What can be had of a body that nobody needs whole.
async fn read_at_most(mut body: EgressBody, max: usize) -> Bytes {
    let mut all = BytesMut::new();
    while let Some(Ok(piece)) = body.next().await {
        let room = max.saturating_sub(all.len());
        all.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if all.len() >= max {
            break;
        }
    }
    all.freeze()
}

pub(crate) fn is_json(head: &Parts) -> bool {
    head.headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().starts_with("application/json"))
}

/// A failure inside an answer that was called a success says so by its cause, not by a status of 200.
pub(crate) fn with_status(error: ProviderError, head: &Parts) -> ProviderError {
    let status = error.status.or(Some(head.status.as_u16()));
    ProviderError { status, ..error }
}

pub(crate) fn broken(error: &EgressError) -> ProviderError {
    let why = match error {
        EgressError::Broken(why) => why.clone(),
        other => other.to_string(),
    };
    let what = format!("The connection to the provider broke: {why}.");
    ProviderError::new(Cause::Interrupted, what)
}

/// The configured credential cannot be used with this provider.
fn unauthorized(refusal: Refusal) -> ProviderError {
    ProviderError::new(Cause::Authentication, refusal.detail)
}

pub(crate) fn unreachable(error: &EgressError) -> ProviderError {
    let retry = match error {
        EgressError::AddressRefused(_) | EgressError::Tls(_) => Retry::Never,
        _ => Retry::Now,
    };
    if error.is_before_sending() {
        ProviderError::new(Cause::Unreachable, error.to_string()).with_retry(retry)
    } else {
        broken(error)
    }
}

pub(crate) fn timed_out(bound: Duration) -> ProviderError {
    let seconds = bound.as_secs_f64();
    ProviderError::new(
        Cause::Timeout,
        format!("The provider did not answer within {seconds:.1} seconds."),
    )
}

fn too_large(max: usize) -> ProviderError {
    ProviderError::new(
        Cause::Malformed,
        format!("The provider's answer exceeds {max} bytes."),
    )
}

#[cfg(test)]
mod tests;
