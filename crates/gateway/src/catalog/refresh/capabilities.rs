//! What `LiteLLM`'s table says a model can do, in our words.

use domain::model::{Capabilities, ReasoningControl};
use serde_json::Value;

use super::litellm::Row;

/// Reads the capabilities of one row; what the row does not say stays unknown.
pub(super) fn capabilities(provider: &str, id: &str, row: &Row) -> Capabilities {
    let number = |member: &str| row.get(member).and_then(Value::as_u64);
    let flag = |member: &str| row.get(member).and_then(Value::as_bool);
    let is_claude = id.contains("claude");
    Capabilities {
        context_window: number("max_input_tokens"),
        max_output_tokens: number("max_output_tokens"),
        sampling: flag("supports_sampling_params"),
        reasoning: reasoning(provider, id, row),
        reasoning_always_on: flag("thinking_always_on"),
        tools: flag("supports_function_calling"),
        forced_tool_choice: flag("supports_forced_tool_use"),
        parallel_tools: flag("supports_parallel_function_calling"),
        images: flag("supports_vision").or(flag("supports_image_input")),
        documents: flag("supports_pdf_input"),
        audio: flag("supports_audio_input"),
        structured_output: if is_claude {
            claude_structured_output(row)
        } else {
            flag("supports_response_schema")
        },
        prefill: flag("supports_assistant_prefill"),
        mid_conversation_system: flag("supports_mid_conversation_system"),
    }
}

/// For Claude, `supports_response_schema` also counts a schema that is imitated by a forced tool;
/// only the other members mean the vendor's own structured output.
/// <https://docs.claude.com/en/docs/build-with-claude/structured-outputs>
fn claude_structured_output(row: &Row) -> Option<bool> {
    let flag = |member: &str| row.get(member).and_then(Value::as_bool);
    flag("supports_native_structured_output")
        .or(flag("supports_bedrock_native_structured_output"))
        .or(flag("supports_response_schema").map(|_| false))
}

/// How a model is told to reason. The table says whether it reasons and, for Claude, whether it
/// does so adaptively; the rest follows from the vendor's API.
fn reasoning(provider: &str, id: &str, row: &Row) -> Option<ReasoningControl> {
    let flag = |member: &str| row.get(member).and_then(Value::as_bool);
    let has_efforts = row
        .keys()
        .any(|member| member.ends_with("_reasoning_effort"))
        || row.contains_key("reasoning_effort_levels");
    if !flag("supports_reasoning")? {
        return Some(ReasoningControl::None);
    }
    let is_adaptive_only = flag("supports_adaptive_thinking") == Some(true)
        && flag("supports_legacy_thinking") != Some(true);
    if id.contains("claude") {
        Some(if is_adaptive_only {
            ReasoningControl::Adaptive
        } else {
            ReasoningControl::Budget
        })
    } else if id.contains("gemini-2") {
        // https://ai.google.dev/gemini-api/docs/thinking: budgets up to 2.5, levels from 3 on.
        Some(ReasoningControl::Budget)
    } else if id.contains("gemini-") {
        Some(ReasoningControl::Level)
    } else if has_efforts || matches!(provider, "openai" | "azure" | "groq" | "xai" | "perplexity")
    {
        Some(ReasoningControl::Effort)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_claude_that_still_takes_budgets_is_told_by_budget() {
        let both = row(
            r#"{"supports_reasoning":true,"supports_adaptive_thinking":true,"supports_legacy_thinking":true}"#,
        );
        assert_eq!(
            reasoning("anthropic", "claude-opus-4-6", &both),
            Some(ReasoningControl::Budget)
        );
        let adaptive = row(r#"{"supports_reasoning":true,"supports_adaptive_thinking":true}"#);
        assert_eq!(
            reasoning("anthropic", "claude-opus-5", &adaptive),
            Some(ReasoningControl::Adaptive)
        );
    }

    #[test]
    fn a_row_that_does_not_mention_reasoning_leaves_it_unknown() {
        assert_eq!(reasoning("openai", "gpt-4o", &row("{}")), None);
        let none = row(r#"{"supports_reasoning":false}"#);
        assert_eq!(
            reasoning("openai", "gpt-4o", &none),
            Some(ReasoningControl::None)
        );
    }

    #[test]
    fn an_imitated_schema_is_not_structured_output() {
        let imitated = row(r#"{"supports_response_schema":true}"#);
        let facts = capabilities("anthropic", "claude-3-opus", &imitated);
        assert_eq!(facts.structured_output, Some(false));
        let facts = capabilities("openai", "gpt-4o", &imitated);
        assert_eq!(facts.structured_output, Some(true));
    }
}
