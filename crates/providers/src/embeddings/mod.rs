//! Embeddings: vectors of texts and pictures.
//!
//! Each caller's API is a [`Caller`] (`openai_face`, `gemini_face`, `cohere_face`), each vendor's a pair of
//! functions that encode a request and decode an answer (`openai_target`, `gemini_target`,
//! `cohere_target`); between them stands [`EmbeddingRequest`]. Where both are the same the bytes pass. A
//! request of more inputs than the vendor takes at once is sent in `steps`. `vector` writes numbers.

mod cohere_face;
mod cohere_target;
#[cfg(test)]
mod fuzz;
mod gemini_face;
mod gemini_target;
mod openai_face;
mod openai_target;
mod purpose;
mod steps;
mod vector;

use std::sync::Arc;

use bytes::Bytes;
use domain::call::Operation;
use domain::chat::Conversion;
use domain::embedding::{EmbeddingInput, EmbeddingPart, EmbeddingRequest, EmbeddingResponse};
use domain::problem::Problem;
use domain::usage::Usage;
use http::{Request, StatusCode};
use serde::Serialize;

use crate::dialect::{DecodeError, Refusal, Target};
use crate::face::{Asked, InvalidRequest};
use crate::kind::ProviderKind;
use crate::task::{PreparedTask, Task, TaskEnvelope};

/// The most inputs of one request, which is OpenAI's own bound
/// (<https://platform.openai.com/docs/api-reference/embeddings/create>); a request that has to be sent in
/// several steps cannot become endless.
const MAX_INPUTS: usize = 2_048;

/// `POST /v1/embeddings` (<https://platform.openai.com/docs/api-reference/embeddings/create>).
#[derive(Debug, Clone, Copy)]
pub struct OpenaiEmbeddings;

/// Gemini's two ways to ask for vectors (<https://ai.google.dev/api/embeddings>); the model stands in the
/// URL, [`Asked::model`].
#[derive(Debug, Clone, Copy)]
pub enum GeminiEmbeddings {
    /// `POST /v1beta/models/{model}:embedContent`: one vector.
    Single,
    /// `POST /v1beta/models/{model}:batchEmbedContents`: one vector for each of several requests.
    Batch,
}

/// `POST /v2/embed` (<https://docs.cohere.com/reference/embed>).
#[derive(Debug, Clone, Copy)]
pub struct CohereEmbeddings;

/// The caller's side of one API.
trait Caller: Send + Sync {
    /// Reads what is needed to decide.
    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest>;

    /// The request for a target that speaks the caller's own format; `None` for others.
    fn verbatim(
        &self,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Option<Result<PreparedTask, Refusal>>;

    /// Reads the whole request, and says how the answer is to be rendered.
    fn parse(
        &self,
        asked: &Asked,
        body: &[u8],
    ) -> Result<(EmbeddingRequest, Arc<Render>), InvalidRequest>;

    /// What this API calls the things that a target may not be able to express.
    fn words(&self) -> &'static Words;

    /// Renders a problem.
    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes);
}

/// Renders an answer whose model is known and which has a vector for every input.
type Render = dyn Fn(&EmbeddingResponse) -> Bytes + Send + Sync;

/// The caller's names of what this module translates.
struct Words {
    /// The path of one input.
    input: fn(usize) -> String,
    /// The list of them.
    inputs: &'static str,
    dimensions: &'static str,
    purpose: &'static str,
    truncation: &'static str,
    user: &'static str,
}

/// What is sent to a vendor: the requests with the number of inputs of each.
type Requests = Vec<(Request<Bytes>, usize)>;

/// Reads a vendor's answer.
type Decode = fn(&[u8]) -> Result<EmbeddingResponse, DecodeError>;

fn prepare(
    caller: &dyn Caller,
    asked: &Asked,
    body: &Bytes,
    kind: ProviderKind,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    if let Some(prepared) = caller.verbatim(body, kind, target) {
        return prepared;
    }
    let (request, render) = caller.parse(asked, body).map_err(refusal)?;
    let words = caller.words();
    if request.inputs.len() > MAX_INPUTS {
        let detail = format!(
            "At most {MAX_INPUTS} inputs are taken at once; send them in several requests."
        );
        return Err(Refusal::of(words.inputs, detail));
    }
    let mut report = Conversion::default();
    report.carry("model");
    let (requests, decode): (Requests, Decode) = match kind {
        ProviderKind::Openai => (
            openai_target::encode(&request, target, words, &mut report)?,
            openai_target::decode,
        ),
        ProviderKind::Gemini => (
            gemini_target::encode(&request, target, words, &mut report)?,
            gemini_target::decode,
        ),
        ProviderKind::Cohere => (
            cohere_target::encode(&request, target, words, &mut report)?,
            cohere_target::decode,
        ),
        other => return Err(not_served(other, "embeddings")),
    };
    for (name, raw) in &request.extensions {
        if raw.get() != "null" {
            report.drop(name.clone(), "the provider has no such parameter");
        }
    }
    steps::begin(requests, decode, render, target.model, report)
}

/// The refusal of a provider that has no such endpoint.
pub(crate) fn not_served(kind: ProviderKind, what: &str) -> Refusal {
    let kind = kind.as_str();
    Refusal::of(
        "model",
        format!("Providers of kind `{kind}` make no {what}. Ask for a model of another provider."),
    )
}

/// A refusal with the same words.
pub(crate) fn refusal(invalid: InvalidRequest) -> Refusal {
    Refusal {
        detail: invalid.detail,
        param: invalid.param,
    }
}

/// What text of so many bytes is reckoned to take.
pub(crate) fn estimate(bytes: usize) -> Usage {
    let tokens = u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX);
    Usage::text(tokens, 0)
}

/// What the inputs are reckoned to take, for answers that must say so although the provider does not.
fn estimated_tokens(inputs: &[EmbeddingInput]) -> u64 {
    let bytes = |part: &EmbeddingPart| match part {
        EmbeddingPart::Text(text) => text.len(),
        EmbeddingPart::Media(_) => 0,
    };
    inputs
        .iter()
        .map(|input| match input {
            EmbeddingInput::Text(text) => estimate(text.len()).input_tokens,
            EmbeddingInput::Tokens(tokens) => u64::try_from(tokens.len()).unwrap_or(u64::MAX),
            EmbeddingInput::Mixed(parts) => estimate(parts.iter().map(bytes).sum()).input_tokens,
        })
        .fold(0, u64::saturating_add)
}

/// Tokens are numbers of one model's tokenizer.
fn tokens_refused(path: String) -> Refusal {
    Refusal::of(
        path,
        "The target takes texts, not the tokens of another model's tokenizer. Send the text itself.",
    )
}

/// Writes a body.
fn json(body: &impl Serialize) -> Result<Bytes, Refusal> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| Refusal {
            detail: format!("The request cannot be written as JSON: {error}."),
            param: None,
        })
}

/// An answer that is not what the vendor documents.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn unreadable(error: serde_json::Error) -> DecodeError {
    DecodeError::Malformed(format!("the answer is not readable: {error}"))
}

/// What the target cannot be told, by the caller's names.
fn report_user(request: &EmbeddingRequest, words: &Words, report: &mut Conversion) {
    if request.user.is_some() {
        report.drop(words.user, "the provider does not ask who is speaking");
    }
}

impl<C: Caller> Task for C {
    fn operation(&self) -> Operation {
        Operation::Embeddings
    }

    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        Caller::envelope(self, asked, body)
    }

    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        prepare(self, asked, body, kind, target)
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        Caller::render_error(self, problem, request_id)
    }
}
