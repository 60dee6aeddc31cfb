//! `POST {base_url}/v2/embed` (<https://docs.cohere.com/reference/embed>).

use domain::chat::{Conversion, Media, Source};
use domain::embedding::{
    EmbeddingInput, EmbeddingPart, EmbeddingRequest, EmbeddingResponse, Truncation,
};
use http::response::Parts;
use serde::{Deserialize, Serialize};

use super::{Requests, Words, purpose};
use crate::cohere::billing::Meta;
use crate::dialect::{DecodeError, Refusal};
use crate::passing::{Seen, json, post, tokens_refused, unreadable};

/// The most inputs of one request, as the vendor documents it.
const MAX_INPUTS: usize = 96;

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<Vec<Input<'a>>>,
    input_type: &'static str,
    embedding_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<&'static str>,
}

#[derive(Serialize)]
struct Input<'a> {
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl },
}

#[derive(Serialize)]
struct ImageUrl {
    url: String,
}

/// Writes the requests, each of as many inputs as the vendor takes; `model` is `None` where the URL names
/// it.
pub(super) fn encode(
    request: &EmbeddingRequest,
    url: &str,
    model: Option<&str>,
    words: &Words,
    report: &mut Conversion,
) -> Result<Requests, Refusal> {
    let input_type = input_type(request, words, report);
    report.carry(words.inputs);
    if request.dimensions.is_some() {
        report.carry(words.dimensions);
    }
    let truncate = request.truncation.map(|truncation| match truncation {
        Truncation::None => "NONE",
        Truncation::Start => "START",
        Truncation::End => "END",
    });
    if truncate.is_some() {
        report.carry(words.truncation);
    }
    super::report_user(request, words, report);
    let mut requests = Requests::new();
    for (step, chunk) in request.inputs.chunks(MAX_INPUTS).enumerate() {
        let texts: Option<Vec<&str>> = chunk.iter().map(EmbeddingInput::only_text).collect();
        let inputs = if texts.is_some() {
            None
        } else {
            let place = |place: usize| (words.input)(step * MAX_INPUTS + place);
            Some(inputs(chunk, &place)?)
        };
        let body = Body {
            model,
            texts,
            inputs,
            input_type,
            embedding_types: ["float"],
            output_dimension: request.dimensions,
            truncate,
        };
        requests.push((post(url, json(&body)?)?, chunk.len()));
    }
    Ok(requests)
}

/// Cohere demands to know what the vectors are for.
fn input_type(request: &EmbeddingRequest, words: &Words, report: &mut Conversion) -> &'static str {
    let Some(purpose) = request.purpose else {
        report.change(
            words.purpose,
            "not said; sent as `search_document`, because the provider demands to know what the vectors are for",
        );
        return "search_document";
    };
    let (word, is_exact) = purpose::cohere_word(purpose);
    if is_exact {
        report.carry(words.purpose);
    } else {
        report.change(
            words.purpose,
            format!("sent as `{word}`, the nearest that the provider knows"),
        );
    }
    word
}

fn inputs<'a>(
    chunk: &'a [EmbeddingInput],
    path: &dyn Fn(usize) -> String,
) -> Result<Vec<Input<'a>>, Refusal> {
    chunk
        .iter()
        .enumerate()
        .map(|(place, input)| {
            let content = match input {
                EmbeddingInput::Text(text) => vec![Block::Text { text }],
                EmbeddingInput::Tokens(_) => return Err(tokens_refused(path(place))),
                EmbeddingInput::Mixed(parts) => parts
                    .iter()
                    .map(|part| block(part, &|| path(place)))
                    .collect::<Result<_, _>>()?,
            };
            Ok(Input { content })
        })
        .collect()
}

fn block<'a>(part: &'a EmbeddingPart, path: &dyn Fn() -> String) -> Result<Block<'a>, Refusal> {
    match part {
        EmbeddingPart::Text(text) => Ok(Block::Text { text }),
        EmbeddingPart::Media(Media {
            source: Source::Inline { media_type, base64 },
            ..
        }) if media_type.starts_with("image/") => Ok(Block::ImageUrl {
            image_url: ImageUrl {
                url: format!("data:{media_type};base64,{base64}"),
            },
        }),
        EmbeddingPart::Media(_) => Err(Refusal::of(
            path(),
            "The target takes texts and pictures in `data:` URLs, and no other media.",
        )),
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Option<String>,
    embeddings: Vectors,
    #[serde(default)]
    meta: Option<Meta>,
}

/// By type, as they are asked for; older models on Bedrock list them without.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vectors {
    ByType { float: Vec<Vec<f64>> },
    Floats(Vec<Vec<f64>>),
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    meta: Option<Meta>,
}

/// Reads along with an answer that passes.
pub(super) fn observe(body: &[u8]) -> Result<Seen, DecodeError> {
    let head: Head = serde_json::from_slice(body).map_err(unreadable)?;
    Ok(Seen {
        usage: head.meta.and_then(|meta| meta.usage()),
        model: None,
    })
}

/// Reads an answer.
pub(super) fn decode(_: &Parts, body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    let answer: Answer = serde_json::from_slice(body).map_err(unreadable)?;
    let (Vectors::ByType { float: vectors } | Vectors::Floats(vectors)) = answer.embeddings;
    Ok(EmbeddingResponse {
        id: answer.id,
        model: None,
        vectors,
        usage: answer.meta.and_then(|meta| meta.usage()),
    })
}
