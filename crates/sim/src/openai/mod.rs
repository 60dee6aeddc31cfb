//! OpenAI: chat completions, and in folders of their own its other formats.
//! Reference: <https://platform.openai.com/docs/api-reference/chat>.

mod attachments;
mod check;
mod completions;
pub(crate) mod error;
pub(crate) mod huggingface;
mod messages;
mod mistral;
pub(crate) mod model;
mod options;
mod parameters;
pub(crate) mod realtime;
mod reply;
mod request;
mod responses;
pub(crate) mod tasks;
mod tools;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::frames::Frames;
use crate::prompt::Prompt;
use crate::record::{Face, Host};
use crate::vendor::{Ask, Failure, Format, Knock, Reply, Vendor, bearer, is_invalid_key, listed};

pub(crate) use completions::Completions;
pub(crate) use huggingface::HuggingFace;
pub(crate) use responses::{Responses, Stored, StoredCall, Told};

/// OpenAI as a vendor, and its format of chat completions.
pub(crate) struct OpenAi;

impl Vendor for OpenAi {
    fn authenticate(&self, knock: &Knock<'_>) -> Result<(), Failure> {
        let head = knock.head;
        match bearer(head).filter(|key| !key.is_empty()) {
            None => Err(error::no_key()),
            Some(key) if is_invalid_key(key) => Err(error::wrong_key(key)),
            Some(_) => Ok(()),
        }
    }

    fn error(&self, _face: Face, failure: &Failure, _request_id: &str) -> Value {
        // What another vendor of the format says is in its own words already.
        let own = failure.details.first().cloned();
        own.unwrap_or_else(|| error::object(failure))
    }

    fn failure(&self, _face: Face, status: u16, retry_after: Option<u64>, model: &str) -> Failure {
        error::of_status(status, retry_after, model)
    }

    fn overloaded_status(&self, _face: Face) -> u16 {
        500
    }

    fn not_json(&self, _face: Face, _problem: &serde_json::Error) -> Failure {
        error::not_json()
    }

    fn no_such_path(&self, method: &str, path: &str) -> Failure {
        Failure::new(
            404,
            check::INVALID,
            format!("Invalid URL ({method} {path})"),
        )
    }

    fn wrong_method(&self, method: &str, path: &str) -> Failure {
        let message = format!(
            "Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"
        );
        Failure::new(405, check::INVALID, message).code("method_not_supported")
    }

    fn fields(&self, request_id: &str, _failure: Option<&Failure>, fields: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(request_id) {
            fields.insert("x-request-id", id);
        }
        for (name, value) in [
            ("openai-organization", "org-sim"),
            ("openai-processing-ms", "7"),
            ("openai-version", "2020-10-01"),
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-remaining-tokens", "1999000"),
            ("x-ratelimit-reset-requests", "6ms"),
            ("x-ratelimit-reset-tokens", "30ms"),
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
            list.insert("object".to_owned(), json!("list"));
        }
        Ok(list)
    }

    fn model(&self, name: &str) -> Result<Value, Failure> {
        if model::Class::of(name).is_some() {
            return Ok(card(name));
        }
        let message = format!("The model '{name}' does not exist");
        Err(Failure::new(404, check::INVALID, message)
            .at("model")
            .code("model_not_found"))
    }
}

impl Format for OpenAi {
    fn read(&self, ask: &Ask<'_>) -> Result<Prompt, Failure> {
        if ask.host == Host::HuggingFace {
            let body = huggingface::in_openais_words(ask.body)?;
            return request::read(&Ask {
                body: &body,
                ..*ask
            });
        }
        if ask.body["model"].as_str().is_some_and(mistral::has) {
            let body = mistral::in_openais_words(ask.body)?;
            return request::read(&Ask {
                body: &body,
                ..*ask
            });
        }
        request::read(ask)
    }

    fn whole(&self, reply: &Reply<'_>) -> Value {
        if mistral::has(&reply.prompt.model) {
            return mistral::whole(reply);
        }
        reply::whole(reply)
    }

    fn stream(&self, reply: &Reply<'_>, frames: &mut Frames) {
        if mistral::has(&reply.prompt.model) {
            return mistral::stream(reply, frames);
        }
        reply::stream(reply, frames);
    }

    fn error_event(&self, _failure: &Failure, error: &Value, frames: &mut Frames) {
        frames.event(None, error);
    }

    fn response_id(&self, hash: u64, sequence: u64) -> String {
        format!("chatcmpl-sim{hash:016x}{sequence:08x}")
    }
}

fn card(model: &str) -> Value {
    json!({"id": model, "object": "model", "created": 1_763_683_200, "owned_by": "trunkline-sim"})
}
