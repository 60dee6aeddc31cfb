//! One dispatch to a provider.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::money::Cost;
use crate::name::ProviderName;
use crate::provider_error::Cause;
use crate::usage::Usage;

/// One dispatch to a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// The provider.
    pub provider: ProviderName,
    /// The model in the provider's words.
    pub model: String,
    /// Why it was made.
    #[serde(default, skip_serializing_if = "AttemptReason::is_first")]
    pub reason: AttemptReason,
    /// When it was sent.
    #[serde(with = "crate::json::time")]
    pub started_at: Timestamp,
    /// How long it took, in milliseconds; `None` when the end was not seen.
    pub latency_ms: Option<u64>,
    /// The provider's status code.
    pub status: Option<u16>,
    /// What went wrong, by cause.
    pub error_type: Option<Cause>,
    /// Whether it was given up because another attempt answered first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// What it took, where the call's usage is that of more than one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What that cost; `None` when no price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Cost>,
}

impl Attempt {
    /// One that is about to be made.
    pub fn new(
        number: u32,
        provider: ProviderName,
        model: String,
        reason: AttemptReason,
        started_at: Timestamp,
    ) -> Self {
        Self {
            number,
            provider,
            model,
            reason,
            started_at,
            latency_ms: None,
            status: None,
            error_type: None,
            cancelled: false,
            usage: None,
            cost_usd: None,
        }
    }
}

/// Why a provider was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptReason {
    /// It is the first of the call.
    #[default]
    First,
    /// The same target was asked before, and turned the call away.
    Retry,
    /// The provider turned the key away that it was asked with before; this is another.
    Key,
    /// Another target failed, or was known not to answer.
    Fallback,
    /// Another target took long, and has not been given up.
    Hedge,
    /// Another target broke off in the middle of its answer, and this one goes on with it.
    Continuation,
}

impl AttemptReason {
    /// The word used in the API, the logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Retry => "retry",
            Self::Key => "key",
            Self::Fallback => "fallback",
            Self::Hedge => "hedge",
            Self::Continuation => "continuation",
        }
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes by reference"
    )]
    fn is_first(&self) -> bool {
        *self == Self::First
    }
}
