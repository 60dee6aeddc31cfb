//! Text read aloud: `POST /v1/audio/speech` (<https://platform.openai.com/docs/api-reference/audio/createSpeech>),
//! by OpenAI, `ElevenLabs`, Deepgram and Gemini.
//!
//! `request` is what the caller asks. `openai` passes it on; each of `elevenlabs`, `deepgram` and `gemini`
//! puts it into its vendor's words. `answer` is how sound comes back, plain or as events.

mod answer;
mod deepgram;
mod elevenlabs;
mod gemini;
mod openai;
mod request;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use domain::call::Operation;
use domain::problem::Problem;
use http::StatusCode;

use crate::dialect::{Refusal, Target};
use crate::face::{Asked, Face, InvalidRequest};
use crate::kind::ProviderKind;
use crate::openai::OpenaiChat;
use crate::task::{PreparedTask, Task, TaskEnvelope};
use request::SpeechRequest;

/// OpenAI's `POST /v1/audio/speech`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenaiSpeech;

impl Task for OpenaiSpeech {
    fn operation(&self) -> Operation {
        Operation::Speech
    }

    fn envelope(&self, _: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        request::envelope(body)
    }

    fn prepare(
        &self,
        _: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        let read = || SpeechRequest::read(body);
        match kind {
            ProviderKind::Openai | ProviderKind::AzureOpenai => openai::prepare(body, kind, target),
            ProviderKind::Elevenlabs => elevenlabs::prepare(&read()?, target),
            ProviderKind::Deepgram => deepgram::prepare(&read()?, target),
            ProviderKind::Gemini | ProviderKind::Vertex => gemini::prepare(&read()?, kind, target),
            other => Err(Refusal::of(
                "model",
                format!(
                    "Providers of kind `{}` do not read text aloud; use a model of OpenAI, ElevenLabs, Deepgram or Gemini.",
                    other.as_str()
                ),
            )),
        }
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        OpenaiChat.render_error(problem, request_id)
    }
}
