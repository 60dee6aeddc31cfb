//! A failure as the provider meant it, whatever words and status it used.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What went wrong, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The request is not valid for this model.
    InvalidRequest,
    /// The input and the wanted output do not fit the model's context window.
    ContextTooLong,
    /// The request is larger than the provider takes.
    TooLarge,
    /// The provider refuses the credential.
    Authentication,
    /// The credential may not do this.
    Permission,
    /// The provider does not know the model or the resource.
    NotFound,
    /// Too many requests or tokens for now.
    RateLimited,
    /// The account has no credit or quota left; waiting does not help.
    QuotaExhausted,
    /// The provider has more work than it can take.
    Overloaded,
    /// The content was refused by the provider's policy.
    ContentPolicy,
    /// The provider failed.
    Server,
    /// The provider did not answer in time.
    Timeout,
    /// No connection to the provider was made.
    Unreachable,
    /// The connection broke in the middle.
    Interrupted,
    /// What the provider sent is not what its format allows.
    Malformed,
}

impl Cause {
    /// The name used in records, logs and metrics (`error_type`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::ContextTooLong => "context_too_long",
            Self::TooLarge => "too_large",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Overloaded => "overloaded",
            Self::ContentPolicy => "content_policy",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Interrupted => "interrupted",
            Self::Malformed => "malformed",
        }
    }
}

/// When the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not to this provider: the answer would be the same.
    Never,
    /// After the caller's own backoff.
    Now,
    /// Not before this much time has passed (`Retry-After`).
    After(Duration),
}

/// A provider's failure, decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("provider failed: {}", cause.as_str())]
pub struct ProviderError {
    /// What went wrong.
    pub cause: Cause,
    /// The provider's HTTP status code; `None` when there was no response or the error came in a stream.
    pub status: Option<u16>,
    /// The provider's own sentence, cleaned of markup and of secrets; shown to the caller.
    pub message: String,
    /// The provider's own error type (OpenAI `type`, Anthropic `error.type`, Google `status`).
    pub native_type: Option<String>,
    /// The provider's own error code, where it has one beside the type.
    pub code: Option<String>,
    /// The request field that the provider complains about.
    pub param: Option<String>,
    /// When to try again.
    pub retry: Retry,
    /// The provider's body, when it is a well-formed error of its format that may be shown as it is
    /// to a caller of the same format.
    pub body: Option<Bytes>,
}

impl ProviderError {
    /// A failure that has a cause and a sentence and nothing else.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self {
            cause,
            status: None,
            message: message.into(),
            native_type: None,
            code: None,
            param: None,
            retry: Retry::Never,
            body: None,
        }
    }

    /// The same failure, which may be retried as said.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }
}
