//! Anthropic's errors.
//! See <https://docs.claude.com/en/api/errors>.

use serde_json::{Value, json};

use super::check::INVALID;
use crate::vendor::Failure;

pub(super) fn object(failure: &Failure, request_id: &str) -> Value {
    json!({"type": "error", "error": {"type": failure.kind, "message": failure.message}, "request_id": request_id})
}

pub(super) fn unknown_model(model: &str) -> Failure {
    Failure::new(404, "not_found_error", format!("model: {model}"))
}

/// Anthropic's own words for a status.
pub(super) fn of_status(status: u16, retry_after: Option<u64>, model: &str) -> Failure {
    let (kind, message) = match status {
        401 => ("authentication_error", "invalid x-api-key".to_owned()),
        402 => ("billing_error", "Your credit balance is too low to access the Anthropic API.".to_owned()),
        403 => ("permission_error", "Your API key does not have permission to use the specified resource.".to_owned()),
        404 => ("not_found_error", format!("model: {model}")),
        413 => ("request_too_large", "Request exceeds the maximum size".to_owned()),
        429 => (
            "rate_limit_error",
            "This request would exceed your organization's rate limit of 50 requests per minute. For details, refer to: \
             https://docs.claude.com/en/api/rate-limits. You can see the response headers for current usage."
                .to_owned(),
        ),
        504 => ("timeout_error", "Request timed out.".to_owned()),
        529 => ("overloaded_error", "Overloaded".to_owned()),
        400..=499 => (INVALID, format!("The request failed with status {status} (simulated).")),
        _ => ("api_error", "Internal server error".to_owned()),
    };
    Failure::new(status, kind, message).retry_after(retry_after)
}
