//! `POST {base_url}/embeddings` of OpenAI and of every host that speaks its format
//! (<https://platform.openai.com/docs/api-reference/embeddings/create>).

use std::collections::BTreeMap;

use domain::chat::Conversion;
use domain::embedding::{EmbeddingInput, EmbeddingPart, EmbeddingRequest, EmbeddingResponse};
use domain::usage::Usage;
use http::response::Parts;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Requests, Words, vector};
use crate::azure;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::hosts;
use crate::kind::ProviderKind;
use crate::passing::{Seen, error_inside, json, post, unreadable};

/// The most inputs of one request.
const MAX_INPUTS: usize = 2_048;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Vec<Input<'a>>,
    #[serde(flatten)]
    dimensions: BTreeMap<&'static str, u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    /// What only hosts of the format know.
    #[serde(flatten)]
    others: BTreeMap<&'a str, &'a RawValue>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Text(&'a str),
    Joined(String),
    Tokens(&'a [u32]),
}

/// Where the host makes vectors; one that is known not to is refused.
pub(super) fn url(kind: ProviderKind, target: &Target<'_>) -> Result<String, Refusal> {
    if kind == ProviderKind::AzureOpenai {
        return azure::endpoint(target, "embeddings");
    }
    if let Some(row) = target.host.name.and_then(hosts::named)
        && !row.serves.embeddings
    {
        let detail = format!(
            "{} makes no embeddings. Ask for a model of another provider.",
            row.name
        );
        return Err(Refusal::of("model", detail));
    }
    Ok(format!("{}/embeddings", target.base_url))
}

/// Writes the requests, each of as many inputs as the vendor takes.
pub(super) fn encode(
    request: &EmbeddingRequest,
    url: &str,
    target: &Target<'_>,
    words: &Words,
    report: &mut Conversion,
) -> Result<Requests, Refusal> {
    let inputs = request
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| self::input(input, || (words.input)(index), report))
        .collect::<Result<Vec<_>, _>>()?;
    report.carry(words.inputs);
    if request.dimensions.is_some() {
        report.carry(words.dimensions);
    }
    let user = request
        .user
        .as_deref()
        .filter(|_| !target.host.quirks.refuses("user"));
    if user.is_some() {
        report.carry(words.user);
    } else {
        super::report_user(request, words, report);
    }
    if request.purpose.is_some() && !words.are_openais {
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
    let others: BTreeMap<&str, &RawValue> = request
        .extensions
        .iter()
        .filter(|_| words.are_openais)
        .map(|(name, raw)| (name.as_str(), &**raw))
        .collect();
    let named = |count: u32| (target.host.quirks.dimensions_field, count);
    let mut inputs = inputs.into_iter();
    let mut requests = Requests::new();
    loop {
        let input: Vec<_> = inputs.by_ref().take(MAX_INPUTS).collect();
        if input.is_empty() {
            return Ok(requests);
        }
        let count = input.len();
        let body = Body {
            model: target.model,
            input,
            dimensions: request.dimensions.map(named).into_iter().collect(),
            user,
            others: others.clone(),
        };
        requests.push((post(url, json(&body)?)?, count));
    }
}

fn input<'a>(
    input: &'a EmbeddingInput,
    path: impl Fn() -> String,
    report: &mut Conversion,
) -> Result<Input<'a>, Refusal> {
    let parts = match input {
        EmbeddingInput::Text(text) => return Ok(Input::Text(text)),
        EmbeddingInput::Tokens(tokens) => return Ok(Input::Tokens(tokens)),
        EmbeddingInput::Mixed(parts) => parts,
    };
    joined(parts, path, report).map(Input::Joined)
}

/// What a text is made of as one text, for targets that take nothing else.
pub(super) fn joined(
    parts: &[EmbeddingPart],
    path: impl Fn() -> String,
    report: &mut Conversion,
) -> Result<String, Refusal> {
    let texts = parts
        .iter()
        .map(|part| match part {
            EmbeddingPart::Text(text) => Ok(text.as_str()),
            EmbeddingPart::Media(_) => Err(Refusal::of(
                path(),
                "The target makes vectors of text only.",
            )),
        })
        .collect::<Result<Vec<_>, _>>()?;
    match texts.as_slice() {
        [text] => Ok((*text).to_owned()),
        texts => {
            report.change(path(), "its texts are sent as one, each on its own line");
            Ok(texts.join("\n"))
        }
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    data: Option<Vec<Datum<'a>>>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<Native>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Datum<'a> {
    #[serde(default)]
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// What an answer says beside its vectors.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<Native>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Hosts count the input as `prompt_tokens` or, as Voyage does, only as `total_tokens`.
#[derive(Deserialize)]
struct Native {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

impl Native {
    fn usage(&self) -> Option<Usage> {
        let tokens = self.prompt_tokens.or(self.total_tokens)?;
        Some(Usage::text(tokens, 0))
    }
}

/// Reads along with an answer that passes.
pub(super) fn observe(body: &[u8]) -> Result<Seen, DecodeError> {
    let head: Head<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    error_inside(head.error, body)?;
    Ok(Seen {
        usage: head.usage.and_then(|usage| usage.usage()),
        model: head.model,
    })
}

/// Reads an answer; the vectors are put in the order of their `index`.
pub(super) fn decode(_: &Parts, body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    error_inside(answer.error, body)?;
    let data = answer
        .data
        .ok_or_else(|| DecodeError::Malformed("the answer has no `data`".to_owned()))?;
    let mut indexed = data
        .into_iter()
        .enumerate()
        .map(|(place, datum)| Ok((datum.index.unwrap_or(place), numbers(datum.embedding)?)))
        .collect::<Result<Vec<_>, DecodeError>>()?;
    indexed.sort_by_key(|(index, _)| *index);
    if indexed
        .iter()
        .enumerate()
        .any(|(place, (index, _))| place != *index)
    {
        return Err(DecodeError::Malformed(
            "the answer's vectors are not numbered from 0 without gaps".to_owned(),
        ));
    }
    Ok(EmbeddingResponse {
        id: None,
        model: answer.model,
        vectors: indexed.into_iter().map(|(_, numbers)| numbers).collect(),
        usage: answer.usage.and_then(|usage| usage.usage()),
    })
}

fn numbers(raw: &RawValue) -> Result<Vec<f64>, DecodeError> {
    if raw.get().starts_with('"') {
        let text: String = serde_json::from_str(raw.get()).map_err(unreadable)?;
        return vector::from_base64(&text).ok_or_else(|| {
            DecodeError::Malformed("a vector is not the base64 of 32-bit floats".to_owned())
        });
    }
    serde_json::from_str(raw.get()).map_err(unreadable)
}
