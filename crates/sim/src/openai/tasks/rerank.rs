//! `/v1/rerank`, as Jina and the hosts that follow it have it (<https://api.jina.ai/redoc#tag/rerank>).

use serde_json::{Value, json};

use super::super::check::{boolean, integer, object, required, sized, text};
use super::{known, model, wish};
use crate::node::Node;
use crate::tasks::{Asked, Output, SimTaskUsage, Wish, vectors};
use crate::tokens;
use crate::vendor::Failure;

/// `POST /v1/rerank`
pub(crate) fn rank(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let root = Node::root(&body);
    known(
        &root,
        &[
            "model",
            "query",
            "documents",
            "top_n",
            "return_documents",
            "max_tokens_per_doc",
            "truncation",
        ],
    )?;
    let name = model(&root)?.to_owned();
    let query = text(&required(&root, "query")?)?.to_owned();
    let documents = documents(&required(&root, "documents")?)?;
    let top = match root.present("top_n") {
        None => documents.len(),
        Some(top) => usize::try_from(integer(&top, 1, 10_000)?).unwrap_or(1),
    };
    let shows = match root.present("return_documents") {
        None => true,
        Some(shows) => boolean(&shows)?,
    };
    let model = name.clone();
    Ok(wish(&name, &query, false, move |understood| {
        let ranked = ranked(understood.said, &documents);
        let results: Vec<Value> = ranked
            .iter()
            .take(top)
            .map(|(index, score)| {
                let mut result = json!({"index": index, "relevance_score": score});
                if shows && let Some(document) = documents.get(*index) {
                    result["document"] = json!({"text": document});
                }
                result
            })
            .collect();
        let words = documents.iter().map(|document| tokens::of_text(document));
        let input_tokens =
            words.sum::<u64>() + tokens::of_text(understood.said) * documents.len() as u64;
        let usage = SimTaskUsage {
            input_tokens,
            ..SimTaskUsage::default()
        };
        let answer = json!({"model": model, "object": "list", "usage": {"total_tokens": input_tokens}, "results": results});
        (Output::Json(answer), usage)
    }))
}

/// Texts, or objects that hold one.
fn documents(node: &Node<'_, '_>) -> Result<Vec<String>, Failure> {
    sized(node, 1, 2_048)?;
    node.items()
        .map(|item| {
            if item.value.is_string() {
                return text(&item).map(str::to_owned);
            }
            object(&item, &["text"])?;
            text(&required(&item, "text")?).map(str::to_owned)
        })
        .collect()
}

/// The documents in the order in which they answer, with how well they do.
pub(crate) fn ranked(query: &str, documents: &[String]) -> Vec<(usize, f64)> {
    let mut ranked: Vec<(usize, f64)> = documents
        .iter()
        .map(|document| vectors::nearness(query, document))
        .enumerate()
        .collect();
    ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    ranked
}
