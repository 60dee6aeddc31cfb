//! Pictures, new and edited: `POST /v1/images/generations`, `/v1/images/edits` and `/v1/images/variations`
//! (<https://platform.openai.com/docs/api-reference/images>), by OpenAI, Gemini and Imagen, Stability,
//! Black Forest Labs, fal and Replicate.
//!
//! `request` is what the caller asks, `form` and `json` how it is written. `openai` passes it on; each of the
//! other vendors has a file that puts it into the vendor's words and reads the answer; `collection` fetches
//! what a vendor left at an address, and `answer` writes what the caller gets. `size` knows shapes.

mod answer;
mod black_forest_labs;
mod collection;
mod fal;
mod form;
mod gemini;
mod imagen;
mod json;
mod openai;
mod replicate;
mod request;
mod size;
mod stability;
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
use request::ImageRequest;

/// OpenAI's endpoints for pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenaiImages {
    /// `POST /v1/images/generations`: pictures of what is said.
    Generations,
    /// `POST /v1/images/edits`: pictures changed as is said. Takes a form, or JSON with addresses.
    Edits,
    /// `POST /v1/images/variations`: pictures like the one that is shown.
    Variations,
}

impl Task for OpenaiImages {
    fn operation(&self) -> Operation {
        Operation::ImageGeneration
    }

    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        request::envelope(*self, asked, body)
    }

    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        if matches!(kind, ProviderKind::Openai | ProviderKind::AzureOpenai) {
            return openai::prepare(*self, asked, body, kind, target);
        }
        let read = || {
            if *self == Self::Variations {
                return Err(Refusal::of(
                    "model",
                    "Only OpenAI's own models make variations without words; use `/v1/images/edits` and say in `prompt` what is to be different.",
                ));
            }
            ImageRequest::read(*self, asked, body)
        };
        match kind {
            ProviderKind::Gemini | ProviderKind::Vertex if imagen::is_imagen(target.model) => {
                imagen::prepare(&read()?, kind, target)
            }
            ProviderKind::Gemini | ProviderKind::Vertex => gemini::prepare(&read()?, kind, target),
            ProviderKind::Stability => stability::prepare(&read()?, target),
            ProviderKind::BlackForestLabs => black_forest_labs::prepare(&read()?, target),
            ProviderKind::Fal => fal::prepare(&read()?, target),
            ProviderKind::Replicate => replicate::prepare(&read()?, target),
            other => Err(Refusal::of(
                "model",
                format!(
                    "Providers of kind `{}` make no pictures; use a model of OpenAI, Gemini, Stability, Black Forest Labs, fal or Replicate.",
                    other.as_str()
                ),
            )),
        }
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        OpenaiChat.render_error(problem, request_id)
    }
}
