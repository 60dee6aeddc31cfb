//! `POST {base_url}/v1beta/models/{model}:batchEmbedContents`
//! (<https://ai.google.dev/api/embeddings#method:-models.batchembedcontents>).

use domain::chat::{Conversion, Source};
use domain::embedding::{
    EmbeddingInput, EmbeddingPart, EmbeddingRequest, EmbeddingResponse, Truncation,
};
use domain::usage::Usage;
use http::response::Parts;
use serde::{Deserialize, Serialize};

use super::{Requests, Words, purpose};
use crate::dialect::{DecodeError, Refusal, Target};
use crate::gemini::model_path;
use crate::passing::{Seen, json, post, tokens_refused, unreadable};

/// The most inputs of one request
/// (<https://ai.google.dev/gemini-api/docs/rate-limits#batch-api-rate-limits>).
const MAX_INPUTS: usize = 100;

#[derive(Serialize)]
struct Body<'a> {
    requests: Vec<One<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    model: &'a str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Content<'a> {
    pub(super) parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Part<'a> {
    Text(&'a str),
    #[serde(rename_all = "camelCase")]
    InlineData {
        mime_type: &'a str,
        data: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    FileData {
        file_uri: &'a str,
    },
}

/// Writes the requests, each of as many inputs as the vendor takes.
pub(super) fn encode(
    request: &EmbeddingRequest,
    target: &Target<'_>,
    words: &Words,
    report: &mut Conversion,
) -> Result<Requests, Refusal> {
    let path = model_path(target.model)?;
    let url = format!("{}/v1beta/{path}:batchEmbedContents", target.base_url);
    let model = qualified(target.model);
    report.carry(words.inputs);
    if request.dimensions.is_some() {
        report.carry(words.dimensions);
    }
    if request.purpose.is_some() {
        report.carry(words.purpose);
    }
    match request.truncation {
        Some(Truncation::End) => report.carry(words.truncation),
        Some(Truncation::None | Truncation::Start) => report.drop(
            words.truncation,
            "the provider leaves out the end of what is too long",
        ),
        None => {}
    }
    super::report_user(request, words, report);
    let mut requests = Requests::new();
    for (step, chunk) in request.inputs.chunks(MAX_INPUTS).enumerate() {
        let requests_of_step = chunk
            .iter()
            .enumerate()
            .map(|(place, input)| {
                let index = step * MAX_INPUTS + place;
                Ok(One {
                    model: &model,
                    content: Content {
                        parts: parts(input, &|| (words.input)(index))?,
                    },
                    task_type: request.purpose.map(purpose::gemini_word),
                    output_dimensionality: request.dimensions,
                })
            })
            .collect::<Result<_, Refusal>>()?;
        let body = Body {
            requests: requests_of_step,
        };
        requests.push((post(&url, json(&body)?)?, chunk.len()));
    }
    Ok(requests)
}

/// The model's name as Gemini's bodies have it.
pub(super) fn qualified(model: &str) -> String {
    if model.starts_with("models/") || model.starts_with("tunedModels/") {
        model.to_owned()
    } else {
        format!("models/{model}")
    }
}

/// The parts of an input.
pub(super) fn parts<'a>(
    input: &'a EmbeddingInput,
    path: &dyn Fn() -> String,
) -> Result<Vec<Part<'a>>, Refusal> {
    match input {
        EmbeddingInput::Text(text) => Ok(vec![Part::Text(text)]),
        EmbeddingInput::Tokens(_) => Err(tokens_refused(path())),
        EmbeddingInput::Mixed(parts) => parts.iter().map(|part| self::part(part, path)).collect(),
    }
}

fn part<'a>(part: &'a EmbeddingPart, path: &dyn Fn() -> String) -> Result<Part<'a>, Refusal> {
    match part {
        EmbeddingPart::Text(text) => Ok(Part::Text(text)),
        EmbeddingPart::Media(media) => match &media.source {
            Source::Inline { media_type, base64 } => Ok(Part::InlineData {
                mime_type: media_type,
                data: base64,
            }),
            Source::Text(text) => Ok(Part::Text(text)),
            Source::Url { url, .. } if url.starts_with("gs://") => {
                Ok(Part::FileData { file_uri: url })
            }
            Source::Url { .. } | Source::File(_) => Err(Refusal::of(
                path(),
                "The target fetches nothing from the web for a vector; send the bytes as a `data:` URL.",
            )),
        },
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    embeddings: Vec<Embedding>,
    #[serde(default)]
    usage_metadata: Option<Native>,
}

#[derive(Deserialize)]
struct Embedding {
    #[serde(default)]
    values: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    #[serde(default)]
    usage_metadata: Option<Native>,
}

/// Newer models count what went in; older ones say nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Native {
    prompt_token_count: Option<u64>,
    total_token_count: Option<u64>,
}

impl Native {
    pub(super) fn usage(&self) -> Option<Usage> {
        let tokens = self.prompt_token_count.or(self.total_token_count)?;
        Some(Usage::text(tokens, 0))
    }
}

/// Reads along with an answer that passes.
pub(super) fn observe(body: &[u8]) -> Result<Seen, DecodeError> {
    let head: Head = serde_json::from_slice(body).map_err(unreadable)?;
    Ok(Seen {
        usage: head.usage_metadata.and_then(|usage| usage.usage()),
        model: None,
    })
}

/// Reads an answer; Google keeps the order of the requests.
pub(super) fn decode(_: &Parts, body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    let answer: Answer = serde_json::from_slice(body).map_err(unreadable)?;
    Ok(EmbeddingResponse {
        id: None,
        model: None,
        vectors: answer.embeddings.into_iter().map(|it| it.values).collect(),
        usage: answer.usage_metadata.and_then(|usage| usage.usage()),
    })
}
