//! Problems in Google's error shape (<https://cloud.google.com/apis/design/errors>).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::problem::{Problem, ProblemKind};
use serde_json::{Value, json};

use crate::openai::render::append;

/// Where our reasons are told from Google's (<https://google.aip.dev/193>).
const DOMAIN: &str = "trunkline";

/// Renders a problem of the request that `request_id` names.
pub(in crate::gemini) fn body(problem: &Problem, request_id: &str) -> Bytes {
    if let Some(verbatim) = &problem.verbatim {
        return verbatim.clone();
    }
    let mut out = BytesMut::with_capacity(256);
    append(&error(problem, request_id), &mut out);
    out.freeze()
}

/// The error object on one line, for a stream.
pub(super) fn line(problem: &Problem, request_id: &str) -> String {
    let verbatim = problem.verbatim.as_deref();
    // A stream that never began ends in an array of one error.
    let object: Option<Value> = verbatim.and_then(|body| serde_json::from_slice(body).ok());
    let object = match object {
        Some(Value::Array(mut errors)) if errors.len() == 1 => errors.pop(),
        other => other,
    };
    object
        .filter(|object| object.get("error").is_some())
        .unwrap_or_else(|| error(problem, request_id))
        .to_string()
}

fn error(problem: &Problem, request_id: &str) -> Value {
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason(problem),
        "domain": DOMAIN,
    })];
    if let Some(field) = &problem.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": problem.detail}],
        }));
    }
    if let Some(wait) = problem.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": seconds(wait),
        }));
    }
    if !request_id.is_empty() {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RequestInfo",
            "requestId": request_id,
        }));
    }
    json!({"error": {
        "code": problem.status().as_u16(),
        "message": problem.detail,
        "status": status(problem.kind),
        "details": details,
    }})
}

/// The provider's own code where it says more than the kind; `ErrorInfo` writes it in capitals. Google's
/// word for an invalid key is what its clients look for.
fn reason(problem: &Problem) -> String {
    let word = match problem.kind {
        ProblemKind::Unauthenticated => "API_KEY_INVALID",
        kind => problem.provider_code.as_deref().unwrap_or(kind.slug()),
    };
    let shout = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    word.chars().map(shout).collect()
}

/// A duration as protobuf's JSON writes it.
fn seconds(wait: Duration) -> String {
    let milliseconds = wait.subsec_millis();
    if milliseconds == 0 {
        format!("{}s", wait.as_secs())
    } else {
        format!("{}.{milliseconds:03}s", wait.as_secs())
    }
}

/// The word of `google.rpc.Code` (<https://cloud.google.com/apis/design/errors#handling_errors>).
fn status(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::InvalidRequest
        | ProblemKind::TooLarge
        | ProblemKind::ContextTooLong
        | ProblemKind::ContentPolicy => "INVALID_ARGUMENT",
        ProblemKind::Unsupported => "FAILED_PRECONDITION",
        ProblemKind::Unauthenticated => "UNAUTHENTICATED",
        ProblemKind::PermissionDenied => "PERMISSION_DENIED",
        ProblemKind::NotFound | ProblemKind::UnknownModel => "NOT_FOUND",
        ProblemKind::Conflict => "ABORTED",
        ProblemKind::MethodNotAllowed | ProblemKind::NotImplemented => "UNIMPLEMENTED",
        ProblemKind::RateLimited
        | ProblemKind::BudgetExhausted
        | ProblemKind::ProviderRateLimited => "RESOURCE_EXHAUSTED",
        ProblemKind::ProviderTimeout => "DEADLINE_EXCEEDED",
        ProblemKind::ProviderCredential
        | ProblemKind::ProviderOverloaded
        | ProblemKind::ProviderUnreachable
        | ProblemKind::Unavailable => "UNAVAILABLE",
        ProblemKind::ProviderFailed | ProblemKind::Internal => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_as_google_tells_it() {
        let problem = Problem::new(ProblemKind::RateLimited, "Too many requests.")
            .with_retry_after(Duration::from_millis(2_500));
        let rendered: Value = serde_json::from_slice(&body(&problem, "req_1")).unwrap();
        assert_eq!(
            rendered,
            json!({"error": {
                "code": 429,
                "message": "Too many requests.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "trunkline"},
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.500s"},
                    {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "req_1"}
                ]
            }})
        );
    }

    #[test]
    fn the_field_that_is_to_blame_is_a_violation() {
        let problem =
            Problem::new(ProblemKind::InvalidRequest, "No.").with_param("contents[0].role");
        let rendered: Value = serde_json::from_str(&line(&problem, "")).unwrap();
        assert_eq!(
            rendered["error"]["details"][1]["fieldViolations"][0]["field"],
            "contents[0].role"
        );
        assert_eq!(rendered["error"]["status"], "INVALID_ARGUMENT");
    }

    #[test]
    fn the_providers_own_error_passes_on_one_line() {
        let mut problem = Problem::new(ProblemKind::ProviderOverloaded, "Busy.");
        problem.verbatim = Some(Bytes::from_static(
            b"[{\n  \"error\": {\"code\": 503, \"status\": \"UNAVAILABLE\"}\n}\n]",
        ));
        assert_eq!(
            line(&problem, "req_1"),
            r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#
        );
    }
}
