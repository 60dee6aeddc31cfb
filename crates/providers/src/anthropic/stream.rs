//! A streamed answer in the domain's words.
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>

use std::collections::BTreeMap;

use domain::chat::ChatEvent;
use domain::provider_error::{Cause, ProviderError, Retry};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::usage::NativeUsage;
use super::{FORMAT, citation, decode, error, wire};
use crate::dialect::{DecodeError, End, StreamDecoder};
use crate::exchange::Exchange;
use crate::framing::sse::{SseDecoder, SseError, SseEvent};

/// More blocks than this are never open at once; Anthropic opens one at a time.
const MAX_OPEN_BLOCKS: usize = 64;

/// How much of a body that is no event stream is kept, in bytes, to be read as an error.
const MAX_PREAMBLE: usize = 64 * 1024;

/// The decoder of one streamed answer. Anthropic's answers have one choice.
#[derive(Debug)]
pub(super) struct Decoder {
    exchange: Exchange,
    frames: SseDecoder,
    /// The bytes so far, while no event was seen: perhaps they are an error in plain JSON.
    preamble: Option<Vec<u8>>,
    blocks: BTreeMap<u32, Block>,
    /// How many tool calls of the caller's began.
    calls: u32,
    /// Characters of text so far, which citations are counted in.
    characters: usize,
    /// Whether the tool that carries the structured answer was called.
    answered: bool,
    usage: NativeUsage,
    started: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Begun,
    /// The reason for the end was told.
    Finished,
    /// The terminal event came, or an error; nothing more is read.
    Over,
}

/// A content block that is open.
#[derive(Debug)]
enum Block {
    Text {
        start: usize,
        citations: Vec<Value>,
    },
    Thinking,
    Call {
        call: u32,
        /// The input that came with the beginning, and counts if no fragment follows.
        input: Option<String>,
    },
    /// The tool that carries the structured answer.
    Answer {
        input: Option<String>,
    },
    Unknown {
        raw: Box<RawValue>,
        input: String,
    },
}

impl Decoder {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            frames: SseDecoder::default(),
            preamble: Some(Vec::new()),
            blocks: BTreeMap::new(),
            calls: 0,
            characters: 0,
            answered: false,
            usage: NativeUsage::default(),
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
        if self.state == State::Over {
            return Ok(());
        }
        // Some hosts of this format end their streams as OpenAI does.
        if frame.data == "[DONE]" {
            self.state = State::Over;
            return Ok(());
        }
        let event: wire::Event<'_> = read(&frame.data)?;
        match &*event.kind {
            "message_start" => self.start(event, events),
            "content_block_start" => self.start_block(event.index, event.content_block, events),
            "content_block_delta" => self.step(event.index, event.delta, &frame.data, events),
            "content_block_stop" => {
                self.stop_block(event.index, events);
                Ok(())
            }
            "message_delta" => self.finish_message(&event, events),
            "message_stop" => {
                self.state = State::Over;
                Ok(())
            }
            "ping" => {
                events.push(ChatEvent::Ping);
                Ok(())
            }
            "error" => {
                self.state = State::Over;
                let failure = error::in_success(frame.data.as_bytes());
                events.push(ChatEvent::Error(failure));
                Ok(())
            }
            _ => {
                events.push(unknown(read(&frame.data)?));
                Ok(())
            }
        }
    }

    fn start(
        &mut self,
        event: wire::Event<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let Some(message) = event.message else {
            return Err(missing("message"));
        };
        if !std::mem::replace(&mut self.started, true) {
            events.push(ChatEvent::Start {
                id: message.id,
                model: message.model,
            });
        }
        self.update_usage(message.usage, events)
    }

    fn start_block(
        &mut self,
        index: u32,
        raw: Option<&RawValue>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let raw = raw.ok_or_else(|| missing("content_block"))?;
        if self.blocks.len() >= MAX_OPEN_BLOCKS {
            let problem = "the stream opens blocks and does not close them".to_owned();
            return Err(DecodeError::Malformed(problem));
        }
        let kind: wire::Tagged<'_> = read(raw.get())?;
        let block = match &*kind.kind {
            "text" => self.start_text(read(raw.get())?, events),
            "thinking" => {
                let block: wire::ThinkingBlock = read(raw.get())?;
                push_thought(block.thinking, events);
                push_signature(block.signature, events);
                Block::Thinking
            }
            "redacted_thinking" => {
                let block: wire::RedactedThinkingBlock = read(raw.get())?;
                events.push(ChatEvent::RedactedReasoning {
                    choice: 0,
                    data: block.data,
                });
                Block::Thinking
            }
            "tool_use" => self.start_call(read(raw.get())?, events),
            _ => Block::Unknown {
                raw: raw.to_owned(),
                input: String::new(),
            },
        };
        self.blocks.insert(index, block);
        Ok(())
    }

    fn start_text(&mut self, block: wire::TextBlock, events: &mut Vec<ChatEvent>) -> Block {
        let start = self.characters;
        self.push_text(block.text, events);
        Block::Text {
            start,
            citations: block.citations.unwrap_or_default(),
        }
    }

    fn start_call(&mut self, block: wire::ToolUseBlock, events: &mut Vec<ChatEvent>) -> Block {
        let input = block
            .input
            .map_or_else(|| "{}".to_owned(), |input| input.get().to_owned());
        let input = Some(input);
        if self.exchange.answer_tool.as_ref() == Some(&block.name) {
            self.answered = true;
            return Block::Answer { input };
        }
        let call = self.calls;
        self.calls += 1;
        events.push(ChatEvent::ToolCallStart {
            choice: 0,
            call,
            id: block.id,
            name: self.exchange.tool_name(&block.name).to_owned(),
            signature: None,
        });
        Block::Call { call, input }
    }

    /// One step of a block. A step that does not fit its block, or that is not known, is kept.
    fn step(
        &mut self,
        index: u32,
        delta: Option<&RawValue>,
        data: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let delta = delta.ok_or_else(|| missing("delta"))?;
        let delta: wire::Delta<'_> = read(delta.get())?;
        let block = self.blocks.get_mut(&index);
        match (&*delta.kind, block) {
            ("text_delta", _) => self.push_text(delta.text.unwrap_or_default(), events),
            ("thinking_delta", _) => push_thought(delta.thinking.unwrap_or_default(), events),
            ("signature_delta", _) => push_signature(delta.signature.unwrap_or_default(), events),
            ("citations_delta", Some(Block::Text { citations, .. })) => {
                citations.extend(delta.citation);
            }
            ("input_json_delta", Some(Block::Call { call, input })) => {
                let call = *call;
                let fragment = delta.partial_json.unwrap_or_default();
                if !fragment.is_empty() {
                    *input = None;
                    events.push(ChatEvent::ToolCallArguments {
                        choice: 0,
                        call,
                        fragment,
                    });
                }
            }
            ("input_json_delta", Some(Block::Answer { input })) => {
                let fragment = delta.partial_json.unwrap_or_default();
                if !fragment.is_empty() {
                    *input = None;
                    self.push_text(fragment, events);
                }
            }
            ("input_json_delta", Some(Block::Unknown { input, .. })) => {
                input.push_str(&delta.partial_json.unwrap_or_default());
            }
            _ => events.push(unknown(read(data)?)),
        }
        Ok(())
    }

    fn stop_block(&mut self, index: u32, events: &mut Vec<ChatEvent>) {
        match self.blocks.remove(&index) {
            Some(Block::Text { start, citations }) => {
                for cited in &citations {
                    events.push(ChatEvent::Annotation {
                        choice: 0,
                        annotation: citation::annotation(cited, start, self.characters),
                    });
                }
            }
            Some(Block::Call { call, input }) => {
                if let Some(fragment) = input {
                    events.push(ChatEvent::ToolCallArguments {
                        choice: 0,
                        call,
                        fragment,
                    });
                }
                events.push(ChatEvent::ToolCallEnd { choice: 0, call });
            }
            Some(Block::Answer { input }) => self.push_text(input.unwrap_or_default(), events),
            Some(Block::Unknown { raw, input }) => events.push(unknown(completed(raw, &input))),
            Some(Block::Thinking) | None => {}
        }
    }

    fn finish_message(
        &mut self,
        event: &wire::Event<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        self.update_usage(event.usage, events)?;
        let stop: wire::Stop = match event.delta {
            Some(delta) => read(delta.get())?,
            None => wire::Stop::default(),
        };
        if stop.reason.is_none() || self.state != State::Begun {
            return Ok(());
        }
        self.state = State::Finished;
        // A block that was not closed ends here at the latest.
        for index in self.blocks.keys().copied().collect::<Vec<_>>() {
            self.stop_block(index, events);
        }
        events.extend(decode::refusal(&stop).map(|text| ChatEvent::Refusal { choice: 0, text }));
        events.push(ChatEvent::Finish {
            choice: 0,
            finish: decode::finish(&stop, self.answered && self.calls == 0),
        });
        Ok(())
    }

    fn update_usage(
        &mut self,
        native: Option<&RawValue>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let Some(native) = native else {
            return Ok(());
        };
        let later = NativeUsage::parse(native.get().as_bytes())?;
        events.extend(later.service_tier().map(ChatEvent::ServiceTier));
        self.usage.update(later);
        events.extend(self.usage.meters()?.map(ChatEvent::Usage));
        Ok(())
    }

    fn push_text(&mut self, text: String, events: &mut Vec<ChatEvent>) {
        if !text.is_empty() {
            self.characters += text.chars().count();
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
            && error::is_error(&preamble)
        {
            self.state = State::Over;
            return Err(DecodeError::Provider(error::in_success(&preamble)));
        }
        let sentence = "the provider's stream ended before the answer did";
        let failure = ProviderError::new(Cause::Interrupted, sentence);
        Err(DecodeError::Provider(failure.with_retry(Retry::Now)))
    }
}

fn push_thought(text: String, events: &mut Vec<ChatEvent>) {
    if !text.is_empty() {
        events.push(ChatEvent::Reasoning { choice: 0, text });
    }
}

fn push_signature(signature: String, events: &mut Vec<ChatEvent>) {
    if !signature.is_empty() {
        events.push(ChatEvent::ReasoningSignature {
            choice: 0,
            signature,
        });
    }
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

/// The block with the input that came in fragments, as it would stand in a whole answer.
fn completed(raw: Box<RawValue>, input: &str) -> Box<RawValue> {
    let (Ok(Value::Object(mut block)), Ok(input)) = (
        serde_json::from_str(raw.get()),
        serde_json::from_str::<Value>(input),
    ) else {
        return raw;
    };
    block.insert("input".to_owned(), input);
    to_raw_value(&block).unwrap_or(raw)
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|problem| {
        DecodeError::Malformed(format!("an event of the stream is not readable: {problem}"))
    })
}

fn missing(field: &str) -> DecodeError {
    DecodeError::Malformed(format!("an event of the stream has no `{field}`"))
}

fn unframed(problem: SseError) -> DecodeError {
    DecodeError::Malformed(problem.to_string())
}
