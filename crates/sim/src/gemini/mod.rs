//! Google's `generateContent`.
//! Reference: <https://ai.google.dev/api/generate-content>.

mod check;
mod contents;
mod error;
pub(crate) mod model;
mod reply;
mod request;
mod shape;
mod signature;
pub(crate) mod tasks;
mod tools;

use http::HeaderMap;
use serde_json::{Value, json};

use crate::frames::Frames;
use crate::prompt::Prompt;
use crate::record::Face;
use crate::route::query;
use crate::vendor::{
    Ask, Failure, Format, Knock, Reply, Vendor, bearer, field, is_invalid_key, listed,
};

/// The Gemini face.
pub(crate) struct Gemini;

impl Vendor for Gemini {
    fn authenticate(&self, knock: &Knock<'_>) -> Result<(), Failure> {
        let head = knock.head;
        let key = field(head, "x-goog-api-key")
            .or_else(|| query(head, "key"))
            .filter(|key| !key.is_empty());
        match (key, bearer(head).filter(|token| !token.is_empty())) {
            (Some(key), _) if is_invalid_key(key) => Err(error::wrong_key()),
            (None, Some(token)) if is_invalid_key(token) => Err(error::of_status(401, None, "")),
            (None, None) => Err(error::no_key()),
            _ => Ok(()),
        }
    }

    fn error(&self, _face: Face, failure: &Failure, _request_id: &str) -> Value {
        error::object(failure)
    }

    fn failure(&self, _face: Face, status: u16, retry_after: Option<u64>, model: &str) -> Failure {
        error::of_status(status, retry_after, model)
    }

    fn overloaded_status(&self, _face: Face) -> u16 {
        503
    }

    fn not_json(&self, _face: Face, problem: &serde_json::Error) -> Failure {
        check::plain(format!("Invalid JSON payload received. {problem}"))
    }

    fn no_such_path(&self, _method: &str, _path: &str) -> Failure {
        Failure::new(404, "NOT_FOUND", "Requested entity was not found.")
    }

    fn wrong_method(&self, _method: &str, _path: &str) -> Failure {
        Failure::new(404, "NOT_FOUND", "Requested entity was not found.")
    }

    fn fields(&self, _request_id: &str, _failure: Option<&Failure>, _fields: &mut HeaderMap) {}

    fn request_id(&self, hash: u64, sequence: u64) -> String {
        format!("sim{hash:016x}{sequence:08x}")
    }

    fn models(&self) -> Result<Value, Failure> {
        Ok(listed("models", &model::LISTED, card))
    }

    fn model(&self, name: &str) -> Result<Value, Failure> {
        match model::Class::of(name) {
            Some(_) => Ok(card(name)),
            None => Err(error::unknown_model(name)),
        }
    }
}

impl Format for Gemini {
    fn read(&self, ask: &Ask<'_>) -> Result<Prompt, Failure> {
        request::read(ask)
    }

    fn whole(&self, reply: &Reply<'_>) -> Value {
        reply::whole(reply)
    }

    fn stream(&self, reply: &Reply<'_>, frames: &mut Frames) {
        reply::stream(reply, frames);
    }

    fn error_event(&self, _failure: &Failure, error: &Value, frames: &mut Frames) {
        frames.event(None, error);
    }

    fn count(&self, ask: &Ask<'_>) -> Option<Result<Value, Failure>> {
        Some(request::count(ask))
    }

    fn response_id(&self, hash: u64, sequence: u64) -> String {
        format!("sim{hash:016x}{sequence:08x}")
    }
}

fn card(name: &str) -> Value {
    json!({
        "name": format!("models/{name}"),
        "version": "sim",
        "displayName": format!("{name} (simulated)"),
        "inputTokenLimit": model::CONTEXT,
        "outputTokenLimit": model::MOST_OUTPUT,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        "temperature": 1,
        "maxTemperature": 2,
    })
}
