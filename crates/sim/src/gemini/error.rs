//! Google's errors.
//! See <https://cloud.google.com/apis/design/errors>.

use serde_json::{Value, json};

use super::check::{INVALID, plain};
use crate::vendor::Failure;

pub(super) fn object(failure: &Failure) -> Value {
    let mut error =
        json!({"code": failure.status, "message": failure.message, "status": failure.kind});
    if !failure.details.is_empty()
        && let Some(error) = error.as_object_mut()
    {
        error.insert("details".to_owned(), json!(failure.details));
    }
    json!({"error": error})
}

pub(super) fn unknown_model(model: &str) -> Failure {
    let message = format!(
        "models/{model} is not found for API version v1beta, or is not supported for generateContent. \
         Call ListModels to see the list of available models and their supported methods."
    );
    Failure::new(404, "NOT_FOUND", message)
}

pub(super) fn no_key() -> Failure {
    let message = "Method doesn't allow unregistered callers (callers without established identity). \
        Please use API Key or other form of API consumer identity to call this API.";
    Failure::new(403, "PERMISSION_DENIED", message)
}

pub(super) fn wrong_key() -> Failure {
    let message = "API key not valid. Please pass a valid API key.";
    plain(message)
        .detail(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }))
        .detail(json!({"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message}))
}

/// Google's own words for a status.
pub(super) fn of_status(status: u16, retry_after: Option<u64>, model: &str) -> Failure {
    let failure = match status {
        401 => Failure::new(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
        ),
        403 => Failure::new(
            403,
            "PERMISSION_DENIED",
            "The caller does not have permission",
        ),
        404 => unknown_model(model),
        409 => Failure::new(409, "ABORTED", "The operation was aborted."),
        429 => exhausted(retry_after, model),
        499 => Failure::new(499, "CANCELLED", "The operation was cancelled."),
        501 => Failure::new(
            501,
            "UNIMPLEMENTED",
            "Operation is not implemented, or supported, or enabled.",
        ),
        503 => Failure::new(
            503,
            "UNAVAILABLE",
            "The model is overloaded. Please try again later.",
        ),
        504 => Failure::new(
            504,
            "DEADLINE_EXCEEDED",
            "Deadline expired before operation could complete.",
        ),
        400..=499 => Failure::new(
            status,
            INVALID,
            format!("The request failed with status {status} (simulated)."),
        ),
        _ => Failure::new(
            status,
            "INTERNAL",
            "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
        ),
    };
    failure.retry_after(retry_after)
}

fn exhausted(retry_after: Option<u64>, model: &str) -> Failure {
    let message = "You exceeded your current quota, please check your plan and billing details. For more information on this error, \
        head to: https://ai.google.dev/gemini-api/docs/rate-limits.";
    let mut failure = Failure::new(429, "RESOURCE_EXHAUSTED", message)
        .detail(json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
                "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
                "quotaDimensions": {"location": "global", "model": model},
                "quotaValue": "15",
            }],
        }))
        .detail(json!({
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{"description": "Learn more about Gemini API quotas", "url": "https://ai.google.dev/gemini-api/docs/rate-limits"}],
        }));
    if let Some(seconds) = retry_after {
        failure = failure.detail(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")}));
    }
    failure
}
