//! What is read of a session's handshake and events.

use domain::model::Capabilities;
use domain::problem::ProblemKind;

use super::*;
use crate::host::Host;

fn headers(protocols: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols.parse().unwrap());
    headers.insert("openai-beta", "realtime=v1".parse().unwrap());
    headers.insert("x-secret", "not to be passed".parse().unwrap());
    headers
}

fn asked(
    kind: ProviderKind,
    base_url: &str,
    version: Option<&str>,
    query: &str,
) -> Result<Request<Bytes>, Refusal> {
    let host = Host {
        api_version: version.map(str::to_owned),
        ..Host::NONE
    };
    let target = Target {
        model: "gpt-realtime/eu",
        base_url,
        capabilities: &Capabilities::default(),
        host: &host,
    };
    let headers = headers(
        "realtime, openai-insecure-api-key.tl_1, openai-organization.org-1, openai-beta.realtime-v1",
    );
    request(kind, &target, query, &headers)
}

#[test]
fn a_handshake_names_the_targets_model_where_its_host_wants_it() {
    let azure = "https://eu.openai.azure.com";
    let query = "model=fast&intent=transcription&key=tl_1";
    for (kind, base_url, version, expected) in [
        (
            ProviderKind::Openai,
            "https://api.openai.com/v1",
            None,
            "https://api.openai.com/v1/realtime?intent=transcription",
        ),
        (
            ProviderKind::AzureOpenai,
            azure,
            None,
            "https://eu.openai.azure.com/openai/v1/realtime?model=gpt-realtime%2Feu&intent=transcription",
        ),
        (
            ProviderKind::AzureOpenai,
            azure,
            Some("2024-10-01-preview"),
            "https://eu.openai.azure.com/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-realtime%2Feu&intent=transcription",
        ),
    ] {
        let request = asked(kind, base_url, version, query).unwrap();
        assert_eq!(request.uri().to_string(), expected);
    }
}

#[test]
fn the_callers_key_goes_no_further() {
    let request = asked(
        ProviderKind::Openai,
        "https://api.openai.com/v1",
        None,
        "model=x&key=tl_1",
    )
    .unwrap();
    assert_eq!(
        request.headers()[SEC_WEBSOCKET_PROTOCOL],
        "realtime, openai-beta.realtime-v1"
    );
    assert_eq!(request.headers()["openai-beta"], "realtime=v1");
    assert_eq!(request.headers().get("x-secret"), None);
    assert!(!format!("{request:?}").contains("tl_1"));
    let offered = headers("realtime, openai-insecure-api-key.tl_1");
    assert_eq!(offered_key(&offered), Some("tl_1"));
    assert!(is_offered(&offered));
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let refusal = asked(
        ProviderKind::Openai,
        "https://a/v1",
        None,
        "model=x&call_id=rtc_1",
    );
    assert_eq!(refusal.unwrap_err().param.as_deref(), Some("call_id"));
    let refusal = asked(ProviderKind::Anthropic, "https://a", None, "model=x");
    assert!(refusal.unwrap_err().detail.contains("anthropic"));
    assert_eq!(
        model("intent=x").unwrap_err().param.as_deref(),
        Some("model")
    );
    assert_eq!(model("model=").unwrap_err().param.as_deref(), Some("model"));
    assert_eq!(model("a=b&model=sim%2Fgpt").unwrap().as_str(), "sim/gpt");
}

#[test]
fn of_a_callers_events_only_what_is_counted_is_read() {
    let response = |event_id: Option<&str>, max_output_tokens| Said::Response {
        event_id: event_id.map(str::to_owned),
        max_output_tokens,
    };
    for (text, expected) in [
        (r#"{"type":"response.create"}"#, response(None, None)),
        (
            r#"{"response":{"max_output_tokens":7},"event_id":"e1","type":"response.create"}"#,
            response(Some("e1"), Some(7)),
        ),
        (
            r#"{"type":"response.create","response":{"max_output_tokens":"inf"}}"#,
            response(None, None),
        ),
        (r#"{"type":"response.\u0063reate"}"#, response(None, None)),
        (
            r#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#,
            Said::Sound(6),
        ),
        (r#"{"type":"session.update","session":{}}"#, Said::Other),
        (
            r#"{"type":"something.new","audio":1,"response":true}"#,
            Said::Other,
        ),
    ] {
        assert_eq!(said(text).unwrap(), expected, "{text}");
    }
    for text in [
        "",
        "[]",
        "{",
        "{}",
        r#"{"type":1}"#,
        // Two readers of this could disagree on what it is.
        r#"{"type":"session.update","type":"response.create"}"#,
    ] {
        assert!(said(text).is_err(), "{text}");
    }
}

#[test]
fn a_response_is_followed_from_its_beginning_to_its_usage() {
    assert_eq!(
        told(
            r#"{"type":"response.created","response":{"id":"r1","status":"in_progress","usage":null}}"#
        ),
        Told::Begun {
            id: "r1".to_owned()
        }
    );
    assert_eq!(
        told(r#"{"type":"response.output_audio.delta","response_id":"r1","delta":"AAAA"}"#),
        Told::Content {
            id: "r1".to_owned()
        }
    );
    let Told::Done(done) = told(
        r#"{"type":"response.done","event_id":"e","response":{"object":"realtime.response","id":"r1","status":"completed","status_details":null,
            "output":[{"type":"message","unknown":{"deep":[1]}}],
            "usage":{"total_tokens":275,"input_tokens":127,"output_tokens":148,
              "input_token_details":{"text_tokens":100,"audio_tokens":20,"image_tokens":7,"cached_tokens":64,
                "cached_tokens_details":{"text_tokens":60,"audio_tokens":4,"image_tokens":0}},
              "output_token_details":{"text_tokens":36,"audio_tokens":112}}}}"#,
    ) else {
        panic!("it is done");
    };
    let usage = Usage {
        cached_input_tokens: 64,
        input_audio_tokens: 20,
        cached_input_audio_tokens: 4,
        input_image_tokens: 7,
        output_audio_tokens: 112,
        ..Usage::text(127, 148)
    };
    assert_eq!(done.usage, Some(usage));
    assert_eq!(done.finish.native, "completed");
    assert_eq!(done.error, None);
}

#[test]
fn a_response_that_was_cut_short_says_why() {
    let done = |status: &str, details: &str| {
        let event = format!(
            r#"{{"type":"response.done","response":{{"id":"r","status":"{status}","status_details":{details},"usage":null}}}}"#
        );
        match told(&event) {
            Told::Done(done) => *done,
            other => panic!("{other:?}"),
        }
    };
    let cancelled = done(
        "cancelled",
        r#"{"type":"cancelled","reason":"turn_detected"}"#,
    );
    assert_eq!(
        (cancelled.finish.native.as_str(), cancelled.usage),
        ("turn_detected", None)
    );
    let cut = done(
        "incomplete",
        r#"{"type":"incomplete","reason":"max_output_tokens"}"#,
    );
    assert_eq!(cut.finish.reason, FinishReason::Length);
    let failed = done(
        "failed",
        r#"{"type":"failed","error":{"type":"server_error","code":"oops"}}"#,
    );
    assert_eq!(failed.error.unwrap().code.as_deref(), Some("oops"));
}

#[test]
fn a_transcript_is_counted_in_tokens_or_in_time() {
    let transcribed = |usage: &str| {
        told(&format!(
            r#"{{"type":"conversation.item.input_audio_transcription.completed","item_id":"i","usage":{usage}}}"#
        ))
    };
    let tokens = Usage {
        input_audio_tokens: 12,
        ..Usage::text(14, 5)
    };
    assert_eq!(
        transcribed(
            r#"{"type":"tokens","total_tokens":19,"input_tokens":14,"output_tokens":5,"input_token_details":{"text_tokens":2,"audio_tokens":12}}"#
        ),
        Told::Transcribed(Some(tokens))
    );
    let time = Usage {
        input_audio_milliseconds: 2_500,
        ..Usage::default()
    };
    assert_eq!(
        transcribed(r#"{"type":"duration","seconds":2.5}"#),
        Told::Transcribed(Some(time))
    );
    assert_eq!(transcribed("null"), Told::Transcribed(None));
}

#[test]
fn the_sessions_own_settings_are_read_in_both_versions() {
    let session = |text: &str| told(&format!(r#"{{"type":"session.updated","session":{text}}}"#));
    assert_eq!(
        session(
            r#"{"output_modalities":["text"],"audio":{"input":{"transcription":{"model":"whisper-1"}}}}"#
        ),
        Told::Session {
            transcription_model: Some("whisper-1".to_owned()),
            is_spoken: false
        }
    );
    assert_eq!(
        session(r#"{"modalities":["text","audio"],"input_audio_transcription":null}"#),
        Told::Session {
            transcription_model: None,
            is_spoken: true
        }
    );
}

#[test]
fn an_error_tells_which_event_it_is_about() {
    let Told::Error { event_id, error } = told(
        r#"{"type":"error","event_id":"s","error":{"type":"invalid_request_error","code":"conversation_already_has_active_response","message":"No.","param":null,"event_id":"mine"}}"#,
    ) else {
        panic!("it is an error");
    };
    assert_eq!(event_id.as_deref(), Some("mine"));
    assert_eq!(
        error.code.as_deref(),
        Some("conversation_already_has_active_response")
    );
}

#[test]
fn what_is_not_known_is_left_alone() {
    for text in [
        "",
        "null",
        "{}",
        r#"{"type":"response.created"}"#,
        r#"{"type":"response.done","response":[]}"#,
        r#"{"type":"conversation.item.added","item":{}}"#,
        r#"{"type":"error","error":"?"}"#,
    ] {
        assert_eq!(told(text), Told::Other, "{text}");
    }
}

#[test]
fn a_problem_of_ours_is_an_event_of_theirs() {
    let problem = Problem::new(ProblemKind::RateLimited, "Slower.");
    let event: Value = serde_json::from_str(&error_event(&problem, "e1", Some("mine"))).unwrap();
    assert_eq!(event["type"], "error");
    assert_eq!(event["event_id"], "e1");
    assert_eq!(event["error"]["message"], "Slower.");
    assert_eq!(event["error"]["code"], "rate_limit_exceeded");
    assert_eq!(event["error"]["event_id"], "mine");
    let cancel: Value = serde_json::from_str(&cancellation("r\"1")).unwrap();
    assert_eq!(cancel["response_id"], "r\"1");
}
