//! Reads the errors of vendors that have no chat format. Each has its own shape, and all of them are an object
//! with a sentence somewhere:
//!
//! - Stability: `{"id", "name", "errors": ["…"]}` (<https://platform.stability.ai/docs/api-reference>);
//! - Black Forest Labs and fal: `{"detail": "…"}` or a list of complaints with `loc` and `msg`;
//! - Replicate: `{"title", "detail", "status"}` (RFC 7807);
//! - `ElevenLabs`: `{"detail": {"status", "message"}}`;
//! - Deepgram: `{"err_code", "err_msg", "request_id"}` or `{"category", "message", "details"}`.

use domain::provider_error::{Cause, ProviderError};
use http::response::Parts;
use jiff::Timestamp;
use serde_json::Value;

use crate::failure::{cause_of_status, clean, retry_after, retry_of, unreadable};

/// Reads an answer of a failing status.
pub(crate) fn of_response(head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
    let status = head.status.as_u16();
    let wait = retry_after(&head.headers, now);
    let told: Option<Value> = serde_json::from_slice(body).ok();
    let Some((told, sentence)) = told.and_then(|told| {
        let sentence = sentence(&told)?;
        Some((told, sentence))
    }) else {
        return unreadable(status, body, wait);
    };
    let word = word(&told);
    let cause = word
        .as_deref()
        .and_then(cause_of_word)
        .unwrap_or_else(|| cause_of_status(status));
    ProviderError {
        status: Some(status),
        native_type: word,
        ..ProviderError::new(cause, clean(&sentence)).with_retry(retry_of(cause, wait))
    }
}

/// A job that was taken and then failed, with the vendor's sentence about it.
pub(crate) fn of_job(sentence: &str) -> ProviderError {
    let lower = sentence.to_ascii_lowercase();
    let about_content = ["nsfw", "moderat", "sensitive", "safety", "content polic"];
    let cause = if about_content.iter().any(|sign| lower.contains(sign)) {
        Cause::ContentPolicy
    } else {
        Cause::Server
    };
    let words = clean(sentence);
    let message = if words.is_empty() {
        "the provider gave the job up without a word of explanation".to_owned()
    } else {
        words
    };
    ProviderError::new(cause, message).with_retry(retry_of(cause, None))
}

/// The sentence, wherever the vendor put it.
fn sentence(told: &Value) -> Option<String> {
    match told {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Array(complaints) => {
            let sentences: Vec<String> = complaints.iter().filter_map(complaint).collect();
            (!sentences.is_empty()).then(|| sentences.join("; "))
        }
        Value::Object(fields) => ["err_msg", "message", "detail", "errors", "error", "title"]
            .into_iter()
            .find_map(|name| sentence(fields.get(name)?)),
        _ => None,
    }
}

/// One complaint of a list: a sentence, or what is wrong and where.
fn complaint(told: &Value) -> Option<String> {
    let Some(message) = told.get("msg").and_then(Value::as_str) else {
        return sentence(told);
    };
    let steps = told.get("loc").and_then(Value::as_array);
    let place: Vec<String> = steps
        .into_iter()
        .flatten()
        .map(|step| {
            step.as_str()
                .map_or_else(|| step.to_string(), str::to_owned)
        })
        .collect();
    Some(if place.is_empty() {
        message.to_owned()
    } else {
        format!("{}: {message}", place.join("."))
    })
}

/// The vendor's own word for the kind of error.
fn word(told: &Value) -> Option<String> {
    let places = [
        "/err_code",
        "/name",
        "/detail/status",
        "/detail/code",
        "/category",
        "/code",
        "/type",
    ];
    places
        .into_iter()
        .find_map(|place| told.pointer(place)?.as_str())
        .filter(|word| word.len() <= 64)
        .map(str::to_owned)
}

fn cause_of_word(word: &str) -> Option<Cause> {
    Some(match word.to_ascii_lowercase().as_str() {
        "content_moderation" | "content_filtered" | "content_policy_violation" => {
            Cause::ContentPolicy
        }
        "quota_exceeded" | "payment_required" | "asr_payment_required" | "insufficient_credits" => {
            Cause::QuotaExhausted
        }
        "invalid_api_key" | "invalid_auth" | "unauthorized" | "needs_authorization" => {
            Cause::Authentication
        }
        "missing_permissions" | "insufficient_permissions" => Cause::Permission,
        "voice_not_found" | "model_not_found" | "not_found" => Cause::NotFound,
        "too_many_concurrent_requests" | "rate_limit_exceeded" | "too_many_requests" => {
            Cause::RateLimited
        }
        "system_busy" | "service_unavailable" => Cause::Overloaded,
        "payload_too_large" => Cause::TooLarge,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::provider_error::Retry;

    fn error(status: u16, body: &str) -> ProviderError {
        let head = http::Response::builder().status(status).body(()).unwrap();
        let now = "2026-11-05T12:00:00Z".parse().unwrap();
        of_response(&head.into_parts().0, body.as_bytes(), now)
    }

    #[test]
    fn every_vendors_words_are_understood() {
        for (status, body, cause, sentence) in [
            (
                400,
                r#"{"id":"a","name":"bad_request","errors":["prompt: is required","seed: too large"]}"#,
                Cause::InvalidRequest,
                "prompt: is required; seed: too large",
            ),
            (
                403,
                r#"{"id":"a","name":"content_moderation","errors":["Your request was flagged"]}"#,
                Cause::ContentPolicy,
                "Your request was flagged",
            ),
            (
                402,
                r#"{"detail":"Insufficient credits"}"#,
                Cause::QuotaExhausted,
                "Insufficient credits",
            ),
            (
                422,
                r#"{"detail":[{"loc":["body","prompt"],"msg":"field required","type":"missing"}]}"#,
                Cause::InvalidRequest,
                "body.prompt: field required",
            ),
            (
                401,
                r#"{"title":"Unauthenticated","detail":"You did not pass a valid token","status":401}"#,
                Cause::Authentication,
                "You did not pass a valid token",
            ),
            (
                401,
                r#"{"detail":{"status":"quota_exceeded","message":"This request exceeds your quota"}}"#,
                Cause::QuotaExhausted,
                "This request exceeds your quota",
            ),
            (
                400,
                r#"{"err_code":"Bad Request","err_msg":"corrupt or unsupported data","request_id":"r"}"#,
                Cause::InvalidRequest,
                "corrupt or unsupported data",
            ),
        ] {
            let error = error(status, body);
            assert_eq!(
                (error.cause, error.message.as_str()),
                (cause, sentence),
                "{body}"
            );
        }
    }

    #[test]
    fn what_has_no_sentence_is_told_by_its_status() {
        let error = error(503, "{}");
        assert_eq!((error.cause, error.retry), (Cause::Overloaded, Retry::Now));
        assert!(error.message.contains("503"));
    }

    #[test]
    fn a_job_that_was_refused_for_its_content_is_not_sent_again() {
        let refused = of_job("NSFW content detected");
        assert_eq!(
            (refused.cause, refused.retry),
            (Cause::ContentPolicy, Retry::Never)
        );
        assert_eq!(of_job("CUDA out of memory").cause, Cause::Server);
        assert!(of_job("").message.contains("gave the job up"));
    }
}
