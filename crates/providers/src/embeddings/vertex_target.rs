//! Vertex AI: `…:predict` for the models of text, `…:embedContent` for those that came after them
//! (<https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>).

use domain::chat::Conversion;
use domain::embedding::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Truncation};
use domain::usage::Usage;
use http::response::Parts;
use serde::{Deserialize, Serialize};

use super::gemini_target::{Content, Native, parts};
use super::{Decode, Requests, Words, purpose};
use crate::dialect::{DecodeError, Refusal, Target};
use crate::passing::{json, post, tokens_refused, unreadable};
use crate::vertex::model_url;

/// The most texts of one prediction; the vendor takes up to 250 as long as they are short.
const MAX_TEXTS: usize = 100;

#[derive(Serialize)]
struct Prediction<'a> {
    instances: Vec<Instance<'a>>,
    parameters: Parameters,
}

#[derive(Serialize)]
struct Instance<'a> {
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_truncate: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Single<'a> {
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    #[serde(flatten)]
    parameters: Parameters,
}

/// Writes the requests.
pub(super) fn encode(
    request: &EmbeddingRequest,
    target: &Target<'_>,
    words: &Words,
    report: &mut Conversion,
) -> Result<(Requests, Decode), Refusal> {
    report.carry(words.inputs);
    if request.dimensions.is_some() {
        report.carry(words.dimensions);
    }
    if request.purpose.is_some() {
        report.carry(words.purpose);
    }
    let auto_truncate = match request.truncation {
        None => None,
        Some(Truncation::Start) => {
            report.drop(
                words.truncation,
                "the provider leaves out the end of what is too long, or refuses it",
            );
            None
        }
        Some(truncation) => {
            report.carry(words.truncation);
            Some(truncation == Truncation::End)
        }
    };
    super::report_user(request, words, report);
    let parameters = || Parameters {
        output_dimensionality: request.dimensions,
        auto_truncate,
    };
    let task_type = request.purpose.map(purpose::gemini_word);
    if embeds_content(target.model) {
        let url = model_url(target, "google", "embedContent")?;
        let single = |(index, input)| {
            let body = Single {
                content: Content {
                    parts: parts(input, &|| (words.input)(index))?,
                },
                task_type,
                parameters: parameters(),
            };
            Ok((post(&url, json(&body)?)?, 1))
        };
        let requests = request.inputs.iter().enumerate().map(single);
        return Ok((requests.collect::<Result<_, Refusal>>()?, decode_single));
    }
    let url = model_url(target, "google", "predict")?;
    let texts = request
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| text(input, || (words.input)(index)))
        .collect::<Result<Vec<_>, _>>()?;
    let limit = if takes_one_text(target.model) {
        1
    } else {
        MAX_TEXTS
    };
    let mut requests = Requests::new();
    for chunk in texts.chunks(limit) {
        let instances = chunk.iter().map(|content| Instance { content, task_type });
        let body = Prediction {
            instances: instances.collect(),
            parameters: parameters(),
        };
        requests.push((post(&url, json(&body)?)?, chunk.len()));
    }
    Ok((requests, decode))
}

/// Whether the model is asked by `embedContent`: those after `gemini-embedding-001`, which also see.
fn embeds_content(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("gemini-embedding-") && name != "gemini-embedding-001"
}

/// "For `gemini-embedding-001`, each request can only include a single input text."
fn takes_one_text(model: &str) -> bool {
    model.ends_with("gemini-embedding-001")
}

fn text(input: &EmbeddingInput, path: impl Fn() -> String) -> Result<&str, Refusal> {
    if matches!(input, EmbeddingInput::Tokens(_)) {
        return Err(tokens_refused(path()));
    }
    input.only_text().ok_or_else(|| {
        let detail = "The target makes a vector of one text, and of nothing else.";
        Refusal::of(path(), detail)
    })
}

#[derive(Deserialize)]
struct Answer {
    predictions: Vec<Predicted>,
}

#[derive(Deserialize)]
struct Predicted {
    embeddings: Embedding,
}

#[derive(Deserialize)]
struct Embedding {
    values: Vec<f64>,
    #[serde(default)]
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default, alias = "tokenCount")]
    token_count: Option<f64>,
}

impl Statistics {
    fn tokens(&self) -> Option<u64> {
        // A float's shortest text without a fraction is the whole number itself.
        self.token_count?.to_string().parse().ok()
    }
}

fn decode(_: &Parts, body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    let answer: Answer = serde_json::from_slice(body).map_err(unreadable)?;
    let mut vectors = Vec::with_capacity(answer.predictions.len());
    let mut tokens = Some(0_u64);
    for predicted in answer.predictions {
        let counted = predicted
            .embeddings
            .statistics
            .and_then(|statistics| statistics.tokens());
        tokens = tokens
            .zip(counted)
            .map(|(sum, count)| sum.saturating_add(count));
        vectors.push(predicted.embeddings.values);
    }
    Ok(EmbeddingResponse {
        id: None,
        model: None,
        usage: tokens.map(|tokens| Usage::text(tokens, 0)),
        vectors,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SingleAnswer {
    embedding: Embedding,
    #[serde(default)]
    usage_metadata: Option<Native>,
}

fn decode_single(_: &Parts, body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    let answer: SingleAnswer = serde_json::from_slice(body).map_err(unreadable)?;
    Ok(EmbeddingResponse {
        id: None,
        model: None,
        usage: answer.usage_metadata.and_then(|native| native.usage()),
        vectors: vec![answer.embedding.values],
    })
}
