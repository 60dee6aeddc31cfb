//! Renders events as a stream of this format.
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>
//!
//! Here one block follows the other, while the events of other providers interleave. The blocks stand in a
//! queue: what the first one says is written at once; what a later one says waits until those before it
//! are closed.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::{BufMut, BytesMut};
use domain::chat::{Annotation, ChatEvent, Finish, FinishReason};
use domain::problem::Problem;
use domain::usage::{ServiceTier, Usage};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::FORMAT;
use super::blocks::{self, Block, Delta, Event, Foreign, PING, Started, Stop};
use super::usage::Shown;
use super::{custody, problem, render};
use crate::face::{Rendering, StreamEncoder};

/// Renders one stream.
pub(super) struct MessageEncoder {
    rendering: Rendering,
    id: Option<String>,
    model: Option<String>,
    tier: Option<ServiceTier>,
    usage: Option<Usage>,
    has_begun: bool,
    queue: VecDeque<Pending>,
    /// How many blocks there were.
    blocks: u32,
    /// The text so far, which citations are over.
    said: String,
    /// Length of thoughts and arguments so far, in bytes.
    other_bytes: usize,
    has_refused: bool,
    finish: Option<Finish>,
    foreign: Vec<Foreign<'static>>,
    is_over: bool,
}

/// A block that is not closed.
struct Pending {
    index: u32,
    kind: Kind,
    /// What was written of it while others stood before it.
    written: BytesMut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking {
        is_signed: bool,
    },
    Call {
        call: u32,
        has_arguments: bool,
        has_ended: bool,
    },
    /// A block that was whole from the beginning.
    Whole,
}

impl Kind {
    /// Whether nothing will be added once another block has begun.
    fn is_closable(self) -> bool {
        !matches!(
            self,
            Self::Call {
                has_ended: false,
                ..
            }
        )
    }

    /// Whether nothing will be added.
    fn is_complete(self) -> bool {
        match self {
            Self::Call { has_ended, .. } => has_ended,
            Self::Whole => true,
            Self::Text | Self::Thinking { .. } => false,
        }
    }
}

impl MessageEncoder {
    pub(super) fn new(rendering: &Rendering) -> Self {
        Self {
            rendering: rendering.clone(),
            id: None,
            model: None,
            tier: None,
            usage: None,
            has_begun: false,
            queue: VecDeque::new(),
            blocks: 0,
            said: String::new(),
            other_bytes: 0,
            has_refused: false,
            finish: None,
            foreign: Vec::new(),
            is_over: false,
        }
    }

    /// Writes the beginning, once: not before there is something to say, so that a target that fails
    /// before can be replaced by another.
    fn begin(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let estimate = self.rendering.estimated_input_tokens;
        let start = Event::MessageStart {
            message: Started {
                id: &render::identifier(self.id.as_deref(), &self.rendering),
                kind: "message",
                role: "assistant",
                model: self.model.as_deref().unwrap_or(&self.rendering.model),
                content: [],
                stop_reason: (),
                stop_sequence: (),
                usage: Shown::beginning(self.usage.as_ref(), self.tier, estimate),
            },
        };
        start.write(out);
    }

    /// Opens a block behind the others.
    fn open(&mut self, kind: Kind, content_block: Block<'_>, out: &mut BytesMut) {
        self.begin(out);
        let index = self.blocks;
        self.blocks += 1;
        let start = Event::ContentBlockStart {
            index,
            content_block,
        };
        let mut written = BytesMut::new();
        if self.queue.is_empty() {
            start.write(out);
        } else {
            start.write(&mut written);
        }
        self.queue.push_back(Pending {
            index,
            kind,
            written,
        });
        self.advance(out);
    }

    /// Closes the blocks at the front that are over, and writes what waited behind them.
    fn advance(&mut self, out: &mut BytesMut) {
        while let Some(first) = self.queue.front() {
            let is_over =
                first.kind.is_complete() || (self.queue.len() > 1 && first.kind.is_closable());
            if !is_over {
                return;
            }
            if let Some(first) = self.queue.pop_front() {
                Event::ContentBlockStop { index: first.index }.write(out);
            }
            if let Some(next) = self.queue.front_mut() {
                out.unsplit(next.written.split());
            }
        }
    }

    /// Writes a step of the block at this place of the queue.
    fn step(&mut self, place: usize, delta: Delta<'_>, out: &mut BytesMut) {
        if let Some(pending) = self.queue.get_mut(place) {
            let index = pending.index;
            let sink = if place == 0 {
                out
            } else {
                &mut pending.written
            };
            Event::ContentBlockDelta { index, delta }.write(sink);
        }
    }

    fn last(&self) -> Option<Kind> {
        self.queue.back().map(|pending| pending.kind)
    }

    fn text(&mut self, text: &str, out: &mut BytesMut) {
        self.said.push_str(text);
        self.open_text(out);
        self.step(self.queue.len() - 1, Delta::Text { text }, out);
    }

    fn open_text(&mut self, out: &mut BytesMut) {
        if self.last() != Some(Kind::Text) {
            let block = Block::Text {
                text: "",
                citations: Vec::new(),
            };
            self.open(Kind::Text, block, out);
        }
    }

    fn thinking(&mut self, out: &mut BytesMut) {
        if self.last() != Some(Kind::Thinking { is_signed: false }) {
            let block = Block::Thinking {
                thinking: "",
                signature: "",
            };
            self.open(Kind::Thinking { is_signed: false }, block, out);
        }
    }

    /// A signature belongs to the thought that is open; over a text it is Gemini's, and travels in a
    /// block of our own.
    fn signature(&mut self, signature: &str, out: &mut BytesMut) {
        if self.last() == Some(Kind::Text) {
            let data = Cow::Owned(custody::of_text(signature));
            return self.open(Kind::Whole, Block::RedactedThinking { data }, out);
        }
        self.thinking(out);
        self.step(self.queue.len() - 1, Delta::Signature { signature }, out);
        if let Some(last) = self.queue.back_mut() {
            last.kind = Kind::Thinking { is_signed: true };
        }
    }

    fn open_call(&mut self, call: u32, id: &str, name: &str, out: &mut BytesMut) {
        let kind = Kind::Call {
            call,
            has_arguments: false,
            has_ended: false,
        };
        let block = Block::ToolUse {
            id,
            name,
            input: blocks::no_input(),
        };
        self.open(kind, block, out);
    }

    /// Where in the queue a call stands.
    fn place_of(&self, wanted: u32) -> Option<usize> {
        let is_wanted =
            |pending: &Pending| matches!(pending.kind, Kind::Call { call, .. } if call == wanted);
        self.queue.iter().position(is_wanted)
    }

    fn arguments(&mut self, call: u32, partial_json: &str, out: &mut BytesMut) {
        self.other_bytes += partial_json.len();
        let Some(place) = self.place_of(call) else {
            return;
        };
        self.step(place, Delta::Input { partial_json }, out);
        if let Some(Pending {
            kind: Kind::Call { has_arguments, .. },
            ..
        }) = self.queue.get_mut(place)
        {
            *has_arguments = true;
        }
    }

    /// A call without arguments says so in one step, as the clients of this format expect.
    fn end_call(&mut self, call: u32, out: &mut BytesMut) {
        let Some(place) = self.place_of(call) else {
            return;
        };
        if let Some(Pending {
            kind:
                Kind::Call {
                    has_arguments: false,
                    ..
                },
            ..
        }) = self.queue.get(place)
        {
            self.step(place, Delta::Input { partial_json: "{}" }, out);
        }
        if let Some(Pending {
            kind: Kind::Call { has_ended, .. },
            ..
        }) = self.queue.get_mut(place)
        {
            *has_ended = true;
        }
        self.advance(out);
    }

    fn annotation(&mut self, annotation: &Annotation, out: &mut BytesMut) {
        if let Some(citation) = blocks::citation(annotation, &self.said) {
            self.open_text(out);
            self.step(self.queue.len() - 1, Delta::Citation { citation }, out);
        }
    }

    /// A block of this format is given back as it came; what only another format knows is told at the end.
    fn unknown(&mut self, format: &'static str, raw: &RawValue, out: &mut BytesMut) {
        if format == FORMAT && is_block(raw) {
            self.open(Kind::Whole, Block::Raw(raw), out);
        } else {
            self.foreign.push(Foreign {
                format,
                raw: Cow::Owned(raw.to_owned()),
            });
        }
    }

    /// Closes every block; an answer of none gets an empty text.
    fn close(&mut self, out: &mut BytesMut) {
        let calls: Vec<u32> = self
            .queue
            .iter()
            .filter_map(|pending| match pending.kind {
                Kind::Call { call, .. } => Some(call),
                _ => None,
            })
            .collect();
        for call in calls {
            self.end_call(call, out);
        }
        if self.blocks == 0 {
            self.open_text(out);
        }
        if let Some(last) = self.queue.back_mut() {
            last.kind = Kind::Whole;
        }
        self.advance(out);
    }

    fn shown_usage(&self) -> Shown {
        if let Some(usage) = &self.usage {
            return Shown::counted(usage, self.tier);
        }
        let bytes = (self.said.len() + self.other_bytes) as u64;
        Shown::estimated(self.rendering.estimated_input_tokens, bytes.div_ceil(4))
    }
}

/// An event that the decoder did not know is kept beside the blocks that it did not know.
fn is_block(raw: &RawValue) -> bool {
    let tagged: Result<super::super::wire::Tagged<'_>, _> = serde_json::from_str(raw.get());
    tagged.is_ok_and(|tagged| {
        !tagged.kind.is_empty()
            && !["content_block_", "message_"]
                .iter()
                .any(|event| tagged.kind.starts_with(event))
    })
}

impl StreamEncoder for MessageEncoder {
    fn push(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        match event {
            ChatEvent::Start { id, model } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            ChatEvent::Text { choice: 0, text } => self.text(text, out),
            ChatEvent::Refusal { choice: 0, text } => {
                self.has_refused = true;
                self.text(text, out);
            }
            ChatEvent::Reasoning { choice: 0, text } => {
                self.other_bytes += text.len();
                self.thinking(out);
                self.step(
                    self.queue.len() - 1,
                    Delta::Thinking { thinking: text },
                    out,
                );
            }
            ChatEvent::ReasoningSignature {
                choice: 0,
                signature,
            } => self.signature(signature, out),
            ChatEvent::RedactedReasoning { choice: 0, data } => {
                let data = Cow::Borrowed(data.as_str());
                self.open(Kind::Whole, Block::RedactedThinking { data }, out);
            }
            ChatEvent::ToolCallStart {
                choice: 0,
                call,
                id,
                name,
                signature,
            } => {
                if let Some(signature) = signature {
                    let data = Cow::Owned(custody::of_call(id, signature));
                    self.open(Kind::Whole, Block::RedactedThinking { data }, out);
                }
                self.open_call(*call, id, name, out);
            }
            ChatEvent::ToolCallArguments {
                choice: 0,
                call,
                fragment,
            } => self.arguments(*call, fragment, out),
            ChatEvent::ToolCallEnd { choice: 0, call } => self.end_call(*call, out),
            ChatEvent::Annotation {
                choice: 0,
                annotation,
            } => self.annotation(annotation, out),
            ChatEvent::Unknown {
                choice: 0,
                format,
                raw,
            } => self.unknown(format, raw, out),
            ChatEvent::Finish { choice: 0, finish } => {
                self.close(out);
                self.finish = Some(finish.clone());
            }
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::ServiceTier(tier) => self.tier = Some(*tier),
            // Nothing may stand before the beginning.
            ChatEvent::Ping if self.has_begun => out.put_slice(PING),
            // More than one choice cannot be asked for, nor probabilities. The gateway tells an error
            // through `fail`, as a problem of its own.
            _ => {}
        }
    }

    fn fail(&mut self, problem: &Problem, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.is_over, true) {
            let request_id = problem.request_id.map(|id| id.to_string());
            let request_id = request_id.as_deref().unwrap_or(&self.rendering.id);
            problem::event(problem, request_id, out);
        }
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.close(out);
        let unfinished = Finish {
            reason: FinishReason::Error,
            native: String::new(),
            stop_sequence: None,
        };
        let finish = self.finish.as_ref().unwrap_or(&unfinished);
        let end = Event::MessageDelta {
            delta: Stop::of(finish, self.has_refused),
            usage: self.shown_usage(),
            provider_content: &self.foreign,
            trunkline: report,
        };
        end.write(out);
        Event::MessageStop.write(out);
    }
}
