//! Whatever the provider does and whenever the caller goes away: a call that was sent ends exactly
//! once, and is in the journal, and holds nothing any more.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use domain::call::CallState;
use domain::key::{Budget, Period, Rate};
use domain::money::Cost;
use futures_util::StreamExt;
use proptest::prelude::*;

use crate::reply::Reply;
use crate::routes::HangUp;
use crate::routes::hedge::{Delay, HedgeRules};
use crate::testing::{ANSWER, Act, Rules, Stage, Step, caller, expecting, piece, poll};

const CHUNK: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n";
const STOP: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n";
const ERROR: &str =
    "data: {\"error\":{\"message\":\"Boom\",\"type\":\"server_error\",\"code\":null}}\n\n";

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(piece(CHUNK)),
        2 => Just(piece(STOP)),
        1 => Just(piece("data: [DONE]\n\n")),
        1 => Just(piece(": ping\n\n")),
        1 => Just(piece(ERROR)),
        1 => Just(piece("data: {gar")),
        1 => Just(Step::Break),
        1 => Just(Step::Hang),
    ];
    proptest::collection::vec(step, 0..6)
}

/// What the provider does with one attempt, to be made into an [`Act`].
#[derive(Debug, Clone)]
enum Deed {
    Throttle(u8),
    Refuse(u16),
    Unreachable,
    Break,
    Hang,
    Whole,
    Stream(Vec<Step>),
}

impl Deed {
    fn act(self) -> Act {
        match self {
            Self::Throttle(seconds) => {
                let after = vec![("retry-after", seconds.to_string())];
                Act::Answer(429, after, vec![piece("{}")])
            }
            Self::Refuse(status) => Act::whole(status, "<html>no</html>"),
            Self::Unreachable => Act::Refuse(domain::egress::EgressError::Connect("no".to_owned())),
            Self::Break => Act::Refuse(domain::egress::EgressError::Broken("reset".to_owned())),
            Self::Hang => Act::Hang,
            Self::Whole => Act::whole(200, ANSWER),
            Self::Stream(steps) => Act::stream(steps),
        }
    }
}

/// As many as there can be attempts at two candidates, each of which is tried three times, and those that go on
/// with a stream.
const DEEDS: usize = 8;

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        2 => (0_u8..8).prop_map(Deed::Throttle),
        1 => prop_oneof![Just(400), Just(401), Just(500), Just(503)].prop_map(Deed::Refuse),
        1 => Just(Deed::Unreachable),
        1 => Just(Deed::Break),
        1 => Just(Deed::Hang),
        2 => Just(Deed::Whole),
        6 => steps().prop_map(Deed::Stream),
    ];
    proptest::collection::vec(deed, DEEDS)
}

/// Where else a call may go, and how.
fn ways() -> impl Strategy<Value = Rules> {
    let fallbacks: [&'static [&'static str]; 3] = [&[], &["spare/gpt"], &["spare/claude"]];
    let hedge = HedgeRules {
        after: Delay::Fixed(Duration::from_secs(1)),
        max_cost: None,
        max_ratio: 1.0,
    };
    let fallback = proptest::sample::select(fallbacks.to_vec());
    let hedge = proptest::option::of(Just(hedge));
    let safe_reply = proptest::option::of(Just("Later."));
    let hang_up = prop_oneof![Just(HangUp::Cancel), Just(HangUp::Drain)];
    let ways = (fallback, hedge, any::<bool>(), safe_reply, hang_up);
    ways.prop_map(|(fallback, hedge, continues, safe_reply, hang_up)| Rules {
        hang_up,
        fallback,
        continues,
        safe_reply,
        hedge,
        ..Rules::default()
    })
}

/// Polls at most `patience` times and lets the clock run in between; `None` when patience is over.
fn patiently<T>(
    stage: &Stage,
    patience: &mut usize,
    mut future: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    while *patience > 0 {
        *patience -= 1;
        if let Poll::Ready(value) = poll(future.as_mut()) {
            return Some(value);
        }
        stage.clock.to_next_alarm();
    }
    None
}

/// Plays the caller, who goes away when `patience` is over.
fn play(stage: &Stage, is_streamed: bool, mut patience: usize) {
    let body = format!(
        r#"{{"model":"gpt","stream":{is_streamed},"messages":[{{"role":"user","content":"Hi"}}]}}"#
    );
    let asked = stage.gateway.chat(&stage.caller, stage.inbound(&body));
    let Some(Ok(Reply::Stream { mut stream, .. })) = patiently(stage, &mut patience, pin!(asked))
    else {
        return;
    };
    while let Some(Some(_)) = patiently(stage, &mut patience, pin!(stream.next())) {}
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    #[test]
    fn a_call_that_was_sent_ends_exactly_once(
        deeds in deeds(),
        is_streamed: bool,
        rules in ways(),
        patience in 0_usize..20,
    ) {
        let budget = Budget { limit: "1".parse().unwrap(), per: Period::Day };
        let mut stage = Stage {
            caller: caller(Rate::default(), Some(budget)),
            ..Stage::with(rules, deeds.into_iter().map(Deed::act))
        };
        play(&stage, is_streamed, patience);
        // What nobody drains is dropped with its queue.
        stage.drains.close();
        while stage.drains.try_recv().is_ok() {}

        let calls = stage.heard.calls();
        prop_assert_eq!(calls.len(), usize::from(patience > 0));
        let attempts = calls.iter().map(|call| call.attempts.len()).sum::<usize>() as u64;
        // A second one may be written down in the moment in which the first answers, and then is not sent.
        let unsent = attempts.checked_sub(stage.script.requests() as u64);
        prop_assert!(unsent.is_some_and(|unsent| unsent <= u64::from(rules.hedge.is_some())));
        prop_assert_eq!(stage.ledger.dispatched(), attempts);
        prop_assert_eq!(stage.ledger.captured(), attempts);
        stage.ledger.write_ends();
        let batch = stage.ledger.take_batch(10).unwrap();
        prop_assert_eq!(batch.calls(), &*calls);
        let receipt = stage.ledger.recorded(batch);
        stage.ledger.release(&[receipt]).unwrap();
        stage.ledger.close().unwrap();
        prop_assert!(stage.directory.files().is_empty());

        for call in &calls {
            let cost = call.cost_usd.unwrap();
            prop_assert!(call.state != CallState::Failed || cost == Cost::ZERO);
            prop_assert!(call.state != CallState::Settled || call.finish_reason.is_some());
            let expected = expecting(0, Some(0));
            let mut other = stage.limits.admit_now(&stage.caller, expected).unwrap();
            let mut rest = stage.limits.admit_now(&stage.caller, expected).unwrap();
            let one = Cost::from_nano_dollars(1);
            other.set_aside(one).unwrap();
            let left = budget.limit.nano_dollars() - cost.nano_dollars() - 1;
            prop_assert!(rest.set_aside(Cost::from_nano_dollars(left)).is_ok(), "something is held");
        }
    }
}
