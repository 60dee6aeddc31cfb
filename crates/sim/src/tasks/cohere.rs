//! Cohere's vectors and ranks. See <https://docs.cohere.com/reference/embed> and <https://docs.cohere.com/reference/rerank>.

use serde_json::{Map, Value, json};

use super::{Asked, Output, SimTaskUsage, Wish, vectors};
use crate::openai::tasks::rerank::ranked;
use crate::tokens;
use crate::vendor::Failure;

/// The most texts or pictures of one request.
const MOST: usize = 96;

/// `POST /v2/embed`
pub(super) fn embed(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    known(
        &body,
        &[
            "model",
            "input_type",
            "texts",
            "images",
            "inputs",
            "max_tokens",
            "output_dimension",
            "embedding_types",
            "truncate",
            "priority",
        ],
    )?;
    let model = text(&body, "model")?.to_owned();
    if !model.starts_with("embed-") {
        return Err(no_such_model(&model));
    }
    let kinds = [
        "search_document",
        "search_query",
        "classification",
        "clustering",
        "image",
    ];
    if !kinds.contains(&text(&body, "input_type")?) {
        return Err(bad(format!(
            "invalid request: input_type must be one of {}",
            kinds.join(", ")
        )));
    }
    let inputs = inputs(&body)?;
    let types = match &body["embedding_types"] {
        Value::Null => vec!["float".to_owned()],
        types => strings(types)
            .ok_or_else(|| bad("invalid request: embedding_types must be a list of strings"))?,
    };
    let allowed = ["float", "int8", "uint8", "binary", "ubinary", "base64"];
    if let Some(other) = types.iter().find(|kind| !allowed.contains(&kind.as_str())) {
        return Err(bad(format!(
            "invalid request: embedding type {other} is not supported"
        )));
    }
    let dimensions = match &body["output_dimension"] {
        Value::Null => 1_536,
        number => match number.as_u64() {
            Some(number @ (256 | 512 | 1_024 | 1_536)) => number,
            _ => {
                return Err(bad(
                    "invalid request: output_dimension must be one of 256, 512, 1024, 1536",
                ));
            }
        },
    };
    let dimensions = usize::try_from(dimensions).unwrap_or(256);
    let last = inputs.last().cloned().unwrap_or_default();
    Ok(Wish {
        model,
        said: last,
        stream: false,
        make: Box::new(move |understood| {
            let count = inputs.len();
            let texts: Vec<&str> = inputs
                .iter()
                .enumerate()
                .map(|(number, input)| {
                    if number + 1 == count {
                        understood.said
                    } else {
                        input.as_str()
                    }
                })
                .collect();
            let mut embeddings = Map::new();
            for kind in &types {
                let of_kind: Vec<Value> = texts
                    .iter()
                    .map(|text| of_type(kind, &vectors::of(text, dimensions)))
                    .collect();
                embeddings.insert(kind.clone(), of_kind.into());
            }
            let input_tokens = texts.iter().map(|text| tokens::of_text(text)).sum();
            let told = json!({
                "id": format!("sim{:016x}", understood.sequence), "embeddings": embeddings, "texts": texts,
                "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": input_tokens}},
                "response_type": "embeddings_by_type",
            });
            let usage = SimTaskUsage {
                input_tokens,
                ..SimTaskUsage::default()
            };
            (Output::Json(told), usage)
        }),
    })
}

/// Texts, pictures, or both in one list of contents.
fn inputs(body: &Value) -> Result<Vec<String>, Failure> {
    let given = ["texts", "images", "inputs"]
        .into_iter()
        .filter(|name| !body[*name].is_null());
    let [name] = given.collect::<Vec<_>>()[..] else {
        return Err(bad(
            "invalid request: exactly one of texts, images or inputs must be provided",
        ));
    };
    let inputs = match name {
        "inputs" => body[name].as_array().map(|inputs| {
            inputs
                .iter()
                .map(|input| input["content"].to_string())
                .collect::<Vec<String>>()
        }),
        _ => strings(&body[name]),
    };
    let inputs = inputs.ok_or_else(|| bad(format!("invalid request: {name} must be a list")))?;
    if inputs.is_empty() || inputs.len() > MOST {
        return Err(bad(format!(
            "invalid request: total number of {name} must be at most {MOST} - received {}",
            inputs.len()
        )));
    }
    if name == "images" && inputs.iter().any(|image| !image.starts_with("data:image/")) {
        return Err(bad("invalid request: images must be data URIs"));
    }
    Ok(inputs)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers are between minus one and one, and coarse on purpose"
)]
fn of_type(kind: &str, vector: &[f32]) -> Value {
    match kind {
        "int8" => vector.iter().map(|number| (number * 127.0) as i8).collect(),
        "uint8" => vector
            .iter()
            .map(|number| (number * 127.0 + 128.0) as u8)
            .collect(),
        "base64" => json!(vectors::base64(vector)),
        "ubinary" => packed(vector).collect(),
        "binary" => packed(vector).map(|byte| i16::from(byte) - 128).collect(),
        _ => json!(vector),
    }
}

/// Eight signs a byte.
fn packed(vector: &[f32]) -> impl Iterator<Item = u8> + '_ {
    vector.chunks(8).map(|eight| {
        eight
            .iter()
            .fold(0, |byte, number| byte << 1 | u8::from(*number > 0.0))
    })
}

/// `POST /v2/rerank`
pub(super) fn rank(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    known(
        &body,
        &[
            "model",
            "query",
            "documents",
            "top_n",
            "max_tokens_per_doc",
            "priority",
        ],
    )?;
    let model = text(&body, "model")?.to_owned();
    if !model.starts_with("rerank-") {
        return Err(no_such_model(&model));
    }
    let query = text(&body, "query")?.to_owned();
    let documents = strings(&body["documents"])
        .ok_or_else(|| bad("invalid request: documents must be a list of strings"))?;
    if documents.is_empty() || documents.len() > 1_000 {
        return Err(bad(
            "invalid request: list of documents must not be empty and at most 1000 long",
        ));
    }
    let top = match &body["top_n"] {
        Value::Null => documents.len(),
        number => match number.as_u64() {
            Some(number @ 1..) => usize::try_from(number).unwrap_or(usize::MAX),
            _ => return Err(bad("invalid request: top_n must be at least 1")),
        },
    };
    Ok(Wish {
        model,
        said: query,
        stream: false,
        make: Box::new(move |understood| {
            let results: Vec<Value> = ranked(understood.said, &documents)
                .into_iter()
                .take(top)
                .map(|(index, score)| json!({"index": index, "relevance_score": score}))
                .collect();
            let search_units = (documents.len() as u64).div_ceil(100);
            let told = json!({
                "id": format!("sim{:016x}", understood.sequence), "results": results,
                "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": search_units}},
            });
            let usage = SimTaskUsage {
                search_units,
                ..SimTaskUsage::default()
            };
            (Output::Json(told), usage)
        }),
    })
}

fn known(body: &Value, names: &[&str]) -> Result<(), Failure> {
    let Some(fields) = body.as_object() else {
        return Err(bad("invalid request: the body must be an object"));
    };
    match fields.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(bad(format!("invalid request: unknown field {name}"))),
    }
}

fn text<'v>(body: &'v Value, name: &str) -> Result<&'v str, Failure> {
    body[name]
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| bad(format!("invalid request: {name} is required")))
}

fn strings(value: &Value) -> Option<Vec<String>> {
    let items = value.as_array()?.iter();
    items.map(|item| item.as_str().map(str::to_owned)).collect()
}

fn no_such_model(model: &str) -> Failure {
    Failure::new(
        404,
        "not_found",
        format!(
            "model '{model}' not found, make sure the correct model ID was used and that you have access to the model."
        ),
    )
}

fn bad(message: impl Into<String>) -> Failure {
    Failure::new(400, "bad_request", message)
}
