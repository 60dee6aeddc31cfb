use domain::call::{CallState, EndReason};
use domain::money::Cost;
use domain::usage::Usage;
use providers::anthropic::AnthropicMessages;
use serde_json::Value;

use crate::chat::ChatError;
use crate::reply::Reply;
use crate::testing::{ANSWER, Act, Rules, Stage, collect, run};

const WORDS: &str = "Please try again shortly.";
const ASK: &str = r#"{"model":"gpt","n":2,"messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str = r#"{"model":"gpt","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;

fn rules() -> Rules {
    Rules {
        safe_reply: Some(WORDS),
        fallback: &["spare/gpt"],
        ..Rules::default()
    }
}

fn failing(status: u16) -> Stage {
    Stage::with(rules(), [status, status].map(|it| Act::whole(it, "{}")))
}

#[test]
fn a_caller_gets_the_safe_reply_when_everybody_failed_and_the_call_is_recorded_as_failed() {
    let stage = failing(500);
    let Ok(Reply::Whole { facts, body, .. }) = stage.chat(ASK) else {
        panic!("it was to be answered whole")
    };
    assert!(facts.is_safe_reply);
    assert_eq!((facts.attempts, facts.cost), (2, Some(Cost::ZERO)));
    let answer: Value = serde_json::from_slice(&body).unwrap();
    for choice in 0..2 {
        assert_eq!(answer["choices"][choice]["message"]["content"], WORDS);
        assert_eq!(answer["choices"][choice]["finish_reason"], "stop");
    }
    assert_eq!(answer["trunkline"]["safe_reply"], true);
    let call = stage.heard.only();
    assert_eq!(call.state, CallState::Failed);
    assert_eq!(call.end_reason, Some(EndReason::SafeReply));
    assert_eq!(call.status, Some(200));
    assert_eq!(call.error_type.as_deref(), Some("server"));
    assert_eq!(call.cost_usd, Some(Cost::ZERO));
    assert_eq!(call.usage, Usage::default());
}

#[test]
fn a_stream_says_it_in_its_own_events() {
    let stage = failing(500);
    let text = collect(&stage.clock, stage.stream(STREAM));
    assert!(text.contains(WORDS), "{text}");
    assert!(text.contains("\"safe_reply\":true"), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(stage.heard.only().end_reason, Some(EndReason::SafeReply));
}

#[test]
fn another_face_says_it_in_its_own_words() {
    let stage = failing(500);
    let asked = r#"{"model":"gpt","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
    let mut inbound = stage.inbound(asked);
    inbound.face = &AnthropicMessages;
    let answered = run(&stage.clock, stage.gateway.chat(&stage.caller, inbound));
    let Ok(Reply::Whole { body, .. }) = answered else {
        panic!("it was to be answered whole")
    };
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["content"][0]["text"], WORDS);
    assert_eq!(answer["stop_reason"], "end_turn");
}

#[test]
fn what_an_attempt_may_have_taken_is_billed() {
    let rules = Rules {
        fallback: &[],
        ..rules()
    };
    let stage = Stage::with(rules, [Act::Hang]);
    let Ok(Reply::Whole { facts, .. }) = stage.chat(ASK) else {
        panic!("it was to be answered whole")
    };
    let call = stage.heard.only();
    assert_eq!(call.state, CallState::Estimated);
    assert_eq!(call.end_reason, Some(EndReason::SafeReply));
    assert!(call.cost_usd > Some(Cost::ZERO));
    assert_eq!(facts.cost, call.cost_usd);
}

#[test]
fn what_the_caller_has_to_mend_is_told_and_an_answer_is_given() {
    let stage = Stage::with(rules(), [Act::whole(400, "{}")]);
    let Err(ChatError::Failed { problem, .. }) = stage.chat(ASK) else {
        panic!("it is the caller's to mend")
    };
    assert_eq!(problem.status(), 400);
    assert_eq!(
        stage.heard.only().end_reason,
        Some(EndReason::ProviderError)
    );

    let stage = Stage::with(rules(), [Act::whole(500, "{}"), Act::whole(200, ANSWER)]);
    assert!(stage.chat(ASK).is_ok());
    assert_ne!(stage.heard.only().end_reason, Some(EndReason::SafeReply));
}
