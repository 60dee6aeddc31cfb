//! Requests in which one thing was altered: whatever it is, the answer is a good one or a refusal in the vendor's shape.

use crate::{ANTHROPIC_MODEL, Sim};
use serde_json::{Value, json};

use super::ask::{ANTHROPIC, Fields, GEMINI, OPENAI, cases, send, with};

/// A call, a request that it takes, and a table of changes that it takes as well.
type Call = (&'static str, Fields<'static>, Value, &'static str);

fn calls() -> [Call; 8] {
    let messages = json!([{"role": "user", "content": "Hello there"}]);
    [
        (
            "/v1/chat/completions",
            OPENAI,
            json!({"model": "gpt", "messages": messages}),
            include_str!("taken/openai.jsonl"),
        ),
        (
            "/v1/responses",
            OPENAI,
            json!({"model": "gpt", "input": "Hello there"}),
            include_str!("taken/responses.jsonl"),
        ),
        (
            "/v1/completions",
            OPENAI,
            json!({"model": "gpt", "prompt": ["Hello", "there"], "max_tokens": 50, "n": 2, "logprobs": 1}),
            "{\"changes\":{}}",
        ),
        (
            "/v1/messages",
            ANTHROPIC,
            json!({"model": ANTHROPIC_MODEL, "max_tokens": 2000, "messages": messages}),
            include_str!("taken/anthropic.jsonl"),
        ),
        (
            "/v1beta/models/gemini:generateContent",
            GEMINI,
            json!({"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]}),
            include_str!("taken/gemini.jsonl"),
        ),
        (
            "/v2/chat",
            OPENAI,
            json!({"model": "command", "messages": messages}),
            include_str!("taken/cohere.jsonl"),
        ),
        (
            "/model/anthropic.claude-sonnet-4-5-v1:0/converse",
            OPENAI,
            json!({"messages": [{"role": "user", "content": [{"text": "Hello there"}]}]}),
            include_str!("taken/bedrock.jsonl"),
        ),
        (
            "/model/anthropic.claude-sonnet-4-5-v1:0/invoke",
            OPENAI,
            json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 2000, "messages": messages}),
            "{\"changes\":{}}",
        ),
    ]
}

/// Every document that differs from this one in one place.
fn altered(value: &Value) -> Vec<Value> {
    let mut all: Vec<Value> = [
        json!(null),
        json!(""),
        json!("\u{1f600} not this"),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!([]),
        json!([null]),
        json!({}),
        json!({"type": "nothing"}),
        json!(true),
    ]
    .into_iter()
    .filter(|other| other != value)
    .collect();
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let mut without = members.clone();
                without.shift_remove(key);
                all.push(Value::Object(without));
                for other in altered(member) {
                    let mut changed = members.clone();
                    changed.insert(key.clone(), other);
                    all.push(Value::Object(changed));
                }
            }
            let mut more = members.clone();
            more.insert("unheard_of".to_owned(), json!(1));
            all.push(Value::Object(more));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let mut without = items.clone();
                without.remove(index);
                all.push(Value::Array(without));
                let mut doubled = items.clone();
                doubled.insert(index, item.clone());
                all.push(Value::Array(doubled));
                for other in altered(item) {
                    let mut changed = items.clone();
                    if let Some(slot) = changed.get_mut(index) {
                        *slot = other;
                    }
                    all.push(Value::Array(changed));
                }
            }
        }
        _ => {}
    }
    all
}

#[tokio::test]
async fn one_altered_thing_is_answered_or_refused_but_never_breaks() {
    let sim = Sim::default();
    for (uri, fields, base, table) in calls() {
        let mut refused = 0;
        for case in cases(table) {
            let request = with(&base, &case["changes"]);
            for changed in altered(&request) {
                let answer = send(&sim, "POST", uri, fields, changed.to_string().into()).await;
                let body = answer.json();
                if answer.status == 200 {
                    continue;
                }
                refused += 1;
                assert!((400..500).contains(&answer.status), "{changed}: {body}");
                let message = [&body["error"]["message"], &body["message"]];
                assert!(
                    message
                        .iter()
                        .any(|said| said.as_str().is_some_and(|said| said.len() > 5)),
                    "{changed}: {body}"
                );
            }
        }
        assert!(refused > 50, "{uri} refused only {refused}");
    }
}
