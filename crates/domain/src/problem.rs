//! What a caller is told when something did not work (RFC 9457).
//!
//! A [`Problem`] is the same whatever API was called; each face renders it in its own error shape.

use std::time::Duration;

use bytes::Bytes;

use crate::id::RequestId;

/// The kinds of problem. Each has one `type` URI, one title and one status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The request is not valid.
    InvalidRequest,
    /// There is no valid key.
    Unauthenticated,
    /// The key is valid but may not do this.
    PermissionDenied,
    /// Nothing is there under this path.
    NotFound,
    /// Someone else was faster, so that what is asked no longer fits.
    Conflict,
    /// The model name is not one that is served.
    UnknownModel,
    /// The method is not one that the path takes.
    MethodNotAllowed,
    /// The vendor has it, and the gateway does not.
    NotImplemented,
    /// The body is larger than `server.max_body`.
    TooLarge,
    /// The conversation does not fit the model's context window.
    ContextTooLong,
    /// A strict route would have to drop something, or the target cannot do what is asked.
    Unsupported,
    /// A rate limit of the caller's own is reached.
    RateLimited,
    /// A budget of the caller's own is spent.
    BudgetExhausted,
    /// The content was refused by a policy.
    ContentPolicy,
    /// The provider's rate limit or quota is reached.
    ProviderRateLimited,
    /// The provider refuses our credential.
    ProviderCredential,
    /// The provider is overloaded.
    ProviderOverloaded,
    /// The provider failed, or sent what its format does not allow.
    ProviderFailed,
    /// The provider cannot be reached.
    ProviderUnreachable,
    /// The provider did not answer in time.
    ProviderTimeout,
    /// The gateway cannot take new work now.
    Unavailable,
    /// Our own fault.
    Internal,
}

impl ProblemKind {
    /// The last part of the `type` URI; also the error code on faces that have one.
    pub fn slug(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "invalid_api_key",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::UnknownModel => "model_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotImplemented => "not_implemented",
            Self::TooLarge => "request_too_large",
            Self::ContextTooLong => "context_length_exceeded",
            Self::Unsupported => "unsupported_by_target",
            Self::RateLimited => "rate_limit_exceeded",
            Self::BudgetExhausted => "budget_exhausted",
            Self::ContentPolicy => "content_policy_violation",
            Self::ProviderRateLimited => "provider_rate_limited",
            Self::ProviderCredential => "provider_credential_refused",
            Self::ProviderOverloaded => "provider_overloaded",
            Self::ProviderFailed => "provider_failed",
            Self::ProviderUnreachable => "provider_unreachable",
            Self::ProviderTimeout => "provider_timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal_error",
        }
    }

    /// The HTTP status code of the cause. An invalid provider credential is 502, never 401: the
    /// caller's own key is fine.
    pub fn status(self) -> http::StatusCode {
        use http::StatusCode;
        match self {
            Self::InvalidRequest
            | Self::ContextTooLong
            | Self::Unsupported
            | Self::ContentPolicy => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NotFound | Self::UnknownModel => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited | Self::BudgetExhausted | Self::ProviderRateLimited => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::ProviderCredential | Self::ProviderFailed | Self::ProviderUnreachable => {
                StatusCode::BAD_GATEWAY
            }
            Self::ProviderOverloaded | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::ProviderTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A short sentence that is the same for every occurrence.
    pub fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request is not valid",
            Self::Unauthenticated => "A valid API key is needed",
            Self::PermissionDenied => "The API key does not permit this",
            Self::NotFound => "There is nothing here",
            Self::Conflict => "Someone else was faster",
            Self::UnknownModel => "The model is not served",
            Self::MethodNotAllowed => "The method is not allowed",
            Self::NotImplemented => "The gateway does not do this",
            Self::TooLarge => "The request is too large",
            Self::ContextTooLong => "The request exceeds the model's context window",
            Self::Unsupported => "The target cannot do what is asked",
            Self::RateLimited => "The rate limit is reached",
            Self::BudgetExhausted => "The budget is spent",
            Self::ContentPolicy => "The content was refused",
            Self::ProviderRateLimited => "The provider's rate limit is reached",
            Self::ProviderCredential => "The provider refuses the gateway's credential",
            Self::ProviderOverloaded => "The provider is overloaded",
            Self::ProviderFailed => "The provider failed",
            Self::ProviderUnreachable => "The provider cannot be reached",
            Self::ProviderTimeout => "The provider did not answer in time",
            Self::Unavailable => "The gateway cannot take new work",
            Self::Internal => "The gateway failed",
        }
    }
}

/// One problem, as told to a caller. Never holds a secret, another tenant's data or an internal cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its kind: `type`, `title` and `status`.
    pub kind: ProblemKind,
    /// What happened this time and what to do about it, in a sentence or two.
    pub detail: String,
    /// The request field that is to blame, as a path in the caller's format.
    pub param: Option<String>,
    /// The call it happened in (`instance`).
    pub request_id: Option<RequestId>,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// The status code the provider used, where it differs from the kind's and is the caller's to see
    /// (a provider's own 4xx).
    pub provider_status: Option<http::StatusCode>,
    /// The provider's own error code or type, where it says more than the kind.
    pub provider_code: Option<String>,
    /// The provider's own error body, when the caller speaks the provider's format.
    pub verbatim: Option<Bytes>,
}

impl Problem {
    /// A problem of this kind with a sentence.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            param: None,
            request_id: None,
            retry_after: None,
            provider_status: None,
            provider_code: None,
            verbatim: None,
        }
    }

    /// The same problem, blamed on a field.
    #[must_use]
    pub fn with_param(self, param: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..self
        }
    }

    /// The same problem, to be tried again after `wait`.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// The status code to answer with.
    pub fn status(&self) -> http::StatusCode {
        self.provider_status.unwrap_or_else(|| self.kind.status())
    }

    /// The `type` URI of RFC 9457.
    pub fn type_uri(&self) -> String {
        format!("urn:trunkline:problem:{}", self.kind.slug())
    }
}
