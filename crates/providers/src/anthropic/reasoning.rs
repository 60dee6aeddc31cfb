//! How much to think, in Anthropic's words.
//! <https://platform.claude.com/docs/en/build-with-claude/thinking>

use domain::chat::{Conversion, Effort, ReasoningRequest};
use domain::model::ReasoningControl;

use super::model::Model;
use super::wire::Thinking;
use crate::dialect::Refusal;

/// The smallest budget that Anthropic takes, in tokens.
const MIN_BUDGET: u64 = 1_024;

/// The caller's names of what this file translates.
const EFFORT: &str = "reasoning_effort";
const BUDGET: &str = "reasoning.max_tokens";

/// What is sent of a reasoning request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) thinking: Option<Thinking>,
    pub(crate) effort: Option<&'static str>,
}

/// What else is decided of the request that thinking must respect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The bound on the output, thoughts included, in tokens.
    pub(crate) max_tokens: u64,
    /// Whether a tool call is forced, which excludes the thinking modes.
    pub(crate) forced_tool: bool,
    /// Whether the turn in progress called tools and its thoughts did not come back.
    pub(crate) thoughts_lost: bool,
}

impl Bounds {
    /// Why a thinking budget cannot be given, if so.
    fn forbid_budget(self) -> Option<&'static str> {
        if self.forced_tool {
            Some("a forced tool call excludes thinking on this model")
        } else if self.thoughts_lost {
            Some(
                "the thoughts before the latest tool calls were not sent back, without which this model does not think on",
            )
        } else {
            None
        }
    }
}

impl Plan {
    /// Whether the model will think, which restricts sampling.
    pub(crate) fn is_thinking(&self, model: &Model<'_>) -> bool {
        match self.thinking {
            Some(Thinking::Enabled { .. } | Thinking::Adaptive { .. }) => true,
            Some(Thinking::Disabled) => false,
            None => model.always_thinks(),
        }
    }
}

/// Whether thoughts are asked for, so that a tool must not be forced for other purposes.
pub(crate) fn is_wanted(request: &ReasoningRequest, model: &Model<'_>) -> bool {
    let asked =
        request.budget_tokens.is_some() || request.effort.is_some_and(|word| word != Effort::None);
    model.always_thinks() || (asked && model.reasoning() != Some(ReasoningControl::None))
}

/// Translates the request for thoughts. A budget in tokens that cannot be met is refused here, because
/// the provider may answer it with silence; an effort in a word is fitted to what is there.
pub(crate) fn plan(
    request: &ReasoningRequest,
    model: &Model<'_>,
    bounds: Bounds,
    report: &mut Conversion,
) -> Result<Plan, Refusal> {
    // Whoever only says that thoughts be shown wants them thought.
    let effort = match (request.effort, request.budget_tokens) {
        (None, None) if request.include_thoughts == Some(true) => Some(Effort::Medium),
        (effort, _) => effort,
    };
    match (model.reasoning(), effort, request.budget_tokens) {
        (_, None, None) => Ok(Plan::default()),
        (_, Some(Effort::None), None) => Ok(off(model, report)),
        (Some(ReasoningControl::None), effort, budget) => {
            let reason = "this model does not reason";
            if effort.is_some() {
                report.drop(EFFORT, reason);
            }
            if budget.is_some() {
                report.drop(BUDGET, reason);
            }
            Ok(Plan::default())
        }
        (Some(ReasoningControl::Budget) | None, effort, Some(budget)) => {
            if effort.is_some() {
                report.drop(EFFORT, "the budget in tokens is the more exact of the two");
            }
            explicit_budget(request, model, budget, bounds, report)
        }
        (Some(ReasoningControl::Budget), Some(effort), None) => {
            Ok(budget_for(request, model, effort, bounds, report))
        }
        (_, Some(effort), budget) => {
            if budget.is_some() {
                report.drop(BUDGET, "this model takes an effort and refuses budgets");
            }
            Ok(adaptive(request, model, effort, bounds, report))
        }
        (_, None, Some(budget)) => {
            let effort = effort_for(budget);
            report.change(
                BUDGET,
                "this model refuses budgets; sent as the effort that is nearest to it",
            );
            Ok(Plan {
                thinking: thinking_mode(request, model, bounds, BUDGET, report),
                effort: Some(word(effort, model)),
            })
        }
    }
}

fn off(model: &Model<'_>, report: &mut Conversion) -> Plan {
    if model.always_thinks() {
        report.change(
            EFFORT,
            "this model always thinks; sent as its lowest effort",
        );
        return Plan {
            thinking: None,
            effort: Some("low"),
        };
    }
    report.carry(EFFORT);
    Plan {
        thinking: model.thinks_by_default().then_some(Thinking::Disabled),
        effort: None,
    }
}

fn explicit_budget(
    request: &ReasoningRequest,
    model: &Model<'_>,
    budget: u64,
    bounds: Bounds,
    report: &mut Conversion,
) -> Result<Plan, Refusal> {
    if let Some(reason) = bounds.forbid_budget() {
        report.drop(BUDGET, reason);
        return Ok(Plan::default());
    }
    if budget < MIN_BUDGET {
        report.change(BUDGET, "raised to 1024, the least that the provider takes");
    } else {
        report.carry(BUDGET);
    }
    let budget_tokens = budget.max(MIN_BUDGET);
    if budget_tokens >= bounds.max_tokens {
        let detail = format!(
            "A reasoning budget of {budget_tokens} tokens does not fit into an output of at most {} tokens. \
             Lower the budget or raise the bound on the output.",
            bounds.max_tokens
        );
        return Err(Refusal::of(BUDGET, detail));
    }
    Ok(Plan {
        thinking: Some(Thinking::Enabled {
            budget_tokens,
            display: display(request, model),
        }),
        effort: None,
    })
}

/// A word as a budget: a fixed measure per word, and at most four fifths of the output so that words
/// remain for the answer.
fn budget_for(
    request: &ReasoningRequest,
    model: &Model<'_>,
    effort: Effort,
    bounds: Bounds,
    report: &mut Conversion,
) -> Plan {
    if let Some(reason) = bounds.forbid_budget() {
        report.drop(EFFORT, reason);
        return Plan::default();
    }
    let wanted = match effort {
        Effort::None | Effort::Minimal => MIN_BUDGET,
        Effort::Low => 2_048,
        Effort::Medium => 8_192,
        Effort::High => 16_384,
        Effort::ExtraHigh => 24_576,
        Effort::Max => 32_768,
    };
    let budget_tokens = wanted.min(bounds.max_tokens / 5 * 4);
    if budget_tokens < MIN_BUDGET {
        report.drop(
            EFFORT,
            "the bound on the output leaves no room for thoughts, which take at least 1024 tokens",
        );
        return Plan::default();
    }
    report.change(
        EFFORT,
        format!("sent as a thinking budget of {budget_tokens} tokens"),
    );
    Plan {
        thinking: Some(Thinking::Enabled {
            budget_tokens,
            display: display(request, model),
        }),
        effort: None,
    }
}

fn adaptive(
    request: &ReasoningRequest,
    model: &Model<'_>,
    effort: Effort,
    bounds: Bounds,
    report: &mut Conversion,
) -> Plan {
    let word = word(effort, model);
    let thinking = thinking_mode(request, model, bounds, EFFORT, report);
    if word == caller_word(effort) {
        if thinking.is_some() {
            report.carry(EFFORT);
        }
    } else {
        report.change(
            EFFORT,
            format!("sent as {word:?}, the nearest that this model knows"),
        );
    }
    Plan {
        thinking,
        effort: Some(word),
    }
}

/// Adaptive thinking, unless a tool is forced: the effort then still counts, the mode is not taken.
fn thinking_mode(
    request: &ReasoningRequest,
    model: &Model<'_>,
    bounds: Bounds,
    field: &'static str,
    report: &mut Conversion,
) -> Option<Thinking> {
    if bounds.forced_tool {
        report.change(
            field,
            "sent as an effort only: a forced tool call excludes the thinking mode",
        );
        return None;
    }
    Some(Thinking::Adaptive {
        display: display(request, model),
    })
}

/// Newer models keep their thoughts to themselves unless asked; whoever asks for reasoning through this
/// gateway reads it in the answer, at no extra cost, unless it said that it does not want to.
fn display(request: &ReasoningRequest, model: &Model<'_>) -> Option<&'static str> {
    match request.include_thoughts {
        Some(false) => Some("omitted"),
        Some(true) | None => (!model.shows_thoughts_by_default()).then_some("summarized"),
    }
}

fn word(effort: Effort, model: &Model<'_>) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::ExtraHigh if model.takes_extra_high_effort() => "xhigh",
        Effort::High | Effort::ExtraHigh => "high",
        Effort::Max => "max",
    }
}

fn caller_word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::ExtraHigh => "xhigh",
        Effort::Max => "max",
    }
}

fn effort_for(budget: u64) -> Effort {
    match budget {
        0..=4_096 => Effort::Low,
        4_097..=12_288 => Effort::Medium,
        12_289..=24_576 => Effort::High,
        _ => Effort::ExtraHigh,
    }
}
