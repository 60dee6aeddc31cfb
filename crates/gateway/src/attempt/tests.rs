use bytes::Bytes;
use domain::call::{CallState, EndReason};
use domain::chat::FinishReason;
use domain::money::Cost;
use domain::problem::Problem;
use futures_util::stream;
use providers::anthropic::AnthropicMessages;
use providers::kind::ProviderKind;

use domain::egress::EgressError;
use domain::provider_error::Cause;

use super::failure::{MAX_ERROR_BODY, read_error_body};
use super::*;
use crate::chat::ChatError;
use crate::reply::Reply;
use crate::routes::hedge::{Delay, HedgeRules};
use crate::routes::{Retries, Timeouts, When};
use crate::testing::{ANSWER, Act, Keys, Rules, Stage, Step, collect, piece, run};

const ASK: &str = r#"{"model":"gpt","messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str = r#"{"model":"gpt","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;

fn throttled(retry_after: Option<&str>) -> Act {
    let headers = retry_after.map(|seconds| ("retry-after", seconds.to_owned()));
    Act::Answer(429, headers.into_iter().collect(), vec![piece("{}")])
}

#[test]
fn a_provider_that_asks_for_patience_gets_it() {
    let stage = Stage::of([
        throttled(Some("3")),
        throttled(None),
        Act::whole(200, ANSWER),
    ]);
    assert!(stage.chat(ASK).is_ok());
    assert_eq!(stage.clock.elapsed(), Duration::from_millis(3_200));
    let call = stage.heard.only();
    let statuses: Vec<_> = call.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(429), Some(429), Some(200)]);
    assert_eq!(call.state, CallState::Settled);
}

/// What a caller of Anthropic's messages is told when Claude at Vertex AI answers with this error.
fn told_by_claude_at_vertex(status: u16, error: &str) -> Problem {
    let rules = Rules {
        kind: Some(ProviderKind::Vertex),
        ..Rules::default()
    };
    let stage = Stage::with(rules, [Act::whole(status, error)]);
    let asked = r#"{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
    let mut inbound = stage.inbound(asked);
    inbound.face = &AnthropicMessages;
    match run(&stage.clock, stage.gateway.chat(&stage.caller, inbound)) {
        Err(ChatError::Failed { problem, .. }) => *problem,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it did not fail"),
    }
}

#[test]
fn what_went_wrong_is_read_in_the_format_that_was_spoken() {
    let quota = r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded.",
        "details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"60s"}]}}]"#;
    let problem = told_by_claude_at_vertex(429, quota);
    assert_eq!(problem.retry_after, Some(Duration::from_mins(1)));
    assert_eq!(problem.detail, "Quota exceeded.");
    assert_eq!(
        problem.verbatim, None,
        "Google's words are no error of Anthropic's"
    );

    let own = r#"{"type":"error","error":{"type":"invalid_request_error","message":"No."}}"#;
    let problem = told_by_claude_at_vertex(400, own);
    assert_eq!(problem.verbatim.as_deref(), Some(own.as_bytes()));
}

#[test]
fn a_provider_that_asks_for_too_much_patience_is_told_on() {
    let stage = Stage::of([throttled(Some("60"))]);
    let Err(ChatError::Failed {
        problem, attempts, ..
    }) = stage.chat(ASK)
    else {
        panic!("it did not fail")
    };
    assert_eq!(
        (problem.retry_after, attempts),
        (Some(Duration::from_mins(1)), 1)
    );
}

#[test]
fn the_total_time_bounds_attempts_and_waits_together() {
    let timeouts = Timeouts {
        total: Duration::from_secs(5),
        ..Timeouts::default()
    };
    let rules = Rules {
        timeouts,
        ..Rules::default()
    };
    let stage = Stage::with(rules, [throttled(Some("4")), throttled(Some("4"))]);
    assert!(matches!(
        stage.chat(ASK),
        Err(ChatError::Failed { attempts: 2, .. })
    ));
    assert_eq!(
        stage.clock.elapsed(),
        Duration::from_secs(4),
        "it does not wait in vain"
    );
    let stage = Stage::with(rules, [throttled(Some("4")), Act::Hang]);
    let Err(ChatError::Failed { problem, .. }) = stage.chat(ASK) else {
        panic!("it answered")
    };
    assert_eq!(problem.kind, domain::problem::ProblemKind::ProviderTimeout);
    assert_eq!(stage.clock.elapsed(), Duration::from_secs(5));
    assert_eq!(stage.heard.only().error_type.as_deref(), Some("timeout"));
}

#[test]
fn what_a_provider_did_of_which_nothing_came_back_is_estimated_and_counts() {
    let broken = || Act::Refuse(EgressError::Broken("reset".to_owned()));
    let half = || Act::Answer(200, Vec::new(), vec![piece("{\"id\":"), Step::Break]);
    for (asked, act, error_type) in [
        (ASK, Act::Hang, "timeout"),
        (STREAM, Act::Hang, "timeout"),
        (
            STREAM,
            Act::stream([piece(": ping\n\n"), Step::Hang]),
            "timeout",
        ),
        (ASK, broken(), "interrupted"),
        (STREAM, broken(), "interrupted"),
        (ASK, half(), "interrupted"),
        (STREAM, Act::stream([Step::Break]), "interrupted"),
    ] {
        let stage = Stage::of([act]);
        let Err(ChatError::Failed { attempts, .. }) = stage.chat(asked) else {
            panic!("{error_type}")
        };
        assert_eq!(attempts, 1, "what may have been done is not done again");
        let call = stage.heard.only();
        let ended = (call.state, call.end_reason);
        let expected = (CallState::Estimated, Some(EndReason::ProviderError));
        assert_eq!(ended, expected, "{error_type}");
        assert_eq!(call.error_type.as_deref(), Some(error_type));
        assert!(call.usage.input_tokens > 0 && call.usage.output_tokens > 0);
        assert!(call.cost_usd.unwrap() > Cost::ZERO, "{error_type}");
    }
}

#[test]
fn what_a_provider_never_saw_or_turned_away_costs_nothing() {
    let refused = || Act::Refuse(EgressError::Connect("no".to_owned()));
    for acts in [
        [refused(), refused(), refused()],
        [504, 500, 400].map(|status| Act::whole(status, "{}")),
    ] {
        let stage = Stage::of(acts);
        assert!(stage.chat(ASK).is_err());
        let call = stage.heard.only();
        assert_eq!(call.state, CallState::Failed);
        assert_eq!(call.cost_usd, Some(Cost::ZERO));
        assert_eq!(call.usage, domain::usage::Usage::default());
    }
}

#[test]
fn a_stream_that_says_nothing_fails_at_the_first_byte_timeout() {
    let timeouts = Timeouts {
        first_byte: Duration::from_secs(7),
        ..Timeouts::default()
    };
    let silent = [piece(": ping\n\n"), Step::Hang];
    let stage = Stage::with(
        Rules {
            timeouts,
            ..Rules::default()
        },
        [Act::stream(silent)],
    );
    assert!(matches!(stage.chat(STREAM), Err(ChatError::Failed { .. })));
    assert_eq!(stage.clock.elapsed(), Duration::from_secs(7));
}

#[test]
fn an_error_before_the_first_content_fails_the_whole_request() {
    let error =
        "data: {\"error\":{\"message\":\"Boom\",\"type\":\"server_error\",\"code\":null}}\n\n";
    let stage = Stage::of([Act::stream([piece(": hello\n\n"), piece(error)])]);
    let Err(ChatError::Failed { problem, .. }) = stage.chat(STREAM) else {
        panic!("it began")
    };
    assert_eq!(problem.detail, "Boom");
    let call = stage.heard.only();
    assert_eq!(
        (call.state, call.end_reason),
        (CallState::Failed, Some(EndReason::ProviderError))
    );
}

#[test]
fn an_error_inside_a_success_is_an_error() {
    let body = r#"{"error":{"message":"No such luck","type":"server_error","code":null}}"#;
    for asked in [ASK, STREAM] {
        let stage = Stage::of([Act::whole(200, body)]);
        let Err(ChatError::Failed { problem, .. }) = stage.chat(asked) else {
            panic!("it answered")
        };
        assert_eq!(problem.detail, "No such luck");
        assert_eq!(stage.heard.only().state, CallState::Failed);
    }
}

#[test]
fn a_stream_that_ends_before_it_says_anything_fails() {
    for steps in [vec![], vec![piece("data: [DONE]\n\n")], vec![Step::Break]] {
        let stage = Stage::of([Act::stream(steps)]);
        assert!(matches!(stage.chat(STREAM), Err(ChatError::Failed { .. })));
    }
}

#[test]
fn what_came_before_the_first_content_is_not_lost() {
    let stream = [
        ": ping\n\n",
        "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,",
        "\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n",
    ];
    let asked = STREAM.replace("true", "true,\"stream_options\":{\"include_usage\":true}");
    let stage = Stage::of([Act::stream(stream.map(piece))]);
    let Ok(Reply::Stream { stream: reply, .. }) = stage.chat(&asked) else {
        panic!("it did not answer")
    };
    assert_eq!(collect(&stage.clock, reply), stream.concat());
}

#[test]
fn an_answer_that_is_too_large_is_refused_in_one_piece_or_many() {
    let body = |pieces: Vec<&'static str>| -> EgressBody {
        Box::pin(stream::iter(
            pieces.into_iter().map(|piece| Ok(Bytes::from(piece))),
        ))
    };
    let read = |pieces, max| {
        run(
            &crate::testing::Hand::default(),
            read_whole(body(pieces), max),
        )
    };
    assert_eq!(read(vec!["abc"], 3).unwrap(), "abc");
    assert_eq!(read(vec!["a", "", "bc"], 3).unwrap(), "abc");
    assert_eq!(read(vec![], 3).unwrap(), "");
    for pieces in [vec!["abcd"], vec!["ab", "cd"], vec!["a", "b", "c", "d"]] {
        assert_eq!(read(pieces, 3).unwrap_err().cause, Cause::Malformed);
    }
}

#[test]
fn a_long_error_page_is_read_in_part() {
    let page = "x".repeat(MAX_ERROR_BODY);
    let pieces = [page.clone(), page].map(|page| Ok(Bytes::from(page)));
    let read = read_error_body(Box::pin(stream::iter(pieces)));
    assert_eq!(
        run(&crate::testing::Hand::default(), read).len(),
        MAX_ERROR_BODY
    );
}

#[test]
fn the_body_of_every_attempt_is_the_same() {
    let stage = Stage::of([throttled(None), Act::whole(200, ANSWER)]);
    let Ok(Reply::Whole { .. }) = stage.chat(ASK) else {
        panic!("it did not answer")
    };
    let sent = stage.script.sent.lock().unwrap();
    let bodies: Vec<_> = sent
        .iter()
        .map(|outbound| outbound.request.body())
        .collect();
    assert_eq!(bodies.len(), 2);
    assert!(bodies.iter().all(|body| **body == ASK));
    assert_eq!(
        stage.heard.only().finish_reason.as_deref(),
        Some(FinishReason::Stop.as_str())
    );
}

/// Who was asked why, in order.
fn attempts(call: &domain::call::Call) -> Vec<String> {
    let attempts = call.attempts.iter();
    attempts
        .map(|it| format!("{}/{} {}", it.provider, it.model, it.reason.as_str()))
        .collect()
}

fn with_spare() -> Rules {
    let timeouts = Timeouts {
        attempt: Duration::from_secs(30),
        ..Timeouts::default()
    };
    Rules {
        timeouts,
        fallback: &["spare/gpt"],
        ..Rules::default()
    }
}

#[test]
fn a_fallback_answers_for_a_primary_that_failed() {
    let broken = || Act::Refuse(EgressError::Broken("reset".to_owned()));
    for failure in [
        Act::whole(500, "{}"),
        throttled(Some("60")),
        throttled(None),
        Act::whole(401, "{}"),
        Act::whole(200, "no JSON"),
        Act::Hang,
        broken(),
    ] {
        let stage = Stage::with(with_spare(), [failure, Act::whole(200, ANSWER)]);
        let Ok(Reply::Whole { facts, .. }) = stage.chat(ASK) else {
            panic!("it did not answer")
        };
        assert_eq!((facts.provider.as_str(), facts.attempts), ("spare", 2));
        let call = stage.heard.only();
        assert_eq!(attempts(&call), ["sim/gpt first", "spare/gpt fallback"]);
        assert_eq!(call.provider.unwrap().as_str(), "spare");
    }
}

#[test]
fn a_stream_that_fails_before_its_first_content_begins_anew_elsewhere() {
    let opening = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
    let inside =
        "data: {\"error\":{\"message\":\"Boom\",\"type\":\"server_error\",\"code\":null}}\n\n";
    let good = "data: {\"id\":\"c2\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\ndata: [DONE]\n\n";
    for failure in [
        vec![piece(opening), piece(inside)],
        vec![piece(opening), Step::Break],
        vec![piece(opening)],
        vec![piece(opening), Step::Hang],
    ] {
        let stage = Stage::with(
            with_spare(),
            [Act::stream(failure), Act::stream([piece(good)])],
        );
        let told = collect(&stage.clock, stage.stream(STREAM));
        assert!(told.contains("Hello") && !told.contains("Boom"), "{told}");
        assert!(!told.contains("\"c1\""), "nothing of the first: {told}");
        let call = stage.heard.only();
        assert_eq!(attempts(&call), ["sim/gpt first", "spare/gpt fallback"]);
        // What broke off may have taken something, which is estimated beside it.
        let told = call.attempts[1].usage.unwrap_or(call.usage);
        assert_eq!((call.status, told.output_tokens), (Some(200), 2));
    }
}

#[test]
fn a_fallback_is_asked_in_its_own_words() {
    let rules = Rules {
        fallback: &["spare/claude"],
        ..Rules::default()
    };
    let claude = r#"{"id":"m","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hello there"}],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":2}}"#;
    let stage = Stage::with(
        rules,
        [
            Act::whole(503, "{}"),
            Act::whole(503, "{}"),
            Act::whole(503, "{}"),
            Act::whole(200, claude),
        ],
    );
    let Ok(Reply::Whole { facts, body, .. }) = stage.chat(ASK) else {
        panic!("it did not answer")
    };
    assert_eq!(facts.model, "claude");
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["choices"][0]["message"]["content"], "Hello there");
    let call = stage.heard.only();
    assert_eq!(
        attempts(&call),
        [
            "sim/gpt first",
            "sim/gpt retry",
            "sim/gpt retry",
            "spare/claude fallback"
        ]
    );
    assert_eq!(call.usage.output_tokens, 2);
}

#[test]
fn a_candidate_that_cannot_take_the_request_is_passed_over() {
    // A strict route, whose fallback would have to drop the seed.
    let asked = r#"{"model":"gpt","seed":7,"messages":[{"role":"user","content":"Hi"}]}"#;
    let rules = Rules {
        strict: true,
        fallback: &["spare/claude", "spare/gpt"],
        ..Rules::default()
    };
    let stage = Stage::with(rules, [Act::whole(500, "{}"), Act::whole(200, ANSWER)]);
    assert!(stage.chat(asked).is_ok());
    assert_eq!(
        attempts(&stage.heard.only()),
        ["sim/gpt first", "spare/gpt fallback"]
    );

    let only = Rules {
        fallback: &["spare/gpt"],
        ..rules
    };
    let stage = Stage::with(only, [Act::whole(200, ANSWER)]);
    let asked = asked.replace("gpt", "claude");
    assert!(
        stage.chat(&asked).is_ok(),
        "the first cannot, the second can"
    );
    assert_eq!(attempts(&stage.heard.only()), ["spare/gpt first"]);
}

#[test]
fn the_caller_is_told_what_the_primary_said_of_a_request_that_the_fallback_does_not_take() {
    let stage = Stage::with(with_spare(), [Act::whole(500, "{}"), Act::whole(404, "{}")]);
    let Err(ChatError::Failed {
        provider, attempts, ..
    }) = stage.chat(ASK)
    else {
        panic!("it answered")
    };
    assert_eq!((provider.as_str(), attempts), ("sim", 2));
}

fn several_keys(fallback: &'static [&'static str]) -> Rules {
    Rules {
        keys: Keys::Several(3),
        fallback,
        ..with_spare()
    }
}

/// The keys that the requests were sent with, in order.
fn keys_sent(stage: &Stage) -> Vec<String> {
    let sent = stage.script.sent.lock().unwrap();
    let key = |outbound: &domain::egress::Outbound| {
        let field = outbound.request.headers().get("authorization").unwrap();
        field.to_str().unwrap().replace("Bearer ", "")
    };
    sent.iter().map(key).collect()
}

#[test]
fn keys_take_turns() {
    let stage = Stage::with(several_keys(&[]), (0..4).map(|_| Act::whole(200, ANSWER)));
    (0..4).for_each(|_| assert!(stage.chat(ASK).is_ok()));
    assert_eq!(keys_sent(&stage), ["key-1", "key-2", "key-3", "key-1"]);
}

#[test]
fn a_key_that_is_turned_away_is_followed_by_another_at_once_and_left_alone_for_a_while() {
    let acts = [
        Act::whole(401, "{}"),
        throttled(Some("20")),
        Act::whole(200, ANSWER),
        Act::whole(200, ANSWER),
        Act::whole(200, ANSWER),
    ];
    let stage = Stage::with(several_keys(&["spare/gpt"]), acts);
    assert!(stage.chat(ASK).is_ok());
    assert_eq!(stage.clock.elapsed(), Duration::ZERO, "nobody waits");
    assert_eq!(
        attempts(&stage.heard.only()),
        ["sim/gpt first", "sim/gpt key", "sim/gpt key"]
    );
    assert!(stage.chat(ASK).is_ok());
    stage.clock.forward(Duration::from_secs(20));
    assert!(stage.chat(ASK).is_ok());
    let keys = keys_sent(&stage);
    assert_eq!(keys, ["key-1", "key-2", "key-3", "key-3", "key-2"]);
}

#[test]
fn a_provider_whose_every_key_is_turned_away_is_passed_over_until_one_may_be_good() {
    let refused = || Act::whole(401, "{}");
    let good = || Act::whole(200, ANSWER);
    let acts = [refused(), refused(), refused(), good(), good(), good()];
    let stage = Stage::with(several_keys(&["spare/gpt"]), acts);
    (0..2).for_each(|_| assert!(stage.chat(ASK).is_ok()));
    stage.clock.forward(Duration::from_mins(10));
    assert!(stage.chat(ASK).is_ok());
    let calls = stage.heard.calls();
    let told: Vec<_> = calls.iter().map(attempts).collect();
    assert_eq!(told[0][3], "spare/gpt fallback");
    assert_eq!(
        told[1],
        ["spare/gpt first"],
        "nobody asks the first in vain"
    );
    assert_eq!(told[2], ["sim/gpt first"]);
}

#[test]
fn another_configuration_gives_a_refused_key_another_chance() {
    let acts = [
        Act::whole(401, "{}"),
        Act::whole(200, ANSWER),
        Act::whole(200, ANSWER),
    ];
    let stage = Stage::with(with_spare(), acts);
    assert!(stage.chat(ASK).is_ok());
    stage.gateway.replace_routes(stage.gateway.routes());
    assert!(stage.chat(ASK).is_ok());
    assert_eq!(attempts(&stage.heard.calls()[1]), ["sim/gpt first"]);
}

#[test]
fn a_target_that_says_it_has_nothing_left_is_not_asked_until_it_has() {
    let spent = || {
        let fields = vec![
            ("content-type", "application/json".to_owned()),
            ("x-ratelimit-limit-requests", "100".to_owned()),
            ("x-ratelimit-remaining-requests", "0".to_owned()),
            ("x-ratelimit-reset-requests", "30s".to_owned()),
        ];
        Act::Answer(200, fields, vec![piece(ANSWER)])
    };
    let good = || Act::whole(200, ANSWER);
    let stage = Stage::with(with_spare(), [spent(), good(), good()]);
    (0..2).for_each(|_| assert!(stage.chat(ASK).is_ok()));
    stage.clock.forward(Duration::from_secs(30));
    assert!(stage.chat(ASK).is_ok());
    let calls = stage.heard.calls();
    let told: Vec<_> = calls.iter().flat_map(attempts).collect();
    assert_eq!(told, ["sim/gpt first", "spare/gpt first", "sim/gpt first"]);
}

#[test]
fn a_target_that_keeps_failing_is_passed_over_until_it_is_tried_again() {
    let broken = || Act::whole(500, "{}");
    let good = || Act::whole(200, ANSWER);
    let failures = (0..10).flat_map(|_| [broken(), good()]);
    let acts = failures.chain([good(), good(), good()]);
    let stage = Stage::with(with_spare(), acts);
    (0..11).for_each(|_| assert!(stage.chat(ASK).is_ok()));
    assert_eq!(
        attempts(stage.heard.calls().last().unwrap()),
        ["spare/gpt first"]
    );
    stage.clock.forward(Duration::from_secs(10));
    (0..2).for_each(|_| assert!(stage.chat(ASK).is_ok()));
    assert_eq!(
        attempts(stage.heard.calls().last().unwrap()),
        ["sim/gpt first"]
    );
}

#[test]
fn who_has_nowhere_else_to_go_is_asked_whatever_is_known() {
    let acts = (0..12)
        .map(|_| Act::whole(500, "{}"))
        .chain([Act::whole(200, ANSWER)]);
    let stage = Stage::of(acts);
    (0..12).for_each(|_| assert!(stage.chat(ASK).is_err()));
    assert!(stage.chat(ASK).is_ok());
}

#[test]
fn what_another_attempt_may_have_taken_is_estimated_and_added() {
    let acts = [Act::Hang, Act::whole(200, ANSWER)];
    let mut stage = Stage::with(with_spare(), acts);
    stage.caller = crate::testing::caller(domain::key::Rate::default(), None);
    assert!(stage.chat(ASK).is_ok());
    let call = stage.heard.only();
    let reason = Some(EndReason::OtherAttempt);
    assert_eq!(
        (call.state, call.end_reason),
        (CallState::Estimated, reason)
    );
    let [first, second] = &*call.attempts else {
        panic!("{:?}", call.attempts)
    };
    let (lost, told) = (first.usage.unwrap(), second.usage.unwrap());
    assert_eq!(told.input_tokens, 1_000);
    assert!(lost.output_tokens > 0);
    assert_eq!(call.usage, lost.saturating_add(told));
    let sum = first
        .cost_usd
        .unwrap()
        .saturating_add(second.cost_usd.unwrap());
    assert_eq!(call.cost_usd, Some(sum));
}

fn hedged(after: u64) -> Rules {
    Rules {
        hedge: Some(HedgeRules {
            after: Delay::Fixed(Duration::from_secs(after)),
            max_cost: None,
            max_ratio: 1.0,
        }),
        ..with_spare()
    }
}

#[test]
fn a_second_target_is_asked_when_the_first_takes_long_and_the_loser_is_given_up() {
    let stage = Stage::with(hedged(2), [Act::Hang, Act::whole(200, ANSWER)]);
    let Ok(Reply::Whole { facts, .. }) = stage.chat(ASK) else {
        panic!("it did not answer")
    };
    assert_eq!(stage.clock.elapsed(), Duration::from_secs(2));
    assert_eq!((facts.provider.as_str(), facts.attempts), ("spare", 2));
    let call = stage.heard.only();
    assert_eq!(attempts(&call), ["sim/gpt first", "spare/gpt hedge"]);
    assert_eq!(call.provider.as_ref().unwrap().as_str(), "spare");
    let [lost, won] = &*call.attempts else {
        panic!("{:?}", call.attempts)
    };
    assert!(lost.cancelled && !won.cancelled);
    assert_eq!((lost.latency_ms, won.latency_ms), (Some(2_000), Some(0)));
    assert_eq!(lost.usage.unwrap().output_tokens, 0);
    assert_eq!(won.usage.unwrap().output_tokens, 100);
    assert_eq!(call.end_reason, Some(EndReason::OtherAttempt));
    assert_eq!(
        call.usage,
        lost.usage.unwrap().saturating_add(won.usage.unwrap())
    );
    assert_eq!(stage.ledger.dispatched(), 2);
}

#[test]
fn a_first_target_that_answers_in_time_is_alone() {
    let stage = Stage::with(hedged(2), [Act::whole(200, ANSWER)]);
    assert!(stage.chat(ASK).is_ok());
    let call = stage.heard.only();
    assert_eq!(attempts(&call), ["sim/gpt first"]);
    assert_eq!(
        (call.state, call.attempts[0].usage),
        (CallState::Settled, None)
    );
}

#[test]
fn the_first_may_still_win_when_the_second_fails() {
    let slow = Act::Late(Duration::from_secs(5), Box::new(Act::whole(200, ANSWER)));
    let stage = Stage::with(hedged(2), [slow, Act::whole(500, "{}")]);
    assert!(stage.chat(ASK).is_ok());
    assert_eq!(stage.clock.elapsed(), Duration::from_secs(5));
    let call = stage.heard.only();
    assert_eq!(attempts(&call), ["sim/gpt first", "spare/gpt hedge"]);
    assert_eq!(call.provider.as_ref().unwrap().as_str(), "sim");
    assert_eq!(call.attempts[1].status, Some(500));
    assert_eq!(
        (call.state, call.usage.output_tokens),
        (CallState::Settled, 100)
    );
}

#[test]
fn when_both_fail_the_route_goes_on() {
    let slow = Act::Late(Duration::from_secs(5), Box::new(Act::whole(503, "{}")));
    let acts = [slow, Act::whole(500, "{}"), Act::whole(200, ANSWER)];
    let stage = Stage::with(hedged(2), acts);
    assert!(stage.chat(ASK).is_ok());
    assert_eq!(
        attempts(&stage.heard.only()),
        ["sim/gpt first", "spare/gpt hedge", "sim/gpt retry"]
    );
}

#[test]
fn whoever_is_asked_twice_holds_its_place_until_the_call_is_over() {
    let stage = Stage::with(hedged(2), [Act::Hang, Act::Hang]);
    let mut asked = Box::pin(stage.gateway.chat(&stage.caller, stage.inbound(ASK)));
    let in_flight = || -> u32 {
        let routes = stage.gateway.routes();
        routes.health().all().iter().map(|it| it.in_flight()).sum()
    };
    assert!(crate::testing::poll(asked.as_mut()).is_pending());
    assert_eq!(in_flight(), 1);
    stage.clock.forward(Duration::from_secs(2));
    assert!(crate::testing::poll(asked.as_mut()).is_pending());
    assert_eq!(in_flight(), 2);
    drop(asked);
    assert_eq!(in_flight(), 0);
    let call = stage.heard.only();
    assert_eq!(call.state, CallState::Cancelled);
    assert!(call.attempts[1].cancelled, "{:?}", call.attempts);
}

/// Who was asked, one after the other, where the first failed so and all others do not answer.
fn asked_after(status: u16, body: &str) -> Vec<String> {
    let rules = Rules {
        fallback: &["spare/gpt-any"],
        fallback_for: &[
            (When::ContextWindow, "spare/gpt-large"),
            (When::ContentPolicy, "spare/gpt-lenient"),
            (When::RateLimit, "spare/gpt-roomy"),
        ],
        retries: Retries {
            attempts: 1,
            ..Retries::default()
        },
        ..Rules::default()
    };
    let acts = [Act::whole(status, body)].into_iter();
    let others = std::iter::repeat_with(|| Act::whole(500, "{}")).take(3);
    let stage = Stage::with(rules, acts.chain(others));
    assert!(stage.chat(ASK).is_err());
    let call = stage.heard.only();
    call.attempts.into_iter().map(|it| it.model).collect()
}

#[test]
fn what_is_asked_after_a_failure_depends_on_its_cause() {
    let error = |code: &str| format!(r#"{{"error":{{"message":"No.","code":"{code}"}}}}"#);
    let too_long = error("context_length_exceeded");
    assert_eq!(asked_after(400, &too_long), ["gpt", "gpt-large", "gpt-any"]);
    let refused = error("content_policy_violation");
    assert_eq!(
        asked_after(400, &refused),
        ["gpt", "gpt-lenient", "gpt-any"]
    );
    assert_eq!(asked_after(429, "{}"), ["gpt", "gpt-roomy", "gpt-any"]);
    assert_eq!(asked_after(500, "{}"), ["gpt", "gpt-any"]);
    assert_eq!(asked_after(400, "{}"), ["gpt"]);
}
