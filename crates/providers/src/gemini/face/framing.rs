//! The two shapes of a stream: server-sent events (`alt=sse`), or the items of one JSON array.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use crate::openai::render::append;

/// Writes chunks in one of the two shapes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Framing {
    /// Server-sent events.
    Events,
    /// Items of an array, of which some were written or none.
    Array { is_begun: bool },
}

impl Framing {
    /// An array that has no item yet.
    pub(super) const ARRAY: Self = Self::Array { is_begun: false };

    /// Writes a chunk.
    pub(super) fn chunk(&mut self, chunk: &impl Serialize, out: &mut BytesMut) {
        self.written(out, |out| append(chunk, out));
    }

    /// Writes a chunk that is JSON on one line.
    pub(super) fn line(&mut self, json: &str, out: &mut BytesMut) {
        self.written(out, |out| out.put_slice(json.as_bytes()));
    }

    /// Writes a chunk that `write` writes as JSON on one line.
    pub(super) fn written(&mut self, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
        self.begin(out);
        write(out);
        self.end(out);
    }

    /// Writes what ends the stream.
    pub(super) fn finish(&mut self, out: &mut BytesMut) {
        match self {
            Self::Events => {}
            Self::Array { is_begun: true } => out.put_slice(b"\n]"),
            Self::Array { is_begun: false } => out.put_slice(b"[]"),
        }
    }

    fn begin(&mut self, out: &mut BytesMut) {
        match self {
            Self::Events => out.put_slice(b"data: "),
            Self::Array { is_begun } => {
                out.put_slice(if *is_begun { b",\n" } else { b"[" });
                *is_begun = true;
            }
        }
    }

    fn end(self, out: &mut BytesMut) {
        if matches!(self, Self::Events) {
            out.put_slice(b"\n\n");
        }
    }
}
