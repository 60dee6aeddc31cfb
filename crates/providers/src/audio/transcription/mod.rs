//! Recordings written down: `POST /v1/audio/transcriptions` and `POST /v1/audio/translations`
//! (<https://platform.openai.com/docs/api-reference/audio>), by OpenAI, Deepgram, `ElevenLabs` and Gemini.
//!
//! `request` is what the caller asks. `openai` passes it on; each of `deepgram`, `elevenlabs` and `gemini` puts
//! it into its vendor's words and reads a `transcript`, which `render` writes in the form that was asked for.

mod deepgram;
mod elevenlabs;
mod gemini;
mod language;
mod openai;
mod render;
mod request;
mod segments;
#[cfg(test)]
mod tests;
mod transcript;

use bytes::Bytes;
use domain::call::Operation;
use domain::problem::Problem;
use http::StatusCode;

use crate::dialect::{Refusal, Target};
use crate::face::{Asked, Face, InvalidRequest};
use crate::kind::ProviderKind;
use crate::openai::OpenaiChat;
use crate::task::{PreparedTask, Task, TaskEnvelope};
use request::TranscriptionRequest;

/// OpenAI's endpoints for recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenaiTranscripts {
    /// `POST /v1/audio/transcriptions`: what was said, in its own language.
    Transcriptions,
    /// `POST /v1/audio/translations`: what was said, in English.
    Translations,
}

impl Task for OpenaiTranscripts {
    fn operation(&self) -> Operation {
        Operation::Transcription
    }

    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        request::envelope(asked, body)
    }

    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        let read = || TranscriptionRequest::read(*self, asked, body);
        match (kind, self) {
            (ProviderKind::Openai | ProviderKind::AzureOpenai, _) => {
                openai::prepare(*self, asked, body, kind, target)
            }
            (ProviderKind::Gemini | ProviderKind::Vertex, _) => {
                gemini::prepare(&read()?, kind, target)
            }
            (ProviderKind::Deepgram, Self::Transcriptions) => deepgram::prepare(&read()?, target),
            (ProviderKind::Elevenlabs, Self::Transcriptions) => {
                elevenlabs::prepare(&read()?, target)
            }
            (ProviderKind::Deepgram | ProviderKind::Elevenlabs, Self::Translations) => {
                Err(Refusal::of(
                    "model",
                    "This provider writes down what was said and does not translate it; use a model of OpenAI or Gemini, or ask for a transcription.",
                ))
            }
            (other, _) => Err(Refusal::of(
                "model",
                format!(
                    "Providers of kind `{}` do not write recordings down; use a model of OpenAI, Deepgram, ElevenLabs or Gemini.",
                    other.as_str()
                ),
            )),
        }
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        OpenaiChat.render_error(problem, request_id)
    }
}
