//! Problems in the vendor's error shape (<https://platform.claude.com/docs/en/api/errors>).

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use domain::problem::{Problem, ProblemKind};
use http::StatusCode;
use serde::Serialize;

use crate::openai::render::append;

/// The vendor's own status for "overloaded", for which its clients have a class of their own.
const OVERLOADED: u16 = 529;

#[derive(Serialize)]
struct ErrorBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: ErrorObject<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

/// Where the vendor names the cause more exactly than by the type.
#[derive(Serialize)]
struct Details<'a> {
    error_code: &'a str,
}

/// The status and the body that tell a problem.
pub(super) fn response(problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
    let status = match problem.kind {
        ProblemKind::ProviderOverloaded => {
            StatusCode::from_u16(OVERLOADED).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
        }
        _ => problem.status(),
    };
    if let Some(verbatim) = &problem.verbatim {
        return (status, verbatim.clone());
    }
    let mut out = BytesMut::with_capacity(256);
    append(&body(problem, request_id), &mut out);
    (status, out.freeze())
}

/// Appends the event that tells a problem in a stream; nothing follows it.
pub(super) fn event(problem: &Problem, request_id: &str, out: &mut BytesMut) {
    out.put_slice(b"event: error\ndata: ");
    match problem.verbatim.as_deref() {
        // A body of several lines would break the event.
        Some(verbatim) if !verbatim.iter().any(|byte| matches!(byte, b'\n' | b'\r')) => {
            out.put_slice(verbatim);
        }
        _ => append(&body(problem, request_id), out),
    }
    out.put_slice(b"\n\n");
}

fn body<'a>(problem: &'a Problem, request_id: &'a str) -> ErrorBody<'a> {
    ErrorBody {
        kind: "error",
        error: ErrorObject {
            kind: word(problem.kind),
            message: message(problem),
            details: code(problem).map(|error_code| Details { error_code }),
        },
        request_id,
    }
}

/// The vendor's sentences begin with the field; the shape has no other place for it.
fn message(problem: &Problem) -> Cow<'_, str> {
    match &problem.param {
        Some(param) if !problem.detail.contains(param.as_str()) => {
            Cow::Owned(format!("{param}: {}", problem.detail))
        }
        _ => Cow::Borrowed(&problem.detail),
    }
}

/// Our own word for the cause, where the type does not say it.
fn code(problem: &Problem) -> Option<&str> {
    let own = match problem.kind {
        ProblemKind::InvalidRequest
        | ProblemKind::Unauthenticated
        | ProblemKind::NotFound
        | ProblemKind::TooLarge
        | ProblemKind::RateLimited
        | ProblemKind::Internal => None,
        kind => Some(kind.slug()),
    };
    problem.provider_code.as_deref().or(own)
}

fn word(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::InvalidRequest
        | ProblemKind::Conflict
        | ProblemKind::MethodNotAllowed
        | ProblemKind::NotImplemented
        | ProblemKind::ContextTooLong
        | ProblemKind::Unsupported
        | ProblemKind::ContentPolicy => "invalid_request_error",
        ProblemKind::Unauthenticated => "authentication_error",
        ProblemKind::PermissionDenied => "permission_error",
        ProblemKind::NotFound | ProblemKind::UnknownModel => "not_found_error",
        ProblemKind::TooLarge => "request_too_large",
        ProblemKind::RateLimited
        | ProblemKind::BudgetExhausted
        | ProblemKind::ProviderRateLimited => "rate_limit_error",
        ProblemKind::ProviderOverloaded => "overloaded_error",
        ProblemKind::ProviderTimeout => "timeout_error",
        ProblemKind::ProviderCredential
        | ProblemKind::ProviderFailed
        | ProblemKind::ProviderUnreachable
        | ProblemKind::Unavailable
        | ProblemKind::Internal => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(problem: &Problem) -> (u16, Value) {
        let (status, body) = response(problem, "req_1");
        (status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn a_problem_is_told_by_the_vendors_type_and_status() {
        let (status, body) = told(&Problem::new(ProblemKind::Unauthenticated, "No key."));
        assert_eq!(status, 401);
        let expected = json!({
            "type": "error",
            "error": {"type": "authentication_error", "message": "No key."},
            "request_id": "req_1",
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn an_overloaded_provider_is_529_as_the_vendors_clients_expect() {
        let (status, body) = told(&Problem::new(ProblemKind::ProviderOverloaded, "Busy."));
        assert_eq!(status, 529);
        assert_eq!(body["error"]["type"], "overloaded_error");
    }

    #[test]
    fn the_field_is_named_in_the_sentence_once() {
        let unnamed = Problem::new(ProblemKind::Unsupported, "It cannot be done.");
        let (_, body) = told(&unnamed.with_param("messages[0]"));
        assert_eq!(body["error"]["message"], "messages[0]: It cannot be done.");
        assert_eq!(
            body["error"]["details"]["error_code"],
            "unsupported_by_target"
        );
        let named = Problem::new(ProblemKind::InvalidRequest, "`top_p` is 2.");
        let (_, body) = told(&named.with_param("top_p"));
        assert_eq!(body["error"]["message"], "`top_p` is 2.");
    }

    #[test]
    fn the_vendors_own_error_passes_as_it_is() {
        let problem = Problem {
            verbatim: Some(Bytes::from_static(b"{\"type\":\"error\"}")),
            ..Problem::new(ProblemKind::InvalidRequest, "x")
        };
        assert_eq!(response(&problem, "req_1").1, "{\"type\":\"error\"}");
    }
}
