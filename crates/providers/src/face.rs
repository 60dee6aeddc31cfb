//! The caller's side of a wire format.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatEvent, ChatRequest, ChatResponse};
use domain::name::ModelName;
use domain::problem::Problem;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::dialect::Format;

/// What a request says beside its body.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The model that the URL names, in formats that name it there.
    pub model: Option<ModelName>,
    /// Whether the URL asks for a stream; `None` where the body says it.
    pub stream: Option<bool>,
    /// The request's fields.
    pub headers: HeaderMap,
    /// The gateway's own identifier of the request, for answers that want one where the provider gave none.
    pub request_id: String,
}

/// What is read of every request before anything is decided; the rest of the body stays raw.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The model's name as the caller wrote it.
    pub model: ModelName,
    /// Whether a streamed answer is wanted.
    pub stream: bool,
    /// Whether the stream is to end with the usage.
    pub stream_usage: bool,
    /// Bound on the output in tokens, where the caller set one.
    pub max_output_tokens: Option<u64>,
    /// How many answers are wanted; at least 1.
    pub choices: u32,
    /// How many messages there are.
    pub messages: usize,
    /// Where in the body the value of the model's name stands, quotes included; `None` where the URL
    /// names the model.
    pub model_span: Option<std::ops::Range<usize>>,
    /// Where in the body the value of `stream_options` stands, if it is there.
    pub stream_options_span: Option<std::ops::Range<usize>>,
}

/// The request is not what the face allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct InvalidRequest {
    /// What is wrong and what would be right: a sentence.
    pub detail: String,
    /// The field that is to blame, as a path.
    pub param: Option<String>,
}

impl InvalidRequest {
    /// The field `param` is to blame.
    pub fn of(param: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            param: Some(param.into()),
        }
    }
}

/// What the caller is shown beside the answer's own content.
#[derive(Debug, Clone)]
pub struct Rendering {
    /// The answer's identifier, used where the provider gave none.
    pub id: String,
    /// When the answer was made.
    pub created: Timestamp,
    /// The model that answers, used where the provider did not say.
    pub model: String,
    /// Whether a stream ends with the usage.
    pub stream_usage: bool,
    /// What the input is estimated to be, for formats that say it before the provider does.
    pub estimated_input_tokens: u64,
    /// The request's body as it was sent, for formats whose answers repeat what was asked.
    pub asked: Bytes,
}

/// A body for a target of the caller's own format.
#[derive(Debug, Clone)]
pub struct Spliced {
    /// The caller's bytes with the listed edits and no other.
    pub body: Bytes,
    /// Whether the usage was asked for on our own behalf and is to be withheld from the caller.
    pub withhold_usage: bool,
}

/// The caller's side of one wire format: parse what was sent, render what is answered. Pure.
pub trait Face: Send + Sync {
    /// The format; a target of the same format gets the caller's bytes.
    fn format(&self) -> Format;

    /// The body in the words of [`Face::format`], where the caller writes it otherwise. Everything else is then
    /// asked of this.
    fn read(&self, body: Bytes) -> Result<Bytes, InvalidRequest> {
        Ok(body)
    }

    /// Reads what is needed to decide, and no more; refuses what is not JSON or lacks what every
    /// request must have.
    fn envelope(&self, asked: &Asked, body: &[u8]) -> Result<Envelope, InvalidRequest>;

    /// The caller's fields that belong to the format and that a target of the same format gets.
    fn forwarded(&self, asked: &Asked) -> HeaderMap {
        let _ = asked;
        HeaderMap::new()
    }

    /// The verbatim edits: the model's name and, for a stream that would carry no usage, the option
    /// that asks for it.
    fn splice(&self, envelope: &Envelope, body: &Bytes, model: &str) -> Spliced;

    /// Reads the whole request. Where the caller's paths are not those of the domain's model, says so in
    /// [`ChatRequest::paths`].
    fn parse(&self, asked: &Asked, body: &[u8]) -> Result<ChatRequest, InvalidRequest>;

    /// The caller's path of what a translation reports or refuses: dialects speak of `request` in the
    /// words of OpenAI's chat format.
    fn field<'a>(&self, request: &ChatRequest, path: &'a str) -> Cow<'a, str> {
        if request.extensions.contains_key(path) {
            return Cow::Borrowed(path);
        }
        request.paths.of(path)
    }

    /// Renders a whole answer.
    fn render(
        &self,
        response: &ChatResponse,
        rendering: &Rendering,
        report: Option<&Value>,
    ) -> Bytes;

    /// Renders a problem of the request that `request_id` names.
    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes);

    /// The media type of a stream.
    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// Renders a translated stream.
    fn encoder(&self, rendering: &Rendering) -> Box<dyn StreamEncoder>;

    /// Puts a report into a whole answer that passes verbatim.
    fn attach_report(&self, body: Bytes, report: &Value) -> Bytes;

    /// Whether every stream that passes verbatim goes through [`Face::relay`], because its frames are not
    /// those of the provider.
    fn reframes(&self) -> bool {
        false
    }

    /// Edits a stream that passes verbatim: withholds the usage-only event when told to, and puts a
    /// report before the terminal event.
    fn relay(&self, withhold_usage: bool) -> Box<dyn StreamRelay>;

    /// A problem in the middle of a stream that passes verbatim, to be written after whatever bytes
    /// were sent.
    fn stream_error(&self, problem: &Problem, request_id: &str) -> Bytes;

    /// A comment that keeps an idle stream open and that every client ignores.
    fn heartbeat(&self) -> Bytes;
}

/// Renders events as the bytes of a stream in the face's format.
pub trait StreamEncoder: Send {
    /// Renders one event.
    fn push(&mut self, event: &ChatEvent, out: &mut BytesMut);

    /// Renders a problem; nothing follows.
    fn fail(&mut self, problem: &Problem, out: &mut BytesMut);

    /// Renders the end, with the report where one is wanted.
    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut);
}

/// Passes the bytes of a stream on, all but what it was told to withhold, byte for byte.
pub trait StreamRelay: Send {
    /// Whether the next bytes may be passed on as they are. They are then not pushed.
    fn passes(&self, _bytes: &[u8]) -> bool {
        false
    }

    /// Takes the next bytes and appends what may be passed on; holds back an event that is not complete.
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut);

    /// Says that no more bytes come: appends the report and whatever was held back.
    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut);

    /// Says that no more bytes come because of a problem, which [`Face::stream_error`] has rendered.
    fn fail(&mut self, error: &[u8], out: &mut BytesMut) {
        self.finish(None, out);
        out.extend_from_slice(error);
    }
}
