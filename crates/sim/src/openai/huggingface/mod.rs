//! Hugging Face's router: chat completions that hosts of many makes answer, and vectors of its own.
//! Reference: <https://huggingface.co/docs/inference-providers/tasks/chat-completion>, whose schema is published in
//! <https://www.npmjs.com/package/@huggingface/tasks>.
//!
//! What the router itself refuses is a sentence in `error`; what the host behind it refuses comes as that host says it.

mod error;
mod features;
mod request;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::OpenAi;
use super::model::Class;
use crate::record::Face;
use crate::vendor::{Failure, Knock, Vendor, bearer, is_invalid_key};

pub(crate) use features::{PREFIX, TASK, extract};
pub(super) use request::in_openais_words;

/// The models that its list names; more are taken by the form of their names.
const LISTED: [&str; 3] = [
    "meta-llama/Llama-3.3-70B-Instruct",
    "deepseek-ai/DeepSeek-R1",
    "openai/gpt-oss-120b",
];

/// Hugging Face.
pub(crate) struct HuggingFace;

/// What a model takes: its name is `owner/name`, and behind a colon may stand which host is to answer.
pub(super) fn class(model: &str) -> Result<Class, Failure> {
    let name = model.split_once(':').map_or(model, |(name, _)| name);
    let is_named = name
        .split_once('/')
        .is_some_and(|(owner, rest)| !owner.is_empty() && !rest.is_empty() && !rest.contains('/'));
    if !is_named {
        return Err(error::not_supported(model));
    }
    let thinks = ["-R1", "gpt-oss", "Thinking"]
        .iter()
        .any(|mark| name.contains(mark));
    Ok(if thinks {
        Class::OpenReasoning
    } else {
        Class::Open
    })
}

impl Vendor for HuggingFace {
    fn authenticate(&self, knock: &Knock<'_>) -> Result<(), Failure> {
        match bearer(knock.head).filter(|key| !key.is_empty()) {
            Some(key) if !is_invalid_key(key) => Ok(()),
            _ => Err(error::of_status(401, None, "")),
        }
    }

    fn error(&self, face: Face, failure: &Failure, request_id: &str) -> Value {
        OpenAi.error(face, failure, request_id)
    }

    fn failure(&self, _face: Face, status: u16, retry_after: Option<u64>, model: &str) -> Failure {
        error::of_status(status, retry_after, model)
    }

    fn overloaded_status(&self, _face: Face) -> u16 {
        429
    }

    fn not_json(&self, _face: Face, problem: &serde_json::Error) -> Failure {
        error::sentence(
            400,
            format!("Failed to parse the request body as JSON: {problem}"),
        )
    }

    fn no_such_path(&self, _method: &str, _path: &str) -> Failure {
        error::sentence(404, "Not Found")
    }

    fn wrong_method(&self, _method: &str, _path: &str) -> Failure {
        error::sentence(404, "Not Found")
    }

    fn models(&self) -> Result<Value, Failure> {
        let listed: Vec<Value> = LISTED.into_iter().map(card).collect();
        Ok(json!({"object": "list", "data": listed}))
    }

    fn model(&self, name: &str) -> Result<Value, Failure> {
        class(name)?;
        Ok(card(name))
    }

    fn fields(&self, request_id: &str, _failure: Option<&Failure>, fields: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(request_id) {
            fields.insert("x-request-id", id);
        }
    }

    fn request_id(&self, hash: u64, sequence: u64) -> String {
        format!("Root=1-sim{hash:016x}{sequence:08x}")
    }
}

fn card(model: &str) -> Value {
    let owner = model.split_once('/').map_or(model, |(owner, _)| owner);
    json!({
        "id": model, "object": "model", "created": 1_763_683_200, "owned_by": owner,
        "providers": [{"provider": "simulated", "status": "live", "supports_tools": true, "supports_structured_output": true}],
    })
}
