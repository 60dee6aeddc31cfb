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
use request::{Goal, ImageRequest};

/// OpenAI's `POST /v1/images/generations`: pictures of what is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenaiImageGenerations;

/// OpenAI's `POST /v1/images/edits`: pictures changed as is said. Takes a form, or JSON with addresses.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenaiImageEdits;

/// OpenAI's `POST /v1/images/variations`: pictures like the one that is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenaiImageVariations;

impl Task for OpenaiImageGenerations {
    fn operation(&self) -> Operation {
        Operation::ImageGeneration
    }

    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        request::envelope(Goal::Generate, asked, body)
    }

    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        prepare(Goal::Generate, asked, body, kind, target)
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        OpenaiChat.render_error(problem, request_id)
    }
}

impl Task for OpenaiImageEdits {
    fn operation(&self) -> Operation {
        Operation::ImageGeneration
    }

    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        request::envelope(Goal::Edit, asked, body)
    }

    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        prepare(Goal::Edit, asked, body, kind, target)
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        OpenaiChat.render_error(problem, request_id)
    }
}

impl Task for OpenaiImageVariations {
    fn operation(&self) -> Operation {
        Operation::ImageGeneration
    }

    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        request::envelope(Goal::Vary, asked, body)
    }

    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        prepare(Goal::Vary, asked, body, kind, target)
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        OpenaiChat.render_error(problem, request_id)
    }
}

fn prepare(
    goal: Goal,
    asked: &Asked,
    body: &Bytes,
    kind: ProviderKind,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    if kind == ProviderKind::Openai {
        return openai::prepare(goal, asked, body, target);
    }
    let vendor = match kind {
        ProviderKind::Gemini if imagen::is_imagen(target.model) => imagen::prepare,
        ProviderKind::Gemini => gemini::prepare,
        ProviderKind::Stability => stability::prepare,
        ProviderKind::BlackForestLabs => black_forest_labs::prepare,
        ProviderKind::Fal => fal::prepare,
        ProviderKind::Replicate => replicate::prepare,
        other => {
            return Err(Refusal::of(
                "model",
                format!(
                    "Providers of kind `{}` make no pictures; use a model of OpenAI, Gemini, Stability, Black Forest Labs, fal or Replicate.",
                    other.as_str()
                ),
            ));
        }
    };
    let request = ImageRequest::read(goal, asked, body)?;
    if goal == Goal::Vary {
        return Err(Refusal::of(
            "model",
            "Only OpenAI's own models make variations without words; use `/v1/images/edits` and say in `prompt` what is to be different.",
        ));
    }
    vendor(&request, target)
}
