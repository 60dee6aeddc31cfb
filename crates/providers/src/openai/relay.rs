//! Passes a stream of this format on byte for byte, all but the usage-only event that was asked for on
//! our own behalf, and puts the report before the terminal event.

use std::sync::LazyLock;

use bytes::{BufMut, BytesMut};
use memchr::memchr2;
use memchr::memmem::{self, Finder};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::render::append;
use crate::face::StreamRelay;
use crate::framing::cut::EventCutter;

/// Relays one stream.
#[derive(Default)]
pub(super) struct ChunkRelay {
    /// What every chunk says that it is.
    object: &'static str,
    withhold_usage: bool,
    cutter: EventCutter,
    /// What every chunk says about itself, for the report's event.
    head: Option<Head>,
    /// The terminal event and whatever came after it.
    terminal: BytesMut,
}

/// What chunks repeat.
#[derive(Deserialize, Default)]
struct Head {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    created: Value,
    #[serde(default)]
    model: Value,
}

/// What tells a usage-only event from others.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(default)]
    choices: Vec<IgnoredAny>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

impl ChunkRelay {
    pub(super) fn new(withhold_usage: bool) -> Self {
        Self::of("chat.completion.chunk", withhold_usage)
    }

    /// Relays chunks that are each an `object`.
    pub(super) fn of(object: &'static str, withhold_usage: bool) -> Self {
        Self {
            object,
            withhold_usage,
            ..Self::default()
        }
    }

    fn pass(&mut self, event: &[u8], out: &mut BytesMut) {
        if !self.terminal.is_empty() || is_terminal(event) {
            self.terminal.put_slice(event);
        } else if !(self.withhold_usage && is_usage_only(event)) {
            if self.head.is_none() {
                self.head = data(event).and_then(|data| serde_json::from_slice(data).ok());
            }
            out.put_slice(event);
        }
    }
}

/// The data of an event of one line, which is how everyone writes chunks.
pub(super) fn data(event: &[u8]) -> Option<&[u8]> {
    let start = if event.starts_with(b"data:") {
        0
    } else {
        memmem::find(event, b"\ndata:")? + 1
    };
    let line = event.get(start + b"data:".len()..)?;
    let end = memchr2(b'\n', b'\r', line).unwrap_or(line.len());
    Some(line.get(..end)?.trim_ascii())
}

fn is_terminal(event: &[u8]) -> bool {
    data(event) == Some(b"[DONE]")
}

fn has_counts(bytes: &[u8]) -> bool {
    // Made once: it is looked for in every chunk.
    static COUNT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("_tokens"));
    COUNT.find(bytes).is_some()
}

fn is_usage_only(event: &[u8]) -> bool {
    // Most chunks hold text and no count; they are not worth parsing.
    if !has_counts(event) {
        return false;
    }
    let shape = data(event).and_then(|data| serde_json::from_slice::<Shape<'_>>(data).ok());
    shape.is_some_and(|shape| shape.choices.is_empty() && shape.usage.is_some())
}

impl StreamRelay for ChunkRelay {
    /// Whole events that are neither the end nor usage.
    fn passes(&self, bytes: &[u8]) -> bool {
        static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("[DONE]"));
        self.head.is_some()
            && self.cutter.is_empty()
            && self.terminal.is_empty()
            && bytes.ends_with(b"\n\n")
            && END.find(bytes).is_none()
            && !(self.withhold_usage && has_counts(bytes))
    }

    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) {
        self.cutter.push(bytes);
        while let Some(event) = self.cutter.next_event() {
            self.pass(&event, out);
        }
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        let rest = self.cutter.finish();
        if !rest.is_empty() {
            self.pass(&rest, out);
        }
        if let Some(report) = report {
            if !out.is_empty() && !out.ends_with(b"\n") {
                out.put_slice(b"\n\n");
            }
            let head = self.head.take().unwrap_or_default();
            out.put_slice(b"data: {\"id\":");
            append(&head.id, out);
            out.put_slice(b",\"object\":");
            append(&self.object, out);
            out.put_slice(b",\"created\":");
            append(&head.created, out);
            out.put_slice(b",\"model\":");
            append(&head.model, out);
            out.put_slice(b",\"choices\":[],\"trunkline\":");
            append(report, out);
            out.put_slice(b"}\n\n");
        }
        out.unsplit(self.terminal.split());
    }
}
