//! What is asked of a provider and is not a chat: embeddings, pictures, speech, and the like.
//!
//! A [`Task`] is one endpoint of one caller's API. It knows which kinds of providers can do what it asks,
//! translates where their formats differ, and gives back a [`TaskReader`] that reads the answer. The
//! gateway sees nothing of the difference: it authorises, sends, retries, measures and records.

use std::time::Duration;

use bytes::Bytes;
use domain::call::Operation;
use domain::chat::Conversion;
use domain::name::ModelName;
use domain::problem::Problem;
use domain::provider_error::ProviderError;
use domain::tokenizer::Tokenizers;
use domain::usage::Usage;
use http::response::Parts;
use http::{HeaderValue, Request, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::dialect::{DecodeError, End, Refusal, Target};
use crate::face::{Asked, InvalidRequest};
use crate::kind::ProviderKind;
use crate::openai::render;
use crate::tap::Observed;

/// Puts a report into an answer that is a JSON object, as its field `trunkline`. Any other stays as it is.
pub fn attach_report(content_type: &HeaderValue, body: Bytes, report: &Value) -> Bytes {
    if content_type.as_bytes().starts_with(b"application/json") {
        render::attach_report(body, report)
    } else {
        body
    }
}

/// One endpoint that is not a chat, in the words of one caller's API. Pure.
pub trait Task: Send + Sync {
    /// What it does.
    fn operation(&self) -> Operation;

    /// Whether its request may refer to answers that the gateway keeps, in the words of OpenAI's responses;
    /// they are put in their place before anything else reads the body.
    fn continues_answers(&self) -> bool {
        false
    }

    /// Reads what is needed to decide, and no more; refuses what is not what the endpoint takes.
    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest>;

    /// The answer, where it can be given without asking the provider; then [`Task::prepare`] is not called.
    /// `tokenizers` are those that the operator brought along.
    fn answer(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
        tokenizers: &Tokenizers,
    ) -> Result<Option<TaskAnswer>, Refusal> {
        let _ = (asked, body, kind, target, tokenizers);
        Ok(None)
    }

    /// Makes the request for a target and the reader of its answer. Where the target speaks the caller's
    /// format the bytes pass with the model's name replaced; otherwise they are translated. Refuses where
    /// this kind of provider cannot do it.
    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal>;

    /// Renders a problem of the request that `request_id` names.
    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes);
}

/// What is read of a task before anything is decided.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskEnvelope {
    /// The model's name as the caller wrote it.
    pub model: ModelName,
    /// Whether a streamed answer is wanted.
    pub stream: bool,
    /// What it will take, as far as the request tells: tokens at four bytes each, pictures, characters,
    /// search units. It is what is reserved, and what is recorded where the provider does not say.
    pub estimate: Usage,
}

/// A task, ready to be authorised and sent.
pub struct PreparedTask {
    /// The HTTP request, without its credential.
    pub request: Request<Bytes>,
    /// What was carried, changed, dropped; `None` where the bytes pass.
    pub report: Option<Conversion>,
    /// Reads the answer.
    pub reader: Box<dyn TaskReader>,
}

/// Reads the answers to one task.
pub trait TaskReader: Send + Sync {
    /// Reads a whole answer of a successful status.
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError>;

    /// How an answer passes piece by piece, where it does; `None` where it is to be read whole.
    fn stream(&self, head: &Parts) -> Option<Box<dyn TaskStream>> {
        let _ = head;
        None
    }

    /// Reads an answer of a failing status. A provider of one `kind` says in one way what went wrong, unless it has
    /// endpoints of several vendors.
    fn decode_error(
        &self,
        kind: ProviderKind,
        head: &Parts,
        body: &[u8],
        now: Timestamp,
    ) -> ProviderError {
        kind.decode_error(head, body, now)
    }

    /// What the caller gets in place of a failure that another answer is better than; `None` where the failure is
    /// told. `tokenizers` are those that the operator brought along. May take a while, as [`Task::answer`].
    fn instead(&self, failure: &ProviderError, tokenizers: &Tokenizers) -> Option<TaskAnswer> {
        let _ = (failure, tokenizers);
        None
    }
}

/// What follows of a whole answer.
pub enum TaskStep {
    /// The task is done.
    Done(TaskAnswer),
    /// The provider is still at it, or has put the result elsewhere: ask this next (it is authorised
    /// where it goes to the provider's own origin), after waiting.
    Again {
        /// What to ask, without a credential.
        request: Request<Bytes>,
        /// How long to wait before.
        after: Duration,
        /// Reads its answer.
        reader: Box<dyn TaskReader>,
    },
}

/// A task's result, in the caller's format.
#[derive(Debug, Clone)]
pub struct TaskAnswer {
    /// The body.
    pub body: Bytes,
    /// Its media type.
    pub content_type: HeaderValue,
    /// What it took; `None` where the provider does not say and the estimate holds.
    pub usage: Option<Usage>,
    /// The model that answered, in the provider's words.
    pub response_model: Option<String>,
}

/// Passes a task's streamed answer on, and reads along.
pub trait TaskStream: Send {
    /// The media type of the caller's stream.
    fn content_type(&self) -> HeaderValue;

    /// Takes the next bytes and appends what the caller gets for them.
    fn push(&mut self, piece: &Bytes, out: &mut Vec<Bytes>) -> Result<(), DecodeError>;

    /// Says that no more bytes come.
    fn finish(&mut self, end: End, out: &mut Vec<Bytes>) -> Result<(), DecodeError>;

    /// A problem in the middle of the stream, where the format has a way to say it.
    fn fail(&mut self, problem: &Problem, out: &mut Vec<Bytes>);

    /// What was read so far.
    fn observed(&self) -> &Observed;
}
