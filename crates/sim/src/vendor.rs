//! What an API is made of: a vendor, who decides whom it answers and how it refuses, and a format, the words of its requests and
//! answers. Clouds serve other vendors' formats, so any vendor may be joined to several formats.

use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::anthropic::Anthropic;
use crate::azure::Azure;
use crate::bedrock::{Bedrock, Converse};
use crate::cohere::Cohere;
use crate::directive::Directive;
use crate::frames::Frames;
use crate::gemini::Gemini;
use crate::openai::{Completions, HuggingFace, OpenAi, Responses, Stored};
use crate::prompt::Prompt;
use crate::record::{Face, Host, SimUsage};
use crate::vertex::Vertex;

/// Who answers: how its callers prove themselves, and how it says no.
pub(crate) trait Vendor: Sync {
    /// Accepts or refuses the credentials, as the vendor does before it looks at anything else.
    fn authenticate(&self, knock: &Knock<'_>) -> Result<(), Failure>;
    /// The error object.
    fn error(&self, face: Face, failure: &Failure, request_id: &str) -> Value;
    /// The vendor's own words for a status.
    fn failure(&self, face: Face, status: u16, retry_after: Option<u64>, model: &str) -> Failure;
    /// The status with which it says, also within a stream, that it cannot go on.
    fn overloaded_status(&self, face: Face) -> u16;
    /// The refusal of a body that is not JSON.
    fn not_json(&self, face: Face, problem: &serde_json::Error) -> Failure;
    /// The refusal of a path that the vendor does not serve.
    fn no_such_path(&self, method: &str, path: &str) -> Failure;
    /// The refusal of a method on a path that the vendor serves.
    fn wrong_method(&self, method: &str, path: &str) -> Failure;
    /// The list of models, where the vendor has one.
    fn models(&self) -> Result<Value, Failure>;
    /// One model of the list.
    fn model(&self, name: &str) -> Result<Value, Failure>;
    /// The fields that the vendor sends with every answer, and those it adds to a refusal.
    fn fields(&self, request_id: &str, failure: Option<&Failure>, fields: &mut HeaderMap);
    /// What the vendor calls the request when it says which one it was.
    fn request_id(&self, hash: u64, sequence: u64) -> String;
}

/// The words of requests and answers.
pub(crate) trait Format: Sync {
    /// Checks a request against the format's rules and takes from it what the answer depends on.
    fn read(&self, ask: &Ask<'_>) -> Result<Prompt, Failure>;
    /// The whole answer.
    fn whole(&self, reply: &Reply<'_>) -> Value;
    /// The answer as a stream.
    fn stream(&self, reply: &Reply<'_>, frames: &mut Frames);
    /// Puts a vendor's error into a stream that has begun.
    fn error_event(&self, failure: &Failure, error: &Value, frames: &mut Frames);
    /// The id that stands inside an answer.
    fn response_id(&self, hash: u64, sequence: u64) -> String;
    /// The tokens of a request's input, where the format has a call that counts them.
    fn count(&self, _ask: &Ask<'_>) -> Option<Result<Value, Failure>> {
        None
    }
    /// Keeps an answer that callers may refer to later.
    fn keep(&self, _reply: &Reply<'_>, _stored: &Stored) {}
}

/// A format as one vendor serves it.
#[derive(Clone, Copy)]
pub(crate) struct Api {
    pub(crate) face: Face,
    pub(crate) host: Host,
    pub(crate) vendor: &'static dyn Vendor,
    pub(crate) format: &'static dyn Format,
}

impl Api {
    pub(crate) fn of(face: Face, host: Host) -> Self {
        let format: &'static dyn Format = match face {
            Face::OpenAi => &OpenAi,
            Face::OpenAiResponses => &Responses,
            Face::OpenAiCompletions => &Completions,
            Face::Anthropic => &Anthropic,
            Face::Gemini => &Gemini,
            Face::Cohere => &Cohere,
            Face::BedrockConverse => &Converse,
        };
        let vendor: &'static dyn Vendor = match host {
            Host::OpenAi => &OpenAi,
            Host::Anthropic => &Anthropic,
            Host::Gemini => &Gemini,
            Host::Cohere => &Cohere,
            Host::AzureOpenAi => &Azure,
            Host::HuggingFace => &HuggingFace,
            Host::Vertex => &Vertex,
            Host::Bedrock => &Bedrock,
        };
        Self {
            face,
            host,
            vendor,
            format,
        }
    }

    /// The vendor's own words for a status.
    pub(crate) fn failure(self, status: u16, retry_after: Option<u64>, model: &str) -> Failure {
        self.vendor.failure(self.face, status, retry_after, model)
    }

    /// The error object.
    pub(crate) fn error(self, failure: &Failure, request_id: &str) -> Value {
        self.vendor.error(self.face, failure, request_id)
    }
}

/// What a caller proves itself with.
pub(crate) struct Knock<'a> {
    pub(crate) head: &'a Parts,
    /// The body as it came: some vendors have it signed.
    pub(crate) body: &'a [u8],
    pub(crate) seed: u64,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// One generation request, parsed as JSON and not yet checked.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) host: Host,
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a Value,
    /// The size of the body as it came, in bytes.
    pub(crate) bytes: usize,
    /// The model named by the path, where the vendor does that.
    pub(crate) path_model: Option<&'a str>,
    /// Whether the path or query asks for a stream, where the vendor does that.
    pub(crate) path_framing: Option<Framing>,
    pub(crate) seed: u64,
    /// The answers that callers may refer to.
    pub(crate) stored: &'a Stored,
}

/// How the events of a stream are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
    Events,
    /// One JSON array, item by item.
    Array,
    /// Binary messages (`application/vnd.amazon.eventstream`), each an event.
    Messages,
    /// Binary messages, each around an event of the model's own format.
    Chunks,
}

impl Framing {
    pub(crate) const fn is_binary(self) -> bool {
        matches!(self, Self::Messages | Self::Chunks)
    }

    /// The media type of a stream.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream; charset=utf-8",
            Self::Array => "application/json; charset=UTF-8",
            Self::Messages | Self::Chunks => "application/vnd.amazon.eventstream",
        }
    }
}

/// Everything an answer is written from.
pub(crate) struct Reply<'a> {
    pub(crate) host: Host,
    /// The request's body.
    pub(crate) asked: &'a Value,
    pub(crate) prompt: &'a Prompt,
    pub(crate) answers: &'a [Answer],
    pub(crate) usage: SimUsage,
    pub(crate) directive: &'a Directive,
    pub(crate) response_id: &'a str,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) seed: u64,
}

/// Why a request is refused, in the vendor's words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    /// The vendor's class of error: `invalid_request_error`, `INVALID_ARGUMENT`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    /// The parameter at fault (OpenAI).
    pub(crate) param: Option<String>,
    /// The error's code (OpenAI).
    pub(crate) code: Option<&'static str>,
    /// Typed details (Google).
    pub(crate) details: Vec<Value>,
    /// Seconds told in `retry-after`.
    pub(crate) retry_after: Option<u64>,
}

impl Failure {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            param: None,
            code: None,
            details: Vec::new(),
            retry_after: None,
        }
    }

    #[must_use]
    pub(crate) fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    #[must_use]
    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    #[must_use]
    pub(crate) fn detail(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: Option<u64>) -> Self {
        self.retry_after = seconds;
        self
    }
}

/// The credential of an `Authorization: Bearer` field.
pub(crate) fn bearer(head: &Parts) -> Option<&str> {
    let (scheme, credential) = field(head, "authorization")?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| credential.trim())
}

/// A field's value, if it is there, is text and is not empty.
pub(crate) fn field<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers
        .get(name)?
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// Keys that no vendor would know: those that begin with `invalid`.
pub(crate) fn is_invalid_key(key: &str) -> bool {
    key.starts_with("invalid")
}

/// The body of a reply that no vendor wrote: a proxy's page, with what looks like a secret in it.
pub(crate) const HTML_ERROR: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n\
    <!-- upstream sk-sim-4f2b9c0d1e8a7356f0c1 via 10.0.3.17:8443 -->\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// A list of models in a vendor's envelope is small enough to be built when asked for.
pub(crate) fn listed(key: &str, models: &[&str], one: impl Fn(&str) -> Value) -> Value {
    json!({ key: models.iter().map(|model| one(model)).collect::<Vec<_>>() })
}
