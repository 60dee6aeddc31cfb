//! Mistral's models, at OpenAI's path.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{openai, with};

fn plain() -> Value {
    json!({"model": "mistral-large-latest", "messages": [{"role": "user", "content": "Hello there"}]})
}

fn called() -> Value {
    json!({"role": "assistant", "content": "", "tool_calls": [
        {"id": "a1B2c3D4e", "type": "function", "function": {"name": "look", "arguments": "{}"}}]})
}

fn result(id: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": "rain"})
}

#[tokio::test]
async fn what_mistral_refuses_is_refused_in_its_words() {
    let sim = Sim::default();
    let ask = json!({"role": "user", "content": "x"});
    let messages = |list: &[&Value]| json!({"messages": list});
    let cases = [
        (json!({"user": "u"}), 422, "Extra inputs are not permitted"),
        (json!({"max_completion_tokens": 5}), 422, "Extra inputs"),
        (
            json!({"stream_options": {"include_usage": true}}),
            422,
            "Extra inputs",
        ),
        (
            json!({"temperature": 1.6}),
            422,
            "less than or equal to 1.5",
        ),
        (
            messages(&[&json!({"role": "developer", "content": "x"}), &ask]),
            422,
            "Input tag 'developer'",
        ),
        (
            messages(&[&json!({"role": "user", "name": "ann", "content": "x"})]),
            422,
            "Extra inputs",
        ),
        (
            messages(&[&ask, &called(), &result("a1B2c3D4e"), &ask]),
            400,
            "Unexpected role 'user' after role 'tool'",
        ),
        (
            messages(&[&ask, &called(), &result("call_1")]),
            400,
            "with a length of 9",
        ),
        (
            messages(&[&ask, &json!({"role": "assistant", "content": "so"})]),
            400,
            "Expected last role User or Tool",
        ),
    ];
    for (changes, status, says) in cases {
        let answer = openai(&sim, &with(&plain(), &changes)).await;
        let told = answer.json();
        assert_eq!(answer.status, status, "{changes}: {told}");
        assert_eq!(told["object"], "error", "{told}");
        assert!(told.to_string().contains(says), "{changes}: {told}");
    }
}

#[tokio::test]
async fn what_mistral_takes_is_taken() {
    let sim = Sim::default();
    let ask = json!({"role": "user", "content": "x"});
    for changes in [
        json!({"random_seed": 7, "temperature": 1.5, "safe_prompt": true}),
        json!({"messages": [ask, called(), result("a1B2c3D4e")]}),
        json!({"messages": [ask, called(), result("a1B2c3D4e"), {"role": "assistant", "content": "so"}, ask]}),
        json!({"messages": [ask, {"role": "assistant", "content": "so", "prefix": true}]}),
        json!({"messages": [{"role": "user", "content": [
            {"type": "text", "text": "x"},
            {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERi0xLjQKJeLjz9MK"}]}]}),
    ] {
        let answer = openai(&sim, &with(&plain(), &changes)).await;
        assert_eq!(answer.status, 200, "{changes}: {}", answer.text());
    }
}

#[tokio::test]
async fn thoughts_are_parts_calls_come_whole_and_the_last_event_has_the_usage() {
    let sim = Sim::default();
    let tool = json!({"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}});
    let request = with(
        &plain(),
        &json!({"model": "magistral-medium-latest", "tools": [tool], "tool_choice": "any"}),
    );
    let whole = openai(&sim, &request).await.json();
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["content"][0]["type"], "thinking", "{whole}");
    let id = message["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let events = openai(&sim, &with(&request, &json!({"stream": true})))
        .await
        .events();
    let last = events.last().unwrap();
    assert_eq!(last["usage"], whole["usage"]);
    assert_eq!(last["choices"][0]["finish_reason"], "tool_calls");
    let calls = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["tool_calls"].as_array());
    assert_eq!(
        calls.flatten().collect::<Vec<_>>(),
        [&message["tool_calls"][0]]
    );
}
