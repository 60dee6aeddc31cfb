//! Cohere's chat, version 2.
//! Reference: <https://docs.cohere.com/reference/chat>.

mod check;
mod error;
mod messages;
pub(crate) mod model;
mod reply;
mod request;
mod tools;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::frames::Frames;
use crate::prompt::Prompt;
use crate::record::Face;
use crate::vendor::{Ask, Failure, Format, Knock, Reply, Vendor, bearer, is_invalid_key, listed};

/// Cohere as a vendor, and its format of chats.
pub(crate) struct Cohere;

impl Vendor for Cohere {
    fn authenticate(&self, knock: &Knock<'_>) -> Result<(), Failure> {
        match bearer(knock.head).filter(|key| !key.is_empty()) {
            None => Err(error::plain(401, "no api key supplied")),
            Some(key) if is_invalid_key(key) => Err(error::plain(401, "invalid api token")),
            Some(_) => Ok(()),
        }
    }

    fn error(&self, _face: Face, failure: &Failure, request_id: &str) -> Value {
        json!({"id": request_id, "message": failure.message})
    }

    fn failure(&self, _face: Face, status: u16, retry_after: Option<u64>, model: &str) -> Failure {
        error::of_status(status, retry_after, model)
    }

    fn overloaded_status(&self, _face: Face) -> u16 {
        503
    }

    fn not_json(&self, _face: Face, _problem: &serde_json::Error) -> Failure {
        check::bad("invalid json syntax")
    }

    fn no_such_path(&self, _method: &str, _path: &str) -> Failure {
        error::plain(404, "404 page not found")
    }

    fn wrong_method(&self, _method: &str, _path: &str) -> Failure {
        error::plain(405, "method not allowed")
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

    fn fields(&self, request_id: &str, _failure: Option<&Failure>, fields: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(request_id) {
            fields.insert("x-debug-trace-id", id);
        }
        for (name, value) in [
            ("x-endpoint-monthly-call-limit", "1000"),
            ("x-trial-endpoint-call-limit", "40"),
            ("x-trial-endpoint-call-remaining", "39"),
        ] {
            fields.insert(name, HeaderValue::from_static(value));
        }
    }

    fn request_id(&self, hash: u64, sequence: u64) -> String {
        format!("{hash:016x}-sim-{sequence:08x}")
    }
}

impl Format for Cohere {
    fn read(&self, ask: &Ask<'_>) -> Result<Prompt, Failure> {
        request::read(ask)
    }

    fn whole(&self, reply: &Reply<'_>) -> Value {
        reply::whole(reply)
    }

    fn stream(&self, reply: &Reply<'_>, frames: &mut Frames) {
        reply::stream(reply, frames);
    }

    fn error_event(&self, failure: &Failure, _error: &Value, frames: &mut Frames) {
        let delta = json!({"error": failure.message, "finish_reason": "ERROR"});
        frames.event(
            Some("message-end"),
            &json!({"type": "message-end", "delta": delta}),
        );
    }

    fn response_id(&self, hash: u64, sequence: u64) -> String {
        format!("sim{hash:016x}{sequence:08x}")
    }
}

fn card(name: &str) -> Value {
    json!({
        "name": name,
        "is_deprecated": false,
        "endpoints": ["chat"],
        "finetuned": false,
        "context_length": model::CONTEXT,
        "tokenizer_url": null,
        "default_endpoints": [],
        "features": ["tools", "json_mode"],
    })
}
