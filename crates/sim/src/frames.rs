//! The events of a stream, written one after another into one buffer.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::Serialize;

use crate::vendor::Framing;
use crate::{event_stream, media};

/// What hides how long a chunk is.
const PADDING: &str = "abcdefghijklmnop";

/// A stream being written.
#[derive(Debug)]
pub(crate) struct Frames {
    framing: Framing,
    /// Byte order mark, comments, `\r\n`, and no space after the colon: all legal, and all met in the wild.
    awkward: bool,
    buffer: Vec<u8>,
    /// Where each event ends in the buffer.
    ends: Vec<usize>,
}

impl Frames {
    pub(crate) fn new(framing: Framing, awkward: bool) -> Self {
        Self {
            framing,
            awkward: awkward && framing == Framing::Events,
            buffer: Vec::with_capacity(4096),
            ends: Vec::with_capacity(64),
        }
    }

    /// How many events were written.
    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    pub(crate) const fn framing(&self) -> Framing {
        self.framing
    }

    /// Writes an event of JSON, with the vendor's name for it where it has one.
    pub(crate) fn event(&mut self, name: Option<&str>, data: &impl Serialize) {
        if self.framing.is_binary() {
            let payload = serde_json::to_vec(data).unwrap_or_default();
            return self.message(name.unwrap_or_default(), &payload);
        }
        self.begin(name);
        let start = self.buffer.len();
        if serde_json::to_writer(&mut self.buffer, data).is_err() {
            // Only a map with keys that are not text fails, and no event holds one.
            self.buffer.truncate(start);
        }
        self.end();
    }

    /// Writes a binary message; those of a model's own format travel inside one member of it.
    fn message(&mut self, name: &str, payload: &[u8]) {
        let enclosed;
        let (name, payload) = if self.framing == Framing::Chunks {
            enclosed =
                serde_json::json!({"bytes": media::encode(payload), "p": PADDING}).to_string();
            ("chunk", enclosed.as_bytes())
        } else {
            (name, payload)
        };
        let headers = [
            (":event-type", name),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ];
        event_stream::write(&mut self.buffer, &headers, payload);
        self.ends.push(self.buffer.len());
    }

    /// Writes a binary message that says what went wrong.
    pub(crate) fn exception(&mut self, name: &str, data: &impl Serialize) {
        let headers = [
            (":exception-type", name),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ];
        let payload = serde_json::to_vec(data).unwrap_or_default();
        event_stream::write(&mut self.buffer, &headers, &payload);
        self.ends.push(self.buffer.len());
    }

    /// Writes an event whose data is not JSON, as `[DONE]`. Where events are binary it stands there bare.
    pub(crate) fn text(&mut self, data: &str) {
        if self.framing.is_binary() {
            self.buffer.extend_from_slice(data.as_bytes());
            self.ends.push(self.buffer.len());
            return;
        }
        self.begin(None);
        self.buffer.extend_from_slice(data.as_bytes());
        self.end();
    }

    /// Forgets the events after the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.buffer.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Ends the stream where its form asks for that; the end belongs to the last event.
    pub(crate) fn close(&mut self) {
        if self.framing == Framing::Array {
            let opening: &[u8] = if self.ends.is_empty() { b"[" } else { b"" };
            self.buffer.extend_from_slice(opening);
            self.buffer.extend_from_slice(b"\n]\n");
            self.ends.pop();
            self.ends.push(self.buffer.len());
        }
    }

    /// The events, each a piece.
    pub(crate) fn into_pieces(self) -> VecDeque<Bytes> {
        let all = Bytes::from(self.buffer);
        let mut start = 0;
        self.ends
            .into_iter()
            .map(|end| {
                let piece = all.slice(start..end);
                start = end;
                piece
            })
            .collect()
    }

    fn begin(&mut self, name: Option<&str>) {
        if self.framing == Framing::Array {
            let separator: &[u8] = if self.ends.is_empty() {
                b"["
            } else {
                b"\n,\r\n"
            };
            self.buffer.extend_from_slice(separator);
            return;
        }
        if self.awkward {
            let opening = if self.ends.is_empty() {
                "\u{feff}: simulated\r\n\r\n"
            } else {
                ": ping\r\n\r\n"
            };
            self.buffer.extend_from_slice(opening.as_bytes());
        }
        if let Some(name) = name {
            self.buffer
                .extend_from_slice(if self.awkward { b"event:" } else { b"event: " });
            self.buffer.extend_from_slice(name.as_bytes());
            self.buffer.extend_from_slice(self.line_end());
        }
        self.buffer
            .extend_from_slice(if self.awkward { b"data:" } else { b"data: " });
    }

    fn end(&mut self) {
        if self.framing == Framing::Events {
            let line_end = self.line_end();
            self.buffer.extend_from_slice(line_end);
            self.buffer.extend_from_slice(line_end);
        }
        self.ends.push(self.buffer.len());
    }

    const fn line_end(&self) -> &'static [u8] {
        if self.awkward { b"\r\n" } else { b"\n" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(frames: Frames) -> String {
        String::from_utf8(Vec::from(frames.into_pieces()).concat()).unwrap()
    }

    #[test]
    fn events_are_separated_by_empty_lines() {
        let mut frames = Frames::new(Framing::Events, false);
        frames.event(Some("ping"), &1);
        frames.text("[DONE]");
        frames.close();
        assert_eq!(text_of(frames), "event: ping\ndata: 1\n\ndata: [DONE]\n\n");
    }

    #[test]
    fn an_array_is_one_json_document_however_many_items_it_has() {
        for count in 0..3 {
            let mut frames = Frames::new(Framing::Array, true);
            for item in 0..count {
                frames.event(None, &item);
            }
            frames.close();
            let items: Vec<u32> = serde_json::from_str(&text_of(frames)).unwrap();
            assert_eq!(items, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_awkward_stream_has_a_mark_comments_and_carriage_returns() {
        let mut frames = Frames::new(Framing::Events, true);
        frames.event(None, &1);
        frames.event(None, &2);
        assert_eq!(
            text_of(frames),
            "\u{feff}: simulated\r\n\r\ndata:1\r\n\r\n: ping\r\n\r\ndata:2\r\n\r\n"
        );
    }

    #[test]
    fn what_is_cut_off_leaves_whole_events() {
        let mut frames = Frames::new(Framing::Events, false);
        frames.event(None, &1);
        frames.event(None, &2);
        frames.truncate(1);
        assert_eq!(
            (frames.count(), text_of(frames)),
            (1, "data: 1\n\n".to_owned())
        );
    }
}
