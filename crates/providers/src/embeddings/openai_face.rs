//! What `POST /v1/embeddings` takes and answers
//! (<https://platform.openai.com/docs/api-reference/embeddings>).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use domain::chat::Extensions;
use domain::embedding::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse};
use domain::problem::Problem;
use domain::usage::Usage;
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Caller, OpenaiEmbeddings, Parsed, Words, openai_target, purpose, vector};
use crate::dialect::{Refusal, Target};
use crate::face::{Asked, InvalidRequest};
use crate::kind::ProviderKind;
use crate::openai::envelope;
use crate::openai::fields::{self, Fields, Kind};
use crate::openai::render::{append, problem};
use crate::passing;
use crate::task::{PreparedTask, TaskEnvelope};

const WORDS: Words = Words {
    input: |index| format!("input[{index}]"),
    inputs: "input",
    dimensions: "dimensions",
    purpose: "input_type",
    truncation: "truncate",
    user: "user",
    are_openais: true,
};

impl Caller for OpenaiEmbeddings {
    fn envelope(&self, _: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        let mut fields = Fields::read_body(envelope::text(body)?)?;
        let model = passing::required_model(&mut fields)?;
        let input = input(&mut fields)?;
        Ok(TaskEnvelope {
            model,
            stream: false,
            estimate: Usage::text(super::estimated_tokens(&input), 0),
        })
    }

    fn verbatim(
        &self,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Option<Result<PreparedTask, Refusal>> {
        let is_own = matches!(kind, ProviderKind::Openai | ProviderKind::AzureOpenai);
        if !is_own || target.host.quirks.feature_extraction || renames_dimensions(body, target) {
            return None;
        }
        let prepared = || {
            let span = passing::model_span(body).map_err(passing::refusal)?;
            let body = passing::with_model(body, span, target.model);
            let url = openai_target::url(kind, target)?;
            passing::task(&url, body, |_, answer| openai_target::observe(answer))
        };
        Some(prepared())
    }

    fn parse(&self, _: &Asked, body: &[u8]) -> Result<Parsed, InvalidRequest> {
        let mut fields = Fields::read_body(envelope::text(body)?)?;
        let model = passing::required_model(&mut fields)?;
        let inputs = input(&mut fields)?;
        let dimensions = fields.integer("dimensions", "a positive integer")?;
        let user = fields.text("user")?;
        let encoding = fields.text("encoding_format")?;
        let is_base64 = match encoding.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(other) => {
                return Err(fields.unknown_word("encoding_format", other, "`float` and `base64`"));
            }
        };
        // A field of other hosts of the format, which some targets cannot do without.
        let purpose = match fields.look("input_type") {
            Some(raw) => {
                let word = fields::text(raw, || "input_type".to_owned())?;
                purpose::of_cohere(&word)
            }
            None => None,
        };
        let mut extensions = Extensions::new();
        fields.keep_rest(&mut extensions);
        let estimate = super::estimated_tokens(&inputs);
        let request = EmbeddingRequest {
            model,
            inputs,
            dimensions,
            purpose,
            truncation: None,
            user,
            extensions,
        };
        let render = move |response: &EmbeddingResponse| render(response, is_base64, estimate);
        Ok(Parsed {
            request,
            render: Arc::new(render),
            words: &WORDS,
            carried: encoding.map(|_| "encoding_format").into_iter().collect(),
        })
    }

    fn render_error(&self, problem: &Problem, _: &str) -> (StatusCode, Bytes) {
        (problem.status(), self::problem(problem))
    }
}

/// Whether the caller names a number of dimensions, which this host calls otherwise.
fn renames_dimensions(body: &[u8], target: &Target<'_>) -> bool {
    const FIELD: &str = "dimensions";
    if target.host.quirks.dimensions_field == FIELD {
        return false;
    }
    let text = std::str::from_utf8(body).ok();
    let fields = text.and_then(|text| Fields::read_body(text).ok());
    fields.is_some_and(|fields| fields.look(FIELD).is_some())
}

/// Reads a text, the numbers of one, or a list of either.
fn input(fields: &mut Fields<'_>) -> Result<Vec<EmbeddingInput>, InvalidRequest> {
    const EXPECTED: &str = "a string, an array of strings, or an array of tokens";
    let Some(raw) = fields.take("input") else {
        return Err(fields.missing("input", EXPECTED));
    };
    let inputs = match Kind::of(raw.get()) {
        Some(Kind::Text) => vec![EmbeddingInput::Text(fields::text(raw, || {
            "input".to_owned()
        })?)],
        Some(Kind::List) => {
            let items = fields::list(raw, "input")?;
            let first = items.first().and_then(|(_, raw)| Kind::of(raw.get()));
            if first == Some(Kind::Number) {
                vec![tokens(raw, "input")?]
            } else {
                items
                    .into_iter()
                    .map(|(path, raw)| item(raw, path))
                    .collect::<Result<_, _>>()?
            }
        }
        _ => return Err(fields.wrong_type("input", EXPECTED, raw.get())),
    };
    if inputs.is_empty() {
        return Err(InvalidRequest::of(
            "input",
            format!("`input` is empty; it must be {EXPECTED}."),
        ));
    }
    Ok(inputs)
}

fn item(raw: &RawValue, path: String) -> Result<EmbeddingInput, InvalidRequest> {
    match Kind::of(raw.get()) {
        Some(Kind::Text) => fields::text(raw, || path.clone()).map(EmbeddingInput::Text),
        Some(Kind::List) => tokens(raw, &path),
        kind => Err(fields::wrong_type(
            path,
            "a string or an array of tokens",
            kind,
        )),
    }
}

fn tokens(raw: &RawValue, path: &str) -> Result<EmbeddingInput, InvalidRequest> {
    serde_json::from_str(raw.get())
        .map(EmbeddingInput::Tokens)
        .map_err(|_| {
            InvalidRequest::of(
                path,
                format!("`{path}` must be an array of tokens, which are non-negative integers."),
            )
        })
}

#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    data: Vec<Datum<'a>>,
    model: &'a str,
    usage: ShownUsage,
}

#[derive(Serialize)]
struct Datum<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Numbers(&'a [f64]),
    Base64(String),
}

#[derive(Serialize)]
struct ShownUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// The vendor's answers always count the input; where the provider does not, the estimate stands in.
fn render(response: &EmbeddingResponse, is_base64: bool, estimate: u64) -> Bytes {
    let tokens = response.usage.map_or(estimate, |usage| usage.input_tokens);
    let answer = Answer {
        object: "list",
        data: response
            .vectors
            .iter()
            .enumerate()
            .map(|(index, numbers)| Datum {
                object: "embedding",
                index,
                embedding: if is_base64 {
                    Vector::Base64(vector::to_base64(numbers))
                } else {
                    Vector::Numbers(numbers)
                },
            })
            .collect(),
        model: response.model.as_deref().unwrap_or_default(),
        usage: ShownUsage {
            prompt_tokens: tokens,
            total_tokens: tokens,
        },
    };
    let mut out = BytesMut::new();
    append(&answer, &mut out);
    out.freeze()
}
