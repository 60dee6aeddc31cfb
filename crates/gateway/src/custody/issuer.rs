//! Who made reasoning state, and who understands it.

use domain::model::ReasoningControl;
use domain::name::ProviderName;
use providers::dialect::Format;
use providers::hosts::PastThoughts;
use serde::{Deserialize, Serialize};

use crate::routes::ResolvedTarget;

/// Who made the state of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Issuer {
    pub(super) provider: ProviderName,
    model: String,
    format: String,
    family: Option<Family>,
}

/// Models whose state any host of them understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Family {
    /// Claude, at Anthropic, Bedrock or Vertex AI
    /// (<https://platform.claude.com/docs/en/build-with-claude/extended-thinking>).
    Claude,
    /// Gemini, in Google's own format
    /// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
    Gemini,
}

impl Issuer {
    /// The target, which answers in `format`.
    pub(super) fn of(target: &ResolvedTarget, format: Format) -> Self {
        Self {
            provider: target.provider.name.clone(),
            model: target.model.clone(),
            format: format.as_str().to_owned(),
            family: family(format, &target.model),
        }
    }

    /// Whether `target` takes the state that this one made.
    pub(super) fn is_understood_by(&self, target: &Self) -> bool {
        match (self.family, target.family) {
            (Some(one), Some(other)) => one == other,
            (None, None) => self == target,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

/// Whether a target that is asked in `format` can have made reasoning state, and takes it back.
pub(super) fn holds_state(target: &ResolvedTarget, format: Format) -> bool {
    let quirks = target.provider.host.quirks;
    match format {
        _ if target.capabilities.reasoning == Some(ReasoningControl::None) => false,
        Format::AnthropicMessages
        | Format::BedrockConverse
        | Format::Gemini
        | Format::OpenaiResponses => true,
        Format::OpenaiChat => {
            quirks.additions || matches!(quirks.past_thoughts, PastThoughts::ReasoningDetails)
        }
        Format::OpenaiCompletions | Format::CohereChat => false,
    }
}

/// Hosts resell models and imitate formats: only both together say whose state it is.
fn family(format: Format, model: &str) -> Option<Family> {
    let is_called = |name: &str| model.to_ascii_lowercase().contains(name);
    match format {
        Format::AnthropicMessages | Format::BedrockConverse if is_called("claude") => {
            Some(Family::Claude)
        }
        Format::Gemini if is_called("gemini") => Some(Family::Gemini),
        Format::OpenaiChat
        | Format::OpenaiResponses
        | Format::OpenaiCompletions
        | Format::AnthropicMessages
        | Format::Gemini
        | Format::CohereChat
        | Format::BedrockConverse => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(provider: &str, model: &str, format: Format) -> Issuer {
        Issuer {
            provider: provider.parse().unwrap(),
            model: model.to_owned(),
            format: format.as_str().to_owned(),
            family: family(format, model),
        }
    }

    #[test]
    fn a_family_understands_itself_at_every_host_and_no_other() {
        let anthropic = issuer("a", "claude-sonnet-4-5", Format::AnthropicMessages);
        let bedrock = issuer(
            "b",
            "eu.anthropic.Claude-opus-4-5-v1:0",
            Format::BedrockConverse,
        );
        let gemini = issuer("a", "gemini-3-pro", Format::Gemini);
        assert!(anthropic.is_understood_by(&bedrock) && bedrock.is_understood_by(&anthropic));
        assert!(!anthropic.is_understood_by(&gemini));
    }

    #[test]
    fn who_belongs_to_no_family_understands_only_its_own() {
        let own = issuer("a", "gpt-5", Format::OpenaiResponses);
        assert!(own.is_understood_by(&own));
        for other in [
            issuer("b", "gpt-5", Format::OpenaiResponses),
            issuer("a", "gpt-5-mini", Format::OpenaiResponses),
            issuer("a", "gpt-5", Format::OpenaiChat),
            issuer("a", "claude-x", Format::AnthropicMessages),
        ] {
            assert!(!own.is_understood_by(&other), "{other:?}");
        }
        let imitation = issuer("k", "kimi-k2", Format::AnthropicMessages);
        let claude = issuer("a", "claude-x", Format::AnthropicMessages);
        assert!(!imitation.is_understood_by(&claude));
    }
}
