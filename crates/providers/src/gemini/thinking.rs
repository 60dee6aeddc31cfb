//! How much to think: OpenAI's words into Gemini's budgets and levels.
//!
//! The table is that of Google's own OpenAI-compatible endpoint
//! (<https://ai.google.dev/gemini-api/docs/openai#thinking>); the bounds are those of
//! <https://ai.google.dev/gemini-api/docs/thinking#set-budget>.

use domain::chat::{ChatRequest, Conversion, Effort};
use domain::model::ReasoningControl;

use super::model::{Model, Size};
use super::wire::request::Thinking;

/// What to tell the model; `None` when the caller asked for nothing.
pub(super) fn encode(
    request: &ChatRequest,
    model: Model,
    report: &mut Conversion,
) -> Option<Thinking> {
    let asked = &request.reasoning;
    let amount = match (asked.effort, asked.budget_tokens) {
        (_, Some(tokens)) => Some(Amount::Tokens(tokens)),
        (Some(effort), None) => Some(Amount::Word(effort)),
        (None, None) => None,
    };
    let leaves_it_open = request.format == super::FORMAT
        && model.reasoning == ReasoningControl::Budget
        && request
            .extensions
            .contains_key("generationConfig.thinkingConfig.thinkingBudget");
    if amount.is_none() && asked.include_thoughts.is_none() && !leaves_it_open {
        return None;
    }
    if model.reasoning == ReasoningControl::None {
        return none(amount, report);
    }
    let mut thinking = match (amount, model.reasoning) {
        // −1 leaves it to the model (<https://ai.google.dev/gemini-api/docs/thinking#set-budget>).
        (None, _) if leaves_it_open => Thinking {
            budget: Some(-1),
            ..Thinking::default()
        },
        (None, _) => Thinking::default(),
        (Some(amount), ReasoningControl::Budget) => Thinking {
            budget: i64::try_from(budget(amount, model.size, report)).ok(),
            ..Thinking::default()
        },
        (Some(amount), _) => Thinking {
            level: Some(level(amount, model, report)),
            ..Thinking::default()
        },
    };
    // Who asks for thinking wants to see the thoughts, which Gemini bills whether it shows them or not.
    // Gemini's own callers say so.
    let thinks = request.format != super::FORMAT
        && !matches!(
            amount,
            None | Some(Amount::Word(Effort::None) | Amount::Tokens(0))
        );
    if asked.include_thoughts.is_some() {
        report.carry("include_reasoning");
    }
    thinking.include_thoughts = asked.include_thoughts.or(thinks.then_some(true));
    Some(thinking)
}

#[derive(Debug, Clone, Copy)]
enum Amount {
    Word(Effort),
    Tokens(u64),
}

impl Amount {
    fn field(self) -> &'static str {
        match self {
            Self::Word(_) => "reasoning_effort",
            Self::Tokens(_) => "thinking.budget_tokens",
        }
    }
}

/// A model that does not think does as it is told when it is told not to.
fn none(amount: Option<Amount>, report: &mut Conversion) -> Option<Thinking> {
    match amount {
        Some(amount @ (Amount::Word(Effort::None) | Amount::Tokens(0))) => {
            report.carry(amount.field());
        }
        Some(amount) => report.drop(amount.field(), "the model does not think"),
        None => report.drop("include_reasoning", "the model does not think"),
    }
    None
}

fn budget(amount: Amount, size: Size, report: &mut Conversion) -> u64 {
    let (least, most, can_be_off) = match size {
        Size::Pro => (128, 32_768, false),
        Size::Flash => (1, 24_576, true),
        Size::FlashLite => (512, 24_576, true),
    };
    let wanted = match amount {
        Amount::Word(Effort::None) => 0,
        Amount::Word(Effort::Minimal | Effort::Low) => 1_024,
        Amount::Word(Effort::Medium) => 8_192,
        Amount::Word(Effort::High) => 24_576,
        Amount::Word(Effort::ExtraHigh | Effort::Max) => most,
        Amount::Tokens(tokens) => tokens,
    };
    let given = if wanted == 0 && can_be_off {
        0
    } else {
        wanted.clamp(least, most)
    };
    match amount {
        Amount::Tokens(_) if given == wanted => report.carry(amount.field()),
        Amount::Word(_) if given == wanted => report.change(
            amount.field(),
            format!("sent as a thinking budget of {given} tokens"),
        ),
        Amount::Word(_) | Amount::Tokens(_) => report.change(
            amount.field(),
            format!(
                "sent as a thinking budget of {given} tokens, the nearest that the model takes"
            ),
        ),
    }
    given
}

fn level(amount: Amount, model: Model, report: &mut Conversion) -> &'static str {
    let least = match model.size {
        Size::Pro => "LOW",
        Size::Flash | Size::FlashLite => "MINIMAL",
    };
    let medium = if model.two_levels { "HIGH" } else { "MEDIUM" };
    let (level, is_exact) = match amount {
        Amount::Word(Effort::None) | Amount::Tokens(0) => (least, false),
        Amount::Word(Effort::Minimal) => (least, least == "MINIMAL"),
        Amount::Word(Effort::Low) => ("LOW", true),
        Amount::Word(Effort::Medium) => (medium, medium == "MEDIUM"),
        Amount::Word(Effort::High) => ("HIGH", true),
        Amount::Tokens(1..=1_024) => ("LOW", false),
        Amount::Tokens(1_025..=8_192) => (medium, false),
        Amount::Word(Effort::ExtraHigh | Effort::Max) | Amount::Tokens(_) => ("HIGH", false),
    };
    if is_exact {
        report.carry(amount.field());
    } else {
        report.change(
            amount.field(),
            format!("sent as thinking level {level}, the nearest that the model has"),
        );
    }
    level
}

#[cfg(test)]
mod tests {
    use domain::chat::ReasoningRequest;
    use domain::model::Capabilities;

    use super::*;

    fn thinking(model: &str, reasoning: ReasoningRequest) -> (Option<Thinking>, Conversion) {
        let mut request = ChatRequest::new("any".parse().unwrap());
        request.reasoning = reasoning;
        let mut report = Conversion::default();
        let model = Model::of(model, &Capabilities::default());
        (encode(&request, model, &mut report), report)
    }

    fn effort(effort: Effort) -> ReasoningRequest {
        ReasoningRequest {
            effort: Some(effort),
            ..ReasoningRequest::default()
        }
    }

    fn tokens(tokens: u64) -> ReasoningRequest {
        ReasoningRequest {
            budget_tokens: Some(tokens),
            ..ReasoningRequest::default()
        }
    }

    #[test]
    fn words_become_budgets_on_models_that_think_by_budget() {
        for (model, word, budget) in [
            ("gemini-2.5-flash", Effort::None, 0),
            ("gemini-2.5-pro", Effort::None, 128),
            ("gemini-2.5-flash", Effort::Minimal, 1_024),
            ("gemini-2.5-flash", Effort::Medium, 8_192),
            ("gemini-2.5-flash", Effort::High, 24_576),
            ("gemini-2.5-flash", Effort::Max, 24_576),
            ("gemini-2.5-pro", Effort::Max, 32_768),
        ] {
            let (thinking, report) = thinking(model, effort(word));
            assert_eq!(thinking.unwrap().budget, Some(budget), "{model} {word:?}");
            assert_eq!(report.changed.len(), 1);
        }
    }

    #[test]
    fn words_become_levels_on_models_that_think_by_level() {
        for (model, word, level) in [
            ("gemini-3.1-pro", Effort::None, "LOW"),
            ("gemini-3-flash", Effort::None, "MINIMAL"),
            ("gemini-3.1-pro", Effort::Medium, "MEDIUM"),
            ("gemini-3-pro-preview", Effort::Medium, "HIGH"),
            ("gemini-3-flash", Effort::Max, "HIGH"),
        ] {
            let (thinking, _) = thinking(model, effort(word));
            assert_eq!(thinking.unwrap().level, Some(level), "{model} {word:?}");
        }
    }

    #[test]
    fn a_budget_is_kept_within_the_models_bounds() {
        let budget = |model, wanted| thinking(model, tokens(wanted)).0.unwrap().budget;
        assert_eq!(budget("gemini-2.5-flash-lite", 100), Some(512));
        assert_eq!(budget("gemini-2.5-flash", 1_000_000), Some(24_576));
        assert_eq!(budget("gemini-2.5-pro", 4_000), Some(4_000));
    }

    #[test]
    fn thoughts_are_shown_to_who_asks_for_thinking() {
        let shown = |reasoning| {
            thinking("gemini-3-flash", reasoning)
                .0
                .unwrap()
                .include_thoughts
        };
        assert_eq!(shown(effort(Effort::Low)), Some(true));
        assert_eq!(shown(effort(Effort::None)), None);
        let hidden = ReasoningRequest {
            include_thoughts: Some(false),
            ..effort(Effort::High)
        };
        assert_eq!(shown(hidden), Some(false));
    }

    #[test]
    fn a_model_that_does_not_think_is_told_nothing() {
        let (told, report) = thinking("gemini-2.0-flash", effort(Effort::High));
        assert_eq!((told, report.dropped.len()), (None, 1));
        let (told, report) = thinking("gemini-2.0-flash", effort(Effort::None));
        assert_eq!((told, report.carried.len()), (None, 1));
    }
}
