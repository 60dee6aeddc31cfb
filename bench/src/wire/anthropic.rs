//! Anthropic's messages, as the mock answers them
//! (<https://platform.claude.com/docs/en/api/messages>,
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>).

use bytes::Bytes;

use super::words::{ANSWER, pieces};

/// Where requests go.
pub const PATH: &str = "/v1/messages";

/// The whole answer.
pub fn whole() -> Bytes {
    Bytes::from(format!(
        r#"{{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-haiku-4-5-20251001","content":[{{"type":"text","text":"{ANSWER}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":221,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}},"output_tokens":74,"service_tier":"standard"}}}}"#
    ))
}

/// The streamed answer, in the pieces in which it is written to the socket: what comes before the first word
/// goes with it, and what ends the answer goes together.
pub fn stream() -> Vec<Bytes> {
    let event =
        |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n");
    let mut opening = event(
        "message_start",
        r#","message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-haiku-4-5-20251001","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":221,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard"}}"#,
    );
    opening += &event(
        "content_block_start",
        r#","index":0,"content_block":{"type":"text","text":""}"#,
    );
    opening += &event("ping", "");
    let mut writes = Vec::new();
    for text in pieces() {
        let delta = format!(r#","index":0,"delta":{{"type":"text_delta","text":"{text}"}}"#);
        let said = event("content_block_delta", &delta);
        writes.push(std::mem::take(&mut opening) + &said);
    }
    let mut end = event("content_block_stop", r#","index":0"#);
    end += &event(
        "message_delta",
        r#","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":221,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":48}"#,
    );
    end += &event("message_stop", "");
    writes.push(end);
    writes.into_iter().map(Bytes::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::words::PIECES;

    #[test]
    fn every_event_carries_json_of_its_own_type() {
        serde_json::from_slice::<serde_json::Value>(&whole()).unwrap();
        let stream = String::from_utf8(stream().concat()).unwrap();
        let events: Vec<&str> = stream.split_terminator("\n\n").collect();
        assert_eq!(events.len(), PIECES + 6);
        for event in events {
            let (kind, data) = event.split_once('\n').unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            assert_eq!(kind.strip_prefix("event: "), data["type"].as_str());
        }
    }
}
