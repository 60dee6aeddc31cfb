//! Why an answer ended, in the words of the format and of the hosts that have their own.

use domain::chat::{Finish, FinishReason};

/// Reads the end of a choice. `finish_reason` is OpenAI's word, `native` what a host says beside it, and
/// `has_calls` whether the choice wants tools to be called: with a named `tool_choice` OpenAI itself says
/// `stop` then, and some hosts always do.
pub(super) fn read(finish_reason: &str, native: Option<&str>, has_calls: bool) -> Finish {
    let reason = match finish_reason {
        "length" | "max_tokens" | "model_length" => FinishReason::Length,
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        "content_filter" | "safety" | "refusal" => FinishReason::ContentFilter,
        // DeepSeek and vLLM break an answer off with these; OpenRouter says `error`.
        "error" | "abort" | "insufficient_system_resource" => FinishReason::Error,
        // `eos`, `end_turn` and words that are not known yet: the answer is whole.
        _ if has_calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    let native = native.filter(|word| !word.is_empty());
    Finish {
        reason,
        native: native.unwrap_or(finish_reason).to_owned(),
        stop_sequence: None,
    }
}
