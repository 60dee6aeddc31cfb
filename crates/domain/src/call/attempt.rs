//! One dispatch to a provider.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::ProviderName;
use crate::provider_error::Cause;

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
    /// Another target failed.
    Fallback,
}

impl AttemptReason {
    /// The word used in the API, the logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Retry => "retry",
            Self::Fallback => "fallback",
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
