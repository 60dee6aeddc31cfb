//! Cutting bytes that arrive in pieces into lines.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// Holds what came until a line is complete.
#[derive(Default)]
pub(super) struct LineCutter {
    held: BytesMut,
    /// How much of what is held has no line feed.
    searched: usize,
}

impl LineCutter {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    /// The next line that is complete, without its line feed.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let rest = self.held.get(self.searched..).unwrap_or_default();
        let Some(at) = memchr(b'\n', rest) else {
            self.searched = self.held.len();
            return None;
        };
        let line = self.held.split_to(self.searched + at).freeze();
        self.held.advance(1);
        self.searched = 0;
        Some(line)
    }

    /// What stands behind the last line feed, once no more bytes come.
    pub(super) fn rest(&mut self) -> Option<Bytes> {
        self.searched = 0;
        Some(self.held.split().freeze()).filter(|rest| !rest.is_empty())
    }

    /// How long the line is by now that is not complete, in bytes.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }
}

/// Whether a line has no content.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_gives_the_same_lines() {
        let text = "one\r\n\ntwo 東京\nlast";
        for size in 1..=text.len() {
            let mut cutter = LineCutter::default();
            let mut lines = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                cutter.push(piece);
                lines.extend(std::iter::from_fn(|| cutter.next()));
            }
            lines.extend(cutter.rest());
            assert_eq!(lines, ["one\r", "", "two 東京", "last"]);
            assert_eq!(cutter.rest(), None);
        }
    }
}
