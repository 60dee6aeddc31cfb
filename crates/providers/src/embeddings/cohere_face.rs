//! What `POST /v2/embed` takes and answers (<https://docs.cohere.com/reference/embed>).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use domain::chat::{Extensions, Media};
use domain::embedding::{
    EmbeddingInput, EmbeddingPart, EmbeddingRequest, EmbeddingResponse, Truncation,
};
use domain::problem::Problem;
use domain::usage::Usage;
use http::StatusCode;
use serde::Serialize;

use super::{Caller, CohereEmbeddings, Parsed, Words, cohere_target, purpose, vector};
use crate::cohere::billing::ShownMeta;
use crate::cohere::render::problem_body;
use crate::dialect::{Refusal, Target};
use crate::face::{Asked, InvalidRequest};
use crate::kind::ProviderKind;
use crate::openai::envelope;
use crate::openai::fields::{self, Fields};
use crate::openai::media::source;
use crate::openai::render::append;
use crate::passing;
use crate::task::{PreparedTask, TaskEnvelope};

const TEXTS: Words = Words {
    input: |index| format!("texts[{index}]"),
    inputs: "texts",
    dimensions: "output_dimension",
    purpose: "input_type",
    truncation: "truncate",
    user: "user",
    are_openais: false,
};

const IMAGES: Words = Words {
    input: |index| format!("images[{index}]"),
    inputs: "images",
    ..TEXTS
};

const MIXED: Words = Words {
    input: |index| format!("inputs[{index}].content"),
    inputs: "inputs",
    ..TEXTS
};

const INPUTS: &str = "one of `texts`, `images` and `inputs`, as an array of at least one item";

impl Caller for CohereEmbeddings {
    fn envelope(&self, _: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        let mut fields = Fields::read_body(envelope::text(body)?)?;
        let model = passing::required_model(&mut fields)?;
        let mut bytes = 0;
        let mut is_empty = true;
        for name in ["texts", "images", "inputs"] {
            for (_, raw) in fields.list(name)?.unwrap_or_default() {
                is_empty = false;
                // A picture's base64 says nothing of its tokens.
                bytes += if name == "images" { 0 } else { raw.get().len() };
            }
        }
        if is_empty {
            return Err(fields.missing("texts", INPUTS));
        }
        Ok(TaskEnvelope {
            model,
            stream: false,
            estimate: Usage::text(passing::tokens(bytes), 0),
        })
    }

    fn verbatim(
        &self,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Option<Result<PreparedTask, Refusal>> {
        (kind == ProviderKind::Cohere).then(|| {
            let span = passing::model_span(body).map_err(passing::refusal)?;
            let body = passing::with_model(body, span, target.model);
            let url = format!("{}/v2/embed", target.base_url);
            passing::task(&url, body, |_, answer| cohere_target::observe(answer))
        })
    }

    fn parse(&self, asked: &Asked, body: &[u8]) -> Result<Parsed, InvalidRequest> {
        let mut fields = Fields::read_body(envelope::text(body)?)?;
        let mut extensions = Extensions::new();
        let model = passing::required_model(&mut fields)?;
        let (inputs, words) = inputs(&mut fields, &mut extensions)?;
        let purpose = match fields.text("input_type")? {
            None => None,
            Some(word) => Some(purpose::of_cohere(&word).ok_or_else(|| {
                let known =
                    "`search_document`, `search_query`, `classification`, `clustering` and `image`";
                fields.unknown_word("input_type", &word, known)
            })?),
        };
        let truncation = match fields.text("truncate")?.as_deref() {
            None => None,
            Some("NONE") => Some(Truncation::None),
            Some("START") => Some(Truncation::Start),
            Some("END") => Some(Truncation::End),
            Some(other) => {
                return Err(fields.unknown_word("truncate", other, "`NONE`, `START` and `END`"));
            }
        };
        let carried = fields.look("embedding_types").map(|_| "embedding_types");
        let shape = Shape {
            id: asked.request_id.clone(),
            texts: texts(&inputs),
            estimate: super::estimated_tokens(&inputs),
            ..shape(&mut fields)?
        };
        let dimensions = fields.integer("output_dimension", "a positive integer")?;
        fields.keep_rest(&mut extensions);
        let request = EmbeddingRequest {
            model,
            inputs,
            dimensions,
            purpose,
            truncation,
            user: None,
            extensions,
        };
        Ok(Parsed {
            request,
            render: Arc::new(move |response: &EmbeddingResponse| render(response, &shape)),
            words,
            carried: carried.into_iter().collect(),
        })
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        (problem.status(), problem_body(problem, request_id))
    }
}

fn inputs(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<(Vec<EmbeddingInput>, &'static Words), InvalidRequest> {
    let mut inputs = Vec::new();
    let mut given: Option<&'static Words> = None;
    for words in [&TEXTS, &IMAGES, &MIXED] {
        let listed = fields.list(words.inputs)?.unwrap_or_default();
        if listed.is_empty() {
            continue;
        }
        if let Some(other) = given.replace(words) {
            let detail = format!(
                "`{}` and `{}` exclude each other; what belongs together goes into `inputs`.",
                other.inputs, words.inputs
            );
            return Err(InvalidRequest::of(words.inputs, detail));
        }
        for (path, raw) in listed {
            inputs.push(match words.inputs {
                "texts" => EmbeddingInput::Text(fields::text(raw, || path.clone())?),
                "images" => {
                    let url = fields::text(raw, || path.clone())?;
                    EmbeddingInput::Mixed(vec![image(&url, &path)?])
                }
                _ => EmbeddingInput::Mixed(mixed(Fields::read(raw, path)?, extensions)?),
            });
        }
    }
    match given {
        Some(words) => Ok((inputs, words)),
        None => Err(fields.missing("texts", INPUTS)),
    }
}

fn mixed(
    mut input: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Vec<EmbeddingPart>, InvalidRequest> {
    let Some(blocks) = input.list("content")? else {
        return Err(input.missing("content", "an array of blocks"));
    };
    input.keep_rest(extensions);
    blocks
        .into_iter()
        .map(|(path, raw)| block(Fields::read(raw, path)?))
        .collect()
}

fn block(mut block: Fields<'_>) -> Result<EmbeddingPart, InvalidRequest> {
    match block.required_text("type")?.as_str() {
        "text" => block.required_text("text").map(EmbeddingPart::Text),
        "image_url" => {
            let mut url = block.required_object("image_url")?;
            let text = url.required_text("url")?;
            image(&text, &url.path_of("url"))
        }
        other => Err(block.unknown_word("type", other, "`text` and `image_url`")),
    }
}

fn image(url: &str, path: &str) -> Result<EmbeddingPart, InvalidRequest> {
    Ok(EmbeddingPart::Media(Media {
        source: source(url, path)?,
        name: None,
        detail: None,
        cache: None,
    }))
}

/// How the answer is written.
#[derive(Default)]
struct Shape {
    /// The answer's identifier, where the provider gives it none.
    id: String,
    float: bool,
    base64: bool,
    /// The texts, which the answer repeats; `None` where something else was asked for.
    texts: Option<Vec<String>>,
    estimate: u64,
}

/// The ways in which the caller wants its numbers. Those that only the vendor can compute are refused.
fn shape(fields: &mut Fields<'_>) -> Result<Shape, InvalidRequest> {
    let Some(listed) = fields.list("embedding_types")? else {
        return Ok(Shape {
            float: true,
            ..Shape::default()
        });
    };
    let mut shape = Shape::default();
    for (path, raw) in listed {
        match fields::text(raw, || path.clone())?.as_str() {
            "float" => shape.float = true,
            "base64" => shape.base64 = true,
            other => {
                let detail = format!(
                    "The target makes no vectors of type `{other}`; ask for `float` or `base64`, or for a Cohere model."
                );
                return Err(InvalidRequest::of(path, detail));
            }
        }
    }
    shape.float |= !shape.base64;
    Ok(shape)
}

fn texts(inputs: &[EmbeddingInput]) -> Option<Vec<String>> {
    inputs
        .iter()
        .map(|input| match input {
            EmbeddingInput::Text(text) => Some(text.clone()),
            EmbeddingInput::Tokens(_) | EmbeddingInput::Mixed(_) => None,
        })
        .collect()
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    embeddings: Vectors<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<&'a [String]>,
    meta: ShownMeta,
    response_type: &'static str,
}

#[derive(Serialize)]
struct Vectors<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    float: Option<&'a [Vec<f64>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<Vec<String>>,
}

fn render(response: &EmbeddingResponse, shape: &Shape) -> Bytes {
    let tokens = response
        .usage
        .map_or(shape.estimate, |usage| usage.input_tokens);
    let base64 = || response.vectors.iter().map(|it| vector::to_base64(it));
    let answer = Answer {
        id: response.id.as_deref().unwrap_or(&shape.id),
        embeddings: Vectors {
            float: shape.float.then_some(&response.vectors),
            base64: shape.base64.then(|| base64().collect()),
        },
        texts: shape.texts.as_deref(),
        meta: ShownMeta::of_tokens(tokens),
        response_type: "embeddings_by_type",
    };
    let mut out = BytesMut::new();
    append(&answer, &mut out);
    out.freeze()
}
