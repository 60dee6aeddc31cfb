//! Amazon Bedrock's `InvokeModel`: Cohere's models and Amazon's Titan
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/titan-embedding-models.html>).

use domain::chat::{Conversion, Source};
use domain::embedding::{EmbeddingInput, EmbeddingPart, EmbeddingRequest, EmbeddingResponse};
use domain::usage::Usage;
use http::response::Parts;
use serde::{Deserialize, Serialize};

use super::{Decode, Requests, Words, cohere_target};
use crate::bedrock::endpoint::address;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::passing::{json, post, tokens_refused, unreadable};

/// Where Bedrock counts the input of any model.
const INPUT_TOKENS: &str = "x-amzn-bedrock-input-token-count";

/// Writes the requests.
pub(super) fn encode(
    request: &EmbeddingRequest,
    target: &Target<'_>,
    words: &Words,
    report: &mut Conversion,
) -> Result<(Requests, Decode), Refusal> {
    let url = address(target, "invoke")?;
    if target.model.contains("cohere.embed") {
        let requests = cohere_target::encode(request, &url, None, words, report)?;
        return Ok((requests, decode_cohere));
    }
    if target.model.contains("titan-embed") {
        let requests = titan(request, &url, target.model, words, report)?;
        return Ok((requests, decode_titan));
    }
    let detail = "Of Bedrock's models, those of Titan (`amazon.titan-embed-…`) and of Cohere \
                  (`cohere.embed-…`) are asked for vectors.";
    Err(Refusal::of("model", detail))
}

/// Titan takes one input at a time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Titan<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    input_text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding_config: Option<EmbeddingConfig>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EmbeddingConfig {
    output_embedding_length: u32,
}

fn titan(
    request: &EmbeddingRequest,
    url: &str,
    model: &str,
    words: &Words,
    report: &mut Conversion,
) -> Result<Requests, Refusal> {
    let sees = model.contains("titan-embed-image");
    let is_first = model.contains("titan-embed-text-v1") || model.contains("titan-embed-g1");
    report.carry(words.inputs);
    match request.dimensions {
        Some(_) if is_first => {
            report.drop(words.dimensions, "this model's vectors have one length");
        }
        Some(_) => report.carry(words.dimensions),
        None => {}
    }
    if request.purpose.is_some() {
        report.drop(
            words.purpose,
            "the provider's vectors are the same for every purpose",
        );
    }
    if request.truncation.is_some() {
        report.drop(
            words.truncation,
            "the provider refuses inputs that are too long",
        );
    }
    super::report_user(request, words, report);
    let one = |(index, input)| {
        let (input_text, input_image) = pieces(input, sees, &|| (words.input)(index))?;
        let body = Titan {
            input_text,
            input_image,
            dimensions: request.dimensions.filter(|_| !sees && !is_first),
            embedding_config: request
                .dimensions
                .filter(|_| sees)
                .map(|length| EmbeddingConfig {
                    output_embedding_length: length,
                }),
        };
        Ok((post(url, json(&body)?)?, 1))
    };
    request.inputs.iter().enumerate().map(one).collect()
}

/// A text and a picture, at most one of each.
fn pieces<'a>(
    input: &'a EmbeddingInput,
    sees: bool,
    path: &dyn Fn() -> String,
) -> Result<(Option<&'a str>, Option<&'a str>), Refusal> {
    let parts = match input {
        EmbeddingInput::Text(text) => return Ok((Some(text), None)),
        EmbeddingInput::Tokens(_) => return Err(tokens_refused(path())),
        EmbeddingInput::Mixed(parts) => parts,
    };
    let (mut words, mut picture) = (None, None);
    for part in parts {
        let place = match part {
            EmbeddingPart::Text(text) => words.replace(text.as_str()),
            EmbeddingPart::Media(media) => match &media.source {
                Source::Inline { media_type, base64 }
                    if sees && media_type.starts_with("image/") =>
                {
                    picture.replace(&**base64)
                }
                _ => return Err(unfit(path(), sees)),
            },
        };
        if place.is_some() {
            return Err(unfit(path(), sees));
        }
    }
    Ok((words, picture))
}

fn unfit(path: String, sees: bool) -> Refusal {
    let detail = if sees {
        "The target makes a vector of one text and one picture in a `data:` URL, and of nothing else."
    } else {
        "The target makes a vector of one text, and of nothing else."
    };
    Refusal::of(path, detail)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TitanAnswer {
    embedding: Option<Vec<f64>>,
    #[serde(default)]
    input_text_token_count: Option<u64>,
    /// What went wrong with a picture.
    #[serde(default)]
    message: Option<String>,
}

fn decode_titan(head: &Parts, body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    let answer: TitanAnswer = serde_json::from_slice(body).map_err(unreadable)?;
    let Some(vector) = answer.embedding else {
        let message = answer.message.unwrap_or_default();
        return Err(DecodeError::Malformed(format!(
            "the answer has no vector: {}",
            crate::failure::clean(&message)
        )));
    };
    Ok(EmbeddingResponse {
        id: None,
        model: None,
        vectors: vec![vector],
        usage: counted(head).or_else(|| Some(Usage::text(answer.input_text_token_count?, 0))),
    })
}

fn decode_cohere(head: &Parts, body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    let response = cohere_target::decode(head, body)?;
    Ok(EmbeddingResponse {
        usage: response.usage.or_else(|| counted(head)),
        ..response
    })
}

/// What Bedrock counted beside the body.
fn counted(head: &Parts) -> Option<Usage> {
    let text = head.headers.get(INPUT_TOKENS)?.to_str().ok()?;
    Some(Usage::text(text.parse().ok()?, 0))
}
