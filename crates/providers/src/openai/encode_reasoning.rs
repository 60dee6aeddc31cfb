//! Writes how much to think.

use domain::chat::{ChatRequest, Conversion, Effort, ReasoningRequest};
use domain::model::ReasoningControl;
use serde::Serialize;

use super::model;
use super::wire::{Extra, Leftovers};
use crate::dialect::Target;
use crate::hosts::ReasoningSwitch;

/// How much to think, in the host's words.
#[derive(Default)]
pub(super) struct Reasoning<'a> {
    /// `reasoning_effort`.
    pub(super) effort: Option<&'static str>,
    /// `reasoning`.
    pub(super) object: Option<WireReasoning<'a>>,
    /// `thinking`.
    pub(super) thinking: Option<WireThinking>,
    /// `enable_thinking`.
    pub(super) enable_thinking: Option<bool>,
    /// `thinking_budget`, which goes with it.
    pub(super) thinking_budget: Option<u64>,
}

/// The switch of DeepSeek and of others who follow it.
#[derive(Serialize)]
pub(super) struct WireThinking {
    #[serde(rename = "type")]
    kind: &'static str,
}

/// The object by which OpenRouter and others take more than a word.
#[derive(Serialize)]
pub(super) struct WireReasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude: Option<bool>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// Writes how much to think.
pub(super) fn reasoning<'a>(
    request: &'a ChatRequest,
    target: &Target<'_>,
    leftovers: &mut Leftovers<'a>,
    report: &mut Conversion,
) -> Reasoning<'a> {
    let ReasoningRequest {
        effort,
        budget_tokens,
        include_thoughts,
    } = request.reasoning;
    if model::never_reasons(target.model, target.capabilities) {
        if effort.is_some_and(|effort| effort != Effort::None) || budget_tokens.is_some() {
            report.drop("reasoning_effort", "the model does not reason");
        }
        return Reasoning::default();
    }
    let switch = target.host.quirks.reasoning_switch;
    if switch == ReasoningSwitch::EnableThinking {
        return enabled(&request.reasoning, leftovers, report);
    }
    let by_object = switch == ReasoningSwitch::ReasoningObject;
    let takes_budget = target.capabilities.reasoning == Some(ReasoningControl::Budget)
        || (by_object && effort.is_none());
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
        .filter(|_| takes_budget || by_object)
        .map(|include| !include);
    let extra = leftovers.at("reasoning");
    let effort_inside = word.filter(|_| by_object);
    let says_more =
        effort_inside.is_some() || max_tokens.is_some() || exclude.is_some() || !extra.0.is_empty();
    if include_thoughts.is_some() && exclude.is_none() {
        report.drop(
            "include_reasoning",
            "the target shows its thoughts, or does not, as it sees fit",
        );
    }
    let object = says_more.then_some(WireReasoning {
        effort: effort_inside,
        max_tokens,
        exclude,
        extra,
    });
    let word = word.filter(|_| !by_object);
    if switch == ReasoningSwitch::ThinkingType {
        let kind = match word {
            None => None,
            Some("none") => Some("disabled"),
            Some(_) => Some("enabled"),
        };
        return Reasoning {
            effort: word.filter(|word| *word != "none"),
            object,
            thinking: kind.map(|kind| WireThinking { kind }),
            ..Reasoning::default()
        };
    }
    Reasoning {
        effort: word,
        object,
        ..Reasoning::default()
    }
}

/// Where thinking is switched on or off, with a budget and without a word.
fn enabled<'a>(
    asked: &ReasoningRequest,
    leftovers: &mut Leftovers<'a>,
    report: &mut Conversion,
) -> Reasoning<'a> {
    let budget = asked.budget_tokens.filter(|budget| *budget > 0);
    let is_wanted = match (asked.effort, asked.budget_tokens) {
        (Some(effort), _) => Some(effort != Effort::None),
        (None, Some(budget)) => Some(budget > 0),
        (None, None) => None,
    };
    if asked.effort.is_some_and(|effort| effort != Effort::None) && budget.is_none() {
        let reason =
            "the host switches thinking on or off and takes a budget, but no word; it is on";
        report.change("reasoning_effort", reason);
    }
    let extra = leftovers.at("reasoning");
    let object = (!extra.0.is_empty()).then_some(WireReasoning {
        effort: None,
        max_tokens: None,
        exclude: None,
        extra,
    });
    Reasoning {
        object,
        enable_thinking: is_wanted,
        thinking_budget: budget.filter(|_| is_wanted == Some(true)),
        ..Reasoning::default()
    }
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
pub(super) fn effort_of_budget(budget: u64) -> &'static str {
    match budget {
        0 => "none",
        1..=2_048 => "low",
        2_049..=16_384 => "medium",
        _ => "high",
    }
}
