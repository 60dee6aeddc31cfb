use domain::call::CallState;
use domain::key::{Budget, Period};
use domain::money::Cost;

use super::*;
use crate::testing::{ANSWER, Act, Rules, Stage, collect, piece, run};

const ASK: &str = r#"{"model":"gpt","messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str = r#"{"model":"gpt","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
/// An answer in Anthropic's format, of 1,000 tokens in and 100 out.
const CLAUDE: &str = r#"{"id":"m1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1000,"output_tokens":100}}"#;

fn budget(usd: &str) -> Budget {
    Budget {
        limit: usd.parse().unwrap(),
        per: Period::Day,
    }
}

fn stage(usd: &str, acts: impl IntoIterator<Item = Act>) -> Stage {
    let rules = Rules {
        shadow: Some(budget(usd)),
        ..Rules::default()
    };
    Stage::with(rules, acts)
}

fn send_next(stage: &mut Stage) {
    let copy = stage.copies.try_recv().unwrap();
    run(&stage.clock, stage.gateway.send_copy(copy));
}

#[test]
fn a_copy_is_a_call_of_its_own_that_names_the_one_it_is_of() {
    let mut stage = stage("1", [Act::whole(200, ANSWER), Act::whole(200, CLAUDE)]);
    stage.chat(ASK).unwrap();
    assert_eq!(stage.script.requests(), 1, "nobody waits for the copy");
    send_next(&mut stage);
    let calls = stage.heard.calls();
    let [original, shadow] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(original.shadow_of, None);
    assert_eq!(shadow.shadow_of, Some(original.request_id));
    assert_ne!(shadow.request_id, original.request_id);
    assert_ne!(shadow.key_id, original.key_id);
    assert_ne!(shadow.organization_id, original.organization_id);
    assert_eq!(
        (&shadow.route, &shadow.request_model),
        (&original.route, &original.request_model)
    );
    assert_eq!(shadow.state, CallState::Settled);
    assert_eq!(shadow.attempts[0].model, "claude");
    assert_eq!(shadow.cost_usd, Some("0.0014".parse::<Cost>().unwrap()));
    assert_eq!(stage.gateway.shadow_counts().sent, 1);
}

#[test]
fn a_stream_is_copied_as_a_stream_and_read_to_its_end() {
    let stop = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let events = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":7}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let acts = [Act::stream([piece(stop)]), Act::stream([piece(events)])];
    let mut stage = stage("1", acts);
    let stream = stage.stream(STREAM);
    collect(&stage.clock, stream);
    send_next(&mut stage);
    let calls = stage.heard.calls();
    let shadow = &calls[1];
    assert!(shadow.streamed && shadow.time_to_first_token_ms.is_some());
    assert_eq!(shadow.usage.output_tokens, 7);
    assert_eq!(shadow.state, CallState::Settled);
}

#[test]
fn the_callers_limits_are_not_charged_and_the_copies_budget_is() {
    let acts = [
        Act::whole(200, ANSWER),
        Act::whole(200, CLAUDE),
        Act::whole(200, ANSWER),
    ];
    let mut stage = stage("0.0014", acts);
    stage.chat(ASK).unwrap();
    send_next(&mut stage);
    let spent = |stage: &Stage| {
        let mut spent = Cost::ZERO;
        for call in stage.heard.calls() {
            if call.key_id == stage.caller.key_id() {
                spent = spent.saturating_add(call.cost_usd.unwrap());
            }
        }
        spent
    };
    assert_eq!(spent(&stage), "0.0014".parse().unwrap());
    stage.chat(ASK).unwrap();
    send_next(&mut stage);
    assert_eq!(stage.script.requests(), 3, "the budget is spent");
    let counts = stage.gateway.shadow_counts();
    assert_eq!((counts.sent, counts.over_budget), (1, 1));
    assert_eq!(stage.heard.calls().len(), 3);
}

#[test]
fn a_copy_that_fails_is_recorded_as_failed_and_tried_once() {
    let mut stage = stage("1", [Act::whole(200, ANSWER), Act::whole(429, "{}")]);
    stage.chat(ASK).unwrap();
    send_next(&mut stage);
    let calls = stage.heard.calls();
    assert_eq!(calls[1].state, CallState::Failed);
    assert_eq!(calls[1].shadow_of, Some(calls[0].request_id));
}

#[test]
fn a_full_queue_drops_copies_and_counts_them() {
    let mut stage = stage("1", [Act::whole(200, ANSWER), Act::whole(200, ANSWER)]);
    stage.chat(ASK).unwrap();
    stage.chat(ASK).unwrap();
    assert_eq!(stage.gateway.shadow_counts().dropped, 1);
    assert!(stage.copies.try_recv().is_ok());
    assert!(stage.copies.try_recv().is_err());
    assert_eq!(
        stage.gateway.shadows.tally.waiting.load(Ordering::Relaxed),
        0
    );
}

#[test]
fn what_waited_for_too_long_is_not_sent() {
    let mut stage = stage("1", [Act::whole(200, ANSWER)]);
    stage.chat(ASK).unwrap();
    stage.clock.forward(PATIENCE + Duration::from_secs(1));
    send_next(&mut stage);
    assert_eq!(stage.gateway.shadow_counts().dropped, 1);
    assert_eq!(stage.heard.calls().len(), 1);
}

#[test]
fn what_fails_before_it_is_sent_is_not_copied() {
    let mut stage = stage("1", []);
    assert!(stage.chat(r#"{"model":"gpt","messages":7}"#).is_err());
    assert!(stage.copies.try_recv().is_err());
}
