//! Realtime sessions, event by event.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use serde_json::{Value, json};

use crate::{Sim, SimFrame, SimSocket};

fn head(uri: &str, key: &str) -> http::request::Parts {
    let request = Request::get(uri)
        .header("authorization", format!("Bearer {key}"))
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    request.body(()).unwrap().into_parts().0
}

fn begun() -> SimSocket {
    let sim = Sim::default();
    let conversation = sim.converse(&head("/v1/realtime?model=gpt-realtime", "sk-1"));
    conversation.unwrap().ok().unwrap()
}

/// Everything up to an event of this type.
async fn until(socket: &mut SimSocket, kind: &str) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let Some(SimFrame::Text(text)) = socket.next().await else {
            panic!("the connection broke: {events:#?}");
        };
        let event: Value = serde_json::from_str(&text).unwrap();
        let is_last = event["type"] == kind;
        events.push(event);
        if is_last {
            return events;
        }
    }
}

async fn tell(socket: &mut SimSocket, event: &Value, answer: &str) -> Value {
    socket.take(&event.to_string());
    until(socket, answer).await.pop().unwrap()
}

fn text_only() -> Value {
    json!({ "type": "session.update", "session": { "type": "realtime", "output_modalities": ["text"] } })
}

fn says(words: &str) -> Value {
    json!({
        "type": "conversation.item.create",
        "item": { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": words }] },
    })
}

#[tokio::test(start_paused = true)]
async fn a_response_is_said_in_deltas_and_counted() {
    let mut socket = begun();
    until(&mut socket, "session.created").await;
    let updated = tell(&mut socket, &text_only(), "session.updated").await;
    assert_eq!(updated["session"]["output_modalities"], json!(["text"]));
    assert_eq!(updated["session"]["model"], "gpt-realtime");
    tell(&mut socket, &says("hello there"), "conversation.item.done").await;
    socket.take(r#"{"type":"response.create"}"#);
    let events = until(&mut socket, "response.done").await;
    let deltas = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta");
    let said: String = deltas
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(said, "This is a simulated answer to: hello there");
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["status"], "completed");
    let usage = &response["usage"];
    assert_eq!(usage["output_tokens"], said.len().div_ceil(4));
    assert_eq!(usage["input_token_details"]["cached_tokens"], 0);
    socket.take(r#"{"type":"response.create"}"#);
    let again = until(&mut socket, "response.done").await.pop().unwrap();
    let cached = &again["response"]["usage"]["input_token_details"]["cached_tokens"];
    assert_eq!(
        *cached, usage["input_tokens"],
        "what was read before is in the cache"
    );
}

#[tokio::test(start_paused = true)]
async fn silence_after_speech_makes_an_item_and_a_response() {
    let mut socket = begun();
    until(&mut socket, "session.created").await;
    for sound in [vec![1_u8; 48_000], vec![0; 4_800]] {
        let event = json!({ "type": "input_audio_buffer.append", "audio": STANDARD.encode(sound) });
        socket.take(&event.to_string());
    }
    let events = until(&mut socket, "response.done").await;
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    for kind in [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "response.created",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
    ] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    let usage = &events.last().unwrap()["response"]["usage"];
    assert_eq!(usage["input_token_details"]["audio_tokens"], 11);
    assert!(
        usage["output_token_details"]["audio_tokens"]
            .as_u64()
            .unwrap()
            > 0
    );
}

#[tokio::test(start_paused = true)]
async fn a_transcript_is_counted_by_itself() {
    let mut socket = begun();
    let update = json!({ "type": "session.update", "session": { "type": "realtime", "audio": { "input": {
        "transcription": { "model": "gpt-4o-transcribe" }, "turn_detection": null,
    } } } });
    tell(&mut socket, &update, "session.updated").await;
    let sound =
        json!({ "type": "input_audio_buffer.append", "audio": STANDARD.encode(vec![1; 9_600]) });
    socket.take(&sound.to_string());
    let commit = json!({ "type": "input_audio_buffer.commit" });
    let done = "conversation.item.input_audio_transcription.completed";
    let heard = tell(&mut socket, &commit, done).await;
    assert_eq!(heard["usage"]["input_tokens"], 2);
    assert_eq!(heard["usage"]["type"], "tokens");
}

#[tokio::test(start_paused = true)]
async fn a_response_ends_when_it_is_cancelled() {
    let mut socket = begun();
    tell(&mut socket, &text_only(), "session.updated").await;
    let slow = says("[[sim words=50 chunk-delay=100]]");
    tell(&mut socket, &slow, "conversation.item.done").await;
    socket.take(r#"{"type":"response.create"}"#);
    until(&mut socket, "response.output_text.delta").await;
    let done = tell(
        &mut socket,
        &json!({ "type": "response.cancel" }),
        "response.done",
    )
    .await;
    assert_eq!(done["response"]["status"], "cancelled");
    let error = tell(&mut socket, &json!({ "type": "response.cancel" }), "error").await;
    assert_eq!(error["error"]["code"], "response_cancel_not_active");
}

#[tokio::test(start_paused = true)]
async fn what_the_vendor_refuses_is_refused_by_name() {
    let mut socket = begun();
    until(&mut socket, "session.created").await;
    for (event, code, param) in [
        ("{", "invalid_json", None),
        ("{}", "missing_required_parameter", Some("type")),
        (
            r#"{"type":"session.destroy"}"#,
            "invalid_value",
            Some("type"),
        ),
        (
            r#"{"type":"session.update"}"#,
            "missing_required_parameter",
            Some("session"),
        ),
        (
            r#"{"type":"session.update","session":{}}"#,
            "missing_required_parameter",
            Some("session.type"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","voice":"x"}}"#,
            "unknown_parameter",
            Some("session.voice"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","output_modalities":["text","audio"]}}"#,
            "invalid_value",
            Some("session.output_modalities"),
        ),
        (
            r#"{"type":"input_audio_buffer.append","audio":"!"}"#,
            "invalid_value",
            Some("audio"),
        ),
        (
            r#"{"type":"input_audio_buffer.commit"}"#,
            "input_audio_buffer_commit_empty",
            None,
        ),
        (
            r#"{"type":"response.create","response":{"max_output_tokens":0}}"#,
            "integer_below_min_value",
            Some("response.max_output_tokens"),
        ),
        (
            r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"text"}]}}"#,
            "invalid_value",
            Some("item.content[0].type"),
        ),
    ] {
        socket.take(event);
        let error = until(&mut socket, "error").await.pop().unwrap();
        assert_eq!(error["error"]["code"], code, "{event}: {error}");
        assert_eq!(error["error"]["param"].as_str(), param, "{event}: {error}");
    }
    socket.take(r#"{"type":"response.cancel","event_id":"mine"}"#);
    let error = until(&mut socket, "error").await.pop().unwrap();
    assert_eq!(error["error"]["event_id"], "mine");
}

#[tokio::test]
async fn only_who_shows_a_key_and_names_a_model_is_answered() {
    let sim = Sim::default();
    for (uri, key, status) in [
        ("/v1/realtime?model=gpt-realtime", "invalid", 401),
        ("/v1/realtime?model=gpt-4o", "sk-1", 404),
        ("/v1/realtime", "sk-1", 404),
    ] {
        let refusal = sim.converse(&head(uri, key)).unwrap().err().unwrap();
        assert_eq!(refusal.status().as_u16(), status, "{uri}");
    }
    assert!(
        sim.converse(&head("/v1/chat/completions", "sk-1"))
            .is_none()
    );
}
