//! Budgets hold on every path to a provider: what a call surely costs is looked at before it is sent, what it cost
//! is charged, and a budget that has too little left sends nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::{join, join_all};
use http::Method;
use serde_json::{Value, json};

use crate::bench::ask;
use crate::bench::client::{Answer, Client};
use crate::bench::line::Line;
use crate::bench::process::{Installation, Trunkline};
use crate::bench::providers;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;

/// A request costs sixty cents, whatever it is about, so that a dollar is enough for one.
const PRICED: [&str; 8] = [
    "openai, model: gpt",
    "openai, model: text-embedding-3-small",
    "openai, model: gpt-image-1.5",
    "openai, model: tts-1",
    "openai, model: whisper-1",
    "openai, model: rerank-1",
    "anthropic, model: claude",
    "google, model: gemini",
];

/// A request of each kind that is asked at once.
fn paths() -> [(&'static str, Value); 13] {
    let said = json!([{ "role": "user", "content": "Hello" }]);
    let chat = |model: &str| json!({ "model": model, "max_tokens": 9, "messages": said });
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] });
    [
        ("/v1/chat/completions", chat("openai/gpt")),
        (
            "/v1/responses",
            json!({ "model": "openai/gpt", "input": "Hello" }),
        ),
        (
            "/v1/completions",
            json!({ "model": "openai/gpt", "prompt": "Hello" }),
        ),
        ("/v1/messages", chat("anthropic/claude")),
        (
            "/v1beta/models/google/gemini:generateContent",
            contents.clone(),
        ),
        (
            "/v1/embeddings",
            json!({ "model": "openai/text-embedding-3-small", "input": "Hello" }),
        ),
        (
            "/v1/images/generations",
            json!({ "model": "openai/gpt-image-1.5", "prompt": "a line" }),
        ),
        (
            "/v1/audio/speech",
            json!({ "model": "openai/tts-1", "voice": "alloy", "input": "Hello there" }),
        ),
        (
            "/api/ai/chat",
            json!({ "model": "openai/gpt", "messages": said }),
        ),
        ("/passthrough/openai/chat/completions", chat("gpt")),
        ("/passthrough/anthropic/v1/messages", chat("claude")),
        (
            "/passthrough/google/v1beta/models/gemini:generateContent",
            contents,
        ),
        (
            "/passthrough/openai/embeddings",
            json!({ "model": "text-embedding-3-small", "input": "Hello" }),
        ),
    ]
}

/// What the key of the path with this number is called, and its text.
fn key(number: usize) -> (String, String) {
    (
        format!("path-{number}"),
        format!("the-key-of-path-number-{number}"),
    )
}

fn configured(sim: &Simulated, keys: usize, usd: f64) -> String {
    let keys = (0..keys).map(|number| {
        let (name, text) = key(number);
        format!("  - {{ name: {name}, key: {text}, budget: {{ usd: {usd}, per: total }} }}\n")
    });
    let prices =
        PRICED.map(|of| format!("  - {{ provider: {of}, input: 0, output: 0, request: 0.6 }}\n"));
    format!(
        "{}{}prices:\n{}",
        providers(sim.address),
        keys.collect::<String>(),
        prices.concat()
    )
}

async fn before(sim: &Simulated, keys: usize, usd: f64) -> (Installation, Trunkline) {
    let installation = Installation::new(&configured(sim, keys, usd));
    let trunkline = installation.start().await;
    (installation, trunkline)
}

/// Asks with a mark by which the call is found in the log.
async fn send(
    client: &Client,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut fields = vec![("x-client-request-id", path)];
    if path.contains("anthropic") {
        fields.push(("anthropic-version", "2023-06-01"));
    }
    fields.extend_from_slice(headers);
    let sent = client.try_send(Method::POST, path, &fields, body);
    sent.await.unwrap()
}

/// Asks twice: the first is answered and charged, the second is refused and not sent.
async fn is_charged_and_then_refused(
    sim: &Simulated,
    client: &Client,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) {
    let body: Bytes = body.into();
    let answer = send(client, path, headers, body.clone()).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let call = client.recorded(path).await;
    assert_eq!(call["cost_usd"], "0.600000000", "{path}: {call:#}");
    let sent = sim.calls().len();
    let refused = send(client, path, headers, body).await;
    assert_eq!(refused.status, 429, "{path}: {}", refused.text());
    assert!(
        refused.text().contains("has $0.400000000 left"),
        "{path}: {}",
        refused.text()
    );
    assert_eq!(sim.calls().len(), sent, "{path}");
}

#[tokio::test]
async fn every_path_is_charged_to_the_budget_and_refused_when_too_little_is_left() {
    let sim = Simulated::start().await;
    let paths = paths();
    let (_installation, trunkline) = before(&sim, paths.len(), 1.0).await;
    for (number, (path, body)) in paths.iter().enumerate() {
        let client = trunkline.app().with_key(&key(number).1);
        is_charged_and_then_refused(&sim, &client, path, &[], body.to_string()).await;
    }
}

#[tokio::test]
async fn a_transcription_is_charged_to_the_budget_and_refused_when_too_little_is_left() {
    let sim = Simulated::start().await;
    let (_installation, trunkline) = before(&sim, 2, 1.0).await;
    let speech = json!({ "model": "openai/tts-1", "voice": "alloy", "input": "Hello", "response_format": "wav" });
    let speaker = trunkline.app().with_key(&key(0).1);
    let sound = send(&speaker, "/v1/audio/speech", &[], speech.to_string()).await;
    let mut form = b"--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nopenai/whisper-1\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\ncontent-type: audio/wav\r\n\r\n".to_vec();
    form.extend_from_slice(&sound.body);
    form.extend_from_slice(b"\r\n--b--\r\n");
    let writer = trunkline.app().with_key(&key(1).1);
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    is_charged_and_then_refused(&sim, &writer, "/v1/audio/transcriptions", &headers, form).await;
}

#[tokio::test]
async fn a_spent_budget_counts_no_tokens_either() {
    let sim = Simulated::start().await;
    let (_installation, trunkline) = before(&sim, 1, 0.6).await;
    let client = trunkline.app().with_key(&key(0).1);
    let body = json!({ "model": "anthropic/claude", "messages": [{ "role": "user", "content": "Hello" }] });
    let path = "/v1/messages/count_tokens";
    let counted = send(&client, path, &[], body.to_string()).await;
    assert_eq!(counted.status, 200, "{}", counted.text());
    let mut chat = body.clone();
    chat["max_tokens"] = 9.into();
    assert_eq!(client.post("/v1/messages", &chat).await.status, 200);
    let sent = sim.calls().len();
    let refused = client.post(path, &body).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.json()["type"], "error", "in Anthropic's words");
    assert_eq!(sim.calls().len(), sent);
}

#[tokio::test]
async fn budgets_that_are_made_under_load_count_every_call_once() {
    let sim = Simulated::start().await;
    let (_installation, trunkline) = before(&sim, 1, 100_000.0).await;
    let (admin, client) = (trunkline.admin(), trunkline.app().with_key(&key(0).1));
    let is_over = AtomicBool::new(false);
    let calls = (0..6).map(async |_| {
        let mut answered = 0_u64;
        while !is_over.load(Ordering::Relaxed) {
            let answer = client.chat(&ask("openai/gpt", "Hello")).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answered += 1;
        }
        answered
    });
    let budgets = async {
        let mut made = Vec::new();
        for number in 0..8 {
            let mut budget = json!({ "name": "later", "usd": 100_000, "per": "day" });
            if number % 2 == 0 {
                budget["provider"] = "openai".into();
            }
            let answer = admin.post("/api/v1/admin/limits", &budget).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
            made.push(answer.json()["data"]["id"].clone());
        }
        is_over.store(true, Ordering::Relaxed);
        made
    };
    let (answered, made) = join(join_all(calls), budgets).await;
    let tenths = 6 * answered.iter().sum::<u64>();
    let spent = format!("{}.{}00000000", tenths / 10, tenths % 10);
    for id in made {
        let path = format!("/api/v1/admin/limits/{}", id.as_str().unwrap());
        eventually("every call counts once", async || {
            let limit = admin.get(&path).await.json();
            let taken = &limit["data"]["usage"][0]["taken"];
            (*taken == spent).then_some(())
        })
        .await;
    }
}

/// Hands in a batch of so many lines for `model`; how it ended.
async fn batch(client: &Client, model: &str, lines: usize) -> Value {
    let lines = (0..lines).map(|line| {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] });
        json!({ "custom_id": format!("{line}"), "method": "POST", "url": "/v1/chat/completions", "body": body })
            .to_string()
            + "\n"
    });
    let form = format!(
        "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n{}\r\n--b--\r\n",
        lines.collect::<String>()
    );
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    let file = send(client, "/v1/files", &headers, form).await.json();
    let new = json!({ "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    let made = client.post("/v1/batches", &new).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let path = format!("/v1/batches/{}", made.json()["id"].as_str().unwrap());
    eventually("the batch has ended", async || {
        let batch = client.get(&path).await.json();
        let is_over = ["completed", "failed"].contains(&batch["status"].as_str()?);
        is_over.then_some(batch)
    })
    .await
}

#[tokio::test]
async fn a_batch_that_is_asked_line_by_line_is_charged_and_refused_when_too_little_is_left() {
    let sim = Simulated::start().await;
    let (_installation, trunkline) = before(&sim, 1, 2.0).await;
    let client = trunkline.app().with_key(&key(0).1);
    // Three cost $1.80; then two more would cost $1.20.
    let done = batch(&client, "openai/gpt", 3).await;
    assert_eq!(done["request_counts"]["completed"], 3, "{done:#}");
    let sent = sim.calls().len();
    let refused = batch(&client, "openai/gpt", 2).await;
    assert_eq!(refused["request_counts"]["completed"], 0, "{refused:#}");
    let why = match refused["error_file_id"].as_str() {
        Some(file) => {
            let content = client.get(&format!("/v1/files/{file}/content")).await;
            content.text().to_owned()
        }
        None => refused["errors"].to_string(),
    };
    assert!(why.contains("has $0.200000000 left"), "{why}");
    assert_eq!(sim.calls().len(), sent);
    let charged = eventually("what was sent is recorded", async || {
        let calls = client.logs("").await;
        let costs = calls.iter().map(|call| call["cost_usd"].as_str().unwrap());
        let charged = costs.filter(|cost| *cost != "0.000000000");
        let charged: Vec<String> = charged.map(str::to_owned).collect();
        (charged.len() >= 3).then_some(charged)
    })
    .await;
    assert_eq!(charged, ["0.600000000"; 3]);
}

/// What is taken of the budget of this name, in every count of its own.
async fn taken(trunkline: &Trunkline, name: &str) -> Vec<String> {
    let budgets = trunkline.admin().get("/api/v1/admin/budgets").await.json();
    let budgets = budgets["data"]["items"].as_array().unwrap();
    let named = budgets.iter().find(|budget| budget["name"] == *name);
    let usage = named.unwrap()["usage"].as_array().unwrap();
    let taken = usage.iter().map(|usage| usage["taken"].as_str().unwrap());
    taken.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_batch_that_is_handed_over_is_charged_at_the_price_for_batches_to_every_budget() {
    let sim = Simulated::start().await;
    let takes_batches = "api_key: sk-openai, batch_api: true";
    let configuration = providers(sim.address).replace("api_key: sk-openai", takes_batches);
    // Thirty lines are expected to cost six cents at most, four times what is left after the first three.
    let limits =
        "  - { name: thrifty, key: the-key-of-path-number-0, budget: { usd: 0.01, per: total } }
limits:
  - { name: of-projects, project: each, usd: 1, per: month }
  - { name: of-the-model, model: openai/gpt-4.1, usd: 1, per: month }
  - { name: of-all, usd: 1, per: day }
batches: { poll: 200ms }
";
    let installation = Installation::new(&format!("{configuration}{limits}"));
    let trunkline = installation.start().await;
    let client = trunkline.app().with_key(&key(0).1);
    let done = batch(&client, "openai/gpt-4.1", 3).await;
    assert_eq!(done["request_counts"]["completed"], 3, "{done:#}");
    let calls = eventually("its lines are recorded", async || {
        let calls = client.logs("").await;
        let lines = calls
            .into_iter()
            .filter(|call| call["batch_id"] == done["id"]);
        let lines: Vec<Value> = lines.collect();
        (lines.len() == 3).then_some(lines)
    })
    .await;
    // OpenAI's batches of gpt-4.1 cost a dollar for a million tokens of input, and four of output.
    let mut spent = 0;
    for call in &calls {
        let tokens = |name: &str| call["usage"][name].as_u64().unwrap();
        let nano = 1_000 * tokens("input_tokens") + 4_000 * tokens("output_tokens");
        let cost = format!("0.{nano:09}");
        assert_eq!(call["cost_usd"], *cost, "{call:#}");
        spent += nano;
    }
    assert!(spent > 0);
    let spent = format!("0.{spent:09}");
    for name in ["of-projects", "of-the-model", "of-all"] {
        let taken = taken(&trunkline, name).await;
        assert_eq!(taken, std::slice::from_ref(&spent), "{name}");
    }
    let refused = batch(&client, "openai/gpt-4.1", 30).await;
    assert_eq!(refused["errors"]["data"][0]["code"], "budget_exhausted");
    let said = refused["errors"]["data"][0]["message"].as_str().unwrap();
    let nano: u64 = spent.replace("0.", "").parse().unwrap();
    let left = format!("has $0.{:09} left", 10_000_000 - nano);
    assert!(said.contains(&left), "{said}");
    assert_eq!(taken(&trunkline, "of-all").await, [spent]);
}

/// A way to spend beside the vendors' formats.
#[derive(Debug, Clone, Copy)]
enum Aside {
    PassThrough,
    Batch,
    Realtime,
    CountOfTokens,
    CacheVector,
}

impl Aside {
    const ALL: [Self; 5] = [
        Self::PassThrough,
        Self::Batch,
        Self::Realtime,
        Self::CountOfTokens,
        Self::CacheVector,
    ];

    /// Spends so once, if it is let; what the caller was told where it was not.
    async fn spend(self, trunkline: &Trunkline, key: &str, words: &str) -> Result<(), String> {
        let client = trunkline.app().with_key(key);
        let answered = |answer: &Answer| match answer.status {
            200 => Ok(()),
            _ => Err(answer.text().to_owned()),
        };
        match self {
            Self::PassThrough => {
                let body = json!({ "model": "text-embedding-3-small", "input": words });
                answered(&client.post("/passthrough/openai/embeddings", &body).await)
            }
            Self::Batch => match batch(&client, "openai/gpt", 1).await {
                done if done["status"] == "completed" => Ok(()),
                refused => Err(refused["errors"].to_string()),
            },
            Self::Realtime => {
                let bearer = format!("Bearer {key}");
                let fields = [("authorization", bearer.as_str())];
                let path = "/v1/realtime?model=openai/gpt-realtime";
                let opened = Line::connect(trunkline.address(), path, &fields).await;
                let mut line = opened.map_err(|(_, body)| body.to_string())?;
                line.say(&json!({ "type": "session.update", "session": {
                    "type": "realtime", "output_modalities": ["text"],
                } }))
                .await;
                line.say(&json!({ "type": "response.create" })).await;
                loop {
                    let event = line.next().await.map_err(|hung| format!("{hung:?}"))?;
                    match event["type"].as_str() {
                        Some("response.done") => {
                            line.hang_up().await;
                            return Ok(());
                        }
                        Some("error") => return Err(event.to_string()),
                        _ => {}
                    }
                }
            }
            Self::CountOfTokens => {
                let said = json!([{ "role": "user", "content": words }]);
                let body = json!({ "model": "anthropic/claude", "messages": said });
                answered(&client.post("/v1/messages/count_tokens", &body).await)
            }
            Self::CacheVector => {
                // The chat costs nothing, and goes on without a vector.
                let said = json!([{ "role": "user", "content": words }]);
                let body = json!({ "model": "openai/gpt-mini", "messages": said });
                answered(&client.chat(&body).await)
            }
        }
    }
}

#[tokio::test]
async fn what_is_spent_beside_the_formats_is_charged_to_a_budget_until_it_refuses() {
    let sim = Simulated::start().await;
    let takes_batches = "api_key: sk-openai, batch_api: true";
    let free = "  - { provider: openai, model: gpt-mini, input: 0, output: 0 }
  - { provider: openai, model: gpt-realtime, input: 0, output: 100000 }
  - { provider: anthropic, model: claude-haiku, input: 0, output: 0, request: 1 }\n";
    let more = "limits: [{ name: purses, key: each, usd: 1, per: total }]
cache: { exact: {}, semantic: { model: openai/text-embedding-3-small, wait: 20s } }
batches: { poll: 200ms }
";
    let configuration = configured(&sim, Aside::ALL.len(), 5.0);
    let configuration = configuration.replace("api_key: sk-openai", takes_batches);
    let installation = Installation::new(&format!("{configuration}{free}{more}"));
    let trunkline = installation.start().await;
    for (number, aside) in Aside::ALL.into_iter().enumerate() {
        let (name, text) = key(number);
        let own = format!("&key_id={}", key_id(&trunkline, &name).await);
        // No vendor charges for a count: a chat spends the money, and then nothing is counted.
        let (costs, chats): (fn(&str) -> bool, _) = match aside {
            Aside::CountOfTokens => (|cost| cost == "0.000000000", 1),
            // A word costs a dollar.
            Aside::Realtime => (|cost| cost != "0.000000000", 0),
            _ => (|cost| cost == "0.600000000", 0),
        };
        let told = aside.spend(&trunkline, &text, "Good morning").await;
        assert_eq!(told, Ok(()), "{aside:?}");
        eventually("what it cost is recorded", async || {
            let calls = trunkline.admin().logs(&own).await;
            let mut of_calls = calls.iter().filter_map(|call| call["cost_usd"].as_str());
            of_calls.any(costs).then_some(())
        })
        .await;
        let client = trunkline.app().with_key(&text);
        for _ in 0..chats {
            let body = json!({ "model": "anthropic/claude-haiku", "max_tokens": 9, "messages": [{ "role": "user", "content": "Hello" }] });
            client.post("/v1/messages", &body).await;
        }
        let sent = sim.calls().len();
        let told = aside
            .spend(&trunkline, &text, "Where is the station?")
            .await;
        let chats = if matches!(aside, Aside::CacheVector) {
            assert_eq!(told, Ok(()), "the chat itself is free");
            1
        } else {
            let told = told.expect_err("the budget is spent");
            let is_budget = told.contains("$1.000000000") || told.contains("$0.400000000 left");
            assert!(is_budget, "{aside:?}: {told}");
            0
        };
        assert_eq!(
            sim.calls().len(),
            sent + chats,
            "{aside:?}: nothing was sent"
        );
    }
}

/// The identifier of a configured key.
async fn key_id(trunkline: &Trunkline, name: &str) -> String {
    let keys = trunkline.admin().get("/api/v1/admin/keys").await.json();
    let keys = keys["data"]["items"].as_array().unwrap();
    let named = keys.iter().find(|key| key["name"] == *name).unwrap();
    named["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_batch_that_is_handed_over_must_fit_whole() {
    let sim = Simulated::start().await;
    let takes_batches = "api_key: sk-openai, batch_api: true";
    let configuration = configured(&sim, 1, 2.0).replace("api_key: sk-openai", takes_batches);
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let client = trunkline.app().with_key(&key(0).1);
    let refused = batch(&client, "openai/gpt", 4).await;
    assert_eq!(refused["status"], "failed", "{refused:#}");
    let fault = &refused["errors"]["data"][0];
    assert_eq!(fault["code"], "budget_exhausted", "{refused:#}");
    let said = fault["message"].as_str().unwrap();
    assert!(said.contains("may cost $2.400000000"), "{said}");
    assert!(said.contains("has $2.000000000 left"), "{said}");
    assert!(sim.calls().is_empty());
}
