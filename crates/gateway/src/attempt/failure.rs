//! What became of one exchange: bodies are read within bounds, and what went wrong gets its cause.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::egress::{EgressBody, EgressError};
use domain::provider_error::{Cause, ProviderError, Retry};
use futures_util::StreamExt;
use http::response::Parts;
use providers::dialect::Refusal;

/// The largest error body that is read, in bytes; what is longer is not read by people either.
pub(super) const MAX_ERROR_BODY: usize = 256 * 1024;

/// An answer, if its status is good; otherwise the error that `read` reads of it.
pub(crate) async fn successful(
    response: http::Response<EgressBody>,
    read: impl FnOnce(&Parts, &[u8]) -> ProviderError,
) -> Result<(Parts, EgressBody), ProviderError> {
    let (head, body) = response.into_parts();
    if head.status.is_success() {
        return Ok((head, body));
    }
    let body = read_error_body(body).await;
    Err(read(&head, &body))
}

pub(crate) async fn read_whole(mut body: EgressBody, max: usize) -> Result<Bytes, ProviderError> {
    // Most answers come in one piece, which then is not copied.
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| broken(&error))?;
        if first.len().max(all.len()) + piece.len() > max {
            return Err(too_large(max));
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// What can be had of the body of an error, which nobody needs whole.
pub(super) async fn read_error_body(mut body: EgressBody) -> Bytes {
    let mut all = BytesMut::new();
    while let Some(Ok(piece)) = body.next().await {
        let room = MAX_ERROR_BODY.saturating_sub(all.len());
        all.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if all.len() >= MAX_ERROR_BODY {
            break;
        }
    }
    all.freeze()
}

pub(crate) fn is_json(head: &Parts) -> bool {
    head.headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().starts_with("application/json"))
}

/// A failure inside an answer that was called a success says so by its cause, not by a status of 200.
pub(crate) fn with_status(error: ProviderError, head: &Parts) -> ProviderError {
    let status = error.status.or(Some(head.status.as_u16()));
    ProviderError { status, ..error }
}

pub(crate) fn broken(error: &EgressError) -> ProviderError {
    let why = match error {
        EgressError::Broken(why) => why.clone(),
        other => other.to_string(),
    };
    let what = format!("The connection to the provider broke: {why}.");
    ProviderError::new(Cause::Interrupted, what)
}

/// The configured credential cannot be used with this provider.
pub(super) fn unauthorized(refusal: Refusal) -> ProviderError {
    ProviderError::new(Cause::Authentication, refusal.detail)
}

pub(crate) fn unreachable(error: &EgressError) -> ProviderError {
    let retry = match error {
        EgressError::AddressRefused(_) | EgressError::Tls(_) => Retry::Never,
        _ => Retry::Now,
    };
    if error.is_before_sending() {
        ProviderError::new(Cause::Unreachable, error.to_string()).with_retry(retry)
    } else {
        broken(error)
    }
}

pub(crate) fn timed_out(bound: Duration) -> ProviderError {
    let seconds = bound.as_secs_f64();
    ProviderError::new(
        Cause::Timeout,
        format!("The provider did not answer within {seconds:.1} seconds."),
    )
}

pub(super) fn too_large(max: usize) -> ProviderError {
    ProviderError::new(
        Cause::Malformed,
        format!("The provider's answer exceeds {max} bytes."),
    )
}
