//! `kind`: what a provider speaks, or by what name its host is known.

use providers::hosts::{self, HOSTS, HostRow};
use providers::kind::ProviderKind;
use serde_json::{Value, json};

use super::problem::nearest;
use super::scalar::{Misfit, Scalar};

/// What a provider speaks; and its host, where the configuration names one in place of `openai`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) speaks: ProviderKind,
    pub(super) row: Option<&'static HostRow>,
}

/// The kinds that are not hosts of OpenAI's format, beside `openai` itself.
const KINDS: [ProviderKind; 14] = [
    ProviderKind::Openai,
    ProviderKind::Anthropic,
    ProviderKind::Gemini,
    ProviderKind::AzureOpenai,
    ProviderKind::Vertex,
    ProviderKind::Bedrock,
    ProviderKind::Cohere,
    ProviderKind::Stability,
    ProviderKind::BlackForestLabs,
    ProviderKind::Fal,
    ProviderKind::Replicate,
    ProviderKind::Elevenlabs,
    ProviderKind::Deepgram,
    ProviderKind::Sim,
];

fn words() -> Vec<&'static str> {
    let hosts = HOSTS.iter().map(|row| row.name);
    let hosts = hosts.filter(|name| *name != ProviderKind::Openai.as_str());
    KINDS
        .iter()
        .map(|kind| kind.as_str())
        .chain(hosts)
        .collect()
}

impl Scalar for Kind {
    const EXPECTED: &'static str = "a provider's kind";

    fn parse(text: &str) -> Result<Self, Misfit> {
        if let Some(kind) = KINDS.into_iter().find(|kind| kind.as_str() == text) {
            return Ok(Self {
                speaks: kind,
                row: None,
            });
        }
        if let Some(row) = hosts::named(text) {
            return Ok(Self {
                speaks: ProviderKind::Openai,
                row: Some(row),
            });
        }
        Err(Misfit::suggest(match nearest(text, &words()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of: {}", words().join(", ")),
        }))
    }

    fn schema() -> Value {
        json!({ "enum": words() })
    }
}

impl Kind {
    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        self.row.map_or(self.speaks.as_str(), |row| row.name)
    }

    /// Whose it is, for people.
    pub(super) fn vendor(self) -> &'static str {
        if let Some(row) = self.row {
            return row.name;
        }
        match self.speaks {
            ProviderKind::Openai => "OpenAI",
            ProviderKind::Anthropic => "Anthropic",
            ProviderKind::Gemini => "Google",
            ProviderKind::AzureOpenai => "Azure OpenAI",
            ProviderKind::Vertex => "Vertex AI",
            ProviderKind::Bedrock => "Amazon Bedrock",
            ProviderKind::Cohere => "Cohere",
            ProviderKind::Stability => "Stability",
            ProviderKind::BlackForestLabs => "Black Forest Labs",
            ProviderKind::Fal => "fal",
            ProviderKind::Replicate => "Replicate",
            ProviderKind::Elevenlabs => "ElevenLabs",
            ProviderKind::Deepgram => "Deepgram",
            ProviderKind::Sim => "nobody",
        }
    }

    /// How its key is referred to, as an example.
    pub(super) fn example_key(self) -> String {
        let variable = match (self.row, self.speaks) {
            (Some(row), _) => row.key_variables.first().copied(),
            (None, ProviderKind::Anthropic) => Some("ANTHROPIC_API_KEY"),
            (None, ProviderKind::Gemini) => Some("GEMINI_API_KEY"),
            (None, ProviderKind::AzureOpenai) => Some("AZURE_OPENAI_API_KEY"),
            (None, ProviderKind::Cohere) => Some("COHERE_API_KEY"),
            (None, ProviderKind::Stability) => Some("STABILITY_API_KEY"),
            (None, ProviderKind::BlackForestLabs) => Some("BFL_API_KEY"),
            (None, ProviderKind::Fal) => Some("FAL_KEY"),
            (None, ProviderKind::Replicate) => Some("REPLICATE_API_TOKEN"),
            (None, ProviderKind::Elevenlabs) => Some("ELEVENLABS_API_KEY"),
            (None, ProviderKind::Deepgram) => Some("DEEPGRAM_API_KEY"),
            _ => Some("OPENAI_API_KEY"),
        };
        format!("\"${{{}}}\"", variable.unwrap_or("API_KEY"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_kind_by_its_name() {
        let groq = Kind::parse("groq").unwrap();
        assert_eq!(groq.speaks, ProviderKind::Openai);
        assert_eq!(groq.word(), "groq");
        assert_eq!(groq.example_key(), "\"${GROQ_API_KEY}\"");
        let openai = Kind::parse("openai").unwrap();
        assert!(openai.row.is_none());
    }

    #[test]
    fn a_slip_of_the_pen_is_corrected() {
        assert_eq!(
            Kind::parse("azure-openai").unwrap_err(),
            Misfit::suggest("did you mean `azure_openai`?")
        );
    }

    #[test]
    fn no_word_means_two_kinds() {
        let words = words();
        for (place, word) in words.iter().enumerate() {
            assert!(!words[..place].contains(word), "{word}");
        }
    }
}
