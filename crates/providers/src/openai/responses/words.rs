//! The words of this format beside those of chat completions, in which dialects speak of a request.

use domain::chat::{CallerPaths, Tool};

use crate::dialect::Format;

/// The format's name in the domain's `Unknown` and `Hosted` items.
pub(crate) const FORMAT: &str = Format::OpenaiResponses.as_str();

/// Fields that chat completions take by the same name and in the same meaning.
const SHARED: [&str; 7] = [
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
];

/// Whether chat completions take the field too.
pub(crate) fn is_shared(field: &str) -> bool {
    SHARED.contains(&field)
}

/// Notes where the fields stand that chat completions call otherwise.
pub(super) fn note(paths: &mut CallerPaths, tools: &[Tool]) {
    for (chat, here) in [
        ("include_reasoning", "reasoning.summary"),
        ("logprobs", "include"),
        ("max_completion_tokens", "max_output_tokens"),
        ("max_tokens", "max_output_tokens"),
        ("messages", "input"),
        ("reasoning_effort", "reasoning.effort"),
        ("response_format", "text.format"),
        ("response_format.json_schema", "text.format"),
        ("tool_choice.allowed_tools", "tool_choice"),
        ("tool_choice.function", "tool_choice"),
        ("verbosity", "text.verbosity"),
    ] {
        paths.insert(chat, here);
    }
    for (index, _) in tools.iter().enumerate() {
        let path = format!("tools[{index}]");
        paths.insert(format!("{path}.function"), path);
    }
}
