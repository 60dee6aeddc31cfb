//! Jina's words, for callers and for targets; Voyage, Together, vLLM, llama.cpp, Infinity and others speak
//! them, too. <https://api.jina.ai/redoc#tag/rerank>

use bytes::{Bytes, BytesMut};
use domain::chat::Conversion;
use domain::rerank::{RankedDocument, Ranking, RerankRequest, RerankResponse};
use domain::usage::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Caller, JinaRerank, Sent};
use crate::dialect::{DecodeError, Refusal, Target};
use crate::hosts;
use crate::kind::ProviderKind;
use crate::openai::fields::Fields;
use crate::openai::render::append;
use crate::passing::{self, Seen, error_inside, json, post, unreadable};
use crate::task::PreparedTask;

impl Caller for JinaRerank {
    /// A host that calls the number of results otherwise gets a translation when the caller names one.
    fn verbatim(
        &self,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Option<Result<PreparedTask, Refusal>> {
        if kind != ProviderKind::Openai {
            return None;
        }
        if target.host.quirks.rerank_top_k && names_top_n(body) {
            return None;
        }
        let prepared = || {
            let span = passing::model_span(body).map_err(passing::refusal)?;
            let body = passing::with_model(body, span, target.model);
            passing::task(&url(target)?, body, |_, answer| observe(answer))
        };
        Some(prepared())
    }

    /// Unlike Cohere, Jina repeats the documents unless told otherwise.
    fn render(&self, request: &RerankRequest, response: &RerankResponse) -> Bytes {
        let repeats = request.return_documents != Some(false);
        let result = |ranking: &Ranking| ShownResult {
            index: ranking.index,
            relevance_score: ranking.score,
            document: repeats
                .then(|| request.documents.get(ranking.index).map(super::shown))
                .flatten(),
        };
        let usage = response.usage.unwrap_or_default();
        let answer = ShownAnswer {
            id: response.id.as_deref(),
            object: "list",
            model: response.model.as_deref().unwrap_or_default(),
            usage: ShownUsage {
                total_tokens: usage.total_tokens(),
                search_units: Some(usage.search_units).filter(|units| *units > 0),
            },
            results: response.results.iter().map(result).collect(),
        };
        let mut out = BytesMut::new();
        append(&answer, &mut out);
        out.freeze()
    }
}

fn names_top_n(body: &[u8]) -> bool {
    let text = std::str::from_utf8(body).ok();
    let fields = text.and_then(|text| Fields::read_body(text).ok());
    fields.is_some_and(|fields| fields.look("top_n").is_some())
}

#[derive(Serialize)]
struct ShownAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    object: &'static str,
    model: &'a str,
    usage: ShownUsage,
    results: Vec<ShownResult>,
}

#[derive(Serialize)]
struct ShownUsage {
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_units: Option<u64>,
}

#[derive(Serialize)]
struct ShownResult {
    index: usize,
    relevance_score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
}

/// Where the host ranks; one that is known not to is refused.
fn url(target: &Target<'_>) -> Result<String, Refusal> {
    if let Some(row) = target.host.name.and_then(hosts::named)
        && !row.serves.rerank
    {
        let detail = format!(
            "{} ranks no documents. Ask for a model of another provider.",
            row.name
        );
        return Err(Refusal::of("model", detail));
    }
    Ok(format!("{}/rerank", target.base_url))
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    query: &'a str,
    documents: Vec<Document<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    /// What is repeated is put in place here, so that less travels.
    return_documents: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Document<'a> {
    Text(&'a str),
    Raw(&'a RawValue),
}

impl<'a> From<&'a RankedDocument> for Document<'a> {
    fn from(document: &'a RankedDocument) -> Self {
        match &document.text {
            Some(text) => Self::Text(text),
            None => Self::Raw(&document.raw),
        }
    }
}

/// Writes the request.
pub(super) fn encode(
    request: &RerankRequest,
    target: &Target<'_>,
    report: &mut Conversion,
) -> Result<Sent, Refusal> {
    if request.max_tokens_per_document.is_some() {
        report.drop(
            "max_tokens_per_doc",
            "the provider decides itself how much of a document counts",
        );
    }
    if request.return_documents.is_some() {
        report.carry("return_documents");
    }
    let says_top_k = target.host.quirks.rerank_top_k;
    let body = Body {
        model: target.model,
        query: &request.query,
        documents: request.documents.iter().map(Document::from).collect(),
        top_n: request.top_n.filter(|_| !says_top_k),
        top_k: request.top_n.filter(|_| says_top_k),
        return_documents: false,
    };
    Ok((post(&url(target)?, json(&body)?)?, decode))
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    results: Option<Vec<RankedResult>>,
    /// What Voyage calls them.
    #[serde(default)]
    data: Option<Vec<RankedResult>>,
    #[serde(default)]
    usage: Option<Native>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RankedResult {
    index: usize,
    #[serde(alias = "score")]
    relevance_score: f64,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<Native>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Native {
    total_tokens: Option<u64>,
    prompt_tokens: Option<u64>,
}

impl Native {
    fn usage(&self) -> Option<Usage> {
        let tokens = self.total_tokens.or(self.prompt_tokens)?;
        Some(Usage::text(tokens, 0))
    }
}

fn observe(body: &[u8]) -> Result<Seen, DecodeError> {
    let head: Head<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    error_inside(head.error, body)?;
    Ok(Seen {
        usage: head.usage.and_then(|usage| usage.usage()),
        model: head.model,
    })
}

fn decode(body: &[u8]) -> Result<RerankResponse, DecodeError> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    error_inside(answer.error, body)?;
    let Some(results) = answer.results.or(answer.data) else {
        return Err(DecodeError::Malformed(
            "the answer has no `results`".to_owned(),
        ));
    };
    let result = |result: RankedResult| Ranking {
        index: result.index,
        score: result.relevance_score,
    };
    Ok(RerankResponse {
        id: answer.id,
        model: answer.model,
        results: results.into_iter().map(result).collect(),
        usage: answer.usage.and_then(|usage| usage.usage()),
    })
}
