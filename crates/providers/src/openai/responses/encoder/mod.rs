//! Renders events as a stream of this format's events
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>).
//!
//! Messages and thoughts come one after the other; calls stay open until they are complete, so that calls
//! which a provider writes side by side need no waiting.

mod calls;
mod events;
mod thoughts;
mod words;

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use domain::chat::{ChatEvent, Finish, Reasoning};
use domain::problem::Problem;
use domain::usage::{ServiceTier, Usage};
use serde_json::Value;
use serde_json::value::RawValue;

pub(super) use self::events::failure_of;
pub(super) use self::events::problem_fields;
use self::words::Kind;
use super::super::encoder::HEARTBEAT;
use super::answer::{self, Frame};
use super::custody::Sealed;
use super::items::{self, Item, Status};
use super::words::FORMAT;
use crate::face::{Rendering, StreamEncoder};

/// Renders one stream.
pub(super) struct EventEncoder {
    frame: Frame,
    begun: bool,
    failed: bool,
    /// The number of the next event.
    sequence: u64,
    items: Vec<Item>,
    open: Open,
    /// The calls that are open, by choice and number.
    calls: BTreeMap<(u32, u32), OpenCall>,
    has_refusal: bool,
    finish: Option<Finish>,
    usage: Option<Usage>,
    tier: Option<ServiceTier>,
}

/// What is being said.
enum Open {
    Nothing,
    /// The words of a choice, in the item at `place`; the last part is open.
    Message {
        choice: u32,
        place: usize,
    },
    /// A thought of a choice, in the item at `place`.
    Thought {
        choice: u32,
        place: usize,
        thought: Reasoning,
    },
}

struct OpenCall {
    place: usize,
    is_custom: bool,
    arguments: String,
}

impl EventEncoder {
    pub(super) fn new(rendering: &Rendering) -> Self {
        Self {
            frame: Frame::new(rendering, None),
            begun: false,
            failed: false,
            sequence: 0,
            items: Vec::new(),
            open: Open::Nothing,
            calls: BTreeMap::new(),
            has_refusal: false,
            finish: None,
            usage: None,
            tier: None,
        }
    }

    /// Ends what is being said.
    fn shut(&mut self, status: Status, out: &mut BytesMut) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Message { place, .. } => {
                self.end_part(place, out);
                self.done(place, status, out);
            }
            Open::Thought { place, thought, .. } => self.end_thought(place, thought, out),
        }
    }

    fn unknown(&mut self, format: &'static str, raw: &RawValue, out: &mut BytesMut) {
        let raw = items::on_one_line(raw).into_owned();
        if format != FORMAT {
            return self.seal(&Sealed::Block { format, raw }, out);
        }
        self.shut(Status::Completed, out);
        let place = self.add(Item::Raw(raw), out);
        self.item("response.output_item.done", place, out);
    }

    /// Ends everything that is open.
    fn end(&mut self, status: Status, out: &mut BytesMut) {
        self.shut(status, out);
        let open: Vec<(u32, u32)> = self.calls.keys().copied().collect();
        for number in open {
            self.end_call(number, status, out);
        }
    }

    fn close_choice(&mut self, choice: u32, finish: &Finish, out: &mut BytesMut) {
        let is_whole = answer::ending(Some(finish), self.has_refusal).0 == "completed";
        let status = if is_whole {
            Status::Completed
        } else {
            Status::Incomplete
        };
        if let Open::Message { choice: open, .. } | Open::Thought { choice: open, .. } = self.open
            && open == choice
        {
            self.shut(status, out);
        }
        let mut open: Vec<(u32, u32)> = self.calls.keys().copied().collect();
        open.retain(|(of, _)| *of == choice);
        for number in open {
            self.end_call(number, status, out);
        }
        self.finish.get_or_insert_with(|| finish.clone());
    }
}

impl StreamEncoder for EventEncoder {
    fn push(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        match event {
            ChatEvent::Start { model, .. } => {
                if !self.begun {
                    self.frame.answered_by(model.as_deref());
                    self.begin(out);
                }
                return;
            }
            ChatEvent::Ping => {
                out.put_slice(HEARTBEAT);
                return;
            }
            ChatEvent::Usage(usage) => {
                self.usage = Some(*usage);
                return;
            }
            ChatEvent::ServiceTier(tier) => {
                self.tier = Some(*tier);
                return;
            }
            // The gateway tells it through `fail`, as a problem of its own.
            ChatEvent::Error(_) => return,
            _ => self.begin(out),
        }
        match event {
            ChatEvent::Text { choice, text } => self.words(*choice, Kind::Text, text, out),
            ChatEvent::Refusal { choice, text } => {
                self.has_refusal = true;
                self.words(*choice, Kind::Refusal, text, out);
            }
            ChatEvent::Reasoning { choice, text } => self.reasoning(*choice, text, out),
            ChatEvent::ReasoningSignature { choice, signature } => {
                self.sign(*choice, signature, out);
            }
            ChatEvent::RedactedReasoning { data, .. } => self.redacted(data, out),
            ChatEvent::ToolCallStart {
                choice,
                call,
                id,
                name,
                signature,
            } => self.call((*choice, *call), id, name, signature.as_deref(), out),
            ChatEvent::ToolCallArguments {
                choice,
                call,
                fragment,
            } => self.arguments((*choice, *call), fragment, out),
            ChatEvent::ToolCallEnd { choice, call } => {
                self.end_call((*choice, *call), Status::Completed, out);
            }
            ChatEvent::Logprobs { choice, raw } => self.logprobs(*choice, raw, out),
            ChatEvent::Annotation { choice, annotation } => {
                self.annotate(*choice, annotation, out);
            }
            ChatEvent::Unknown { format, raw, .. } => self.unknown(format, raw, out),
            ChatEvent::Finish { choice, finish } => self.close_choice(*choice, finish, out),
            ChatEvent::Start { .. }
            | ChatEvent::Usage(_)
            | ChatEvent::ServiceTier(_)
            | ChatEvent::Ping
            | ChatEvent::Error(_) => {}
        }
    }

    fn fail(&mut self, problem: &Problem, out: &mut BytesMut) {
        if self.failed {
            return;
        }
        self.begin(out);
        self.failed = true;
        self.end(Status::Incomplete, out);
        self.event("error", out);
        problem_fields(problem, out);
        let error = failure_of(problem);
        self.lifecycle("response.failed", "failed", None, Some(error), None, out);
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        if self.failed {
            return;
        }
        self.begin(out);
        let finish = self.finish.take();
        let (status, incomplete) = answer::ending(finish.as_ref(), self.has_refusal);
        self.end(Status::Incomplete, out);
        let (kind, error) = match status {
            "completed" => ("response.completed", None),
            "incomplete" => ("response.incomplete", None),
            _ => ("response.failed", Some(answer::failure(finish.as_ref()))),
        };
        self.lifecycle(kind, status, incomplete, error, report, out);
    }
}
