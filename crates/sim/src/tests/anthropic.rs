//! Anthropic's messages.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{ANTHROPIC, Fields, anthropic, assert_says, cases, send, with};

fn plain() -> Value {
    json!({"model": "claude", "max_tokens": 4096, "messages": [{"role": "user", "content": "Hello there"}]})
}

fn weather() -> Value {
    json!({"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}})
}

fn asks_weather(text: &str) -> Value {
    with(
        &plain(),
        &json!({"messages": [{"role": "user", "content": text}], "tools": [weather()]}),
    )
}

fn tool_result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "22 degrees"})
}

#[tokio::test]
async fn an_answer_says_that_it_is_simulated_and_counts_its_tokens() {
    let answer = anthropic(&Sim::default(), &plain()).await;
    let body = answer.json();
    let text = "This is a simulated answer from Trunkline's sim provider (model claude). You said: Hello there";
    assert_eq!(answer.status, 200);
    assert!(answer.field("request-id").starts_with("req_sim"));
    assert_eq!(body["content"], json!([{"type": "text", "text": text}]));
    assert_eq!(
        (&body["type"], &body["role"], &body["stop_reason"]),
        (&json!("message"), &json!("assistant"), &json!("end_turn"))
    );
    assert_eq!(body["usage"]["input_tokens"], 3 + 3);
    assert_eq!(body["usage"]["output_tokens"], text.len().div_ceil(4));
}

#[tokio::test]
async fn what_anthropic_refuses_is_refused_in_its_words() {
    let sim = Sim::default();
    for case in cases(include_str!("refused/anthropic.jsonl")) {
        let answer = anthropic(&sim, &with(&plain(), &case["changes"])).await;
        let body = answer.json();
        assert_eq!(answer.status, 400, "{case}: {body}");
        assert_says(&body["error"]["message"], &case);
        assert_eq!(body["type"], "error");
        assert_eq!(body["error"]["type"], "invalid_request_error", "{case}");
        assert_eq!(body["request_id"], answer.field("request-id"));
    }
}

#[tokio::test]
async fn a_prompt_beyond_the_context_is_refused() {
    let messages = json!([{"role": "user", "content": "x".repeat(900_000)}]);
    let body = anthropic(
        &Sim::default(),
        &with(&plain(), &json!({"messages": messages})),
    )
    .await
    .json();
    assert_eq!(
        body["error"]["message"],
        "prompt is too long: 225003 tokens > 200000 maximum"
    );
}

#[tokio::test]
async fn what_anthropic_takes_is_taken() {
    let sim = Sim::default();
    for case in cases(include_str!("taken/anthropic.jsonl")) {
        let request = with(&plain(), &case["changes"]);
        let answer = anthropic(&sim, &request).await;
        assert_eq!(answer.status, 200, "{case}: {}", answer.text());
    }
}

#[tokio::test]
async fn keys_versions_and_models_are_refused_as_anthropic_refuses_them() {
    let sim = Sim::default();
    let version = ("anthropic-version", "2023-06-01");
    let newest = ("anthropic-version", "2026-10-21");
    let body = plain();
    let sampled = with(&body, &json!({"top_k": 5}));
    let unknown = with(&body, &json!({"model": "gpt"}));
    let cases: [(Fields<'_>, &Value, u16, &str, &str); 7] = [
        (
            &[version],
            &body,
            401,
            "authentication_error",
            "x-api-key header is required",
        ),
        (
            &[version, ("x-api-key", "invalid-key")],
            &body,
            401,
            "authentication_error",
            "invalid x-api-key",
        ),
        (
            &[version, ("authorization", "Bearer invalid-key")],
            &body,
            401,
            "authentication_error",
            "Invalid bearer token",
        ),
        (
            &[("x-api-key", "k")],
            &body,
            400,
            "invalid_request_error",
            "anthropic-version: header is required",
        ),
        (
            &[("x-api-key", "k"), ("anthropic-version", "1999-01-01")],
            &body,
            400,
            "invalid_request_error",
            "is not a valid version",
        ),
        (
            &[("authorization", "Bearer k"), newest],
            &sampled,
            400,
            "invalid_request_error",
            "top_k: Extra inputs are not permitted",
        ),
        (ANTHROPIC, &unknown, 404, "not_found_error", "model: gpt"),
    ];
    for (fields, body, status, kind, message) in cases {
        let answer = send(
            &sim,
            "POST",
            "/v1/messages",
            fields,
            body.to_string().into(),
        )
        .await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status, status, "{fields:?}");
        assert_eq!(error["type"], kind);
        assert!(
            error["message"].as_str().unwrap().contains(message),
            "{error}"
        );
    }
    let answer = send(
        &sim,
        "POST",
        "/v1/messages",
        &[("authorization", "Bearer k"), newest],
        body.to_string().into(),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let models = send(&sim, "GET", "/v1/models", ANTHROPIC, "".into())
        .await
        .json();
    assert_eq!(
        (
            &models["data"][0]["type"],
            &models["data"][0]["id"],
            &models["has_more"]
        ),
        (&json!("model"), &json!("claude"), &json!(false))
    );
}

/// Puts the events of a stream together into the message they tell of, checking their order on the way.
fn assembled(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut open: Option<(usize, String)> = None;
    for event in events {
        match event["type"].as_str().unwrap() {
            "message_start" => {
                assert!(message.is_null());
                message = event["message"].clone();
                assert_eq!(message["content"], json!([]));
            }
            "ping" => {}
            "content_block_start" => {
                assert!(open.is_none(), "blocks do not overlap");
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(event["index"], content.len());
                content.push(event["content_block"].clone());
                open = Some((content.len() - 1, String::new()));
            }
            "content_block_delta" => {
                let (index, partial) = open.as_mut().unwrap();
                assert_eq!(event["index"], *index);
                let delta = &event["delta"];
                let block = &mut message["content"][*index];
                let mut extend = |key: &str, more: &Value| {
                    let text =
                        format!("{}{}", block[key].as_str().unwrap(), more.as_str().unwrap());
                    block[key] = json!(text);
                };
                match delta["type"].as_str().unwrap() {
                    "text_delta" => extend("text", &delta["text"]),
                    "thinking_delta" => extend("thinking", &delta["thinking"]),
                    "signature_delta" => extend("signature", &delta["signature"]),
                    "input_json_delta" => partial.push_str(delta["partial_json"].as_str().unwrap()),
                    other => panic!("unknown delta {other}"),
                }
            }
            "content_block_stop" => {
                let (index, partial) = open.take().unwrap();
                assert_eq!(event["index"], index);
                if !partial.is_empty() {
                    message["content"][index]["input"] = serde_json::from_str(&partial).unwrap();
                }
            }
            "message_delta" => {
                assert!(open.is_none());
                for (key, value) in event["delta"].as_object().unwrap() {
                    message[key] = value.clone();
                }
                for (key, value) in event["usage"].as_object().unwrap() {
                    message["usage"][key] = value.clone();
                }
            }
            "message_stop" => assert!(std::ptr::eq(event, events.last().unwrap())),
            other => panic!("unknown event {other}"),
        }
    }
    message
}

#[tokio::test]
async fn a_stream_tells_the_message_that_the_whole_answer_is() {
    let no_arguments = json!({"tools": [{"name": "ping", "input_schema": {"type": "object"}}], "messages": [{"role": "user", "content": "ping"}]});
    for request in [
        plain(),
        asks_weather("get_weather in Paris and get_weather in Rome"),
        with(&plain(), &no_arguments),
        with(
            &plain(),
            &json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ),
        with(
            &asks_weather("get_weather [[sim redacted]]"),
            &json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ),
        with(
            &plain(),
            &json!({"model": "claude-opus-4-7", "thinking": {"type": "adaptive"}}),
        ),
        with(
            &plain(),
            &json!({"messages": [{"role": "user", "content": "[[sim refusal]]"}]}),
        ),
    ] {
        let sim = Sim::default();
        let mut whole = anthropic(&sim, &request).await.json();
        let streamed = anthropic(&sim, &with(&request, &json!({"stream": true}))).await;
        assert_eq!(
            streamed.field("content-type"),
            "text/event-stream; charset=utf-8"
        );
        let names: Vec<String> = streamed
            .text()
            .lines()
            .filter_map(|line| line.strip_prefix("event: "))
            .map(str::to_owned)
            .collect();
        let events = streamed.events();
        assert_eq!(
            names,
            events
                .iter()
                .map(|event| event["type"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        );
        let mut told = assembled(&events);
        told["id"] = json!("");
        whole["id"] = json!("");
        assert_eq!(told, whole);
    }
}

#[tokio::test]
async fn thinking_comes_first_and_is_taken_back_unaltered_only() {
    let sim = Sim::default();
    for directive in ["", "[[sim redacted]]"] {
        let request = with(
            &asks_weather(&format!("get_weather {directive}")),
            &json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        );
        let first = anthropic(&sim, &request).await.json();
        let content = first["content"].as_array().unwrap();
        assert_eq!(
            content[0]["type"],
            if directive.is_empty() {
                "thinking"
            } else {
                "redacted_thinking"
            }
        );
        assert!(
            first["usage"]["output_tokens_details"]["thinking_tokens"]
                .as_u64()
                .unwrap()
                > 0
        );
        let id = content.last().unwrap()["id"].as_str().unwrap();
        let follow_up = |content: Value| {
            let messages = json!([request["messages"][0], {"role": "assistant", "content": content}, {"role": "user", "content": [tool_result(id)]}]);
            with(&request, &json!({"messages": messages}))
        };
        let second = anthropic(&sim, &follow_up(first["content"].clone())).await;
        assert_eq!(second.status, 200, "{}", second.text());
        assert!(
            second
                .text()
                .contains("The tool get_weather answered: 22 degrees")
        );
        let mut altered = first["content"].clone();
        let key = if directive.is_empty() {
            "thinking"
        } else {
            "data"
        };
        altered[0][key] = json!(format!("AAAA{}", altered[0][key].as_str().unwrap()));
        assert_eq!(anthropic(&sim, &follow_up(altered)).await.status, 400);
    }
}

#[tokio::test]
async fn marked_prefixes_are_written_for_their_life_and_then_read() {
    let sim = Sim::default();
    let long = "word ".repeat(1200);
    let request = with(
        &plain(),
        &json!({"system": [{"type": "text", "text": long, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": long, "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "end"}]}]}),
    );
    let usage = async || anthropic(&sim, &request).await.json()["usage"].clone();
    let first = usage().await;
    assert_eq!(
        first["cache_creation"],
        json!({"ephemeral_5m_input_tokens": 1503, "ephemeral_1h_input_tokens": 1500})
    );
    assert_eq!(
        (
            &first["cache_creation_input_tokens"],
            &first["cache_read_input_tokens"],
            &first["input_tokens"]
        ),
        (&json!(3003), &json!(0), &json!(1))
    );
    let second = usage().await;
    assert_eq!(
        (
            &second["cache_creation_input_tokens"],
            &second["cache_read_input_tokens"],
            &second["input_tokens"]
        ),
        (&json!(0), &json!(3003), &json!(1))
    );
}

#[tokio::test]
async fn a_stop_sequence_is_named_and_a_limit_cuts() {
    let sim = Sim::default();
    let stopped = anthropic(
        &sim,
        &with(&plain(), &json!({"stop_sequences": ["simulated"]})),
    )
    .await
    .json();
    assert_eq!(
        (
            &stopped["stop_reason"],
            &stopped["stop_sequence"],
            &stopped["content"][0]["text"]
        ),
        (
            &json!("stop_sequence"),
            &json!("simulated"),
            &json!("This is a ")
        )
    );
    let cut = anthropic(&sim, &with(&plain(), &json!({"max_tokens": 2})))
        .await
        .json();
    assert_eq!(
        (&cut["stop_reason"], &cut["usage"]["output_tokens"]),
        (&json!("max_tokens"), &json!(2))
    );
}
