//! Reads an application's request into OpenAI's format.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::names::{snake, snake_keys};
use super::settings;
use crate::face::InvalidRequest;

/// What a request may say to the model.
const KNOWN: [&str; 23] = [
    "model",
    "messages",
    "maxTokens",
    "maxCompletionTokens",
    "temperature",
    "topP",
    "topK",
    "stop",
    "seed",
    "n",
    "stream",
    "responseFormat",
    "tools",
    "toolChoice",
    "parallelToolCalls",
    "frequencyPenalty",
    "presencePenalty",
    "logitBias",
    "logprobs",
    "topLogprobs",
    "reasoningEffort",
    "serviceTier",
    "user",
];

/// What needs what is not there yet, and what to do instead.
const LATER: [(&str, &str); 5] = [
    (
        "conversationId",
        "Conversations are not kept yet: send all of their messages.",
    ),
    (
        "memory",
        "Memory is not kept yet: send what is to be known as messages.",
    ),
    (
        "templateId",
        "Templates are not kept yet: send the messages themselves.",
    ),
    (
        "promptId",
        "Prompts are not kept yet: send the messages themselves.",
    ),
    (
        "variables",
        "Templates are not kept yet: send the messages themselves.",
    ),
];

/// The request in OpenAI's format; a stream always ends with its usage.
pub(super) fn request(body: &[u8]) -> Result<Bytes, InvalidRequest> {
    let mut request = Map::new();
    for (name, value) in object(body)? {
        if let Some((_, instead)) = LATER.iter().find(|(later, _)| *later == name) {
            return Err(InvalidRequest::of(name, *instead));
        }
        if settings::NAMES.contains(&name.as_str()) {
            continue;
        }
        // Refused, so that nothing is left out in silence.
        if !KNOWN.contains(&name.as_str()) {
            let known = [KNOWN.as_slice(), &settings::NAMES].concat().join(", ");
            let detail = format!("'{name}' is not known here. Known are {known}.");
            return Err(InvalidRequest::of(name, detail));
        }
        let is_opaque = name == "logitBias";
        let value = if is_opaque { value } else { snake_keys(value) };
        request.insert(snake(&name), value);
    }
    if request.get("stream") == Some(&Value::Bool(true)) {
        let options = json!({ "include_usage": true });
        request.insert("stream_options".to_owned(), options);
    }
    Ok(Value::from(request).to_string().into())
}

pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, InvalidRequest> {
    serde_json::from_slice(body).map_err(|error| InvalidRequest {
        detail: format!("The request body is no JSON object: {error}."),
        param: None,
    })
}
