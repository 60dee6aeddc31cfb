use domain::clock::Clock;
use domain::key::Rate;
use providers::openai::responses::OpenaiResponses;
use serde_json::{Value, json};

use super::*;
use crate::chat::ChatError;
use crate::reply::Reply;
use crate::testing::{Act, Stage, caller, run};

/// An answer of Anthropic's.
const HELLO: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hello there"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}"#;

fn ask(stage: &Stage, caller: &Caller, body: &Value) -> Result<Value, ChatError> {
    let mut inbound = stage.inbound(&body.to_string());
    inbound.face = &OpenaiResponses;
    inbound.face_name = domain::call::Face::OpenaiResponses;
    match run(&stage.clock, stage.gateway.chat(caller, inbound))? {
        Reply::Whole { body, .. } => Ok(serde_json::from_slice(&body).unwrap()),
        Reply::Stream { .. } => panic!("no stream was asked for"),
    }
}

fn sent(stage: &Stage, place: usize) -> Value {
    let sent = stage.script.sent.lock().unwrap();
    serde_json::from_slice(sent[place].request.body()).unwrap()
}

fn twice() -> Stage {
    Stage::of([Act::whole(200, HELLO), Act::whole(200, HELLO)])
}

#[test]
fn a_continued_answer_brings_its_conversation_along_before_and_after_it_is_written() {
    for is_written in [false, true] {
        let stage = twice();
        let first = ask(
            &stage,
            &stage.caller,
            &json!({"model": "claude", "input": "Hi"}),
        )
        .unwrap();
        if is_written {
            assert_eq!(run(&stage.clock, stage.responses.write(9)).unwrap(), 1);
            assert_eq!(run(&stage.clock, stage.responses.write(9)).unwrap(), 0);
        }
        let body = json!({"model": "claude", "input": "More", "previous_response_id": first["id"]});
        let second = ask(&stage, &stage.caller, &body).unwrap();
        assert_eq!(second["previous_response_id"], first["id"]);
        let messages = sent(&stage, 1)["messages"].to_string();
        for words in ["Hi", "Hello there", "More"] {
            assert!(messages.contains(words), "{messages}");
        }
    }
}

#[test]
fn an_item_that_is_referred_to_is_sent() {
    let stage = twice();
    let first = ask(
        &stage,
        &stage.caller,
        &json!({"model": "claude", "input": "Hi"}),
    )
    .unwrap();
    let body = json!({"model": "claude", "input": [
        {"role": "user", "content": "Hi"},
        {"type": "item_reference", "id": first["output"][0]["id"]},
        {"role": "user", "content": "More"},
    ]});
    ask(&stage, &stage.caller, &body).unwrap();
    let messages = sent(&stage, 1)["messages"].to_string();
    assert!(messages.contains("Hello there"), "{messages}");
}

#[test]
fn nobody_else_can_refer_to_an_answer_nor_anybody_to_one_that_was_not_to_be_kept() {
    for (store, is_own) in [(true, false), (false, true)] {
        let stage = twice();
        let body = json!({"model": "claude", "input": "Hi", "store": store});
        let first = ask(&stage, &stage.caller, &body).unwrap();
        let other = caller(Rate::default(), None);
        let caller = if is_own { &stage.caller } else { &other };
        let item = json!({"type": "item_reference", "id": first["output"][0]["id"]});
        for body in [
            json!({"model": "claude", "input": "More", "previous_response_id": first["id"]}),
            json!({"model": "claude", "input": [item]}),
        ] {
            let error = ask(&stage, caller, &body).unwrap_err();
            assert!(matches!(error, ChatError::NotKept { .. }), "{error:?}");
        }
        assert_eq!(stage.script.requests(), 1);
    }
}

#[test]
fn an_answer_that_is_deleted_while_it_waits_never_comes_back() {
    let stage = twice();
    let first = ask(
        &stage,
        &stage.caller,
        &json!({"model": "claude", "input": "Hi"}),
    )
    .unwrap();
    let id: ResponseId = first["id"].as_str().unwrap().parse().unwrap();
    let now = stage.clock.now();
    let delete = || run(&stage.clock, stage.responses.delete(&stage.caller, &id)).unwrap();
    assert!(delete());
    assert!(!delete());
    assert_eq!(run(&stage.clock, stage.responses.write(9)).unwrap(), 0);
    let found = run(&stage.clock, stage.responses.find(&stage.caller, &id, now));
    assert_eq!(found.unwrap(), None);
}
