//! What may happen to replicas, drawn at random.

use domain::key::Period;
use domain::limit::{Bound, Window};
use domain::money::Cost;
use proptest::prelude::*;

use super::super::counters::Link;

/// What happens next; numbers that are too large stand for the last.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Ask {
        replica: usize,
        amount: u64,
    },
    Settle {
        call: usize,
        percent: u64,
    },
    Drop {
        call: usize,
    },
    Exchange {
        replica: usize,
    },
    /// An exchange whose answer is on its way until [`Step::Answer`], or until the next exchange.
    Begin {
        replica: usize,
    },
    Answer {
        replica: usize,
        arrives: bool,
    },
    Link {
        replica: usize,
        link: Link,
    },
    AllLinks {
        link: Link,
    },
    Pass {
        seconds: u64,
    },
    Kill {
        replica: usize,
    },
    Join,
    /// What is shared is lost.
    Flush,
    /// The clock of what is shared is set back.
    SetSharedBack {
        seconds: u64,
    },
    /// The replicas' clock is set to a later time.
    SetOn {
        minutes: i64,
    },
    /// The replicas' clock is set back within the hour.
    SetBack {
        seconds: i64,
    },
}

/// What happens where nothing goes wrong.
pub(super) fn calm() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (0_usize..4, 1_u64..15).prop_map(|(replica, amount)| Step::Ask { replica, amount }),
        15 => (0_usize..12, 0_u64..140).prop_map(|(call, percent)| Step::Settle { call, percent }),
        2 => (0_usize..12).prop_map(|call| Step::Drop { call }),
        20 => (0_usize..4).prop_map(|replica| Step::Exchange { replica }),
        4 => (0_usize..4).prop_map(|replica| Step::Begin { replica }),
        4 => (0_usize..4).prop_map(|replica| Step::Answer { replica, arrives: true }),
        1 => (1_u64..7_200).prop_map(|seconds| Step::SetSharedBack { seconds }),
        1 => (1_i64..200).prop_map(|minutes| Step::SetOn { minutes }),
        1 => (1_i64..3_600).prop_map(|seconds| Step::SetBack { seconds }),
        6 => prop_oneof![8 => 0_u64..15, 4 => 55_u64..75, 1 => 290_u64..700, 1 => Just(3_600)]
            .prop_map(|seconds| Step::Pass { seconds }),
    ]
}

pub(super) fn faults() -> impl Strategy<Value = Step> {
    let link = || prop_oneof![2 => Just(Link::Whole), 1 => Just(Link::Deaf), 2 => Just(Link::Cut)];
    prop_oneof![
        4 => (0_usize..4, link()).prop_map(|(replica, link)| Step::Link { replica, link }),
        4 => link().prop_map(|link| Step::AllLinks { link }),
        1 => (0_usize..4).prop_map(|replica| Step::Kill { replica }),
        1 => Just(Step::Join),
        3 => Just(Step::Flush),
        2 => (0_usize..4).prop_map(|replica| Step::Answer { replica, arrives: false }),
    ]
}

fn bounds() -> impl Strategy<Value = Bound> {
    prop_oneof![
        (4_u64..40).prop_map(|most| Bound::Requests {
            most,
            per: Window::Minute
        }),
        (30_u64..200).prop_map(|most| Bound::Tokens {
            most,
            per: Window::Minute
        }),
        (2_u64..9).prop_map(|most| Bound::Concurrency { most }),
        (30_i64..200).prop_map(|most| Bound::Dollars {
            most: Cost::from_nano_dollars(most),
            per: Period::Hour
        }),
    ]
}
/// Schedules of one to three replicas under one limit.
pub(super) fn schedules(
    steps: impl Strategy<Value = Step>,
) -> impl Strategy<Value = (Bound, usize, Vec<Step>)> {
    (
        bounds(),
        1_usize..4,
        proptest::collection::vec(steps, 1..160),
    )
}
