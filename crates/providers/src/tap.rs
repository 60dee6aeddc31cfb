//! Reads along where bytes pass untouched.

use domain::chat::{ChatEvent, ChatResponse, Finish};
use domain::provider_error::ProviderError;
use domain::usage::{ServiceTier, Usage};

use crate::dialect::{DecodeError, End, StreamDecoder};

/// What the ledger wants to know of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The model that answered, in the provider's words.
    pub response_model: Option<String>,
    /// What it took; the last word of the provider holds.
    pub usage: Option<Usage>,
    /// Why the first choice ended.
    pub finish: Option<Finish>,
    /// The class of service that was given.
    pub service_tier: Option<ServiceTier>,
    /// Whether anything came that the caller waits for.
    pub has_content: bool,
    /// Length of the text, thoughts and arguments so far, in bytes, for an estimate.
    pub output_bytes: u64,
    /// The error that the provider sent in the stream.
    pub error: Option<ProviderError>,
}

impl Observed {
    /// Notes one event.
    pub fn note(&mut self, event: &ChatEvent) {
        self.has_content |= event.is_content();
        match event {
            ChatEvent::Start { model, .. } => {
                if model.is_some() {
                    self.response_model.clone_from(model);
                }
            }
            ChatEvent::Text { text, .. }
            | ChatEvent::Reasoning { text, .. }
            | ChatEvent::Refusal { text, .. } => self.output_bytes += text.len() as u64,
            ChatEvent::ToolCallArguments { fragment, .. } => {
                self.output_bytes += fragment.len() as u64;
            }
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::ServiceTier(tier) => self.service_tier = Some(*tier),
            ChatEvent::Finish { finish, .. } => {
                if self.finish.is_none() {
                    self.finish = Some(finish.clone());
                }
            }
            ChatEvent::Error(error) => self.error = Some(error.clone()),
            ChatEvent::ReasoningSignature { .. }
            | ChatEvent::RedactedReasoning { .. }
            | ChatEvent::ToolCallStart { .. }
            | ChatEvent::ToolCallEnd { .. }
            | ChatEvent::Logprobs { .. }
            | ChatEvent::Annotation { .. }
            | ChatEvent::Unknown { .. }
            | ChatEvent::Ping => {}
        }
    }

    /// What a whole answer says.
    pub fn of(response: &ChatResponse) -> Self {
        Self {
            response_model: response.model.clone(),
            usage: response.usage,
            finish: response.choices.first().map(|choice| choice.finish.clone()),
            service_tier: response.service_tier,
            has_content: true,
            output_bytes: response.choices.iter().map(output_bytes).sum(),
            error: None,
        }
    }
}

fn output_bytes(choice: &domain::chat::Choice) -> u64 {
    use domain::chat::Part;
    let length = |part: &Part| match part {
        Part::Text(text) => text.text.len(),
        Part::Refusal(text) => text.len(),
        Part::Reasoning(reasoning) => reasoning.text.as_ref().map_or(0, String::len),
        Part::ToolCall(call) => call.arguments.len(),
        Part::Image(_) | Part::Document(_) | Part::Audio(_) | Part::Unknown { .. } => 0,
    };
    choice.content.iter().map(|part| length(part) as u64).sum()
}

/// Reads along with a stream through the format's own decoder.
pub struct Tap {
    decoder: Box<dyn StreamDecoder>,
    events: Vec<ChatEvent>,
    observed: Observed,
}

impl Tap {
    /// A tap that understands what `decoder` understands.
    pub fn new(decoder: Box<dyn StreamDecoder>) -> Self {
        Self {
            decoder,
            events: Vec::new(),
            observed: Observed::default(),
        }
    }

    /// Reads the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<&Observed, DecodeError> {
        self.push_with(bytes, &mut |_| {})
    }

    /// Reads the next bytes, and lets `hear` hear what they say.
    pub fn push_with(
        &mut self,
        bytes: &[u8],
        hear: &mut dyn FnMut(&ChatEvent),
    ) -> Result<&Observed, DecodeError> {
        self.decoder.push(bytes, &mut self.events)?;
        Ok(self.note(hear))
    }

    /// Says that no more bytes come.
    pub fn finish(&mut self, end: End) -> Result<&Observed, DecodeError> {
        self.finish_with(end, &mut |_| {})
    }

    /// Says that no more bytes come, and lets `hear` hear what that says.
    pub fn finish_with(
        &mut self,
        end: End,
        hear: &mut dyn FnMut(&ChatEvent),
    ) -> Result<&Observed, DecodeError> {
        self.decoder.finish(end, &mut self.events)?;
        Ok(self.note(hear))
    }

    /// What was read so far.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    fn note(&mut self, hear: &mut dyn FnMut(&ChatEvent)) -> &Observed {
        for event in self.events.drain(..) {
            self.observed.note(&event);
            hear(&event);
        }
        &self.observed
    }
}
