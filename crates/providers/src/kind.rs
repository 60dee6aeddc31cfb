//! What a provider is: where the vendor answers, what it speaks, and how a caller proves itself there.

use std::borrow::Cow;

use bytes::Bytes;
use http::Request;
use http::response::Parts;
use jiff::Timestamp;

use crate::anthropic::{self, AnthropicMessages};
use crate::azure;
use crate::batches::BatchApi;
use crate::batches::anthropic::AnthropicBatches;
use crate::batches::bedrock::BedrockBatches;
use crate::batches::gemini::GeminiBatches;
use crate::batches::mistral::MistralBatches;
use crate::batches::openai::OpenaiBatches;
use crate::batches::vertex::VertexBatches;
use crate::bedrock::{self, AnthropicOnBedrock, BedrockConverse};
use crate::cohere::{self, CohereChat};
use crate::credential::Credential;
use crate::dialect::{Dialect, Refusal, Target};
use crate::gemini::{self, Gemini};
use crate::host::Host;
use crate::hosts::Serves;
use crate::media;
use crate::media::credential::{
    BLACK_FOREST_LABS, DEEPGRAM, ELEVENLABS, FAL, REPLICATE, STABILITY,
};
use crate::native::meter::imitated;
use crate::openai::{self, OpenaiChat};
use crate::vertex;
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
    /// Azure OpenAI.
    AzureOpenai,
    /// Vertex AI, Google Cloud's platform.
    Vertex,
    /// Cohere.
    Cohere,
    /// Stability: pictures.
    Stability,
    /// Black Forest Labs: pictures.
    BlackForestLabs,
    /// fal: pictures.
    Fal,
    /// Replicate: pictures.
    Replicate,
    /// `ElevenLabs`: speech and transcripts.
    Elevenlabs,
    /// Deepgram: speech and transcripts.
    Deepgram,
    /// Amazon Bedrock.
    Bedrock,
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
            Self::AzureOpenai => "azure_openai",
            Self::Vertex => "vertex",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
            Self::Stability => "stability",
            Self::BlackForestLabs => "black_forest_labs",
            Self::Fal => "fal",
            Self::Replicate => "replicate",
            Self::Elevenlabs => "elevenlabs",
            Self::Deepgram => "deepgram",
            Self::Sim => "sim",
        }
    }

    /// Where the vendor itself answers; empty where every account has an address of its own.
    pub fn default_base_url(self) -> &'static str {
        match self {
            Self::Openai => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com",
            Self::Gemini => "https://generativelanguage.googleapis.com",
            // Every resource has an address of its own.
            Self::AzureOpenai => "",
            // The global one; a region's is `vertex::base_url`.
            Self::Vertex => "https://aiplatform.googleapis.com",
            // The dialects put the configured region in its place.
            Self::Bedrock => "https://bedrock-runtime.{region}.amazonaws.com",
            Self::Cohere => "https://api.cohere.com",
            Self::Stability => "https://api.stability.ai",
            Self::BlackForestLabs => "https://api.bfl.ai",
            Self::Fal => "https://fal.run",
            Self::Replicate => "https://api.replicate.com",
            Self::Elevenlabs => "https://api.elevenlabs.io",
            Self::Deepgram => "https://api.deepgram.com",
            // RFC 6761 §6.4: a name that never resolves; these requests never reach the network.
            Self::Sim => "http://sim.invalid",
        }
    }

    /// The wire formats in which it chats with `model`, the one to translate into first; `serves` says
    /// which of OpenAI's endpoints its host has.
    pub fn dialects(self, model: &str, serves: Serves) -> &'static [&'static dyn Dialect] {
        match self {
            Self::Openai => openai::dialects(model, serves),
            Self::Anthropic => &[&AnthropicMessages],
            Self::Gemini => &[&Gemini],
            Self::AzureOpenai => &[&azure::CHAT, &azure::RESPONSES],
            Self::Vertex => vertex::dialects(model),
            Self::Bedrock if bedrock::is_claude(model) => &[&AnthropicOnBedrock, &BedrockConverse],
            Self::Bedrock => &[&BedrockConverse],
            Self::Cohere => &[&CohereChat],
            Self::Stability
            | Self::BlackForestLabs
            | Self::Fal
            | Self::Replicate
            | Self::Elevenlabs
            | Self::Deepgram
            | Self::Sim => &[],
        }
    }

    /// How it is given batches of `model`, where it runs them itself; `host` says whether it has the endpoints, or a
    /// bucket for them.
    pub fn batches(self, model: &str, host: &Host) -> Option<&'static dyn BatchApi> {
        if !host.serves.batches {
            return None;
        }
        match self {
            Self::Openai if host.quirks.batch_jobs => Some(&MistralBatches),
            Self::Openai => Some(&OpenaiBatches::Own),
            Self::AzureOpenai => Some(&OpenaiBatches::Azure),
            Self::Anthropic => Some(&AnthropicBatches),
            Self::Gemini => Some(&GeminiBatches),
            Self::Vertex if vertex::resource(model).is_ok() => Some(&VertexBatches),
            Self::Bedrock => Some(&BedrockBatches),
            _ => None,
        }
    }

    /// Where the API of a provider begins, below which requests that pass may go.
    pub fn root<'a>(self, base_url: &'a str, host: &Host) -> Result<Cow<'a, str>, Refusal> {
        match self {
            Self::Bedrock => bedrock::root(base_url, host),
            _ => Ok(Cow::Borrowed(base_url)),
        }
    }

    /// The vendor that answers a request that passes: the provider itself, or whom the simulated one imitates
    /// at this path.
    #[must_use]
    pub fn answering_at(self, path: &str) -> Self {
        match self {
            Self::Sim => imitated(path),
            kind => kind,
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
        match self {
            Self::Openai => openai::authorize(request, credential),
            Self::Anthropic => anthropic::authorize(request, credential),
            Self::Gemini => gemini::authorize(request, credential),
            Self::AzureOpenai => azure::authorize(request, credential),
            Self::Vertex => vertex::authorize(request, credential),
            Self::Bedrock => bedrock::authorize(request, target, credential, now),
            Self::Cohere => cohere::authorize(request, credential),
            Self::Stability => media::credential::authorize(request, credential, &STABILITY),
            Self::BlackForestLabs => {
                media::credential::authorize(request, credential, &BLACK_FOREST_LABS)
            }
            Self::Fal => media::credential::authorize(request, credential, &FAL),
            Self::Replicate => media::credential::authorize(request, credential, &REPLICATE),
            Self::Elevenlabs => media::credential::authorize(request, credential, &ELEVENLABS),
            Self::Deepgram => media::credential::authorize(request, credential, &DEEPGRAM),
            Self::Sim => Ok(()),
        }
    }

    /// Whether an address that this provider's answer named is its own, so that the credential may be shown
    /// there; to any other address one goes without.
    pub fn owns(self, base_url: &str, address: &http::Uri) -> bool {
        let domains: &[&str] = match self {
            Self::BlackForestLabs => &["bfl.ai"],
            Self::Fal => &["fal.run"],
            _ => &[],
        };
        media::origin::is_own(base_url, address, domains)
    }

    /// Reads an answer of a failing status, whatever was asked for.
    pub fn decode_error(self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        let dialect: &dyn Dialect = match self {
            Self::Openai | Self::AzureOpenai | Self::Sim => &OpenaiChat,
            Self::Anthropic => &AnthropicMessages,
            Self::Gemini | Self::Vertex => &Gemini,
            Self::Bedrock => &BedrockConverse,
            Self::Cohere => &CohereChat,
            Self::Stability
            | Self::BlackForestLabs
            | Self::Fal
            | Self::Replicate
            | Self::Elevenlabs
            | Self::Deepgram => return media::failure::of_response(head, body, now),
        };
        dialect.decode_error(head, body, now)
    }
}
