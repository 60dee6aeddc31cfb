//! Reads how much to think (<https://platform.claude.com/docs/en/build-with-claude/thinking>).

use domain::chat::{Effort, ReasoningRequest};

use super::parse::Kept;
use crate::face::InvalidRequest;
use crate::openai::fields::Fields;

/// Reads `thinking`, beside the `effort` that was asked for. A way of thinking that is not known is kept.
pub(super) fn read(
    fields: &mut Fields<'_>,
    effort: Option<Effort>,
    kept: &mut Kept,
) -> Result<ReasoningRequest, InvalidRequest> {
    let said = if effort.is_some() {
        "output_config.effort"
    } else {
        "thinking"
    };
    kept.paths.insert("reasoning_effort", said);
    let mut asked = ReasoningRequest {
        effort,
        ..ReasoningRequest::default()
    };
    let Some(raw) = fields.take("thinking") else {
        return Ok(asked);
    };
    let mut thinking = Fields::read(raw, "thinking".to_owned())?;
    match thinking.required_text("type")?.as_str() {
        "enabled" => {
            let budget = thinking.integer("budget_tokens", "a positive integer")?;
            let Some(budget) = budget.filter(|budget| *budget > 0) else {
                return Err(thinking.missing("budget_tokens", "a positive integer"));
            };
            asked.budget_tokens = Some(budget);
        }
        // Without a word, adaptive thinking is the vendor's `high`.
        "adaptive" => asked.effort = asked.effort.or(Some(Effort::High)),
        "disabled" => asked.effort = Some(Effort::None),
        _ => {
            fields.put_back("thinking", raw);
            return Ok(asked);
        }
    }
    asked.include_thoughts = match thinking.text("display")?.as_deref() {
        Some("summarized") => Some(true),
        Some("omitted") => Some(false),
        _ => None,
    };
    for (ours, callers) in [
        ("include_reasoning", "thinking.display"),
        ("reasoning.max_tokens", "thinking.budget_tokens"),
        ("reasoning", "thinking"),
    ] {
        kept.paths.insert(ours, callers);
    }
    thinking.keep_rest(&mut kept.extensions);
    Ok(asked)
}

/// Reads the word of `output_config`.
pub(super) fn effort(config: &mut Fields<'_>) -> Result<Option<Effort>, InvalidRequest> {
    let Some(word) = config.text("effort")? else {
        return Ok(None);
    };
    let effort = match word.as_str() {
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" => Effort::ExtraHigh,
        "max" => Effort::Max,
        other => {
            let known = "`low`, `medium`, `high`, `xhigh` and `max`";
            return Err(config.unknown_word("effort", other, known));
        }
    };
    Ok(Some(effort))
}
