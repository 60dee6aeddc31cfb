//! What the published schema of chat completions refuses, and the rest in OpenAI's words.

use serde_json::{Map, Value, json};

use super::error::{misfit, of_host};
use crate::vendor::Failure;

/// The fields of the schema.
const SCHEMA: [&str; 22] = [
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "messages",
    "model",
    "n",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tool_prompt",
    "tools",
    "top_logprobs",
    "top_p",
    // Not in the schema, and known to every host behind the router.
    "parallel_tool_calls",
    "user",
];
/// The roles that the templates of open models know.
const ROLES: [&str; 4] = ["system", "user", "assistant", "tool"];

/// The request in OpenAI's words, where the schema and the strictest of the hosts would take it.
pub(in crate::openai) fn in_openais_words(body: &Value) -> Result<Value, Failure> {
    let mut request = Map::new();
    for (key, value) in body.as_object().into_iter().flatten() {
        if !SCHEMA.contains(&key.as_str()) {
            return Err(of_host(&format!("{key}: property '{key}' is unsupported")));
        }
        let value = match key.as_str() {
            // Nobody uses them.
            "tool_prompt" | "logit_bias" if value.is_string() || value.is_array() => continue,
            "logit_bias" if !value.is_null() => {
                return Err(misfit("logit_bias: expected a sequence"));
            }
            "stop" if !value.is_null() && !value.is_array() => {
                return Err(misfit("stop: expected a sequence"));
            }
            "seed" if !value.is_null() && !value.is_u64() => {
                return Err(misfit("seed: expected u64"));
            }
            "tool_choice" => tool_choice(value)?,
            "messages" => messages(value)?,
            _ => value.clone(),
        };
        request.insert(key.clone(), value);
    }
    Ok(Value::Object(request))
}

/// A word, or the function that is to be called.
fn tool_choice(choice: &Value) -> Result<Value, Failure> {
    match choice {
        Value::Null => Ok(Value::Null),
        Value::String(word) if ["auto", "none", "required"].contains(&word.as_str()) => {
            Ok(choice.clone())
        }
        Value::Object(named) if named.get("function").is_some_and(Value::is_object) => {
            Ok(json!({"type": "function", "function": named["function"]}))
        }
        _ => Err(misfit(
            "tool_choice: data did not match any variant of untagged enum ToolType",
        )),
    }
}

fn messages(messages: &Value) -> Result<Value, Failure> {
    let Some(listed) = messages.as_array() else {
        return Err(misfit("messages: expected a sequence"));
    };
    for (index, message) in listed.iter().enumerate() {
        let Some(role) = message["role"].as_str() else {
            return Err(misfit(&format!("messages[{index}]: missing field `role`")));
        };
        if !ROLES.contains(&role) {
            return Err(misfit(
                "Template error: invalid operation: Unexpected message role.",
            ));
        }
        for part in message["content"].as_array().into_iter().flatten() {
            let kind = part["type"].as_str().unwrap_or_default();
            if !["text", "image_url"].contains(&kind) {
                return Err(of_host(&format!(
                    "messages.{index}.content: unknown variant `{kind}`, expected `text` or `image_url`"
                )));
            }
        }
    }
    Ok(messages.clone())
}
