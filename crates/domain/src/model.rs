//! What a model can do, as far as it is known.

use serde::{Deserialize, Serialize};

/// How a model is told to reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningControl {
    /// It does not reason.
    None,
    /// By a word (`reasoning_effort`).
    Effort,
    /// By a number of tokens (Anthropic's `thinking.budget_tokens`, Gemini's `thinkingBudget`).
    Budget,
    /// It decides itself, guided by an effort; budgets are refused (Anthropic's adaptive thinking).
    Adaptive,
    /// By a named level (Gemini 3's `thinkingLevel`).
    Level,
}

/// What a model can do. `None` means that it is not known: the request is then sent as the caller
/// asked and the provider decides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Largest input and output together, in tokens.
    pub context_window: Option<u64>,
    /// Largest output, in tokens.
    pub max_output_tokens: Option<u64>,
    /// Whether `temperature`, `top_p` and `top_k` are accepted.
    pub sampling: Option<bool>,
    /// How it is told to reason.
    pub reasoning: Option<ReasoningControl>,
    /// Whether reasoning cannot be switched off.
    pub reasoning_always_on: Option<bool>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether a tool call can be forced (`tool_choice` of a tool, or of any).
    pub forced_tool_choice: Option<bool>,
    /// Whether it calls several tools in one turn.
    pub parallel_tools: Option<bool>,
    /// Whether it sees images.
    pub images: Option<bool>,
    /// Whether it reads PDF documents.
    pub documents: Option<bool>,
    /// Whether it hears audio.
    pub audio: Option<bool>,
    /// Whether it answers by JSON schema natively.
    pub structured_output: Option<bool>,
    /// Whether the last message may be the assistant's, to be continued.
    pub prefill: Option<bool>,
    /// Whether a system message may stand between other messages.
    pub mid_conversation_system: Option<bool>,
}
