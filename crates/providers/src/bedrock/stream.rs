//! A streamed answer in the domain's words.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>

use std::collections::BTreeMap;

use domain::chat::{ChatEvent, Extensions, Finish};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::decode::{self, ModelFields};
use super::frames::{Frame, Frames};
use super::gathered::Gathered;
use super::{FORMAT, citation, usage, wire};
use crate::dialect::{DecodeError, End, StreamDecoder};
use crate::exchange::Exchange;

/// More blocks than this are never open at once; the provider opens one at a time.
const MAX_OPEN_BLOCKS: usize = 64;

/// The decoder of one streamed answer. Converse's answers have one choice.
#[derive(Debug)]
pub(super) struct Decoder {
    exchange: Exchange,
    frames: Frames,
    blocks: BTreeMap<u32, Block>,
    /// How many tool calls of the caller's began.
    calls: u32,
    /// Characters of text so far, which citations are counted in.
    characters: usize,
    /// Whether the tool that carries the structured answer was called.
    answered: bool,
    started: bool,
    /// The end, which is told after what comes with the usage.
    finish: Option<Finish>,
    is_over: bool,
}

/// A content block that is open.
#[derive(Debug)]
enum Block {
    Text {
        start: usize,
        citations: Vec<Value>,
    },
    Call {
        call: u32,
        is_empty: bool,
    },
    /// The tool that carries the structured answer.
    Answer {
        is_empty: bool,
    },
    /// It is put together and kept.
    Unknown(Gathered),
    /// Its steps are kept one by one.
    Foreign,
}

impl Decoder {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            frames: Frames::default(),
            blocks: BTreeMap::new(),
            calls: 0,
            characters: 0,
            answered: false,
            started: false,
            finish: None,
            is_over: false,
        }
    }

    fn frame(&mut self, frame: Frame, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let (name, payload) = match frame {
            Frame::Event { name, payload } => (name, payload),
            Frame::Failure(error) => {
                self.is_over = true;
                events.push(ChatEvent::Error(error));
                return Ok(());
            }
        };
        if !std::mem::replace(&mut self.started, true) {
            events.push(ChatEvent::Start {
                id: None,
                model: None,
            });
        }
        match name.as_str() {
            "messageStart" => Ok(()),
            "contentBlockStart" => self.start_block(&payload, events),
            "contentBlockDelta" => self.step(&payload, events),
            "contentBlockStop" => {
                let stop: wire::BlockStop = read(&payload)?;
                self.stop_block(stop.content_block_index, events);
                Ok(())
            }
            "messageStop" => self.stop_message(&payload, events),
            "metadata" => self.metadata(&payload, events),
            _ => {
                events.push(unknown(&name, &payload)?);
                Ok(())
            }
        }
    }

    fn open(&mut self, index: u32, block: Block) -> Result<(), DecodeError> {
        if self.blocks.len() >= MAX_OPEN_BLOCKS {
            let problem = "the stream opens blocks and does not close them".to_owned();
            return Err(DecodeError::Malformed(problem));
        }
        self.blocks.insert(index, block);
        Ok(())
    }

    fn start_block(
        &mut self,
        payload: &[u8],
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let begun: wire::BlockStart = read(payload)?;
        let block = match begun.start.tool_use {
            Some(tool_use @ wire::ToolUse { kind: None, .. }) => self.start_call(tool_use, events),
            Some(_) | None => {
                if let Some(gathered) = Gathered::begin(read(payload)?) {
                    Block::Unknown(gathered)
                } else {
                    events.push(unknown("contentBlockStart", payload)?);
                    Block::Foreign
                }
            }
        };
        self.open(begun.content_block_index, block)
    }

    fn start_call(&mut self, tool_use: wire::ToolUse, events: &mut Vec<ChatEvent>) -> Block {
        if self.exchange.answer_tool.as_ref() == Some(&tool_use.name) {
            self.answered = true;
            return Block::Answer { is_empty: true };
        }
        let call = self.calls;
        self.calls += 1;
        events.push(ChatEvent::ToolCallStart {
            choice: 0,
            call,
            id: tool_use.id,
            name: self.exchange.tool_name(&tool_use.name).to_owned(),
            signature: None,
        });
        Block::Call {
            call,
            is_empty: true,
        }
    }

    /// One step of a block. Blocks of text and thoughts are not begun by an event of their own. A step
    /// that does not fit its block, or that is not known, is kept.
    fn step(&mut self, payload: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let wire::BlockDelta {
            delta,
            content_block_index: index,
        } = read(payload)?;
        match (delta, self.blocks.get_mut(&index)) {
            (_, Some(Block::Unknown(gathered))) => gathered.step(read(payload)?)?,
            (
                wire::Delta {
                    tool_use: Some(step),
                    ..
                },
                Some(Block::Call { call, is_empty }),
            ) => {
                if !step.input.is_empty() {
                    *is_empty = false;
                    let call = *call;
                    events.push(ChatEvent::ToolCallArguments {
                        choice: 0,
                        call,
                        fragment: step.input,
                    });
                }
            }
            (
                wire::Delta {
                    tool_use: Some(step),
                    ..
                },
                Some(Block::Answer { is_empty }),
            ) => {
                *is_empty &= step.input.is_empty();
                self.push_text(step.input, events);
            }
            (
                wire::Delta {
                    text: Some(text), ..
                },
                None | Some(Block::Text { .. }),
            ) => {
                self.text_block(index)?;
                self.push_text(text, events);
            }
            (
                wire::Delta {
                    citation: Some(cited),
                    ..
                },
                None | Some(Block::Text { .. }),
            ) => self.text_block(index)?.push(cited),
            (
                wire::Delta {
                    reasoning_content: Some(step),
                    ..
                },
                None,
            ) => push_thought(step, events),
            _ => events.push(unknown("contentBlockDelta", payload)?),
        }
        Ok(())
    }

    /// The citations of the text block that is open at this index, or is opened now.
    fn text_block(&mut self, index: u32) -> Result<&mut Vec<Value>, DecodeError> {
        if !self.blocks.contains_key(&index) {
            let start = self.characters;
            let citations = Vec::new();
            self.open(index, Block::Text { start, citations })?;
        }
        match self.blocks.get_mut(&index) {
            Some(Block::Text { citations, .. }) => Ok(citations),
            _ => Err(DecodeError::Malformed(
                "a step of the stream does not fit its block".to_owned(),
            )),
        }
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
            Some(Block::Call { call, is_empty }) => {
                if is_empty {
                    events.push(ChatEvent::ToolCallArguments {
                        choice: 0,
                        call,
                        fragment: "{}".to_owned(),
                    });
                }
                events.push(ChatEvent::ToolCallEnd { choice: 0, call });
            }
            Some(Block::Answer { is_empty: true }) => self.push_text("{}".to_owned(), events),
            Some(Block::Unknown(gathered)) => events.extend(gathered.finish().map(kept)),
            Some(Block::Answer { is_empty: false } | Block::Foreign) | None => {}
        }
    }

    fn stop_message(
        &mut self,
        payload: &[u8],
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let stop: wire::MessageStop = read(payload)?;
        if self.finish.is_some() || self.is_over {
            return Ok(());
        }
        // A block that was not closed ends here at the latest.
        for index in self.blocks.keys().copied().collect::<Vec<_>>() {
            self.stop_block(index, events);
        }
        let own = stop.additional_model_response_fields;
        let own = own.map_or_else(ModelFields::default, |raw| ModelFields::of(&raw));
        if let Some(rest) = own.rest {
            let fields = Extensions::from([("additionalModelResponseFields".to_owned(), rest)]);
            events.extend(to_raw_value(&fields).ok().map(kept));
        }
        let answered_by_tool = self.answered && self.calls == 0;
        self.finish = Some(decode::finish(
            stop.stop_reason,
            own.stop_sequence,
            answered_by_tool,
        ));
        Ok(())
    }

    /// The usage, and what else is told of the answer, which is kept.
    fn metadata(&mut self, payload: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let mut fields: Extensions = read(payload)?;
        if let Some(native) = fields.remove("usage") {
            let usage = usage::read(native.get().as_bytes())?;
            events.push(ChatEvent::Usage(usage));
        }
        if let Some(tier) = fields.get("serviceTier").and_then(|raw| decode::tier(raw)) {
            fields.remove("serviceTier");
            events.push(ChatEvent::ServiceTier(tier));
        }
        // Filler that hides the length of what is streamed.
        fields.remove("p");
        fields.retain(|_, value| value.get() != "null");
        // How long it took alone is no reason for an event; every answer would have one.
        let says_more = fields.keys().any(|name| name != "metrics");
        if says_more && !self.is_over {
            let fields = BTreeMap::from([("metadata", fields)]);
            events.extend(to_raw_value(&fields).ok().map(kept));
        }
        self.end(events);
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<ChatEvent>) {
        if let Some(finish) = self.finish.take() {
            self.is_over = true;
            events.push(ChatEvent::Finish { choice: 0, finish });
        }
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
        self.frames.push(bytes);
        while !self.is_over
            && let Some(frame) = self.frames.next_frame()?
        {
            self.frame(frame, events)?;
        }
        Ok(())
    }

    fn finish(&mut self, end: End, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        self.end(events);
        if self.is_over {
            return Ok(());
        }
        self.is_over = true;
        Err(self.frames.interrupted(end))
    }
}

fn push_thought(step: wire::ReasoningDelta, events: &mut Vec<ChatEvent>) {
    let present = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let Some(text) = present(step.text) {
        events.push(ChatEvent::Reasoning { choice: 0, text });
    }
    if let Some(signature) = present(step.signature) {
        events.push(ChatEvent::ReasoningSignature {
            choice: 0,
            signature,
        });
    }
    if let Some(data) = present(step.redacted_content) {
        events.push(ChatEvent::RedactedReasoning { choice: 0, data });
    }
}

/// An event that is not known, under its name.
fn unknown(name: &str, payload: &[u8]) -> Result<ChatEvent, DecodeError> {
    let mut value: Value = read(payload)?;
    if let Some(fields) = value.as_object_mut() {
        fields.remove("p");
    }
    let named = serde_json::Map::from_iter([(name.to_owned(), value)]);
    to_raw_value(&named)
        .map(kept)
        .map_err(|problem| DecodeError::Malformed(problem.to_string()))
}

/// What is not known is kept, on one line, so that it may go into another event stream.
fn kept(raw: Box<RawValue>) -> ChatEvent {
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

fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(payload).map_err(|problem| {
        DecodeError::Malformed(format!("an event of the stream is not readable: {problem}"))
    })
}
