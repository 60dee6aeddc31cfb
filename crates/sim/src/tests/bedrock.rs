//! Amazon Bedrock: `Converse`, and Anthropic's format by `InvokeModel`.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{Answer, assert_says, cases, named_messages, post, with};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn plain() -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": "Hello there"}]}]})
}

fn asks_weather(text: &str) -> Value {
    json!({
        "messages": [{"role": "user", "content": [{"text": text}]}],
        "toolConfig": {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": {
            "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}}]},
    })
}

async fn converse(sim: &Sim, model: &str, body: &Value) -> Answer {
    post(sim, &format!("/model/{model}/converse"), body).await
}

async fn streamed(sim: &Sim, model: &str, body: &Value) -> Vec<(String, Value)> {
    let answer = post(sim, &format!("/model/{model}/converse-stream"), body).await;
    assert_eq!(
        answer.field("content-type"),
        "application/vnd.amazon.eventstream"
    );
    named_messages(&answer.pieces.concat())
}

#[tokio::test]
async fn what_bedrock_refuses_is_refused_in_its_words() {
    let sim = Sim::default();
    for case in cases(include_str!("refused/bedrock.jsonl")) {
        let model = case["model"].as_str().unwrap_or(CLAUDE);
        let answer = converse(&sim, model, &with(&plain(), &case["changes"])).await;
        let body = answer.json();
        assert_eq!(answer.status, 400, "{case}: {body}");
        assert_says(&body["message"], &case);
        let kind = case["kind"].as_str().unwrap_or("ValidationException");
        assert!(answer.field("x-amzn-errortype").starts_with(kind), "{case}");
    }
}

#[tokio::test]
async fn what_bedrock_takes_is_taken() {
    let sim = Sim::default();
    for case in cases(include_str!("taken/bedrock.jsonl")) {
        let model = case["model"].as_str().unwrap_or(CLAUDE);
        let answer = converse(&sim, model, &with(&plain(), &case["changes"])).await;
        assert_eq!(answer.status, 200, "{case}: {}", answer.text());
    }
}

/// The content that the events of a stream add up to.
fn folded(events: &[(String, Value)]) -> Vec<Value> {
    let mut content: Vec<Value> = Vec::new();
    let mut is_open = false;
    let push = |slot: &mut Value, more: &Value| {
        let before = slot.as_str().unwrap_or_default().to_owned();
        *slot = json!(before + more.as_str().unwrap());
    };
    for (name, event) in events {
        let index = event["contentBlockIndex"].as_u64();
        match name.as_str() {
            "contentBlockStart" => {
                assert!(!is_open && index == Some(content.len() as u64));
                content.push(event["start"].clone());
                is_open = true;
            }
            "contentBlockDelta" => {
                if !is_open {
                    assert_eq!(index, Some(content.len() as u64));
                    content.push(json!({}));
                    is_open = true;
                }
                let block = content.last_mut().unwrap();
                let delta = &event["delta"];
                let (kind, more) = delta.as_object().unwrap().iter().next().unwrap();
                match kind.as_str() {
                    "text" => push(&mut block["text"], more),
                    "toolUse" => push(&mut block["toolUse"]["input"], &more["input"]),
                    _ => {
                        let (part, more) = more.as_object().unwrap().iter().next().unwrap();
                        let place = match part.as_str() {
                            "redactedContent" => &mut block["reasoningContent"]["redactedContent"],
                            part => &mut block["reasoningContent"]["reasoningText"][part],
                        };
                        push(place, more);
                    }
                }
            }
            "contentBlockStop" => {
                assert!(is_open && index == Some(content.len() as u64 - 1));
                is_open = false;
            }
            _ => assert!(!is_open),
        }
    }
    for block in &mut content {
        if let Some(input) = block["toolUse"]["input"].as_str() {
            block["toolUse"]["input"] = serde_json::from_str(input).unwrap();
        }
        block
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
    }
    content
}

#[tokio::test]
async fn a_stream_adds_up_to_the_whole_answer() {
    let sim = Sim::default();
    let thinks = json!({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}});
    let redacted =
        json!({"messages": [{"role": "user", "content": [{"text": "x [[sim redacted]]"}]}]});
    for (model, request) in [
        (CLAUDE, plain()),
        (CLAUDE, asks_weather("get_weather and get_weather")),
        (CLAUDE, with(&asks_weather("get_weather"), &thinks)),
        (CLAUDE, with(&with(&plain(), &thinks), &redacted)),
        (
            CLAUDE,
            with(
                &plain(),
                &json!({"inferenceConfig": {"stopSequences": ["simulated"]}, "additionalModelResponseFieldPaths": ["/stop_sequence"]}),
            ),
        ),
        ("amazon.nova-pro-v1:0", asks_weather("get_weather")),
        (
            "us.deepseek.r1-v1:0",
            with(&plain(), &json!({"inferenceConfig": {"maxTokens": 40}})),
        ),
    ] {
        let whole = converse(&sim, model, &request).await.json();
        let events = streamed(&sim, model, &request).await;
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            (names[0], &names[names.len() - 2..]),
            ("messageStart", &["messageStop", "metadata"][..])
        );
        assert_eq!(
            json!(folded(&events)),
            whole["output"]["message"]["content"]
        );
        assert_eq!(
            events[events.len() - 2].1["stopReason"],
            whole["stopReason"]
        );
        let fields = "additionalModelResponseFields";
        assert_eq!(events[events.len() - 2].1[fields], whole[fields]);
        assert_eq!(events[events.len() - 1].1["usage"], whole["usage"]);
    }
}

#[tokio::test]
async fn reasoning_and_tool_results_come_back_as_they_went() {
    let sim = Sim::default();
    let request = with(
        &asks_weather("get_weather and get_weather"),
        &json!({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}),
    );
    let first = converse(&sim, CLAUDE, &request).await.json();
    let message = &first["output"]["message"];
    assert_eq!(first["stopReason"], "tool_use");
    let results: Vec<Value> = message["content"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|block| block["toolUse"]["toolUseId"].as_str())
        .map(|id| json!({"toolResult": {"toolUseId": id, "content": [{"json": {"degrees": 22}}], "status": "success"}}))
        .collect();
    assert_eq!(results.len(), 2);
    let messages = json!([request["messages"][0], message, {"role": "user", "content": results}]);
    let second = converse(
        &sim,
        CLAUDE,
        &with(&request, &json!({"messages": messages})),
    )
    .await
    .json();
    let text = second["output"]["message"]["content"][1]["text"]
        .as_str()
        .unwrap();
    assert_eq!(
        text.matches("get_weather answered: {\"degrees\":22}")
            .count(),
        2
    );
    let refusal = async |messages: Value| {
        let body = converse(
            &sim,
            CLAUDE,
            &with(&request, &json!({"messages": messages})),
        )
        .await
        .json();
        body["message"].as_str().unwrap_or_default().to_owned()
    };
    let mut altered = messages.clone();
    altered[1]["content"][0]["reasoningContent"]["reasoningText"]["text"] =
        json!("another thought");
    assert!(
        refusal(altered)
            .await
            .contains("Invalid `signature` in `thinking` block")
    );
    let mut forgotten = messages.clone();
    forgotten[1]["content"].as_array_mut().unwrap().remove(0);
    assert!(
        refusal(forgotten)
            .await
            .contains("Expected `thinking` or `redacted_thinking`")
    );
    let mut halved = messages.clone();
    halved[2]["content"].as_array_mut().unwrap().pop();
    assert!(
        refusal(halved)
            .await
            .contains("Expected toolResult blocks at messages.2.content")
    );
    let mut doubled = messages;
    let again = doubled[2]["content"][0].clone();
    doubled[2]["content"][1] = again;
    assert!(refusal(doubled).await.contains("contain duplicate Ids"));
}

#[tokio::test]
async fn cache_points_write_first_and_read_then() {
    let sim = Sim::default();
    let request = json!({
        "system": [{"text": "word ".repeat(1200)}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": [{"text": "hello"}]}],
    });
    let first = converse(&sim, CLAUDE, &request).await.json()["usage"].clone();
    assert_eq!(first["cacheWriteInputTokens"], 1500);
    assert_eq!(
        first["cacheDetails"],
        json!([{"ttl": "1h", "inputTokens": 1500}])
    );
    let second = converse(&sim, CLAUDE, &request).await.json()["usage"].clone();
    assert_eq!(
        (
            &second["cacheReadInputTokens"],
            &second["cacheWriteInputTokens"]
        ),
        (&json!(1500), &json!(0))
    );
    assert_eq!(second["totalTokens"], first["totalTokens"]);
    let sum = |usage: &Value| -> u64 {
        [
            "inputTokens",
            "outputTokens",
            "cacheReadInputTokens",
            "cacheWriteInputTokens",
        ]
        .iter()
        .map(|key| usage[*key].as_u64().unwrap())
        .sum()
    };
    assert_eq!(json!(sum(&first)), first["totalTokens"]);
}

#[tokio::test]
async fn structured_output_is_valid_for_its_schema() {
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let format = json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "w", "schema": schema.to_string()}}}});
    let body = converse(
        &Sim::default(),
        CLAUDE,
        &with(&plain(), &json!({"outputConfig": format})),
    )
    .await
    .json();
    let text = body["output"]["message"]["content"][0]["text"]
        .as_str()
        .unwrap();
    assert!(
        jsonschema::is_valid(&schema, &serde_json::from_str(text).unwrap()),
        "{text}"
    );
}

#[tokio::test]
async fn anthropics_format_names_its_version_and_leaves_the_model_to_the_path() {
    let sim = Sim::default();
    let request = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]});
    for (changes, says) in [
        (
            json!({"model": CLAUDE}),
            "model: Extra inputs are not permitted",
        ),
        (
            json!({"stream": true}),
            "stream: Extra inputs are not permitted",
        ),
        (
            json!({"anthropic_version": null}),
            "anthropic_version: Field required",
        ),
        (
            json!({"anthropic_version": "2023-06-01"}),
            "anthropic_version: Input should be 'bedrock-2023-05-31' or '2026-10-21'",
        ),
        (
            json!({"anthropic_version": "2026-10-21", "temperature": 1}),
            "temperature: Extra inputs are not permitted",
        ),
        (
            json!({"anthropic_beta": ["made-up-2026-01-01"]}),
            "invalid beta flag",
        ),
        (json!({"max_tokens": null}), "max_tokens: Field required"),
        (
            json!({"messages": []}),
            "messages: at least one message is required",
        ),
    ] {
        let answer = post(
            &sim,
            &format!("/model/{CLAUDE}/invoke"),
            &with(&request, &changes),
        )
        .await;
        assert_eq!(answer.status, 400, "{changes}");
        assert!(
            answer.json()["message"].as_str().unwrap().contains(says),
            "{changes}: {}",
            answer.text()
        );
        assert!(
            answer
                .field("x-amzn-errortype")
                .starts_with("ValidationException:")
        );
    }
    let betas = json!({"anthropic_beta": ["interleaved-thinking-2025-05-14"], "temperature": 0.5});
    let answer = post(
        &sim,
        &format!("/model/{CLAUDE}/invoke"),
        &with(&request, &betas),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let stream = post(
        &sim,
        &format!("/model/{CLAUDE}/invoke-with-response-stream"),
        &request,
    )
    .await;
    let events = named_messages(&stream.pieces.concat());
    let (name, last) = events.last().unwrap();
    assert_eq!(name, "message_stop");
    let metrics = &last["amazon-bedrock-invocationMetrics"];
    let usage = &events[events.len() - 2].1["usage"];
    assert_eq!(metrics["inputTokenCount"], usage["input_tokens"]);
    assert_eq!(metrics["outputTokenCount"], usage["output_tokens"]);
    let elsewhere = post(&sim, "/model/amazon.nova-pro-v1:0/invoke", &request).await;
    assert!(
        elsewhere
            .text()
            .contains("The provided model identifier is invalid.")
    );
}

#[tokio::test]
async fn claude_can_be_told_to_call_one_tool_at_a_time() {
    let sim = Sim::default();
    let calls = async |changes: Value| {
        let request = with(&asks_weather("get_weather and get_weather"), &changes);
        let body = converse(&sim, CLAUDE, &request).await.json();
        let content = body["output"]["message"]["content"].as_array().cloned();
        let blocks = content.unwrap_or_else(|| panic!("{body}"));
        blocks
            .iter()
            .filter(|block| block["toolUse"].is_object())
            .count()
    };
    let native = |choice: Value| json!({"additionalModelRequestFields": {"tool_choice": choice}});
    assert_eq!(calls(json!({})).await, 2);
    assert_eq!(
        calls(native(
            json!({"type": "any", "disable_parallel_tool_use": true})
        ))
        .await,
        1
    );
    assert_eq!(calls(native(json!({"type": "none"}))).await, 0);
    let wrong = with(
        &plain(),
        &native(json!({"type": "tool", "name": "unknown"})),
    );
    assert_eq!(converse(&sim, CLAUDE, &wrong).await.status, 400);
}

#[tokio::test]
async fn newer_models_take_instructions_between_messages() {
    let sim = Sim::default();
    let request = json!({"messages": [
        {"role": "user", "content": [{"text": "a"}]},
        {"role": "assistant", "content": [{"text": "b"}]},
        {"role": "system", "content": [{"text": "be brief"}]},
        {"role": "user", "content": [{"text": "c"}]},
    ]});
    assert_eq!(
        converse(&sim, "anthropic.claude-opus-4-7-v1:0", &request)
            .await
            .status,
        200
    );
    let refused = converse(&sim, CLAUDE, &request).await;
    assert!(
        refused.text().contains("doesn't support the system role"),
        "{}",
        refused.text()
    );
}
