//! Moderation: whether content is harmful (<https://platform.openai.com/docs/api-reference/moderations>).

#[cfg(test)]
mod fuzz;

use bytes::{BufMut, Bytes, BytesMut};
use domain::call::Operation;
use domain::name::ModelName;
use domain::problem::Problem;
use domain::usage::Usage;
use http::StatusCode;
use http::response::Parts;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dialect::{DecodeError, Refusal, Target};
use crate::face::{Asked, InvalidRequest};
use crate::kind::ProviderKind;
use crate::openai::envelope;
use crate::openai::fields::{Fields, Kind};
use crate::openai::render::problem;
use crate::outgoing::JSON;
use crate::passing::{self, error_inside, unreadable};
use crate::task::{PreparedTask, Task, TaskAnswer, TaskEnvelope, TaskReader, TaskStep};

/// The model of a request that names none, as the vendor has it.
const DEFAULT_MODEL: &str = "omni-moderation-latest";

/// `POST /v1/moderations`: a text, several, or texts and pictures. Goes to OpenAI and to the hosts of its
/// format; what Mistral leaves out of its answers is put in, so that OpenAI's clients can read them.
#[derive(Debug, Clone, Copy)]
pub struct OpenaiModeration;

impl Task for OpenaiModeration {
    fn operation(&self) -> Operation {
        Operation::Moderation
    }

    fn envelope(&self, _: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        let mut fields = Fields::read_body(envelope::text(body)?)?;
        let model = match fields.take("model") {
            Some(raw) => envelope::model_name(raw)?,
            None => default_model()?,
        };
        let bytes = input_length(&mut fields)?;
        Ok(TaskEnvelope {
            model,
            stream: false,
            estimate: Usage::text(passing::tokens(bytes), 0),
        })
    }

    fn prepare(
        &self,
        _: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        if kind != ProviderKind::Openai {
            return Err(passing::not_served(kind, "judgements of content"));
        }
        let body = with_model(body, target.model).map_err(passing::refusal)?;
        let url = format!("{}/moderations", target.base_url);
        Ok(PreparedTask {
            request: passing::post(&url, body)?,
            report: None,
            reader: Box::new(Reader),
        })
    }

    fn render_error(&self, problem: &Problem, _: &str) -> (StatusCode, Bytes) {
        (problem.status(), self::problem(problem))
    }
}

fn default_model() -> Result<ModelName, InvalidRequest> {
    DEFAULT_MODEL
        .parse()
        .map_err(|_| InvalidRequest::of("model", "`model` must be the name of a model."))
}

/// The length of what is judged, in bytes of JSON; pictures in `data:` URLs count as well.
fn input_length(fields: &mut Fields<'_>) -> Result<usize, InvalidRequest> {
    const EXPECTED: &str = "a string, an array of strings, or an array of parts";
    let Some(raw) = fields.take("input") else {
        return Err(fields.missing("input", EXPECTED));
    };
    let is_empty = match Kind::of(raw.get()) {
        Some(Kind::Text) => false,
        Some(Kind::List) => crate::openai::fields::list(raw, "input")?.is_empty(),
        _ => return Err(fields.wrong_type("input", EXPECTED, raw.get())),
    };
    if is_empty {
        return Err(InvalidRequest::of(
            "input",
            format!("`input` is empty; it must be {EXPECTED}."),
        ));
    }
    Ok(raw.get().len())
}

/// The caller's bytes with the model's name, which may not be there yet.
fn with_model(body: &Bytes, model: &str) -> Result<Bytes, InvalidRequest> {
    let text = envelope::text(body)?;
    let mut fields = Fields::read_body(text)?;
    if let Some(raw) = fields.take_or_null("model") {
        let span = envelope::span(text, raw.get());
        return Ok(passing::with_model(body, span, model));
    }
    let after_brace = text.find('{').map_or(0, |brace| brace + 1);
    let mut spliced = BytesMut::with_capacity(body.len() + model.len() + 16);
    spliced.put_slice(body.get(..after_brace).unwrap_or_default());
    spliced.put_slice(b"\"model\":");
    spliced.put_slice(Value::from(model).to_string().as_bytes());
    // An input stands behind it: one without was refused.
    spliced.put_slice(b",");
    spliced.put_slice(body.get(after_brace..).unwrap_or_default());
    Ok(spliced.freeze())
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow, default)]
    results: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    usage: Option<Native>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Native {
    prompt_tokens: Option<u64>,
}

struct Reader;

impl TaskReader for Reader {
    fn read(&self, _: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let text = std::str::from_utf8(&body)
            .map_err(|_| DecodeError::Malformed("the answer is not UTF-8".to_owned()))?;
        let answer: Answer<'_> = serde_json::from_str(text).map_err(unreadable)?;
        error_inside(answer.error, &body)?;
        let Some(results) = answer.results else {
            return Err(DecodeError::Malformed(
                "the answer has no `results`".to_owned(),
            ));
        };
        let mut edits = Vec::new();
        for result in results {
            if let Some(flagged) = missing_verdict(result)? {
                let after_brace = envelope::span(text, result.get()).start + 1;
                edits.push((after_brace..after_brace, format!("\"flagged\":{flagged},")));
            }
        }
        Ok(TaskStep::Done(TaskAnswer {
            content_type: JSON,
            usage: answer
                .usage
                .and_then(|usage| Some(Usage::text(usage.prompt_tokens?, 0))),
            response_model: answer.model,
            body: envelope::apply(&body, &edits),
        }))
    }
}

/// The verdict that a result lacks: whether one of its categories is true
/// (<https://docs.mistral.ai/capabilities/guardrailing>).
fn missing_verdict(result: &RawValue) -> Result<Option<bool>, DecodeError> {
    #[derive(Deserialize)]
    struct Judged {
        flagged: Option<bool>,
        #[serde(default)]
        categories: serde_json::Map<String, Value>,
    }
    let judged: Judged = serde_json::from_str(result.get()).map_err(unreadable)?;
    let is_harmful = judged
        .categories
        .values()
        .any(|value| value == &Value::Bool(true));
    let has_fields = !judged.categories.is_empty();
    Ok((judged.flagged.is_none() && has_fields).then_some(is_harmful))
}
