//! Renders events as a stream of Cohere's events. <https://docs.cohere.com/v2/docs/streaming>
//!
//! Blocks never overlap: a block of content is closed before another or a tool call is opened, and what
//! comes while a call is being written waits until the call is complete.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, BytesMut};
use domain::chat::{ChatEvent, Finish};
use domain::problem::Problem;
use domain::usage::Usage;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::billing::Shown;
use super::events::{self, EndDelta, Kind, MessageEnd, Piece, write};
use super::render::{self, Call, CalledFunction, ExtraContent, Foreign};
use super::{citation, logprobs};
use crate::face::{Rendering, StreamEncoder};

/// What ends every stream; clients stop reading at it.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// What keeps an idle stream open.
pub(super) const HEARTBEAT: &[u8] = b": keep-alive\n\n";

/// Renders one stream.
pub(super) struct EventEncoder {
    rendering: Rendering,
    is_begun: bool,
    is_failed: bool,
    /// The block of content that is open, and how many there were.
    block: Option<Kind>,
    blocks: u32,
    /// Whether the block that is open was signed.
    is_signed: bool,
    /// What waits, in its order: the first is the call that is being written.
    waiting: VecDeque<Waiting>,
    /// What is known of the calls that wait, by the domain's number.
    open: BTreeMap<u32, OpenCall>,
    /// How many calls were written.
    calls: u32,
    citations: u32,
    foreign: Vec<(&'static str, Box<RawValue>)>,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

/// What cannot be written yet.
enum Waiting {
    Call(u32),
    Content(ChatEvent),
}

/// A call of which something is not written yet.
#[derive(Default)]
struct OpenCall {
    id: String,
    name: String,
    signature: Option<String>,
    /// What came and is not written.
    arguments: String,
    is_begun: bool,
    has_arguments: bool,
    is_complete: bool,
}

impl EventEncoder {
    pub(super) fn new(rendering: &Rendering) -> Self {
        Self {
            rendering: rendering.clone(),
            is_begun: false,
            is_failed: false,
            block: None,
            blocks: 0,
            is_signed: false,
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            calls: 0,
            citations: 0,
            foreign: Vec::new(),
            finish: None,
            usage: None,
        }
    }

    fn begin(&mut self, id: Option<&str>, out: &mut BytesMut) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        let id = id.filter(|id| !id.is_empty()).unwrap_or(&self.rendering.id);
        let message = json!({
            "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [],
        });
        write(
            "message-start",
            &json!({"id": id, "type": "message-start", "delta": {"message": message}}),
            out,
        );
    }

    /// Opens a block of this kind unless it is open.
    fn open_block(&mut self, kind: Kind, out: &mut BytesMut) {
        self.begin(None, out);
        if self.block == Some(kind) {
            return;
        }
        self.close_block(out);
        self.block = Some(kind);
        let field = kind.field();
        let content = json!({"type": field, field: ""});
        let index = self.blocks;
        write(
            "content-start",
            &json!({"type": "content-start", "index": index, "delta": {"message": {"content": content}}}),
            out,
        );
    }

    fn close_block(&mut self, out: &mut BytesMut) {
        self.is_signed = false;
        if self.block.take().is_some() {
            let index = self.blocks;
            write(
                "content-end",
                &json!({"type": "content-end", "index": index}),
                out,
            );
            self.blocks += 1;
        }
    }

    fn content(&mut self, kind: Kind, piece: Piece<'_>, out: &mut BytesMut) {
        self.open_block(kind, out);
        events::write_content(self.blocks, piece, None, out);
    }

    /// Writes what waits, up to the call that is not complete.
    fn write_waiting(&mut self, out: &mut BytesMut) {
        while let Some(first) = self.waiting.pop_front() {
            match first {
                Waiting::Content(event) => self.content_event(&event, out),
                Waiting::Call(number) => {
                    if !self.write_call(number, out) {
                        self.waiting.push_front(Waiting::Call(number));
                        return;
                    }
                    self.open.remove(&number);
                    self.calls += 1;
                }
            }
        }
    }

    /// Writes what is known of a call; whether it is complete.
    fn write_call(&mut self, number: u32, out: &mut BytesMut) -> bool {
        self.begin(None, out);
        self.close_block(out);
        let index = self.calls;
        let Some(open) = self.open.get_mut(&number) else {
            return true;
        };
        if !std::mem::replace(&mut open.is_begun, true) {
            let call = Call {
                id: &open.id,
                kind: "function",
                function: CalledFunction {
                    name: &open.name,
                    arguments: "",
                },
                extra_content: open.signature.as_deref().map(ExtraContent::signed),
            };
            let step = json!({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": call}}});
            write("tool-call-start", &step, out);
        }
        if open.is_complete && !open.has_arguments {
            // Clients parse the arguments; a call without any must say so in JSON.
            open.arguments.push_str("{}");
        }
        if !open.arguments.is_empty() {
            events::write_arguments(index, &open.arguments, out);
            open.arguments.clear();
        }
        if open.is_complete {
            let step = json!({"type": "tool-call-end", "index": index});
            write("tool-call-end", &step, out);
        }
        open.is_complete
    }

    fn content_event(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        match event {
            ChatEvent::Text { text, .. } | ChatEvent::Refusal { text, .. } => {
                self.content(Kind::Text, Piece::of(Kind::Text, text), out);
            }
            ChatEvent::Reasoning { text, .. } => {
                // Thoughts that were signed are whole.
                if std::mem::take(&mut self.is_signed) {
                    self.close_block(out);
                }
                self.content(Kind::Thinking, Piece::of(Kind::Thinking, text), out);
            }
            ChatEvent::ReasoningSignature { signature, .. } => {
                // A signature is over the block before it; one that comes alone is a thought without words.
                let kind = self.block.unwrap_or(Kind::Thinking);
                let piece = Piece {
                    signature: Some(signature),
                    ..Piece::of(kind, "")
                };
                self.content(kind, piece, out);
                self.is_signed = true;
            }
            ChatEvent::RedactedReasoning { data, .. } => {
                self.close_block(out);
                let piece = Piece {
                    redacted: Some(data),
                    ..Piece::of(Kind::Thinking, "")
                };
                self.content(Kind::Thinking, piece, out);
                self.close_block(out);
            }
            ChatEvent::Logprobs { raw, .. } => {
                for item in logprobs::shown(raw) {
                    let kind = self.block.unwrap_or(Kind::Text);
                    self.open_block(kind, out);
                    events::write_content(self.blocks, Piece::of(kind, ""), Some(&item), out);
                }
            }
            ChatEvent::Annotation { annotation, .. } => self.cite(annotation, out),
            _ => {}
        }
    }

    fn cite(&mut self, annotation: &Value, out: &mut BytesMut) {
        self.begin(None, out);
        let index = self.citations;
        self.citations += 1;
        let citations = citation::shown(annotation);
        let start = json!({"type": "citation-start", "index": index, "delta": {"message": {"citations": citations}}});
        write("citation-start", &start, out);
        write(
            "citation-end",
            &json!({"type": "citation-end", "index": index}),
            out,
        );
    }

    fn end(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        self.begin(None, out);
        for open in self.open.values_mut() {
            open.is_complete = true;
        }
        self.write_waiting(out);
        self.close_block(out);
        let finish = self.finish.as_ref();
        let native = finish.map(render::foreign_word);
        let end = MessageEnd {
            kind: "message-end",
            delta: EndDelta {
                error: None,
                finish_reason: finish.map_or("ERROR", render::finish_word),
                native_finish_reason: native.filter(|word| !word.is_empty()),
                usage: self.usage.as_ref().map(Shown::from),
                provider_content: self
                    .foreign
                    .iter()
                    .map(|(format, raw)| Foreign { format, raw })
                    .collect(),
            },
            trunkline: report,
        };
        write("message-end", &end, out);
        out.put_slice(DONE);
    }
}

impl StreamEncoder for EventEncoder {
    fn push(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        match event {
            ChatEvent::Start { id, .. } => self.begin(id.as_deref(), out),
            ChatEvent::Text { .. }
            | ChatEvent::Refusal { .. }
            | ChatEvent::Reasoning { .. }
            | ChatEvent::ReasoningSignature { .. }
            | ChatEvent::RedactedReasoning { .. }
            | ChatEvent::Logprobs { .. }
            | ChatEvent::Annotation { .. } => {
                if self.waiting.is_empty() {
                    self.content_event(event, out);
                } else {
                    self.waiting.push_back(Waiting::Content(event.clone()));
                }
            }
            ChatEvent::ToolCallStart {
                call,
                id,
                name,
                signature,
                ..
            } => {
                let open = OpenCall {
                    id: id.clone(),
                    name: name.clone(),
                    signature: signature.clone(),
                    ..OpenCall::default()
                };
                self.open.insert(*call, open);
                self.waiting.push_back(Waiting::Call(*call));
                self.write_waiting(out);
            }
            ChatEvent::ToolCallArguments { call, fragment, .. } => {
                if let Some(open) = self.open.get_mut(call) {
                    open.has_arguments |= !fragment.is_empty();
                    open.arguments.push_str(fragment);
                    self.write_waiting(out);
                }
            }
            ChatEvent::ToolCallEnd { call, .. } => {
                if let Some(open) = self.open.get_mut(call) {
                    open.is_complete = true;
                    self.write_waiting(out);
                }
            }
            ChatEvent::Unknown { format, raw, .. } => self.foreign.push((format, raw.clone())),
            ChatEvent::Finish { finish, .. } => self.finish = Some(finish.clone()),
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::Ping => out.put_slice(HEARTBEAT),
            // The tier has no place in this format; the gateway tells errors through `fail`.
            ChatEvent::ServiceTier(_) | ChatEvent::Error(_) => {}
        }
    }

    fn fail(&mut self, problem: &Problem, out: &mut BytesMut) {
        if !self.is_failed {
            self.is_failed = true;
            self.begin(None, out);
            events::write_problem(problem, out);
        }
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        if !self.is_failed {
            self.end(report, out);
        }
    }
}
