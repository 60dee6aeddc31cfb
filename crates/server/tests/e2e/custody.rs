//! A client that knows OpenAI's own fields only uses tools with a model that signs its thoughts: the
//! simulated provider checks every signature and refuses to think on without its thoughts.

use serde_json::{Value, json};

use crate::bench::client::Client;
use crate::bench::postgres::Database;
use crate::bench::process::{Installation, Trunkline};
use crate::bench::providers;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;

const OTHER_KEY: &str = "the-key-of-another-application";

async fn start(more: &str) -> (Simulated, Installation, Trunkline) {
    let simulated = Simulated::start().await;
    let providers = providers(simulated.address);
    let configuration = format!("{providers}  - {{ name: other, key: {OTHER_KEY} }}\n{more}");
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    (simulated, installation, trunkline)
}

fn first(words: &str) -> Value {
    json!({
        "model": "anthropic/claude-sonnet-4-5", "reasoning_effort": "low", "max_tokens": 8_000,
        "messages": [{"role": "user", "content": words}],
        "tools": [{"type": "function", "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        }}],
    })
}

async fn say(client: &Client, request: &Value) -> Value {
    let headers = [("x-trunkline-report", "conversion")];
    let answer = client.chat_with(&headers, request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The calls of a whole answer.
fn calls(answer: &Value) -> Value {
    let calls = answer.pointer("/choices/0/message/tool_calls");
    calls.cloned().unwrap_or_else(|| panic!("{answer}"))
}

/// The calls of a streamed answer, put together.
async fn streamed_calls(client: &Client, request: &Value) -> Value {
    let mut request = request.clone();
    request["stream"] = true.into();
    let answer = client.chat(&request).await;
    let (mut call, mut arguments) = (Value::Null, String::new());
    for event in answer.events() {
        let Some(delta) = event.pointer("/choices/0/delta/tool_calls/0") else {
            continue;
        };
        if delta["id"].is_string() {
            call = delta.clone();
        }
        arguments += delta["function"]["arguments"].as_str().unwrap_or_default();
    }
    call["function"]["arguments"] = arguments.into();
    json!([call])
}

/// The request again, with the calls and their results, and with nothing of the thoughts.
fn second(words: &str, calls: &Value) -> Value {
    let mut request = first(words);
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
    let calls = calls.as_array().unwrap().iter();
    messages.extend(
        calls.map(
            |call| json!({"role": "tool", "tool_call_id": call["id"], "content": "22 degrees"}),
        ),
    );
    request
}

/// Whether the thoughts were put back, and whether the model thought on.
fn outcome(answer: &Value) -> (bool, bool) {
    let conversion = answer.pointer("/trunkline/conversion").unwrap().to_string();
    let thoughts = answer.pointer("/choices/0/message/reasoning_content");
    (
        conversion.contains("restored: "),
        thoughts.is_some_and(Value::is_string),
    )
}

#[tokio::test]
async fn a_model_thinks_on_although_the_client_left_its_thoughts_out() {
    let (_simulated, _installation, trunkline) = start("").await;
    let app = trunkline.app();
    for words in ["get_weather", "get_weather [[sim redacted]]"] {
        let calls = calls(&say(&app, &first(words)).await);
        let answer = say(&app, &second(words, &calls)).await;
        assert!(outcome(&answer).0, "{answer}");
        assert!(answer.to_string().contains("22 degrees"), "{answer}");
        let calls = streamed_calls(&app, &first(words)).await;
        let answer = say(&app, &second(words, &calls)).await;
        assert!(outcome(&answer).0, "streamed: {answer}");
    }
    let calls = calls(&say(&app, &first("get_weather")).await);
    let answer = say(&app, &second("get_weather", &calls)).await;
    assert_eq!(outcome(&answer), (true, true), "{answer}");
}

#[tokio::test]
async fn another_key_gets_no_thoughts_by_the_same_ids() {
    let (_simulated, _installation, trunkline) = start("").await;
    let app = trunkline.app();
    let calls = calls(&say(&app, &first("get_weather")).await);
    let other = app.with_key(OTHER_KEY);
    let answer = say(&other, &second("get_weather", &calls)).await;
    assert_eq!(outcome(&answer), (false, false), "{answer}");
}

#[tokio::test]
async fn nothing_is_kept_where_the_configuration_says_so() {
    let (_simulated, _installation, trunkline) = start("custody: { ttl: none }\n").await;
    let app = trunkline.app();
    let calls = calls(&say(&app, &first("get_weather")).await);
    let answer = say(&app, &second("get_weather", &calls)).await;
    assert_eq!(outcome(&answer), (false, false), "{answer}");
}

#[tokio::test]
async fn a_model_thinks_on_after_a_restart_in_the_middle_of_its_tools() {
    let (_simulated, installation, trunkline) = start("").await;
    let app = trunkline.app();
    let whole = calls(&say(&app, &first("get_weather")).await);
    let streamed = streamed_calls(&app, &first("get_weather [[sim redacted]]")).await;
    trunkline.stop().await;
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let answer = say(&app, &second("get_weather", &whole)).await;
    assert_eq!(outcome(&answer), (true, true), "{answer}");
    let words = "get_weather [[sim redacted]]";
    let answer = say(&app, &second(words, &streamed)).await;
    assert!(outcome(&answer).0, "{answer}");
    let other = app.with_key(OTHER_KEY);
    let answer = say(&other, &second("get_weather", &whole)).await;
    assert_eq!(outcome(&answer), (false, false), "{answer}");
}

#[tokio::test]
async fn a_model_thinks_on_at_another_replica() {
    let simulated = Simulated::start().await;
    let database = Database::create().await;
    let configuration = format!(
        "{}store: {}\nserver: {{ secret: the-secret-that-replicas-share-0123 }}\n",
        providers(simulated.address),
        database.url(),
    );
    let [first, second] = [(); 2].map(|()| Installation::new(&configuration));
    let one = first.start().await;
    // The first start of an installation makes its administrator's key; this is another replica of it.
    let key = "trunkline-data/admin.key";
    std::fs::create_dir(second.path("trunkline-data")).unwrap();
    std::fs::copy(first.path(key), second.path(key)).unwrap();
    let other = second.start().await;
    let calls = calls(&say(&one.app(), &self::first("get_weather")).await);
    let answer = eventually("the other replica finds the thoughts", async || {
        let answer = say(&other.app(), &self::second("get_weather", &calls)).await;
        outcome(&answer).0.then_some(answer)
    })
    .await;
    assert_eq!(outcome(&answer), (true, true), "{answer}");
    one.stop().await;
    other.stop().await;
    database.remove().await;
}
