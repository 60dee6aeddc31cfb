//! The API for applications (`/api/ai/chat`): OpenAI's chat completions with camelCase names, the provider and the
//! cost in the answer, and an error object of its own.
//!
//! A request is read into OpenAI's format at once ([`Face::read`]), so that a target of that format gets it without
//! another translation; answers and frames are renamed on their way out. Values that belong to the caller (schemas,
//! arguments of tools, metadata) are left as they are.

mod names;
mod read;
mod settings;

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use domain::chat::{ChatEvent, ChatRequest, ChatResponse};
use domain::name::ProviderName;
use domain::problem::{Problem, ProblemKind};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::dialect::Format;
use crate::face::{
    Asked, Envelope, Face, InvalidRequest, Rendering, Spliced, StreamEncoder, StreamRelay,
};
use crate::framing::cut::EventCutter;
use crate::openai::OpenaiChat;

pub use settings::{CacheSettings, MAX_RETRIES, Settings, settings};

/// Chats of applications.
pub struct ApplicationChat;

impl Face for ApplicationChat {
    fn format(&self) -> Format {
        Format::OpenaiChat
    }

    fn read(&self, body: Bytes) -> Result<Bytes, InvalidRequest> {
        read::request(&body)
    }

    fn envelope(&self, asked: &Asked, body: &[u8]) -> Result<Envelope, InvalidRequest> {
        let envelope = OpenaiChat.envelope(asked, body).map_err(renamed)?;
        let model = asked.model.clone().unwrap_or(envelope.model);
        Ok(Envelope { model, ..envelope })
    }

    fn forwarded(&self, asked: &Asked) -> HeaderMap {
        OpenaiChat.forwarded(asked)
    }

    fn splice(&self, envelope: &Envelope, body: &Bytes, model: &str) -> Spliced {
        OpenaiChat.splice(envelope, body, model)
    }

    fn parse(&self, asked: &Asked, body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
        OpenaiChat.parse(asked, body).map_err(renamed)
    }

    fn field<'a>(&self, request: &ChatRequest, path: &'a str) -> Cow<'a, str> {
        Cow::Owned(names::camel(&OpenaiChat.field(request, path)))
    }

    fn render(
        &self,
        response: &ChatResponse,
        rendering: &Rendering,
        report: Option<&Value>,
    ) -> Bytes {
        shown(&OpenaiChat.render(response, rendering, None), report)
    }

    fn render_error(&self, problem: &Problem, _: &str) -> (StatusCode, Bytes) {
        let body = json!({ "error": error(problem, None) });
        (problem.status(), body.to_string().into())
    }

    fn encoder(&self, rendering: &Rendering) -> Box<dyn StreamEncoder> {
        Box::new(Renaming {
            inner: OpenaiChat.encoder(rendering),
            frames: Frames::default(),
        })
    }

    /// Also where the bytes of an answer pass, they are renamed; the gateway always makes a report for this face.
    fn attach_report(&self, body: Bytes, report: &Value) -> Bytes {
        shown(&body, Some(report))
    }

    fn reframes(&self) -> bool {
        true
    }

    fn relay(&self, withhold_usage: bool) -> Box<dyn StreamRelay> {
        Box::new(Renaming {
            inner: OpenaiChat.relay(withhold_usage),
            frames: Frames::default(),
        })
    }

    fn stream_error(&self, problem: &Problem, _: &str) -> Bytes {
        let mut out = BytesMut::from(&b"\n\n"[..]);
        write_error(problem, &mut out);
        out.freeze()
    }

    fn heartbeat(&self) -> Bytes {
        OpenaiChat.heartbeat()
    }
}

/// A refusal with the caller's names.
fn renamed(invalid: InvalidRequest) -> InvalidRequest {
    let Some(param) = invalid.param else {
        return invalid;
    };
    let camel = names::camel(&param);
    InvalidRequest {
        detail: invalid.detail.replace(&param, &camel),
        param: Some(camel),
    }
}

/// The error object: its `type` is one of five words, and says who has to do something.
pub fn error(problem: &Problem, provider: Option<&ProviderName>) -> Value {
    let (kind, retryable) = match problem.kind {
        ProblemKind::Unauthenticated | ProblemKind::PermissionDenied => ("authentication", false),
        ProblemKind::RateLimited | ProblemKind::ProviderRateLimited => {
            ("rate_limit", problem.retry_after.is_some())
        }
        ProblemKind::BudgetExhausted => ("rate_limit", false),
        ProblemKind::InvalidRequest
        | ProblemKind::NotFound
        | ProblemKind::UnknownModel
        | ProblemKind::MethodNotAllowed
        | ProblemKind::NotImplemented
        | ProblemKind::Conflict
        | ProblemKind::TooLarge
        | ProblemKind::ContextTooLong
        | ProblemKind::Unsupported
        | ProblemKind::ContentPolicy => ("invalid_request", false),
        ProblemKind::ProviderUnreachable | ProblemKind::ProviderTimeout => ("network_error", true),
        ProblemKind::ProviderOverloaded | ProblemKind::Unavailable => ("api_error", true),
        ProblemKind::ProviderCredential | ProblemKind::ProviderFailed | ProblemKind::Internal => {
            ("api_error", false)
        }
    };
    json!({
        "code": problem.kind.slug(),
        "message": problem.detail,
        "type": kind,
        "provider": provider.map(shown_provider),
        "retryable": retryable,
        "param": problem.param,
    })
}

/// A provider's name as applications write it.
fn shown_provider(provider: &ProviderName) -> String {
    provider.as_str().to_uppercase()
}

/// Puts the provider's name into a whole answer.
pub fn with_provider(body: &Bytes, provider: &ProviderName) -> Bytes {
    match serde_json::from_slice::<Map<String, Value>>(body) {
        Ok(mut answer) => {
            answer.insert("provider".to_owned(), json!(shown_provider(provider)));
            Value::from(answer).to_string().into()
        }
        Err(_) => body.clone(),
    }
}

/// What a report says of how an answer came about.
const MARKS: [&str; 2] = ["safe_reply", "continuations"];

/// An answer or a chunk with the caller's names and, from the report, its cost and its marks. What is no JSON stays
/// as it is.
fn shown(body: &[u8], report: Option<&Value>) -> Bytes {
    match serde_json::from_slice(body) {
        Ok(value) => {
            let mut value = names::camel_keys(value);
            if let Some(usage) = value.get_mut("usage").and_then(Value::as_object_mut) {
                let cost = report.and_then(cost);
                usage.insert("cost".to_owned(), cost.unwrap_or(Value::Null));
            }
            if let (Some(members), Some(report)) = (value.as_object_mut(), report) {
                let marks = MARKS.into_iter().filter_map(|mark| {
                    let said = report.get(mark)?.clone();
                    Some((names::camel(mark), names::camel_keys(said)))
                });
                members.extend(marks);
            }
            value.to_string().into()
        }
        Err(_) => Bytes::copy_from_slice(body),
    }
}

/// The cost of a report in US dollars, a JSON number.
fn cost(report: &Value) -> Option<Value> {
    let cost = report.pointer("/cost/cost_usd")?.as_str()?;
    let cost: f64 = cost.parse().ok()?;
    Some(json!(cost))
}

/// Renames the frames of a stream. The usage waits for the end of the stream, when its cost is known.
#[derive(Default)]
struct Frames {
    cutter: EventCutter,
    /// What the inner renderer wrote.
    written: BytesMut,
    /// The frame that has the usage.
    usage: Option<Vec<u8>>,
    /// What ends the stream.
    terminal: BytesMut,
}

impl Frames {
    /// Passes on what the inner renderer wrote.
    fn pass(&mut self, out: &mut BytesMut) {
        let written = self.written.split();
        self.cutter.push(&written);
        while let Some(event) = self.cutter.next_event() {
            self.frame(&event, out);
        }
    }

    fn frame(&mut self, event: &[u8], out: &mut BytesMut) {
        let text = String::from_utf8_lossy(event);
        let Some(data) = text.lines().find_map(|line| line.strip_prefix("data:")) else {
            out.put_slice(event);
            return;
        };
        let data = data.trim();
        if data == "[DONE]" {
            self.terminal.put_slice(event);
            return;
        }
        let chunk: Result<Value, _> = serde_json::from_str(data);
        let has_usage = chunk.is_ok_and(|chunk| chunk.get("usage").is_some_and(Value::is_object));
        if has_usage {
            self.usage = Some(data.as_bytes().to_vec());
        } else {
            write_frame(&shown(data.as_bytes(), None), out);
        }
    }

    /// Ends the stream.
    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        self.pass(out);
        let rest = self.cutter.finish();
        if !rest.is_empty() {
            self.frame(&rest, out);
        }
        if let Some(usage) = self.usage.take() {
            write_frame(&shown(&usage, report), out);
        }
        out.unsplit(self.terminal.split());
    }
}

fn write_frame(data: &[u8], out: &mut BytesMut) {
    out.put_slice(b"data: ");
    out.put_slice(data);
    out.put_slice(b"\n\n");
}

fn write_error(problem: &Problem, out: &mut BytesMut) {
    let frame = json!({ "error": error(problem, None) }).to_string();
    write_frame(frame.as_bytes(), out);
}

/// Renames what a renderer of OpenAI's format writes.
struct Renaming<R> {
    inner: R,
    frames: Frames,
}

impl StreamEncoder for Renaming<Box<dyn StreamEncoder>> {
    fn push(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        self.inner.push(event, &mut self.frames.written);
        self.frames.pass(out);
    }

    fn fail(&mut self, problem: &Problem, out: &mut BytesMut) {
        self.frames.pass(out);
        // The inner renderer has to know that nothing follows; its words for it are another API's.
        self.inner.fail(problem, &mut self.frames.written);
        self.frames.written.clear();
        write_error(problem, out);
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        self.inner.finish(None, &mut self.frames.written);
        self.frames.finish(report, out);
    }
}

impl StreamRelay for Renaming<Box<dyn StreamRelay>> {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) {
        self.inner.push(bytes, &mut self.frames.written);
        self.frames.pass(out);
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        self.inner.finish(None, &mut self.frames.written);
        self.frames.finish(report, out);
    }

    fn fail(&mut self, error: &[u8], out: &mut BytesMut) {
        // What was begun and not ended is nothing that can be renamed.
        self.frames.pass(out);
        out.put_slice(error);
    }
}

#[cfg(test)]
mod tests;
