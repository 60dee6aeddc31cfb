//! What is answered, when it is not streamed.

use serde_json::value::RawValue;

use super::{Extensions, Part};
use crate::usage::{ServiceTier, Usage};

/// A whole answer.
#[derive(Debug, Clone, Default)]
pub struct ChatResponse {
    /// The provider's identifier of the answer.
    pub id: Option<String>,
    /// The model that answered, in the provider's words.
    pub model: Option<String>,
    /// The answers, by index.
    pub choices: Vec<Choice>,
    /// What it took; `None` when the provider did not say.
    pub usage: Option<Usage>,
    /// The class of service that was given.
    pub service_tier: Option<ServiceTier>,
    /// The rest.
    pub extensions: Extensions,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Its place among the answers, from 0.
    pub index: u32,
    /// What the model said, thought and wants to call, in order.
    pub content: Vec<Part>,
    /// Why it ended.
    pub finish: Finish,
    /// Probabilities in OpenAI's shape.
    pub logprobs: Option<Box<RawValue>>,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// By cause.
    pub reason: FinishReason,
    /// In the provider's word.
    pub native: String,
    /// The stop text that was met, where the provider says.
    pub stop_sequence: Option<String>,
}

/// Why an answer ended, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done, or met a stop text.
    Stop,
    /// The bound on the output, or the context window, was reached.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// A policy stopped it, or the model refused.
    ContentFilter,
    /// The provider paused a long turn, to be continued with the same messages (Anthropic's `pause_turn`).
    Pause,
    /// The provider failed to make a usable answer (Gemini's `MALFORMED_FUNCTION_CALL`, `OTHER`).
    Error,
}

impl FinishReason {
    /// The word used in records and telemetry (OpenTelemetry's `gen_ai.response.finish_reasons`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Pause => "pause",
            Self::Error => "error",
        }
    }
}
