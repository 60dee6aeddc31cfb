//! Server-sent events (WHATWG HTML §9.2): bytes in whatever pieces into whole events.

use std::ops::Range;

use memchr::memchr2;

/// The largest event that is taken, in bytes. Events with inline images reach megabytes.
pub const MAX_EVENT: usize = 32 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SseEvent {
    /// The event's type; empty when none was given.
    pub event: String,
    /// The event's data; lines are joined by a line feed.
    pub data: String,
}

/// Why a stream cannot be cut into events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// One event is larger than [`MAX_EVENT`].
    #[error("an event of the stream is larger than {MAX_EVENT} bytes")]
    TooLarge,
    /// A line is not UTF-8.
    #[error("the stream is not UTF-8")]
    NotUtf8,
}

/// Cuts a stream into events. Lines may end in LF, CRLF or CR, in any split; a byte order mark at the
/// beginning and comments are skipped.
#[derive(Debug, Default)]
pub struct SseDecoder {
    buffer: Vec<u8>,
    /// How much of `buffer` was taken; it is given up when more bytes come.
    taken: usize,
    /// Up to where in `buffer` there is known to be no line end after `taken`.
    scanned: usize,
    begun: bool,
    /// The last line ended in CR, so that an LF that comes next belongs to it.
    after_carriage_return: bool,
    event: String,
    data: String,
    has_data: bool,
}

impl SseDecoder {
    /// Takes the next bytes; [`SseDecoder::next_event`] then gives the events that are complete.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.scanned -= self.taken;
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The data of the event that `bytes` are, where they are one event of one line and nothing came before it
    /// that is not taken yet: which is how most pieces come. Such bytes need not be pushed.
    pub fn only_event<'b>(&self, bytes: &'b [u8]) -> Option<&'b str> {
        let is_between_events = self.begun
            && self.taken == self.buffer.len()
            && !self.after_carriage_return
            && !self.has_data
            && self.event.is_empty();
        let line = bytes.strip_prefix(b"data: ")?.strip_suffix(b"\n\n")?;
        if !is_between_events || memchr2(b'\n', b'\r', line).is_some() {
            return None;
        }
        std::str::from_utf8(line).ok()
    }

    /// The next complete event.
    pub fn next_event(&mut self) -> Result<Option<SseEvent>, SseError> {
        if !self.begun && !self.skip_byte_order_mark() {
            return Ok(None);
        }
        while let Some(line) = self.next_line()? {
            if !line.is_empty() {
                self.field(line)?;
            } else if let Some(event) = self.dispatch() {
                return Ok(Some(event));
            }
        }
        if self.buffer.len() - self.taken + self.data.len() > MAX_EVENT {
            return Err(SseError::TooLarge);
        }
        Ok(None)
    }

    /// The event that was not ended by an empty line when the stream ended. The standard discards it;
    /// providers that forget the last line feed mean it.
    pub fn finish(&mut self) -> Result<Option<SseEvent>, SseError> {
        let line = self.taken..self.buffer.len();
        self.take(line.end);
        if !line.is_empty() {
            self.field(line)?;
        }
        Ok(self.dispatch())
    }

    /// Whether it is decided that the stream begins with a byte order mark or not.
    fn skip_byte_order_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.buffer.starts_with(MARK) {
            self.take(MARK.len());
        } else if MARK.starts_with(&self.buffer) {
            return false;
        }
        self.begun = true;
        true
    }

    /// Where in `buffer` the next line stands, without its end.
    fn next_line(&mut self) -> Result<Option<Range<usize>>, SseError> {
        if self.after_carriage_return && self.taken < self.buffer.len() {
            self.after_carriage_return = false;
            if self.buffer.get(self.taken) == Some(&b'\n') {
                self.take(self.taken + 1);
            }
        }
        let unscanned = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(offset) = memchr2(b'\n', b'\r', unscanned) else {
            self.scanned = self.buffer.len();
            return Ok(None);
        };
        let line = self.taken..self.scanned + offset;
        if line.len() > MAX_EVENT {
            return Err(SseError::TooLarge);
        }
        self.after_carriage_return = self.buffer.get(line.end) == Some(&b'\r');
        self.take(line.end + 1);
        Ok(Some(line))
    }

    fn take(&mut self, end: usize) {
        self.taken = end;
        self.scanned = end;
    }

    fn field(&mut self, line: Range<usize>) -> Result<(), SseError> {
        let line = self.buffer.get(line).unwrap_or_default();
        let line = std::str::from_utf8(line).map_err(|_| SseError::NotUtf8)?;
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => {
                if self.data.len() + value.len() > MAX_EVENT {
                    return Err(SseError::TooLarge);
                }
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "event" => value.clone_into(&mut self.event),
            // `id` and `retry` concern reconnection, which a chat stream does not have; a line that
            // begins with a colon is a comment; unknown fields are to be ignored.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        std::mem::take(&mut self.has_data).then_some(SseEvent { event, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let mut decoder = SseDecoder::default();
        let mut events = Vec::new();
        for piece in pieces {
            if let Some(data) = decoder.only_event(piece) {
                events.push(event("", data));
                continue;
            }
            decoder.push(piece);
            while let Some(event) = decoder.next_event().unwrap() {
                events.push(event);
            }
        }
        events.extend(decoder.finish().unwrap());
        events
    }

    fn event(event: &str, data: &str) -> SseEvent {
        SseEvent {
            event: event.to_owned(),
            data: data.to_owned(),
        }
    }

    const STREAM: &str = "\u{feff}: hello\r\nevent: a\r\ndata: 1\r\n\r\ndata:2\ndata: drei ü\n\nid: 7\n\nevent: x\n\rdata\r\rdata: last";

    #[test]
    fn lines_end_in_lf_crlf_or_cr() {
        let expected = [
            event("a", "1"),
            event("", "2\ndrei ü"),
            event("", ""),
            event("", "last"),
        ];
        assert_eq!(events(&[STREAM.as_bytes()]), expected);
    }

    #[test]
    fn a_piece_that_is_one_event_is_seen_between_events_only() {
        let mut decoder = SseDecoder::default();
        assert_eq!(decoder.only_event(b"data: 1\n\n"), None, "nothing came yet");
        decoder.push(b"data: 1\n\n");
        decoder.next_event().unwrap().unwrap();
        assert_eq!(decoder.only_event(b"data: 2\n\n"), Some("2"));
        assert_eq!(decoder.only_event(b"data: 2\ndata: 3\n\n"), None);
        assert_eq!(decoder.only_event(b"data: 2\r\n\n"), None);
        assert_eq!(decoder.only_event(b"data: \xff\n\n"), None);
        for begun in [&b"event: a\n"[..], b"data: 2\n", b"dat", b"data: 2\n\r"] {
            let mut decoder = SseDecoder::default();
            decoder.push(begun);
            while decoder.next_event().unwrap().is_some() {}
            assert_eq!(decoder.only_event(b"data: 3\n\n"), None, "{begun:?}");
        }
    }

    #[test]
    fn any_split_gives_the_same_events() {
        let whole = events(&[STREAM.as_bytes()]);
        let bytes = STREAM.as_bytes();
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            assert_eq!(events(&[left, right]), whole, "split at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(&single), whole);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_an_error() {
        let mut decoder = SseDecoder::default();
        decoder.push(b"data: \xff\n\n");
        assert_eq!(decoder.next_event(), Err(SseError::NotUtf8));
    }

    #[test]
    fn an_event_without_end_is_refused_at_the_bound() {
        let mut decoder = SseDecoder::default();
        let piece = vec![b'x'; 1024 * 1024];
        let result = (0..40).try_for_each(|_| {
            decoder.push(&piece);
            decoder.next_event().map(|_| ())
        });
        assert_eq!(result, Err(SseError::TooLarge));
    }
}
