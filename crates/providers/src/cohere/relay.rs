//! Passes a stream of this format on byte for byte, and puts the report into its last event.

use bytes::BytesMut;
use memchr::{memchr, memmem};
use serde_json::Value;

use crate::face::StreamRelay;
use crate::framing::sse::MAX_EVENT;
use crate::openai::render::attach_report;

/// Relays one stream.
#[derive(Default)]
pub(super) struct EventRelay {
    /// The bytes of the line that is not complete.
    held: BytesMut,
    /// From the line on that says how the message ends: it waits for the report.
    terminal: BytesMut,
}

impl EventRelay {
    fn take(&mut self, line: &[u8], out: &mut BytesMut) {
        if !self.terminal.is_empty() || is_terminal(line) {
            self.terminal.extend_from_slice(line);
        } else {
            out.extend_from_slice(line);
        }
    }
}

/// The event's data stand on one line, which is how Cohere writes them.
fn is_terminal(line: &[u8]) -> bool {
    // Most events are pieces of text and are not worth parsing.
    if !line.starts_with(b"data:") || memmem::find(line, b"message-end").is_none() {
        return false;
    }
    let data = line.strip_prefix(b"data:").unwrap_or_default();
    let event: Result<Value, _> = serde_json::from_slice(data);
    event.is_ok_and(|event| event.get("type").is_some_and(|kind| kind == "message-end"))
}

impl StreamRelay for EventRelay {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) {
        // Up to where there is known to be no line end.
        let mut scanned = self.held.len();
        self.held.extend_from_slice(bytes);
        while let Some(offset) = memchr(b'\n', self.held.get(scanned..).unwrap_or_default()) {
            let line = self.held.split_to(scanned + offset + 1);
            self.take(&line, out);
            scanned = 0;
        }
        // A line of such length is no event; it passes as it comes.
        if self.held.len() > MAX_EVENT {
            let line = self.held.split();
            self.take(&line, out);
        }
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        let rest = self.held.split();
        if !rest.is_empty() {
            self.take(&rest, out);
        }
        let terminal = self.terminal.split();
        match report {
            Some(report) if !terminal.is_empty() => {
                let end = memchr(b'\n', &terminal).unwrap_or(terminal.len());
                let (line, rest) = terminal.split_at(end);
                let line = bytes::Bytes::copy_from_slice(line);
                out.extend_from_slice(&attach_report(line, report));
                out.extend_from_slice(rest);
            }
            _ => out.unsplit(terminal),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STREAM: &str = "event: message-start\ndata: {\"type\":\"message-start\"}\n\nevent: message-end\r\ndata: {\"type\":\"message-end\",\"delta\":{}}\r\n\r\ndata: [DONE]\n\n";

    fn relayed(pieces: impl Iterator<Item = Vec<u8>>, report: Option<&Value>) -> String {
        let mut relay = EventRelay::default();
        let mut out = BytesMut::new();
        for piece in pieces {
            relay.push(&piece, &mut out);
        }
        relay.finish(report, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn without_a_report_no_byte_changes_in_any_split() {
        for length in 1..STREAM.len() {
            let pieces = STREAM.as_bytes().chunks(length).map(<[u8]>::to_vec);
            assert_eq!(relayed(pieces, None), STREAM);
        }
    }

    #[test]
    fn the_report_stands_in_the_last_event() {
        let report = json!({"cost": 1});
        let pieces = STREAM.as_bytes().chunks(7).map(<[u8]>::to_vec);
        let expected = STREAM.replace("\"delta\":{}}", "\"delta\":{},\"trunkline\":{\"cost\":1}}");
        assert_eq!(relayed(pieces, Some(&report)), expected);
    }

    #[test]
    fn a_text_that_speaks_of_the_end_is_not_held_back() {
        let mut relay = EventRelay::default();
        let mut out = BytesMut::new();
        let line = b"data: {\"type\":\"content-delta\",\"text\":\"message-end\"}\n";
        relay.push(line, &mut out);
        assert_eq!(&out[..], line);
    }
}
