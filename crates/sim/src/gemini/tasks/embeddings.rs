//! `embedContent` and `batchEmbedContents`. See <https://ai.google.dev/api/embeddings>.

use serde_json::{Value, json};

use super::super::check::plain;
use super::super::error;
use super::{member, members, model, said};
use crate::node::Node;
use crate::tasks::{Asked, Output, SimTaskUsage, Wish, vectors};
use crate::tokens;
use crate::vendor::Failure;

const TYPES: [&str; 9] = [
    "TASK_TYPE_UNSPECIFIED",
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
];
/// The most contents of one request.
const MOST: usize = 100;

/// `POST /v1beta/models/{model}:embedContent`
pub(crate) fn one(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let name = known_model(asked)?;
    let order = order(&Node::root(&body), name)?;
    Ok(wish(
        name,
        vec![order],
        |mut embeddings| json!({"embedding": embeddings.pop()}),
    ))
}

/// `POST /v1beta/models/{model}:batchEmbedContents`
pub(crate) fn batch(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let name = known_model(asked)?;
    let root = Node::root(&body);
    members(&root, &["requests"])?;
    let Some(requests) = root
        .get("requests")
        .filter(|requests| requests.value.is_array())
    else {
        return Err(plain(
            "* BatchEmbedContentsRequest.requests: at least one request is required\n",
        ));
    };
    let count = requests.items().count();
    if count == 0 || count > MOST {
        return Err(plain(format!(
            "* BatchEmbedContentsRequest.requests: at most {MOST} requests can be in one batch\n"
        )));
    }
    let orders = requests
        .items()
        .enumerate()
        .map(|(number, request)| {
            let told = request.value["model"].as_str().unwrap_or_default();
            if told.strip_prefix("models/").unwrap_or(told) != name {
                return Err(plain(format!(
                    "* BatchEmbedContentsRequest.requests[{number}].model: all requests must be for the model of the batch\n"
                )));
            }
            order(&request, name)
        })
        .collect::<Result<_, _>>()?;
    Ok(wish(
        name,
        orders,
        |embeddings| json!({"embeddings": embeddings}),
    ))
}

fn known_model<'a>(asked: &Asked<'a>) -> Result<&'a str, Failure> {
    let name = model(asked);
    if name.contains("embedding") {
        Ok(name)
    } else {
        Err(error::unknown_model(name))
    }
}

struct Order {
    text: String,
    dimensions: usize,
}

fn order(request: &Node<'_, '_>, name: &str) -> Result<Order, Failure> {
    members(
        request,
        &[
            "model",
            "content",
            "task_type",
            "title",
            "output_dimensionality",
        ],
    )?;
    let value = request.value;
    let Some(content) = member(value, "content") else {
        return Err(plain(
            "* EmbedContentRequest.content: contents is not specified\n",
        ));
    };
    let text = said(content);
    if text.is_empty() {
        return Err(plain(
            "* EmbedContentRequest.content: contents is not specified\n",
        ));
    }
    let task = member(value, "task_type").and_then(Value::as_str);
    if let Some(task) = task
        && !TYPES.contains(&task)
    {
        return Err(plain(format!(
            "Invalid value at 'task_type' (type.googleapis.com/google.ai.generativelanguage.v1beta.TaskType), \"{task}\""
        )));
    }
    if member(value, "title").is_some() && task != Some("RETRIEVAL_DOCUMENT") {
        return Err(plain(
            "* EmbedContentRequest.title: title is only supported with RETRIEVAL_DOCUMENT\n",
        ));
    }
    let largest = if name.contains("text-embedding-004") {
        768
    } else {
        3_072
    };
    let dimensions = match member(value, "output_dimensionality") {
        None => largest,
        Some(number) => match number.as_u64() {
            Some(number) if (1..=largest).contains(&number) => number,
            _ => {
                return Err(plain(
                    "* EmbedContentRequest.output_dimensionality: invalid output dimensionality\n",
                ));
            }
        },
    };
    Ok(Order {
        text,
        dimensions: usize::try_from(dimensions).unwrap_or(1),
    })
}

fn wish(name: &str, orders: Vec<Order>, written: fn(Vec<Value>) -> Value) -> Wish {
    let last = orders
        .last()
        .map(|order| order.text.clone())
        .unwrap_or_default();
    Wish {
        model: name.to_owned(),
        said: last,
        stream: false,
        make: Box::new(move |understood| {
            let count = orders.len();
            let embeddings = orders
                .iter()
                .enumerate()
                .map(|(number, order)| {
                    let said = if number + 1 == count {
                        understood.said
                    } else {
                        &order.text
                    };
                    json!({"values": vectors::of(said, order.dimensions)})
                })
                .collect();
            let usage = SimTaskUsage {
                input_tokens: orders
                    .iter()
                    .map(|order| tokens::of_text(&order.text))
                    .sum(),
                ..SimTaskUsage::default()
            };
            (Output::Json(written(embeddings)), usage)
        }),
    }
}
