//! Tokens counted before anything is asked: whoever asks and whoever answers, the count is what the provider would
//! bill, or an estimate that says so.

use serde_json::{Value, json};

use crate::bench::APP_KEY;
use crate::bench::client::{Answer, Client};
use crate::bench::process::{Installation, Trunkline};
use crate::bench::simulated::Simulated;

const FRUGAL: &str = "the-key-with-a-budget";

/// A provider of every kind that counts for others, all of them simulated.
async fn before_clouds() -> (Simulated, Installation, Trunkline) {
    let sim = Simulated::start_now().await;
    let at = sim.address;
    let key = Client::new(at, "").get("/sim/google-key-file").await;
    let key = key.json().to_string();
    let installation = Installation::new(&format!(
        "providers:
  anthropic: {{ kind: anthropic, base_url: 'http://{at}', api_key: sk-ant, allow_private_address: true }}
  google: {{ kind: gemini, base_url: 'http://{at}', api_key: google-key, allow_private_address: true }}
  vertex: {{ kind: vertex, base_url: 'http://{at}', credentials: '{key}', region: us-central1, allow_private_address: true }}
  bedrock: {{ kind: bedrock, base_url: 'http://{at}', region: us-east-1, access_key_id: {}, secret_access_key: {},
    allow_private_address: true }}
keys:
  - {{ name: app, key: {APP_KEY} }}
  - {{ name: frugal, key: {FRUGAL}, budget: {{ usd: 0.00001, per: month }} }}
",
        sim::AWS_ACCESS_KEY_ID,
        sim::AWS_SECRET_ACCESS_KEY
    ));
    let trunkline = installation.start().await;
    (sim, installation, trunkline)
}

async fn post(client: &Client, path: &str, body: &Value, mark: &str) -> Answer {
    let headers = [("x-client-request-id", mark)];
    let sent = client.try_send(http::Method::POST, path, &headers, body.to_string());
    sent.await.unwrap()
}

/// One request in the words of each API: what is counted, and where and with what more it is asked.
fn asked(model: &str) -> [(&'static str, String, String, Value, Value); 3] {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let (says, told) = ("What is the weather like?", "Be brief, please.");
    [
        (
            "/input_tokens",
            "/v1/messages/count_tokens".to_owned(),
            "/v1/messages".to_owned(),
            json!({ "model": model, "system": told, "messages": [{ "role": "user", "content": says }],
                "tools": [{ "name": "get_it", "input_schema": schema }] }),
            json!({ "max_tokens": 100 }),
        ),
        (
            "/totalTokens",
            format!("/v1beta/models/{model}:countTokens"),
            format!("/v1beta/models/{model}:generateContent"),
            json!({ "generateContentRequest": { "model": format!("models/{model}"),
                "systemInstruction": { "parts": [{ "text": told }] },
                "contents": [{ "role": "user", "parts": [{ "text": says }] }],
                "tools": [{ "functionDeclarations": [{ "name": "get_it", "parametersJsonSchema": schema }] }] } }),
            json!({}),
        ),
        (
            "/input_tokens",
            "/v1/responses/input_tokens".to_owned(),
            "/v1/responses".to_owned(),
            json!({ "model": model, "instructions": told, "input": says,
                "tools": [{ "type": "function", "name": "get_it", "parameters": schema }] }),
            json!({ "store": false }),
        ),
    ]
}

/// What a chat was billed for, in the words of any API.
fn billed(answer: &Value) -> &Value {
    let native = answer.pointer("/usageMetadata/promptTokenCount");
    native.unwrap_or(&answer["usage"]["input_tokens"])
}

#[tokio::test]
async fn the_count_is_what_the_provider_bills_whoever_asks() {
    let (_sim, _installation, trunkline) = before_clouds().await;
    let app = trunkline.app();
    for model in [
        "anthropic/claude-haiku-4-5",
        "google/gemini-2.5-flash",
        "vertex/gemini-2.5-flash",
        "vertex/claude-sonnet-4-5@20250929",
        "bedrock/us.anthropic.claude-haiku-4-5-v1:0",
        "bedrock/us.amazon.nova-pro-v1:0",
    ] {
        for (count, path, chat, body, more) in asked(model) {
            let mark = format!("{model}{count}{}", path.len());
            let counted = post(&app, &path, &body, &mark).await;
            assert_eq!(counted.status, 200, "{model} {path}: {}", counted.text());
            let counted = counted.json();
            assert_eq!(
                counted["estimated"],
                Value::Null,
                "{model} {path}: {counted}"
            );
            let mut asked = body.get("generateContentRequest").unwrap_or(&body).clone();
            let members = asked.as_object_mut().unwrap();
            members.extend(more.as_object().unwrap().clone());
            if body.get("generateContentRequest").is_some() {
                members.remove("model");
            }
            let answer = app.post(&chat, &asked).await.json();
            let input = counted.pointer(count);
            assert!(
                input.is_some_and(Value::is_u64),
                "{model} {path}: {counted}"
            );
            assert_eq!(input, Some(billed(&answer)), "{model} {path}: {answer}");
            let call = app.recorded(&mark).await;
            assert_eq!(call["operation"], "token_count", "{call:#}");
            assert_eq!(call["state"], "settled", "{call:#}");
            assert_eq!(call["cost_usd"], "0.000000000", "{call:#}");
            assert_eq!(call["attempts"].as_array().unwrap().len(), 1, "{call:#}");
        }
    }
}

#[tokio::test]
async fn what_a_cloud_does_not_count_is_estimated_and_the_log_says_that_it_was_asked() {
    let (_sim, _installation, trunkline) = before_clouds().await;
    let app = trunkline.app();
    for (model, status) in [
        ("bedrock/us.anthropic.claude-opus-4-7", 400),
        ("bedrock/meta.llama3-1-70b-instruct-v1:0", 400),
        (
            "bedrock/arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/a1b2c3",
            400,
        ),
        ("vertex/claude-unknown", 404),
    ] {
        let body =
            json!({ "model": model, "messages": [{ "role": "user", "content": "Hello there" }] });
        let counted = post(&app, "/v1/messages/count_tokens", &body, model).await;
        assert_eq!(counted.status, 200, "{model}: {}", counted.text());
        let counted = counted.json();
        assert_eq!(counted["estimated"], true, "{model}: {counted}");
        assert!(counted["input_tokens"].as_u64().unwrap() > 2, "{counted}");
        let call = app.recorded(model).await;
        assert_eq!(call["state"], "settled", "{call:#}");
        assert_eq!(call["cost_usd"], "0.000000000", "{call:#}");
        assert_eq!(call["attempts"][0]["status"], status, "{call:#}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_count_is_told_in_the_words_of_who_asks() {
    let (_sim, _installation, trunkline) = before_clouds().await;
    let app = trunkline.app();
    let nobodys = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] });
    let path = "/v1beta/models/vertex/palm-2:countTokens";
    let refused = app.post(path, &nobodys).await;
    assert_eq!(refused.status, 404, "{}", refused.text());
    assert_eq!(refused.json()["error"]["status"], "NOT_FOUND");
    for model in [
        "vertex/claude-sonnet-4-5@20250929",
        "bedrock/anthropic.claude-haiku-4-5-v1:0",
    ] {
        let strange = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }],
            "surprise": true });
        let refused = app.post("/v1/messages/count_tokens", &strange).await;
        assert_eq!(refused.status, 400, "{model}: {}", refused.text());
        let refused = refused.json();
        assert_eq!(refused["type"], "error", "{refused}");
        assert_eq!(refused["error"]["type"], "invalid_request_error");
        let sentence = refused["error"]["message"].as_str().unwrap();
        assert!(sentence.contains("surprise"), "{sentence}");
    }
}

#[tokio::test]
async fn counts_pass_to_the_clouds_own_apis_at_no_cost() {
    let (_sim, _installation, trunkline) = before_clouds().await;
    let frugal = trunkline.app().with_key(FRUGAL);
    let messages = json!([{ "role": "user", "content": "Hello there" }]);
    let converse = json!([{ "role": "user", "content": [{ "text": "Hello there" }] }]);
    let publishers = "vertex/v1/projects/simulated/locations/us-central1/publishers";
    for (number, (path, body, counted)) in [
        (
            format!("{publishers}/anthropic/models/count-tokens:rawPredict"),
            json!({ "anthropic_version": "vertex-2023-10-16", "model": "claude-sonnet-4-5@20250929",
                "messages": messages }),
            json!({ "input_tokens": 6 }),
        ),
        (
            "bedrock/model/amazon.nova-pro-v1%3A0/count-tokens".to_owned(),
            json!({ "input": { "converse": { "messages": converse } } }),
            json!({ "inputTokens": 6 }),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mark = format!("passes-{number}");
        let answer = post(&frugal, &format!("/passthrough/{path}"), &body, &mark).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), counted);
        let call = frugal.recorded(&mark).await;
        assert_eq!(call["operation"], "pass_through", "{call:#}");
        assert_eq!(call["state"], "settled", "{call:#}");
        assert_eq!(call["cost_usd"], "0.000000000", "{call:#}");
    }
}
