//! Gives an answer again that is kept: in the caller's format, whole or as a stream, whichever way it came.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::call::{CacheOutcome, Operation};
use domain::caller::Caller;
use domain::chat::{ChatEvent, ChatResponse};
use domain::money::Cost;
use domain::name::ModelName;
use http::HeaderValue;
use providers::collect::Collector;
use providers::dialect::{Dialect, End, Format};
use providers::exchange::Exchange;
use providers::face::{Face, Rendering};
use providers::hosts::Serves;
use providers::kind::ProviderKind;
use providers::openai::responses::state::{AnswerTap, answer_id, response_id};
use providers::unfold::unfold;

use super::entry::{Entry, Form};
use crate::admit::Admitted;
use crate::chat::{ChatError, Gateway, Inbound};
use crate::ledger::Ending;
use crate::payload::Listener;
use crate::reply::{Reply, ReplyFacts, ReplyStream};
use crate::routes::Plan;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer that was found, in the form that is asked for.
pub(crate) struct Found {
    entry: Arc<Entry>,
    form: Form,
    content_type: HeaderValue,
    body: Bytes,
    outcome: CacheOutcome,
}

impl Found {
    /// The answer in the form that is asked for; `None` where it came in another one and cannot be turned
    /// into it.
    pub(super) fn new(
        entry: &Arc<Entry>,
        form: Form,
        face: &'static dyn Face,
        rendering: impl Fn() -> Rendering,
    ) -> Option<Self> {
        let (content_type, body) = if entry.about.form == form {
            (entry.content_type(), entry.body.clone())
        } else {
            turned(entry, form, face, &rendering())?
        };
        Some(Self {
            entry: Arc::clone(entry),
            form,
            content_type,
            body,
            outcome: CacheOutcome::Hit,
        })
    }

    /// An answer that has one form only.
    pub(super) fn whole(entry: &Arc<Entry>) -> Self {
        Self {
            content_type: entry.content_type(),
            body: entry.body.clone(),
            entry: Arc::clone(entry),
            form: Form::Whole,
            outcome: CacheOutcome::Hit,
        }
    }

    /// The same, where it was asked in other words.
    pub(super) fn by_meaning(self) -> Self {
        Self {
            outcome: CacheOutcome::SemanticHit,
            ..self
        }
    }

    /// What the answer had cost.
    pub(super) fn saved(&self) -> Option<Cost> {
        self.entry.about.cost
    }

    /// Gives an answer of OpenAI's responses the identifier of this call: callers refer to it, and it is
    /// theirs alone.
    fn renamed(&mut self, inbound_id: domain::id::RequestId) {
        let id = match self.form {
            Form::Whole => answer_id(&self.body),
            Form::Stream | Form::StreamWithUsage => {
                let mut tap = AnswerTap::default();
                tap.push(&self.body);
                let answer = tap.finish();
                answer.and_then(|answer| answer_id(answer.get().as_bytes()))
            }
        };
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return;
        };
        // Items have the stem of their answer's identifier in theirs, where the gateway made them.
        let own = response_id(inbound_id);
        let (from, to) = match (id.strip_prefix("resp_"), own.strip_prefix("resp_")) {
            (Some(from), Some(to)) if from.len() == to.len() => (from, to),
            _ => (id.as_str(), own.as_str()),
        };
        self.body = replaced(&self.body, from.as_bytes(), to.as_bytes());
    }
}

fn replaced(body: &Bytes, from: &[u8], to: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len());
    let mut copied = 0;
    for at in memchr::memmem::find_iter(body, from) {
        out.extend_from_slice(body.get(copied..at).unwrap_or_default());
        out.extend_from_slice(to);
        copied = at + from.len();
    }
    out.extend_from_slice(body.get(copied..).unwrap_or_default());
    out.freeze()
}

/// An answer in another form than it came in, through the format's own decoder and the face.
fn turned(
    entry: &Entry,
    form: Form,
    face: &'static dyn Face,
    rendering: &Rendering,
) -> Option<(HeaderValue, Bytes)> {
    if face.reframes() {
        return None;
    }
    let dialect = dialect_of(face.format())?;
    let mut events = events(entry, dialect)?;
    let has_usage = events
        .iter()
        .any(|event| matches!(event, ChatEvent::Usage(_)));
    if !has_usage {
        events.extend(entry.about.usage.map(ChatEvent::Usage));
    }
    if form == Form::Whole {
        let mut collector = Collector::default();
        for event in events {
            collector.push(event);
        }
        let response = collector.finish();
        return Some((JSON, face.render(&response, rendering, None)));
    }
    let mut encoder = face.encoder(rendering);
    let mut out = BytesMut::with_capacity(entry.body.len());
    for event in &events {
        encoder.push(event, &mut out);
    }
    encoder.finish(None, &mut out);
    let content_type = HeaderValue::from_static(face.stream_type());
    Some((content_type, out.freeze()))
}

/// What the answer says; `None` where it cannot be read, or is an error.
fn events(entry: &Entry, dialect: &dyn Dialect) -> Option<Vec<ChatEvent>> {
    let exchange = Exchange {
        streamed: entry.about.form.is_streamed(),
        model: entry.about.model.clone(),
        ..Exchange::default()
    };
    let mut events = Vec::new();
    if exchange.streamed {
        let mut decoder = dialect.decoder(&exchange);
        decoder.push(&entry.body, &mut events).ok()?;
        decoder.finish(End::Clean, &mut events).ok()?;
    } else {
        let head = http::Response::builder()
            .header(http::header::CONTENT_TYPE, JSON)
            .body(())
            .ok()?;
        let (head, ()) = head.into_parts();
        let response: ChatResponse = dialect.decode(&exchange, &head, &entry.body).ok()?;
        unfold(response, &mut events);
    }
    let is_error = |event: &ChatEvent| matches!(event, ChatEvent::Error(_));
    (!events.iter().any(is_error)).then_some(events)
}

/// The words of an answer in this format; `None` where there are none to be read.
pub(super) fn words(entry: &Entry, format: Format) -> Option<String> {
    let mut words = String::new();
    for event in events(entry, dialect_of(format)?)? {
        if let ChatEvent::Text { text, .. } = event {
            words.push_str(&text);
        }
    }
    (!words.is_empty()).then_some(words)
}

/// Who reads the format that a face writes.
fn dialect_of(format: Format) -> Option<&'static dyn Dialect> {
    let kinds = [
        ProviderKind::Openai,
        ProviderKind::Anthropic,
        ProviderKind::Gemini,
        ProviderKind::Cohere,
    ];
    kinds
        .into_iter()
        .flat_map(|kind| kind.dialects("", Serves::OPENAI))
        .find(|dialect| dialect.format() == format)
        .copied()
}

impl Gateway {
    /// Answers with what was found. The call is recorded as any other; it takes nothing.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is known of a call before it is opened, once"
    )]
    pub(crate) async fn replay<A: ?Sized>(
        &self,
        mut found: Found,
        operation: Operation,
        caller: &Caller,
        inbound: Inbound<A>,
        model: ModelName,
        plan: &Plan,
        admitted: Admitted,
        listener: Option<Listener>,
    ) -> Result<Reply, ChatError> {
        if inbound.face_name == domain::call::Face::OpenaiResponses {
            found.renamed(inbound.request_id);
        }
        let age = found.entry.age(inbound.started_at);
        let streamed = found.form.is_streamed();
        let opening = inbound.opening(operation, streamed, model, caller, plan, admitted);
        let mut call = self.ledger.open(opening)?;
        let about = &found.entry.about;
        call.answer_from_cache(found.outcome, about.provider.clone(), about.cost);
        call.answer_with(http::StatusCode::OK);
        call.observe(found.entry.observed());
        if streamed {
            call.first_content();
        }
        let facts = ReplyFacts {
            provider: about.provider.clone(),
            model: about.model.clone(),
            is_simulated: about.is_simulated,
            is_safe_reply: false,
            media_url: None,
            attempts: 0,
            cost: (!streamed).then_some(Cost::ZERO),
            overhead: call.overhead(),
            cache: found.outcome,
            age: Some(whole_seconds(age)),
            standing: call.standing(),
        };
        if let Some(mut listener) = listener {
            listener.hear(&found.body);
        }
        call.end_with_others(&Ending::Answered).await;
        let (content_type, body) = (found.content_type, found.body);
        Ok(if streamed {
            Reply::Stream {
                facts,
                content_type,
                stream: Box::new(ReplyStream::known(body, self.drains.clone())),
            }
        } else {
            Reply::Whole {
                facts,
                content_type,
                body,
            }
        })
    }
}

fn whole_seconds(age: Duration) -> Duration {
    Duration::from_secs(age.as_secs())
}
