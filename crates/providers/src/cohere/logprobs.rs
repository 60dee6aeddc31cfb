//! Probabilities of tokens, in Cohere's words and in OpenAI's
//! (<https://docs.cohere.com/reference/chat#response.body.logprobs>,
//! <https://platform.openai.com/docs/api-reference/chat/object>).

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// Cohere's item: a piece of text with the tokens that it is made of.
#[derive(Deserialize)]
pub(super) struct Item {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    logprobs: Option<Vec<f64>>,
}

/// The items in OpenAI's shape. Of a piece of several tokens, Cohere does not say which letters are whose;
/// it is shown as one, with the probability of all of it.
pub(super) fn translate(items: &[Item]) -> Option<Box<RawValue>> {
    if items.is_empty() {
        return None;
    }
    let content: Vec<Value> = items
        .iter()
        .map(|item| {
            let text = item.text.as_deref().unwrap_or_default();
            let logprob: f64 = item.logprobs.iter().flatten().sum();
            json!({
                "token": text,
                "logprob": logprob,
                "bytes": text.as_bytes(),
                "top_logprobs": [],
            })
        })
        .collect();
    to_raw_value(&json!({"content": content, "refusal": null})).ok()
}

/// OpenAI's probabilities as Cohere's items, without the numbers of the tokens, which nobody knows.
pub(super) fn shown(raw: &RawValue) -> Vec<Value> {
    #[derive(Deserialize)]
    struct Logprobs {
        #[serde(default)]
        content: Option<Vec<Token>>,
    }
    #[derive(Deserialize)]
    struct Token {
        #[serde(default)]
        token: String,
        #[serde(default)]
        logprob: Option<f64>,
    }
    let Ok(logprobs) = serde_json::from_str::<Logprobs>(raw.get()) else {
        return Vec::new();
    };
    let tokens = logprobs.content.unwrap_or_default().into_iter();
    tokens
        .map(|token| {
            let logprobs: Vec<f64> = token.logprob.into_iter().collect();
            json!({"text": token.token, "token_ids": [], "logprobs": logprobs})
        })
        .collect()
}
