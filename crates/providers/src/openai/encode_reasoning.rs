//! Writes how much to think.

use domain::chat::{ChatRequest, Conversion, Effort, ReasoningRequest};
use domain::model::ReasoningControl;
use serde::Serialize;

use super::wire::{Extra, Leftovers};
use crate::dialect::Target;

/// The object by which OpenRouter and others take more than a word.
#[derive(Serialize)]
pub(super) struct WireReasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude: Option<bool>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// The word, and the object where there is more to say.
pub(super) fn reasoning<'a>(
    request: &'a ChatRequest,
    target: &Target<'_>,
    leftovers: &mut Leftovers<'a>,
    report: &mut Conversion,
) -> (Option<&'static str>, Option<WireReasoning<'a>>) {
    let ReasoningRequest {
        effort,
        budget_tokens,
        include_thoughts,
    } = request.reasoning;
    if target.capabilities.reasoning == Some(ReasoningControl::None) {
        if effort.is_some_and(|effort| effort != Effort::None) || budget_tokens.is_some() {
            report.drop("reasoning_effort", "the model does not reason");
        }
        return (None, None);
    }
    let takes_budget = target.capabilities.reasoning == Some(ReasoningControl::Budget);
    let word = match (effort, budget_tokens) {
        (Some(effort), budget) => {
            if budget.is_some() && !takes_budget {
                report.drop(
                    "reasoning.max_tokens",
                    "the model takes an effort and no budget; the effort was sent",
                );
            }
            Some(effort_word(effort, report))
        }
        (None, Some(budget)) if !takes_budget => {
            let word = effort_of_budget(budget);
            report.change(
                "reasoning.max_tokens",
                format!("the model takes an effort and no budget; sent as `{word}`"),
            );
            Some(word)
        }
        _ => None,
    };
    let max_tokens = budget_tokens.filter(|_| takes_budget);
    let exclude = include_thoughts
        .filter(|_| takes_budget)
        .map(|include| !include);
    let extra = leftovers.at("reasoning");
    let says_more = max_tokens.is_some() || exclude.is_some() || !extra.0.is_empty();
    if include_thoughts.is_some() && exclude.is_none() {
        report.drop(
            "include_reasoning",
            "the target shows its thoughts, or does not, as it sees fit",
        );
    }
    let object = says_more.then_some(WireReasoning {
        max_tokens,
        exclude,
        extra,
    });
    (word, object)
}

fn effort_word(effort: Effort, report: &mut Conversion) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::ExtraHigh => "xhigh",
        Effort::Max => {
            report.change("reasoning_effort", "the format's highest word is `xhigh`");
            "xhigh"
        }
    }
}

/// The thresholds are Anthropic's smallest budget, and twice the powers of two at which its own guide
/// places light and thorough thinking.
fn effort_of_budget(budget: u64) -> &'static str {
    match budget {
        0 => "none",
        1..=2_048 => "low",
        2_049..=16_384 => "medium",
        _ => "high",
    }
}
