//! Embeddings: vectors of texts and pictures.
//!
//! Each caller's API is a `Caller` (`openai_face`, `gemini_face`, `cohere_face`), each vendor's a pair of
//! functions that encode a request and decode an answer (`openai_target`, `huggingface_target`, `gemini_target`,
//! `vertex_target`, `cohere_target`, `bedrock_target`); between them stands [`EmbeddingRequest`]. Where both are the same the bytes pass. A
//! request of more inputs than the vendor takes at once is sent in `steps`. `vector` writes numbers.

mod bedrock_target;
mod cohere_face;
mod cohere_target;
#[cfg(test)]
mod fuzz;
mod gemini_face;
mod gemini_target;
mod huggingface_target;
mod openai_face;
mod openai_target;
mod purpose;
mod steps;
mod vector;
mod vertex_target;

use std::sync::Arc;

use bytes::Bytes;
use domain::call::Operation;
use domain::chat::Conversion;
use domain::embedding::{EmbeddingInput, EmbeddingPart, EmbeddingRequest, EmbeddingResponse};
use domain::problem::Problem;
use http::response::Parts;
use http::{Request, StatusCode};

use crate::dialect::{DecodeError, Refusal, Target};
use crate::face::{Asked, InvalidRequest};
use crate::kind::ProviderKind;
use crate::passing;
use crate::task::{PreparedTask, Task, TaskEnvelope};

/// The most inputs of one request, which is OpenAI's own bound
/// (<https://platform.openai.com/docs/api-reference/embeddings/create>); a request that has to be sent in
/// several steps cannot become endless.
const MAX_INPUTS: usize = 2_048;

/// The most steps in which one request is sent: models that take one input at a time take so many in all.
const MAX_STEPS: usize = 128;

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

    /// Reads the whole request.
    fn parse(&self, asked: &Asked, body: &[u8]) -> Result<Parsed, InvalidRequest>;

    /// Renders a problem.
    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes);
}

/// A request, and what the caller's side knows beside it.
struct Parsed {
    request: EmbeddingRequest,
    /// How the answer is rendered.
    render: Arc<Render>,
    /// What the caller calls the things that a target may not be able to express.
    words: &'static Words,
    /// Fields that the rendering takes care of.
    carried: Vec<&'static str>,
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
    /// Whether the words are OpenAI's, so that unknown ones pass to hosts of its format.
    are_openais: bool,
}

/// What is sent to a vendor: the requests with the number of inputs of each.
type Requests = Vec<(Request<Bytes>, usize)>;

/// Reads a vendor's answer.
type Decode = fn(&Parts, &[u8]) -> Result<EmbeddingResponse, DecodeError>;

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
    let parsed = caller.parse(asked, body).map_err(passing::refusal)?;
    let Parsed { request, words, .. } = &parsed;
    if request.inputs.len() > MAX_INPUTS {
        let detail = format!(
            "At most {MAX_INPUTS} inputs are taken at once; send them in several requests."
        );
        return Err(Refusal::of(words.inputs, detail));
    }
    let mut report = Conversion::default();
    report.carry("model");
    for field in &parsed.carried {
        report.carry(*field);
    }
    let (requests, decode) = encode(request, kind, target, words, &mut report)?;
    if requests.len() > MAX_STEPS {
        let each = requests.first().map_or(1, |(_, inputs)| *inputs);
        let detail = format!(
            "The target takes at most {} inputs; send them in several requests.",
            each * MAX_STEPS
        );
        return Err(Refusal::of(words.inputs, detail));
    }
    for (name, raw) in &request.extensions {
        let is_own = matches!(kind, ProviderKind::Openai | ProviderKind::AzureOpenai);
        if is_own && words.are_openais {
            report.carry(name.clone());
        } else if raw.get() != "null" && (name != words.purpose || request.purpose.is_none()) {
            report.drop(name.clone(), "the provider has no such parameter");
        }
    }
    steps::begin(requests, decode, parsed.render, target.model, report)
}

/// The requests of one vendor, and how its answers are read.
fn encode(
    request: &EmbeddingRequest,
    kind: ProviderKind,
    target: &Target<'_>,
    words: &Words,
    report: &mut Conversion,
) -> Result<(Requests, Decode), Refusal> {
    match kind {
        ProviderKind::Openai if target.host.quirks.feature_extraction => {
            let requests = huggingface_target::encode(request, target, words, report)?;
            Ok((requests, huggingface_target::decode))
        }
        ProviderKind::Openai | ProviderKind::AzureOpenai => {
            let url = openai_target::url(kind, target)?;
            let requests = openai_target::encode(request, &url, target, words, report)?;
            Ok((requests, openai_target::decode))
        }
        ProviderKind::Gemini => {
            let requests = gemini_target::encode(request, target, words, report)?;
            Ok((requests, gemini_target::decode))
        }
        ProviderKind::Vertex => vertex_target::encode(request, target, words, report),
        ProviderKind::Cohere => {
            let url = format!("{}/v2/embed", target.base_url);
            let model = Some(target.model);
            let requests = cohere_target::encode(request, &url, model, words, report)?;
            Ok((requests, cohere_target::decode))
        }
        ProviderKind::Bedrock => bedrock_target::encode(request, target, words, report),
        other => Err(passing::not_served(other, "embeddings")),
    }
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
            EmbeddingInput::Text(text) => passing::tokens(text.len()),
            EmbeddingInput::Tokens(tokens) => u64::try_from(tokens.len()).unwrap_or(u64::MAX),
            EmbeddingInput::Mixed(parts) => passing::tokens(parts.iter().map(bytes).sum()),
        })
        .fold(0, u64::saturating_add)
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
