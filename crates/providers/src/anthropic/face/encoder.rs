//! Renders events as a stream of this format.
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use domain::chat::{Annotation, ChatEvent, Finish, FinishReason};
use domain::problem::Problem;
use domain::usage::{ServiceTier, Usage};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::FORMAT;
use super::blocks::{self, Block, Delta, Event, Foreign, PING, Started, Stop};
use super::queue::{BlockQueue, Kind};
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
    blocks: BlockQueue,
    /// The signature over the text that was written last, until something follows it.
    text_seal: Option<String>,
    /// The text so far, which citations are over.
    said: String,
    /// Length of thoughts and arguments so far, in bytes.
    other_bytes: usize,
    has_refused: bool,
    finish: Option<Finish>,
    foreign: Vec<Foreign<'static>>,
    is_over: bool,
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
            blocks: BlockQueue::default(),
            text_seal: None,
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

    fn open(&mut self, kind: Kind, block: Block<'_>, out: &mut BytesMut) {
        self.begin(out);
        if let Some(signature) = self.text_seal.take() {
            let data = Cow::Owned(custody::of_text(&signature));
            let seal = Block::RedactedThinking { data };
            self.blocks.open(Kind::Whole, seal, out);
        }
        self.blocks.open(kind, block, out);
    }

    fn text(&mut self, text: &str, out: &mut BytesMut) {
        self.said.push_str(text);
        self.open_text(out);
        self.blocks.step(Delta::Text { text }, out);
    }

    fn open_text(&mut self, out: &mut BytesMut) {
        if self.blocks.last() != Some(Kind::Text) || self.text_seal.is_some() {
            let block = Block::Text {
                text: "",
                citations: Vec::new(),
            };
            self.open(Kind::Text, block, out);
        }
    }

    fn thinking(&mut self, thinking: &str, out: &mut BytesMut) {
        self.other_bytes += thinking.len();
        self.open_thinking(out);
        self.blocks.step(Delta::Thinking { thinking }, out);
    }

    fn open_thinking(&mut self, out: &mut BytesMut) {
        if self.blocks.last() != Some(Kind::Thinking) {
            let block = Block::Thinking {
                thinking: "",
                signature: "",
            };
            self.open(Kind::Thinking, block, out);
        }
    }

    /// A signature belongs to the thought that is open; over a text it is Gemini's, and travels in a
    /// block of our own, unless the answer ends with the text (see [`custody`]).
    fn signature(&mut self, signature: &str, out: &mut BytesMut) {
        if self.blocks.last() == Some(Kind::Text) {
            self.text_seal = Some(signature.to_owned());
            return;
        }
        self.open_thinking(out);
        self.blocks.sign(signature, out);
    }

    fn open_call(
        &mut self,
        call: u32,
        (id, name): (&str, &str),
        signature: Option<&str>,
        out: &mut BytesMut,
    ) {
        if let Some(signature) = signature {
            let data = Cow::Owned(custody::of_call(id, signature));
            self.open(Kind::Whole, Block::RedactedThinking { data }, out);
        }
        let block = Block::ToolUse {
            id,
            name,
            input: blocks::no_input(),
        };
        self.open(Kind::call(call), block, out);
    }

    fn annotation(&mut self, annotation: &Annotation, out: &mut BytesMut) {
        let Some(citation) = blocks::citation(annotation, &self.said) else {
            return self.foreign.push(Foreign::citation(annotation));
        };
        self.open_text(out);
        self.blocks.step(Delta::Citation { citation }, out);
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
        if self.blocks.is_untouched() {
            self.open_text(out);
        }
        self.blocks.close(out);
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
            ChatEvent::Reasoning { choice: 0, text } => self.thinking(text, out),
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
            } => self.open_call(*call, (id, name), signature.as_deref(), out),
            ChatEvent::ToolCallArguments {
                choice: 0,
                call,
                fragment,
            } => {
                self.other_bytes += fragment.len();
                self.blocks.arguments(*call, fragment, out);
            }
            ChatEvent::ToolCallEnd { choice: 0, call } => self.blocks.end_call(*call, out),
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

#[cfg(test)]
mod tests {
    use domain::chat::{ChatEvent, FinishReason};

    use super::*;
    use crate::anthropic::fuzz::render;

    /// The types of the blocks of an answer, as a stream and as a whole.
    fn blocks(events: &[ChatEvent]) -> (Vec<String>, Vec<String>) {
        let (out, whole) = render(events);
        let kind = |block: &Value| block["type"].as_str().unwrap().to_owned();
        let streamed = std::str::from_utf8(&out).unwrap().lines();
        let streamed = streamed.filter_map(|line| line.strip_prefix("data: "));
        let streamed = streamed.map(|data| serde_json::from_str::<Value>(data).unwrap());
        let streamed = streamed.filter(|event| event["type"] == "content_block_start");
        let streamed = streamed
            .map(|event| kind(&event["content_block"]))
            .collect();
        let whole = whole["content"].as_array().unwrap().iter().map(kind);
        (streamed, whole.collect())
    }

    #[test]
    fn a_signature_over_a_text_travels_unless_the_text_is_the_last_word() {
        let signed = [
            ChatEvent::Text {
                choice: 0,
                text: "I look.".to_owned(),
            },
            ChatEvent::ReasoningSignature {
                choice: 0,
                signature: "c2ln".to_owned(),
            },
        ];
        let finish = ChatEvent::Finish {
            choice: 0,
            finish: Finish {
                reason: FinishReason::Stop,
                native: "STOP".to_owned(),
                stop_sequence: None,
            },
        };
        let called = [
            ChatEvent::ToolCallStart {
                choice: 0,
                call: 0,
                id: "c1".to_owned(),
                name: "look".to_owned(),
                signature: None,
            },
            ChatEvent::ToolCallEnd { choice: 0, call: 0 },
        ];
        let ends = [signed.as_slice(), std::slice::from_ref(&finish)].concat();
        let (streamed, whole) = blocks(&ends);
        assert_eq!(streamed, ["text"]);
        assert_eq!(whole, ["text"]);
        let goes_on = [signed.as_slice(), &called, &[finish]].concat();
        let (streamed, whole) = blocks(&goes_on);
        assert_eq!(streamed, ["text", "redacted_thinking", "tool_use"]);
        assert_eq!(whole, streamed);
    }
}
