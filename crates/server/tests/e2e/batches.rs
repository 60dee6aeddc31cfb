//! Batches that providers run, when the process is killed at each step that they see: no line is lost from
//! the ledger, none is there twice, and none is run twice.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::bench::APP_KEY;
use crate::bench::client::Client;
use crate::bench::gate::{Gate, Hold};
use crate::bench::process::{Installation, Trunkline};
use crate::bench::simulated::Simulated;
use crate::bench::wait::{soon, within};

/// Longer than the lease of a process that is gone, and the time that a provider has to show what it has.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the lines of a batch are called, as far as it has lines.
const LINES: [&str; 3] = ["one", "two", "three"];
/// Fewer lines Bedrock does not run as a batch.
const MANY: usize = 100;

fn configuration(gate: &Gate) -> String {
    let at = gate.address;
    format!(
        "providers:
  openai: {{ kind: openai, base_url: 'http://{at}/v1', api_key: sk-openai, allow_private_address: true, batch_api: true }}
  mistral: {{ kind: mistral, base_url: 'http://{at}/v1', api_key: sk-mistral, allow_private_address: true }}
  anthropic: {{ kind: anthropic, base_url: 'http://{at}', api_key: sk-ant, allow_private_address: true }}
  google: {{ kind: gemini, base_url: 'http://{at}', api_key: google-key, allow_private_address: true }}
keys:
  - {{ name: app, key: {APP_KEY} }}
batches: {{ poll: 200ms }}
"
    )
}

/// The lines of a batch: what each is called, and the model that it asks for.
type Lines = Vec<(String, &'static str)>;

fn lines(models: [&'static str; 3]) -> Lines {
    let names = LINES.into_iter().map(str::to_owned);
    names.zip(models).collect()
}

fn many_lines(model: &'static str) -> Lines {
    (0..MANY).map(|at| (format!("line-{at}"), model)).collect()
}

async fn submit(app: &Client, lines: &Lines) -> String {
    let line = |(id, model): &(String, &str)| {
        let body = json!({"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": format!("Say {id}")}]});
        json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body})
            .to_string()
    };
    let lines: Vec<String> = lines.iter().map(line).collect();
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: \
         form-data; name=\"file\"; filename=\"l.jsonl\"\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\n")
    );
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    let sent = app.try_send(Method::POST, "/v1/files", &headers, form);
    let file = sent.await.unwrap().json();
    let new = json!({
        "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h",
    });
    let batch = app.post("/v1/batches", &new).await;
    assert_eq!(batch.status, 200, "{}", batch.text());
    batch.json()["id"].as_str().unwrap().to_owned()
}

async fn ended(app: &Client, id: &str) -> Value {
    within(PATIENCE, "the batch ends", async || {
        let batch = app.get(&format!("/v1/batches/{id}")).await.json();
        let is_open = ["validating", "in_progress", "finalizing"];
        let status = batch["status"].as_str().unwrap().to_owned();
        (!is_open.contains(&status.as_str())).then_some(batch)
    })
    .await
}

/// Every line has an answer, one row in the ledger at its provider's usage and was asked once.
async fn assert_complete(trunkline: &Trunkline, sim: &Simulated, id: &str, lines: &Lines) {
    let app = trunkline.app();
    let batch = ended(&app, id).await;
    assert_eq!(batch["status"], "completed", "{batch:#}");
    assert_eq!(
        batch["request_counts"]["completed"],
        lines.len(),
        "{batch:#}"
    );
    let output = batch["output_file_id"].as_str().unwrap();
    let output = app.get(&format!("/v1/files/{output}/content")).await;
    let answered: Vec<Value> = output
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<&str> = answered
        .iter()
        .map(|line| line["custom_id"].as_str().unwrap())
        .collect();
    let wanted: Vec<&str> = lines.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, wanted);
    let rows = within(PATIENCE, "the lines are recorded", async || {
        let rows = app.logs(&format!("&batch_id={id}")).await;
        (rows.len() >= lines.len()).then_some(rows)
    })
    .await;
    let mut by_line = HashMap::new();
    for row in rows {
        let line = row["client_request_id"].as_str().unwrap().to_owned();
        assert_eq!(row["state"], "settled", "{row:#}");
        assert_eq!(by_line.insert(line, row), None, "recorded more than once");
    }
    let mut tokens = 0;
    for line in &answered {
        let body = &line["response"]["body"];
        assert_eq!(body["object"], "chat.completion", "{line:#}");
        let row = &by_line[line["custom_id"].as_str().unwrap()];
        assert_eq!(row["usage"]["input_tokens"], body["usage"]["prompt_tokens"]);
        tokens += body["usage"]["total_tokens"].as_i64().unwrap();
    }
    assert_eq!(batch["usage"]["total_tokens"], tokens);
    let asked = sim.calls().len();
    assert_eq!(
        asked,
        lines.len(),
        "the provider was asked for each line once"
    );
}

/// The process is killed while it waits for the provider at `line`; the next one goes on.
async fn a_kill_at(model: &'static str, line: &'static str, hold: Hold) {
    let sim = Simulated::start().await;
    let gate = Gate::to(sim.address).await;
    let configuration = configuration(&gate);
    a_kill(
        &sim,
        &gate,
        &configuration,
        &lines([model; 3]),
        (line, hold),
    )
    .await;
}

async fn a_kill(
    sim: &Simulated,
    gate: &Gate,
    configuration: &str,
    lines: &Lines,
    (line, hold): (&'static str, Hold),
) {
    let installation = Installation::new(configuration);
    let trunkline = installation.start().await;
    gate.hold(line, hold);
    let id = submit(&trunkline.app(), lines).await;
    soon("the provider is asked", gate.is_held()).await;
    trunkline.kill().await;
    gate.open();
    let trunkline = installation.start().await;
    assert_complete(&trunkline, sim, &id, lines).await;
    trunkline.stop().await;
}

#[tokio::test]
async fn killed_before_openai_answered_to_the_upload() {
    a_kill_at("openai/gpt", "POST /v1/files ", Hold::Answer).await;
}

#[tokio::test]
async fn killed_when_openai_had_the_batch_and_had_not_answered() {
    a_kill_at("openai/gpt", "POST /v1/batches ", Hold::Answer).await;
}

#[tokio::test]
async fn killed_before_openai_had_the_batch() {
    a_kill_at("openai/gpt", "POST /v1/batches ", Hold::Request).await;
}

#[tokio::test]
async fn killed_while_openai_was_looked_at() {
    a_kill_at("openai/gpt", "GET /v1/batches/", Hold::Answer).await;
}

#[tokio::test]
async fn killed_while_the_results_came() {
    a_kill_at("openai/gpt", "GET /v1/files/", Hold::Answer).await;
}

#[tokio::test]
async fn killed_when_anthropic_had_the_batch_and_had_not_answered() {
    a_kill_at(
        "anthropic/claude",
        "POST /v1/messages/batches ",
        Hold::Answer,
    )
    .await;
}

#[tokio::test]
async fn killed_when_gemini_had_the_batch_and_had_not_answered() {
    a_kill_at("google/gemini", "POST /v1beta/models/", Hold::Answer).await;
}

#[tokio::test]
async fn killed_when_mistral_had_the_job_and_had_not_answered() {
    a_kill_at("mistral/gpt", "POST /v1/batch/jobs ", Hold::Answer).await;
}

#[tokio::test]
async fn lines_for_several_providers_are_a_batch_at_each_of_them() {
    let sim = Simulated::start().await;
    let gate = Gate::to(sim.address).await;
    let installation = Installation::new(&configuration(&gate));
    let trunkline = installation.start().await;
    let lines = lines(["openai/gpt", "anthropic/claude", "google/gemini"]);
    let id = submit(&trunkline.app(), &lines).await;
    assert_complete(&trunkline, &sim, &id, &lines).await;
    let there = Client::new(sim.address, "sk-openai");
    let batches = there.get("/v1/batches").await.json();
    assert_eq!(batches["data"].as_array().unwrap().len(), 1, "{batches:#}");
    let files = there.get("/v1/files?purpose=batch").await.json();
    assert_eq!(files["data"], json!([]), "what was uploaded is deleted");
    trunkline.stop().await;
}

/// Vertex AI and Bedrock, whose batches go through a bucket at `gate`.
async fn clouds(sim: &Simulated, gate: &Gate) -> String {
    let at = gate.address;
    let key = Client::new(sim.address, "")
        .get("/sim/google-key-file")
        .await;
    let key = key.json().to_string();
    format!(
        "providers:
  vertex: {{ kind: vertex, base_url: 'http://{at}', credentials: '{key}', region: us-central1, allow_private_address: true,
    batches: {{ bucket: 'gs://a-bucket/batches', endpoint: 'http://{at}' }} }}
  bedrock: {{ kind: bedrock, base_url: 'http://{at}', region: us-east-1, access_key_id: {}, secret_access_key: {},
    allow_private_address: true, batches: {{ bucket: 's3://a-bucket/batches', endpoint: 'http://{at}/s3',
    role_arn: 'arn:aws:iam::123456789012:role/batches' }} }}
keys:
  - {{ name: app, key: {APP_KEY} }}
batches: {{ poll: 200ms }}
",
        sim::AWS_ACCESS_KEY_ID,
        sim::AWS_SECRET_ACCESS_KEY
    )
}

/// The process is killed while it waits for a cloud at `line`; the next one goes on.
async fn a_kill_at_a_cloud(lines: Lines, line: &'static str, hold: Hold) {
    let sim = Simulated::start_now().await;
    let gate = Gate::to(sim.address).await;
    let configuration = clouds(&sim, &gate).await;
    a_kill(&sim, &gate, &configuration, &lines, (line, hold)).await;
}

#[tokio::test]
async fn killed_when_vertex_had_the_job_and_had_not_answered() {
    let lines = lines(["vertex/gemini-2.5-flash"; 3]);
    a_kill_at_a_cloud(lines, "POST /v1/projects/", Hold::Answer).await;
}

#[tokio::test]
async fn killed_before_cloud_storage_had_the_lines() {
    let lines = lines(["vertex/claude-sonnet-4-5@20250929"; 3]);
    a_kill_at_a_cloud(lines, "POST /upload/storage/", Hold::Request).await;
}

#[tokio::test]
async fn killed_when_bedrock_had_the_job_and_had_not_answered() {
    let lines = many_lines("bedrock/anthropic.claude-haiku-4-5-v1:0");
    a_kill_at_a_cloud(lines, "POST /model-invocation-job ", Hold::Answer).await;
}

#[tokio::test]
async fn killed_while_the_results_came_from_s3() {
    let lines = many_lines("bedrock/amazon.nova-pro-v1:0");
    a_kill_at_a_cloud(lines, "GET /s3/a-bucket/", Hold::Answer).await;
}
