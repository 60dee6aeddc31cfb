//! Cohere's chat.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{Answer, assert_says, cases, post, with};

fn plain() -> Value {
    json!({"model": "command", "messages": [{"role": "user", "content": "Hello there"}]})
}

fn asks_weather(text: &str) -> Value {
    json!({"model": "command", "messages": [{"role": "user", "content": text}], "tools": [{"type": "function", "function": {
        "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]})
}

async fn ask(sim: &Sim, body: &Value) -> Answer {
    post(sim, "/v2/chat", body).await
}

#[tokio::test]
async fn what_cohere_refuses_is_refused_in_its_words() {
    let sim = Sim::default();
    for case in cases(include_str!("refused/cohere.jsonl")) {
        let answer = ask(&sim, &with(&plain(), &case["changes"])).await;
        let body = answer.json();
        assert_eq!(answer.status, case["status"], "{case}: {body}");
        assert_says(&body["message"], &case);
        assert!(body["id"].is_string());
    }
}

#[tokio::test]
async fn what_cohere_takes_is_taken() {
    let sim = Sim::default();
    for case in cases(include_str!("taken/cohere.jsonl")) {
        let answer = ask(&sim, &with(&plain(), &case["changes"])).await;
        assert_eq!(answer.status, 200, "{case}: {}", answer.text());
    }
}

/// The message that the events of a stream add up to, checked event by event.
fn folded(events: &[Value]) -> Value {
    let mut message = events[0]["delta"]["message"].clone();
    let mut open: Option<(String, Value)> = None;
    let push = |slot: &mut Value, more: &Value| {
        *slot = json!(format!(
            "{}{}",
            slot.as_str().unwrap(),
            more.as_str().unwrap()
        ));
    };
    for event in &events[1..events.len() - 1] {
        let kind = event["type"].as_str().unwrap();
        let (subject, step) = kind.rsplit_once('-').unwrap();
        let delta = &event["delta"]["message"];
        match (subject, step) {
            ("tool-plan", "delta") => push(&mut message["tool_plan"], &delta["tool_plan"]),
            (_, "start") => {
                assert!(open.is_none(), "{event}");
                open = Some((subject.to_owned(), event["index"].clone()));
                let (list, item) = match subject {
                    "content" => ("content", &delta["content"]),
                    "tool-call" => ("tool_calls", &delta["tool_calls"]),
                    _ => ("citations", &delta["citations"]),
                };
                let list = message[list].as_array_mut().unwrap();
                assert_eq!(event["index"], list.len(), "{event}");
                list.push(item.clone());
            }
            (_, "delta") => {
                assert_eq!(
                    open.as_ref().unwrap(),
                    &(subject.to_owned(), event["index"].clone())
                );
                let index = usize::try_from(event["index"].as_u64().unwrap()).unwrap();
                if subject == "content" {
                    let (key, more) = delta["content"].as_object().unwrap().iter().next().unwrap();
                    push(&mut message["content"][index][key], more);
                } else {
                    let more = &delta["tool_calls"]["function"]["arguments"];
                    push(
                        &mut message["tool_calls"][index]["function"]["arguments"],
                        more,
                    );
                }
            }
            (_, "end") => {
                assert_eq!(
                    open.take().unwrap(),
                    (subject.to_owned(), event["index"].clone())
                );
            }
            _ => panic!("unexpected {kind}"),
        }
    }
    assert!(open.is_none());
    message
}

#[tokio::test]
async fn a_stream_adds_up_to_the_whole_answer() {
    let sim = Sim::default();
    for request in [
        plain(),
        asks_weather("get_weather and get_weather"),
        with(
            &asks_weather("get_weather"),
            &json!({"thinking": {"type": "enabled"}}),
        ),
        with(
            &plain(),
            &json!({"documents": ["north", {"id": "s", "data": {"t": "south"}}]}),
        ),
        with(
            &plain(),
            &json!({"model": "command-a-reasoning-08-2025", "max_tokens": 40}),
        ),
    ] {
        let whole = ask(&sim, &request).await.json();
        let streamed = ask(&sim, &with(&request, &json!({"stream": true}))).await;
        assert_eq!(streamed.data().last().map(String::as_str), Some("[DONE]"));
        let events = streamed.events();
        assert_eq!(events[0]["type"], "message-start");
        let last = events.last().unwrap();
        assert_eq!(last["type"], "message-end");
        assert_eq!(last["delta"]["finish_reason"], whole["finish_reason"]);
        assert_eq!(last["delta"]["usage"], whole["usage"]);
        let message = folded(&events);
        for (key, empty) in [
            ("content", json!([])),
            ("tool_plan", json!("")),
            ("tool_calls", json!([])),
            ("citations", json!([])),
        ] {
            let expected = whole["message"].get(key).unwrap_or(&empty);
            assert_eq!(&message[key], expected, "{key} of {whole}");
        }
    }
}

#[tokio::test]
async fn tools_are_planned_called_and_answered() {
    let sim = Sim::default();
    let request = asks_weather("get_weather and get_weather");
    let first = ask(&sim, &request).await.json();
    let message = &first["message"];
    assert_eq!(first["finish_reason"], "TOOL_CALL");
    assert!(
        message["tool_plan"]
            .as_str()
            .unwrap()
            .contains("get_weather")
    );
    let calls = message["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    let mut messages = vec![request["messages"][0].clone(), message.clone()];
    for call in calls {
        messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "22 degrees"}));
    }
    let second = ask(&sim, &with(&request, &json!({"messages": messages})))
        .await
        .json();
    let text = second["message"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(text.matches("get_weather answered: 22 degrees").count(), 2);
    // A client may add a reminder to what tools answered, which names every tool.
    let reminder = json!({"role": "user", "content": "Remember get_weather."});
    let mut reminded = messages.clone();
    reminded.push(reminder);
    let third = ask(&sim, &with(&request, &json!({"messages": reminded})))
        .await
        .json();
    assert_eq!(third["finish_reason"], "COMPLETE", "{third}");
    let lacking = &messages[..3];
    let refused = ask(&sim, &with(&request, &json!({"messages": lacking})))
        .await
        .json();
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("no result for")
    );
}

#[tokio::test]
async fn what_the_user_says_in_several_messages_is_heard_whole() {
    let sim = Sim::default();
    let says = async |messages: Value| {
        let answer = ask(&sim, &with(&plain(), &json!({"messages": messages}))).await;
        let said = answer.json()["message"]["content"][0]["text"].clone();
        said.as_str().unwrap().to_owned()
    };
    let user = |words: &str| json!({"role": "user", "content": words});
    // An agent's instructions stand behind the user's words, where there can be no system message.
    let reminder = user("<system>\nBe brief.\n</system>");
    let wish = user("[[sim text=heard]]");
    assert_eq!(says(json!([wish, reminder])).await, "heard");
    let answered = json!({"role": "assistant", "content": "heard"});
    let afterwards = says(json!([wish, reminder, answered, user("And now?")])).await;
    assert!(afterwards.contains("And now?"), "{afterwards}");
    assert!(!afterwards.contains("brief"), "{afterwards}");
}

#[tokio::test]
async fn citations_point_into_the_documents_unless_they_are_off() {
    let sim = Sim::default();
    let request = with(
        &plain(),
        &json!({"documents": [{"id": "a", "data": {"t": "x"}}]}),
    );
    let cited = ask(&sim, &request).await.json();
    assert_eq!(cited["message"]["citations"][0]["sources"][0]["id"], "a");
    let off = with(&request, &json!({"citation_options": {"mode": "OFF"}}));
    assert!(ask(&sim, &off).await.json()["message"]["citations"].is_null());
}

#[tokio::test]
async fn structured_output_is_valid_for_its_schema() {
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let request = with(
        &plain(),
        &json!({"response_format": {"type": "json_object", "json_schema": schema}}),
    );
    let body = ask(&Sim::default(), &request).await.json();
    let text = body["message"]["content"][0]["text"].as_str().unwrap();
    assert!(
        jsonschema::is_valid(&schema, &serde_json::from_str(text).unwrap()),
        "{text}"
    );
}
