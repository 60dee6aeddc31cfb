//! Where a route's requests go when none of its targets answers.

use domain::provider_error::Cause;

use super::RouteTarget;

/// A target for when others fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// After which failures it is tried.
    pub when: When,
    /// The target.
    pub target: RouteTarget,
}

impl From<RouteTarget> for Fallback {
    fn from(target: RouteTarget) -> Self {
        Self {
            when: When::Always,
            target,
        }
    }
}

/// After which failures a fallback is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After any that another target may not have: not after a request that is wrong everywhere, and not after
    /// a refusal of its content.
    Always,
    /// After one that did not fit the model's context window.
    ContextWindow,
    /// After a refusal of its content by the provider's policy.
    ContentPolicy,
    /// After one that was turned away by a rate limit.
    RateLimit,
}

impl When {
    /// The word used in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "any",
            Self::ContextWindow => "context_window",
            Self::ContentPolicy => "content_policy",
            Self::RateLimit => "rate_limit",
        }
    }

    /// Whether a fallback of this kind is for a failure of this cause.
    pub fn covers(self, cause: Cause) -> bool {
        match self {
            Self::Always => !matches!(cause, Cause::InvalidRequest | Cause::ContentPolicy),
            Self::ContextWindow => matches!(cause, Cause::ContextTooLong | Cause::TooLarge),
            Self::ContentPolicy => cause == Cause::ContentPolicy,
            Self::RateLimit => matches!(cause, Cause::RateLimited | Cause::QuotaExhausted),
        }
    }
}
