//! Reads an application's request into OpenAI's format.

use bytes::Bytes;
use domain::name::ModelName;
use serde_json::{Map, Value, json};

use super::names::{snake, snake_keys};
use crate::face::InvalidRequest;

/// What a request may have; another name is refused, so that nothing is left out in silence.
const KNOWN: [&str; 24] = [
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
    "preferredProvider",
];

/// What needs what is not there yet, and what to do instead.
const LATER: [(&str, &str); 6] = [
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
    ("cache", "Answers are not cached yet: leave it out."),
];

/// The request in OpenAI's format; a stream always ends with its usage.
pub(super) fn request(body: &[u8]) -> Result<Bytes, InvalidRequest> {
    let mut request = Map::new();
    for (name, value) in object(body)? {
        if let Some((_, instead)) = LATER.iter().find(|(later, _)| *later == name) {
            return Err(InvalidRequest::of(name, *instead));
        }
        if !KNOWN.contains(&name.as_str()) {
            let detail = format!(
                "'{name}' is not known here. Known are {}.",
                KNOWN.join(", ")
            );
            return Err(InvalidRequest::of(name, detail));
        }
        if name == "preferredProvider" {
            continue;
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

/// A provider that is to be tried first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferred {
    /// The provider, in lower case as providers are named.
    pub provider: String,
    /// The model as it was asked for.
    pub model: ModelName,
    /// The same at the provider.
    pub there: ModelName,
}

/// The provider that is to be tried first; `None` where none is, or where the model's name says which.
pub fn preferred(body: &[u8]) -> Result<Option<Preferred>, InvalidRequest> {
    let mut request = object(body)?;
    let wanted = match request.remove("preferredProvider") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(name)) if !name.is_empty() => name.to_lowercase(),
        Some(other) => {
            let detail = format!(
                "'preferredProvider' is a provider's name such as \"OPENAI\", not {other}."
            );
            return Err(InvalidRequest::of("preferredProvider", detail));
        }
    };
    // A model that is missing or no name is refused with the rest of the request.
    let model = request.get("model").and_then(Value::as_str);
    let named = model
        .filter(|model| !model.contains('/'))
        .and_then(|model| {
            Some(Preferred {
                there: format!("{wanted}/{model}").parse().ok()?,
                model: model.parse().ok()?,
                provider: wanted.clone(),
            })
        });
    Ok(named)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, InvalidRequest> {
    serde_json::from_slice(body).map_err(|error| InvalidRequest {
        detail: format!("The request body is no JSON object: {error}."),
        param: None,
    })
}
