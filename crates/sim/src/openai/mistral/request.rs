//! What Mistral refuses of a request, and the rest in OpenAI's words.

use serde_json::{Map, Value, json};

use crate::vendor::Failure;

/// Fields that are OpenAI's too.
const SHARED: [&str; 13] = [
    "model",
    "max_tokens",
    "temperature",
    "top_p",
    "stream",
    "stop",
    "response_format",
    "tools",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "parallel_tool_calls",
    "metadata",
];
/// Fields of its own, which change nothing of a simulated answer.
const OWN: [&str; 6] = [
    "prompt_mode",
    "safe_prompt",
    "guardrails",
    "prediction",
    "reasoning_effort",
    "prompt_cache_key",
];
const ROLES: [&str; 4] = ["assistant", "system", "tool", "user"];
/// The identifier of a call: so many letters and digits.
const CALL_ID: usize = 9;
const ORDER: &str = "invalid_request_message_order";

/// The request in OpenAI's words, where Mistral would take it.
pub(in crate::openai) fn in_openais_words(body: &Value) -> Result<Value, Failure> {
    let mut request = Map::new();
    for (key, value) in body.as_object().into_iter().flatten() {
        let (name, value) = match key.as_str() {
            "messages" => ("messages", messages(value)?),
            "random_seed" => ("seed", value.clone()),
            "tool_choice" if value == "any" => ("tool_choice", json!("required")),
            "tool_choice" => ("tool_choice", value.clone()),
            key if SHARED.contains(&key) => (key, value.clone()),
            key if OWN.contains(&key) => continue,
            _ => return Err(extra(&[json!(key)], value)),
        };
        request.insert(name.to_owned(), value);
    }
    if let Some(temperature) = request.get("temperature").and_then(Value::as_f64)
        && !(0.0..=1.5).contains(&temperature)
    {
        let said = "Input should be less than or equal to 1.5";
        return Err(invalid(
            "less_than_equal",
            &[json!("temperature")],
            said,
            &json!(temperature),
        ));
    }
    // Its tools' schemas are followed as far as the model does.
    for tool in request
        .get_mut("tools")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(function) = tool["function"].as_object_mut() {
            function.remove("strict");
        }
    }
    Ok(Value::Object(request))
}

fn messages(messages: &Value) -> Result<Value, Failure> {
    let Some(listed) = messages.as_array() else {
        return Err(invalid(
            "list_type",
            &[json!("messages")],
            "Input should be a valid list",
            messages,
        ));
    };
    let mut previous = "";
    let mut written = Vec::with_capacity(listed.len());
    for (index, message) in listed.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        let at = [json!("messages"), json!(index)];
        let Some(role) = ROLES.into_iter().find(|known| *known == role) else {
            let said = format!(
                "Input tag '{role}' found using 'role' does not match any of the expected tags: 'assistant', 'system', \
                 'tool', 'user'"
            );
            return Err(invalid("union_tag_invalid", &at, &said, message));
        };
        let is_in_order = match role {
            "user" | "system" => previous != "tool",
            "tool" => matches!(previous, "tool" | "assistant"),
            _ => true,
        };
        if !is_in_order {
            let said = format!("Unexpected role '{role}' after role '{previous}'");
            return Err(refused(ORDER, &said));
        }
        written.push(self::message(role, message, &at)?);
        previous = role;
    }
    if previous == "assistant" && listed.last().is_none_or(|last| last["prefix"] != true) {
        let said = "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant";
        return Err(refused(ORDER, said));
    }
    Ok(Value::Array(written))
}

fn message(role: &str, message: &Value, at: &[Value; 2]) -> Result<Value, Failure> {
    let known: &[&str] = match role {
        "assistant" => &["role", "content", "tool_calls", "prefix"],
        "tool" => &["role", "content", "tool_call_id", "name"],
        _ => &["role", "content"],
    };
    let mut written = Map::new();
    for (key, value) in message.as_object().into_iter().flatten() {
        if !known.contains(&key.as_str()) {
            let [list, index] = at.clone();
            return Err(extra(&[list, index, json!(role), json!(key)], value));
        }
        let value = match key.as_str() {
            "content" => content(value),
            "tool_calls" => {
                for call in value.as_array().into_iter().flatten() {
                    check_id(&call["id"])?;
                }
                value.clone()
            }
            "tool_call_id" => {
                check_id(value)?;
                value.clone()
            }
            "prefix" | "name" => continue,
            _ => value.clone(),
        };
        written.insert(key.clone(), value);
    }
    let is_empty = is_nothing(&message["content"]) && !message["tool_calls"].is_array();
    if role == "assistant" && is_empty {
        let said = "Assistant message must have either content or tool_calls, but not none.";
        return Err(refused("invalid_request_assistant_message", said));
    }
    Ok(Value::Object(written))
}

fn is_nothing(content: &Value) -> bool {
    content.is_null() || content == "" || content.as_array().is_some_and(Vec::is_empty)
}

/// Parts as OpenAI has them. Thoughts of earlier turns change nothing.
fn content(content: &Value) -> Value {
    let Some(parts) = content.as_array() else {
        return content.clone();
    };
    let parts = parts.iter().filter_map(|part| match part["type"].as_str() {
        Some("thinking" | "reference") => None,
        Some("image_url") if part["image_url"].is_string() => {
            Some(json!({"type": "image_url", "image_url": {"url": part["image_url"]}}))
        }
        Some("document_url") => {
            let name = part["document_name"].as_str().unwrap_or("document.pdf");
            Some(json!({"type": "file", "file": {"filename": name, "file_data": part["document_url"]}}))
        }
        // It takes files of its own by their identifier only, and what OpenAI calls so is nothing to it.
        Some("file") => Some(json!({"type": "file", "file_id": part["file_id"]})),
        _ => Some(part.clone()),
    });
    let parts: Vec<Value> = parts.collect();
    if parts.is_empty() {
        return Value::Null;
    }
    Value::Array(parts)
}

fn check_id(id: &Value) -> Result<(), Failure> {
    let text = id.as_str().unwrap_or_default();
    if text.len() == CALL_ID && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let said =
        format!("Tool call id was {text} but must be a-z, A-Z, 0-9, with a length of {CALL_ID}.");
    Err(refused("invalid_function_call", &said))
}

fn extra(at: &[Value], input: &Value) -> Failure {
    invalid(
        "extra_forbidden",
        at,
        "Extra inputs are not permitted",
        input,
    )
}

/// What its validation of bodies says.
fn invalid(kind: &str, at: &[Value], said: &str, input: &Value) -> Failure {
    let at: Vec<Value> = [json!("body")].iter().chain(at).cloned().collect();
    let detail = json!({"type": kind, "loc": at, "msg": said, "input": input});
    Failure::new(422, "invalid_request_error", said).detail(json!({
        "object": "error",
        "message": {"detail": [detail]},
        "type": "invalid_request_error",
        "param": null,
        "code": null,
    }))
}

/// What its models refuse.
fn refused(kind: &'static str, said: &str) -> Failure {
    Failure::new(400, kind, said).detail(json!({
        "object": "error",
        "message": said,
        "type": kind,
        "param": null,
        "code": "3230",
    }))
}
