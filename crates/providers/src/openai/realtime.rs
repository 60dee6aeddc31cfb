//! OpenAI's realtime sessions, of callers and of targets: what is asked for in the handshake, and what of the
//! events that pass matters to those who count and limit (<https://platform.openai.com/docs/api-reference/realtime>).
//!
//! Events pass as they are. [`said`] and [`told`] read no more of them than that one begins or ends, and what it
//! took; an event that they do not know is nothing to them.

pub mod preset;

use std::borrow::Cow;

use bytes::Bytes;
use domain::chat::{Finish, FinishReason};
use domain::name::ModelName;
use domain::problem::Problem;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue, Request};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::render;
use super::{error, usage};
use crate::azure;
use crate::dialect::{Refusal, Target};
use crate::face::InvalidRequest;
use crate::kind::ProviderKind;
use crate::passing::not_served;
use crate::url;

/// The subprotocol of these events.
pub const PROTOCOL: &str = "realtime";
/// Begins the subprotocol in which a browser shows its key: it cannot set any field.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";
/// Begins the subprotocol of an earlier version of the format.
const BETA_PROTOCOL: &str = "openai-beta.";
/// The caller's fields that belong to the format.
const FORWARDED: [&str; 2] = ["openai-beta", "openai-safety-identifier"];

/// OpenAI's realtime API, of callers.
#[derive(Debug)]
pub struct OpenaiRealtime;

/// The key among the subprotocols that a caller offers.
pub fn offered_key(headers: &HeaderMap) -> Option<&str> {
    offered(headers).find_map(|protocol| protocol.strip_prefix(KEY_PROTOCOL))
}

/// Whether the caller offers to speak [`PROTOCOL`].
pub fn is_offered(headers: &HeaderMap) -> bool {
    offered(headers).any(|protocol| protocol == PROTOCOL)
}

fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The model that a query names.
pub fn model(query: &str) -> Result<ModelName, InvalidRequest> {
    let named = pairs(query).find_map(|(name, value)| (name == "model").then_some(value));
    let Some(named) = named else {
        let detail = "The query names no model. Connect to /v1/realtime?model=NAME.";
        return Err(InvalidRequest::of("model", detail));
    };
    url::decoded(named)
        .and_then(|name| name.parse().ok())
        .ok_or_else(|| {
            let detail = "'model' must be 1 to 256 bytes of UTF-8 without control characters.";
            InvalidRequest::of("model", detail)
        })
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The handshake with a target, without its credential: the caller's query and subprotocols but for the
/// model's name, which becomes the target's, and the caller's key, which goes no further.
pub fn request(
    kind: ProviderKind,
    target: &Target<'_>,
    query: &str,
    headers: &HeaderMap,
) -> Result<Request<Bytes>, Refusal> {
    let (mut address, name) = match kind {
        ProviderKind::Openai => (format!("{}/realtime", target.base_url), "model"),
        ProviderKind::AzureOpenai => (
            azure::endpoint(target, "realtime")?,
            azure::model_parameter(target.host),
        ),
        other => return Err(not_served(other, "realtime sessions")),
    };
    let mut append = |pair: &str| {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(pair);
    };
    // OpenAI takes no model where only what is said is written down: the session's events name it.
    let is_transcription = pairs(query).any(|pair| pair == ("intent", "transcription"));
    if !(is_transcription && kind == ProviderKind::Openai) {
        append(&url::form(&[(name, target.model)]));
    }
    for (name, value) in pairs(query) {
        match name {
            "model" | "key" => {}
            "call_id" => {
                let detail = "'call_id' joins a call that was begun with the provider itself, which the gateway \
                              knows nothing of. Leave it out to begin a session.";
                return Err(Refusal::of("call_id", detail));
            }
            name => append(&format!("{name}={value}")),
        }
    }
    let mut request = Request::get(address)
        .body(Bytes::new())
        .map_err(|error| Refusal {
            detail: format!("The provider's base URL makes no request target: {error}."),
            param: None,
        })?;
    for name in FORWARDED {
        if let Some(value) = headers.get(name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    // Browsers put into subprotocols what others put into fields; the caller's account is none of the provider's.
    let passed: Vec<&str> = offered(headers)
        .filter(|protocol| *protocol == PROTOCOL || protocol.starts_with(BETA_PROTOCOL))
        .collect();
    if let Ok(passed) = HeaderValue::try_from(passed.join(", "))
        && !passed.is_empty()
    {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, passed);
    }
    Ok(request)
}

/// What a caller's event means to those who count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A response is asked for.
    Response {
        /// What an error about it will refer to.
        event_id: Option<String>,
        /// The caller's bound on its output.
        max_output_tokens: Option<u64>,
    },
    /// Sound, of so many bytes of base64.
    Sound(usize),
    /// Anything else.
    Other,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the vendor's")]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    response_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// Reads a caller's event. What cannot be read cannot be counted, and is refused.
pub fn said(text: &str) -> Result<Said, InvalidRequest> {
    let event: Event<'_> = serde_json::from_str(text).map_err(|error| InvalidRequest {
        detail: format!("The message is no event: {error}. Send a JSON object with a `type`."),
        param: None,
    })?;
    Ok(match event.kind.as_ref() {
        "response.create" => Said::Response {
            event_id: event.event_id.map(Cow::into_owned),
            max_output_tokens: event.response.and_then(output_bound),
        },
        "input_audio_buffer.append" => {
            Said::Sound(event.audio.map_or(0, |audio| audio.get().len()))
        }
        _ => Said::Other,
    })
}

/// `max_output_tokens`, or the name it had in the beta; `"inf"` is no bound.
fn output_bound(response: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    struct Bounds {
        max_output_tokens: Option<Value>,
        max_response_output_tokens: Option<Value>,
    }
    let bounds: Bounds = serde_json::from_str(response.get()).ok()?;
    let bound = bounds
        .max_output_tokens
        .or(bounds.max_response_output_tokens)?;
    bound.as_u64()
}

/// What a provider's event means to those who count.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The session is now like this.
    Session {
        /// The model that writes the caller's speech down, where one does.
        transcription_model: Option<String>,
        /// Whether answers are spoken.
        is_spoken: bool,
    },
    /// A response has begun, whether the caller asked for it or speech was heard.
    Begun {
        /// Its identifier.
        id: String,
    },
    /// A part of a response.
    Content {
        /// Of which.
        id: String,
    },
    /// A response is over.
    Done(Box<Done>),
    /// Something said was written down.
    Transcribed(Option<Usage>),
    /// An event of the caller's was refused, or the session failed.
    Error {
        /// The event that was refused, where it had an identifier.
        event_id: Option<String>,
        /// Why.
        error: Box<ProviderError>,
    },
    /// Anything else.
    Other,
}

/// How a response ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Its identifier.
    pub id: String,
    /// What it took; `None` where the provider does not say.
    pub usage: Option<Usage>,
    /// Why it ended.
    pub finish: Finish,
    /// The provider failed.
    pub error: Option<ProviderError>,
}

/// Reads a provider's event; what cannot be read is [`Told::Other`].
pub fn told(text: &str) -> Told {
    let Ok(event) = serde_json::from_str::<Event<'_>>(text) else {
        return Told::Other;
    };
    let read = match event.kind.as_ref() {
        "session.created"
        | "session.updated"
        | "transcription_session.created"
        | "transcription_session.updated" => event.session.and_then(session),
        "response.created" => event.response.and_then(begun),
        "response.done" => event.response.and_then(done),
        "conversation.item.input_audio_transcription.completed" => {
            Some(Told::Transcribed(event.usage.and_then(transcript_usage)))
        }
        "error" => event.error.and_then(failed),
        kind if is_delta(kind) => event.response_id.map(|id| Told::Content {
            id: id.into_owned(),
        }),
        _ => None,
    };
    read.unwrap_or(Told::Other)
}

/// Whether an event of this type is a part of a response.
fn is_delta(kind: &str) -> bool {
    let kind = kind.strip_prefix("response.");
    kind.is_some_and(|kind| kind.strip_suffix(".delta").is_some())
}

fn session(session: &RawValue) -> Option<Told> {
    let session: Value = serde_json::from_str(session.get()).ok()?;
    // The second of each is where the beta has it.
    let at = |pointers: [&str; 2]| {
        let mut found = pointers
            .into_iter()
            .filter_map(|pointer| session.pointer(pointer));
        found.find(|value| !value.is_null())
    };
    let model = at([
        "/audio/input/transcription/model",
        "/input_audio_transcription/model",
    ]);
    let modalities = at(["/output_modalities", "/modalities"]).and_then(Value::as_array);
    Some(Told::Session {
        transcription_model: model.and_then(Value::as_str).map(str::to_owned),
        is_spoken: modalities.is_none_or(|modalities| modalities.contains(&json!("audio"))),
    })
}

#[derive(Deserialize)]
struct Response<'a> {
    id: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(borrow)]
    status_details: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Details<'a> {
    reason: Option<String>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

fn begun(response: &RawValue) -> Option<Told> {
    let response: Response<'_> = serde_json::from_str(response.get()).ok()?;
    Some(Told::Begun { id: response.id })
}

fn done(response: &RawValue) -> Option<Told> {
    let response: Response<'_> = serde_json::from_str(response.get()).ok()?;
    let details = response.status_details;
    let details: Option<Details<'_>> =
        details.and_then(|details| serde_json::from_str(details.get()).ok());
    let (reason, cause) = details.map_or((None, None), |details| (details.reason, details.error));
    let status = response.status.unwrap_or_default();
    let error = (status == "failed").then(|| {
        let told = cause.and_then(|error| error::of_frame(error.get()));
        told.unwrap_or_else(|| {
            let code = cause.and_then(|error| {
                let error: Value = serde_json::from_str(error.get()).ok()?;
                error.get("code")?.as_str().map(str::to_owned)
            });
            ProviderError {
                code,
                ..ProviderError::new(Cause::Server, "The provider failed to make a response.")
            }
        })
    });
    let native = reason.unwrap_or(status);
    Some(Told::Done(Box::new(Done {
        id: response.id,
        usage: response.usage.and_then(read_usage),
        finish: Finish {
            reason: match native.as_str() {
                "max_output_tokens" => FinishReason::Length,
                "content_filter" => FinishReason::ContentFilter,
                "failed" => FinishReason::Error,
                _ => FinishReason::Stop,
            },
            native,
            stop_sequence: None,
        },
        error,
    })))
}

/// A usage that contradicts itself is none: what passes is not refused for it.
fn read_usage(native: &RawValue) -> Option<Usage> {
    usage::read(native.get().as_bytes()).ok().flatten()
}

/// Tokens, or the length of what was heard.
fn transcript_usage(native: &RawValue) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Heard {
        seconds: Option<f64>,
    }
    if let Some(usage) = read_usage(native) {
        return Some(usage);
    }
    let heard: Heard = serde_json::from_str(native.get()).ok()?;
    let heard = std::time::Duration::try_from_secs_f64(heard.seconds?).ok()?;
    Some(Usage {
        input_audio_milliseconds: u64::try_from(heard.as_millis()).ok()?,
        ..Usage::default()
    })
}

fn failed(told: &RawValue) -> Option<Told> {
    #[derive(Deserialize)]
    struct About {
        event_id: Option<String>,
    }
    let about: About = serde_json::from_str(told.get()).ok()?;
    Some(Told::Error {
        event_id: about.event_id,
        error: Box::new(error::of_frame(told.get())?),
    })
}

/// A problem as the vendor's error event, about the caller's event `event_id`. `id` identifies the error event
/// itself.
pub fn error_event(problem: &Problem, id: &str, event_id: Option<&str>) -> String {
    let mut event: Value = serde_json::from_slice(&render::problem(problem)).unwrap_or_default();
    if let Some(error) = event.get_mut("error").and_then(Value::as_object_mut) {
        error.insert("event_id".to_owned(), json!(event_id));
    }
    json!({ "type": "error", "event_id": id, "error": event["error"] }).to_string()
}

/// The event that ends a response.
pub fn cancellation(response_id: &str) -> String {
    json!({ "type": "response.cancel", "response_id": response_id }).to_string()
}

#[cfg(test)]
mod tests;
