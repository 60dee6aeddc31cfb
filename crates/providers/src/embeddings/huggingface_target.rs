//! Hugging Face's task feature-extraction: `POST /hf-inference/models/{model}/pipeline/feature-extraction`, beside the
//! `/v1` of its chats (<https://huggingface.co/docs/inference-providers/tasks/feature-extraction>).

use std::collections::BTreeMap;

use domain::chat::Conversion;
use domain::embedding::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Truncation};
use http::response::Parts;
use serde::Serialize;
use serde_json::value::RawValue;

use super::openai_target::joined;
use super::{Requests, Words};
use crate::dialect::{DecodeError, Refusal, Target};
use crate::passing::{json, post, tokens_refused, unreadable};
use crate::url::segment;

/// The most texts of one request, as its servers have it unless told otherwise
/// (<https://huggingface.co/docs/text-embeddings-inference/cli_arguments>).
const MAX_INPUTS: usize = 32;

#[derive(Serialize)]
struct Body<'a> {
    inputs: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncation_direction: Option<&'static str>,
    /// What only the host knows: `normalize`, `prompt_name`.
    #[serde(flatten)]
    others: BTreeMap<&'a str, &'a RawValue>,
}

/// Writes the requests, each of as many texts as the host takes.
pub(super) fn encode(
    request: &EmbeddingRequest,
    target: &Target<'_>,
    words: &Words,
    report: &mut Conversion,
) -> Result<Requests, Refusal> {
    let url = url(target)?;
    let texts = request
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| text(input, || (words.input)(index), report))
        .collect::<Result<Vec<_>, _>>()?;
    report.carry(words.inputs);
    if request.dimensions.is_some() {
        report.drop(words.dimensions, "the model's vectors have one length");
    }
    if request.purpose.is_some() {
        report.drop(
            words.purpose,
            "the provider is told a purpose by the name of a prompt of the model's",
        );
    }
    super::report_user(request, words, report);
    let (truncate, truncation_direction) = match request.truncation {
        None => (None, None),
        Some(Truncation::None) => (Some(false), None),
        Some(Truncation::Start) => (Some(true), Some("left")),
        Some(Truncation::End) => (Some(true), Some("right")),
    };
    if truncate.is_some() {
        report.carry(words.truncation);
    }
    let others: BTreeMap<&str, &RawValue> = request
        .extensions
        .iter()
        .filter(|_| words.are_openais)
        .map(|(name, raw)| (name.as_str(), &**raw))
        .collect();
    let one = |inputs: &[String]| {
        let body = Body {
            inputs,
            truncate,
            truncation_direction,
            others: others.clone(),
        };
        Ok((post(&url, json(&body)?)?, inputs.len()))
    };
    texts.chunks(MAX_INPUTS).map(one).collect()
}

/// The names of models hold a slash, which stays.
fn url(target: &Target<'_>) -> Result<String, Refusal> {
    let base_url = target.base_url;
    let root = base_url.strip_suffix("/v1").unwrap_or(base_url);
    let names = target.model.split('/').map(segment);
    let model = names.collect::<Result<Vec<_>, _>>()?.join("/");
    Ok(format!(
        "{root}/hf-inference/models/{model}/pipeline/feature-extraction"
    ))
}

fn text(
    input: &EmbeddingInput,
    path: impl Fn() -> String,
    report: &mut Conversion,
) -> Result<String, Refusal> {
    match input {
        EmbeddingInput::Text(text) => Ok(text.clone()),
        EmbeddingInput::Tokens(_) => Err(tokens_refused(path())),
        EmbeddingInput::Mixed(parts) => joined(parts, path, report),
    }
}

/// Reads an answer: a vector for each text, and nothing beside them.
pub(super) fn decode(_: &Parts, body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    Ok(EmbeddingResponse {
        id: None,
        model: None,
        vectors: serde_json::from_slice(body).map_err(unreadable)?,
        usage: None,
    })
}
