//! How much to think, in the words of the model behind Converse: each vendor has its own.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html>

use domain::chat::{ChatRequest, Conversion, Effort, ReasoningRequest};
use domain::model::ReasoningControl;
use serde_json::json;

use super::encode::Facts;
use super::extras::Fields;
use super::inference::insert;
use super::model::Family;
use super::wire::InferenceConfig;
use crate::anthropic::model::Model;
use crate::anthropic::reasoning::{self as claude, Bounds};
use crate::anthropic::wire::Thinking;
use crate::dialect::Refusal;

/// The caller's names of what this file translates.
const EFFORT: &str = "reasoning_effort";
const BUDGET: &str = "reasoning.max_tokens";

/// What is sent of a reasoning request.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Fields of the model's own.
    pub(super) fields: Fields,
    /// Converse's own word.
    pub(super) effort: Option<&'static str>,
    /// Whether the model will think, which restricts sampling.
    pub(super) is_thinking: bool,
}

/// Whether thoughts are asked for, so that a tool must not be forced for other purposes.
pub(super) fn is_wanted(
    request: &ReasoningRequest,
    family: Family,
    model: Option<&Model<'_>>,
) -> bool {
    match model {
        Some(model) => claude::is_wanted(request, model),
        None => {
            matches!(family, Family::Nova2 | Family::Unknown)
                && request.effort.is_some_and(|effort| effort != Effort::None)
        }
    }
}

/// Translates the request for thoughts.
pub(super) fn plan(
    request: &ChatRequest,
    facts: &Facts<'_>,
    inference: &mut InferenceConfig<'_>,
    forced_tool: bool,
    thoughts_lost: bool,
    report: &mut Conversion,
) -> Result<Plan, Refusal> {
    if let Some(model) = &facts.claude {
        let bounds = Bounds {
            max_tokens: inference
                .max_tokens
                .unwrap_or_else(|| model.default_max_output()),
            forced_tool,
            thoughts_lost,
        };
        let plan = claude::plan(&request.reasoning, model, bounds, report)?;
        let mut fields = Fields::new();
        if let Some(thinking) = &plan.thinking {
            insert("thinking", thinking, &mut fields);
        }
        if matches!(plan.thinking, Some(Thinking::Enabled { .. })) {
            // A budget is measured against this bound, so it must be the one that is meant.
            inference.max_tokens = Some(bounds.max_tokens);
        }
        return Ok(Plan {
            fields,
            effort: plan.effort,
            is_thinking: plan.is_thinking(model),
        });
    }
    if request.reasoning.budget_tokens.is_some() {
        report.drop(BUDGET, "this model takes no budget of thoughts");
    }
    let Some(effort) = request.reasoning.effort else {
        return Ok(Plan::default());
    };
    if facts.capabilities.reasoning == Some(ReasoningControl::None) {
        match effort {
            Effort::None => report.carry(EFFORT),
            _ => report.drop(EFFORT, "this model does not reason"),
        }
        return Ok(Plan::default());
    }
    Ok(match facts.family {
        Family::Nova2 => nova(effort, request, inference, report),
        Family::OpenAi => open_ai(effort, report),
        Family::Unknown => in_converses_word(effort, report),
        Family::Claude | Family::NovaPremier | Family::Nova | Family::Mistral | Family::Other => {
            report.drop(
                EFFORT,
                "not known how this model is told; `additionalModelRequestFields` passes as written",
            );
            Plan::default()
        }
    })
}

/// Converse has a word of its own, which stands for the model's where its name does not tell which.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_OutputConfig.html>
fn in_converses_word(effort: Effort, report: &mut Conversion) -> Plan {
    let word = match effort {
        Effort::None => {
            report.carry(EFFORT);
            return Plan::default();
        }
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::ExtraHigh => "xhigh",
        Effort::Max => "max",
    };
    if effort == Effort::Minimal {
        report.change(
            EFFORT,
            format!("sent as {word:?}, the nearest that the provider knows"),
        );
    } else {
        report.carry(EFFORT);
    }
    Plan {
        effort: Some(word),
        is_thinking: true,
        ..Plan::default()
    }
}

/// Nova 2 thinks when told so, and refuses bounds and sampling at its highest effort.
/// <https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html>
fn nova(
    effort: Effort,
    request: &ChatRequest,
    inference: &InferenceConfig<'_>,
    report: &mut Conversion,
) -> Plan {
    let mut fields = Fields::new();
    let sampling = &request.sampling;
    let is_bound = inference.max_tokens.is_some()
        || sampling.temperature.is_some()
        || sampling.top_p.is_some();
    let word = match effort {
        Effort::None => {
            report.carry(EFFORT);
            return Plan::default();
        }
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::ExtraHigh | Effort::Max if is_bound => "medium",
        Effort::High | Effort::ExtraHigh | Effort::Max => "high",
    };
    match (effort, word) {
        (Effort::Low, "low") | (Effort::Medium, "medium") | (Effort::High, "high") => {
            report.carry(EFFORT);
        }
        (_, "medium") => report.change(
            EFFORT,
            "sent as \"medium\": the highest effort excludes a bound on the output and sampling parameters on this model",
        ),
        _ => report.change(
            EFFORT,
            format!("sent as {word:?}, the nearest that this model knows"),
        ),
    }
    let config = json!({"type": "enabled", "maxReasoningEffort": word});
    insert("reasoningConfig", config, &mut fields);
    Plan {
        fields,
        effort: None,
        is_thinking: true,
    }
}

/// OpenAI's models take the field that they take everywhere; the open ones know three words.
fn open_ai(effort: Effort, report: &mut Conversion) -> Plan {
    let word = match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::ExtraHigh | Effort::Max => "high",
    };
    if matches!(effort, Effort::Low | Effort::Medium | Effort::High) {
        report.carry(EFFORT);
    } else {
        report.change(
            EFFORT,
            format!("sent as {word:?}, the nearest that this model knows"),
        );
    }
    let mut fields = Fields::new();
    insert("reasoning_effort", word, &mut fields);
    Plan {
        fields,
        effort: None,
        is_thinking: true,
    }
}
