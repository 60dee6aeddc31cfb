//! Answers, whole or chunk by chunk, as events
//! (<https://ai.google.dev/api/generate-content#response-body>). A whole answer is one chunk, so both ways
//! are one translation.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use domain::chat::{ChatEvent, ChatResponse};
use domain::model::Capabilities;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use http::response::Parts;

use super::choice::{Choice, Ending, Reading};
use super::model::{Generation, Model};
use super::objects::Objects;
use super::wire::response::{Candidate, Chunk, GroundingMetadata, PromptFeedback};
use super::{citations, error, logprobs, usage};
use crate::collect::Collector;
use crate::dialect::DecodeError;
use crate::exchange::Exchange;
use crate::failure;

/// More answers than are ever given to one request.
const MAX_CHOICES: usize = 128;

/// Translates a whole answer. A list is a stream that a proxy gathered.
pub(super) fn response(
    exchange: &Exchange,
    head: &Parts,
    body: &[u8],
) -> Result<ChatResponse, DecodeError> {
    let mut assembler = Assembler::new(exchange);
    let mut events = Vec::new();
    if body.trim_ascii_start().starts_with(b"[") {
        Objects::default().push(body, |object| assembler.chunk(object, &mut events))?;
    } else {
        assembler.chunk(body, &mut events)?;
    }
    assembler.finish(Ended::Whole, &mut events)?;
    let mut collector = Collector::default();
    for event in events {
        if let ChatEvent::Error(error) = event {
            let error = ProviderError {
                status: Some(head.status.as_u16()),
                ..error
            };
            return Err(DecodeError::Provider(error));
        }
        collector.push(event);
    }
    let mut response = collector.finish();
    if response.service_tier.is_none() {
        let word = head
            .headers
            .get("x-gemini-service-tier")
            .and_then(|word| word.to_str().ok());
        response.service_tier = word.and_then(usage::tier_of);
    }
    Ok(response)
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was one document, which is all there.
    Whole,
    /// It was a stream.
    Stream,
}

/// Puts an answer together from its chunks.
#[derive(Debug)]
pub(super) struct Assembler {
    tool_names: HashMap<String, String>,
    generation: Generation,
    has_started: bool,
    has_failed: bool,
    response_id: Option<String>,
    choices: BTreeMap<u32, Choice>,
    usage: Option<Usage>,
    searches: u64,
    tier_told: bool,
}

impl Assembler {
    pub(super) fn new(exchange: &Exchange) -> Self {
        Self {
            tool_names: exchange.tool_names.clone(),
            generation: Model::of(&exchange.model, &Capabilities::default()).generation,
            has_started: false,
            has_failed: false,
            response_id: None,
            choices: BTreeMap::new(),
            usage: None,
            searches: 0,
            tier_told: false,
        }
    }

    /// Whether the provider said that it failed; nothing is read after that.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Takes one chunk.
    pub(super) fn chunk(
        &mut self,
        json: &[u8],
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let chunk = read(json)?;
        let chunk = match chunk.response {
            Some(inner) if chunk.candidates.is_none() => read(inner.get().as_bytes())?,
            _ => chunk,
        };
        if let Some(failure) = chunk.error {
            self.has_failed = true;
            events.push(ChatEvent::Error(error::in_answer(failure.get())));
            return Ok(());
        }
        self.start(&chunk, events);
        for (place, candidate) in (0..).zip(chunk.candidates.into_iter().flatten()) {
            self.candidate(place, candidate, events)?;
        }
        if let Some(feedback) = chunk.prompt_feedback
            && self.choices.is_empty()
        {
            self.blocked(feedback);
        }
        if let Some(native) = chunk.usage_metadata {
            self.usage(native.get(), events);
        }
        Ok(())
    }

    /// Says that there is no more.
    pub(super) fn finish(
        &mut self,
        ended: Ended,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        if self.has_failed {
            return Ok(());
        }
        if self.choices.is_empty() {
            return Err(match ended {
                Ended::Whole => DecodeError::Malformed(
                    "the answer has neither candidates nor a reason why the prompt was blocked"
                        .to_owned(),
                ),
                Ended::Stream => interrupted(),
            });
        }
        let is_complete = self.choices.values().all(Choice::has_ended);
        if ended == Ended::Stream && !is_complete {
            return Err(interrupted());
        }
        for (index, choice) in std::mem::take(&mut self.choices) {
            choice.finish(index, events);
        }
        Ok(())
    }

    fn start(&mut self, chunk: &Chunk<'_>, events: &mut Vec<ChatEvent>) {
        if self.response_id.is_none() {
            self.response_id = chunk.response_id.as_deref().map(str::to_owned);
        }
        if !self.has_started {
            self.has_started = true;
            events.push(ChatEvent::Start {
                id: self.response_id.clone(),
                model: chunk.model_version.as_deref().map(str::to_owned),
            });
        }
    }

    fn candidate(
        &mut self,
        place: u32,
        candidate: Candidate<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let index = candidate.index.unwrap_or(place);
        if self.choices.len() >= MAX_CHOICES && !self.choices.contains_key(&index) {
            let message = format!("the answer has more than {MAX_CHOICES} candidates");
            return Err(DecodeError::Malformed(message));
        }
        let choice = self.choices.entry(index).or_default();
        let reading = Reading {
            choice: index,
            tool_names: &self.tool_names,
            response_id: self.response_id.as_deref(),
        };
        let parts = candidate.content.and_then(|content| content.parts);
        for raw in parts.into_iter().flatten() {
            choice.part(reading, raw, events);
        }
        if let Some(result) = &candidate.logprobs_result
            && let Some(raw) = logprobs::translate(result)
        {
            events.push(ChatEvent::Logprobs { choice: index, raw });
        }
        if let Some(reason) = candidate.finish_reason {
            choice.end(Ending {
                native: reason.into_owned(),
                message: candidate.finish_message.map(Cow::into_owned),
                is_block: false,
            });
        }
        if let Some(metadata) = &candidate.citation_metadata {
            choice.cite(citations::recited(metadata));
        }
        if let Some(metadata) = &candidate.grounding_metadata {
            choice.cite(citations::grounded(metadata));
            self.searches = self.searches.max(searches(metadata, self.generation));
            self.tell_usage(events);
        }
        Ok(())
    }

    /// A blocked prompt is an answer too: a refusal, as on Google's own OpenAI-compatible endpoint, so
    /// that the caller is told why and pays for what was read.
    fn blocked(&mut self, feedback: PromptFeedback<'_>) {
        if let Some(reason) = feedback.block_reason {
            self.choices.entry(0).or_default().end(Ending {
                native: reason.into_owned(),
                message: feedback.block_reason_message.map(Cow::into_owned),
                is_block: true,
            });
        }
    }

    fn usage(&mut self, native: &str, events: &mut Vec<ChatEvent>) {
        let told = usage::of_answer(native);
        if told.usage.is_some() {
            self.usage = told.usage;
            self.tell_usage(events);
        }
        if let Some(tier) = told.service_tier.filter(|_| !self.tier_told) {
            self.tier_told = true;
            events.push(ChatEvent::ServiceTier(tier));
        }
    }

    fn tell_usage(&self, events: &mut Vec<ChatEvent>) {
        if let Some(usage) = self.usage {
            events.push(ChatEvent::Usage(Usage {
                web_searches: self.searches,
                ..usage
            }));
        }
    }
}

fn read(json: &[u8]) -> Result<Chunk<'_>, DecodeError> {
    // Serde would read a struct from an array, too.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(DecodeError::Malformed(
            "the answer cannot be read: it is not a JSON object".to_owned(),
        ));
    }
    serde_json::from_slice(json)
        .map_err(|error| DecodeError::Malformed(format!("the answer cannot be read: {error}")))
}

fn interrupted() -> DecodeError {
    let message = "the provider's stream ended before the answer did";
    let retry = failure::retry_of(Cause::Interrupted, None);
    DecodeError::Provider(ProviderError::new(Cause::Interrupted, message).with_retry(retry))
}

/// Gemini 3 bills each query, earlier models each prompt that led to any.
/// <https://ai.google.dev/gemini-api/docs/google-search#pricing>
fn searches(metadata: &GroundingMetadata<'_>, generation: Generation) -> u64 {
    let queries = metadata.web_search_queries.as_ref().map_or(0, Vec::len) as u64;
    match generation {
        Generation::Levels => queries,
        Generation::Early | Generation::Budgets => queries.min(1),
    }
}
