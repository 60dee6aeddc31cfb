//! What a provider is: where the vendor answers, what it speaks, and how a caller proves itself there.

use bytes::Bytes;
use http::Request;
use http::response::Parts;
use jiff::Timestamp;

use crate::anthropic::{self, AnthropicMessages};
use crate::credential::Credential;
use crate::dialect::{Dialect, Refusal, Target};
use crate::gemini::{self, Gemini};
use crate::openai::{self, OpenaiChat};
use domain::provider_error::ProviderError;

/// What a provider is, named as in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenAI, and every host that speaks its chat completions.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// The simulated provider in this process, which imitates one of the others by the model's name.
    Sim,
}

impl ProviderKind {
    /// The word used in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Sim => "sim",
        }
    }

    /// Where the vendor itself answers.
    pub fn default_base_url(self) -> &'static str {
        match self {
            Self::Openai => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com",
            Self::Gemini => "https://generativelanguage.googleapis.com",
            // RFC 6761 §6.4: a name that never resolves; these requests never reach the network.
            Self::Sim => "http://sim.invalid",
        }
    }

    /// The wire formats in which it chats with `model`, the one to translate into first.
    pub fn dialects(self, model: &str) -> &'static [&'static dyn Dialect] {
        let _ = model;
        match self {
            Self::Openai => &[&OpenaiChat],
            Self::Anthropic => &[&AnthropicMessages],
            Self::Gemini => &[&Gemini],
            Self::Sim => &[],
        }
    }

    /// Puts the credential into a request, or signs it; nothing of it may change afterwards.
    pub fn authorize(
        self,
        request: &mut Request<Bytes>,
        target: &Target<'_>,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let _ = (target, now);
        match self {
            Self::Openai => openai::authorize(request, credential),
            Self::Anthropic => anthropic::authorize(request, credential),
            Self::Gemini => gemini::authorize(request, credential),
            Self::Sim => Ok(()),
        }
    }

    /// Reads an answer of a failing status, whatever was asked for.
    pub fn decode_error(self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        let dialect: &dyn Dialect = match self {
            Self::Openai | Self::Sim => &OpenaiChat,
            Self::Anthropic => &AnthropicMessages,
            Self::Gemini => &Gemini,
        };
        dialect.decode_error(head, body, now)
    }
}
