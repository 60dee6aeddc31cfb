//! Renders events as a stream of this format's events
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>).
//!
//! Messages and thoughts come one after the other; calls stay open until they are complete, so that calls
//! which a provider writes side by side need no waiting.

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use domain::chat::{Annotation, ChatEvent, Finish, Reasoning};
use domain::problem::Problem;
use domain::usage::{ServiceTier, Usage};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::encoder::HEARTBEAT;
use super::super::render::{append, kind_and_code};
use super::answer::{self, Frame, Progress};
use super::custody::Sealed;
use super::items::{self, Content, Item, Made, Status, Summary};
use super::words::FORMAT;
use super::{annotations, parse_tools};
use crate::face::{Rendering, StreamEncoder};

/// Renders one stream.
pub(super) struct EventEncoder {
    rendering: Rendering,
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

/// Which text a piece belongs to.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Refusal,
}

impl EventEncoder {
    pub(super) fn new(rendering: &Rendering) -> Self {
        Self {
            rendering: rendering.clone(),
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

    /// Opens an event; what follows its number begins with a comma.
    fn event(&mut self, kind: &str, out: &mut BytesMut) {
        out.put_slice(b"event: ");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\ndata: {\"type\":\"");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\",\"sequence_number\":");
        append(&self.sequence, out);
        self.sequence += 1;
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if self.begun {
            return;
        }
        self.begun = true;
        for kind in ["response.created", "response.in_progress"] {
            self.lifecycle(kind, "in_progress", None, None, None, out);
        }
    }

    fn lifecycle(
        &mut self,
        kind: &str,
        status: &'static str,
        incomplete: Option<&'static str>,
        error: Option<Value>,
        report: Option<&Value>,
        out: &mut BytesMut,
    ) {
        self.event(kind, out);
        out.put_slice(b",\"response\":");
        let is_over = status != "in_progress";
        let progress = Progress {
            status,
            output: if is_over { &self.items } else { &[] },
            error,
            incomplete,
            usage: self.usage.as_ref().filter(|_| is_over),
            tier: self.tier,
            report,
        };
        self.frame.write(&progress, out);
        close(out);
    }

    /// The identifier of the item at `place`.
    fn id(&self, place: usize) -> String {
        match self.items.get(place) {
            Some(Item::Made(made)) => made.id().to_owned(),
            _ => String::new(),
        }
    }

    /// Opens an event about the item at `place`.
    fn item_event(&mut self, kind: &str, place: usize, out: &mut BytesMut) {
        let id = self.id(place);
        self.event(kind, out);
        field("item_id", &id, out);
        field("output_index", &place, out);
    }

    fn add(&mut self, item: Item, out: &mut BytesMut) -> usize {
        let place = self.items.len();
        self.items.push(item);
        self.item("response.output_item.added", place, out);
        place
    }

    fn item(&mut self, kind: &str, place: usize, out: &mut BytesMut) {
        self.event(kind, out);
        field("output_index", &place, out);
        if let Some(item) = self.items.get(place) {
            field("item", item, out);
        }
        close(out);
    }

    fn made(&mut self, place: usize) -> Option<&mut Made> {
        match self.items.get_mut(place) {
            Some(Item::Made(made)) => Some(made),
            _ => None,
        }
    }

    fn done(&mut self, place: usize, status: Status, out: &mut BytesMut) {
        if let Some(made) = self.made(place) {
            made.end(status);
        }
        self.item("response.output_item.done", place, out);
    }

    /// The parts of the message at `place`.
    fn parts(&mut self, place: usize) -> Option<&mut Vec<Content>> {
        match self.made(place) {
            Some(Made::Message { content, .. }) => Some(content),
            _ => None,
        }
    }

    /// Where the open part of this kind stands: its item and its number in it. Opens what is not open.
    fn part(&mut self, choice: u32, kind: Kind, out: &mut BytesMut) -> (usize, usize) {
        let place = match self.open {
            Open::Message {
                choice: speaking,
                place,
            } if speaking == choice => place,
            _ => {
                self.shut(Status::Completed, out);
                let message = self.frame.ids.message(self.items.len());
                let place = self.add(Item::Made(message), out);
                self.open = Open::Message { choice, place };
                place
            }
        };
        let parts = self.parts(place);
        let (count, is_same) = parts.map_or((0, false), |parts| {
            let is_same = matches!(
                (parts.last(), kind),
                (Some(Content::OutputText { .. }), Kind::Text)
                    | (Some(Content::Refusal { .. }), Kind::Refusal)
            );
            (parts.len(), is_same)
        });
        if is_same {
            return (place, count - 1);
        }
        self.end_part(place, out);
        let part = match kind {
            Kind::Text => Content::text(""),
            Kind::Refusal => Content::Refusal {
                refusal: String::new(),
            },
        };
        self.item_event("response.content_part.added", place, out);
        field("content_index", &count, out);
        field("part", &part, out);
        close(out);
        if let Some(parts) = self.parts(place) {
            parts.push(part);
        }
        (place, count)
    }

    fn words(&mut self, choice: u32, kind: Kind, piece: &str, out: &mut BytesMut) {
        let (place, index) = self.part(choice, kind, out);
        match self.parts(place).and_then(|parts| parts.last_mut()) {
            Some(Content::OutputText { text, .. }) => text.push_str(piece),
            Some(Content::Refusal { refusal }) => refusal.push_str(piece),
            None => {}
        }
        let event = match kind {
            Kind::Text => "response.output_text.delta",
            Kind::Refusal => "response.refusal.delta",
        };
        self.item_event(event, place, out);
        field("content_index", &index, out);
        field("delta", piece, out);
        if matches!(kind, Kind::Text) {
            out.put_slice(b",\"logprobs\":[]");
        }
        close(out);
    }

    fn annotate(&mut self, choice: u32, annotation: &Annotation, out: &mut BytesMut) {
        let (place, index) = self.part(choice, Kind::Text, out);
        let annotation = annotations::flat(annotation);
        let mut number = 0;
        if let Some(Content::OutputText { annotations, .. }) =
            self.parts(place).and_then(|parts| parts.last_mut())
        {
            number = annotations.len();
            annotations.push(annotation.clone());
        }
        self.item_event("response.output_text.annotation.added", place, out);
        field("content_index", &index, out);
        field("annotation_index", &number, out);
        field("annotation", &annotation, out);
        close(out);
    }

    /// Probabilities come after their text; they are shown when it is done.
    fn logprobs(&mut self, choice: u32, raw: &RawValue, out: &mut BytesMut) {
        let told = items::logprobs_of(raw);
        if told.is_empty() {
            return;
        }
        let (place, _) = self.part(choice, Kind::Text, out);
        if let Some(Content::OutputText { logprobs, .. }) =
            self.parts(place).and_then(|parts| parts.last_mut())
        {
            let told = told.iter().map(|raw| items::on_one_line(raw).into_owned());
            logprobs.extend(told);
        }
    }

    /// Ends the last part of the message at `place`, if it has one.
    fn end_part(&mut self, place: usize, out: &mut BytesMut) {
        let Some(parts) = self.parts(place) else {
            return;
        };
        let (Some(part), index) = (parts.last().cloned(), parts.len().saturating_sub(1)) else {
            return;
        };
        match &part {
            Content::OutputText { text, logprobs, .. } => {
                self.item_event("response.output_text.done", place, out);
                field("content_index", &index, out);
                field("text", text, out);
                field("logprobs", logprobs, out);
            }
            Content::Refusal { refusal } => {
                self.item_event("response.refusal.done", place, out);
                field("content_index", &index, out);
                field("refusal", refusal, out);
            }
        }
        close(out);
        self.item_event("response.content_part.done", place, out);
        field("content_index", &index, out);
        field("part", &part, out);
        close(out);
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

    fn reasoning(&mut self, choice: u32, piece: &str, out: &mut BytesMut) {
        let continues = matches!(
            &self.open,
            Open::Thought { choice: thinking, thought, .. }
                if *thinking == choice && thought.signature.is_none()
        );
        if !continues {
            self.shut(Status::Completed, out);
            let place = self.items.len();
            let item = self.frame.ids.silent_reasoning(place);
            self.add(Item::Made(item), out);
            self.item_event("response.reasoning_summary_part.added", place, out);
            field("summary_index", &0, out);
            field("part", &summary(""), out);
            close(out);
            self.open = Open::Thought {
                choice,
                place,
                thought: Reasoning {
                    text: Some(String::new()),
                    ..Reasoning::default()
                },
            };
        }
        let Open::Thought { place, thought, .. } = &mut self.open else {
            return;
        };
        let place = *place;
        thought.text.get_or_insert_default().push_str(piece);
        self.item_event("response.reasoning_summary_text.delta", place, out);
        field("summary_index", &0, out);
        field("delta", piece, out);
        close(out);
    }

    fn end_thought(&mut self, place: usize, thought: Reasoning, out: &mut BytesMut) {
        let text = thought.text.clone().unwrap_or_default();
        self.item_event("response.reasoning_summary_text.done", place, out);
        field("summary_index", &0, out);
        field("text", &text, out);
        close(out);
        self.item_event("response.reasoning_summary_part.done", place, out);
        field("summary_index", &0, out);
        field("part", &summary(&text), out);
        close(out);
        let whole = self.frame.ids.reasoning(place, &Sealed::Thought(thought));
        if let Some(made) = self.made(place) {
            *made = whole;
        }
        self.done(place, Status::Completed, out);
    }

    /// A signature belongs to what was said before it.
    fn sign(&mut self, choice: u32, signature: &str, out: &mut BytesMut) {
        let signature = signature.to_owned();
        let ends_in_text = self.ends_in_text();
        match &mut self.open {
            Open::Thought {
                choice: thinking,
                thought,
                ..
            } if *thinking == choice && thought.signature.is_none() => {
                thought.signature = Some(signature);
            }
            Open::Message {
                choice: speaking, ..
            } if *speaking == choice && ends_in_text => {
                self.seal(&Sealed::Text { signature }, out);
            }
            _ => {
                let thought = Reasoning {
                    signature: Some(signature),
                    ..Reasoning::default()
                };
                self.seal(&Sealed::Thought(thought), out);
            }
        }
    }

    fn ends_in_text(&mut self) -> bool {
        let Open::Message { place, .. } = self.open else {
            return false;
        };
        let parts = self.parts(place);
        parts.is_some_and(|parts| matches!(parts.last(), Some(Content::OutputText { .. })))
    }

    fn redacted(&mut self, data: &str, out: &mut BytesMut) {
        let sealed = Reasoning {
            redacted: Some(data.to_owned()),
            ..Reasoning::default()
        };
        if let Open::Thought { thought, .. } = &mut self.open
            && items::completes(thought, &sealed)
        {
            thought.redacted = sealed.redacted;
            self.shut(Status::Completed, out);
            return;
        }
        self.seal(&Sealed::Thought(sealed), out);
    }

    /// A thought that says nothing and keeps what the provider wants back.
    fn seal(&mut self, sealed: &Sealed, out: &mut BytesMut) {
        self.shut(Status::Completed, out);
        let place = self.items.len();
        let silent = self.frame.ids.silent_reasoning(place);
        self.add(Item::Made(silent), out);
        let whole = self.frame.ids.reasoning(place, sealed);
        if let Some(made) = self.made(place) {
            *made = whole;
        }
        self.done(place, Status::Completed, out);
    }

    fn call(
        &mut self,
        number: (u32, u32),
        id: &str,
        name: &str,
        signature: Option<&str>,
        out: &mut BytesMut,
    ) {
        if let Some(signature) = signature {
            let sealed = Sealed::Call {
                id: id.to_owned(),
                signature: signature.to_owned(),
            };
            self.seal(&sealed, out);
        }
        self.shut(Status::Completed, out);
        let is_custom = self.frame.is_custom(name);
        let call = self.frame.ids.call(self.items.len(), id, name, is_custom);
        let place = self.add(Item::Made(call), out);
        let opened = OpenCall {
            place,
            is_custom,
            arguments: String::new(),
        };
        self.calls.insert(number, opened);
    }

    /// The input of a custom tool is a text inside of the arguments, and comes when they are whole.
    fn arguments(&mut self, number: (u32, u32), fragment: &str, out: &mut BytesMut) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        call.arguments.push_str(fragment);
        let (place, is_custom) = (call.place, call.is_custom);
        if !is_custom && !fragment.is_empty() {
            self.item_event("response.function_call_arguments.delta", place, out);
            field("delta", fragment, out);
            close(out);
        }
    }

    fn end_call(&mut self, number: (u32, u32), status: Status, out: &mut BytesMut) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        let place = call.place;
        let (delta, done, name, whole) = if call.is_custom {
            (
                "response.custom_tool_call_input.delta",
                "response.custom_tool_call_input.done",
                "input",
                parse_tools::input_of(&call.arguments),
            )
        } else {
            let is_empty = call.arguments.trim().is_empty();
            (
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "arguments",
                if is_empty {
                    "{}".to_owned()
                } else {
                    call.arguments.clone()
                },
            )
        };
        let is_unsaid = call.is_custom || call.arguments.trim().is_empty();
        if is_unsaid && !whole.is_empty() {
            self.item_event(delta, place, out);
            field("delta", &whole, out);
            close(out);
        }
        self.item_event(done, place, out);
        field(name, &whole, out);
        close(out);
        if let Some(made) = self.made(place) {
            made.set_arguments(&call.arguments);
        }
        self.done(place, status, out);
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

fn summary(text: &str) -> Summary {
    Summary::SummaryText {
        text: text.to_owned(),
    }
}

fn field(name: &str, value: &(impl Serialize + ?Sized), out: &mut BytesMut) {
    out.put_slice(b",\"");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\":");
    append(&value, out);
}

fn close(out: &mut BytesMut) {
    out.put_slice(b"}\n\n");
}

/// The event that tells a problem. Its fields stand where the vendor documents them and, in `error`, where
/// its own clients look first.
pub(super) fn problem_fields(problem: &Problem, out: &mut BytesMut) {
    let (kind, code) = kind_and_code(problem.kind);
    let code = problem.provider_code.as_deref().or(code);
    let param = problem.param.as_deref();
    field("code", &code, out);
    field("message", &problem.detail, out);
    field("param", &param, out);
    let error = json!({
        "type": kind,
        "code": code,
        "message": problem.detail,
        "param": param,
    });
    field("error", &error, out);
    close(out);
}

impl StreamEncoder for EventEncoder {
    fn push(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        match event {
            ChatEvent::Start { model, .. } => {
                if !self.begun {
                    self.frame = Frame::new(&self.rendering, model.as_deref());
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
        let code = problem.provider_code.as_deref();
        let code = code.or(kind_and_code(problem.kind).1);
        let error = json!({
            "code": code.unwrap_or("server_error"),
            "message": problem.detail,
        });
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
