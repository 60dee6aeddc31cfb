//! `/api/ai/chat`: whole, as an event stream, and over WebSocket.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::bench::directory::unique;
use crate::bench::line::{Hung, Line};
use crate::bench::process::{Installation, Trunkline};
use crate::bench::providers;
use crate::bench::simulated::Simulated;
use crate::bench::wait::{eventually, within};

const PATH: &str = "/api/ai/chat";
const BEARER: (&str, &str) = ("authorization", "Bearer the-key-of-an-application");

async fn connect(trunkline: &Trunkline) -> Line {
    Line::connect(trunkline.address(), PATH, &[BEARER])
        .await
        .unwrap()
}

fn ask(model: &str, words: &str, stream: bool) -> Value {
    json!({
        "model": model, "messages": [{ "role": "user", "content": words }], "maxTokens": 500, "stream": stream,
    })
}

fn chat(id: &str, request: &Value) -> Value {
    json!({ "type": "chat", "id": id, "request": request })
}

#[tokio::test]
async fn every_provider_answers_with_the_callers_names_its_own_and_the_cost() {
    let sim = Simulated::start().await;
    let prices = "prices:\n  - { provider: openai, model: gpt, input: 1, output: 2 }\n";
    let installation = Installation::new(&format!("{}{prices}", providers(sim.address)));
    let trunkline = installation.start().await;
    for (model, provider) in [("openai/gpt", "OPENAI"), ("anthropic/claude", "ANTHROPIC")] {
        let answer = trunkline
            .app()
            .post(PATH, &ask(model, "hello", false))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        assert_eq!(body["provider"], provider);
        assert_eq!(body["choices"][0]["finishReason"], "stop", "{body}");
        let usage = &body["usage"];
        assert!(usage["promptTokens"].as_u64().unwrap() > 0, "{body}");
        assert_eq!(usage["cost"].is_f64(), provider == "OPENAI", "{body}");
        let streamed = trunkline.app().post(PATH, &ask(model, "hello", true)).await;
        let text = streamed.text();
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        assert!(!text.contains("finish_reason"), "{text}");
        let events = streamed.events();
        assert_eq!(events.last().unwrap()["usage"], *usage, "{text}");
    }
}

#[tokio::test]
async fn the_preferred_provider_is_tried_first_and_others_remain() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let mut request = ask("gpt", "hello", false);
    request["preferredProvider"] = "OPENAI".into();
    let answer = trunkline.app().post(PATH, &request).await;
    assert_eq!(answer.json()["provider"], "OPENAI", "{}", answer.text());
    let mut request = ask("openai/gpt", "hello", false);
    request["preferredProvider"] = "NOBODY".into();
    let answer = trunkline.app().post(PATH, &request).await;
    assert_eq!(answer.json()["provider"], "OPENAI", "{}", answer.text());
}

#[tokio::test]
async fn what_an_application_wishes_of_the_choice_is_followed() {
    let sim = Simulated::start().await;
    let routes = "models:
  chat:
    targets: [{ model: openai/gpt }]
    fallback: [google/gemini, anthropic/claude]
    retries: { attempts: 1 }
prices:
  - { provider: openai, model: gpt, input: 5, output: 5 }
  - { provider: google, model: gemini, input: 1, output: 1 }
  - { provider: anthropic, model: claude, input: 2, output: 2 }
";
    let installation = Installation::new(&format!("{}{routes}", providers(sim.address)));
    let trunkline = installation.start().await;
    let asked = async |wishes: &Value| {
        let request_id = unique("wish-");
        // Everybody fails, so that everybody is asked.
        let mut request = ask("chat", "[[sim status=503]]", false);
        request
            .as_object_mut()
            .unwrap()
            .extend(wishes.as_object().unwrap().clone());
        let headers = [BEARER, ("x-client-request-id", request_id.as_str())];
        let body = request.to_string().into_bytes();
        trunkline
            .app()
            .try_send(Method::POST, PATH, &headers, body)
            .await
            .unwrap();
        let call = trunkline.admin().recorded(&request_id).await;
        let attempts = call["attempts"].as_array().unwrap().iter();
        let providers = attempts.map(|it| it["provider"].as_str().unwrap().to_owned());
        providers.collect::<Vec<_>>()
    };
    for (wishes, expected) in [
        (json!({}), &["openai", "google", "anthropic"][..]),
        (
            json!({ "fallbackOrder": ["ANTHROPIC", "GOOGLE"] }),
            &["openai", "anthropic", "google"],
        ),
        (json!({ "fallbackEnabled": false }), &["openai"]),
        (
            json!({ "maxRetries": 1, "fallbackEnabled": false }),
            &["openai", "openai"],
        ),
        (
            json!({ "preferredProvider": "GOOGLE", "fallbackOrder": ["ANTHROPIC"] }),
            &["google", "anthropic", "openai"],
        ),
    ] {
        assert_eq!(asked(&wishes).await, expected, "{wishes}");
    }
    for (wish, field) in [
        (json!({ "performanceWeighting": 2 }), "performanceWeighting"),
        (json!({ "cache": { "maxSize": 1 } }), "cache.maxSize"),
    ] {
        let mut request = ask("chat", "hello", false);
        request
            .as_object_mut()
            .unwrap()
            .extend(wish.as_object().unwrap().clone());
        let refused = trunkline.app().post(PATH, &request).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains(field), "{}", refused.text());
    }
}

#[tokio::test]
async fn a_failure_is_told_in_the_shape_of_this_api() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let mut conversation = ask("openai/gpt", "hello", false);
    conversation["conversationId"] = "c1".into();
    for (request, status, kind) in [
        (conversation, 400, "invalid_request"),
        (ask("nobody/knows", "hello", false), 404, "invalid_request"),
        (
            ask("openai/gpt", "[[sim status=500]]", false),
            502,
            "api_error",
        ),
    ] {
        let answer = trunkline.app().post(PATH, &request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let error = &answer.json()["error"];
        assert_eq!(error["type"], kind, "{error}");
        assert!(error["code"].is_string() && error["retryable"].is_boolean());
    }
    let stranger = trunkline.app().with_key("not-a-key-of-anyone");
    let refused = stranger.post(PATH, &ask("openai/gpt", "x", false)).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["error"]["type"], "authentication");
}

#[tokio::test]
async fn several_chats_share_a_connection_and_one_is_cancelled() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let mut line = connect(&trunkline).await;
    let (slow, quick, whole) = (unique("slow-"), unique("quick-"), unique("whole-"));
    let words = "[[sim words=500 chunk-delay=50]]";
    line.say(&chat(&slow, &ask("anthropic/claude", words, true)))
        .await;
    line.say(&chat(&quick, &ask("openai/gpt", "hello", true)))
        .await;
    line.say(&chat(&whole, &ask("google/gemini", "hello", false)))
        .await;
    let mut done = Vec::new();
    let mut said = String::new();
    let mut has_begun = false;
    while done.len() < 2 || !has_begun {
        let frame = line.next().await.unwrap();
        let content = frame.pointer("/data/choices/0/delta/content");
        match (frame["type"].as_str().unwrap(), frame["id"].as_str()) {
            ("done", Some(id)) => done.push(id.to_owned()),
            ("chunk", Some(id)) if id == quick => {
                said.extend(content.and_then(Value::as_str));
            }
            ("chunk", Some(id)) if id == slow => has_begun = true,
            ("answer", Some(id)) if id == whole => {
                assert_eq!(frame["data"]["provider"], "GOOGLE", "{frame}");
            }
            _ => panic!("{frame}"),
        }
    }
    done.sort();
    assert_eq!(done, [quick.clone(), whole.clone()]);
    assert!(said.contains("hello"), "{said}");
    line.say(&json!({ "type": "cancel", "id": slow })).await;
    line.hear("cancelled").await;
    for (mark, state) in [
        (&slow, "cancelled"),
        (&quick, "settled"),
        (&whole, "settled"),
    ] {
        let call = trunkline.app().recorded(mark).await;
        assert_eq!(call["state"], state, "{call:#}");
        assert_eq!(call["face"], "application");
    }
    line.hang_up().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_said_and_the_connection_stays() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let mut line = connect(&trunkline).await;
    for (text, id) in [
        ("{", None),
        (r#"{"type":"chat"}"#, None),
        (r#"{"type":"chat","id":"a","request":{},"more":1}"#, None),
        (r#"{"type":"cancel","id":"a"}"#, Some("a")),
        (r#"{"type":"chat","id":"","request":{}}"#, None),
    ] {
        line.say_text(text).await;
        let frame = line.next().await.unwrap();
        assert_eq!(frame["type"], "error", "{frame}");
        assert_eq!(frame["id"].as_str(), id, "{frame}");
        assert_eq!(frame["error"]["type"], "invalid_request", "{frame}");
    }
    line.say(&chat("b", &json!({ "model": "openai/gpt" })))
        .await;
    let frame = line.next().await.unwrap();
    assert_eq!(
        (&frame["type"], &frame["id"]),
        (&json!("error"), &json!("b"))
    );
    line.hear("done").await;
    let slow = ask("openai/gpt", "[[sim hang=head]]", true);
    for number in 0..=16 {
        line.say(&chat(&format!("n{number}"), &slow)).await;
    }
    let frame = line.next().await.unwrap();
    assert_eq!(frame["id"], "n16", "{frame}");
    assert_eq!(frame["error"]["type"], "rate_limit", "{frame}");
    drop(line);
    eventually("all of them are cancelled", async || {
        let calls = trunkline.app().logs("&state=cancelled").await;
        (calls.len() == 16).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_revoked_key_and_a_message_that_is_too_large_end_the_connection() {
    let sim = Simulated::start().await;
    let configuration = format!(
        "{}sockets: {{ max_message: 64KiB }}\n",
        providers(sim.address)
    );
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let mut line = connect(&trunkline).await;
    line.say_text(&"x".repeat(65 * 1024)).await;
    assert_eq!(line.next().await.unwrap()["type"], "error");
    assert_eq!(line.end().await, Hung::Closed(1009));
    let created = installation
        .print(&["keys", "--json", "create", "live"])
        .await;
    let key: Value = serde_json::from_str(&created).unwrap();
    let shown = format!("Bearer {}", key["key"].as_str().unwrap());
    let fields = [("authorization", shown.as_str())];
    let mut line = within(Duration::from_secs(2), "the key is good", async || {
        Line::connect(trunkline.address(), PATH, &fields).await.ok()
    })
    .await;
    let id = key["id"].as_str().unwrap();
    installation.print(&["keys", "revoke", id]).await;
    let frame = line.next().await.unwrap();
    assert_eq!(frame["error"]["type"], "authentication", "{frame}");
    assert_eq!(line.end().await, Hung::Closed(1008));
    let common = trunkline
        .app()
        .try_send(Method::GET, PATH, &[], "")
        .await
        .unwrap();
    assert_eq!(common.status, 405);
}
