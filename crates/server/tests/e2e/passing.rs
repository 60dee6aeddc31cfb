//! What passes to a vendor's own API: untouched, with the operator's credential, and recorded.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::bench::client::{Answer, Client};
use crate::bench::process::{Installation, Trunkline};
use crate::bench::providers;
use crate::bench::scripted::{Scripted, head};
use crate::bench::simulated::Simulated;

const NARROW: &str = "the-key-for-one-model-only";
const FRUGAL: &str = "the-key-with-a-budget";

async fn before(address: std::net::SocketAddr) -> (Installation, Trunkline) {
    let installation = Installation::new(&format!(
        "{}  - {{ name: narrow, key: {NARROW}, models: [openai/gpt] }}
  - {{ name: frugal, key: {FRUGAL}, budget: {{ usd: 0.00001, per: month }} }}
",
        providers(address)
    ));
    let trunkline = installation.start().await;
    (installation, trunkline)
}

/// Sends with a mark by which the call is found in the log.
async fn send(client: &Client, method: Method, path: &str, body: &Value, mark: &str) -> Answer {
    let body = if body.is_null() {
        Bytes::new()
    } else {
        body.to_string().into()
    };
    let headers = [("x-client-request-id", mark)];
    client.try_send(method, path, &headers, body).await.unwrap()
}

#[tokio::test]
async fn each_vendors_chat_passes_and_is_recorded_with_its_cost() {
    let sim = Simulated::start().await;
    let (_installation, trunkline) = before(sim.address).await;
    let app = trunkline.app();
    let said = json!([{ "role": "user", "content": "Hello" }]);
    for (path, body, streamed) in [
        (
            "openai/chat/completions",
            json!({ "model": "gpt-5.4-nano", "messages": said }),
            false,
        ),
        (
            "openai/v1/responses",
            json!({ "model": "gpt-5.4-nano", "input": "Hello", "stream": true }),
            true,
        ),
        (
            "google/v1beta/models/gemini-3.1-flash-lite:generateContent",
            json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] }),
            false,
        ),
        (
            "google/v1beta/models/gemini-3.1-flash-lite:streamGenerateContent?alt=sse",
            json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] }),
            true,
        ),
    ] {
        let mark = path.split('?').next().unwrap();
        let path = format!("/passthrough/{path}");
        let answer = send(&app, Method::POST, &path, &body, mark).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let call = app.recorded(mark).await;
        assert_eq!(call["operation"], "pass_through", "{call:#}");
        assert_eq!(call["state"], "settled", "{call:#}");
        assert_eq!(call["streamed"], streamed);
        assert!(call["usage"]["output_tokens"].as_u64().unwrap() > 0);
        assert_ne!(call["cost_usd"], Value::Null, "{call:#}");
    }
}

#[tokio::test]
async fn bytes_and_fields_pass_and_no_credential_of_the_callers() {
    let mut response = head("application/x-ndjson");
    response.splice(0..15, *b"HTTP/1.1 201 OK");
    response.extend_from_slice(b"{\"a\": 1}\n");
    let provider = Scripted::answering(response).await;
    let (_installation, trunkline) = before(provider.address).await;
    let app = trunkline.app();
    let headers = [
        ("anthropic-beta", "one,two"),
        ("x-api-key", "callers"),
        ("cookie", "a=b"),
    ];
    let path = "/passthrough/anthropic/v1/x%20y/z?q=1&key=callers";
    let answer = app
        .try_send(Method::PATCH, path, &headers, "exactly \u{0}this")
        .await
        .unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.text(), "{\"a\": 1}\n");
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(answer.header("x-trunkline-provider"), Some("anthropic"));
    let sent = provider.only();
    assert!(
        sent.head.starts_with("patch /v1/x%20y/z?q=1 http/1.1"),
        "{}",
        sent.head
    );
    assert_eq!(sent.body, b"exactly \0this");
    assert!(
        sent.head.contains("anthropic-beta: one,two"),
        "{}",
        sent.head
    );
    assert!(sent.head.contains("x-api-key: sk-ant"), "{}", sent.head);
    for foreign in ["callers", "cookie", "the-key-of"] {
        assert!(!sent.head.contains(foreign), "{}", sent.head);
    }
}

#[tokio::test]
async fn what_must_not_pass_is_refused_in_the_vendors_words_and_never_sent() {
    let sim = Simulated::start().await;
    let (_installation, trunkline) = before(sim.address).await;
    let app = trunkline.app();
    let look = async |client: &Client, path: &str| {
        client
            .try_send(Method::GET, path, &[], Bytes::new())
            .await
            .unwrap()
    };
    let narrow = app.with_key(NARROW);
    let sentence = look(&narrow, "/passthrough/openai/files").await;
    let sentence = sentence.sentence(403, "permission_denied");
    assert!(sentence.contains("models: [\"*\"]"), "{sentence}");
    let fine_tuning = look(&narrow, "/v1/fine_tuning/jobs").await;
    fine_tuning.sentence(403, "permission_denied");
    let nobody = look(&app, "/passthrough/nobody/files").await;
    nobody.sentence(404, "not_found");
    let outside = look(&app, "/passthrough/openai/%2e%2e/%2e%2e/sim/calls").await;
    assert_eq!(outside.status, 400, "{}", outside.text());
    let anonymous = look(&app.with_key(""), "/passthrough/anthropic/v1/models").await;
    assert_eq!(anonymous.status, 401);
    assert_eq!(anonymous.json()["type"], "error", "in Anthropic's words");
    let frugal = app.with_key(FRUGAL);
    let unmetered = frugal
        .post("/passthrough/openai/vector_stores", &json!({}))
        .await;
    unmetered.sentence(403, "permission_denied");
    let chat = json!({ "model": "gpt-5.4-nano", "messages": [{ "role": "user", "content": "Hello [[sim words=200]]" }] });
    let path = "/passthrough/openai/chat/completions";
    assert_eq!(frugal.post(path, &chat).await.status, 200);
    let spent = frugal.post(path, &chat).await;
    spent.sentence(429, "insufficient_quota");
    assert_eq!(sim.calls().len(), 1);
}

#[tokio::test]
async fn a_tuning_passes_to_openai_and_is_recorded_as_unmetered() {
    let sim = Simulated::start().await;
    let (_installation, trunkline) = before(sim.address).await;
    let app = trunkline.app();
    let body = json!({ "model": "openai/gpt-4.1-nano", "training_file": "file-none" });
    let jobs = "/v1/fine_tuning/jobs";
    let refused = send(&app, Method::POST, jobs, &body, "refused").await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(refused.json()["error"]["param"], "training_file");
    let call = app.recorded("refused").await;
    assert_eq!(
        (&call["state"], &call["provider"]),
        (&json!("failed"), &json!("openai"))
    );
    let listed = send(
        &app,
        Method::GET,
        "/v1/fine_tuning/jobs?limit=1",
        &Value::Null,
        "listed",
    )
    .await;
    assert_eq!(listed.json()["data"], json!([]));
    let call = app.recorded("listed").await;
    assert_eq!(call["cost_usd"], "0.000000000");
}
