//! The life of a request that passes to a vendor's own API: the same story as a chat's, but what is asked
//! and answered stays the vendor's. Where the path is one whose answers can be read, they are metered;
//! otherwise the call is recorded as unmetered, and a key with a budget is not served.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::call::Operation;
use domain::caller::Caller;
use domain::chat::Conversion;
use domain::clock::Moment;
use domain::egress::EgressBody;
use domain::name::{ModelName, ProviderName};
use domain::problem::Problem;
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use futures_util::future::{self, BoxFuture};
use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use providers::dialect::{DecodeError, End, Format};
use providers::exchange::Exchange;
use providers::face::InvalidRequest;
use providers::kind::ProviderKind;
use providers::native::meter::{Meter, Native};
use providers::native::{self, Refused, fields};
use providers::tap::Observed;
use providers::task::{TaskReader, TaskStep, TaskStream};

use crate::attempt::{
    AttemptError, Begun, Door, Errand, Failure, Way, is_json, read_whole, timed_out,
};
use crate::chat::{ChatError, Gateway, Inbound, ReportWanted, failed, whole};
use crate::ledger::OpenCall;
use crate::payload::Listener;
use crate::pipeline::Pipeline;
use crate::plan::permitted;
use crate::reply::{Passed, Reply};
use crate::routes::{Plan, Provider, ResolvedTarget, Routes};
use crate::task::observed;
use crate::within::within;

/// What is asked of a vendor's own API.
#[derive(Debug, Clone)]
pub struct NativeRequest {
    /// The configured provider.
    pub provider: ProviderName,
    /// The caller's method.
    pub method: Method,
    /// The path below the provider's base URL, percent-encoded, without a slash at its beginning.
    pub path: String,
    /// The caller's query.
    pub query: Option<String>,
}

/// A vendor's own answer.
pub struct NativeReply {
    /// The vendor's status code, which says that it went well.
    pub status: StatusCode,
    /// The vendor's fields that the caller sees.
    pub fields: HeaderMap,
    /// The body, and what is said of the call.
    pub reply: Reply,
}

/// How an answer is read: what was understood of the request, and what reads a task's answer.
struct Reading<'a> {
    inbound_face: &'static dyn providers::face::Face,
    native: &'a Native,
    reader: Option<Box<dyn TaskReader>>,
    request_id: String,
}

impl Gateway {
    /// Passes a request to the vendor's own API, for a caller whose key permits every model: what passes
    /// may reach whatever the operator's account holds.
    ///
    /// Dropping the future cancels the call: the provider sees the caller go, and the ledger records it.
    pub async fn pass(
        &self,
        caller: &Caller,
        inbound: Inbound,
        asked: NativeRequest,
    ) -> Result<NativeReply, ChatError> {
        if !caller.may_use_every_model() {
            return Err(ChatError::PassingNotPermitted);
        }
        self.pass_on(caller, inbound, asked).await
    }

    /// The same for a request that was found to be the caller's own to make.
    pub(crate) async fn pass_on(
        &self,
        caller: &Caller,
        inbound: Inbound,
        asked: NativeRequest,
    ) -> Result<NativeReply, ChatError> {
        let routes = self.routes();
        let provider = routes
            .provider(asked.provider.as_str())
            .ok_or_else(|| unknown_provider(&asked.provider))?;
        let kind = provider.kind.answering_at(&asked.path);
        let headers = &inbound.asked.headers;
        let mut native = Native::read(kind, &asked.method, &asked.path, &inbound.body);
        let estimate = native.read_task(&inbound.body, headers);
        if matches!(native.meter, Meter::Unknown) && self.limits.has_budget(caller) {
            return Err(ChatError::CannotBeMetered);
        }
        let mut plan = routes.native_plan(provider, kind, native.model.as_deref());
        let named = name(&asked, native.model.as_deref());
        permitted(&routes, caller, &named, plan.target())?;
        let target = plan.target().target();
        let root = kind.root(target.base_url, target.host)?;
        let query = asked.query.as_deref();
        let body = inbound.body.clone();
        let request = native::request(&root, &asked.method, &asked.path, query, headers, body)?;
        let reading = Reading {
            inbound_face: inbound.face,
            reader: native.reader(&inbound.body, headers, kind, &target),
            native: &native,
            request_id: inbound.request_id.to_string(),
        };
        let admitted = match (native.meter, estimate) {
            (Meter::Chat(_), _) => {
                let max = native.max_output_tokens;
                self.admit_chat(caller, &inbound, None, max, &mut plan)
                    .await?
            }
            (_, estimate) => {
                let estimate = estimate.unwrap_or_default();
                self.admit_estimate(caller, &inbound, None, estimate, &mut plan)
                    .await?
            }
        };
        let listener = self.listen(caller, &inbound);
        let name = name(&asked, native.model.as_deref());
        let operation = Operation::PassThrough;
        let opening = inbound.opening(operation, native.stream, name, caller, &plan, admitted);
        let mut call = self.ledger.open(opening)?;
        match native.meter {
            Meter::Free => call.observe(nothing_taken()),
            Meter::Unknown => call.is_unmetered(),
            Meter::Chat(_) | Meter::Task(_) => {}
        }
        let mut way = Way {
            plan: &plan,
            errand: NativeErrand,
            at: 0,
            ready: request,
        };
        let answered = match self.attempt(&mut way, &mut call).await {
            Ok((head, body)) => {
                self.hand_on(reading, &plan, head, body, call, listener)
                    .await
            }
            Err(AttemptError::Provider(failure)) => Err((failure.error, call)),
            Err(AttemptError::Journal(error)) => return Err(error.into()),
        };
        answered.map_err(|(error, call)| {
            let failure = Failure {
                error,
                at: 0,
                same_format: true,
            };
            failed(failure, &plan, call)
        })
    }

    /// Hands the vendor's answer to the caller: whole where its usage stands in one document, as it comes
    /// otherwise.
    async fn hand_on(
        &self,
        reading: Reading<'_>,
        plan: &Plan,
        head: Parts,
        body: EgressBody,
        mut call: Box<OpenCall>,
        listener: Option<Listener>,
    ) -> Result<NativeReply, (ProviderError, Box<OpenCall>)> {
        call.answer_with(head.status);
        let status = head.status;
        let mut answered = fields::back(&head.headers);
        let content_type = answered
            .remove(CONTENT_TYPE)
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        let reply = if reading.is_of_a_document(&head) {
            let deadline = call.received().after(plan.timeouts.total);
            let left = deadline.since(self.clock.moment());
            let max = self.settings.max_response;
            let read = within(&*self.clock, left, read_whole(body, max)).await;
            let body = match read.unwrap_or_else(|| Err(timed_out(left))) {
                Ok(body) => body,
                Err(error) => return Err((error, call)),
            };
            call.observe(reading.observed(plan, &head, &body));
            whole(plan.target(), content_type, body, call, listener).await
        } else {
            let pipeline = Box::new(reading.pipeline(plan, &head, content_type.clone()));
            let begun = Begun {
                content_type,
                body,
                pipeline,
                ready: Vec::new(),
                is_over: false,
                continuation: None,
            };
            let passed = Passed {
                same_format: true,
                conversion: Conversion::default(),
            };
            let (timeouts, target) = (&plan.timeouts, plan.target());
            let report = ReportWanted::default();
            self.stream(begun, timeouts, target, passed, report, call, listener)
        };
        Ok(NativeReply {
            status,
            fields: answered,
            reply,
        })
    }
}

/// A request that passes to one provider.
struct NativeErrand;

impl Errand for NativeErrand {
    type Ready = Request<Bytes>;
    type Answer = (Parts, EgressBody);

    fn patience(&self, plan: &Plan) -> Duration {
        plan.timeouts.total
    }

    fn is_verbatim(_: &Request<Bytes>) -> bool {
        true
    }

    fn prepare<'a>(
        &'a self,
        _: &'a Gateway,
        _: &'a Arc<ResolvedTarget>,
        _: bool,
    ) -> BoxFuture<'a, Result<Option<Request<Bytes>>, ChatError>> {
        Box::pin(future::ready(Ok(None)))
    }

    async fn exchange(
        &self,
        gateway: &Gateway,
        door: Door<'_>,
        ready: &Request<Bytes>,
        _: Moment,
    ) -> Result<(u16, (Parts, EgressBody)), ProviderError> {
        let answered = gateway.courier.ask_at(door, ready).await?;
        let (head, body) = gateway.successful_task(door.target, answered).await?;
        Ok((head.status.as_u16(), (head, body)))
    }
}

impl Reading<'_> {
    /// Whether the usage stands in a document, which is read whole.
    fn is_of_a_document(&self, head: &Parts) -> bool {
        match self.native.meter {
            Meter::Chat(_) => is_json(head) && !self.native.stream,
            Meter::Task(_) => {
                let reader = self.reader.as_ref();
                is_json(head) && reader.is_some_and(|reader| reader.stream(head).is_none())
            }
            Meter::Free | Meter::Unknown => false,
        }
    }

    /// What the ledger wants to know of a document. What cannot be read says nothing, and passes.
    fn observed(&self, plan: &Plan, head: &Parts, body: &Bytes) -> Observed {
        let read = match (self.native.meter, &self.reader) {
            (Meter::Chat(dialect), _) => dialect.observe(&self.exchange(plan), head, body),
            (_, Some(reader)) => reader.read(head, body.clone()).map(|step| match step {
                TaskStep::Done(answer) => observed(&answer),
                TaskStep::Again { .. } => Observed::default(),
            }),
            (_, None) => Ok(Observed::default()),
        };
        read.unwrap_or_default()
    }

    /// Passes the bytes, and reads along where the format is known.
    fn pipeline(&self, plan: &Plan, head: &Parts, content_type: HeaderValue) -> Pipeline {
        let task = self.reader.as_ref().and_then(|reader| reader.stream(head));
        match (self.native.meter, task) {
            (_, Some(stream)) => Pipeline::of_task(stream),
            (Meter::Chat(dialect), None) if is_read(dialect.format(), head) => {
                let request_id = self.request_id.clone();
                Pipeline::of_native(self.inbound_face, dialect, &self.exchange(plan), request_id)
            }
            (meter, None) => Pipeline::of_task(Box::new(Unread {
                content_type,
                observed: match meter {
                    Meter::Free => nothing_taken(),
                    _ => Observed::default(),
                },
            })),
        }
    }

    fn exchange(&self, plan: &Plan) -> Exchange {
        Exchange {
            streamed: self.native.stream,
            model: plan.target().model.clone(),
            ..Exchange::default()
        }
    }
}

/// Whether a stream is framed as the format's decoder reads it. Gemini without `alt=sse` sends an array.
fn is_read(format: Format, head: &Parts) -> bool {
    let kind = head.headers.get(CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match format {
        Format::BedrockConverse => true,
        _ => kind.starts_with("text/event-stream") || kind.starts_with("application/vnd.amazon"),
    }
}

/// Bytes that pass unread.
struct Unread {
    content_type: HeaderValue,
    observed: Observed,
}

impl TaskStream for Unread {
    fn content_type(&self) -> HeaderValue {
        self.content_type.clone()
    }

    fn push(&mut self, piece: &Bytes, out: &mut Vec<Bytes>) -> Result<(), DecodeError> {
        self.observed.has_content = true;
        out.push(piece.clone());
        Ok(())
    }

    fn finish(&mut self, end: End, _: &mut Vec<Bytes>) -> Result<(), DecodeError> {
        match end {
            End::Clean => Ok(()),
            End::Broken => Err(DecodeError::Malformed("it broke off".to_owned())),
        }
    }

    /// There is no way to say it that the bytes before it allow.
    fn fail(&mut self, _: &Problem, _: &mut Vec<Bytes>) {}

    fn observed(&self) -> &Observed {
        &self.observed
    }
}

/// What a request is for that asks OpenAI's API below `/v1` and has no face of its own: which provider's, and
/// the body with the model in the provider's words. It is the provider that the parameter `provider` of
/// the query names; or the one that serves the model of the body; or the one that is OpenAI.
pub fn of_openai(
    routes: &Routes,
    method: &Method,
    path: &str,
    query: Option<&str>,
    body: Bytes,
) -> Result<(NativeRequest, Bytes), ChatError> {
    let (named, query) = without_provider(query);
    let (provider, body) = match named {
        Some(name) => (named_provider(routes, &name)?, body),
        None => by_model(routes, body)?,
    };
    let asked = NativeRequest {
        provider: provider.name.clone(),
        method: method.clone(),
        path: path.to_owned(),
        query,
    };
    Ok((asked, body))
}

/// The parameter `provider` of a query, and the query without it.
fn without_provider(query: Option<&str>) -> (Option<String>, Option<String>) {
    let pairs = || query.into_iter().flat_map(|query| query.split('&'));
    let named = pairs().find_map(|pair| pair.strip_prefix("provider="));
    let rest: Vec<&str> = pairs()
        .filter(|pair| !pair.starts_with("provider="))
        .collect();
    (
        named.map(str::to_owned),
        Some(rest.join("&")).filter(|rest| !rest.is_empty()),
    )
}

fn named_provider<'r>(routes: &'r Routes, name: &str) -> Result<&'r Arc<Provider>, ChatError> {
    let provider = routes.provider(name).filter(|it| speaks_openai(it));
    provider.ok_or_else(|| ChatError::UnknownProvider {
        detail: format!("`provider` must name a configured provider of kind openai, not '{name}'."),
    })
}

/// The provider that serves the model that the body names, and the body with its name there; the one that
/// is OpenAI where the body names none that is served.
fn by_model(routes: &Routes, body: Bytes) -> Result<(&Arc<Provider>, Bytes), ChatError> {
    let named = native::named_model(&body);
    let plan = named.and_then(|model| Some((routes.plan(&model).ok()?, model)));
    if let Some((plan, model)) = plan {
        let name = plan.target().provider.name.as_str();
        let Some(provider) = routes.provider(name).filter(|it| speaks_openai(it)) else {
            let detail = format!("The model '{model}' is not one of a provider of kind openai.");
            return Err(InvalidRequest::of("model", detail).into());
        };
        return Ok((provider, native::with_model(&body, &plan.target().model)?));
    }
    let provider = routes.openai_provider();
    let provider = provider.ok_or_else(|| ChatError::UnknownProvider {
        detail: "Several providers could be meant, or none. Name one: by `?provider=NAME`, or by its name \
                 before the model's, as in `\"model\": \"NAME/gpt-4.1-nano\"`."
            .to_owned(),
    })?;
    Ok((provider, body))
}

fn speaks_openai(provider: &Provider) -> bool {
    matches!(provider.kind, ProviderKind::Openai | ProviderKind::Sim)
}

/// What is known of an answer that nobody bills.
fn nothing_taken() -> Observed {
    Observed {
        usage: Some(Usage::default()),
        has_content: true,
        ..Observed::default()
    }
}

/// The name under which the call is recorded, cut where it is too long for one.
fn name(asked: &NativeRequest, model: Option<&str>) -> ModelName {
    let rest = model
        .filter(|model| !model.is_empty())
        .unwrap_or(&asked.path);
    let whole = format!("{}/{rest}", asked.provider);
    let end = whole.floor_char_boundary(256);
    let cut = whole.get(..end).unwrap_or_default();
    // Only a model with control characters has no name.
    cut.parse()
        .unwrap_or_else(|_| ModelName::from(&asked.provider))
}

fn unknown_provider(provider: &ProviderName) -> ChatError {
    ChatError::UnknownProvider {
        detail: format!(
            "There is no provider '{provider}' here. The path is `/passthrough/{{provider}}/…`, with a \
             provider's name from the configuration; GET /v1/models lists what each serves."
        ),
    }
}

impl From<Refused> for ChatError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Path(invalid) => Self::Invalid(invalid),
            Refused::Provider(refusal) => Self::Refused(refusal),
        }
    }
}

#[cfg(test)]
mod tests;
