//! Anthropic's failures by cause.
//! <https://platform.claude.com/docs/en/api/errors>

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use domain::provider_error::{Cause, ProviderError, Retry};
use http::HeaderMap;
use http::response::Parts;
use jiff::Timestamp;

use super::wire;
use crate::failure;

/// Translates the answer of a failing status.
pub(super) fn decode(head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
    let status = head.status.as_u16();
    let wait = failure::retry_after(&head.headers, now);
    let mut error = match parse(body) {
        Some(native) => ProviderError {
            body: shown(body),
            ..translate(native, Some(status), wait)
        },
        None => failure::unreadable(status, body, wait),
    };
    if let Some(retry) = said_by_field(&head.headers, wait) {
        error.retry = retry;
    }
    error
}

/// The body as it is, unless it quotes something that looks like a credential.
fn shown(body: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let is_clean = matches!(failure::mask_secrets(text), Cow::Borrowed(_));
    is_clean.then(|| Bytes::copy_from_slice(body))
}

/// Translates an error that came where an answer was expected: in a 200 or in a stream.
pub(super) fn in_success(body: &[u8]) -> ProviderError {
    if let Some(native) = parse(body) {
        return translate(native, None, None);
    }
    ProviderError::new(Cause::Server, failure::sentence(body)).with_retry(Retry::Now)
}

/// Whether a body is an error of this format.
pub(super) fn is_error(body: &[u8]) -> bool {
    parse(body).is_some()
}

fn parse(body: &[u8]) -> Option<wire::ErrorObject> {
    let body: wire::ErrorBody<'_> = serde_json::from_slice(body).ok()?;
    let is_error = body.kind == "error" || body.error.message.is_some();
    is_error.then_some(body.error)
}

fn translate(
    native: wire::ErrorObject,
    status: Option<u16>,
    wait: Option<Duration>,
) -> ProviderError {
    let sentence = native.message.as_deref().unwrap_or_default();
    let code = native.details.and_then(|details| details.error_code);
    let kind = native.kind.as_deref().unwrap_or_default();
    let cause = cause(kind, code.as_deref(), sentence, status);
    let message = match failure::clean(sentence) {
        words if words.is_empty() => format!("the provider said {kind:?} and nothing more"),
        words => words,
    };
    ProviderError {
        status,
        param: param(sentence),
        native_type: native.kind,
        code,
        ..ProviderError::new(cause, message).with_retry(failure::retry_of(cause, wait))
    }
}

/// The cause, by what is most exact: the code, then known sentences (Anthropic has one type for
/// everything that is wrong with a request), then the type, then the status.
fn cause(kind: &str, code: Option<&str>, sentence: &str, status: Option<u16>) -> Cause {
    match code {
        Some(
            "enforced_spend_limit_reached"
            | "contract_spend_limit_reached"
            | "linked_organization_spend_limit_reached"
            | "linked_organization_billing_unavailable"
            | "organization_on_hold",
        ) => return Cause::QuotaExhausted,
        Some("ramp_limit_exceeded") => return Cause::RateLimited,
        Some("request_body_too_large_after_decoding") => return Cause::TooLarge,
        _ => {}
    }
    let is_about_request = matches!(
        kind,
        "invalid_request_error" | "request_too_large" | "api_error" | ""
    );
    if is_about_request {
        if failure::speaks_of_context(sentence) || exceeds_context(sentence) {
            return Cause::ContextTooLong;
        }
        if sentence.contains("credit balance is too low")
            || sentence.contains("specified API usage limits")
        {
            return Cause::QuotaExhausted;
        }
        if sentence.contains("content filtering policy") {
            return Cause::ContentPolicy;
        }
    }
    match kind {
        "authentication_error" => Cause::Authentication,
        "billing_error" => Cause::QuotaExhausted,
        "permission_error" => Cause::Permission,
        "not_found_error" => Cause::NotFound,
        "request_too_large" => Cause::TooLarge,
        "rate_limit_error" => Cause::RateLimited,
        "timeout_error" => Cause::Timeout,
        "overloaded_error" => Cause::Overloaded,
        "invalid_request_error" => match status.map(failure::cause_of_status) {
            Some(cause @ (Cause::TooLarge | Cause::NotFound)) => cause,
            _ => Cause::InvalidRequest,
        },
        _ => status.map_or(Cause::Server, failure::cause_of_status),
    }
}

/// "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"
fn exceeds_context(sentence: &str) -> bool {
    sentence.contains("exceed context limit")
}

/// Validation errors begin with the path of the field: `messages.1.content: …`.
fn param(sentence: &str) -> Option<String> {
    let (path, _) = sentence.split_once(": ")?;
    let is_path = !path.is_empty()
        && path
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'.');
    is_path.then(|| path.to_owned())
}

/// `x-should-retry`, by which the provider overrules what its status would mean to its own clients.
fn said_by_field(headers: &HeaderMap, wait: Option<Duration>) -> Option<Retry> {
    match headers.get("x-should-retry")?.as_bytes() {
        b"true" => Some(wait.map_or(Retry::Now, Retry::After)),
        b"false" => Some(Retry::Never),
        _ => None,
    }
}
