//! What the three faces have in common: each reads a request as strictly as its vendor and writes the answer in its vendor's shape.

use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::directive::Directive;
use crate::frames::Frames;
use crate::prompt::Prompt;
use crate::record::SimUsage;

/// One vendor's API.
pub(crate) trait Vendor: Sync {
    /// Accepts or refuses the credentials, as the vendor does before it looks at anything else.
    fn authenticate(&self, head: &Parts) -> Result<(), Failure>;
    /// Checks a request against the vendor's rules and takes from it what the answer depends on.
    fn read(&self, ask: &Ask<'_>) -> Result<Prompt, Failure>;
    /// The whole answer.
    fn whole(&self, reply: &Reply<'_>) -> Value;
    /// The answer as a stream.
    fn stream(&self, reply: &Reply<'_>, frames: &mut Frames);
    /// The error object.
    fn error(&self, failure: &Failure, request_id: &str) -> Value;
    /// The error as the vendor puts it into a stream that has begun.
    fn error_event(&self, failure: &Failure, request_id: &str, frames: &mut Frames);
    /// The vendor's own words for a status.
    fn failure(&self, status: u16, retry_after: Option<u64>, model: &str) -> Failure;
    /// The refusal of a body that is not JSON.
    fn not_json(&self, problem: &serde_json::Error) -> Failure;
    /// The refusal of a path that the vendor does not serve.
    fn no_such_path(&self, method: &str, path: &str) -> Failure;
    /// The refusal of a method on a path that the vendor serves.
    fn wrong_method(&self, method: &str, path: &str) -> Failure;
    /// The list of models.
    fn models(&self) -> Value;
    /// One model of the list.
    fn model(&self, name: &str) -> Result<Value, Failure>;
    /// The fields that the vendor sends with every answer.
    fn fields(&self, request_id: &str, fields: &mut HeaderMap);
    /// The id that stands inside an answer.
    fn response_id(&self, hash: u64, sequence: u64) -> String;
    /// What the vendor calls the request when it says which one it was.
    fn request_id(&self, hash: u64, sequence: u64) -> String;
}

/// One generation request, parsed as JSON and not yet checked.
pub(crate) struct Ask<'a> {
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a Value,
    /// The size of the body as it came, in bytes.
    pub(crate) bytes: usize,
    /// The model named by the path, where the vendor does that.
    pub(crate) path_model: Option<&'a str>,
    /// Whether the path or query asks for a stream, where the vendor does that.
    pub(crate) path_framing: Option<Framing>,
    pub(crate) seed: u64,
}

/// How the events of a stream are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
    Events,
    /// One JSON array, item by item.
    Array,
}

/// Everything an answer is written from.
pub(crate) struct Reply<'a> {
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
