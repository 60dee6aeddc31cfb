//! Cohere's failures by cause: `{"id", "message"}`, told apart by the status and by known sentences.
//! <https://docs.cohere.com/reference/errors>

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use domain::provider_error::{Cause, ProviderError, Retry};
use http::response::Parts;
use jiff::Timestamp;
use serde::Deserialize;

use crate::failure;

#[derive(Deserialize)]
struct Native {
    message: String,
}

/// Translates the answer of a failing status.
pub(super) fn of_response(head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
    let status = head.status.as_u16();
    let wait = failure::retry_after(&head.headers, now);
    let Some(native) = parse(body) else {
        return failure::unreadable(status, body, wait);
    };
    ProviderError {
        body: presentable(body),
        ..translate(&native.message, Some(status), wait)
    }
}

/// An error object inside of a 200, if it is one.
pub(super) fn in_success(body: &[u8]) -> Option<ProviderError> {
    let native = parse(body)?;
    Some(translate(&native.message, None, None))
}

/// The error that ends a stream.
pub(super) fn in_stream(sentence: &str) -> ProviderError {
    translate(sentence, None, None)
}

fn parse(body: &[u8]) -> Option<Native> {
    serde_json::from_slice(body).ok()
}

/// The body as it is, unless it quotes something that looks like a credential.
fn presentable(body: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let is_clean = matches!(failure::mask_secrets(text), Cow::Borrowed(_));
    is_clean.then(|| Bytes::copy_from_slice(body))
}

fn translate(sentence: &str, status: Option<u16>, wait: Option<Duration>) -> ProviderError {
    let cause = cause(sentence, status);
    let message = match failure::clean(sentence) {
        words if words.is_empty() => "the provider failed without a word of explanation".to_owned(),
        words => words,
    };
    let retry = match cause {
        // The vendor's own advice for what it cancelled itself.
        Cause::Interrupted => wait.map_or(Retry::Now, Retry::After),
        cause => failure::retry_of(cause, wait),
    };
    ProviderError {
        status,
        param: param(sentence),
        ..ProviderError::new(cause, message).with_retry(retry)
    }
}

fn cause(sentence: &str, status: Option<u16>) -> Cause {
    let lower = sentence.to_ascii_lowercase();
    let says = |words: &str| lower.contains(words);
    // "too many tokens: max tokens must be less than …" speaks of the wanted output.
    let is_too_long = says("too many tokens") && !says("max tokens must be");
    match status {
        Some(429) if says("/ month") || says("per month") || says("monthly") => {
            Cause::QuotaExhausted
        }
        Some(429) => Cause::RateLimited,
        Some(401) => Cause::Authentication,
        _ if is_too_long || failure::speaks_of_context(sentence) => Cause::ContextTooLong,
        _ if says("invalid api token") || says("invalid api key") || says("no api key") => {
            Cause::Authentication
        }
        // "This error is returned when a request or response contains a deny-listed token."
        Some(498) => Cause::ContentPolicy,
        _ if says("blocked") && (says("safety") || says("deny") || says("harmful")) => {
            Cause::ContentPolicy
        }
        // "request cancelled", "streaming error".
        Some(499) => Cause::Interrupted,
        Some(501) => Cause::InvalidRequest,
        Some(status) => failure::cause_of_status(status),
        None if says("invalid request") => Cause::InvalidRequest,
        None if says("timed out") || says("timeout") => Cause::Timeout,
        None => Cause::Server,
    }
}

/// "unknown field: parameter 'x' is not a valid field."
fn param(sentence: &str) -> Option<String> {
    let (_, rest) = sentence.split_once("parameter '")?;
    let (name, _) = rest.split_once('\'')?;
    (!name.is_empty()).then(|| name.to_owned())
}
