use std::time::Duration;

use domain::call::{AttemptReason, CallState, EndReason};
use domain::money::Cost;
use futures_util::StreamExt;
use serde_json::Value;

use crate::routes::Timeouts;
use crate::testing::{Act, Rules, Stage, Step, collect, piece, run};

const ASK: &str = r#"{"model":"gpt","stream":true,"stream_options":{"include_usage":true},"max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}"#;
const DONE: &str = "data: [DONE]\n\n";

/// A chunk of OpenAI's that says so much.
fn chunk(text: &str) -> Step {
    piece(&format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    ))
}

/// A stream of Anthropic's that says so much, took ten tokens and gave five.
fn claude(text: &str) -> Act {
    let events = [
        r#"{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}}}"#.to_owned(),
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#.to_owned(),
        format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#),
        r#"{"type":"content_block_stop","index":0}"#.to_owned(),
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}}"#.to_owned(),
        r#"{"type":"message_stop"}"#.to_owned(),
    ];
    Act::stream(events.map(|data| {
        let event: Value = serde_json::from_str(&data).unwrap();
        let name = event["type"].as_str().unwrap();
        piece(&format!("event: {name}\ndata: {data}\n\n"))
    }))
}

fn rules() -> Rules {
    Rules {
        continues: true,
        fallback: &["spare/claude"],
        ..Rules::default()
    }
}

fn stage(acts: impl IntoIterator<Item = Act>) -> Stage {
    Stage::with(rules(), acts)
}

/// What a stream of OpenAI's said, and its last usage and report.
fn read(text: &str) -> (String, Value, Value) {
    let (mut said, mut usage, mut report) = (String::new(), Value::Null, Value::Null);
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if data == "[DONE]" {
            continue;
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        assert!(chunk.get("error").is_none(), "{text}");
        said.push_str(
            chunk["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap_or_default(),
        );
        if chunk["usage"].is_object() {
            usage = chunk["usage"].clone();
        }
        if chunk["trunkline"].is_object() {
            report = chunk["trunkline"].clone();
        }
    }
    (said, usage, report)
}

/// What the request at this place said.
fn sent(stage: &Stage, place: usize) -> Value {
    let sent = stage.script.sent.lock().unwrap();
    serde_json::from_slice(sent[place].request.body()).unwrap()
}

#[test]
fn a_stream_that_breaks_off_is_gone_on_with_elsewhere_and_both_are_billed() {
    let broken = Act::stream([chunk("Hello "), chunk("there, "), Step::Break]);
    let stage = stage([broken, claude(" dear friend.")]);
    let text = collect(&stage.clock, stage.stream(ASK));
    let (said, usage, report) = read(&text);
    assert_eq!(said, "Hello there, dear friend.");
    assert!(text.ends_with(DONE), "{text}");
    assert_eq!(report["continuations"][0]["provider"], "spare");
    assert_eq!(report["continuations"][0]["after_characters"], 13);

    let asked = sent(&stage, 1);
    let messages = asked["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2, "{asked}");
    assert_eq!(messages[1]["role"], "assistant");
    let words = &messages[1]["content"];
    let words = words.as_str().or_else(|| words[0]["text"].as_str());
    assert_eq!(words, Some("Hello there,"));
    assert_eq!(asked["max_tokens"], 97, "three tokens are spent");

    let call = stage.heard.only();
    let reasons: Vec<_> = call.attempts.iter().map(|it| it.reason).collect();
    assert_eq!(reasons, [AttemptReason::First, AttemptReason::Continuation]);
    assert_eq!(call.state, CallState::Estimated);
    assert_eq!(call.end_reason, Some(EndReason::OtherAttempt));
    assert_eq!(call.provider.unwrap().as_str(), "spare");
    assert_eq!(call.error_type, None);
    let [first, second] = [0, 1].map(|at| call.attempts[at].usage.unwrap());
    assert_eq!(first.output_tokens, 4, "13 bytes");
    assert_eq!((second.input_tokens, second.output_tokens), (10, 5));
    assert_eq!(call.usage, first.saturating_add(second));
    assert_eq!(usage["completion_tokens"], 9);
    assert_eq!(usage["prompt_tokens"], first.input_tokens + 10);
    let costs = call.attempts.iter().map(|it| it.cost_usd.unwrap());
    let sum = costs.fold(Cost::ZERO, Cost::saturating_add);
    assert_eq!(call.cost_usd, Some(sum));
    let broke = call.attempts[0].error_type.unwrap();
    assert_eq!(broke.as_str(), "interrupted");
}

#[test]
fn an_error_in_the_middle_and_a_silence_are_gone_on_with_too() {
    let error =
        "data: {\"error\":{\"message\":\"Boom\",\"type\":\"server_error\",\"code\":null}}\n\n";
    for end in [vec![piece(error)], vec![Step::Hang], vec![]] {
        let first = [chunk("Hello")].into_iter().chain(end);
        let rules = Rules {
            timeouts: Timeouts {
                idle: Duration::from_secs(9),
                ..Timeouts::default()
            },
            ..rules()
        };
        let stage = Stage::with(rules, [Act::stream(first), claude(" there.")]);
        let text = collect(&stage.clock, stage.stream(ASK));
        assert_eq!(read(&text).0, "Hello there.");
    }
}

#[test]
fn who_cannot_go_on_is_not_asked_and_the_break_is_told() {
    let tools =
        r#","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}"#;
    let schema = r#","response_format":{"type":"json_object"}}"#;
    let with = |more: &str| format!("{}{more}", ASK.strip_suffix('}').unwrap());
    let broken = || Act::stream([chunk("Hello"), Step::Break]);
    for ask in [with(tools), with(schema), with(r#","n":2}"#)] {
        let stage = stage([broken()]);
        let text = collect(&stage.clock, stage.stream(&ask));
        assert!(text.contains("\"error\""), "{text}");
        assert_eq!(stage.heard.only().attempts.len(), 1);
    }
    // A model that is not known to continue what it is shown.
    let rules = Rules {
        fallback: &["spare/gpt"],
        ..rules()
    };
    let stage = Stage::with(rules, [broken()]);
    let text = collect(&stage.clock, stage.stream(ASK));
    assert!(text.contains("\"error\""), "{text}");
    assert_eq!(stage.heard.only().attempts.len(), 1);
}

#[test]
fn where_nobody_goes_on_the_break_is_told_and_what_was_said_is_billed() {
    let broken = Act::stream([chunk("Hello"), Step::Break]);
    let stage = stage([broken, Act::whole(500, "{}")]);
    let text = collect(&stage.clock, stage.stream(ASK));
    assert!(
        text.contains("The connection to the provider broke"),
        "{text}"
    );
    let call = stage.heard.only();
    assert_eq!(call.state, CallState::Estimated);
    assert_eq!(call.end_reason, Some(EndReason::ProviderBroke));
    assert_eq!(call.usage.output_tokens, 2);
    assert_eq!(call.attempts.len(), 2);
    let second = call.attempts[1].error_type.unwrap();
    assert_eq!(second.as_str(), "server");
}

#[test]
fn a_caller_that_goes_while_another_is_asked_ends_the_call() {
    let broken = Act::stream([chunk("Hello"), Step::Break]);
    let stage = stage([broken, Act::Hang]);
    let mut stream = stage.stream(ASK);
    assert!(run(&stage.clock, stream.next()).is_some());
    assert!(crate::testing::poll(std::pin::pin!(stream.next())).is_pending());
    drop(stream);
    let call = stage.heard.only();
    assert_eq!(call.attempts.len(), 2);
    assert_eq!(call.end_reason, Some(EndReason::CallerGone));
    assert_eq!(call.attempts[0].usage.unwrap().output_tokens, 2);
}

#[test]
fn a_route_that_does_not_want_it_passes_the_bytes() {
    let rules = Rules {
        continues: false,
        ..rules()
    };
    let stage = Stage::with(rules, [Act::stream([chunk("Hello"), Step::Break])]);
    let text = collect(&stage.clock, stage.stream(ASK));
    assert!(text.contains("\"id\":\"c1\""), "{text}");
    assert!(text.contains("\"error\""), "{text}");
}
