//! Answers that are made while nobody waits: what a caller is told of them until they are there
//! (<https://platform.openai.com/docs/guides/background>).

use bytes::{Bytes, BytesMut};
use domain::problem::Problem;
use serde_json::value::RawValue;

use super::super::super::fields::Fields;
use super::super::super::relay::data;
use super::super::answer::{Frame, Progress};
use super::super::encoder::failure_of;
use super::super::relay::terminal_answer;
use crate::face::Rendering;
use crate::framing::cut::EventCutter;
use crate::openai::envelope::text;
use crate::splice;

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has begun with it.
    Queued,
    /// Somebody is at it.
    InProgress,
    /// It is what it is.
    Over,
}

/// The answer as it is given at once, before anything was made of it. It repeats what was asked.
pub fn queued(rendering: &Rendering) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    let progress = Progress {
        status: "queued",
        output: &[],
        error: None,
        incomplete: None,
        usage: None,
        tier: None,
        report: None,
    };
    Frame::new(rendering, None).write(&progress, &mut out);
    out.freeze()
}

/// The same while somebody is at it.
pub fn in_progress(answer: &Bytes) -> Bytes {
    with(answer, &[("status", "\"in_progress\"".to_owned())])
}

/// The same after its caller cancelled it.
pub fn cancelled(answer: &Bytes) -> Bytes {
    with(answer, &[("status", "\"cancelled\"".to_owned())])
}

/// The same after it failed of this problem.
pub fn failed(answer: &Bytes, problem: &Problem) -> Bytes {
    let error = failure_of(problem).to_string();
    with(
        answer,
        &[("status", "\"failed\"".to_owned()), ("error", error)],
    )
}

/// A provider's answer under the identifier that its caller knows it by.
pub fn own(answer: &Bytes, id: &str) -> Bytes {
    let id = serde_json::Value::from(id).to_string();
    with(answer, &[("id", id), ("background", "true".to_owned())])
}

/// An event of a stream, whose answer is under the identifier that its caller knows it by. All others stay
/// as they are.
fn own_event(event: &Bytes, id: &str) -> Bytes {
    renamed(event, id).unwrap_or_else(|| event.clone())
}

fn renamed(event: &Bytes, id: &str) -> Option<Bytes> {
    // Most events are pieces of text; they are not worth parsing.
    memchr::memmem::find(event, b"\"response\"")?;
    let json = std::str::from_utf8(data(event)?).ok()?;
    let mut fields = Fields::read_body(json).ok()?;
    let kind = fields.text("type").ok()??;
    let response = fields.look("response")?.get();
    let response = own(&Bytes::copy_from_slice(response.as_bytes()), id);
    let response = std::str::from_utf8(&response).ok()?;
    let kept = splice::fields(json.as_bytes(), &["type", "response"], &[]).ok()?;
    let kept = std::str::from_utf8(&kept).ok()?;
    let kept = kept.strip_prefix('{')?.strip_suffix('}')?.trim();
    let comma = if kept.is_empty() { "" } else { "," };
    let name = serde_json::Value::from(&*kind);
    let written = format!(
        "event: {kind}\ndata: {{\"type\":{name}{comma}{kept},\"response\":{response}}}\n\n"
    );
    // A line feed within JSON is white space, and within an event its end of line.
    (written.lines().count() == 3).then(|| written.into())
}

/// The request as it is sent to a provider whose answer is waited for.
pub fn in_foreground(body: &Bytes) -> Bytes {
    splice::fields(body, &["background"], &[]).unwrap_or_else(|_| body.clone())
}

/// How far an answer is that is kept.
pub fn stage(answer: &[u8]) -> Stage {
    match word(answer, "status").as_deref() {
        Some("queued") => Stage::Queued,
        Some("in_progress") => Stage::InProgress,
        _ => Stage::Over,
    }
}

/// Whether an answer was made while nobody waited.
pub fn is_background(answer: &[u8]) -> bool {
    let fields = text(answer).and_then(Fields::read_body);
    fields.is_ok_and(|mut fields| matches!(fields.flag("background"), Ok(Some(true))))
}

fn word(answer: &[u8], name: &str) -> Option<String> {
    let mut fields = Fields::read_body(text(answer).ok()?).ok()?;
    fields.text(name).ok()?
}

/// An answer with other values for these fields. What is no object stays as it is.
fn with(answer: &Bytes, fields: &[(&str, String)]) -> Bytes {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    splice::fields(answer, &names, &fields).unwrap_or_else(|_| answer.clone())
}

/// Reads the stream of an answer that its caller knows by an identifier of ours.
pub struct EventReader {
    id: String,
    cutter: EventCutter,
    answer: Option<Box<RawValue>>,
    problem: Option<String>,
}

/// One event of an answer.
pub struct Event {
    /// Its bytes, its empty line included.
    pub bytes: Bytes,
    /// Whether it holds the whole answer, or says why there is none.
    pub is_last: bool,
}

impl EventReader {
    /// Of the answer that its caller knows as `id`.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            cutter: EventCutter::default(),
            answer: None,
            problem: None,
        }
    }

    /// Takes the next bytes of the stream; answers the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.cutter.push(bytes);
        let mut events = Vec::new();
        while let Some(event) = self.cutter.next_event() {
            events.push(self.read(&event.freeze()));
        }
        events
    }

    fn read(&mut self, event: &Bytes) -> Event {
        let bytes = own_event(event, &self.id);
        let answer = terminal_answer(&bytes);
        let problem = problem_of(&bytes);
        let is_last = answer.is_some() || problem.is_some();
        self.answer = self.answer.take().or(answer);
        self.problem = self.problem.take().or(problem);
        Event { bytes, is_last }
    }

    /// The answer, if the stream came to its end; otherwise why it did not, where that was said.
    pub fn finish(self) -> Result<Bytes, Option<String>> {
        match self.answer {
            Some(answer) => Ok(Bytes::copy_from_slice(answer.get().as_bytes())),
            None => Err(self.problem),
        }
    }
}

/// What an event says of a problem that ended the stream.
fn problem_of(event: &[u8]) -> Option<String> {
    memchr::memmem::find(event, b"\"error\"")?;
    let mut fields = Fields::read_body(text(data(event)?).ok()?).ok()?;
    let is_error = fields.text("type").ok()?.as_deref() == Some("error");
    is_error.then(|| fields.text("message").ok().flatten())?
}
