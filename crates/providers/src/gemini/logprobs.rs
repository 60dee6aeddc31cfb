//! Probabilities of tokens in OpenAI's shape
//! (<https://platform.openai.com/docs/api-reference/chat/object>).

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::wire::response::{LogprobsResult, TokenLogprob};

/// Translates what Google says of one candidate; `None` when it says nothing.
pub(super) fn translate(result: &LogprobsResult<'_>) -> Option<Box<RawValue>> {
    let chosen = result
        .chosen_candidates
        .as_deref()
        .filter(|chosen| !chosen.is_empty())?;
    let top = result.top_candidates.as_deref().unwrap_or_default();
    let content: Vec<Value> = chosen
        .iter()
        .enumerate()
        .map(|(step, token)| {
            let alternatives = top.get(step).and_then(|top| top.candidates.as_deref());
            let alternatives: Vec<Value> = alternatives
                .unwrap_or_default()
                .iter()
                .map(probability)
                .collect();
            let mut entry = probability(token);
            if let Some(entry) = entry.as_object_mut() {
                entry.insert("top_logprobs".to_owned(), Value::Array(alternatives));
            }
            entry
        })
        .collect();
    to_raw_value(&json!({ "content": content, "refusal": null })).ok()
}

fn probability(token: &TokenLogprob<'_>) -> Value {
    let text = token.token.as_deref().unwrap_or_default();
    json!({
        "token": text,
        "logprob": token.log_probability,
        "bytes": text.as_bytes(),
    })
}
