//! What is answered, when it is streamed.

use serde_json::value::RawValue;

use super::Finish;
use crate::provider_error::ProviderError;
use crate::usage::{ServiceTier, Usage};

/// One step of a streamed answer.
///
/// For each choice the steps come in this order: text, reasoning, refusals and tool calls in any order;
/// then [`ChatEvent::Finish`]. A tool call is opened once, gets its fragments, and is closed once; calls
/// of one choice may interleave. [`ChatEvent::Usage`] may come at any time and more than once: the last
/// one holds. After [`ChatEvent::Error`] nothing follows.
#[derive(Debug, Clone)]
pub enum ChatEvent {
    /// The answer begins; comes once, first.
    Start {
        /// The provider's identifier of the answer.
        id: Option<String>,
        /// The model that answers, in the provider's words.
        model: Option<String>,
    },
    /// A piece of text.
    Text {
        /// Which answer.
        choice: u32,
        /// The piece; not empty.
        text: String,
    },
    /// A piece of thought.
    Reasoning {
        /// Which answer.
        choice: u32,
        /// The piece; not empty.
        text: String,
    },
    /// The signature over the thoughts so far (or, from Gemini, over the text so far).
    ReasoningSignature {
        /// Which answer.
        choice: u32,
        /// The signature.
        signature: String,
    },
    /// Thoughts that are shown only encrypted, whole.
    RedactedReasoning {
        /// Which answer.
        choice: u32,
        /// The encrypted thoughts.
        data: String,
    },
    /// A piece of a refusal.
    Refusal {
        /// Which answer.
        choice: u32,
        /// The piece; not empty.
        text: String,
    },
    /// A tool call begins.
    ToolCallStart {
        /// Which answer.
        choice: u32,
        /// Which call of this answer, counted from 0 without gaps.
        call: u32,
        /// Names the call in its result.
        id: String,
        /// The tool's name, in the caller's words.
        name: String,
        /// The provider's signature over the call.
        signature: Option<String>,
    },
    /// A piece of a tool call's arguments.
    ToolCallArguments {
        /// Which answer.
        choice: u32,
        /// Which call of this answer.
        call: u32,
        /// A piece of JSON text, which need not be valid by itself.
        fragment: String,
    },
    /// A tool call is complete.
    ToolCallEnd {
        /// Which answer.
        choice: u32,
        /// Which call of this answer.
        call: u32,
    },
    /// Probabilities of the tokens before, in OpenAI's shape.
    Logprobs {
        /// Which answer.
        choice: u32,
        /// The JSON as it was written.
        raw: Box<RawValue>,
    },
    /// A citation in OpenAI's `annotations` shape.
    Annotation {
        /// Which answer.
        choice: u32,
        /// The citation.
        annotation: super::Annotation,
    },
    /// Something that only `format` knows; kept, and shown to the caller as an extension.
    Unknown {
        /// Which answer.
        choice: u32,
        /// The wire format that it came in.
        format: &'static str,
        /// The JSON as it was written.
        raw: Box<RawValue>,
    },
    /// An answer ends; comes once for each.
    Finish {
        /// Which answer.
        choice: u32,
        /// Why it ended.
        finish: Finish,
    },
    /// What it took so far.
    Usage(Usage),
    /// The class of service that was given.
    ServiceTier(ServiceTier),
    /// The provider is alive and has nothing to say.
    Ping,
    /// The provider failed; nothing follows.
    Error(ProviderError),
}

impl ChatEvent {
    /// Whether this is something the caller waits for: once it was sent, another target cannot take
    /// over unseen.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Text { .. }
            | Self::Reasoning { .. }
            | Self::ReasoningSignature { .. }
            | Self::RedactedReasoning { .. }
            | Self::Refusal { .. }
            | Self::ToolCallStart { .. }
            | Self::ToolCallArguments { .. }
            | Self::ToolCallEnd { .. }
            | Self::Logprobs { .. }
            | Self::Annotation { .. }
            | Self::Unknown { .. }
            | Self::Finish { .. } => true,
            Self::Start { .. }
            | Self::Usage(_)
            | Self::ServiceTier(_)
            | Self::Ping
            | Self::Error(_) => false,
        }
    }
}
