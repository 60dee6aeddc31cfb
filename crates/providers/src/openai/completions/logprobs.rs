//! Probabilities, in the shape of completions (lists side by side) and in that of chat completions (one
//! object for each token).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The shape of chat completions.
#[derive(Deserialize)]
struct Chat {
    content: Option<Vec<Scored>>,
}

#[derive(Deserialize)]
struct Scored {
    token: String,
    logprob: Value,
    #[serde(default)]
    top_logprobs: Vec<Alternative>,
}

#[derive(Deserialize)]
struct Alternative {
    token: String,
    logprob: Value,
}

/// The shape of completions.
#[derive(Serialize, Default)]
pub(super) struct Listed {
    tokens: Vec<String>,
    token_logprobs: Vec<Value>,
    top_logprobs: Vec<Map<String, Value>>,
    text_offset: Vec<usize>,
}

/// Lists the tokens side by side. `offset` is where the text begins that they are of, in characters, and
/// moves on with them.
pub(super) fn listed(raw: &RawValue, offset: &mut usize) -> Option<Listed> {
    let chat: Chat = serde_json::from_str(raw.get()).ok()?;
    let mut listed = Listed::default();
    for token in chat.content? {
        listed.text_offset.push(*offset);
        *offset += token.token.chars().count();
        let alternatives = token.top_logprobs.into_iter();
        let alternatives = alternatives.map(|other| (other.token, other.logprob));
        listed.top_logprobs.push(alternatives.collect());
        listed.tokens.push(token.token);
        listed.token_logprobs.push(token.logprob);
    }
    Some(listed)
}

/// Says of each token what the lists say.
pub(super) fn by_token(raw: &RawValue) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Lists {
        tokens: Vec<String>,
        #[serde(default)]
        token_logprobs: Vec<Value>,
        #[serde(default)]
        top_logprobs: Option<Vec<Option<Map<String, Value>>>>,
    }
    let lists: Lists = serde_json::from_str(raw.get()).ok()?;
    let tops = lists.top_logprobs.unwrap_or_default();
    let content: Vec<Value> = lists
        .tokens
        .into_iter()
        .enumerate()
        .map(|(place, token)| {
            let others = tops.get(place).cloned().flatten().unwrap_or_default();
            let others: Vec<Value> = others
                .into_iter()
                .map(|(token, logprob)| json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()}))
                .collect();
            json!({
                "token": token,
                "logprob": lists.token_logprobs.get(place).cloned().unwrap_or_default(),
                "bytes": token.as_bytes(),
                "top_logprobs": others,
            })
        })
        .collect();
    serde_json::value::to_raw_value(&json!({"content": content, "refusal": null})).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_go_into_lists_and_back() {
        let chat = json!({"content": [
            {"token": "grü", "logprob": -0.5, "bytes": "grü".as_bytes(), "top_logprobs": [{"token": "gro", "logprob": -2, "bytes": "gro".as_bytes()}]},
            {"token": "n", "logprob": -1, "bytes": "n".as_bytes(), "top_logprobs": []},
        ], "refusal": null});
        let raw = serde_json::value::to_raw_value(&chat).unwrap();
        let mut offset = 5;
        let lists = serde_json::to_value(listed(&raw, &mut offset).unwrap()).unwrap();
        assert_eq!(
            lists,
            json!({"tokens": ["grü", "n"], "token_logprobs": [-0.5, -1], "top_logprobs": [{"gro": -2}, {}], "text_offset": [5, 8]})
        );
        assert_eq!(offset, 9);
        let lists = serde_json::value::to_raw_value(&lists).unwrap();
        let back: Value = serde_json::from_str(by_token(&lists).unwrap().get()).unwrap();
        assert_eq!(back, chat);
    }
}
