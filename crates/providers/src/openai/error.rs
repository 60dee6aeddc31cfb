//! Reads the errors of this format, whatever the host makes of it.
//!
//! OpenAI writes `{"error": {"message", "type", "param", "code"}}`
//! (<https://platform.openai.com/docs/guides/error-codes>). Hosts put a sentence in place of the object,
//! put the fields at the top (vLLM, Mistral: `{"object": "error", …}`), answer as `FastAPI` does
//! (`{"detail": …}`), or write the status code into `code` (OpenRouter, vLLM).

use std::time::Duration;

use bytes::Bytes;
use domain::provider_error::{Cause, ProviderError, Retry};
use http::response::Parts;
use jiff::Timestamp;
use serde_json::Value;

use crate::failure;

/// Reads an answer of a failing status.
pub(super) fn of_response(head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
    let status = head.status.as_u16();
    let wait = failure::retry_after(&head.headers, now);
    let mut error = match serde_json::from_slice(body) {
        Ok(value) => match Told::read(&value) {
            Some(told) => told.into_error(Some(status), wait),
            None => failure::unreadable(status, body, wait),
        },
        Err(_) => failure::unreadable(status, body, wait),
    };
    // The vendor's own SDKs obey this field before all others.
    let should_retry = head.headers.get("x-should-retry");
    if should_retry.is_some_and(|value| value.as_bytes() == b"false") {
        error.retry = Retry::Never;
    }
    error.body = presentable(&error, body);
    error
}

/// Reads an error object that came inside of a successful answer or of a stream: the value of `error`,
/// or the whole frame where the host writes the fields at its top.
pub(crate) fn of_frame(json: &str) -> Option<ProviderError> {
    let value: Value = serde_json::from_str(json).ok()?;
    Some(Told::read(&value)?.into_error(None, None))
}

/// The body, when it is what the vendor itself would write and betrays nothing.
fn presentable(error: &ProviderError, body: &[u8]) -> Option<Bytes> {
    if error.cause == Cause::Authentication {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    let value: Value = serde_json::from_str(text).ok()?;
    value.get("error")?.get("message")?.as_str()?;
    let masked = failure::mask_secrets(text);
    (masked == text).then(|| Bytes::copy_from_slice(body))
}

/// What a host told, in whatever place.
struct Told {
    message: String,
    kind: Option<String>,
    code: Option<String>,
    /// The code of a cause that Azure nests.
    inner_code: Option<String>,
    param: Option<String>,
    /// The status code that a host wrote into `code`.
    status: Option<u16>,
}

impl Told {
    fn read(value: &Value) -> Option<Self> {
        let object = match value.get("error") {
            Some(Value::String(message)) => return Some(Self::sentence(message)),
            Some(error @ Value::Object(_)) => error,
            Some(_) => return None,
            None => value,
        };
        if !object.is_object() {
            return None;
        }
        let message = object
            .get("message")
            .or_else(|| object.get("detail"))
            .and_then(sentence_of)?;
        let code = object.get("code");
        let word = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let status = code.and_then(|code| match code {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        Some(Self {
            message,
            kind: word("type"),
            code: word("code"),
            inner_code: object
                .get("innererror")
                .and_then(|inner| inner.get("code"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            param: word("param"),
            status: status
                .and_then(|status| u16::try_from(status).ok())
                .filter(|status| (400..600).contains(status)),
        })
    }

    fn sentence(message: &str) -> Self {
        Self {
            message: message.to_owned(),
            kind: None,
            code: None,
            inner_code: None,
            param: None,
            status: None,
        }
    }

    fn into_error(self, status: Option<u16>, wait: Option<Duration>) -> ProviderError {
        let cause = self.cause(status);
        let retry = if self.message.starts_with("Request too large") {
            // More tokens at once than the limit allows in a minute: waiting does not help.
            Retry::Never
        } else {
            failure::retry_of(cause, wait)
        };
        ProviderError {
            status,
            native_type: self.kind,
            code: self.code,
            param: self.param,
            ..ProviderError::new(cause, failure::clean(&self.message)).with_retry(retry)
        }
    }

    /// The words say more than the status: hosts use 400, 403 and 500 for nearly everything.
    fn cause(&self, status: Option<u16>) -> Cause {
        let words = [&self.inner_code, &self.code, &self.kind];
        let named = words
            .into_iter()
            .flatten()
            .find_map(|word| cause_of_word(word));
        let status = status.or(self.status);
        let told = named
            .or_else(|| failure::speaks_of_context(&self.message).then_some(Cause::ContextTooLong));
        match (told, status) {
            // A limit per minute speaks of tokens too, and of other things than the window.
            (Some(Cause::ContextTooLong), Some(429)) => Cause::RateLimited,
            (Some(cause), _) => cause,
            (None, Some(status)) => failure::cause_of_status(status),
            (None, None) if self.kind.as_deref() == Some("invalid_request_error") => {
                Cause::InvalidRequest
            }
            (None, None) => Cause::Server,
        }
    }
}

/// A message is a string; validators answer a list of complaints.
fn sentence_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(complaints) => {
            let sentences: Vec<String> = complaints.iter().filter_map(complaint).collect();
            (!sentences.is_empty()).then(|| sentences.join("; "))
        }
        Value::Object(nested) => nested
            .get("detail")
            .or_else(|| nested.get("message"))
            .and_then(sentence_of),
        _ => None,
    }
}

/// One complaint of a `FastAPI` host: where, and what.
fn complaint(value: &Value) -> Option<String> {
    let message = value.get("msg").and_then(Value::as_str)?;
    let place: Vec<String> = value
        .get("loc")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|step| {
            step.as_str()
                .map_or_else(|| step.to_string(), str::to_owned)
        })
        .collect();
    Some(format!("{}: {message}", place.join(".")))
}

/// What a type or a code says by itself.
fn cause_of_word(word: &str) -> Option<Cause> {
    Some(match word.to_ascii_lowercase().as_str() {
        "context_length_exceeded" | "context_window_exceeded" | "model_context_window_exceeded" => {
            Cause::ContextTooLong
        }
        "insufficient_quota"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "exceeded_current_quota_error"
        | "insufficient_balance"
        | "insufficient_credits" => Cause::QuotaExhausted,
        "invalid_api_key"
        | "invalid_authentication"
        | "invalid_authentication_error"
        | "authentication_error"
        | "account_deactivated" => Cause::Authentication,
        "permission_denied" | "permission_error" | "insufficient_permissions" => Cause::Permission,
        "model_not_found" | "deploymentnotfound" | "not_found_error" | "notfounderror" => {
            Cause::NotFound
        }
        "content_policy_violation"
        | "content_filter"
        | "responsibleaipolicyviolation"
        | "moderation_blocked" => Cause::ContentPolicy,
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "too_many_requests"
        | "tokens"
        | "requests" => Cause::RateLimited,
        "engine_overloaded"
        | "engine_overloaded_error"
        | "overloaded_error"
        | "overloaded"
        | "server_overloaded"
        | "service_unavailable" => Cause::Overloaded,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> ProviderError {
        let head = http::Response::builder().status(status).body(()).unwrap();
        of_response(
            &head.into_parts().0,
            body.as_bytes(),
            "2026-11-05T12:00:00Z".parse().unwrap(),
        )
    }

    #[test]
    fn the_cause_is_told_by_words_before_the_status() {
        for (status, body, cause) in [
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
                Cause::QuotaExhausted,
            ),
            (
                429,
                r#"{"error":{"message":"Rate limit reached for gpt-5 on tokens per min","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
                Cause::RateLimited,
            ),
            (
                400,
                r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
                Cause::ContextTooLong,
            ),
            (
                500,
                r#"{"error":{"message":"This model's maximum context length is 4096 tokens"}}"#,
                Cause::ContextTooLong,
            ),
            (
                404,
                r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
                Cause::NotFound,
            ),
            (
                403,
                r#"{"error":{"message":"no access to model","type":"invalid_request_error","code":"model_not_found"}}"#,
                Cause::NotFound,
            ),
            (
                401,
                r#"{"error":{"message":"Incorrect API key provided: sk-abcdefghijkl","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                Cause::Authentication,
            ),
            (
                400,
                r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                Cause::ContentPolicy,
            ),
            (
                503,
                r#"{"error":{"message":"busy","type":"server_error"}}"#,
                Cause::Overloaded,
            ),
            (
                402,
                r#"{"error":{"message":"no credits","code":402}}"#,
                Cause::QuotaExhausted,
            ),
            (
                422,
                r#"{"detail":[{"loc":["body","messages"],"msg":"field required"}]}"#,
                Cause::InvalidRequest,
            ),
            (
                400,
                r#"{"object":"error","message":"bad","type":"BadRequestError","code":400}"#,
                Cause::InvalidRequest,
            ),
            (418, r#"{"error":"I'm a teapot"}"#, Cause::InvalidRequest),
        ] {
            assert_eq!(error(status, body).cause, cause, "{body}");
        }
    }

    #[test]
    fn a_complaint_of_a_validator_names_its_place() {
        let error = error(
            422,
            r#"{"detail":[{"loc":["body","messages",0],"msg":"field required"}]}"#,
        );
        assert_eq!(error.message, "body.messages.0: field required");
    }

    #[test]
    fn a_body_with_a_secret_or_about_our_credential_is_not_shown() {
        let secret = error(
            400,
            r#"{"error":{"message":"bad header Bearer abcdefgh12345"}}"#,
        );
        assert_eq!(secret.body, None);
        let credential = error(401, r#"{"error":{"message":"no such key"}}"#);
        assert_eq!(credential.body, None);
        let plain = error(400, r#"{"error":{"message":"`n` is wrong"}}"#);
        assert!(plain.body.is_some());
    }

    #[test]
    fn an_error_in_a_frame_takes_its_cause_from_the_status_in_its_code() {
        let error = of_frame(r#"{"error":{"message":"Provider returned error","code":502}}"#);
        assert_eq!(error.unwrap().cause, Cause::Server);
        let error = of_frame(r#"{"object":"error","message":"slow down","code":429}"#);
        assert_eq!(error.unwrap().cause, Cause::RateLimited);
        assert_eq!(of_frame(r#"{"choices":[]}"#), None);
    }

    #[test]
    fn more_tokens_than_a_minute_allows_are_never_retried() {
        let error = error(
            429,
            r#"{"error":{"message":"Request too large for gpt-5 on tokens per min (TPM): Limit 30000, Requested 40000.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
        );
        assert_eq!(error.cause, Cause::RateLimited);
        assert_eq!(error.retry, Retry::Never);
    }
}
