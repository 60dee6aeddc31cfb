//! Tasks whose bytes pass: the caller's API is the target's, only the model's name differs.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use domain::name::ModelName;
use domain::usage::Usage;
use http::Request;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::{DecodeError, Refusal};
use crate::face::InvalidRequest;
use crate::kind::ProviderKind;
use crate::openai::fields::Fields;
use crate::openai::{envelope, error};
use crate::outgoing::{self, JSON};
use crate::task::{PreparedTask, TaskAnswer, TaskReader, TaskStep};

/// A `POST` of JSON.
pub(crate) fn post(url: &str, body: Bytes) -> Result<Request<Bytes>, Refusal> {
    outgoing::post(url, &JSON, "application/json", body)
}

/// The caller's bytes with the value at `span` replaced by the model's name and nothing else touched.
pub(crate) fn with_model(body: &Bytes, span: Range<usize>, model: &str) -> Bytes {
    let name = serde_json::Value::from(model).to_string();
    let mut spliced = BytesMut::with_capacity(body.len() + name.len());
    spliced.put_slice(body.get(..span.start).unwrap_or_default());
    spliced.put_slice(name.as_bytes());
    spliced.put_slice(body.get(span.end..).unwrap_or_default());
    spliced.freeze()
}

/// What the ledger wants to know of an answer that passes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Seen {
    /// What it took; `None` where the provider does not say.
    pub(crate) usage: Option<Usage>,
    /// The model that answered, in the provider's words.
    pub(crate) model: Option<String>,
}

/// Reads along with a whole answer.
pub(crate) type Observe = fn(&Parts, &[u8]) -> Result<Seen, DecodeError>;

/// A task that is sent to `url` as the caller wrote it, and whose answer passes back.
pub(crate) fn task(url: &str, body: Bytes, observe: Observe) -> Result<PreparedTask, Refusal> {
    Ok(PreparedTask {
        request: post(url, body)?,
        report: None,
        reader: Box::new(PassingReader { observe }),
    })
}

struct PassingReader {
    observe: Observe,
}

impl TaskReader for PassingReader {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let seen = (self.observe)(head, &body)?;
        Ok(TaskStep::Done(TaskAnswer {
            content_type: head.headers.get(CONTENT_TYPE).cloned().unwrap_or(JSON),
            usage: seen.usage,
            response_model: seen.model,
            body,
        }))
    }
}

/// Takes the model's name, which must be there.
pub(crate) fn required_model(fields: &mut Fields<'_>) -> Result<ModelName, InvalidRequest> {
    let Some(raw) = fields.take("model") else {
        return Err(fields.missing("model", "the name of a model"));
    };
    envelope::model_name(raw)
}

/// Where in a body the value of `model` stands, quotes included.
pub(crate) fn model_span(body: &[u8]) -> Result<Range<usize>, InvalidRequest> {
    let text = envelope::text(body)?;
    let mut fields = Fields::read_body(text)?;
    match fields.take("model") {
        Some(raw) => Ok(envelope::span(text, raw.get())),
        None => Err(fields.missing("model", "the name of a model")),
    }
}

/// The refusal of a provider that has no such endpoint.
pub(crate) fn not_served(kind: ProviderKind, what: &str) -> Refusal {
    let kind = kind.as_str();
    let detail =
        format!("Providers of kind `{kind}` make no {what}. Ask for a model of another provider.");
    Refusal::of("model", detail)
}

/// A refusal with the same words.
pub(crate) fn refusal(invalid: InvalidRequest) -> Refusal {
    Refusal {
        detail: invalid.detail,
        param: invalid.param,
    }
}

/// What text of so many bytes is reckoned to take, in tokens.
pub(crate) fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

/// Writes a body.
pub(crate) fn json(body: &impl Serialize) -> Result<Bytes, Refusal> {
    let written = serde_json::to_vec(body).map(Bytes::from);
    written.map_err(|error| Refusal {
        detail: format!("The request cannot be written as JSON: {error}."),
        param: None,
    })
}

/// An answer that is not what the vendor documents.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(crate) fn unreadable(error: serde_json::Error) -> DecodeError {
    DecodeError::Malformed(format!("the answer is not readable: {error}"))
}

/// The provider's own error inside of a 200, in OpenAI's shape: the value of `error`, unless it is null.
pub(crate) fn error_inside(error: Option<&RawValue>, body: &[u8]) -> Result<(), DecodeError> {
    let found = error
        .filter(|raw| raw.get() != "null")
        .and_then(|_| error::of_frame(std::str::from_utf8(body).ok()?));
    found.map_or(Ok(()), |error| Err(DecodeError::Provider(error)))
}

/// Tokens are numbers of one model's tokenizer.
pub(crate) fn tokens_refused(path: String) -> Refusal {
    Refusal::of(
        path,
        "The target takes texts, not the tokens of another model's tokenizer. Send the text itself.",
    )
}

#[cfg(test)]
mod fuzz;
