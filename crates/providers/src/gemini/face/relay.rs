//! Passes a stream of this format on: as it comes, with the report in a chunk of its own at the end; or cut
//! anew into the items of an array, which is what callers get who do not ask for `alt=sse`.

use bytes::{BufMut, BytesMut};
use serde_json::{Value, json};

use super::framing::Framing;
use crate::face::StreamRelay;
use crate::framing::sse::{SseDecoder, SseEvent};

/// Relays one stream.
pub(super) struct ChunkRelay {
    framing: Framing,
    events: SseDecoder,
    /// The last chunk, for the report's.
    last: Option<String>,
    /// Whether the bytes so far end in the middle of a line.
    is_within_line: bool,
    /// Whether the events cannot be read any more.
    is_unreadable: bool,
}

impl ChunkRelay {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            events: SseDecoder::default(),
            last: None,
            is_within_line: false,
            is_unreadable: false,
        }
    }

    fn take(&mut self, event: SseEvent, out: &mut BytesMut) {
        // `[DONE]` is OpenAI's; proxies add it.
        if event.data.is_empty() || event.data == "[DONE]" {
            return;
        }
        if matches!(self.framing, Framing::Array { .. }) {
            self.framing.line(&event.data, out);
        }
        self.last = Some(event.data);
    }
}

impl StreamRelay for ChunkRelay {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) {
        if matches!(self.framing, Framing::Events) {
            out.put_slice(bytes);
            self.is_within_line = !matches!(bytes.last(), None | Some(b'\n' | b'\r'));
        }
        if self.is_unreadable {
            return;
        }
        self.events.push(bytes);
        loop {
            match self.events.next_event() {
                Ok(Some(event)) => self.take(event, out),
                Ok(None) => return,
                // The tap reads the same bytes and tells why.
                Err(_) => {
                    self.is_unreadable = true;
                    return;
                }
            }
        }
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        if !self.is_unreadable
            && let Ok(Some(event)) = self.events.finish()
        {
            self.take(event, out);
        }
        if let Some(report) = report {
            if self.is_within_line {
                out.put_slice(b"\n\n");
            }
            let chunk = last_chunk(self.last.as_deref(), report);
            self.framing.chunk(&chunk, out);
        }
        self.framing.finish(out);
    }

    fn fail(&mut self, error: &[u8], out: &mut BytesMut) {
        match self.framing {
            Framing::Events => out.put_slice(error),
            Framing::Array { .. } => {
                if let Ok(error) = std::str::from_utf8(error) {
                    self.framing.line(error, out);
                }
                self.framing.finish(out);
            }
        }
    }
}

/// The last chunk again, without its words and with the report: clients take the finish and the usage from
/// the chunk that comes last, and one without a part for no answer.
fn last_chunk(last: Option<&str>, report: &Value) -> Value {
    let mut chunk = last
        .and_then(|json| serde_json::from_str(json).ok())
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}));
    let candidates = chunk.get_mut("candidates").and_then(Value::as_array_mut);
    for candidate in candidates.into_iter().flatten() {
        if let Some(candidate) = candidate.as_object_mut() {
            let content = json!({"parts": [{"text": ""}], "role": "model"});
            candidate.insert("content".to_owned(), content);
        }
    }
    if let Some(chunk) = chunk.as_object_mut() {
        chunk.insert("trunkline".to_owned(), report.clone());
    }
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hi\"}],\"role\": \"model\"},\"index\": 0}],\"modelVersion\": \"m\"}\r\n\r\ndata: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"!\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"totalTokenCount\": 3},\"modelVersion\": \"m\"}\r\n\r\n";

    fn relayed(framing: Framing, pieces: &[&[u8]], report: Option<&Value>) -> String {
        let mut relay = ChunkRelay::new(framing);
        let mut out = BytesMut::new();
        for piece in pieces {
            relay.push(piece, &mut out);
        }
        relay.finish(report, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn events_pass_byte_for_byte_and_the_report_comes_last() {
        assert_eq!(relayed(Framing::Events, &[STREAM.as_bytes()], None), STREAM);
        let report = json!({"cost_usd": "0.1"});
        let with_report = relayed(Framing::Events, &[STREAM.as_bytes()], Some(&report));
        assert_eq!(
            with_report.strip_prefix(STREAM),
            Some(
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"totalTokenCount\":3},\"modelVersion\":\"m\",\"trunkline\":{\"cost_usd\":\"0.1\"}}\n\n"
            )
        );
    }

    #[test]
    fn a_problem_in_the_middle_is_the_last_item_of_an_array() {
        let error = r#"{"error":{"code":502}}"#;
        for (pieces, count) in [(&[STREAM.as_bytes()][..], 3), (&[][..], 1)] {
            let mut relay = ChunkRelay::new(Framing::ARRAY);
            let mut out = BytesMut::new();
            for piece in pieces {
                relay.push(piece, &mut out);
            }
            relay.fail(error.as_bytes(), &mut out);
            let items: Vec<Value> = serde_json::from_slice(&out).unwrap();
            assert_eq!(items.len(), count);
            assert_eq!(items.last(), Some(&json!({"error": {"code": 502}})));
        }
        let mut relay = ChunkRelay::new(Framing::Events);
        let mut out = BytesMut::new();
        relay.push(b"data: {}", &mut out);
        relay.fail(b"\n\ndata: {\"error\":{}}\n\n", &mut out);
        assert_eq!(out, &b"data: {}\n\ndata: {\"error\":{}}\n\n"[..]);
    }

    #[test]
    fn an_array_holds_every_chunk_as_it_was_written() {
        let whole = relayed(Framing::ARRAY, &[STREAM.as_bytes()], None);
        let chunks: Vec<Value> = serde_json::from_str(&whole).unwrap();
        assert_eq!(chunks.len(), 2);
        assert!(
            whole.contains("[{\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hi\"}]")
        );
        for at in 0..STREAM.len() {
            let (left, right) = STREAM.as_bytes().split_at(at);
            assert_eq!(relayed(Framing::ARRAY, &[left, right], None), whole);
        }
        assert_eq!(relayed(Framing::ARRAY, &[], None), "[]");
    }
}
