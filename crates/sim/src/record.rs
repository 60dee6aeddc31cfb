//! What was asked of the simulated provider, in order of arrival, so that tests can hold a ledger against it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// How many calls are remembered; older ones are forgotten first.
const KEPT: usize = 100_000;
/// How much of the caller's last words is kept with a call, in bytes.
const PROMPT_KEPT: usize = 160;

/// Which format a call was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Face {
    /// OpenAI's chat completions.
    #[serde(rename = "openai")]
    OpenAi,
    /// OpenAI's responses.
    #[serde(rename = "openai_responses")]
    OpenAiResponses,
    /// OpenAI's legacy completions.
    #[serde(rename = "openai_completions")]
    OpenAiCompletions,
    /// Anthropic's messages.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Google's `generateContent`.
    #[serde(rename = "gemini")]
    Gemini,
    /// Cohere's chat, version 2.
    #[serde(rename = "cohere")]
    Cohere,
    /// Amazon's `Converse`.
    #[serde(rename = "bedrock_converse")]
    BedrockConverse,
}

impl Face {
    /// Every face, in the order in which a list names them.
    pub const ALL: [Self; 7] = [
        Self::OpenAi,
        Self::OpenAiResponses,
        Self::OpenAiCompletions,
        Self::Anthropic,
        Self::Gemini,
        Self::Cohere,
        Self::BedrockConverse,
    ];

    /// The name used in records and fault matches: `openai`, `openai_responses`, `openai_completions`, `anthropic`, `gemini`,
    /// `cohere`, `bedrock_converse`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiResponses => "openai_responses",
            Self::OpenAiCompletions => "openai_completions",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Cohere => "cohere",
            Self::BedrockConverse => "bedrock_converse",
        }
    }
}

/// Which vendor a call was for: the one whose format it is in, or a cloud that serves others' formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Host {
    /// OpenAI, and hosts that are compatible with it.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Google's Gemini API.
    #[serde(rename = "gemini")]
    Gemini,
    /// Cohere.
    #[serde(rename = "cohere")]
    Cohere,
    /// Azure OpenAI.
    #[serde(rename = "azure_openai")]
    AzureOpenAi,
    /// Amazon Bedrock.
    #[serde(rename = "bedrock")]
    Bedrock,
    /// Google's Vertex AI.
    #[serde(rename = "vertex")]
    Vertex,
    /// Hugging Face's router.
    #[serde(rename = "huggingface")]
    HuggingFace,
}

impl Host {
    /// The vendor whose own format this is.
    pub(crate) const fn of(face: Face) -> Self {
        match face {
            Face::OpenAi | Face::OpenAiResponses | Face::OpenAiCompletions => Self::OpenAi,
            Face::Anthropic => Self::Anthropic,
            Face::Gemini => Self::Gemini,
            Face::Cohere => Self::Cohere,
            Face::BedrockConverse => Self::Bedrock,
        }
    }
}

/// One generation call as the simulated provider saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SimCall {
    /// Order of arrival, from zero, without holes.
    pub sequence: u64,
    /// What the vendor's request id field said (`x-request-id`, `request-id`); unique in this process.
    pub request_id: String,
    /// The id inside the answer (`chatcmpl-…`, `msg_…`, `responseId`), once there is one.
    pub response_id: Option<String>,
    /// The format of the call.
    pub face: Face,
    /// The vendor it was for.
    pub host: Host,
    /// The model asked for; empty until the request was understood.
    pub model: String,
    /// The path asked for, without its query.
    pub path: String,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// The status answered; `None` while no head was sent.
    pub status: Option<u16>,
    /// What a successful answer cost in full; `None` for a failure.
    pub usage: Option<SimUsage>,
    /// Whether the answer told that usage.
    pub usage_reported: bool,
    /// Whether the answer was handed over to its end; a caller that hangs up leaves it `false`.
    pub completed: bool,
    /// The beginning of the caller's last words.
    pub prompt: String,
    /// The caller's `x-client-request-id`, if it sent one.
    pub client_request_id: Option<String>,
}

/// What one call used, in tokens. Every meter but `cached_input` and the cache writes is disjoint from none: see each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SimUsage {
    /// All input, cached or not.
    pub input: u64,
    /// The part of `input` read from the prompt cache.
    pub cached_input: u64,
    /// The part of `input` written to the prompt cache for five minutes.
    pub cache_write_5m: u64,
    /// The part of `input` written to the prompt cache for one hour.
    pub cache_write_1h: u64,
    /// All output, reasoning included.
    pub output: u64,
    /// The part of `output` spent on reasoning, whether the format has a word for it or not (Cohere's and Amazon's have none).
    pub reasoning: u64,
}

/// The bounded record, shared by every clone of the provider and every body still being read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    /// The sequence of the oldest call still kept.
    first: u64,
    calls: VecDeque<SimCall>,
}

impl Ring {
    fn next(&self) -> u64 {
        self.first + self.calls.len() as u64
    }
}

/// The hand that writes into one call's entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    record: Record,
    pub(crate) sequence: u64,
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a new call; `request_id` is made from its place in the order.
    pub(crate) fn open(&self, call: impl FnOnce(u64) -> SimCall) -> Entry {
        let mut ring = self.lock();
        let sequence = ring.next();
        let call = call(sequence);
        ring.calls.push_back(call);
        if ring.calls.len() > KEPT {
            ring.calls.pop_front();
            ring.first += 1;
        }
        Entry {
            record: self.clone(),
            sequence,
        }
    }

    /// The calls numbered `since` and above, oldest first.
    pub(crate) fn since(&self, since: u64) -> Vec<SimCall> {
        let ring = self.lock();
        let skipped = usize::try_from(since.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        ring.calls.iter().skip(skipped).cloned().collect()
    }

    /// Forgets every call; the numbers go on.
    pub(crate) fn clear(&self) {
        let mut ring = self.lock();
        ring.first = ring.next();
        ring.calls.clear();
    }
}

impl Entry {
    /// Changes the call, if it is still remembered.
    pub(crate) fn note(&self, change: impl FnOnce(&mut SimCall)) {
        let mut ring = self.record.lock();
        let place = self
            .sequence
            .checked_sub(ring.first)
            .and_then(|place| usize::try_from(place).ok());
        if let Some(call) = place.and_then(|place| ring.calls.get_mut(place)) {
            change(call);
        }
    }
}

/// The beginning of the caller's last words, as a call keeps it.
pub(crate) fn excerpt(text: &str) -> String {
    text.get(..text.floor_char_boundary(PROMPT_KEPT))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(sequence: u64) -> SimCall {
        SimCall {
            sequence,
            request_id: format!("req_{sequence}"),
            response_id: None,
            face: Face::OpenAi,
            host: Host::OpenAi,
            model: String::new(),
            path: String::new(),
            streamed: false,
            status: None,
            usage: None,
            usage_reported: false,
            completed: false,
            prompt: String::new(),
            client_request_id: None,
        }
    }

    #[test]
    fn the_oldest_call_is_forgotten_and_late_notes_on_it_are_harmless() {
        let record = Record::default();
        let first = record.open(call);
        for _ in 0..KEPT {
            record.open(call);
        }
        first.note(|call| call.completed = true);
        let calls = record.since(0);
        assert_eq!(calls.len(), KEPT);
        assert_eq!(calls.first().map(|call| call.sequence), Some(1));
        assert!(calls.iter().all(|call| !call.completed));
    }

    #[test]
    fn numbers_go_on_after_the_record_is_cleared() {
        let record = Record::default();
        record.open(call);
        record.clear();
        let second = record.open(call);
        second.note(|call| call.status = Some(200));
        assert_eq!(
            record
                .since(0)
                .iter()
                .map(|call| (call.sequence, call.status))
                .collect::<Vec<_>>(),
            [(1, Some(200))]
        );
        assert!(record.since(2).is_empty());
    }
}
