//! Google's errors by cause (<https://cloud.google.com/apis/design/errors>,
//! <https://ai.google.dev/gemini-api/docs/troubleshooting>).

use std::time::Duration;

use bytes::Bytes;
use domain::provider_error::{Cause, ProviderError};
use http::response::Parts;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::wire::response::Failure;
use crate::failure;

/// Translates the answer of a failing status.
pub(super) fn of_response(head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
    let status = head.status.as_u16();
    let wait = failure::retry_after(&head.headers, now);
    let Some(native) = native(body) else {
        return failure::unreadable(status, body, wait);
    };
    ProviderError {
        status: Some(status),
        body: presentable(body),
        ..translate(&native, status, wait)
    }
}

/// Translates the value of `error` inside an answer that began well.
pub(super) fn in_answer(error: &str) -> ProviderError {
    match serde_json::from_str::<Failure<'_>>(error) {
        Ok(native) => translate(&native, native.code.unwrap_or(500), None),
        Err(_) => ProviderError::new(Cause::Server, failure::sentence(error.as_bytes()))
            .with_retry(failure::retry_of(Cause::Server, None)),
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    error: Failure<'a>,
}

/// An error comes alone or, from a stream that never began, in an array.
fn native(body: &[u8]) -> Option<Failure<'_>> {
    if body.trim_ascii_start().starts_with(b"[") {
        let envelopes: Vec<Envelope<'_>> = serde_json::from_slice(body).ok()?;
        return envelopes.into_iter().next().map(|envelope| envelope.error);
    }
    let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
    Some(envelope.error)
}

/// The body itself, unless it quotes something that looks like a secret.
fn presentable(body: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let is_clean = matches!(failure::mask_secrets(text), std::borrow::Cow::Borrowed(_));
    is_clean.then(|| Bytes::copy_from_slice(body))
}

fn translate(native: &Failure<'_>, status: u16, wait: Option<Duration>) -> ProviderError {
    let message = native.message.as_deref().unwrap_or_default();
    let details = Details(native.details.as_deref().unwrap_or_default());
    let word = native.status.as_deref().unwrap_or_default();
    let cause = cause(word, status, message, details);
    let wait = wait.or_else(|| details.retry_delay());
    let sentence = failure::clean(message);
    ProviderError {
        native_type: native.status.as_deref().map(str::to_owned),
        code: details.reason().map(str::to_owned),
        param: details.field().map(str::to_owned),
        ..ProviderError::new(
            cause,
            if sentence.is_empty() {
                format!("the provider answered {status} without a word of explanation")
            } else {
                sentence
            },
        )
        .with_retry(failure::retry_of(cause, wait))
    }
}

fn cause(word: &str, status: u16, message: &str, details: Details<'_>) -> Cause {
    let message = message.to_ascii_lowercase();
    let is_about_key = details
        .reason()
        .is_some_and(|reason| reason.starts_with("API_KEY"))
        || message.contains("api key");
    let cause = match word {
        "UNAUTHENTICATED" => Cause::Authentication,
        // Google refuses a key that is not one with 400 INVALID_ARGUMENT, a leaked one with 403.
        "INVALID_ARGUMENT" | "PERMISSION_DENIED" if is_about_key => Cause::Authentication,
        "PERMISSION_DENIED" => Cause::Permission,
        // "User location is not supported for the API use."
        "FAILED_PRECONDITION" if message.contains("location") => Cause::Permission,
        "FAILED_PRECONDITION" if message.contains("billing") => Cause::QuotaExhausted,
        "INVALID_ARGUMENT" if message.contains("payload size exceeds") => Cause::TooLarge,
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" | "UNIMPLEMENTED" => {
            Cause::InvalidRequest
        }
        "NOT_FOUND" => Cause::NotFound,
        "RESOURCE_EXHAUSTED" if details.is_out_of_quota() || has_no_credit(&message) => {
            Cause::QuotaExhausted
        }
        "RESOURCE_EXHAUSTED" => Cause::RateLimited,
        "UNAVAILABLE" => Cause::Overloaded,
        "DEADLINE_EXCEEDED" => Cause::Timeout,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" | "ABORTED" | "CANCELLED" => Cause::Server,
        _ => failure::cause_of_status(status),
    };
    match cause {
        Cause::InvalidRequest | Cause::TooLarge | Cause::Server
            if failure::speaks_of_context(&message) =>
        {
            Cause::ContextTooLong
        }
        cause => cause,
    }
}

/// "Check your plan and billing details" is in every sentence about limits and tells nothing.
fn has_no_credit(message: &str) -> bool {
    [
        "credits are depleted",
        "spending cap",
        "spend cap",
        "limit: 0,",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}

/// The error's details, told apart by `@type` (<https://google.aip.dev/193>).
#[derive(Clone, Copy)]
struct Details<'a>(&'a [Value]);

impl<'a> Details<'a> {
    fn of_type(self, name: &str) -> Option<&'a Value> {
        self.0.iter().find(|detail| {
            let kind = detail.get("@type").and_then(Value::as_str);
            kind.is_some_and(|kind| kind.rsplit('.').next() == Some(name))
        })
    }

    fn reason(self) -> Option<&'a str> {
        self.of_type("ErrorInfo")?.get("reason")?.as_str()
    }

    fn field(self) -> Option<&'a str> {
        let violations = self
            .of_type("BadRequest")?
            .get("fieldViolations")?
            .as_array()?;
        violations.first()?.get("field")?.as_str()
    }

    /// `RetryInfo` says when it is worth coming back, in seconds with an `s` behind.
    fn retry_delay(self) -> Option<Duration> {
        let delay = self.of_type("RetryInfo")?.get("retryDelay")?.as_str()?;
        let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// A daily quota is not waited for.
    fn is_out_of_quota(self) -> bool {
        let violations = self
            .of_type("QuotaFailure")
            .and_then(|failure| failure.get("violations"))
            .and_then(Value::as_array);
        violations.into_iter().flatten().any(|violation| {
            let id = violation.get("quotaId").and_then(Value::as_str);
            id.is_some_and(|id| id.contains("PerDay"))
        })
    }
}
