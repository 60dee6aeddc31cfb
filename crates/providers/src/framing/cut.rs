//! Cuts a stream of server-sent events at their ends and keeps every byte, for those who pass events on
//! as they came.

use bytes::{BufMut, BytesMut};
use memchr::memchr2;

use super::sse::MAX_EVENT;

/// Gives back what is pushed, event by event.
#[derive(Debug, Default)]
pub(crate) struct EventCutter {
    /// The bytes that were not given back.
    held: BytesMut,
    /// Where in `held` the last line begins.
    line: usize,
    /// How far into that line there is no end of it.
    scanned: usize,
}

impl EventCutter {
    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.held.put_slice(bytes);
    }

    /// Whether everything was given back.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The next complete event, its empty line included. What is longer than any event comes as it is.
    pub(crate) fn next_event(&mut self) -> Option<BytesMut> {
        if let Some(end) = self.event_end() {
            return Some(self.held.split_to(end));
        }
        (self.held.len() > MAX_EVENT).then(|| self.finish())
    }

    /// What is left.
    pub(crate) fn finish(&mut self) -> BytesMut {
        self.line = 0;
        self.scanned = 0;
        self.held.split()
    }

    /// Where the first complete event of `held` ends.
    fn event_end(&mut self) -> Option<usize> {
        loop {
            let rest = self.held.get(self.scanned..)?;
            let Some(offset) = memchr2(b'\n', b'\r', rest) else {
                self.scanned = self.held.len();
                return None;
            };
            self.scanned += offset;
            let end = match (rest.get(offset), rest.get(offset + 1)) {
                (Some(b'\r'), Some(b'\n')) => self.scanned + 2,
                // Whether a line feed follows is not known yet.
                (Some(b'\r'), None) => return None,
                _ => self.scanned + 1,
            };
            let is_empty = self.scanned == self.line;
            self.line = end;
            self.scanned = end;
            if is_empty {
                self.line = 0;
                self.scanned = 0;
                return Some(end);
            }
        }
    }
}
