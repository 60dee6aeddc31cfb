//! Answers that are made while nobody waits for them.

use serde_json::{Value, json};

use crate::bench::client::Client;
use crate::bench::fleet::Fleet;
use crate::bench::process::{Installation, Trunkline};
use crate::bench::providers;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;

const OTHER_KEY: &str = "the-key-of-another-application";

async fn start() -> (Simulated, Installation, Trunkline) {
    start_with("").await
}

/// Of the providers, `groq` has OpenAI's responses, so that bytes pass.
async fn start_with(more: &str) -> (Simulated, Installation, Trunkline) {
    let sim = Simulated::start().await;
    let address = sim.address;
    let groq = format!(
        "providers:\n  groq: {{ kind: groq, base_url: 'http://{address}/v1', api_key: sk-groq, allow_private_address: true }}\n"
    );
    let configuration = providers(address).replacen("providers:\n", &groq, 1);
    let installation = Installation::new(&format!(
        "{configuration}  - {{ name: other, key: {OTHER_KEY} }}\n{more}"
    ));
    let trunkline = installation.start().await;
    (sim, installation, trunkline)
}

fn asked(model: &str, words: &str) -> Value {
    json!({ "model": model, "input": words, "background": true })
}

async fn queue(app: &Client, body: &Value) -> String {
    let queued = app.post("/v1/responses", body).await;
    assert_eq!(queued.status, 200, "{}", queued.text());
    assert_eq!(queued.json()["status"], "queued");
    queued.json()["id"].as_str().unwrap().to_owned()
}

async fn look(app: &Client, id: &str) -> Value {
    app.get(&format!("/v1/responses/{id}")).await.json()
}

/// The answer, once it is over.
async fn over(app: &Client, id: &str) -> Value {
    eventually("the answer is over", async || {
        let answer = look(app, id).await;
        let status = answer["status"].as_str().unwrap();
        (!matches!(status, "queued" | "in_progress")).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn an_answer_is_made_while_its_caller_is_away() {
    let (_sim, installation, trunkline) = start().await;
    let app = trunkline.app();
    for model in ["openai/gpt", "groq/gpt", "anthropic/claude"] {
        let id = queue(&app, &asked(model, "[[sim text=\"Hello\" latency=200]]")).await;
        let other = app.with_key(OTHER_KEY);
        assert_eq!(other.get(&format!("/v1/responses/{id}")).await.status, 404);
        let answer = over(&app, &id).await;
        assert_eq!(answer["status"], "completed", "{answer:#}");
        assert_eq!(answer["id"], *id);
        assert_eq!(answer["output"][0]["content"][0]["text"], "Hello");
        let items = app.get(&format!("/v1/responses/{id}/input_items")).await;
        assert_eq!(items.json()["data"].as_array().unwrap().len(), 1);
    }
    let answers = eventually("the calls are recorded", async || {
        let answers = app.logs("&state=settled").await;
        (answers.len() == 3).then_some(answers)
    })
    .await;
    trunkline.stop().await;
    let trunkline = installation.start().await;
    let last = answers[0]["request_id"].as_str().unwrap();
    let id = last.replacen("req_", "resp_", 1);
    assert_eq!(look(&trunkline.app(), &id).await["status"], "completed");
}

#[tokio::test]
async fn a_cancelled_answer_hangs_up_at_its_provider() {
    let (sim, _installation, trunkline) = start().await;
    let app = trunkline.app();
    let id = queue(
        &app,
        &asked("anthropic/claude", "a mark [[sim latency=60000]]"),
    )
    .await;
    sim.received("a mark").await;
    let cancelled = app
        .post(&format!("/v1/responses/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(
        cancelled.json()["status"],
        "cancelled",
        "{}",
        cancelled.text()
    );
    assert_eq!(over(&app, &id).await["status"], "cancelled");
    let call = eventually("the call has ended", async || {
        app.logs("&state=cancelled").await.pop()
    })
    .await;
    assert_eq!(call["operation"], "chat");
}

#[tokio::test]
async fn an_answer_that_is_cancelled_at_another_replica_hangs_up_at_its_provider() {
    let sim = Simulated::start().await;
    let fleet = Fleet::of(2, &providers(sim.address)).await;
    let replicas = fleet.start().await;
    let (one, other) = (replicas[0].app(), replicas[1].app());
    let cancel = async |id: &str| {
        let path = format!("/v1/responses/{id}/cancel");
        let cancelled = other.post(&path, &json!({})).await;
        assert_eq!(cancelled.json()["status"], "cancelled");
    };
    let delete = async |id: &str| {
        let deleted = other.delete(&format!("/v1/responses/{id}")).await;
        assert_eq!(deleted.json()["deleted"], true, "{}", deleted.text());
    };
    let ended = async |count: usize| {
        eventually("the call has ended", async || {
            let calls = one.logs("&state=cancelled").await;
            (calls.len() == count).then_some(())
        })
        .await;
    };
    let id = queue(
        &one,
        &asked("anthropic/claude", "a mark [[sim latency=60000]]"),
    )
    .await;
    sim.received("a mark").await;
    cancel(&id).await;
    ended(1).await;
    assert_eq!(over(&one, &id).await["status"], "cancelled");
    let id = queue(
        &one,
        &asked("anthropic/claude", "a word [[sim latency=60000]]"),
    )
    .await;
    sim.received("a word").await;
    delete(&id).await;
    ended(2).await;
    assert_eq!(one.get(&format!("/v1/responses/{id}")).await.status, 404);
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn an_answer_whose_process_was_killed_has_failed_and_its_call_is_in_the_ledger() {
    let (sim, installation, trunkline) = start().await;
    let id = queue(
        &trunkline.app(),
        &asked("openai/gpt", "a mark [[sim latency=60000]]"),
    )
    .await;
    sim.received("a mark").await;
    trunkline.kill().await;
    let trunkline = installation.start().await;
    let answer = look(&trunkline.app(), &id).await;
    assert_eq!(answer["status"], "failed", "{answer:#}");
    assert_eq!(answer["error"]["code"], "server_error");
    let calls = trunkline.app().logs("").await;
    assert_eq!(calls[0]["end_reason"], "interrupted");
    assert_eq!(over(&trunkline.app(), &id).await, answer);
}

#[tokio::test]
async fn a_stream_is_followed_by_whoever_comes_later() {
    let (_sim, _installation, trunkline) = start().await;
    let app = trunkline.app();
    let mut body = asked(
        "anthropic/claude",
        "[[sim chunks=20 words=20 chunk-delay=30]]",
    );
    body["stream"] = true.into();
    let mut stream = app
        .open(http::Method::POST, "/v1/responses", &[], body.to_string())
        .await
        .unwrap();
    let first = stream.next().await.unwrap();
    let first = String::from_utf8(first.to_vec()).unwrap();
    let id = first.split("\"id\":\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    drop(stream);
    let path = format!("/v1/responses/{id}?stream=true&starting_after=1");
    let live = app.get(&path).await;
    let events = live.events();
    assert_eq!(events[0]["sequence_number"], 2, "{}", live.text());
    assert_eq!(events.last().unwrap()["type"], "response.completed");
    let again = app.get(&format!("/v1/responses/{id}?stream=true")).await;
    assert_eq!(
        again.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let events_again = again.events();
    assert_eq!(events_again[0]["type"], "response.created");
    let answer = |events: &[Value]| events.last().unwrap()["response"]["output"].clone();
    assert_eq!(answer(&events), answer(&events_again));
}

#[tokio::test]
async fn input_is_counted_with_the_conversation_before_it() {
    let (_sim, _installation, trunkline) = start().await;
    let app = trunkline.app();
    let body = json!({ "model": "anthropic/claude", "input": "Hello there, how are you?" });
    let first = app.post("/v1/responses", &body).await.json();
    let count = async |previous: &Value| {
        let body = json!({ "model": "anthropic/claude", "input": "More", "previous_response_id": previous });
        app.post("/v1/responses/input_tokens", &body).await
    };
    let alone = count(&Value::Null).await.json();
    let continued = count(&first["id"]).await.json();
    assert_eq!(alone["object"], "response.input_tokens", "{alone}");
    assert!(continued["input_tokens"].as_u64() > alone["input_tokens"].as_u64());
    let unknown = count(&json!("resp_nobody")).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    let compacted = app.post("/v1/responses/compact", &body).await;
    compacted.sentence(400, "unsupported_by_target");
}

#[tokio::test]
async fn what_only_the_provider_keeps_is_its_owners_to_read_continue_and_delete() {
    let (_sim, _installation, trunkline) = start_with("responses: { keep: none }\n").await;
    let app = trunkline.app();
    let other = app.with_key(OTHER_KEY);
    let body = json!({ "model": "groq/gpt", "input": "Hello" });
    let given = app.post("/v1/responses", &body).await.json();
    let path = format!("/v1/responses/{}", given["id"].as_str().unwrap());
    let found = app.get(&path).await;
    assert_eq!(found.status, 200, "{}", found.text());
    assert_eq!(found.json()["output"], given["output"]);
    let items = app.get(&format!("{path}/input_items")).await;
    assert_eq!(
        items.json()["data"].as_array().unwrap().len(),
        1,
        "{}",
        items.text()
    );
    assert_eq!(other.get(&path).await.status, 404);
    assert_eq!(other.delete(&path).await.status, 404);
    let more = |model: &str| json!({ "model": model, "input": "More", "previous_response_id": given["id"] });
    let continued = app.post("/v1/responses", &more("groq/gpt")).await;
    assert_eq!(continued.status, 200, "{}", continued.text());
    let stolen = other.post("/v1/responses", &more("groq/gpt")).await;
    assert_eq!(stolen.status, 404, "{}", stolen.text());
    let elsewhere = app.post("/v1/responses", &more("anthropic/claude")).await;
    assert_eq!(elsewhere.status, 404, "{}", elsewhere.text());
    let queued = app.post("/v1/responses", &asked("groq/gpt", "Hello")).await;
    assert_eq!(queued.status, 400, "{}", queued.text());
    let deleted = app.delete(&path).await;
    assert_eq!(deleted.json()["deleted"], true, "{}", deleted.text());
    assert_eq!(app.get(&path).await.status, 404);
    let passed = eventually("they are recorded", async || {
        let calls = app.logs("").await;
        let passed = calls
            .into_iter()
            .filter(|call| call["operation"] == "pass_through");
        let passed: Vec<Value> = passed.collect();
        (passed.len() == 3).then_some(passed)
    })
    .await;
    assert!(
        passed.iter().all(|call| call["cost_usd"] == "0.000000000"),
        "{passed:#?}"
    );
}
