//! Access tokens: how a token endpoint is asked and what it answers (OAuth 2.0, RFC 6749).

use std::time::Duration;

use bytes::Bytes;
use domain::secret::Secret;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::credential::{Credential, Granted, Unobtained};
use crate::failure;
use crate::url;

/// A request that posts a form to a token endpoint.
pub(crate) fn post(endpoint: &str, fields: &[(&str, &str)]) -> Result<Request<Bytes>, Unobtained> {
    Request::post(endpoint)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(url::form(fields).into())
        .map_err(|error| no_request(endpoint, &error))
}

/// A URL of the configuration makes no request.
pub(crate) fn no_request(endpoint: &str, error: &http::Error) -> Unobtained {
    Unobtained::for_good(format!("{endpoint} cannot be asked for a token: {error}"))
}

/// What a token endpoint answers. Numbers are written as text by some.
#[derive(Deserialize)]
struct Grant {
    access_token: Secret<String>,
    expires_in: Option<Value>,
    expires_on: Option<Value>,
}

/// Reads the answer of a token endpoint, which `issuer` names in errors.
pub(crate) fn granted(
    issuer: &str,
    answer: &Response<Bytes>,
    now: Timestamp,
) -> Result<Granted, Unobtained> {
    if !answer.status().is_success() {
        return Err(refused(issuer, answer, now));
    }
    let grant: Grant = serde_json::from_slice(answer.body()).map_err(|_| {
        Unobtained::for_good(format!(
            "{issuer} answered something else than an access token"
        ))
    })?;
    let expires_at = match (seconds(grant.expires_in), seconds(grant.expires_on)) {
        (Some(lifetime), _) => now.checked_add(Duration::from_secs(lifetime)).ok(),
        (None, Some(moment)) => i64::try_from(moment)
            .ok()
            .and_then(|moment| Timestamp::from_second(moment).ok()),
        (None, None) => None,
    };
    Ok(Granted {
        credential: Credential::Token(grant.access_token),
        expires_at,
    })
}

fn seconds(value: Option<Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// An endpoint's refusal in its own words: `error` and `error_description` (RFC 6749 §5.2), or an error
/// of Google's shape.
pub(crate) fn refused(issuer: &str, answer: &Response<Bytes>, now: Timestamp) -> Unobtained {
    let status = answer.status().as_u16();
    let told: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let word = |pointer: &str| told.pointer(pointer).and_then(Value::as_str);
    let words = [
        word("/error"),
        word("/error/status"),
        word("/error_description"),
        word("/error/message"),
        word("/message"),
    ];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    let words = if words.is_empty() {
        failure::sentence(answer.body())
    } else {
        failure::clean(&words.join(": "))
    };
    let wait = failure::retry_after(answer.headers(), now);
    Unobtained {
        detail: format!("{issuer} gives no access token ({status}): {words}"),
        retry: failure::retry_of(failure::cause_of_status(status), wait),
    }
}

#[cfg(test)]
mod tests {
    use domain::provider_error::Retry;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-05T12:00:00Z".parse().unwrap()
    }

    fn answer(status: u16, body: &'static str) -> Response<Bytes> {
        let answer = Response::builder().status(status);
        answer.body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn a_token_expires_when_its_issuer_says() {
        for (body, expires_at) in [
            (
                r#"{"access_token":"t","expires_in":3599,"token_type":"Bearer"}"#,
                Some("2026-11-05T12:59:59Z"),
            ),
            (
                r#"{"access_token":"t","expires_in":"60"}"#,
                Some("2026-11-05T12:01:00Z"),
            ),
            (
                r#"{"access_token":"t","expires_on":"1793880060"}"#,
                Some("2026-11-05T12:01:00Z"),
            ),
            (r#"{"access_token":"t"}"#, None),
        ] {
            let granted = granted("Google", &answer(200, body), now()).unwrap();
            assert!(
                matches!(&granted.credential, Credential::Token(token) if token.reveal() == "t")
            );
            let expected = expires_at.map(|text| text.parse().unwrap());
            assert_eq!(granted.expires_at, expected, "{body}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_issuers_words_without_secrets() {
        let refusal = granted(
            "Entra",
            &answer(
                401,
                r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret eyJhbGciOiJSUzI1NiJ9."}"#,
            ),
            now(),
        )
        .unwrap_err();
        assert_eq!(refusal.retry, Retry::Never);
        assert_eq!(
            refusal.detail,
            "Entra gives no access token (401): invalid_client: AADSTS7000215: Invalid client secret ***"
        );
    }

    #[test]
    fn an_issuer_in_trouble_may_be_asked_again() {
        let refusal = granted("Google", &answer(503, "<h1>Busy</h1>"), now()).unwrap_err();
        assert_eq!(refusal.retry, Retry::Now);
        let other = granted("Google", &answer(200, "[]"), now()).unwrap_err();
        assert_eq!(other.retry, Retry::Never);
    }
}
