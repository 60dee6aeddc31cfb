//! Anthropic's messages.
//! Reference: <https://docs.claude.com/en/api/messages>.

pub(crate) mod batches;
mod check;
mod content;
mod error;
pub(crate) mod model;
mod reply;
mod request;
pub(crate) mod signature;
mod thinking;
mod tools;
mod turns;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::frames::Frames;
use crate::prompt::{Prompt, Reasoning};
use crate::record::Face;
use crate::vendor::{
    Ask, Failure, Format, Knock, Reply, Vendor, bearer, field, is_invalid_key, listed,
};

/// The Anthropic face.
pub(crate) struct Anthropic;

impl Vendor for Anthropic {
    fn authenticate(&self, knock: &Knock<'_>) -> Result<(), Failure> {
        let head = knock.head;
        let refuse = |message: &str| Failure::new(401, "authentication_error", message);
        match (
            field(head, "x-api-key"),
            bearer(head).filter(|key| !key.is_empty()),
        ) {
            (None, None) => Err(refuse("x-api-key header is required")),
            (Some(key), _) if is_invalid_key(key) => Err(refuse("invalid x-api-key")),
            (None, Some(key)) if is_invalid_key(key) => Err(refuse("Invalid bearer token")),
            _ => Ok(()),
        }
    }

    fn error(&self, _face: Face, failure: &Failure, request_id: &str) -> Value {
        error::object(failure, request_id)
    }

    fn failure(&self, _face: Face, status: u16, retry_after: Option<u64>, model: &str) -> Failure {
        error::of_status(status, retry_after, model)
    }

    fn overloaded_status(&self, _face: Face) -> u16 {
        529
    }

    fn not_json(&self, _face: Face, problem: &serde_json::Error) -> Failure {
        check::plain(format!("The request body is not valid JSON: {problem}"))
    }

    fn no_such_path(&self, _method: &str, _path: &str) -> Failure {
        Failure::new(404, "not_found_error", "Not Found")
    }

    fn wrong_method(&self, _method: &str, _path: &str) -> Failure {
        Failure::new(405, check::INVALID, "Method Not Allowed")
    }

    fn fields(&self, request_id: &str, _failure: Option<&Failure>, fields: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(request_id) {
            fields.insert("request-id", id);
        }
        for (name, value) in [
            ("anthropic-organization-id", "org-sim"),
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T00:00:01Z"),
            ("anthropic-ratelimit-input-tokens-limit", "2000000"),
            ("anthropic-ratelimit-input-tokens-remaining", "1999000"),
            (
                "anthropic-ratelimit-input-tokens-reset",
                "2026-11-21T00:00:01Z",
            ),
            ("anthropic-ratelimit-output-tokens-limit", "400000"),
            ("anthropic-ratelimit-output-tokens-remaining", "399000"),
            (
                "anthropic-ratelimit-output-tokens-reset",
                "2026-11-21T00:00:01Z",
            ),
        ] {
            fields.insert(name, HeaderValue::from_static(value));
        }
    }

    fn request_id(&self, hash: u64, sequence: u64) -> String {
        format!("req_sim{hash:016x}{sequence:08x}")
    }

    fn models(&self) -> Result<Value, Failure> {
        let mut list = listed("data", &model::LISTED, card);
        if let Some(list) = list.as_object_mut() {
            list.insert("has_more".to_owned(), json!(false));
            list.insert("first_id".to_owned(), json!(model::LISTED.first()));
            list.insert("last_id".to_owned(), json!(model::LISTED.last()));
        }
        Ok(list)
    }

    fn model(&self, name: &str) -> Result<Value, Failure> {
        match model::Class::of(name) {
            Some(_) => Ok(card(name)),
            None => Err(Failure::new(
                404,
                "not_found_error",
                format!("model: {name}"),
            )),
        }
    }
}

impl Format for Anthropic {
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
        frames.event(Some("error"), error);
    }

    fn count(&self, ask: &Ask<'_>) -> Option<Result<Value, Failure>> {
        Some(request::count(ask))
    }

    fn response_id(&self, hash: u64, sequence: u64) -> String {
        format!("msg_sim{hash:016x}{sequence:08x}")
    }
}

/// Whether a model takes instructions between messages, whatever a cloud calls it.
pub(crate) fn takes_system_messages(model: &str) -> bool {
    model::Class::of(model::own_name(model)).is_some_and(model::Class::takes_system_messages)
}

/// What parameters of this format say about thinking, where a cloud passes them on to one of these models.
pub(crate) fn thinking_of(
    fields: &Value,
    model: &str,
    output_limit: u64,
) -> Result<Reasoning, Failure> {
    request::thinking_of(fields, model, output_limit)
}

fn card(model: &str) -> Value {
    json!({"type": "model", "id": model, "display_name": format!("{model} (simulated)"), "created_at": "2025-11-21T00:00:00Z"})
}
