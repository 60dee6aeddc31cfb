//! What the lines of a batch may ask.

use bytes::Bytes;
use domain::batch::{Batch, BatchFace};
use domain::call::{Face as Recorded, Operation};
use domain::name::ModelName;
use domain::problem::Problem;
use domain::usage::Usage;
use providers::anthropic::AnthropicMessages;
use providers::embeddings::OpenaiEmbeddings;
use providers::face::{Asked, Face, InvalidRequest};
use providers::images::OpenaiImages;
use providers::moderation::OpenaiModeration;
use providers::openai::OpenaiChat;
use providers::openai::completions::OpenaiCompletions;
use providers::openai::responses::OpenaiResponses;
use providers::task::Task;

use crate::estimate;

/// What an endpoint speaks.
#[derive(Clone, Copy)]
pub(super) enum Speaks {
    Chat(&'static dyn Face),
    Task(&'static dyn Task),
}

/// One endpoint that the lines of a batch may ask.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// Its path.
    pub path: &'static str,
    pub(super) speaks: Speaks,
    pub(super) recorded: Recorded,
}

/// What is read of a line before anything is decided.
pub(super) struct Request {
    pub(super) model: ModelName,
    pub(super) estimate: Usage,
}

/// What a line's output is expected to be where it sets no bound, in tokens.
const USUAL_OUTPUT: u64 = 500;

const OPENAI: [Endpoint; 6] = [
    chat("/v1/chat/completions", &OpenaiChat, Recorded::OpenaiChat),
    chat("/v1/responses", &OpenaiResponses, Recorded::OpenaiResponses),
    chat("/v1/completions", &OpenaiCompletions, Recorded::Openai),
    task("/v1/embeddings", &OpenaiEmbeddings),
    task("/v1/moderations", &OpenaiModeration),
    task("/v1/images/generations", &OpenaiImages::Generations),
];

/// What the lines of a message batch ask.
pub(super) const MESSAGES: Endpoint = chat("/v1/messages", &AnthropicMessages, Recorded::Anthropic);

const fn chat(path: &'static str, face: &'static dyn Face, recorded: Recorded) -> Endpoint {
    Endpoint {
        path,
        speaks: Speaks::Chat(face),
        recorded,
    }
}

const fn task(path: &'static str, task: &'static dyn Task) -> Endpoint {
    Endpoint {
        path,
        speaks: Speaks::Task(task),
        recorded: Recorded::Openai,
    }
}

impl Endpoint {
    /// The paths that OpenAI's batches may ask.
    pub fn paths() -> impl Iterator<Item = &'static str> {
        OPENAI.iter().map(|endpoint| endpoint.path)
    }

    /// The endpoint of OpenAI's batches that has this path.
    pub(super) fn at(path: &str) -> Option<Self> {
        OPENAI.into_iter().find(|endpoint| endpoint.path == path)
    }

    /// What the lines of a batch ask.
    pub(super) fn of(batch: &Batch) -> Option<Self> {
        match batch.face {
            BatchFace::Openai => Self::at(&batch.details.endpoint),
            BatchFace::Anthropic => Some(MESSAGES),
        }
    }

    pub(super) fn operation(self) -> Operation {
        match self.speaks {
            Speaks::Chat(_) => Operation::Chat,
            Speaks::Task(task) => task.operation(),
        }
    }

    pub(super) fn is_embeddings(self) -> bool {
        self.operation() == Operation::Embeddings
    }

    /// Reads the body of a line. Its answer must be whole: a line has one place for it.
    pub(super) fn read(self, body: &Bytes) -> Result<Request, InvalidRequest> {
        let asked = Asked::default();
        let (model, stream, estimate) = match self.speaks {
            Speaks::Chat(face) => {
                let envelope = face.envelope(&asked, body)?;
                let input = estimate::input_tokens(body);
                let output = envelope.max_output_tokens.unwrap_or(USUAL_OUTPUT);
                let output = output.min(USUAL_OUTPUT) * u64::from(envelope.choices);
                (envelope.model, envelope.stream, Usage::text(input, output))
            }
            Speaks::Task(task) => {
                let envelope = task.envelope(&asked, body)?;
                (envelope.model, envelope.stream, envelope.estimate)
            }
        };
        if stream {
            let detail = "A line of a batch is answered as a whole: leave `stream` out.";
            return Err(InvalidRequest::of("stream", detail));
        }
        Ok(Request { model, estimate })
    }

    /// A problem as the endpoint would answer it.
    pub(super) fn refuse(self, problem: &Problem, request_id: &str) -> (u16, Bytes) {
        let (status, body) = match self.speaks {
            Speaks::Chat(face) => face.render_error(problem, request_id),
            Speaks::Task(task) => task.render_error(problem, request_id),
        };
        (status.as_u16(), body)
    }
}
