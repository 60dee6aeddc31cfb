//! Vectors of texts. See <https://huggingface.co/docs/inference-providers/tasks/feature-extraction>.

use serde_json::{Value, json};

use super::error::{misfit, of_status};
use crate::tasks::{Asked, Output, SimTaskUsage, Wish, vectors};
use crate::tokens;
use crate::vendor::Failure;

/// The fields of the schema.
const SCHEMA: [&str; 5] = [
    "inputs",
    "normalize",
    "prompt_name",
    "truncate",
    "truncation_direction",
];
/// The most texts of one request, as its server has it unless told otherwise
/// (<https://huggingface.co/docs/text-embeddings-inference/cli_arguments>).
const MOST: usize = 32;
/// The most tokens of one text.
const LONGEST: u64 = 512;
const DIMENSIONS: usize = 384;

/// Where the endpoint is.
pub(crate) const PREFIX: &str = "/huggingface/hf-inference/models/";
/// How its paths end.
pub(crate) const TASK: &str = "/pipeline/feature-extraction";

/// `POST /hf-inference/models/{model}/pipeline/feature-extraction`
pub(crate) fn extract(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let Some(object) = body.as_object() else {
        return Err(misfit("expected struct FeatureExtractionInput"));
    };
    if let Some(key) = object.keys().find(|key| !SCHEMA.contains(&key.as_str())) {
        return Err(misfit(&format!("unknown field `{key}`")));
    }
    let path = asked.path();
    let model = path
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(TASK))
        .filter(|model| super::class(model).is_ok())
        .ok_or_else(|| of_status(404, None, ""))?
        .to_owned();
    let texts: Vec<String> = match &body["inputs"] {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| misfit("`inputs` must be texts"))?,
        _ => return Err(misfit("missing field `inputs`")),
    };
    if texts.is_empty() || texts.iter().any(String::is_empty) {
        return Err(misfit("`inputs` cannot be empty"));
    }
    if texts.len() > MOST {
        let (size, most) = (texts.len(), MOST);
        return Err(misfit(&format!(
            "batch size {size} > maximum allowed batch size {most}"
        )));
    }
    let tokens = |text: &String| tokens::of_text(text);
    let is_cut = body["truncate"] == true;
    if let Some(long) = texts
        .iter()
        .map(tokens)
        .find(|tokens| *tokens > LONGEST && !is_cut)
    {
        let message = format!("`inputs` must have less than {LONGEST} tokens. Given: {long}");
        return Err(misfit(&message));
    }
    let input_tokens = texts.iter().map(tokens).sum();
    // Wishes stand in the last of the texts.
    let said = texts.last().cloned().unwrap_or_default();
    Ok(Wish {
        model,
        said,
        stream: false,
        make: Box::new(move |understood| {
            let (last, before) = texts.split_last().unzip();
            let before = before.into_iter().flatten().map(String::as_str);
            let all = before.chain(last.map(|_| understood.said));
            let vectors: Vec<_> = all.map(|text| vectors::of(text, DIMENSIONS)).collect();
            let usage = SimTaskUsage {
                input_tokens,
                ..SimTaskUsage::default()
            };
            (Output::Json(json!(vectors)), usage)
        }),
    })
}
