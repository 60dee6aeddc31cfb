//! What a model's name tells about it, where the catalog does not know: the one place where names are
//! read.

use domain::model::{Capabilities, ReasoningControl};

/// The generations that are spoken to differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Generation {
    /// Gemini 1 and 2.0, Gemma, `LearnLM`: schemas only in the subset of `OpenAPI`, no thinking.
    Early,
    /// Gemini 2.5: JSON Schema, thinking by budget, built-in tools and functions exclude each other.
    Budgets,
    /// Gemini 3 and what follows, also a name that tells nothing: thinking by level, thought signatures
    /// are demanded.
    Levels,
}

/// The sizes of one generation, which think within different bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Pro,
    Flash,
    FlashLite,
}

/// One model, as it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) generation: Generation,
    pub(super) size: Size,
    pub(super) reasoning: ReasoningControl,
    /// Gemini 3.0 Pro, which knows only the levels `LOW` and `HIGH`.
    pub(super) two_levels: bool,
}

impl Model {
    /// Reads the name; what the catalog says of reasoning goes before.
    pub(super) fn of(name: &str, capabilities: &Capabilities) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        let generation = generation(&name).unwrap_or(match capabilities.reasoning {
            Some(ReasoningControl::Budget) => Generation::Budgets,
            _ => Generation::Levels,
        });
        let size = if name.contains("flash-lite") {
            Size::FlashLite
        } else if name.contains("flash") {
            Size::Flash
        } else {
            Size::Pro
        };
        let usual = match generation {
            Generation::Early => ReasoningControl::None,
            Generation::Budgets => ReasoningControl::Budget,
            Generation::Levels => ReasoningControl::Level,
        };
        Self {
            generation,
            size,
            reasoning: capabilities.reasoning.unwrap_or(usual),
            two_levels: name.starts_with("gemini-3-pro"),
        }
    }
}

/// `None` for a name without a number, such as an alias of the latest model.
fn generation(name: &str) -> Option<Generation> {
    if name.starts_with("gemma") || name.starts_with("learnlm") {
        return Some(Generation::Early);
    }
    let mut numbers = name
        .strip_prefix("gemini-")?
        .split(['-', '.'])
        .map_while(|word| word.parse::<u32>().ok());
    Some(match (numbers.next()?, numbers.next()) {
        (0 | 1, _) | (2, None | Some(0..=4)) => Generation::Early,
        (2, Some(_)) => Generation::Budgets,
        _ => Generation::Levels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_generation() {
        for (name, expected) in [
            ("gemini-1.5-pro-002", Generation::Early),
            ("gemini-2.0-flash-001", Generation::Early),
            ("gemma-3-27b-it", Generation::Early),
            ("models/gemini-2.5-flash-lite", Generation::Budgets),
            ("gemini-2.5-pro-preview-06-05", Generation::Budgets),
            ("gemini-3-pro-preview", Generation::Levels),
            ("gemini-3.1-flash-lite", Generation::Levels),
            ("gemini-flash-latest", Generation::Levels),
            ("somebody-elses-model", Generation::Levels),
        ] {
            let model = Model::of(name, &Capabilities::default());
            assert_eq!(model.generation, expected, "{name}");
        }
    }

    #[test]
    fn the_catalog_is_believed_more_than_the_name() {
        let capabilities = Capabilities {
            reasoning: Some(ReasoningControl::Budget),
            ..Capabilities::default()
        };
        let model = Model::of("gemini-3.1-pro", &capabilities);
        assert_eq!(model.reasoning, ReasoningControl::Budget);
        assert_eq!(model.generation, Generation::Levels);
        let nameless = Model::of("gemini", &capabilities);
        assert_eq!(nameless.generation, Generation::Budgets);
    }
}
