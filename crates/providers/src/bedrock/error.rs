//! Bedrock's failures by cause.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>

use std::time::Duration;

use domain::provider_error::{Cause, ProviderError, Retry};
use http::response::Parts;
use jiff::Timestamp;

use super::wire::ErrorBody;
use crate::failure;

/// Translates the answer of a failing status. The body is not kept to be shown: it is Amazon's own shape,
/// which is no caller's.
pub(super) fn decode(head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
    let status = head.status.as_u16();
    let wait = failure::retry_after(&head.headers, now);
    let field = head.headers.get("x-amzn-errortype");
    let field = field.and_then(|value| value.to_str().ok());
    let native: Option<ErrorBody> = serde_json::from_slice(body).ok();
    match native {
        Some(native) if field.is_some() || native.is_error() => {
            translate(field, native, Some(status), wait)
        }
        _ => match field {
            Some(_) => translate(field, ErrorBody::saying(body), Some(status), wait),
            None => failure::unreadable(status, body, wait),
        },
    }
}

/// Translates an exception that came in a stream, under this name.
pub(super) fn in_stream(name: &str, payload: &[u8]) -> ProviderError {
    let native = serde_json::from_slice(payload);
    let native = native.unwrap_or_else(|_| ErrorBody::saying(payload));
    translate(Some(name), native, None, None)
}

/// Translates what came where an answer was expected, if it is an error.
pub(super) fn in_success(body: &[u8]) -> Option<ProviderError> {
    let native: ErrorBody = serde_json::from_slice(body).ok()?;
    native
        .is_error()
        .then(|| translate(None, native, None, None))
}

impl ErrorBody {
    fn is_error(&self) -> bool {
        self.kind.is_some() || self.code.is_some() || self.message.is_some()
    }

    fn saying(body: &[u8]) -> Self {
        Self {
            kind: None,
            code: None,
            message: Some(failure::sentence(body)),
            original_message: None,
        }
    }
}

fn translate(
    named: Option<&str>,
    native: ErrorBody,
    status: Option<u16>,
    wait: Option<Duration>,
) -> ProviderError {
    let kind = named.or(native.kind.as_deref()).or(native.code.as_deref());
    let kind = kind.map(plain_name).unwrap_or_default();
    let mut sentence = native.message.unwrap_or_default();
    if let Some(original) = native.original_message
        && !sentence.contains(&original)
    {
        sentence = format!("{sentence} {original}");
    }
    let cause = cause(&kind, &sentence, status);
    let message = match failure::clean(&sentence) {
        words if words.is_empty() && kind.is_empty() => {
            "the provider failed without a word of explanation".to_owned()
        }
        words if words.is_empty() => format!("the provider said {kind:?} and nothing more"),
        words => words,
    };
    let retry = match (cause, kind.as_str()) {
        // Whoever is told to wait a day is better served elsewhere.
        (Cause::QuotaExhausted, _) => Retry::Never,
        _ => failure::retry_of(cause, wait),
    };
    ProviderError {
        status,
        native_type: (!kind.is_empty()).then_some(kind),
        ..ProviderError::new(cause, message).with_retry(retry)
    }
}

/// `ThrottlingException` of `com.amazon.coral.service#ThrottlingException:http://…`, with the capital letter that
/// exceptions in a stream lack.
fn plain_name(name: &str) -> String {
    let name = name.rsplit('#').next().unwrap_or(name);
    let name = name.split(':').next().unwrap_or(name).trim();
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect()
}

/// The cause, by known sentences (Bedrock has one type for everything that is wrong with a request),
/// then by the type, then by the status.
fn cause(kind: &str, sentence: &str, status: Option<u16>) -> Cause {
    let lower = sentence.to_ascii_lowercase();
    let says = |words: &str| lower.contains(words);
    match kind {
        "ValidationException" | "ModelErrorException" | "ModelStreamErrorException" => {
            if failure::speaks_of_context(sentence)
                || says("too many input tokens")
                || says("input tokens exceeded")
                || says("exceed context limit")
            {
                return Cause::ContextTooLong;
            }
            if says("content filter") || says("blocked by guardrail") {
                return Cause::ContentPolicy;
            }
        }
        "ThrottlingException" if says("per day") => return Cause::QuotaExhausted,
        // A Bedrock API key is refused without a type.
        "AccessDeniedException" | ""
            if says("authentication failed") || says("token has expired") || says("api key") =>
        {
            return Cause::Authentication;
        }
        _ => {}
    }
    match kind {
        "ThrottlingException" | "TooManyRequestsException" => Cause::RateLimited,
        "ServiceQuotaExceededException" => Cause::QuotaExhausted,
        "AccessDeniedException" => Cause::Permission,
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignatureException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken"
        | "ExpiredTokenException"
        | "ExpiredToken" => Cause::Authentication,
        "ResourceNotFoundException" | "UnknownOperationException" => Cause::NotFound,
        "ValidationException" if says("model identifier is invalid") => Cause::NotFound,
        "ValidationException" => match status.map(failure::cause_of_status) {
            Some(cause @ (Cause::TooLarge | Cause::NotFound)) => cause,
            _ => Cause::InvalidRequest,
        },
        "ModelTimeoutException" => Cause::Timeout,
        "ModelNotReadyException" | "ServiceUnavailableException" => Cause::Overloaded,
        "ModelErrorException"
        | "ModelStreamErrorException"
        | "InternalServerException"
        | "InternalFailure" => Cause::Server,
        _ => status.map_or(Cause::Server, failure::cause_of_status),
    }
}
