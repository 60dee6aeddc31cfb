//! The target's side of a wire format.

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatEvent, ChatRequest, ChatResponse, Conversion};
use domain::model::Capabilities;
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use http::HeaderMap;
use http::response::Parts;
use jiff::Timestamp;

use crate::exchange::Exchange;
use crate::face::Face;
use crate::host::Host;
use crate::tap::Observed;

/// A wire format, named as in the configuration (`kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenAI chat completions, and every host that speaks it.
    OpenaiChat,
    /// OpenAI responses.
    OpenaiResponses,
    /// OpenAI completions (prompts instead of messages).
    OpenaiCompletions,
    /// Anthropic messages.
    AnthropicMessages,
    /// Gemini generateContent.
    Gemini,
    /// Cohere chat, version 2.
    CohereChat,
    /// Amazon Bedrock Converse.
    BedrockConverse,
}

impl Format {
    /// The name by which the domain's `Unknown` and `Hosted` items say where they come from.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai",
            Self::OpenaiResponses => "openai_responses",
            Self::OpenaiCompletions => "openai_completions",
            Self::AnthropicMessages => "anthropic",
            Self::Gemini => "gemini",
            Self::CohereChat => "cohere",
            Self::BedrockConverse => "bedrock",
        }
    }
}

/// Where a request goes and what is known about the model there.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The model in the provider's words.
    pub model: &'a str,
    /// Absolute, without a slash at its end: of OpenAI kinds it ends in `/v1`, of the others it does not.
    pub base_url: &'a str,
    /// What the model can do.
    pub capabilities: &'a Capabilities,
    /// What is particular about the host.
    pub host: &'a Host,
}

/// The target's side of one wire format. Pure: no clock, no sockets, no environment.
pub trait Dialect: Send + Sync {
    /// The format.
    fn format(&self) -> Format;

    /// The URLs that `request` names and that this target cannot fetch itself, so that the gateway
    /// fetches them and puts their bytes in place first.
    fn media_needed(&self, request: &ChatRequest, target: &Target<'_>) -> Vec<String> {
        let _ = (request, target);
        Vec::new()
    }

    /// Translates a request and says what was carried, changed, dropped. Refuses only where no
    /// meaningful call exists; a strict route refuses by the report.
    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        now: Timestamp,
    ) -> Result<Encoded, Refusal>;

    /// The HTTP request that carries `body`, which is already in this format, without a credential.
    /// `stream` says whether a streamed answer is asked for (some formats say it in the URL). `fields`
    /// are what this format says beside the body: a translation's own, or the caller's where the bytes
    /// pass verbatim.
    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Refusal>;

    /// Reports what [`Dialect::request`] leaves out of a caller's own `fields` because this host refuses it,
    /// where the bytes pass verbatim. The report of a translation has it already.
    fn report_left_out(&self, target: &Target<'_>, fields: &HeaderMap, report: &mut Conversion) {
        let _ = (target, fields, report);
    }

    /// Whether this host takes a caller's body of this format as it is written, the listed edits aside.
    /// Where it does not, for something that can be put right (a picture that must be fetched first), the
    /// call is translated from the format into itself.
    fn takes_as_written(&self, body: &[u8]) -> bool {
        let _ = body;
        true
    }

    /// Translates a whole answer of a successful status. An error object inside a 200 is
    /// [`DecodeError::Provider`].
    fn decode(
        &self,
        exchange: &Exchange,
        head: &Parts,
        body: &[u8],
    ) -> Result<ChatResponse, DecodeError>;

    /// Reads of a whole answer what the ledger wants to know, where the bytes pass verbatim.
    fn observe(
        &self,
        exchange: &Exchange,
        head: &Parts,
        body: &[u8],
    ) -> Result<Observed, DecodeError> {
        self.decode(exchange, head, body)
            .map(|response| Observed::of(&response))
    }

    /// Translates an answer of a failing status, whatever its body is (JSON, HTML, nothing).
    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError;

    /// Translates a streamed answer.
    fn decoder(&self, exchange: &Exchange) -> Box<dyn StreamDecoder>;

    /// How the bytes of a streamed answer become the format's own, where the host frames them in another
    /// way; `None` where they are the format's own. [`Dialect::decoder`] reads the host's bytes either way.
    fn reframer(&self) -> Option<Box<dyn Reframer>> {
        None
    }

    /// Reads the provider's own usage object (the value of OpenAI's and Anthropic's `usage`, of
    /// Gemini's `usageMetadata`).
    fn usage(&self, native: &[u8]) -> Result<Usage, DecodeError>;
}

/// A translated request.
#[derive(Debug)]
pub struct Encoded {
    /// The body.
    pub body: Bytes,
    /// What the format says beside the body, for [`Dialect::request`].
    pub fields: HeaderMap,
    /// What was carried, changed, dropped.
    pub report: Conversion,
    /// What the answer's translation must remember.
    pub exchange: Exchange,
}

/// Why a request cannot be translated for a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// What the target cannot do, and what to do about it: a sentence for the caller.
    pub detail: String,
    /// The field that is to blame, as a path in the caller's format.
    pub param: Option<String>,
}

impl Refusal {
    /// The same with the caller's name of what is wrong, where the face has it under another.
    #[must_use]
    pub fn in_the_words_of(self, face: &dyn Face, request: &ChatRequest) -> Self {
        let Some(path) = self.param else {
            return self;
        };
        let field = face.field(request, &path).into_owned();
        Self {
            // What the sentence tells to leave out has to be found in the request.
            detail: self
                .detail
                .replace(&format!("`{path}`"), &format!("`{field}`")),
            param: Some(field),
        }
    }

    /// A refusal that blames `param`.
    pub fn of(param: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            param: Some(param.into()),
        }
    }
}

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not what the format allows.
    #[error("{0}")]
    Malformed(String),
    /// It is the provider's own error.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// How a provider's stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The body ended as HTTP says it should.
    Clean,
    /// The connection broke.
    Broken,
}

/// Turns bytes, in whatever pieces they arrive, into events; any split of the same bytes gives the
/// same events.
pub trait StreamDecoder: Send {
    /// Takes the next bytes and appends the events that they complete.
    ///
    /// An error inside the stream that the provider sent in its format's own way is
    /// [`ChatEvent::Error`]; bytes that the format does not allow are a [`DecodeError`], and then the
    /// decoder is not to be used any more.
    fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), DecodeError>;

    /// Says that no more bytes come. A stream that ended before its format's own terminal event is an
    /// error unless it was complete in substance (a finish for every choice).
    fn finish(&mut self, end: End, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError>;
}

/// Turns the bytes of a host that frames a format's events in its own way into the format's own bytes,
/// for callers of that format. Errors of the host become the format's own error event.
pub trait Reframer: Send {
    /// Takes the next bytes, in whatever pieces they arrive, and appends what they complete. After a
    /// [`DecodeError`] the reframer is not to be used any more. What is not complete when the stream ends
    /// is nothing that may be passed on.
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), DecodeError>;
}
