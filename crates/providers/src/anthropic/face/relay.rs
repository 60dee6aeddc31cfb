//! Passes a stream of this format on byte for byte, and puts the report into its last `message_delta`:
//! the official clients keep fields that they do not know and some others refuse events that they do not
//! know.

use bytes::{BufMut, BytesMut};
use memchr::memmem;
use serde_json::Value;

use crate::face::StreamRelay;
use crate::framing::cut::EventCutter;
use crate::openai::render::append;

/// Relays one stream.
#[derive(Default)]
pub(super) struct MessageRelay {
    cutter: EventCutter,
    /// The last `message_delta` and what came after it.
    held: BytesMut,
}

impl MessageRelay {
    fn pass(&mut self, event: &[u8], out: &mut BytesMut) {
        if is_message_delta(event) {
            out.unsplit(self.held.split());
            self.held.put_slice(event);
        } else if self.held.is_empty() {
            out.put_slice(event);
        } else {
            self.held.put_slice(event);
        }
    }
}

fn is_message_delta(event: &[u8]) -> bool {
    memmem::find(event, b"event: message_delta").is_some_and(|at| at == 0)
        || event.starts_with(b"event:message_delta")
}

/// The event with the report as a further field of its data, if the data ends on its first line.
fn with_report(held: &[u8], report: &Value, out: &mut BytesMut) {
    let end = memmem::find(held, b"\ndata:").and_then(|start| {
        let data = held.get(start + 1..)?;
        let line = memchr::memchr2(b'\n', b'\r', data).unwrap_or(data.len());
        let line = data.get(..line)?.trim_ascii_end();
        line.ends_with(b"}").then_some(start + line.len())
    });
    let Some((before, after)) = end.and_then(|end| held.split_at_checked(end)) else {
        out.put_slice(held);
        return;
    };
    out.put_slice(before);
    out.put_slice(b",\"trunkline\":");
    append(report, out);
    out.put_slice(after);
}

impl StreamRelay for MessageRelay {
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
        let held = self.held.split();
        match report {
            Some(report) if !held.is_empty() => with_report(&held, report, out),
            _ => out.unsplit(held),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":1}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    fn relayed(pieces: &[&[u8]], report: Option<&Value>) -> String {
        let mut relay = MessageRelay::default();
        let mut out = BytesMut::new();
        for piece in pieces {
            relay.push(piece, &mut out);
        }
        relay.finish(report, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn without_a_report_every_byte_passes() {
        for stream in [
            STREAM,
            "event: x",
            "\r\n\r\n:c\n\n",
            "data: {}\r\n\r\nevent:message_delta\rdata: 1\r\r",
        ] {
            let whole = relayed(&[stream.as_bytes()], None);
            assert_eq!(whole, stream);
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(relayed(&bytes, None), stream);
        }
    }

    #[test]
    fn the_report_is_a_field_of_the_last_message_delta() {
        let report = json!({"cost": null});
        let expected = STREAM.replace(
            "\"output_tokens\":2}}",
            "\"output_tokens\":2},\"trunkline\":{\"cost\":null}}",
        );
        assert_eq!(relayed(&[STREAM.as_bytes()], Some(&report)), expected);
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(relayed(&bytes, Some(&report)), expected);
    }
}
