//! Cohere's words, for callers and for targets, among them Bedrock's rerankers.
//! <https://docs.cohere.com/reference/rerank>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-supported.html>

use bytes::{Bytes, BytesMut};
use domain::chat::Conversion;
use domain::rerank::{Ranking, RerankRequest, RerankResponse};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Caller, CohereRerank, Sent};
use crate::bedrock::endpoint::address;
use crate::cohere::billing::{Meta, ShownMeta};
use crate::dialect::{DecodeError, Refusal, Target};
use crate::kind::ProviderKind;
use crate::openai::render::append;
use crate::passing::{self, Seen, json, post, unreadable};
use crate::task::PreparedTask;

impl Caller for CohereRerank {
    fn verbatim(
        &self,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Option<Result<PreparedTask, Refusal>> {
        (kind == ProviderKind::Cohere).then(|| {
            let span = passing::model_span(body).map_err(passing::refusal)?;
            let body = passing::with_model(body, span, target.model);
            passing::task(&url(target), body, |_, answer| observe(answer))
        })
    }

    fn render(&self, request: &RerankRequest, response: &RerankResponse) -> Bytes {
        let repeats = request.return_documents == Some(true);
        let result = |ranking: &Ranking| ShownResult {
            index: ranking.index,
            relevance_score: ranking.score,
            document: repeats
                .then(|| request.documents.get(ranking.index).map(super::shown))
                .flatten(),
        };
        let units = response.usage.map(|usage| usage.search_units);
        let units = units.filter(|units| *units > 0);
        let answer = ShownAnswer {
            id: response.id.as_deref().unwrap_or_default(),
            results: response.results.iter().map(result).collect(),
            meta: match (units, response.usage) {
                (None, Some(usage)) => ShownMeta::of_tokens(usage.input_tokens),
                _ => ShownMeta::of_search_units(
                    units.unwrap_or_else(|| super::units(request.documents.len())),
                ),
            },
        };
        let mut out = BytesMut::new();
        append(&answer, &mut out);
        out.freeze()
    }
}

#[derive(Serialize)]
struct ShownAnswer<'a> {
    id: &'a str,
    results: Vec<ShownResult>,
    meta: ShownMeta,
}

#[derive(Serialize)]
struct ShownResult {
    index: usize,
    relevance_score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
}

fn url(target: &Target<'_>) -> String {
    format!("{}/v2/rerank", target.base_url)
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    /// The version of the format, which Bedrock asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<u8>,
    query: &'a str,
    documents: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens_per_doc: Option<u32>,
}

/// Writes the request. Cohere takes texts; of other documents it gets the JSON, names and values.
pub(super) fn encode(
    request: &RerankRequest,
    kind: ProviderKind,
    target: &Target<'_>,
    report: &mut Conversion,
) -> Result<Sent, Refusal> {
    let is_bedrock = kind == ProviderKind::Bedrock;
    let is_coheres = !is_bedrock || target.model.contains("cohere.rerank");
    let mut documents = Vec::with_capacity(request.documents.len());
    for (index, document) in request.documents.iter().enumerate() {
        if document.text.is_none() {
            report.change(
                format!("documents[{index}]"),
                "its JSON is sent as a text, because the provider ranks texts",
            );
        }
        documents.push(document.text.as_deref().unwrap_or(document.raw.get()));
    }
    let max_tokens_per_doc = request.max_tokens_per_document.filter(|_| is_coheres);
    if max_tokens_per_doc.is_some() {
        report.carry("max_tokens_per_doc");
    } else if request.max_tokens_per_document.is_some() {
        report.drop(
            "max_tokens_per_doc",
            "the provider decides itself how much of a document counts",
        );
    }
    if request.return_documents.is_some() {
        report.carry("return_documents");
    }
    let body = Body {
        model: (!is_bedrock).then_some(target.model),
        api_version: (is_bedrock && is_coheres).then_some(2),
        query: &request.query,
        documents,
        top_n: request.top_n,
        max_tokens_per_doc,
    };
    let url = if is_bedrock {
        address(target, "invoke")?
    } else {
        url(target)
    };
    Ok((post(&url, json(&body)?)?, decode))
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Option<String>,
    results: Vec<RankedResult>,
    #[serde(default)]
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct RankedResult {
    index: usize,
    relevance_score: f64,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    meta: Option<Meta>,
}

fn observe(body: &[u8]) -> Result<Seen, DecodeError> {
    let head: Head = serde_json::from_slice(body).map_err(unreadable)?;
    Ok(Seen {
        usage: head.meta.and_then(|meta| meta.usage()),
        model: None,
    })
}

fn decode(body: &[u8]) -> Result<RerankResponse, DecodeError> {
    let answer: Answer = serde_json::from_slice(body).map_err(unreadable)?;
    let result = |result: RankedResult| Ranking {
        index: result.index,
        score: result.relevance_score,
    };
    Ok(RerankResponse {
        id: answer.id,
        model: None,
        results: answer.results.into_iter().map(result).collect(),
        usage: answer.meta.and_then(|meta| meta.usage()),
    })
}
