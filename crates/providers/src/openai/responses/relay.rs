//! Edits a stream that passes verbatim: puts a report into the event that ends it. All other bytes stay.

use bytes::{BufMut, BytesMut};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::envelope::span;
use super::super::relay::data;
use super::super::render::append;
use crate::face::StreamRelay;
use crate::framing::cut::EventCutter;

/// The events that end a stream.
const TERMINAL: [&str; 3] = [
    "response.completed",
    "response.incomplete",
    "response.failed",
];

/// Relays one stream.
#[derive(Default)]
pub(super) struct EventRelay {
    cutter: EventCutter,
    /// The terminal event and whatever came after it.
    terminal: BytesMut,
}

/// What tells the terminal event, and where its answer stands.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

impl StreamRelay for EventRelay {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) {
        self.cutter.push(bytes);
        while let Some(event) = self.cutter.next_event() {
            if !self.terminal.is_empty() || is_terminal(&event) {
                self.terminal.put_slice(&event);
            } else {
                out.put_slice(&event);
            }
        }
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        let rest = self.cutter.finish();
        if self.terminal.is_empty() && !is_terminal(&rest) {
            out.put_slice(&rest);
            return;
        }
        self.terminal.put_slice(&rest);
        let place = report.and_then(|_| end_of_response(&self.terminal));
        match (report, place) {
            (Some(report), Some(place)) => {
                let tail = self.terminal.split_off(place);
                out.put_slice(&self.terminal);
                out.put_slice(b",\"trunkline\":");
                append(report, out);
                out.put_slice(&tail);
            }
            _ => out.put_slice(&self.terminal),
        }
        self.terminal.clear();
    }
}

fn shape(event: &[u8]) -> Option<(&str, Shape<'_>)> {
    let data = std::str::from_utf8(data(event)?).ok()?;
    Some((data, serde_json::from_str(data).ok()?))
}

fn is_terminal(event: &[u8]) -> bool {
    // Most events are pieces of text; they are not worth parsing.
    let may_be = TERMINAL
        .iter()
        .any(|kind| memchr::memmem::find(event, kind.as_bytes()).is_some());
    may_be && shape(event).is_some_and(|(_, shape)| TERMINAL.contains(&shape.kind))
}

/// The answer that a terminal event holds.
pub(super) fn terminal_answer(event: &[u8]) -> Option<Box<RawValue>> {
    if !is_terminal(event) {
        return None;
    }
    let (_, shape) = shape(event)?;
    shape.response.map(ToOwned::to_owned)
}

/// Where the object of the answer closes, if it has a field before.
fn end_of_response(event: &[u8]) -> Option<usize> {
    let (text, shape) = shape(event)?;
    let response = shape.response?.get();
    let is_object = response.starts_with('{') && response.len() > 2;
    let start = text.as_ptr().addr().checked_sub(event.as_ptr().addr())?;
    is_object.then(|| start + span(text, response).end - 1)
}
