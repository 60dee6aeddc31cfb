//! How events are written: their numbers, the items that they are about, and the answer as a whole.

use bytes::{BufMut, BytesMut};
use domain::problem::{Problem, ProblemKind};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::super::render::{append, kind_and_code};
use super::super::answer::Progress;
use super::super::items::{Content, Item, Made, Status};
use super::EventEncoder;

impl EventEncoder {
    /// Opens an event; what follows its number begins with a comma.
    pub(super) fn event(&mut self, kind: &str, out: &mut BytesMut) {
        out.put_slice(b"event: ");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\ndata: {\"type\":\"");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\",\"sequence_number\":");
        append(&self.sequence, out);
        self.sequence += 1;
    }

    pub(super) fn begin(&mut self, out: &mut BytesMut) {
        if self.begun {
            return;
        }
        self.begun = true;
        for kind in ["response.created", "response.in_progress"] {
            self.lifecycle(kind, "in_progress", None, None, None, out);
        }
    }

    pub(super) fn lifecycle(
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
    pub(super) fn id(&self, place: usize) -> String {
        match self.items.get(place) {
            Some(Item::Made(made)) => made.id().to_owned(),
            _ => String::new(),
        }
    }

    /// Opens an event about the item at `place`.
    pub(super) fn item_event(&mut self, kind: &str, place: usize, out: &mut BytesMut) {
        let id = self.id(place);
        self.event(kind, out);
        field("item_id", &id, out);
        field("output_index", &place, out);
    }

    pub(super) fn add(&mut self, item: Item, out: &mut BytesMut) -> usize {
        let place = self.items.len();
        self.items.push(item);
        self.item("response.output_item.added", place, out);
        place
    }

    pub(super) fn item(&mut self, kind: &str, place: usize, out: &mut BytesMut) {
        self.event(kind, out);
        field("output_index", &place, out);
        if let Some(item) = self.items.get(place) {
            field("item", item, out);
        }
        close(out);
    }

    pub(super) fn made(&mut self, place: usize) -> Option<&mut Made> {
        match self.items.get_mut(place) {
            Some(Item::Made(made)) => Some(made),
            _ => None,
        }
    }

    pub(super) fn done(&mut self, place: usize, status: Status, out: &mut BytesMut) {
        if let Some(made) = self.made(place) {
            made.end(status);
        }
        self.item("response.output_item.done", place, out);
    }

    /// The parts of the message at `place`.
    pub(super) fn parts(&mut self, place: usize) -> Option<&mut Vec<Content>> {
        match self.made(place) {
            Some(Made::Message { content, .. }) => Some(content),
            _ => None,
        }
    }
}

/// Writes a field of an event, its comma before it.
pub(super) fn field(name: &str, value: &(impl Serialize + ?Sized), out: &mut BytesMut) {
    out.put_slice(b",\"");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\":");
    append(&value, out);
}

/// Ends an event.
pub(super) fn close(out: &mut BytesMut) {
    out.put_slice(b"}\n\n");
}

/// The event that tells a problem. Its fields stand where the vendor documents them and, in `error`, where
/// its own clients look first.
pub(in super::super) fn problem_fields(problem: &Problem, out: &mut BytesMut) {
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

/// What is told of a problem in the failed answer. The vendor's codes are few, and clients know them.
pub(in super::super) fn failure_of(problem: &Problem) -> Value {
    let code = match problem.kind {
        ProblemKind::RateLimited
        | ProblemKind::ProviderRateLimited
        | ProblemKind::BudgetExhausted => "rate_limit_exceeded",
        ProblemKind::ContextTooLong => "context_length_exceeded",
        ProblemKind::InvalidRequest | ProblemKind::Unsupported | ProblemKind::ContentPolicy => {
            "invalid_prompt"
        }
        _ => "server_error",
    };
    json!({"code": code, "message": problem.detail})
}
