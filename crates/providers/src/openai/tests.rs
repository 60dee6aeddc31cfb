//! What fixtures cannot say: problems, reports, and the order of a stream's last events.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatEvent, Finish, FinishReason};
use domain::problem::{Problem, ProblemKind};
use domain::usage::Usage;
use serde_json::{Value, json};

use super::OpenaiChat;
use crate::dialect::{Dialect, StreamDecoder};
use crate::exchange::Exchange;
use crate::face::{Face, Rendering, StreamEncoder};

fn rendering(stream_usage: bool) -> Rendering {
    Rendering {
        id: "chatcmpl-7".to_owned(),
        created: "2026-11-05T12:00:00Z".parse().unwrap(),
        model: "smart".to_owned(),
        stream_usage,
        estimated_input_tokens: 0,
        asked: Bytes::new(),
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The values of a stream's `data` lines.
fn data(stream: &[u8]) -> Vec<Value> {
    text(stream)
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into()))
        .collect()
}

fn encode(encoder: &mut dyn StreamEncoder, events: &[ChatEvent]) -> BytesMut {
    let mut out = BytesMut::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    out
}

fn answer() -> [ChatEvent; 3] {
    [
        ChatEvent::Text {
            choice: 0,
            text: "Hi".to_owned(),
        },
        ChatEvent::Usage(Usage::text(3, 1)),
        ChatEvent::Finish {
            choice: 0,
            finish: Finish {
                reason: FinishReason::Stop,
                native: "end_turn".to_owned(),
                stop_sequence: None,
            },
        },
    ]
}

#[test]
fn a_problem_has_the_status_type_and_code_that_the_sdk_raises_its_class_from() {
    for (kind, status, told, code) in [
        (
            ProblemKind::InvalidRequest,
            400,
            "invalid_request_error",
            Value::Null,
        ),
        (
            ProblemKind::Unauthenticated,
            401,
            "invalid_request_error",
            json!("invalid_api_key"),
        ),
        (
            ProblemKind::PermissionDenied,
            403,
            "invalid_request_error",
            json!("permission_denied"),
        ),
        (
            ProblemKind::UnknownModel,
            404,
            "invalid_request_error",
            json!("model_not_found"),
        ),
        (
            ProblemKind::TooLarge,
            413,
            "invalid_request_error",
            json!("request_too_large"),
        ),
        (
            ProblemKind::ContextTooLong,
            400,
            "invalid_request_error",
            json!("context_length_exceeded"),
        ),
        (
            ProblemKind::RateLimited,
            429,
            "requests",
            json!("rate_limit_exceeded"),
        ),
        (
            ProblemKind::BudgetExhausted,
            429,
            "insufficient_quota",
            json!("insufficient_quota"),
        ),
        (
            ProblemKind::ProviderRateLimited,
            429,
            "requests",
            json!("rate_limit_exceeded"),
        ),
        (
            ProblemKind::ProviderCredential,
            502,
            "server_error",
            json!("provider_credential_refused"),
        ),
        (
            ProblemKind::ProviderOverloaded,
            503,
            "server_error",
            json!("provider_overloaded"),
        ),
        (
            ProblemKind::ProviderTimeout,
            504,
            "server_error",
            json!("provider_timeout"),
        ),
        (
            ProblemKind::Internal,
            500,
            "server_error",
            json!("internal_error"),
        ),
    ] {
        let (found, body) =
            OpenaiChat.render_error(&Problem::new(kind, "It did not work."), "req_1");
        assert_eq!(found.as_u16(), status, "{kind:?}");
        let expected = json!({"error": {"message": "It did not work.", "type": told, "param": null, "code": code}});
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }
}

#[test]
fn a_problem_names_its_field_and_the_providers_own_code() {
    let problem = Problem {
        provider_code: Some("unsupported_value".to_owned()),
        provider_status: Some(http::StatusCode::UNPROCESSABLE_ENTITY),
        ..Problem::new(ProblemKind::InvalidRequest, "No.").with_param("messages[0]")
    };
    let (status, body) = OpenaiChat.render_error(&problem, "req_1");
    assert_eq!(status.as_u16(), 422);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"]["param"], "messages[0]");
    assert_eq!(body["error"]["code"], "unsupported_value");
}

#[test]
fn the_providers_own_error_body_is_shown_as_it_is() {
    let own = Bytes::from_static(b"{ \"error\" : {\"message\":\"x\"}}");
    let problem = Problem {
        verbatim: Some(own.clone()),
        ..Problem::new(ProblemKind::InvalidRequest, "No.").with_retry_after(Duration::from_secs(1))
    };
    assert_eq!(OpenaiChat.render_error(&problem, "req_1").1, own);
}

#[test]
fn an_error_in_a_stream_is_one_event_even_when_the_providers_body_has_lines() {
    let problem = Problem {
        verbatim: Some(Bytes::from_static(b"{\n\"error\":{}}")),
        ..Problem::new(ProblemKind::ProviderFailed, "It broke.")
    };
    let event = OpenaiChat.stream_error(&problem, "req_1");
    assert!(event.starts_with(b"\n\ndata: {") && event.ends_with(b"}\n\n"));
    assert_eq!(
        data(&event)[0]["error"]["message"],
        "It broke.",
        "{event:?}"
    );
}

#[test]
fn the_usage_comes_after_the_finish_then_the_report_then_the_end() {
    let mut encoder = OpenaiChat.encoder(&rendering(true));
    let mut out = encode(&mut *encoder, &answer());
    encoder.finish(Some(&json!({"cost_usd": "0.1"})), &mut out);
    let data = data(&out);
    assert_eq!(data.len(), 5);
    assert_eq!(
        data[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "Hi"})
    );
    assert_eq!(data[1]["choices"][0]["finish_reason"], "stop");
    assert_eq!(data[1]["choices"][0]["native_finish_reason"], "end_turn");
    assert_eq!(data[2]["choices"], json!([]));
    assert_eq!(data[2]["usage"]["total_tokens"], 4);
    assert_eq!(data[3]["trunkline"]["cost_usd"], "0.1");
    assert_eq!(data[3]["id"], "chatcmpl-7");
    assert_eq!(data[4], "[DONE]");
}

#[test]
fn a_usage_that_was_not_asked_for_is_not_shown() {
    let mut encoder = OpenaiChat.encoder(&rendering(false));
    let mut out = encode(&mut *encoder, &answer());
    encoder.finish(None, &mut out);
    assert!(!text(&out).contains("usage"));
    assert_eq!(data(&out).len(), 3);
}

#[test]
fn nothing_follows_a_failure() {
    let mut encoder = OpenaiChat.encoder(&rendering(true));
    let mut out = encode(&mut *encoder, &answer()[..1]);
    let problem = Problem::new(ProblemKind::ProviderFailed, "It broke.");
    encoder.fail(&problem, &mut out);
    encoder.fail(&problem, &mut out);
    encoder.finish(Some(&json!({})), &mut out);
    let data = data(&out);
    assert_eq!(data.len(), 2);
    assert_eq!(data[1]["error"]["type"], "server_error");
}

#[test]
fn a_signature_over_text_and_one_over_thoughts_go_to_different_places() {
    let sign = |signature: &str| ChatEvent::ReasoningSignature {
        choice: 0,
        signature: signature.to_owned(),
    };
    let think = |text: &str| ChatEvent::Reasoning {
        choice: 0,
        text: text.to_owned(),
    };
    let mut encoder = OpenaiChat.encoder(&rendering(false));
    let [text, ..] = answer();
    let events = [
        think("Hm."),
        sign("a"),
        think("So."),
        sign("b"),
        text,
        sign("c"),
    ];
    let out = encode(&mut *encoder, &events);
    let deltas: Vec<Value> = data(&out)
        .into_iter()
        .map(|chunk| chunk["choices"][0]["delta"].clone())
        .collect();
    let detail = |text: &str, signature: &str, index: u64| {
        let detail =
            json!({"type": "reasoning.text", "text": text, "signature": signature, "index": index});
        json!({"reasoning_details": [detail]})
    };
    assert_eq!(deltas[1], detail("Hm.", "a", 0));
    assert_eq!(deltas[2], json!({"reasoning_content": "So."}));
    assert_eq!(deltas[3], detail("So.", "b", 1));
    assert_eq!(
        deltas[5],
        json!({"extra_content": {"google": {"thought_signature": "c"}}})
    );
}

#[test]
fn thoughts_in_pieces_that_are_then_shown_whole_are_read_once() {
    let think = |text: &str| ChatEvent::Reasoning {
        choice: 0,
        text: text.to_owned(),
    };
    let sign = |signature: &str| ChatEvent::ReasoningSignature {
        choice: 0,
        signature: signature.to_owned(),
    };
    let [text, ..] = answer();
    let said = [
        think("H"),
        think("m."),
        sign("a"),
        think("So."),
        sign("b"),
        text,
    ];
    let out = encode(&mut *OpenaiChat.encoder(&rendering(false)), &said);
    let mut decoder: Box<dyn StreamDecoder> = OpenaiChat.decoder(&Exchange::default());
    let mut heard = Vec::new();
    decoder.push(&out, &mut heard).unwrap();
    heard.retain(|event| !matches!(event, ChatEvent::Start { .. }));
    assert_eq!(format!("{heard:?}"), format!("{said:?}"));
}

#[test]
fn a_silent_provider_is_bridged_by_a_comment() {
    let mut encoder = OpenaiChat.encoder(&rendering(false));
    let out = encode(&mut *encoder, &[ChatEvent::Ping]);
    assert_eq!(out, OpenaiChat.heartbeat());
    assert!(out.starts_with(b":") && out.ends_with(b"\n\n"));
}

#[test]
fn a_report_is_put_before_the_last_brace_and_nothing_else_changes() {
    let report = json!({"cost_usd": "0.1"});
    for (body, expected) in [
        (
            "{\"id\":1 }\n",
            "{\"id\":1 ,\"trunkline\":{\"cost_usd\":\"0.1\"}}\n",
        ),
        ("{ }", "{ \"trunkline\":{\"cost_usd\":\"0.1\"}}"),
        ("[1]", "[1]"),
        ("", ""),
    ] {
        let found = OpenaiChat.attach_report(Bytes::from_static(body.as_bytes()), &report);
        assert_eq!(text(&found), expected);
    }
}

#[test]
fn a_report_in_a_relayed_stream_stands_before_the_terminal_event() {
    let mut relay = OpenaiChat.relay(false);
    let mut out = BytesMut::new();
    let chunk =
        "data: {\"id\":\"x\",\"created\":5,\"model\":\"m\",\"choices\":[{\"delta\":{}}]}\n\n";
    relay.push(chunk.as_bytes(), &mut out);
    assert_eq!(text(&out), chunk, "a whole event is not held back");
    relay.push(b"data: [DONE]\n\n: bye\n\n", &mut out);
    relay.finish(Some(&json!({"a": 1})), &mut out);
    assert_eq!(
        text(&out),
        format!(
            "{chunk}data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\",\"choices\":[],\"trunkline\":{{\"a\":1}}}}\n\ndata: [DONE]\n\n: bye\n\n"
        )
    );
}

#[test]
fn text_that_speaks_of_tokens_is_not_taken_for_a_usage() {
    let chunk =
        "data: {\"choices\":[{\"delta\":{\"content\":\"prompt_tokens\"}}],\"usage\":null}\n\n";
    let mut relay = OpenaiChat.relay(true);
    let mut out = BytesMut::new();
    relay.push(chunk.as_bytes(), &mut out);
    assert_eq!(text(&out), chunk);
}
