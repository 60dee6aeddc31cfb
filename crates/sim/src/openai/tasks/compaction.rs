//! The rules of compactions: what a conversation becomes when it is folded into what only this provider can read.
//! See <https://platform.openai.com/docs/api-reference/responses/compact>.

use serde_json::{Value, json};

use super::super::check::{array, plain, required, sized, text};
use super::super::model::Class;
use super::super::responses::seal;
use super::{known, model, no_such_model, wish};
use crate::node::Node;
use crate::tasks::{Asked, Output, SimTaskUsage, Wish};
use crate::tokens;
use crate::vendor::Failure;

/// Tokens that a folded conversation takes.
const FOLDED: u64 = 20;

/// `POST /v1/responses/compact`
pub(crate) fn compact(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let root = Node::root(&body);
    known(
        &root,
        &[
            "model",
            "input",
            "image",
            "instructions",
            "previous_response_id",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "service_tier",
        ],
    )?;
    let name = model(&root)?.to_owned();
    if Class::of(&name).is_none() {
        return Err(no_such_model(&name));
    }
    for word in ["instructions", "previous_response_id", "prompt_cache_key"] {
        if let Some(node) = root.present(word) {
            text(&node)?;
        }
    }
    let kept = match (root.present("input"), root.present("previous_response_id")) {
        (Some(input), _) => users_messages(&input)?,
        (None, Some(_)) => Vec::new(),
        (None, None) => {
            let message = "One of 'input' or 'previous_response_id' must be provided.";
            return Err(plain(message).code("missing_required_parameter"));
        }
    };
    let input_tokens = tokens::of_text(&body.to_string());
    let seed = asked.seed;
    Ok(wish(&name, "", false, move |understood| {
        let id = format!("cmp_sim{:016x}", understood.sequence);
        let folded = json!({"type": "compaction", "id": id, "encrypted_content": seal(seed, &id)});
        let output: Vec<Value> = kept.into_iter().chain([folded]).collect();
        let usage = SimTaskUsage {
            input_tokens,
            output_tokens: FOLDED,
            ..SimTaskUsage::default()
        };
        let answer = json!({
            "id": format!("resp_sim{:016x}", understood.sequence),
            "object": "response.compaction",
            "created_at": understood.now,
            "output": output,
            "usage": {
                "input_tokens": input_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": FOLDED,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": input_tokens + FOLDED,
            },
        });
        (Output::Json(answer), usage)
    }))
}

/// What users said, which is kept as it is.
fn users_messages(input: &Node<'_, '_>) -> Result<Vec<Value>, Failure> {
    if let Some(said) = input.text() {
        return Ok(vec![message(&json!(said))]);
    }
    array(input)?;
    sized(input, 1, 10_000)?;
    let mut kept = Vec::new();
    for item in input.items() {
        if item.present("type").is_none() {
            // A message need not say that it is one.
            required(&item, "content")?;
        }
        let is_users = item.value.get("role").is_some_and(|role| role == "user");
        if let Some(content) = item.value.get("content").filter(|_| is_users) {
            kept.push(message(content));
        }
    }
    Ok(kept)
}

fn message(content: &Value) -> Value {
    let content = match content {
        Value::String(said) => json!([{"type": "input_text", "text": said}]),
        parts => parts.clone(),
    };
    json!({"type": "message", "role": "user", "status": "completed", "content": content})
}
