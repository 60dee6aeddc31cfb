//! Ranking: documents put in the order in which they answer a query.
//!
//! `cohere` and `jina` hold the two vendors' words, for callers and for targets; between them stands
//! [`RerankRequest`]. Hosts that speak OpenAI's API rank in Jina's words.

mod cohere;
#[cfg(test)]
mod fuzz;
mod jina;

use bytes::Bytes;
use domain::call::Operation;
use domain::chat::{Conversion, Extensions};
use domain::problem::Problem;
use domain::rerank::{RankedDocument, RerankRequest, RerankResponse};
use domain::usage::Usage;
use http::response::Parts;
use http::{Request, StatusCode};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cohere::render::problem_body;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::face::{Asked, InvalidRequest};
use crate::kind::ProviderKind;
use crate::openai::envelope::text;
use crate::openai::fields::{self, Fields, Kind};
use crate::openai::render::problem;
use crate::outgoing::JSON;
use crate::passing;
use crate::task::{PreparedTask, Task, TaskAnswer, TaskEnvelope, TaskReader, TaskStep};

/// How many documents make a search unit, as Cohere bills
/// (<https://docs.cohere.com/docs/how-does-cohere-pricing-work>).
const DOCUMENTS_PER_UNIT: usize = 100;

/// `POST /v2/rerank` (<https://docs.cohere.com/reference/rerank>).
#[derive(Debug, Clone, Copy)]
pub struct CohereRerank;

/// `POST /v1/rerank`, in the words of Jina and of the many servers that follow it
/// (<https://api.jina.ai/redoc#tag/rerank>).
#[derive(Debug, Clone, Copy)]
pub struct JinaRerank;

/// The caller's side of one API.
trait Caller: Send + Sync {
    /// Whether a target takes the caller's bytes, and where.
    fn verbatim(
        &self,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Option<Result<PreparedTask, Refusal>>;

    /// Renders an answer whose model is known.
    fn render(&self, request: &RerankRequest, response: &RerankResponse) -> Bytes;
}

/// What is sent to a vendor, and how its answer is read.
type Sent = (
    Request<Bytes>,
    fn(&[u8]) -> Result<RerankResponse, DecodeError>,
);

impl Task for CohereRerank {
    fn operation(&self) -> Operation {
        Operation::Rerank
    }

    fn envelope(&self, _: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        envelope(body)
    }

    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        prepare(*self, asked, body, kind, target)
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        (problem.status(), problem_body(problem, request_id))
    }
}

impl Task for JinaRerank {
    fn operation(&self) -> Operation {
        Operation::Rerank
    }

    fn envelope(&self, _: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        envelope(body)
    }

    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        prepare(*self, asked, body, kind, target)
    }

    fn render_error(&self, problem: &Problem, _: &str) -> (StatusCode, Bytes) {
        (problem.status(), self::problem(problem))
    }
}

fn envelope(body: &[u8]) -> Result<TaskEnvelope, InvalidRequest> {
    let request = parse(body)?;
    let texts = request.documents.iter().map(|document| {
        let text = document.text.as_deref();
        text.map_or(document.raw.get().len(), str::len)
    });
    let bytes = texts.fold(request.query.len(), usize::saturating_add);
    Ok(TaskEnvelope {
        model: request.model,
        stream: false,
        estimate: Usage {
            search_units: units(request.documents.len()),
            ..Usage::text(passing::tokens(bytes), 0)
        },
    })
}

fn prepare(
    caller: impl Caller + 'static,
    asked: &Asked,
    body: &Bytes,
    kind: ProviderKind,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    if let Some(prepared) = caller.verbatim(body, kind, target) {
        return prepared;
    }
    let request = parse(body).map_err(passing::refusal)?;
    let mut report = Conversion::default();
    for field in ["model", "query", "documents"] {
        report.carry(field);
    }
    if request.top_n.is_some() {
        report.carry("top_n");
    }
    let (sent, decode): Sent = match kind {
        ProviderKind::Cohere | ProviderKind::Bedrock => {
            cohere::encode(&request, kind, target, &mut report)?
        }
        ProviderKind::Openai => jina::encode(&request, target, &mut report)?,
        other => return Err(passing::not_served(other, "rankings")),
    };
    for (name, raw) in &request.extensions {
        if raw.get() != "null" {
            report.drop(name.clone(), "the provider has no such parameter");
        }
    }
    Ok(PreparedTask {
        request: sent,
        report: Some(report),
        reader: Box::new(Reader {
            caller,
            id: asked.request_id.clone(),
            request,
            decode,
            model: target.model.to_owned(),
        }),
    })
}

/// Reads a whole request; the two APIs have the same words, and each lacks some of the other's.
fn parse(body: &[u8]) -> Result<RerankRequest, InvalidRequest> {
    let mut fields = Fields::read_body(text(body)?)?;
    let model = passing::required_model(&mut fields)?;
    let query = fields.required_text("query")?;
    let listed = fields.list("documents")?;
    let Some(listed) = listed.filter(|documents| !documents.is_empty()) else {
        return Err(fields.missing("documents", "an array of at least one document"));
    };
    let documents = listed
        .into_iter()
        .map(|(path, raw)| document(raw, path))
        .collect::<Result<_, _>>()?;
    let top_n = fields.integer("top_n", "a positive integer")?;
    if top_n == Some(0) {
        return Err(InvalidRequest::of(
            "top_n",
            "`top_n` must be a positive integer, not 0.",
        ));
    }
    let return_documents = fields.flag("return_documents")?;
    let max_tokens_per_document = fields.integer("max_tokens_per_doc", "a positive integer")?;
    let mut extensions = Extensions::new();
    fields.keep_rest(&mut extensions);
    Ok(RerankRequest {
        model,
        query,
        documents,
        top_n,
        return_documents,
        max_tokens_per_document,
        extensions,
    })
}

/// A text, or an object: one of nothing but a `text` is that text.
fn document(raw: &RawValue, path: String) -> Result<RankedDocument, InvalidRequest> {
    let text = match Kind::of(raw.get()) {
        Some(Kind::Text) => Some(fields::text(raw, || path.clone())?),
        Some(Kind::Object) => {
            let mut fields = Fields::read(raw, path)?;
            let text = fields.text("text").ok().flatten();
            text.filter(|_| fields.rest().next().is_none())
        }
        kind => {
            return Err(fields::wrong_type(path, "a string or an object", kind));
        }
    };
    Ok(RankedDocument {
        text,
        raw: raw.to_owned(),
    })
}

/// How many search units so many documents are.
fn units(documents: usize) -> u64 {
    u64::try_from(documents.div_ceil(DOCUMENTS_PER_UNIT)).unwrap_or(u64::MAX)
}

/// What a result repeats of a document: a text in an object, an object as it was written.
fn shown(document: &RankedDocument) -> Value {
    match serde_json::from_str(document.raw.get()) {
        Ok(Value::String(text)) => serde_json::json!({ "text": text }),
        Ok(object) => object,
        Err(_) => Value::Null,
    }
}

struct Reader<C> {
    caller: C,
    /// The answer's identifier, where the provider gives it none.
    id: String,
    request: RerankRequest,
    decode: fn(&[u8]) -> Result<RerankResponse, DecodeError>,
    model: String,
}

impl<C: Caller> TaskReader for Reader<C> {
    fn read(&self, _: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let mut response = (self.decode)(&body)?;
        let documents = self.request.documents.len();
        if let Some(wrong) = response.results.iter().find(|it| it.index >= documents) {
            return Err(DecodeError::Malformed(format!(
                "the answer ranks document {}, and there are {documents}",
                wrong.index
            )));
        }
        let usage = response.usage;
        let response_model = response.model.clone();
        response.model.get_or_insert_with(|| self.model.clone());
        response.id.get_or_insert_with(|| self.id.clone());
        Ok(TaskStep::Done(TaskAnswer {
            body: self.caller.render(&self.request, &response),
            content_type: JSON,
            usage,
            response_model,
        }))
    }
}
