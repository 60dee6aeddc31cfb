//! A streamed answer in the domain's words. <https://docs.cohere.com/v2/docs/streaming>

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::chat::ChatEvent;
use domain::provider_error::{Cause, ProviderError, Retry};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::decode::{Block, Call};
use super::{FORMAT, billing, citation, decode, error, logprobs};
use crate::dialect::{DecodeError, End, StreamDecoder};
use crate::exchange::Exchange;
use crate::framing::sse::{SseDecoder, SseError, SseEvent};

/// More calls than this are never open at once; Cohere opens one at a time.
const MAX_OPEN_CALLS: usize = 128;

/// How much of a body that is no event stream is kept, in bytes, to be read as an error.
const MAX_PREAMBLE: usize = 64 * 1024;

/// The decoder of one streamed answer. Cohere's answers have one choice.
#[derive(Debug)]
pub(super) struct Decoder {
    exchange: Exchange,
    frames: SseDecoder,
    /// The bytes so far, while no event was seen: perhaps they are an error in plain JSON.
    preamble: Option<Vec<u8>>,
    /// The calls that are open, by Cohere's index: ours, and whether arguments came.
    open: BTreeMap<u32, (u32, bool)>,
    calls: u32,
    /// Characters of text so far, and where each block's text begins.
    characters: u64,
    offsets: BTreeMap<u32, u64>,
    started: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begun,
    /// The reason for the end was told.
    Finished,
    /// An error came; nothing more is read.
    Failed,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(default)]
    logprobs: Option<logprobs::Item>,
    /// What an error that is no event has.
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Delta<T> {
    message: Option<T>,
}

#[derive(Deserialize)]
struct ContentMessage<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PlanMessage {
    #[serde(default)]
    tool_plan: Option<String>,
}

#[derive(Deserialize)]
struct CallMessage {
    #[serde(default)]
    tool_calls: Option<Call>,
}

#[derive(Deserialize)]
struct CitationMessage {
    #[serde(default)]
    citations: Option<Value>,
}

#[derive(Deserialize, Default)]
struct Ending<'a> {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

impl Decoder {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            frames: SseDecoder::default(),
            preamble: Some(Vec::new()),
            open: BTreeMap::new(),
            calls: 0,
            characters: 0,
            offsets: BTreeMap::new(),
            started: false,
            state: State::Begun,
        }
    }

    fn keep_preamble(&mut self, bytes: &[u8]) {
        if let Some(preamble) = &mut self.preamble {
            let room = MAX_PREAMBLE.saturating_sub(preamble.len());
            preamble.extend(bytes.iter().take(room));
        }
    }

    fn frame(&mut self, frame: &SseEvent, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        self.preamble = None;
        if self.state != State::Begun || frame.data == "[DONE]" {
            return Ok(());
        }
        let event: Event<'_> = read(&frame.data)?;
        let kind = if event.kind.is_empty() {
            Cow::Borrowed(frame.event.as_str())
        } else {
            event.kind.clone()
        };
        match &*kind {
            "message-start" => self.start(event.id, events),
            "content-start" => {
                let index = event.index.unwrap_or(0);
                self.offsets.insert(index, self.characters);
                self.content(&event, &frame.data, events)?;
            }
            "content-delta" => self.content(&event, &frame.data, events)?,
            "tool-plan-delta" => {
                let delta: Option<PlanMessage> = message(event.delta)?;
                self.push_text(delta.and_then(|delta| delta.tool_plan), events);
            }
            "tool-call-start" => self.start_call(event.index.unwrap_or(0), event.delta, events)?,
            "tool-call-delta" => self.step_call(event.index.unwrap_or(0), event.delta, events)?,
            "tool-call-end" => self.end_call(event.index.unwrap_or(0), events),
            "citation-start" => self.cite(event.delta, events)?,
            "message-end" => self.finish_message(event.delta, events)?,
            "content-end" | "citation-end" => {}
            _ => match event.message.filter(|_| event.delta.is_none()) {
                Some(sentence) => self.fail(&sentence, events),
                None => events.push(unknown(read(&frame.data)?)),
            },
        }
        Ok(())
    }

    fn start(&mut self, id: Option<String>, events: &mut Vec<ChatEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            events.push(ChatEvent::Start { id, model: None });
        }
    }

    /// A block begins or goes on; its beginning may hold words already.
    fn content(
        &mut self,
        event: &Event<'_>,
        data: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let message: Option<ContentMessage<'_>> = message(event.delta)?;
        let content = message.and_then(|message| message.content);
        if let Some(raw) = content {
            let block: Block = read(raw.get())?;
            let is_known = matches!(block.kind.as_deref(), None | Some("text" | "thinking"));
            if !is_known {
                events.push(unknown(read(data)?));
                return Ok(());
            }
            if let Some(text) = block.thinking.filter(|text| !text.is_empty()) {
                events.push(ChatEvent::Reasoning { choice: 0, text });
            }
            self.push_text(block.text, events);
        }
        if let Some(item) = &event.logprobs
            && let Some(raw) = logprobs::translate(std::slice::from_ref(item))
        {
            events.push(ChatEvent::Logprobs { choice: 0, raw });
        }
        Ok(())
    }

    fn start_call(
        &mut self,
        index: u32,
        delta: Option<&RawValue>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        // A call that was not closed ends where its number is used again.
        self.end_call(index, events);
        if self.open.len() >= MAX_OPEN_CALLS {
            let problem = "the stream opens tool calls and does not close them".to_owned();
            return Err(DecodeError::Malformed(problem));
        }
        let call = self.calls;
        self.calls += 1;
        let delta: Option<CallMessage> = message(delta)?;
        let started = delta.and_then(|delta| delta.tool_calls);
        let (id, function) = match started {
            Some(started) => (started.id, started.function.unwrap_or_default()),
            None => (None, decode::CalledFunction::default()),
        };
        let name = function.name.unwrap_or_default();
        events.push(ChatEvent::ToolCallStart {
            choice: 0,
            call,
            id: id
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| format!("call_{call}")),
            name: self.exchange.tool_name(&name).to_owned(),
            signature: None,
        });
        self.open.insert(index, (call, false));
        self.push_arguments(index, function.arguments, events);
        Ok(())
    }

    fn step_call(
        &mut self,
        index: u32,
        delta: Option<&RawValue>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let delta: Option<CallMessage> = message(delta)?;
        let function = delta
            .and_then(|delta| delta.tool_calls)
            .and_then(|call| call.function);
        self.push_arguments(index, function.and_then(|it| it.arguments), events);
        Ok(())
    }

    fn push_arguments(
        &mut self,
        index: u32,
        fragment: Option<String>,
        events: &mut Vec<ChatEvent>,
    ) {
        let fragment = fragment.filter(|fragment| !fragment.is_empty());
        if let (Some((call, has_arguments)), Some(fragment)) = (self.open.get_mut(&index), fragment)
        {
            *has_arguments = true;
            events.push(ChatEvent::ToolCallArguments {
                choice: 0,
                call: *call,
                fragment,
            });
        }
    }

    fn end_call(&mut self, index: u32, events: &mut Vec<ChatEvent>) {
        let Some((call, has_arguments)) = self.open.remove(&index) else {
            return;
        };
        if !has_arguments {
            events.push(ChatEvent::ToolCallArguments {
                choice: 0,
                call,
                fragment: "{}".to_owned(),
            });
        }
        events.push(ChatEvent::ToolCallEnd { choice: 0, call });
    }

    fn cite(
        &mut self,
        delta: Option<&RawValue>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let delta: Option<CitationMessage> = message(delta)?;
        if let Some(cited) = delta.and_then(|delta| delta.citations) {
            let block = cited.get("content_index").and_then(Value::as_u64);
            let block = block.and_then(|block| u32::try_from(block).ok());
            let offset = block.and_then(|block| self.offsets.get(&block)).copied();
            let annotations = citation::annotations(&cited, offset.unwrap_or(0));
            events.extend(
                annotations
                    .into_iter()
                    .map(|annotation| ChatEvent::Annotation {
                        choice: 0,
                        annotation,
                    }),
            );
        }
        Ok(())
    }

    fn finish_message(
        &mut self,
        delta: Option<&RawValue>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let end: Ending<'_> = match delta {
            Some(delta) => read(delta.get())?,
            None => Ending::default(),
        };
        for index in self.open.keys().copied().collect::<Vec<_>>() {
            self.end_call(index, events);
        }
        if let Some(usage) = end.usage {
            let usage = billing::read(usage.get().as_bytes())?;
            events.extend(usage.map(ChatEvent::Usage));
        }
        let sentence = end.error.filter(|sentence| !sentence.is_empty());
        if let Some(sentence) = sentence {
            self.fail(&sentence, events);
            return Ok(());
        }
        self.state = State::Finished;
        events.push(ChatEvent::Finish {
            choice: 0,
            finish: decode::finish(&end.finish_reason.unwrap_or_default()),
        });
        Ok(())
    }

    fn fail(&mut self, sentence: &str, events: &mut Vec<ChatEvent>) {
        self.state = State::Failed;
        events.push(ChatEvent::Error(error::in_stream(sentence)));
    }

    fn push_text(&mut self, text: Option<String>, events: &mut Vec<ChatEvent>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            self.characters = self.characters.saturating_add(length);
            events.push(ChatEvent::Text { choice: 0, text });
        }
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        self.keep_preamble(bytes);
        self.frames.push(bytes);
        while let Some(frame) = self.frames.next_event().map_err(unframed)? {
            self.frame(&frame, events)?;
        }
        Ok(())
    }

    fn finish(&mut self, end: End, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if end == End::Clean
            && let Some(frame) = self.frames.finish().map_err(unframed)?
        {
            self.frame(&frame, events)?;
        }
        if self.state != State::Begun {
            return Ok(());
        }
        if let Some(preamble) = self.preamble.take()
            && let Some(error) = error::in_success(&preamble)
        {
            self.state = State::Failed;
            return Err(DecodeError::Provider(error));
        }
        let sentence = "the provider's stream ended before the answer did";
        let failure = ProviderError::new(Cause::Interrupted, sentence);
        Err(DecodeError::Provider(failure.with_retry(Retry::Now)))
    }
}

/// The message inside of a delta.
fn message<'a, T: Deserialize<'a>>(delta: Option<&'a RawValue>) -> Result<Option<T>, DecodeError> {
    let Some(delta) = delta else {
        return Ok(None);
    };
    let delta: Delta<T> = read(delta.get())?;
    Ok(delta.message)
}

/// What is not known is kept, on one line, so that it may go into another event stream.
fn unknown(raw: Box<RawValue>) -> ChatEvent {
    let raw = if raw.get().contains(['\n', '\r']) {
        let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        to_raw_value(&value).unwrap_or(raw)
    } else {
        raw
    };
    ChatEvent::Unknown {
        choice: 0,
        format: FORMAT,
        raw,
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|problem| {
        DecodeError::Malformed(format!("an event of the stream is not readable: {problem}"))
    })
}

fn unframed(problem: SseError) -> DecodeError {
    DecodeError::Malformed(problem.to_string())
}
