use std::num::NonZeroU32;

use domain::call::{Call, CallState, EndReason};
use domain::usage::Usage;
use futures_util::FutureExt;

use super::*;
use crate::routes::Timeouts;
use crate::testing::{Act, Rules, Stage, Step, collect, piece, poll, run};

const ASK: &str = r#"{"model":"gpt","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}"#;
const HELLO: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n";
const STOP: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100,\"total_tokens\":1100}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const CLAUDE: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1000,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Forty bytes of text are about ten tokens."}}

"#;

fn drained() -> Rules {
    Rules {
        hang_up: HangUp::Drain,
        ..Rules::default()
    }
}

fn ended(call: &Call) -> (CallState, Option<EndReason>) {
    (call.state, call.end_reason)
}

#[test]
fn a_stream_passes_untouched_and_is_settled() {
    let stage = Stage::of([Act::stream([HELLO, STOP, USAGE, DONE].map(piece))]);
    let stream = stage.stream(ASK);
    assert_eq!(
        collect(&stage.clock, stream),
        [HELLO, STOP, USAGE, DONE].concat()
    );
    let call = stage.heard.only();
    assert_eq!(ended(&call), (CallState::Settled, None));
    assert_eq!(call.usage, Usage::text(1_000, 100));
    assert_eq!(call.finish_reason.as_deref(), Some("stop"));
    assert_eq!(call.time_to_first_token_ms, Some(0));
}

#[test]
fn a_usage_that_the_caller_did_not_ask_for_is_counted_and_withheld() {
    let stage = Stage::of([Act::stream([HELLO, STOP, USAGE, DONE].map(piece))]);
    let stream = stage.stream(&ASK.replace(r#""stream_options":{"include_usage":true},"#, ""));
    assert_eq!(collect(&stage.clock, stream), [HELLO, STOP, DONE].concat());
    assert_eq!(stage.heard.only().usage, Usage::text(1_000, 100));
}

#[test]
fn a_stream_without_usage_is_estimated() {
    let stage = Stage::of([Act::stream([HELLO, STOP, DONE].map(piece))]);
    let stream = stage.stream(ASK);
    collect(&stage.clock, stream);
    let call = stage.heard.only();
    assert_eq!(
        ended(&call),
        (CallState::Estimated, Some(EndReason::NoUsage))
    );
    assert_eq!(call.usage.output_tokens, 2);
}

#[test]
fn a_report_comes_before_the_end_of_the_stream() {
    let stage = Stage::of([Act::stream([HELLO, STOP, USAGE, DONE].map(piece))]);
    let report = ReportWanted {
        cost: true,
        conversion: false,
    };
    let inbound = crate::chat::Inbound {
        report,
        ..stage.inbound(ASK)
    };
    let reply = run(&stage.clock, stage.gateway.chat(&stage.caller, inbound));
    let Ok(Reply::Stream { stream, .. }) = reply else {
        panic!("it did not answer")
    };
    let text = collect(&stage.clock, stream);
    assert!(text.contains(r#""cost_usd":"0.001400000""#), "{text}");
    assert!(text.ends_with(DONE), "{text}");
}

#[test]
fn a_stream_that_breaks_tells_the_caller_and_counts_what_was_seen() {
    let stage = Stage::of([Act::stream([piece(HELLO), Step::Break])]);
    let stream = stage.stream(ASK);
    let text = collect(&stage.clock, stream);
    let rest = text.strip_prefix(HELLO).unwrap();
    assert!(rest.contains("\"error\""), "{rest}");
    let call = stage.heard.only();
    assert_eq!(
        ended(&call),
        (CallState::Estimated, Some(EndReason::ProviderBroke))
    );
    assert_eq!(call.error_type.as_deref(), Some("interrupted"));
    assert_eq!(call.usage.output_tokens, 2);
}

#[test]
fn a_stream_that_breaks_after_it_was_complete_is_complete() {
    let stage = Stage::of([Act::stream([
        piece(HELLO),
        piece(STOP),
        piece(USAGE),
        Step::Break,
    ])]);
    let stream = stage.stream(ASK);
    let text = collect(&stage.clock, stream);
    assert!(!text.contains("\"error\""), "{text}");
    assert_eq!(ended(&stage.heard.only()), (CallState::Settled, None));
}

#[test]
fn the_providers_own_error_passes_once() {
    let error =
        "data: {\"error\":{\"message\":\"Boom\",\"type\":\"server_error\",\"code\":null}}\n\n";
    let stage = Stage::of([Act::stream([HELLO, error].map(piece))]);
    let stream = stage.stream(ASK);
    assert_eq!(collect(&stage.clock, stream), [HELLO, error].concat());
    let call = stage.heard.only();
    assert_eq!(
        ended(&call),
        (CallState::Estimated, Some(EndReason::ProviderBroke))
    );
}

#[test]
fn a_provider_that_goes_silent_is_given_up() {
    let timeouts = Timeouts {
        idle: Duration::from_secs(9),
        ..Timeouts::default()
    };
    let rules = Rules {
        timeouts,
        ..Rules::default()
    };
    let stage = Stage::with(rules, [Act::stream([piece(HELLO), Step::Hang])]);
    let stream = stage.stream(ASK);
    let text = collect(&stage.clock, stream);
    assert!(text.contains("silent for 9 seconds"), "{text}");
    assert_eq!(stage.clock.elapsed(), Duration::from_secs(9));
    assert_eq!(stage.heard.only().error_type.as_deref(), Some("timeout"));
}

/// What becomes of a stream that says five bytes so often, and has to say four in a second.
fn dripping(every: Duration) -> (Stage, String) {
    let pace = Pace {
        tokens_per_second: NonZeroU32::MIN,
        window: Duration::from_secs(10),
    };
    let rules = Rules {
        timeouts: Timeouts {
            slow: Some(pace),
            ..Timeouts::default()
        },
        ..Rules::default()
    };
    let drips = std::iter::repeat_n([Step::Pause(every), piece(HELLO)], 20);
    let begin = [piece(HELLO)].into_iter().chain(drips.flatten());
    let stage = Stage::with(
        rules,
        [Act::stream(begin.chain([STOP, USAGE, DONE].map(piece)))],
    );
    let stream = stage.stream(ASK);
    let text = collect(&stage.clock, stream);
    (stage, text)
}

#[test]
fn a_stream_that_comes_too_slowly_is_ended_when_the_window_is_over() {
    let (stage, text) = dripping(Duration::from_secs(3));
    assert!(
        text.contains("less than 1 tokens per second for 10 seconds"),
        "{text}"
    );
    assert_eq!(stage.clock.elapsed(), Duration::from_secs(10));
    let call = stage.heard.only();
    assert_eq!(
        ended(&call),
        (CallState::Estimated, Some(EndReason::ProviderBroke))
    );
    assert_eq!(call.error_type.as_deref(), Some("timeout"));
}

#[test]
fn a_stream_that_is_as_fast_as_it_has_to_be_goes_on() {
    let (stage, text) = dripping(Duration::from_secs(1));
    assert!(!text.contains("\"error\""), "{text}");
    assert_eq!(stage.clock.elapsed(), Duration::from_secs(20));
    assert_eq!(ended(&stage.heard.only()), (CallState::Settled, None));
}

#[test]
fn the_total_time_counts_from_the_arrival_of_the_request() {
    let total = Duration::from_secs(10);
    let rules = Rules {
        timeouts: Timeouts {
            total,
            ..Timeouts::default()
        },
        ..Rules::default()
    };
    let throttled = Act::Answer(
        429,
        vec![("retry-after", "4".to_owned())],
        vec![piece("{}")],
    );
    let stage = Stage::with(rules, [throttled, Act::stream([piece(HELLO), Step::Hang])]);
    let stream = stage.stream(ASK);
    assert!(collect(&stage.clock, stream).contains("total timeout"));
    assert_eq!(stage.clock.elapsed(), total);
}

#[test]
fn a_partial_answer_counts_at_least_the_output_that_was_seen() {
    let stage = Stage::of([Act::stream([piece(CLAUDE), Step::Hang])]);
    let mut stream = stage.stream(&ASK.replace("\"gpt\"", "\"claude\""));
    assert!(run(&stage.clock, stream.next()).is_some());
    drop(stream);
    let call = stage.heard.only();
    assert_eq!(
        ended(&call),
        (CallState::Cancelled, Some(EndReason::CallerGone))
    );
    assert_eq!(call.usage, Usage::text(1_000, 11));
}

#[test]
fn a_caller_that_leaves_before_the_terminator_only_has_had_its_answer() {
    let stage = Stage::of([Act::stream([
        piece(HELLO),
        piece(STOP),
        piece(USAGE),
        Step::Hang,
    ])]);
    let mut stream = stage.stream(ASK);
    // Until there is nothing to be had without waiting.
    while stream.next().now_or_never().flatten().is_some() {}
    drop(stream);
    let call = stage.heard.only();
    assert_eq!(
        ended(&call),
        (CallState::Settled, Some(EndReason::CallerGone))
    );
    assert_eq!(call.usage, Usage::text(1_000, 100));
}

#[test]
fn an_answer_without_a_caller_is_read_to_its_usage() {
    let mut stage = Stage::with(
        drained(),
        [Act::stream([HELLO, STOP, USAGE, DONE].map(piece))],
    );
    drop(stage.stream(ASK));
    assert!(stage.heard.calls().is_empty(), "it has not ended yet");
    let drain = stage.drains.try_recv().unwrap();
    let clock = Arc::clone(&stage.clock) as Arc<dyn Clock>;
    run(&stage.clock, drain.run(clock, Duration::from_secs(30)));
    let call = stage.heard.only();
    assert_eq!(
        ended(&call),
        (CallState::Cancelled, Some(EndReason::CallerGone))
    );
    assert_eq!(call.usage, Usage::text(1_000, 100));
}

#[test]
fn a_drain_has_its_bound() {
    let mut stage = Stage::with(drained(), [Act::stream([piece(HELLO), Step::Hang])]);
    drop(stage.stream(ASK));
    let drain = stage.drains.try_recv().unwrap();
    let clock = Arc::clone(&stage.clock) as Arc<dyn Clock>;
    run(&stage.clock, drain.run(clock, Duration::from_secs(30)));
    assert_eq!(stage.clock.elapsed(), Duration::from_secs(30));
    let call = stage.heard.only();
    assert_eq!(call.usage.output_tokens, 2);
    assert_eq!(ended(&call), undrained());
}

/// How a call ends whose answer could not be read to its end, although the provider makes it.
fn undrained() -> (CallState, Option<EndReason>) {
    (CallState::Estimated, Some(EndReason::CallerGone))
}

#[test]
fn an_answer_that_breaks_without_its_caller_is_estimated() {
    let mut stage = Stage::with(drained(), [Act::stream([piece(HELLO), Step::Break])]);
    drop(stage.stream(ASK));
    let drain = stage.drains.try_recv().unwrap();
    let clock = Arc::clone(&stage.clock) as Arc<dyn Clock>;
    run(&stage.clock, drain.run(clock, Duration::from_secs(30)));
    assert_eq!(ended(&stage.heard.only()), undrained());
}

#[test]
fn a_drain_beyond_the_queue_or_after_it_is_estimated_by_what_was_seen() {
    let act = || Act::stream([piece(HELLO), Step::Hang]);
    let mut stage = Stage::with(drained(), [act(), act(), act()]);
    drop(stage.stream(ASK));
    drop(stage.stream(ASK));
    assert_eq!(stage.heard.only().usage.output_tokens, 2);
    stage.drains.close();
    while stage.drains.try_recv().is_ok() {}
    assert_eq!(stage.heard.calls().len(), 2);
    drop(stage.stream(ASK));
    let calls = stage.heard.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call| call.usage.output_tokens == 2));
    assert!(calls.iter().all(|call| ended(call) == undrained()));
}

#[test]
fn a_stream_asks_to_be_woken_for_the_provider_and_for_its_patience() {
    let stage = Stage::of([Act::stream([piece(HELLO), Step::Hang])]);
    let mut stream = stage.stream(ASK);
    assert!(poll(std::pin::pin!(stream.next())).is_ready());
    assert!(poll(std::pin::pin!(stream.next())).is_pending());
    stage.clock.forward(Timeouts::default().idle);
    assert!(poll(std::pin::pin!(stream.next())).is_ready());
    assert!(
        poll(std::pin::pin!(stream.next())).is_ready(),
        "and then it is over"
    );
    assert_eq!(stage.heard.calls().len(), 1);
}
