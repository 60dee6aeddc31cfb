//! What applications send and get.

use super::*;
use crate::dialect::Dialect;
use jiff::Timestamp;

fn read(body: &Value) -> Value {
    let body = ApplicationChat.read(body.to_string().into()).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_request_is_openais_with_other_names() {
    let read = read(&json!({
        "model": "gpt", "maxTokens": 5, "topP": 0.5, "stream": true, "preferredProvider": "OPENAI",
        "responseFormat": { "type": "json_schema", "jsonSchema": { "name": "n", "schema": { "properties": { "firstName": {} } } } },
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "maxItems": 1 } } }],
        "messages": [
            { "role": "user", "content": [{ "type": "image_url", "imageUrl": { "url": "https://a/b.png" } }] },
            { "role": "assistant", "toolCalls": [{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{\"aB\":1}" } }] },
            { "role": "tool", "toolCallId": "c", "content": "keepThis" },
        ],
    }));
    let expected = json!({
        "model": "gpt", "max_tokens": 5, "top_p": 0.5, "stream": true,
        "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": { "properties": { "firstName": {} } } } },
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "maxItems": 1 } } }],
        "messages": [
            { "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "https://a/b.png" } }] },
            { "role": "assistant", "tool_calls": [{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{\"aB\":1}" } }] },
            { "role": "tool", "tool_call_id": "c", "content": "keepThis" },
        ],
        "stream_options": { "include_usage": true },
    });
    assert_eq!(read, expected);
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    for name in ["conversationId", "templateId", "max_tokens", "surprise"] {
        let body = json!({ "model": "gpt", "messages": [], name: 1 });
        let refusal = ApplicationChat.read(body.to_string().into()).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some(name));
    }
    assert!(ApplicationChat.read(Bytes::from_static(b"[]")).is_err());
    let body = read(
        &json!({ "model": "gpt", "messages": [{ "role": "user", "content": "x" }], "maxTokens": 0 }),
    );
    let body = body.to_string();
    let refusal = ApplicationChat
        .envelope(&Asked::default(), body.as_bytes())
        .unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("maxTokens"));
    assert!(refusal.detail.contains("maxTokens"), "{}", refusal.detail);
}

#[test]
fn what_is_said_to_the_gateway_is_read_and_goes_no_further() {
    let body = json!({
        "model": "gemini-3", "messages": [], "preferredProvider": "GOOGLE", "fallbackEnabled": true,
        "fallbackOrder": ["OPENAI", "azure-eu"], "costOptimizationEnabled": true,
        "performanceWeighting": 0.25, "maxRetries": 2, "cache": { "enabled": true, "ttlSeconds": 60 },
    });
    let settings = settings(body.to_string().as_bytes()).unwrap();
    let expected = Settings {
        model: Some("gemini-3".parse().unwrap()),
        preferred_provider: Some("google".to_owned()),
        fallback_enabled: Some(true),
        fallback_order: vec!["openai".to_owned(), "azure-eu".to_owned()],
        cost_optimization_enabled: true,
        performance_weighting: Some(0.25),
        max_retries: Some(2),
        cache: CacheSettings {
            enabled: Some(true),
            ttl_seconds: Some(60),
        },
    };
    assert_eq!(settings, expected);
    let at_google = settings.model_at_preferred().unwrap();
    assert_eq!(at_google.as_str(), "google/gemini-3");
    assert_eq!(read(&body), json!({ "model": "gemini-3", "messages": [] }));
}

#[test]
fn a_model_that_names_its_provider_is_at_no_other() {
    let body = br#"{"model":"a/b","preferredProvider":"GOOGLE","fallbackOrder":null}"#;
    let settings = settings(body).unwrap();
    assert_eq!(settings.model_at_preferred(), None);
    assert!(settings.fallback_order.is_empty());
}

#[test]
fn a_setting_that_is_none_is_refused_by_name() {
    for (name, value) in [
        ("preferredProvider", "1"),
        ("fallbackEnabled", "\"yes\""),
        ("fallbackOrder", "\"OPENAI\""),
        ("fallbackOrder", "[1]"),
        ("performanceWeighting", "1.5"),
        ("performanceWeighting", "-0.1"),
        ("maxRetries", "10"),
        ("maxRetries", "1.5"),
        ("cache", "true"),
        ("cache", r#"{"maxSize":5}"#),
        ("cache", r#"{"ttlSeconds":0}"#),
    ] {
        let body = format!(r#"{{"model":"a","{name}":{value}}}"#);
        let refusal = settings(body.as_bytes()).unwrap_err();
        let param = refusal.param.unwrap();
        assert!(param.starts_with(name), "{param} {}", refusal.detail);
        assert!(refusal.detail.contains(name), "{}", refusal.detail);
    }
}

/// What the gateway reports of a call's cost.
fn report() -> Value {
    json!({ "cost": { "cost_usd": "0.001500000" } })
}

#[test]
fn an_answer_has_the_callers_names_its_provider_and_its_cost() {
    let answer = br#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"a_b\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":4}}}"#;
    let shown = ApplicationChat.attach_report(Bytes::from_static(answer), &report());
    let shown = with_provider(&shown, &"openai".parse().unwrap());
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["provider"], "OPENAI");
    assert_eq!(shown["choices"][0]["finishReason"], "tool_calls");
    let call = &shown["choices"][0]["message"]["toolCalls"][0]["function"];
    assert_eq!(call["arguments"], r#"{"a_b":1}"#);
    let usage = json!({
        "promptTokens": 9, "completionTokens": 12, "totalTokens": 21, "promptTokensDetails": { "cachedTokens": 4 },
        "cost": 0.0015,
    });
    assert_eq!(shown["usage"], usage);
}

const STREAM: &str = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a_b\"},\"finish_reason\":null}]}\n\n\
    data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n\
    data: [DONE]\n\n";

#[test]
fn frames_are_renamed_however_the_bytes_are_split() {
    for size in [1, 7, STREAM.len()] {
        let mut relay = ApplicationChat.relay(false);
        let mut out = BytesMut::new();
        for piece in STREAM.as_bytes().chunks(size) {
            relay.push(piece, &mut out);
        }
        relay.finish(Some(&report()), &mut out);
        let text = String::from_utf8(out.to_vec()).unwrap();
        let frames: Vec<&str> = text.split("\n\n").collect();
        assert!(frames[0].contains(r#""finishReason":null"#), "{text}");
        assert!(frames[0].contains(r#""content":"a_b""#), "{text}");
        assert!(
            frames[1].contains(r#""totalTokens":11,"cost":0.0015"#),
            "{text}"
        );
        assert_eq!(&frames[2..], ["data: [DONE]", ""]);
    }
}

#[test]
fn a_translated_stream_has_the_same_frames() {
    let rendering = Rendering {
        id: "req_1".to_owned(),
        created: Timestamp::UNIX_EPOCH,
        model: "m".to_owned(),
        stream_usage: true,
        estimated_input_tokens: 0,
        asked: Bytes::new(),
    };
    let mut decoder = OpenaiChat.decoder(&crate::exchange::Exchange::default());
    let mut events = Vec::new();
    decoder.push(STREAM.as_bytes(), &mut events).unwrap();
    let mut encoder = ApplicationChat.encoder(&rendering);
    let mut out = BytesMut::new();
    for event in &events {
        encoder.push(event, &mut out);
    }
    encoder.finish(Some(&report()), &mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    assert!(text.contains(r#""promptTokens":9"#), "{text}");
    assert!(text.contains(r#""cost":0.0015"#), "{text}");
    assert!(!text.contains("prompt_tokens"), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[test]
fn a_problem_says_who_has_to_do_something() {
    for (kind, expected, retryable) in [
        (ProblemKind::Unauthenticated, "authentication", false),
        (ProblemKind::BudgetExhausted, "rate_limit", false),
        (ProblemKind::InvalidRequest, "invalid_request", false),
        (ProblemKind::ProviderOverloaded, "api_error", true),
        (ProblemKind::ProviderTimeout, "network_error", true),
    ] {
        let (status, body) = ApplicationChat.render_error(&Problem::new(kind, "No."), "req_1");
        let error = &serde_json::from_slice::<Value>(&body).unwrap()["error"];
        assert_eq!(status, kind.status());
        assert_eq!(
            (&error["type"], &error["retryable"]),
            (&json!(expected), &json!(retryable))
        );
        assert_eq!(error["message"], "No.");
    }
}

#[test]
fn no_bytes_make_the_renaming_panic_and_any_split_is_renamed_in_the_same_way() {
    let renamed = |pieces: [&[u8]; 2]| {
        let mut relay = ApplicationChat.relay(false);
        let mut out = BytesMut::new();
        for piece in pieces {
            relay.push(piece, &mut out);
        }
        relay.finish(None, &mut out);
        out
    };
    bolero::check!()
        .with_type::<(Vec<u8>, usize)>()
        .with_test_time(std::time::Duration::from_secs(2))
        .for_each(|(bytes, at)| {
            let frame = [b"data: {\"choices\":", bytes.as_slice(), b"}\n\n"].concat();
            for bytes in [bytes, &frame] {
                let (left, right) = bytes.split_at(at % (bytes.len() + 1));
                assert_eq!(renamed([left, right]), renamed([bytes, b""]));
            }
        });
}
