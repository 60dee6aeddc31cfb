use std::pin::pin;
use std::time::Duration;

use domain::call::{CallState, EndReason};
use domain::egress::{EgressError, Reach};
use domain::key::{Budget, Period, Rate};
use domain::money::Cost;
use domain::problem::ProblemKind;
use proptest::prelude::*;

use super::*;
use crate::limits::Limits;
use crate::routes::{Retries, Timeouts};
use crate::testing::{ANSWER, Act, Rules, Stage, Step, caller, expecting, piece, poll, run};

const ASK: &str = r#"{"model":"gpt","messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str = r#"{"model":"gpt","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
const HELLO: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n";

fn dollars(text: &str) -> Cost {
    text.parse().unwrap()
}

fn whole(reply: Result<Reply, ChatError>) -> (ReplyFacts, String) {
    match reply {
        Ok(Reply::Whole { facts, body, .. }) => (facts, String::from_utf8(body.to_vec()).unwrap()),
        Ok(Reply::Stream { .. }) => panic!("no stream was asked for"),
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn an_answer_passes_verbatim_and_is_settled_with_the_providers_usage() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    let (facts, body) = whole(stage.chat(ASK));
    assert_eq!(body, ANSWER);
    assert_eq!(facts.cost, Some(dollars("0.0014")));
    let call = stage.heard.only();
    assert_eq!((call.state, call.end_reason), (CallState::Settled, None));
    assert_eq!(call.usage, Usage::text(1_000, 100));
    assert_eq!(call.cost_usd, Some(dollars("0.0014")));
    assert_eq!((call.status, call.attempts.len()), (Some(200), 1));
    assert_eq!((stage.ledger.dispatched(), stage.ledger.captured()), (1, 1));
    let sent = stage.script.sent.lock().unwrap();
    assert!(
        sent.iter()
            .all(|outbound| outbound.reach == Reach::Simulated)
    );
}

#[test]
fn what_a_host_refuses_of_its_own_format_is_translated_and_the_rest_passes() {
    let rules = Rules {
        host: providers::hosts::named("mistral"),
        ..Rules::default()
    };
    let newer = ASK.replace("}]}", "}],\"max_completion_tokens\":5}");
    let older = ASK.replace("}]}", "}],  \"max_tokens\":5}");
    for (asked, sent) in [
        (
            &newer,
            r#"{"model":"gpt","messages":[{"role":"user","content":"Hi"}],"max_tokens":5}"#,
        ),
        (&older, older.as_str()),
    ] {
        let stage = Stage::with(rules, [Act::whole(200, ANSWER)]);
        whole(stage.chat(asked));
        let requests = stage.script.sent.lock().unwrap();
        let body = requests.first().unwrap().request.body();
        assert_eq!(std::str::from_utf8(body).unwrap(), sent);
    }
}

#[test]
fn a_call_that_is_stored_leaves_nothing_in_the_journal() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    whole(stage.chat(ASK));
    stage.ledger.write_ends();
    let batch = stage.ledger.take_batch(10).unwrap();
    assert_eq!(batch.calls(), stage.heard.calls());
    stage.ledger.close().unwrap();
    assert!(
        !stage.directory.files().is_empty(),
        "the store may not have it yet"
    );
    let receipt = stage.ledger.recorded(batch);
    stage.ledger.release(&[receipt]).unwrap();
    stage.ledger.close().unwrap();
    assert!(stage.directory.files().is_empty());
}

#[test]
fn an_answer_without_usage_is_estimated_in_its_header_and_in_the_ledger_alike() {
    let answer = ANSWER.split(",\"usage\"").next().unwrap().to_owned() + "}";
    let stage = Stage::of([Act::whole(200, &answer)]);
    let (facts, _) = whole(stage.chat(ASK));
    let call = stage.heard.only();
    assert_eq!(
        (call.state, call.end_reason),
        (CallState::Estimated, Some(EndReason::NoUsage))
    );
    // 59 bytes of request, 11 bytes of answer, four bytes a token.
    assert_eq!(call.usage, Usage::text(15, 3));
    assert_eq!(call.cost_usd, Some(dollars("0.000027")));
    assert_eq!(facts.cost, call.cost_usd);
}

#[test]
fn a_translated_answer_comes_in_the_callers_format_with_its_report() {
    let answer = r#"{"id":"m1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1000,"output_tokens":100}}"#;
    let stage = Stage::of([Act::whole(200, answer)]);
    let report = ReportWanted {
        cost: true,
        conversion: true,
    };
    let asked = ASK.replace("\"gpt\"", "\"claude\",\"seed\":7");
    let inbound = Inbound {
        report,
        ..stage.inbound(&asked)
    };
    let (_, body) = whole(run(
        &stage.clock,
        stage.gateway.chat(&stage.caller, inbound),
    ));
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let at = |path: &str| {
        body.pointer(path)
            .and_then(|it| it.as_str())
            .unwrap_or_default()
    };
    assert_eq!(at("/object"), "chat.completion");
    assert_eq!(at("/choices/0/message/content"), "Hello");
    assert_eq!(at("/trunkline/cost/cost_usd"), "0.001400000");
    assert_eq!(at("/trunkline/conversion/dropped/0/field"), "seed");
}

#[test]
fn a_strict_route_refuses_what_would_be_dropped_and_sends_nothing() {
    let rules = Rules {
        strict: true,
        ..Rules::default()
    };
    let stage = Stage::with(rules, []);
    let refused = stage.chat(&ASK.replace("\"gpt\"", "\"claude\",\"seed\":7"));
    let Err(ChatError::WouldDrop(report)) = refused else {
        panic!("it was not refused")
    };
    assert_eq!(
        report.dropped.first().map(|loss| &*loss.field),
        Some("seed")
    );
    assert_eq!(stage.script.requests(), 0);
    assert!(stage.heard.calls().is_empty());
}

#[test]
fn a_stream_that_only_the_provider_wanted_makes_one_answer() {
    let events = [
        r#"{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1000,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":100}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let steps = events.map(|event| {
        let value: serde_json::Value = serde_json::from_str(event).unwrap();
        let kind = value
            .get("type")
            .and_then(|kind| kind.as_str())
            .unwrap_or_default();
        piece(&format!("event: {kind}\ndata: {event}\n\n"))
    });
    let stage = Stage::of([Act::stream(steps)]);
    let asked = ASK.replace("\"gpt\"", "\"claude\",\"max_completion_tokens\":30000");
    let (_, body) = whole(stage.chat(&asked));
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let content = body
        .pointer("/choices/0/message/content")
        .and_then(|it| it.as_str());
    assert_eq!(content, Some("Hello"));
    let call = stage.heard.only();
    assert_eq!((call.state, call.streamed), (CallState::Settled, false));
    assert_eq!(call.usage, Usage::text(1_000, 100));
}

#[test]
fn what_is_refused_beforehand_is_neither_sent_nor_recorded() {
    let stage = Stage::of([]);
    assert!(matches!(stage.chat("{"), Err(ChatError::Invalid(_))));
    let unknown = stage.chat(&ASK.replace("gpt", "claud"));
    let Err(ChatError::UnknownModel(unknown)) = unknown else {
        panic!("it is known")
    };
    assert!(
        unknown.near.iter().any(|name| name == "claude"),
        "{:?}",
        unknown.near
    );
    assert_eq!(stage.script.requests(), 0);
    assert!(stage.heard.calls().is_empty());
    assert_eq!(stage.ledger.journal_bytes(), 0);
}

#[test]
fn a_failed_call_costs_nothing_and_tells_the_caller_why() {
    let refusal = r#"{"error":{"message":"Bad temperature","type":"invalid_request_error","param":"temperature","code":null}}"#;
    let stage = Stage::of([Act::whole(400, refusal)]);
    let Err(ChatError::Failed {
        problem, attempts, ..
    }) = stage.chat(ASK)
    else {
        panic!("it did not fail")
    };
    assert_eq!((problem.kind, attempts), (ProblemKind::InvalidRequest, 1));
    assert_eq!(problem.verbatim.as_deref(), Some(refusal.as_bytes()));
    let call = stage.heard.only();
    assert_eq!((call.state, call.status), (CallState::Failed, Some(400)));
    assert_eq!(call.error_type.as_deref(), Some("invalid_request"));
    assert_eq!(
        (call.usage, call.cost_usd),
        (Usage::default(), Some(Cost::ZERO))
    );
}

/// The caller's budget and rate as they stand at the beginning.
fn limited() -> Caller {
    let budget = Budget {
        limit: dollars("0.01"),
        per: Period::Day,
    };
    caller(
        Rate {
            rpm: None,
            tpm: Some(100_000),
            ..Rate::default()
        },
        Some(budget),
    )
}

/// Whether a caller may still use up all that it had, but for `spent`.
fn has_all_but(stage: &Stage, spent: Cost) -> bool {
    let expected = expecting(1, Some(0));
    let mut first = stage.limits.admit_now(&stage.caller, expected).unwrap();
    let mut second = stage.limits.admit_now(&stage.caller, expected).unwrap();
    let one = Cost::from_nano_dollars(1);
    let rest = dollars("0.01").nano_dollars() - spent.nano_dollars() - 1;
    first.set_aside(one).unwrap();
    let fits = second.set_aside(Cost::from_nano_dollars(rest)).is_ok();
    let mut third = stage.limits.admit_now(&stage.caller, expected).unwrap();
    fits && third.set_aside(one).is_err()
}

#[test]
fn a_call_that_is_dropped_at_any_stage_ends_once_and_holds_nothing() {
    let waiting = || Act::stream([piece(HELLO), Step::Hang]);
    let throttled = || Act::Answer(429, Vec::new(), vec![piece("{}")]);
    let input = Usage::text(19, 0);
    let hello = Usage::text(19, 2);
    // What the provider does, and what is recorded when the caller goes away then.
    let stages: [(&str, Act, Usage); 4] = [
        ("before the head", Act::Hang, input),
        ("before the body", Act::stream([Step::Hang]), input),
        ("while it backs off", throttled(), Usage::default()),
        ("in the stream", waiting(), hello),
    ];
    for (at, act, usage) in stages {
        let stage = Stage {
            caller: limited(),
            ..Stage::of([act])
        };
        {
            let mut asked = pin!(stage.gateway.chat(&stage.caller, stage.inbound(STREAM)));
            match poll(asked.as_mut()) {
                std::task::Poll::Pending => assert_ne!(at, "in the stream"),
                std::task::Poll::Ready(Ok(Reply::Stream { mut stream, .. })) => {
                    assert_eq!(at, "in the stream");
                    let first = run(&stage.clock, futures_util::StreamExt::next(&mut stream));
                    assert_eq!(first.as_deref(), Some(HELLO.as_bytes()));
                }
                std::task::Poll::Ready(_) => panic!("{at}"),
            }
        }
        let call = stage.heard.only();
        assert_eq!(
            (call.state, call.usage),
            (CallState::Cancelled, usage),
            "{at}"
        );
        assert_eq!(call.end_reason, Some(EndReason::CallerGone), "{at}");
        assert_eq!(
            (stage.ledger.dispatched(), stage.ledger.captured()),
            (1, 1),
            "{at}"
        );
        assert!(has_all_but(&stage, call.cost_usd.unwrap()), "{at}");
    }
}

/// A stage whose model nobody knows the price of.
fn without_a_price(acts: impl IntoIterator<Item = Act>) -> Stage {
    let rules = Rules {
        kind: Some(ProviderKind::Openai),
        ..Rules::default()
    };
    Stage::with(rules, acts)
}

#[test]
fn a_budget_is_not_spent_on_what_has_no_price() {
    let stage = Stage {
        caller: limited(),
        ..without_a_price([Act::Hang])
    };
    let Err(ChatError::Unpriced { provider, model }) = stage.chat(ASK) else {
        panic!("it was sent")
    };
    assert_eq!((provider.as_str(), &*model), ("sim", "gpt"));
    assert_eq!(stage.script.requests(), 0);
    assert!(has_all_but(&stage, Cost::ZERO), "nothing is held");
}

#[test]
fn a_key_without_a_budget_may_use_what_has_no_price() {
    let stage = without_a_price([Act::whole(200, ANSWER)]);
    whole(stage.chat(ASK));
    assert_eq!(stage.heard.only().cost_usd, None);
}

/// A request of Anthropic's format for a feature that Vertex AI does not take.
fn with_a_beta(stage: &Stage) -> Inbound {
    let body = r#"{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
    let mut inbound = stage.inbound(body);
    inbound.face = &providers::anthropic::AnthropicMessages;
    inbound.asked.headers.insert(
        "anthropic-beta",
        HeaderValue::from_static("no-such-feature-2026-01-01"),
    );
    inbound.report.conversion = true;
    inbound
}

#[test]
fn a_field_that_a_host_does_not_take_is_reported_although_the_bytes_pass() {
    let rules = Rules {
        kind: Some(ProviderKind::Vertex),
        ..Rules::default()
    };
    let answer = r#"{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let stage = Stage::with(rules, [Act::whole(200, answer)]);
    let asked = stage.gateway.chat(&stage.caller, with_a_beta(&stage));
    let (_, body) = whole(run(&stage.clock, asked));
    assert!(
        body.contains(r#""dropped":[{"field":"anthropic-beta""#),
        "{body}"
    );

    let strict = Rules {
        strict: true,
        ..rules
    };
    let stage = Stage::with(strict, [Act::Hang]);
    let asked = stage.gateway.chat(&stage.caller, with_a_beta(&stage));
    let Err(ChatError::WouldDrop(lost)) = run(&stage.clock, asked) else {
        panic!("it was sent")
    };
    assert_eq!(lost.dropped.len(), 1);
    assert_eq!(stage.script.requests(), 0);
}

#[test]
fn a_call_that_waits_for_media_and_is_dropped_was_never_sent() {
    let stage = Stage {
        caller: limited(),
        ..Stage::of([Act::Hang])
    };
    let asked = r#"{"model":"gemini","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]}"#;
    {
        let mut asked = pin!(stage.gateway.chat(&stage.caller, stage.inbound(asked)));
        assert!(poll(asked.as_mut()).is_pending());
    }
    assert!(stage.heard.calls().is_empty());
    assert_eq!(stage.ledger.dispatched(), 0);
    assert!(has_all_but(&stage, Cost::ZERO));
}

#[test]
fn a_journal_that_fails_between_attempts_leaves_the_call_failed_of_what_it_failed_of() {
    let throttled = Act::Answer(429, Vec::new(), vec![piece("{}")]);
    let stage = Stage::of([throttled]);
    let error = {
        let mut asked = pin!(stage.gateway.chat(&stage.caller, stage.inbound(ASK)));
        assert!(poll(asked.as_mut()).is_pending());
        stage.ledger.break_journal();
        run(&stage.clock, asked)
    };
    assert!(matches!(error, Err(ChatError::Failed { attempts: 1, .. })));
    let call = stage.heard.only();
    assert_eq!(
        (call.state, call.cost_usd),
        (CallState::Failed, Some(Cost::ZERO))
    );
    assert_eq!(call.error_type.as_deref(), Some("rate_limited"));
}

#[test]
fn overhead_is_neither_the_provider_nor_the_wait_for_it() {
    let throttled = Act::Answer(
        429,
        vec![("retry-after", "2".to_owned())],
        vec![piece("{}")],
    );
    let rules = Rules {
        retries: Retries {
            attempts: 2,
            ..Retries::default()
        },
        timeouts: Timeouts::default(),
        ..Rules::default()
    };
    let stage = Stage::with(rules, [throttled, Act::whole(200, ANSWER)]);
    let (facts, _) = whole(stage.chat(ASK));
    let call = stage.heard.only();
    assert_eq!((call.latency_ms, call.overhead_us), (2_000, 0));
    assert_eq!((facts.attempts, facts.overhead), (2, Duration::ZERO));
}

#[test]
fn a_connection_that_never_was_is_told_as_such() {
    let refused = || Act::Refuse(EgressError::Connect("connection refused".to_owned()));
    let stage = Stage::of([refused(), refused(), refused()]);
    let Err(ChatError::Failed {
        problem, attempts, ..
    }) = stage.chat(ASK)
    else {
        panic!("it did not fail")
    };
    assert_eq!(
        (problem.kind, attempts),
        (ProblemKind::ProviderUnreachable, 3)
    );
    let call = stage.heard.only();
    assert_eq!(call.attempts.len(), 3);
    assert!(
        call.attempts
            .iter()
            .all(|attempt| attempt.latency_ms == Some(0))
    );
}

/// What one of many callers does next.
#[derive(Debug, Clone)]
enum Move {
    Ask(u64),
    Settle(usize, u64),
    Drop(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (0_u64..400).prop_map(Move::Ask),
        (any::<usize>(), 0_u64..600).prop_map(|(which, cost)| Move::Settle(which, cost)),
        any::<usize>().prop_map(Move::Drop),
    ];
    proptest::collection::vec(one, 1..200)
}

proptest! {
    #[test]
    fn a_budget_is_overspent_by_no_more_than_what_was_in_flight(moves in moves()) {
        let budget = Budget { limit: Cost::from_nano_dollars(1_000), per: Period::Day };
        let caller = caller(Rate::default(), Some(budget));
        let (limits, _alerts) = Limits::new(Arc::new(crate::testing::Hand::default()), false);
        let expected = expecting(0, Some(0));
        let mut open: Vec<(Admission, u64)> = Vec::new();
        let (mut spent, mut beyond) = (0_u64, 0_u64);
        for step in moves {
            match step {
                Move::Ask(cost) => {
                    let mut admission = limits.admit_now(&caller, expected).unwrap();
                    let held: u64 = open.iter().map(|(_, held)| held).sum();
                    let reserved = admission.set_aside(Cost::from_nano_dollars(cost.cast_signed()));
                    prop_assert!(reserved.is_err() || spent + held < 1_000);
                    prop_assert!(reserved.is_ok() || spent + held + cost > 1_000 || spent + held == 1_000);
                    if reserved.is_ok() {
                        // A call that is alone may take more than the rest.
                        beyond += (spent + held + cost).saturating_sub(1_000.max(spent + held));
                        open.push((admission, cost));
                    }
                }
                Move::Settle(which, cost) if !open.is_empty() => {
                    let (admission, held) = open.swap_remove(which % open.len());
                    admission.settle(0, 0, Cost::from_nano_dollars(cost.cast_signed()));
                    spent += cost;
                    beyond += cost.saturating_sub(held);
                }
                Move::Drop(which) if !open.is_empty() => {
                    open.swap_remove(which % open.len());
                }
                Move::Settle(..) | Move::Drop(_) => {}
            }
        }
        prop_assert!(spent <= 1_000 + beyond, "{spent} with {beyond} beyond reservations");
    }
}

/// A call's story is made and moved once for each call: what is rare stands on the heap beside it.
#[test]
fn the_story_of_a_call_is_small() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    let story = stage.gateway.chat(&stage.caller, stage.inbound(ASK));
    let size = std::mem::size_of_val(&story);
    assert!(size <= 9 * 1024, "{size} bytes");
}
