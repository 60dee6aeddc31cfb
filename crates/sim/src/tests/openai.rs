//! OpenAI's chat completions.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{Fields, OPENAI, assert_says, cases, openai, send, with};

fn plain() -> Value {
    json!({"model": "gpt", "messages": [{"role": "user", "content": "Hello there"}]})
}

fn weather() -> Value {
    json!({"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}})
}

fn asks_weather(text: &str) -> Value {
    json!({"model": "gpt", "messages": [{"role": "user", "content": text}], "tools": [weather()]})
}

#[tokio::test]
async fn an_answer_says_that_it_is_simulated_and_echoes_the_caller() {
    let sim = Sim::default();
    let answer = openai(&sim, &plain()).await;
    let body = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("x-trunkline-simulated"), "true");
    assert!(answer.field("x-request-id").starts_with("req_sim"));
    let text = "This is a simulated answer from Trunkline's sim provider (model gpt). You said: Hello there";
    assert_eq!(body["choices"][0]["message"]["content"], text);
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["usage"]["prompt_tokens"], 3 + 3 + 3);
    assert_eq!(body["usage"]["completion_tokens"], text.len().div_ceil(4));
    assert_eq!(body["usage"]["total_tokens"], 9 + text.len().div_ceil(4));
}

#[tokio::test]
async fn the_same_request_says_the_same_under_another_id() {
    let sim = Sim::default();
    let request = asks_weather("get_weather in Paris");
    let (first, second) = (
        openai(&sim, &request).await.json(),
        openai(&sim, &request).await.json(),
    );
    assert_eq!(first["choices"], second["choices"]);
    assert_ne!(first["id"], second["id"]);
}

#[tokio::test]
async fn what_openai_refuses_is_refused_in_its_words() {
    let sim = Sim::default();
    for case in cases(include_str!("refused/openai.jsonl")) {
        let answer = openai(&sim, &with(&plain(), &case["changes"])).await;
        let body = answer.json();
        let error = &body["error"];
        assert_eq!(answer.status, case["status"], "{case}: {body}");
        assert_says(&error["message"], &case);
        assert_eq!(error["param"], case["param"], "{case}: {body}");
        assert_eq!(error["code"], case["code"], "{case}: {body}");
        assert_eq!(error["type"], "invalid_request_error", "{case}");
    }
}

#[tokio::test]
async fn a_prompt_beyond_the_context_is_refused() {
    let messages = json!([{"role": "user", "content": "x".repeat(600_000)}]);
    let body = openai(
        &Sim::default(),
        &with(&plain(), &json!({"messages": messages})),
    )
    .await
    .json();
    assert_eq!(body["error"]["code"], "context_length_exceeded");
}

#[tokio::test]
async fn what_openai_takes_is_taken() {
    let sim = Sim::default();
    for case in cases(include_str!("taken/openai.jsonl")) {
        let request = with(&plain(), &case["changes"]);
        let answer = openai(&sim, &request).await;
        assert_eq!(answer.status, 200, "{case}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let sim = Sim::default();
    for request in [
        plain(),
        with(&plain(), &json!({"n": 3})),
        asks_weather("use get_weather and get_weather"),
        with(&plain(), &json!({"model": "deepseek-reasoner"})),
    ] {
        let whole = openai(&sim, &request).await.json();
        let streamed = openai(
            &sim,
            &with(
                &request,
                &json!({"stream": true, "stream_options": {"include_usage": true}}),
            ),
        )
        .await;
        assert_eq!(
            streamed.field("content-type"),
            "text/event-stream; charset=utf-8"
        );
        assert_eq!(streamed.data().last().map(String::as_str), Some("[DONE]"));
        let events = streamed.events();
        let (usage, chunks) = events.split_last().unwrap();
        assert_eq!(usage["choices"], json!([]));
        assert_eq!(usage["usage"], whole["usage"]);
        assert!(
            chunks.iter().all(|chunk| chunk["usage"].is_null()
                && chunk.as_object().unwrap().contains_key("usage"))
        );
        for (index, choice) in whole["choices"].as_array().unwrap().iter().enumerate() {
            let deltas: Vec<&Value> = chunks
                .iter()
                .map(|chunk| &chunk["choices"][0])
                .filter(|choice| choice["index"] == index)
                .collect();
            let joined = |key: &str| {
                deltas
                    .iter()
                    .filter_map(|choice| choice["delta"][key].as_str())
                    .collect::<String>()
            };
            assert_eq!(
                deltas
                    .iter()
                    .filter(|choice| choice["delta"]["role"] == "assistant")
                    .count(),
                1
            );
            assert_eq!(
                joined("content"),
                choice["message"]["content"].as_str().unwrap_or_default()
            );
            assert_eq!(
                joined("reasoning_content"),
                choice["message"]["reasoning_content"]
                    .as_str()
                    .unwrap_or_default()
            );
            let finishes: Vec<&Value> = deltas
                .iter()
                .map(|choice| &choice["finish_reason"])
                .filter(|reason| !reason.is_null())
                .collect();
            assert_eq!(finishes, [&choice["finish_reason"]]);
            for (place, call) in choice["message"]["tool_calls"]
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
            {
                let fragments: Vec<&Value> = deltas
                    .iter()
                    .map(|choice| &choice["delta"]["tool_calls"][0])
                    .filter(|call| call["index"] == place)
                    .collect();
                assert_eq!(fragments[0]["id"], call["id"]);
                assert_eq!(fragments[0]["function"]["name"], call["function"]["name"]);
                assert!(
                    fragments[1..]
                        .iter()
                        .all(|fragment| fragment.get("id").is_none())
                );
                let arguments: String = fragments
                    .iter()
                    .filter_map(|fragment| fragment["function"]["arguments"].as_str())
                    .collect();
                assert_eq!(arguments, call["function"]["arguments"].as_str().unwrap());
            }
        }
    }
}

#[tokio::test]
async fn without_include_usage_no_event_mentions_usage() {
    let answer = openai(&Sim::default(), &with(&plain(), &json!({"stream": true}))).await;
    assert!(
        answer
            .events()
            .iter()
            .all(|event| event.get("usage").is_none() && event["choices"] != json!([]))
    );
}

#[tokio::test]
async fn tools_are_called_when_named_or_required_and_not_otherwise() {
    let sim = Sim::default();
    let calls = async |changes: Value| {
        let body = openai(
            &sim,
            &with(&asks_weather("get_weather then get_weather"), &changes),
        )
        .await
        .json();
        let choice = &body["choices"][0];
        let count = choice["message"]["tool_calls"]
            .as_array()
            .map_or(0, Vec::len);
        assert_eq!(
            choice["finish_reason"],
            if count > 0 { "tool_calls" } else { "stop" }
        );
        for call in choice["message"]["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let arguments: Value =
                serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            assert!(arguments["city"].is_string());
        }
        count
    };
    let unnamed = json!([{"role": "user", "content": "hello"}]);
    assert_eq!(calls(json!({})).await, 2);
    assert_eq!(calls(json!({"parallel_tool_calls": false})).await, 1);
    assert_eq!(calls(json!({"tool_choice": "none"})).await, 0);
    assert_eq!(calls(json!({"messages": unnamed})).await, 0);
    assert_eq!(
        calls(json!({"messages": unnamed, "tool_choice": "required"})).await,
        1
    );
    assert_eq!(calls(json!({"messages": unnamed, "tool_choice": {"type": "function", "function": {"name": "get_weather"}}})).await, 1);
}

#[tokio::test]
async fn a_tool_result_is_quoted() {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}});
    let messages = json!([{"role": "user", "content": "get_weather"}, {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "22 degrees"}]);
    let body = openai(
        &Sim::default(),
        &with(&asks_weather(""), &json!({"messages": messages})),
    )
    .await
    .json();
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(
        text.contains("The tool get_weather answered: 22 degrees"),
        "{text}"
    );
}

#[tokio::test]
async fn structured_output_is_valid_for_its_schema() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}}, "required": ["city", "degrees"], "additionalProperties": false});
    let request = with(
        &plain(),
        &json!({"response_format": {"type": "json_schema", "json_schema": {"name": "w", "strict": true, "schema": schema}}}),
    );
    let body = openai(&Sim::default(), &request).await.json();
    let value: Value =
        serde_json::from_str(body["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    assert!(jsonschema::is_valid(&schema, &value), "{value}");
}

#[tokio::test]
async fn limits_stops_reasoning_and_refusals_end_an_answer_as_they_do_at_openai() {
    let sim = Sim::default();
    let of = async |changes: Value| openai(&sim, &with(&plain(), &changes)).await.json();
    let cut = of(json!({"max_tokens": 2})).await;
    assert_eq!(
        (
            &cut["choices"][0]["finish_reason"],
            &cut["choices"][0]["message"]["content"]
        ),
        (&json!("length"), &json!("This is "))
    );
    assert_eq!(cut["usage"]["completion_tokens"], 2);
    let stopped = of(json!({"stop": ["simulated", "is a"]})).await;
    assert_eq!(
        (
            &stopped["choices"][0]["finish_reason"],
            &stopped["choices"][0]["message"]["content"]
        ),
        (&json!("stop"), &json!("This "))
    );
    let thought = of(json!({"model": "gpt-5", "reasoning_effort": "high"})).await;
    assert_eq!(
        thought["usage"]["completion_tokens_details"]["reasoning_tokens"],
        256
    );
    assert!(thought["usage"]["completion_tokens"].as_u64().unwrap() > 256);
    let exhausted = of(json!({"model": "gpt-5", "max_completion_tokens": 100})).await;
    assert_eq!(
        (
            &exhausted["choices"][0]["finish_reason"],
            &exhausted["choices"][0]["message"]["content"]
        ),
        (&json!("length"), &json!(""))
    );
    let refused = of(json!({"messages": [{"role": "user", "content": "x [[sim refusal]]"}]})).await;
    assert_eq!(refused["choices"][0]["message"]["content"], Value::Null);
    assert!(refused["choices"][0]["message"]["refusal"].is_string());
}

#[tokio::test]
async fn a_long_prompt_is_cached_in_steps_when_it_comes_again() {
    let sim = Sim::default();
    let request =
        json!({"model": "gpt", "messages": [{"role": "user", "content": "word ".repeat(1200)}]});
    let cached = async || {
        openai(&sim, &request).await.json()["usage"]["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(cached().await, 0);
    let second = cached().await;
    assert!(second >= 1024 && second % 128 == 0, "{second}");
    assert_eq!(sim.calls()[1].usage.unwrap().cached_input, second);
}

#[tokio::test]
async fn keys_paths_and_methods_are_refused_as_openai_refuses_them() {
    let sim = Sim::default();
    let body = plain().to_string();
    let cases: [(&str, &str, Fields<'_>, &str, u16, &str); 6] = [
        (
            "POST",
            "/v1/chat/completions",
            &[],
            &body,
            401,
            "You didn't provide an API key",
        ),
        (
            "POST",
            "/v1/chat/completions",
            &[("authorization", "Bearer invalid-key")],
            &body,
            401,
            "Incorrect API key provided: inva",
        ),
        (
            "POST",
            "/v1/chat/completions",
            OPENAI,
            "{",
            400,
            "We could not parse the JSON body",
        ),
        (
            "GET",
            "/v1/chat/completions",
            OPENAI,
            "",
            405,
            "Not allowed to GET on /v1/chat/completions",
        ),
        (
            "POST",
            "/v1/nothing",
            OPENAI,
            "{}",
            404,
            "Invalid URL (POST /v1/nothing)",
        ),
        (
            "GET",
            "/v1/models/nothing",
            OPENAI,
            "",
            404,
            "The model 'nothing' does not exist",
        ),
    ];
    for (method, uri, fields, body, status, message) in cases {
        let answer = send(&sim, method, uri, fields, body.to_owned().into()).await;
        assert_eq!(answer.status, status, "{method} {uri}");
        assert!(
            answer.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains(message),
            "{}",
            answer.text()
        );
    }
    let models = send(&sim, "GET", "/v1/models", OPENAI, "".into())
        .await
        .json();
    assert_eq!(models["object"], "list");
    assert!(
        models["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|model| model["id"] == "gpt")
    );
}

#[tokio::test]
async fn a_custom_tool_is_given_free_text_whole_and_streamed() {
    let sim = Sim::default();
    let request = with(
        &asks_weather("shout, then get_weather"),
        &json!({"tools": [{"type": "custom", "custom": {"name": "shout"}}, weather()]}),
    );
    let whole = openai(&sim, &request).await.json();
    let calls = &whole["choices"][0]["message"]["tool_calls"];
    assert_eq!(
        (&calls[0]["type"], &calls[1]["type"]),
        (&json!("custom"), &json!("function"))
    );
    let streamed = openai(&sim, &with(&request, &json!({"stream": true})))
        .await
        .events();
    let joined = |index: usize, kind: &str, key: &str| -> String {
        let pieces = streamed
            .iter()
            .map(|event| &event["choices"][0]["delta"]["tool_calls"][0]);
        pieces
            .filter(|piece| piece["index"] == index)
            .filter_map(|piece| piece[kind][key].as_str())
            .collect()
    };
    assert_eq!(
        joined(0, "custom", "input"),
        calls[0]["custom"]["input"].as_str().unwrap()
    );
    assert_eq!(
        joined(1, "function", "arguments"),
        calls[1]["function"]["arguments"].as_str().unwrap()
    );
}
