//! Realtime sessions through the real process, in front of the simulated provider.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::client::Client;
use crate::bench::directory::unique;
use crate::bench::line::{Hung, Line};
use crate::bench::process::{Installation, Trunkline};
use crate::bench::providers;
use crate::bench::simulated::Simulated;
use crate::bench::wait::{eventually, within};

/// The key that [`providers`] configures, as a caller shows it.
const BEARER: (&str, &str) = ("authorization", "Bearer the-key-of-an-application");

async fn connect(trunkline: &Trunkline, mark: &str) -> Line {
    let fields = [BEARER, ("x-client-request-id", mark)];
    let path = "/v1/realtime?model=openai/gpt";
    Line::connect(trunkline.address(), path, &fields)
        .await
        .unwrap()
}

/// Answers in text, and speaks only when it is asked.
fn text_only() -> Value {
    json!({ "type": "session.update", "session": {
        "type": "realtime", "output_modalities": ["text"], "audio": { "input": { "turn_detection": null } },
    } })
}

fn says(words: &str) -> Value {
    json!({ "type": "conversation.item.create", "item": {
        "type": "message", "role": "user", "content": [{ "type": "input_text", "text": words }],
    } })
}

fn ask() -> Value {
    json!({ "type": "response.create" })
}

/// The rows of one session, once there are `count`: its responses by age, and its own.
async fn rows(client: &Client, mark: &str, count: usize) -> (Vec<Value>, Value) {
    let query = format!("&client_request_id={mark}");
    let mut rows = eventually("the session is recorded", async || {
        let rows = client.logs(&query).await;
        (rows.len() >= count).then_some(rows)
    })
    .await;
    assert_eq!(rows.len(), count, "{rows:#?}");
    let own = rows.pop().unwrap();
    rows.reverse();
    (rows, own)
}

#[tokio::test]
async fn a_session_passes_events_and_records_every_response_with_the_providers_usage() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let mark = unique("mark-");
    let mut line = connect(&trunkline, &mark).await;
    let created = line.hear("session.created").await;
    assert_eq!(created["session"]["model"], "gpt");
    line.say(&text_only()).await;
    line.hear("session.updated").await;
    let mut usages = Vec::new();
    for words in ["hello", "and again"] {
        line.say(&says(words)).await;
        line.say(&ask()).await;
        let done = line.hear("response.done").await;
        usages.push(done["response"]["usage"].clone());
    }
    line.hang_up().await;
    let (responses, own) = rows(&trunkline.app(), &mark, 3).await;
    for (row, usage) in responses.iter().zip(&usages) {
        assert_eq!(row["state"], "settled", "{row:#}");
        assert_eq!(row["operation"], "realtime");
        assert_eq!(
            row["usage"]["input_tokens"], usage["input_tokens"],
            "{row:#}"
        );
        assert_eq!(row["usage"]["output_tokens"], usage["output_tokens"]);
        assert_eq!(row["finish_reason"], "stop");
    }
    let cached = &usages[1]["input_token_details"]["cached_tokens"];
    assert_eq!(responses[1]["usage"]["cached_input_tokens"], *cached);
    assert_eq!(own["status"], 101);
    assert_eq!(own["state"], "settled");
    assert_eq!(
        own["usage"],
        json!({ "input_tokens": 0, "output_tokens": 0 })
    );
    for metric in ["trunkline_ledger_dispatched", "trunkline_ledger_captured"] {
        assert!((trunkline.app().metric(metric).await - 3.0).abs() < 0.5);
    }
}

#[tokio::test]
async fn the_provider_in_this_process_holds_sessions_too() {
    let installation = Installation::new("{}");
    let trunkline = installation.start().await;
    let offered = format!(
        "realtime, openai-insecure-api-key.{}",
        trunkline.admin_key()
    );
    let fields = [("sec-websocket-protocol", offered.as_str())];
    let path = "/v1/realtime?model=sim%2Fgpt";
    let mut line = Line::connect(trunkline.address(), path, &fields)
        .await
        .unwrap();
    line.hear("session.created").await;
    line.say(&says("hello")).await;
    line.say(&ask()).await;
    let done = line.hear("response.done").await;
    let spoken = &done["response"]["usage"]["output_token_details"]["audio_tokens"];
    assert!(spoken.as_u64().unwrap() > 0, "{done}");
    line.hang_up().await;
}

#[tokio::test]
async fn a_handshake_that_cannot_be_accepted_is_an_http_answer() {
    let sim = Simulated::start().await;
    let configuration = providers(sim.address).replace("sk-openai", "invalid-key");
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    for (path, fields, status) in [
        ("/v1/realtime?model=openai/gpt", &[][..], 401),
        ("/v1/realtime", &[BEARER], 400),
        ("/v1/realtime?model=nobody/knows", &[BEARER], 404),
        ("/v1/realtime?model=anthropic/claude", &[BEARER], 400),
        (
            "/v1/realtime?model=openai/gpt&call_id=rtc_1",
            &[BEARER],
            400,
        ),
        // The provider refuses the credential, which is not the caller's fault.
        ("/v1/realtime?model=openai/gpt", &[BEARER], 502),
    ] {
        let refused = Line::connect(trunkline.address(), path, fields).await;
        let (found, _) = refused.err().unwrap();
        assert_eq!(found, status, "{path}");
    }
    let common = trunkline.app().get("/v1/realtime?model=openai/gpt").await;
    assert_eq!(common.status, 400);
    assert!(common.text().contains("WebSocket"), "{}", common.text());
}

#[tokio::test]
async fn a_limit_is_told_as_the_vendor_tells_it_and_a_spent_budget_closes() {
    let sim = Simulated::start().await;
    let configuration = format!(
        "{}  - {{ name: slow, key: the-key-that-is-slow, rate: {{ rpm: 2 }} }}
  - {{ name: poor, key: the-key-that-is-poor, budget: {{ usd: 0.000001, per: day }} }}
prices:\n  - {{ provider: openai, model: gpt, input: 0, output: 1 }}\n",
        providers(sim.address)
    );
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let path = "/v1/realtime?model=openai/gpt";
    for (key, code) in [
        ("Bearer the-key-that-is-slow", "rate_limit_exceeded"),
        ("Bearer the-key-that-is-poor", "insufficient_quota"),
    ] {
        let fields = [("authorization", key)];
        let mut line = Line::connect(trunkline.address(), path, &fields)
            .await
            .unwrap();
        line.say(&text_only()).await;
        line.say(&says("hello")).await;
        line.say(&ask()).await;
        line.hear("response.done").await;
        line.say(&json!({ "type": "response.create", "event_id": "mine" }))
            .await;
        let error = line.next().await.unwrap();
        assert_eq!(error["error"]["code"], code, "{error}");
        assert_eq!(error["error"]["event_id"], "mine");
        if code == "insufficient_quota" {
            assert_eq!(line.end().await, Hung::Closed(1008));
        } else {
            line.say(&text_only()).await;
            line.hear("session.updated").await;
        }
    }
}

#[tokio::test]
async fn a_revoked_key_ends_its_session_within_seconds() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let created = installation
        .print(&["keys", "--json", "create", "live"])
        .await;
    let key: Value = serde_json::from_str(&created).unwrap();
    let shown = format!("Bearer {}", key["key"].as_str().unwrap());
    let path = "/v1/realtime?model=openai/gpt";
    let fields = [("authorization", shown.as_str())];
    let mut line = within(Duration::from_secs(2), "the key is good", async || {
        Line::connect(trunkline.address(), path, &fields).await.ok()
    })
    .await;
    line.hear("session.created").await;
    let id = key["id"].as_str().unwrap();
    installation.print(&["keys", "revoke", id]).await;
    let error = line.next().await.unwrap();
    assert_eq!(error["error"]["code"], "invalid_api_key", "{error}");
    assert_eq!(line.end().await, Hung::Closed(1008));
}

#[tokio::test]
async fn what_is_too_large_or_no_event_goes_no_further() {
    let sim = Simulated::start().await;
    let configuration = format!(
        "{}sockets: {{ max_message: 64KiB }}\n",
        providers(sim.address)
    );
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let mut line = connect(&trunkline, &unique("mark-")).await;
    line.hear("session.created").await;
    for text in ["{", "[]", "\u{0}", r#"{"type":"a","type":"b"}"#] {
        line.say_text(text).await;
        let error = line.next().await.unwrap();
        assert_eq!(error["error"]["type"], "invalid_request_error", "{error}");
    }
    line.say_text(&"x".repeat(65 * 1024)).await;
    let error = line.next().await.unwrap();
    assert_eq!(error["type"], "error", "{error}");
    assert_eq!(line.end().await, Hung::Closed(1009));
}

#[tokio::test]
async fn a_session_that_a_kill_interrupts_is_recorded_with_what_it_was_making() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let mark = unique("mark-");
    let mut line = connect(&trunkline, &mark).await;
    line.say(&text_only()).await;
    line.say(&says("hello")).await;
    line.say(&ask()).await;
    line.hear("response.done").await;
    line.say(&says("[[sim words=500 chunk-delay=50]]")).await;
    line.say(&ask()).await;
    line.hear("response.output_text.delta").await;
    trunkline.kill().await;
    assert_eq!(line.end().await, Hung::Broken);
    let trunkline = installation.start().await;
    let (responses, own) = rows(&trunkline.app(), &mark, 3).await;
    assert_eq!(responses[0]["state"], "settled");
    for open in [&responses[1], &own] {
        assert_eq!(open["state"], "estimated", "{open:#}");
        assert_eq!(open["end_reason"], "interrupted", "{open:#}");
    }
    assert!(responses[1]["usage"]["output_tokens"].as_u64().unwrap() > 0);
    assert_eq!(own["usage"]["output_tokens"], 0);
}

#[tokio::test]
async fn a_caller_who_hangs_up_cancels_the_response_and_its_usage_is_the_providers() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let mark = unique("mark-");
    let mut line = connect(&trunkline, &mark).await;
    line.say(&text_only()).await;
    line.say(&says("[[sim words=500 chunk-delay=50]]")).await;
    line.say(&ask()).await;
    line.hear("response.output_text.delta").await;
    drop(line);
    let (responses, own) = rows(&trunkline.app(), &mark, 2).await;
    assert_eq!(responses[0]["state"], "settled", "{:#}", responses[0]);
    let output = &responses[0]["usage"]["output_tokens"];
    assert_eq!(*output, 1, "the provider's own count");
    assert_eq!(own["state"], "cancelled", "{own:#}");
}

#[tokio::test]
async fn a_provider_that_breaks_off_closes_the_session() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let mark = unique("mark-");
    let mut line = connect(&trunkline, &mark).await;
    line.say(&text_only()).await;
    line.say(&says("[[sim cut=5]]")).await;
    line.say(&ask()).await;
    assert_eq!(line.end().await, Hung::Closed(1011));
    let (responses, _) = rows(&trunkline.app(), &mark, 2).await;
    assert_eq!(responses[0]["state"], "estimated", "{:#}", responses[0]);
    assert_eq!(responses[0]["end_reason"], "provider_broke");
}

#[tokio::test]
async fn a_server_that_stops_lets_the_response_end_and_closes() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let mut line = connect(&trunkline, &unique("mark-")).await;
    line.say(&text_only()).await;
    line.say(&says("[[sim words=40 chunk-delay=50]]")).await;
    line.say(&ask()).await;
    line.hear("response.output_text.delta").await;
    let listen = async {
        line.hear("response.done").await;
        assert_eq!(line.end().await, Hung::Closed(1001));
    };
    tokio::join!(trunkline.stop(), listen);
}

/// A client secret, as the caller who holds `key` makes it.
async fn client_secret(trunkline: &Trunkline, key: &str, session: Value) -> String {
    let made = trunkline.app().with_key(key);
    let made = made
        .post(
            "/v1/realtime/client_secrets",
            &json!({ "session": session }),
        )
        .await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(made.header("cache-control"), Some("no-store"));
    made.json()["value"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_secret_opens_the_session_that_it_describes_and_nothing_else() {
    let sim = Simulated::start().await;
    let configuration = format!(
        "{}models:\n  voice: {{ targets: [{{ model: openai/gpt }}] }}\n",
        providers(sim.address)
    );
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let session = json!({ "type": "realtime", "model": "voice", "output_modalities": ["text"],
        "instructions": "Speak of ships.", "audio": { "input": { "turn_detection": null } } });
    let secret = client_secret(&trunkline, "the-key-of-an-application", session).await;
    let mark = unique("mark-");
    let offered = format!("realtime, openai-insecure-api-key.{secret}");
    let fields = [
        ("sec-websocket-protocol", offered.as_str()),
        ("x-client-request-id", mark.as_str()),
    ];
    let mut line = Line::connect(trunkline.address(), "/v1/realtime", &fields)
        .await
        .unwrap();
    let created = line.next().await.unwrap();
    assert_eq!(created["type"], "session.created", "{created}");
    assert_eq!(created["session"]["instructions"], "Speak of ships.");
    line.say(&says("hello")).await;
    line.say(&ask()).await;
    line.hear("response.done").await;
    line.hang_up().await;
    let (responses, own) = rows(&trunkline.app(), &mark, 2).await;
    assert_eq!(responses[0]["request_model"], "voice");
    assert_eq!(own["state"], "settled");
    let listed = trunkline.app().logs("").await;
    assert_eq!(
        own["key_id"], listed[0]["key_id"],
        "it is the key's own call"
    );

    let elsewhere = trunkline.app().with_key(&secret).get("/v1/models").await;
    let sentence = elsewhere.sentence(401, "invalid_api_key");
    assert!(sentence.contains("realtime sessions"), "{sentence}");
    let other = format!("Bearer {secret}");
    let fields = [("authorization", other.as_str())];
    let path = "/v1/realtime?model=openai/gpt";
    let refused = Line::connect(trunkline.address(), path, &fields).await;
    assert_eq!(refused.err().unwrap().0, 400, "another model");
    let fields = [("authorization", "Bearer ek_nobody-made-this")];
    let refused = Line::connect(trunkline.address(), path, &fields).await;
    assert_eq!(refused.err().unwrap().0, 401);
}

#[tokio::test]
async fn a_client_secret_ends_with_its_key_and_outlives_the_process() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let created = installation
        .print(&["keys", "--json", "create", "parent"])
        .await;
    let key: Value = serde_json::from_str(&created).unwrap();
    let text = key["key"].as_str().unwrap();
    let secret = within(Duration::from_secs(2), "the key is good", async || {
        let body = json!({ "session": { "type": "realtime", "model": "openai/gpt" } });
        let client = trunkline.app().with_key(text);
        let made = client.post("/v1/realtime/client_secrets", &body).await;
        (made.status == 200).then(|| made.json()["value"].as_str().unwrap().to_owned())
    })
    .await;
    trunkline.stop().await;
    let trunkline = installation.start().await;
    let bearer = format!("Bearer {secret}");
    let fields = [("authorization", bearer.as_str())];
    let mut line = within(Duration::from_secs(2), "the key is followed", async || {
        let line = Line::connect(trunkline.address(), "/v1/realtime", &fields).await;
        line.ok()
    })
    .await;
    line.hear("session.created").await;
    let id = key["id"].as_str().unwrap();
    installation.print(&["keys", "revoke", id]).await;
    let error = line.next().await.unwrap();
    assert_eq!(error["error"]["code"], "invalid_api_key", "{error}");
    assert_eq!(line.end().await, Hung::Closed(1008));
    let refused = Line::connect(trunkline.address(), "/v1/realtime", &fields).await;
    assert_eq!(refused.err().unwrap().0, 401);
}

#[tokio::test]
async fn a_session_only_writes_down_where_its_client_secret_says_so() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let session = json!({ "type": "transcription",
        "audio": { "input": { "transcription": { "model": "openai/whisper-1" } } } });
    let secret = client_secret(&trunkline, "the-key-of-an-application", session).await;
    let bearer = format!("Bearer {secret}");
    let mark = unique("mark-");
    let fields = [
        ("authorization", bearer.as_str()),
        ("x-client-request-id", mark.as_str()),
    ];
    let mut line = Line::connect(trunkline.address(), "/v1/realtime", &fields)
        .await
        .unwrap();
    let created = line.hear("session.created").await;
    assert_eq!(created["session"]["type"], "transcription");
    let model = created.pointer("/session/audio/input/transcription/model");
    assert_eq!(model.unwrap(), "whisper-1", "in the provider's words");
    // A second of sound and a little silence, in base64.
    for audio in ["AQEB".repeat(16_000), "AAAA".repeat(3_200)] {
        line.say(&json!({ "type": "input_audio_buffer.append", "audio": audio }))
            .await;
    }
    line.hear("conversation.item.input_audio_transcription.completed")
        .await;
    line.hang_up().await;
    let (transcripts, _) = rows(&trunkline.app(), &mark, 2).await;
    assert_eq!(
        transcripts[0]["operation"], "transcription",
        "{:#}",
        transcripts[0]
    );
}

#[tokio::test]
async fn what_would_pass_the_gateway_by_is_not_implemented() {
    let installation = Installation::new("{}");
    let trunkline = installation.start().await;
    for path in ["/v1/realtime/calls", "/v1/realtime/calls/rtc_1/accept"] {
        let answer = trunkline.admin().post(path, &json!({})).await;
        let sentence = answer.sentence(501, "not_implemented");
        assert!(sentence.contains("client_secrets"), "{sentence}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
    let body = json!({ "session": { "type": "realtime", "model": "sim/claude" } });
    let answer = trunkline
        .admin()
        .post("/v1/realtime/client_secrets", &body)
        .await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}
