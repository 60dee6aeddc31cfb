//! What a model's name says where the catalog says nothing. The only place where names are looked at.

use domain::model::{Capabilities, ReasoningControl};

/// Whether the model reasons, so that it takes `max_completion_tokens` and `reasoning_effort`
/// (<https://platform.openai.com/docs/guides/reasoning>).
pub(super) fn reasons(model: &str, capabilities: &Capabilities) -> bool {
    match capabilities.reasoning {
        Some(ReasoningControl::None) => false,
        Some(_) => true,
        None => is_reasoning_name(model),
    }
}

/// Whether the model surely does not reason, so that it refuses every word about it; of names that nobody knows
/// it may.
pub(super) fn never_reasons(model: &str, capabilities: &Capabilities) -> bool {
    match capabilities.reasoning {
        Some(control) => control == ReasoningControl::None,
        None => is_name_without_reasoning(model),
    }
}

/// Whether the model takes `temperature`, `top_p` and penalties. OpenAI's reasoning models refuse them.
pub(super) fn takes_sampling(model: &str, capabilities: &Capabilities) -> bool {
    capabilities
        .sampling
        .unwrap_or_else(|| !is_reasoning_name(model))
}

/// Whether the model takes texts at which the output ends. OpenAI's reasoning models refuse `stop`
/// (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-stop>).
pub(super) fn takes_stop(model: &str) -> bool {
    !is_reasoning_name(model)
}

/// Whether OpenAI serves the model under `/responses` only
/// (<https://platform.openai.com/docs/models>): the `pro` models, those for research and for computers, and
/// those of Codex.
pub(super) fn answers_responses_only(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let is_openais = is_reasoning_name(name) || name.starts_with("gpt-");
    let is_one = |word: &str| name.split('-').any(|part| part == word);
    name.starts_with("computer-use")
        || name.starts_with("codex-")
        || (is_openais && (is_one("pro") || is_one("codex") || name.contains("-deep-research")))
}

/// Whether the model thinks between the calls of functions under `/responses` only: since `gpt-5.4`, chat
/// completions refuse functions beside an effort
/// (<https://platform.openai.com/docs/guides/latest-model>).
pub(super) fn thinks_with_tools_by_responses(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let release = name.strip_prefix("gpt-5.").and_then(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_digit());
        rest.get(..end.unwrap_or(rest.len()))?.parse::<u32>().ok()
    });
    is_reasoning_name(name) && release.is_some_and(|release| release >= 4)
}

/// OpenAI's models before those that reason: `gpt-3.5-turbo`, `gpt-4`, `gpt-4o`, `gpt-4.1-mini`, `chatgpt-4o-latest`.
fn is_name_without_reasoning(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    ["gpt-3.5", "gpt-4", "chatgpt-4"]
        .iter()
        .any(|family| name.starts_with(family))
}

/// `o1`, `o3-mini`, `gpt-5.4-nano`, but not `gpt-5-chat-latest`; behind whatever path a host puts before it.
fn is_reasoning_name(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let o_series = name
        .strip_prefix('o')
        .and_then(|rest| rest.strip_prefix(|c: char| c.is_ascii_digit()))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    o_series || (name.starts_with("gpt-5") && !name.contains("-chat"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_models_are_known_by_name_when_the_catalog_says_nothing() {
        let unknown = Capabilities::default();
        for name in ["o1", "o3-mini", "gpt-5", "gpt-5.4-nano", "openai/gpt-5-pro"] {
            assert!(reasons(name, &unknown), "{name}");
            assert!(!takes_sampling(name, &unknown), "{name}");
            assert!(!takes_stop(name), "{name}");
        }
        for name in ["gpt-4o", "gpt-5-chat-latest", "olmo-3", "o", "omni-1"] {
            assert!(!reasons(name, &unknown), "{name}");
            assert!(takes_sampling(name, &unknown), "{name}");
            assert!(takes_stop(name), "{name}");
        }
    }

    #[test]
    fn models_that_never_reason_are_known_by_name_when_the_catalog_says_nothing() {
        let unknown = Capabilities::default();
        for name in [
            "gpt-3.5-turbo",
            "gpt-4",
            "gpt-4o-mini",
            "openai/gpt-4.1",
            "chatgpt-4o-latest",
        ] {
            assert!(never_reasons(name, &unknown), "{name}");
        }
        for name in ["gpt-5", "o3", "gpt-oss-120b", "deepseek-chat", "gpt-5-chat"] {
            assert!(!never_reasons(name, &unknown), "{name}");
        }
        let said = Capabilities {
            reasoning: Some(ReasoningControl::Effort),
            ..unknown
        };
        assert!(!never_reasons("gpt-4-that-thinks", &said));
    }

    #[test]
    fn models_that_answer_responses_only_are_known_by_name() {
        for name in [
            "o1-pro",
            "o3-pro-2025-06-10",
            "gpt-5-pro",
            "gpt-5.1-codex-mini",
            "openai/gpt-5.3-codex",
            "o4-mini-deep-research",
            "computer-use-preview",
            "codex-mini-latest",
        ] {
            assert!(answers_responses_only(name), "{name}");
        }
        for name in [
            "gpt-5",
            "o3",
            "gpt-5.4-nano",
            "deepseek-pro",
            "gemini-3-pro",
        ] {
            assert!(!answers_responses_only(name), "{name}");
        }
    }

    #[test]
    fn models_that_think_with_tools_under_responses_are_known_by_name() {
        for name in ["gpt-5.4", "gpt-5.4-nano", "openai/gpt-5.6-sol", "gpt-5.10"] {
            assert!(thinks_with_tools_by_responses(name), "{name}");
        }
        for name in [
            "gpt-5",
            "gpt-5.2",
            "gpt-5.5-chat-latest",
            "gpt-4.1",
            "o3",
            "gpt-5.",
        ] {
            assert!(!thinks_with_tools_by_responses(name), "{name}");
        }
    }

    #[test]
    fn the_catalog_wins_over_the_name() {
        let plain = Capabilities {
            reasoning: Some(ReasoningControl::None),
            sampling: Some(true),
            ..Capabilities::default()
        };
        assert!(!reasons("gpt-5", &plain));
        assert!(takes_sampling("gpt-5", &plain));
    }
}
