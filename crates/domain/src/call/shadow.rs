//! Copies of calls beside the calls themselves.

use super::CallState;
use crate::money::Cost;

/// A copy of a call, and the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowPair {
    /// How the copy went.
    pub shadow: Outcome,
    /// How the call went; `None` while it is not recorded.
    pub original: Option<Outcome>,
}

/// How a call went, as far as calls are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub state: CallState,
    /// Why the answer ended.
    pub finish_reason: Option<String>,
    /// How much the answer is, in tokens.
    pub output_tokens: u64,
    /// What it cost; `None` when no price is known.
    pub cost: Option<Cost>,
    /// From arrival to the end of the answer, in milliseconds.
    pub latency_ms: u64,
    /// From arrival to the first content of a stream, in milliseconds.
    pub time_to_first_token_ms: Option<u64>,
}
