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

mod background {
    use std::pin::pin;

    use bytes::Bytes;
    use domain::call::{CallState, CallStore};
    use futures_util::StreamExt;
    use providers::openai::responses::state;

    use super::*;
    use crate::responses::Events;
    use crate::testing::{Step, piece, poll};

    /// A stream of Anthropic's, in two pieces.
    const BEGIN: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n";
    const END: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    fn asked() -> Value {
        json!({"model": "claude", "input": "Hi", "background": true})
    }

    fn look(stage: &Stage, id: &str) -> Value {
        let now = stage.clock.now();
        let found = stage.gateway.response(&stage.caller, id, now);
        serde_json::from_slice(&run(&stage.clock, found).unwrap()).unwrap()
    }

    fn cancel(stage: &Stage, id: &str) -> Result<Bytes, ChatError> {
        let now = stage.clock.now();
        run(
            &stage.clock,
            stage.gateway.cancel_response(&stage.caller, id, now),
        )
    }

    fn events(stage: &Stage, id: &str, after: Option<u64>) -> Result<Events, ChatError> {
        let now = stage.clock.now();
        let events = stage.gateway.response_events(&stage.caller, id, after, now);
        run(&stage.clock, events)
    }

    /// Makes the one answer that waits.
    fn make(stage: &mut Stage) {
        let job = stage.jobs.try_recv().unwrap();
        run(&stage.clock, stage.gateway.make(job));
    }

    fn write(stage: &Stage) {
        run(&stage.clock, stage.responses.write(9)).unwrap();
    }

    fn text(events: &[Bytes]) -> String {
        String::from_utf8(events.concat()).unwrap()
    }

    /// The numbers of a stream's events.
    fn numbers(stream: &str) -> Vec<u64> {
        let data = stream
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str::<Value>(data).unwrap())
            .map(|event| event["sequence_number"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn an_answer_is_queued_made_and_found_before_and_after_it_is_written() {
        let mut stage = Stage::of([Act::whole(200, HELLO)]);
        let queued = ask(&stage, &stage.caller, &asked()).unwrap();
        assert_eq!(
            (&queued["status"], &queued["background"]),
            (&json!("queued"), &json!(true))
        );
        let id = queued["id"].as_str().unwrap().to_owned();
        assert_eq!(look(&stage, &id), queued);
        assert_eq!(stage.script.requests(), 0);
        make(&mut stage);
        for is_written in [false, true] {
            if is_written {
                write(&stage);
            }
            let made = look(&stage, &id);
            assert_eq!(
                (&made["status"], &made["id"]),
                (&json!("completed"), &queued["id"])
            );
            assert_eq!(made["output"][0]["content"][0]["text"], "Hello there");
            assert_eq!(made["background"], true);
        }
        assert!(sent(&stage, 0).get("background").is_none());
        assert_eq!(stage.heard.only().state, CallState::Settled);
    }

    #[test]
    fn an_answer_made_in_the_background_can_be_continued() {
        let mut stage = twice();
        let first = ask(&stage, &stage.caller, &asked()).unwrap();
        make(&mut stage);
        let body = json!({"model": "claude", "input": "More", "previous_response_id": first["id"]});
        ask(&stage, &stage.caller, &body).unwrap();
        assert!(
            sent(&stage, 1)["messages"]
                .to_string()
                .contains("Hello there")
        );
    }

    #[test]
    fn a_failure_is_told_in_the_answer() {
        let mut stage = Stage::of([Act::whole(
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Not so"}}"#,
        )]);
        let queued = ask(&stage, &stage.caller, &asked()).unwrap();
        make(&mut stage);
        let failed = look(&stage, queued["id"].as_str().unwrap());
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["error"]["code"], "invalid_prompt");
        assert!(
            failed["error"]["message"]
                .as_str()
                .unwrap()
                .contains("Not so")
        );
    }

    #[test]
    fn what_is_wrong_is_refused_at_once_and_nothing_is_queued() {
        let mut stage = Stage::of([]);
        let unkept = json!({"model": "claude", "input": "Hi", "background": true, "store": false});
        let unknown = json!({"model": "nobody", "input": "Hi", "background": true});
        for body in [unkept, unknown] {
            ask(&stage, &stage.caller, &body).unwrap_err();
        }
        assert!(stage.jobs.try_recv().is_err());
    }

    #[test]
    fn when_there_is_no_room_the_caller_is_told_so() {
        let mut stage = Stage::of([]);
        ask(&stage, &stage.caller, &asked()).unwrap();
        let full = ask(&stage, &stage.caller, &asked()).unwrap_err();
        assert!(matches!(full, ChatError::TooManyJobs));
        assert!(stage.jobs.try_recv().is_ok());
    }

    #[test]
    fn a_cancelled_answer_ends_its_call_and_stays_cancelled() {
        let mut stage = Stage::of([Act::Hang]);
        let queued = ask(&stage, &stage.caller, &asked()).unwrap();
        let id = queued["id"].as_str().unwrap();
        let job = stage.jobs.try_recv().unwrap();
        let mut making = pin!(stage.gateway.make(job));
        assert!(poll(making.as_mut()).is_pending());
        assert_eq!(look(&stage, id)["status"], "in_progress");
        let now = stage.clock.now();
        let mut cancelling = pin!(stage.gateway.cancel_response(&stage.caller, id, now));
        assert!(poll(cancelling.as_mut()).is_pending());
        assert!(poll(making.as_mut()).is_ready());
        let answer = run(&stage.clock, cancelling).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["status"], "cancelled");
        assert_eq!(stage.heard.only().state, CallState::Cancelled);
        assert_eq!(look(&stage, id), answer);
        let again: Value = serde_json::from_slice(&cancel(&stage, id).unwrap()).unwrap();
        assert_eq!(again, answer);
    }

    #[test]
    fn an_answer_that_was_waited_for_cannot_be_cancelled_nor_anothers() {
        let mut stage = twice();
        let body = json!({"model": "claude", "input": "Hi"});
        let waited_for = ask(&stage, &stage.caller, &body).unwrap();
        let refused = cancel(&stage, waited_for["id"].as_str().unwrap());
        assert!(matches!(refused, Err(ChatError::Invalid(_))));
        let other = caller(Rate::default(), None);
        let queued = ask(&stage, &other, &asked()).unwrap();
        let id = queued["id"].as_str().unwrap();
        assert!(matches!(cancel(&stage, id), Err(ChatError::NotKept { .. })));
        assert!(matches!(
            events(&stage, id, None),
            Err(ChatError::NotKept { .. })
        ));
        make(&mut stage);
    }

    #[test]
    fn a_stream_is_followed_live_and_told_again_from_any_event() {
        let mut stage = Stage::of([Act::stream([piece(BEGIN), Step::Hang, piece(END)])]);
        let mut body = asked();
        body["stream"] = true.into();
        let mut inbound = stage.inbound(&body.to_string());
        inbound.face = &OpenaiResponses;
        let reply = run(&stage.clock, stage.gateway.chat(&stage.caller, inbound)).unwrap();
        let Reply::Stream { mut stream, .. } = reply else {
            panic!("a stream was asked for")
        };
        let job = stage.jobs.try_recv().unwrap();
        let mut making = pin!(stage.gateway.make(job));
        assert!(poll(making.as_mut()).is_pending());
        let first = run(&stage.clock, stream.next()).unwrap();
        let first = text(&[first]);
        assert!(first.contains("response.created"), "{first}");
        let id = first.split("\"id\":\"").nth(1).unwrap();
        let id = id.split('"').next().unwrap();
        // The caller goes away; somebody else of the same key comes.
        drop(stream);
        let mut later = events(&stage, id, Some(2)).unwrap();
        let third = text(&[run(&stage.clock, later.next()).unwrap()]);
        assert_eq!(numbers(&third), [3]);
        drop(later);
        assert_eq!(
            run(&stage.clock, cancel_soon(&stage, id, making)),
            "cancelled"
        );
    }

    async fn cancel_soon(
        stage: &Stage,
        id: &str,
        making: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> String {
        let now = stage.clock.now();
        let cancelling = stage.gateway.cancel_response(&stage.caller, id, now);
        let ((), cancelled) = futures_util::future::join(making, cancelling).await;
        let answer: Value = serde_json::from_slice(&cancelled.unwrap()).unwrap();
        answer["status"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_kept_answer_is_told_as_a_stream_from_any_event() {
        let mut stage = Stage::of([Act::stream([piece(BEGIN), piece(END)])]);
        let mut body = asked();
        body["stream"] = true.into();
        let mut inbound = stage.inbound(&body.to_string());
        inbound.face = &OpenaiResponses;
        let id = state::response_id(inbound.request_id);
        drop(run(&stage.clock, stage.gateway.chat(&stage.caller, inbound)).unwrap());
        make(&mut stage);
        assert_eq!(look(&stage, &id)["status"], "completed");
        let told = |after| {
            let events = events(&stage, &id, after).unwrap();
            text(&run(&stage.clock, events.collect::<Vec<_>>()))
        };
        let whole = told(None);
        assert!(whole.contains("Hello") && whole.contains("response.completed"));
        let count = numbers(&whole).len() as u64;
        assert_eq!(numbers(&whole), (0..count).collect::<Vec<_>>());
        assert_eq!(numbers(&told(Some(3))), (4..count).collect::<Vec<_>>());
        assert_eq!(numbers(&told(Some(90))), [91]);
        assert!(told(Some(90)).contains("response.completed"));
    }

    #[test]
    fn an_answer_whose_process_is_gone_has_failed() {
        let mut stage = Stage::of([Act::Hang]);
        let queued = ask(&stage, &stage.caller, &asked()).unwrap();
        let id = queued["id"].as_str().unwrap();
        // Another process finds what this one left: the answer in the store, the call in the ledger.
        let other = Stage::of([]);
        let kept_id: ResponseId = id.parse().unwrap();
        let now = stage.clock.now();
        let kept = stage.responses.find(&stage.caller, &kept_id, now);
        let kept = run(&stage.clock, kept).unwrap().unwrap();
        run(&other.clock, other.responses.begin(&kept)).unwrap();
        let look = || {
            let now = other.clock.now();
            let found = other.gateway.response(&stage.caller, id, now);
            let answer = run(&other.clock, found).unwrap();
            serde_json::from_slice::<Value>(&answer).unwrap()
        };
        assert_eq!(look()["status"], "queued", "somebody may be at it");
        let job = stage.jobs.try_recv().unwrap();
        let mut making = Box::pin(stage.gateway.make(job));
        assert!(poll(making.as_mut()).is_pending());
        drop(making);
        run(&other.clock, other.store.record_calls(&stage.heard.calls())).unwrap();
        other.clock.forward(std::time::Duration::from_secs(11));
        let failed = look();
        assert_eq!(failed["status"], "failed");
        assert!(
            failed["error"]["message"]
                .as_str()
                .unwrap()
                .contains("stopped")
        );
        write(&other);
        assert_eq!(look(), failed);
    }

    #[test]
    fn an_answer_that_is_cancelled_at_another_replica_is_not_made_any_longer() {
        let mut stage = Stage::of([Act::Hang]);
        let queued = ask(&stage, &stage.caller, &asked()).unwrap();
        let id: ResponseId = queued["id"].as_str().unwrap().parse().unwrap();
        let job = stage.jobs.try_recv().unwrap();
        let mut making = pin!(stage.gateway.make(job));
        let follow = || run(&stage.clock, stage.gateway.follow_cancelled()).unwrap();
        follow();
        assert!(poll(making.as_mut()).is_pending());
        let now = stage.clock.now();
        let kept = run(&stage.clock, stage.responses.find(&stage.caller, &id, now));
        let kept = kept.unwrap().unwrap();
        let answer = br#"{"status":"cancelled"}"#;
        let owner = stage.caller.key_id();
        let cancelled = stage.store.replace_answer(&id, owner, &kept.answer, answer);
        assert!(run(&stage.clock, cancelled).unwrap());
        follow();
        run(&stage.clock, making);
        assert_eq!(stage.heard.only().state, CallState::Cancelled);
        write(&stage);
        let found = stage.gateway.response(&stage.caller, id.as_str(), now);
        assert_eq!(&*run(&stage.clock, found).unwrap(), answer);
    }

    #[test]
    fn a_forgotten_answer_is_not_made() {
        let mut stage = Stage::of([Act::Hang]);
        let queued = ask(&stage, &stage.caller, &asked()).unwrap();
        let id = queued["id"].as_str().unwrap();
        let job = stage.jobs.try_recv().unwrap();
        let mut making = pin!(stage.gateway.make(job));
        assert!(poll(making.as_mut()).is_pending());
        let forgetting = stage.gateway.forget_response(&stage.caller, id);
        let both = futures_util::future::join(making, forgetting);
        run(&stage.clock, both).1.unwrap();
        let now = stage.clock.now();
        let found = run(&stage.clock, stage.gateway.response(&stage.caller, id, now));
        assert!(matches!(found, Err(ChatError::NotKept { .. })));
        assert_eq!(stage.heard.only().state, CallState::Cancelled);
    }
}
