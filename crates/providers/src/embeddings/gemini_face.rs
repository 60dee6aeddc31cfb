//! What `embedContent` and `batchEmbedContents` take and answer (<https://ai.google.dev/api/embeddings>).
//! As everywhere in Google's JSON, names may be written in snake case, too.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use domain::chat::{Extensions, Media, Source};
use domain::embedding::{
    EmbeddingInput, EmbeddingPart, EmbeddingPurpose, EmbeddingRequest, EmbeddingResponse,
};
use domain::name::ModelName;
use domain::problem::Problem;
use domain::usage::Usage;
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Caller, GeminiEmbeddings, Parsed, Words, gemini_target, purpose};
use crate::dialect::{Refusal, Target};
use crate::face::{Asked, InvalidRequest};
use crate::gemini::model_path;
use crate::kind::ProviderKind;
use crate::openai::envelope;
use crate::openai::fields::{self, Fields};
use crate::openai::media::standard_base64;
use crate::openai::render::append;
use crate::passing;
use crate::task::{PreparedTask, TaskEnvelope};

const SINGLE: Words = Words {
    input: |_| "content".to_owned(),
    inputs: "content",
    dimensions: "outputDimensionality",
    purpose: "taskType",
    truncation: "autoTruncate",
    user: "user",
    are_openais: false,
};

const BATCH: Words = Words {
    input: |index| format!("requests[{index}].content"),
    inputs: "requests",
    dimensions: "requests.outputDimensionality",
    purpose: "requests.taskType",
    truncation: "requests.autoTruncate",
    user: "user",
    are_openais: false,
};

impl Caller for GeminiEmbeddings {
    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        let model = model(asked)?;
        let requests = self.requests(body)?;
        let mut bytes = 0_usize;
        for (path, raw) in requests {
            let mut fields = Fields::read(raw, path)?;
            bytes += match take(&mut fields, "content", "content") {
                Some(content) => content.get().len(),
                None => return Err(fields.missing("content", "an object with `parts`")),
            };
        }
        Ok(TaskEnvelope {
            model,
            stream: false,
            estimate: Usage::text(passing::tokens(bytes), 0),
        })
    }

    /// The model stands in the URL and, in a batch, in every request.
    fn verbatim(
        &self,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Option<Result<PreparedTask, Refusal>> {
        (kind == ProviderKind::Gemini).then(|| {
            let verb = match self {
                Self::Single => "embedContent",
                Self::Batch => "batchEmbedContents",
            };
            let path = model_path(target.model)?;
            let url = format!("{}/v1beta/{path}:{verb}", target.base_url);
            let body = self
                .with_model(body, target.model)
                .map_err(passing::refusal)?;
            passing::task(&url, body, |_, answer| gemini_target::observe(answer))
        })
    }

    fn parse(&self, asked: &Asked, body: &[u8]) -> Result<Parsed, InvalidRequest> {
        let model = model(asked)?;
        let mut extensions = Extensions::new();
        let mut first: Option<One> = None;
        let mut inputs = Vec::new();
        for (path, raw) in self.requests(body)? {
            let (input, one) = one(Fields::read(raw, path.clone())?, &mut extensions)?;
            inputs.push(input);
            match &first {
                None => first = Some(one),
                Some(first) if *first == one => {}
                Some(_) => {
                    return Err(InvalidRequest::of(
                        path,
                        "Requests of one batch must agree in `taskType` and `outputDimensionality` \
                         when the model is another vendor's. Send them in several batches.",
                    ));
                }
            }
        }
        let first = first.unwrap_or_default();
        let request = EmbeddingRequest {
            model,
            inputs,
            dimensions: first.dimensions,
            purpose: first.purpose,
            truncation: None,
            user: None,
            extensions,
        };
        let is_batch = matches!(self, Self::Batch);
        Ok(Parsed {
            request,
            render: Arc::new(move |response: &EmbeddingResponse| render(response, is_batch)),
            words: if is_batch { &BATCH } else { &SINGLE },
            carried: Vec::new(),
        })
    }

    fn render_error(&self, problem: &Problem, _: &str) -> (StatusCode, Bytes) {
        (problem.status(), problem_body(problem))
    }
}

impl GeminiEmbeddings {
    /// The requests with their paths; a single one has none.
    fn requests<'a>(self, body: &'a [u8]) -> Result<Vec<(String, &'a RawValue)>, InvalidRequest> {
        let text = envelope::text(body)?;
        let mut fields = Fields::read_body(text)?;
        match self {
            Self::Single => {
                let whole: &'a RawValue =
                    serde_json::from_str(text).map_err(|error| InvalidRequest {
                        detail: format!("The request body is not valid JSON: {error}."),
                        param: None,
                    })?;
                Ok(vec![(String::new(), whole)])
            }
            Self::Batch => match fields.list("requests")? {
                Some(requests) if !requests.is_empty() => Ok(requests),
                _ => Err(fields.missing("requests", "an array of at least one request")),
            },
        }
    }

    /// The caller's bytes with the target's model wherever the body names one.
    fn with_model(self, body: &Bytes, model: &str) -> Result<Bytes, InvalidRequest> {
        let text = envelope::text(body)?;
        let name = serde_json::Value::from(gemini_target::qualified(model)).to_string();
        let mut edits = Vec::new();
        for (path, raw) in self.requests(body)? {
            if let Some(named) = Fields::read(raw, path)?.take("model") {
                edits.push((envelope::span(text, named.get()), name.clone()));
            }
        }
        Ok(envelope::apply(body, &edits))
    }
}

/// The model that the URL names.
fn model(asked: &Asked) -> Result<ModelName, InvalidRequest> {
    asked.model.clone().ok_or_else(|| {
        InvalidRequest::of(
            "model",
            "The URL must name a model: `/v1beta/models/{model}:…`.",
        )
    })
}

/// What all requests of a batch must have in common for other vendors.
#[derive(Debug, Default, PartialEq)]
struct One {
    purpose: Option<EmbeddingPurpose>,
    dimensions: Option<u32>,
}

fn one(
    mut fields: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<(EmbeddingInput, One), InvalidRequest> {
    fields.take("model");
    let Some(content) = take(&mut fields, "content", "content") else {
        return Err(fields.missing("content", "an object with `parts`"));
    };
    let path = fields.path_of("content");
    let input = content_parts(Fields::read(content, path)?, extensions)?;
    let path = fields.path_of("taskType");
    let purpose = match take(&mut fields, "taskType", "task_type") {
        None => None,
        Some(raw) => {
            let word = fields::text(raw, || path.clone())?;
            match purpose::of_gemini(&word) {
                Some(purpose) => Some(purpose),
                None if word == "TASK_TYPE_UNSPECIFIED" => None,
                None => {
                    let detail = format!("`{path}` is `{word}`, which is no task type.");
                    return Err(InvalidRequest::of(path, detail));
                }
            }
        }
    };
    let camel = fields.integer("outputDimensionality", "a positive integer")?;
    let dimensions = match camel {
        Some(dimensions) => Some(dimensions),
        None => fields.integer("output_dimensionality", "a positive integer")?,
    };
    fields.keep_rest(extensions);
    Ok((
        input,
        One {
            purpose,
            dimensions,
        },
    ))
}

fn take<'a>(fields: &mut Fields<'a>, camel: &str, snake: &str) -> Option<&'a RawValue> {
    fields.take(camel).or_else(|| fields.take(snake))
}

fn content_parts(
    mut content: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<EmbeddingInput, InvalidRequest> {
    content.take("role");
    let Some(listed) = content.list("parts")? else {
        return Err(content.missing("parts", "an array of at least one part"));
    };
    let mut parts = Vec::with_capacity(listed.len());
    for (path, raw) in listed {
        parts.push(part(Fields::read(raw, path)?, extensions)?);
    }
    content.keep_rest(extensions);
    match <[EmbeddingPart; 1]>::try_from(parts) {
        Ok([EmbeddingPart::Text(text)]) => Ok(EmbeddingInput::Text(text)),
        Ok([part]) => Ok(EmbeddingInput::Mixed(vec![part])),
        Err(parts) => Ok(EmbeddingInput::Mixed(parts)),
    }
}

fn part(
    mut fields: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<EmbeddingPart, InvalidRequest> {
    if let Some(text) = fields.text("text")? {
        fields.keep_rest(extensions);
        return Ok(EmbeddingPart::Text(text));
    }
    for name in ["inlineData", "inline_data"] {
        if let Some(mut data) = fields.object(name)? {
            let media_type = mime_type(&mut data)?;
            let base64 = data.required_text("data")?;
            let base64 = standard_base64(&base64, &data.path_of("data"))?.into();
            return Ok(media(Source::Inline { media_type, base64 }));
        }
    }
    for name in ["fileData", "file_data"] {
        if let Some(mut data) = fields.object(name)? {
            let uri = data.text("fileUri")?;
            let uri = match uri {
                Some(uri) => uri,
                None => data.required_text("file_uri")?,
            };
            return Ok(media(Source::Url {
                url: uri,
                media_type: None,
            }));
        }
    }
    let path = fields.path().to_owned();
    Err(InvalidRequest::of(
        path.clone(),
        format!("`{path}` must have `text`, `inlineData` or `fileData`."),
    ))
}

fn mime_type(data: &mut Fields<'_>) -> Result<String, InvalidRequest> {
    match data.text("mimeType")? {
        Some(media_type) => Ok(media_type),
        None => data.required_text("mime_type"),
    }
}

fn media(source: Source) -> EmbeddingPart {
    EmbeddingPart::Media(Media {
        source,
        name: None,
        detail: None,
        cache: None,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vector<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<Vector<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<ShownUsage>,
}

#[derive(Serialize)]
struct Vector<'a> {
    values: &'a [f64],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownUsage {
    prompt_token_count: u64,
    total_token_count: u64,
}

fn render(response: &EmbeddingResponse, is_batch: bool) -> Bytes {
    let mut vectors = response.vectors.iter().map(|values| Vector { values });
    let (embedding, embeddings) = if is_batch {
        (None, Some(vectors.collect()))
    } else {
        (vectors.next(), None)
    };
    let shown = |usage: Usage| ShownUsage {
        prompt_token_count: usage.input_tokens,
        total_token_count: usage.total_tokens(),
    };
    let answer = Answer {
        embedding,
        embeddings,
        usage_metadata: response.usage.map(shown),
    };
    let mut out = BytesMut::new();
    append(&answer, &mut out);
    out.freeze()
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
}

/// Google's error object (<https://google.aip.dev/193>).
fn problem_body(problem: &Problem) -> Bytes {
    if let Some(verbatim) = &problem.verbatim {
        return verbatim.clone();
    }
    let code = problem.status();
    let status = match code.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    };
    let body = ErrorBody {
        error: ErrorObject {
            code: code.as_u16(),
            message: &problem.detail,
            status,
        },
    };
    let mut out = BytesMut::new();
    append(&body, &mut out);
    out.freeze()
}
