//! Thousands of random schedules of calls over random limits, on a clock that is moved by hand.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::task::Poll;

use domain::key::{Budget, Period, Rate};
use domain::limit::{Bound, Limit, Part, QueueRules, Scope, Window};
use domain::name::ProviderName;
use domain::spend::{Spend, SpendStore};
use domain::store_error::StoreError;
use proptest::prelude::*;

use super::counter::{Tally, units};
use super::tests::limit;
use super::*;
use crate::testing::{Hand, caller, expecting, poll, usually};

/// A ledger in which nothing was spent.
struct Nothing;

#[async_trait::async_trait]
impl SpendStore for Nothing {
    async fn spend_since(&self, _: Timestamp) -> Result<Vec<Spend>, StoreError> {
        Ok(Vec::new())
    }

    async fn drop_hours_before(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// What happens next; numbers that are too large stand for the last.
#[derive(Debug, Clone)]
enum Step {
    Ask {
        key: usize,
        provider: usize,
        input: u64,
        output: u64,
        cost: u64,
    },
    FallBack {
        call: usize,
        provider: usize,
        cost: u64,
    },
    Settle {
        call: usize,
        tokens: u64,
        cost: u64,
    },
    Drop {
        call: usize,
    },
    Pass {
        seconds: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_usize..3, 0_usize..2, 0_u64..60, 0_u64..60, 0_u64..400).prop_map(
            |(key, provider, input, output, cost)| Step::Ask { key, provider, input, output, cost }
        ),
        1 => (0_usize..8, 0_usize..2, 0_u64..600)
            .prop_map(|(call, provider, cost)| Step::FallBack { call, provider, cost }),
        3 => (0_usize..8, 0_u64..150, 0_u64..600)
            .prop_map(|(call, tokens, cost)| Step::Settle { call, tokens, cost }),
        1 => (0_usize..8).prop_map(|call| Step::Drop { call }),
        2 => prop_oneof![0_u64..20, 50_u64..70, Just(3_600), Just(86_400)]
            .prop_map(|seconds| Step::Pass { seconds }),
    ];
    proptest::collection::vec(step, 1..120)
}

fn bounds() -> impl Strategy<Value = Bound> {
    let window = prop_oneof![Just(Window::Minute), Just(Window::Hour), Just(Window::Day)];
    let period = prop_oneof![
        Just(Period::Hour),
        Just(Period::Day),
        Just(Period::Week),
        Just(Period::Month),
        Just(Period::Total)
    ];
    prop_oneof![
        (1_u64..8, window.clone()).prop_map(|(most, per)| Bound::Requests { most, per }),
        (30_u64..400, window).prop_map(|(most, per)| Bound::Tokens { most, per }),
        (1_u64..5).prop_map(|most| Bound::Concurrency { most }),
        (1_i64..2_000, period).prop_map(|(most, per)| Bound::Dollars {
            most: Cost::from_nano_dollars(most),
            per
        }),
    ]
}

fn scopes() -> impl Strategy<Value = Scope> {
    let provider = prop_oneof![
        3 => Just(Part::Any),
        1 => Just(Part::Each),
        1 => Just(Part::Only("one".parse().unwrap())),
    ];
    (any::<bool>(), any::<bool>(), provider).prop_map(|(key, project, provider)| Scope {
        key: if key { Part::Each } else { Part::Any },
        project: if project { Part::Each } else { Part::Any },
        provider,
        ..Scope::default()
    })
}

fn trees() -> impl Strategy<Value = Vec<Limit>> {
    proptest::collection::vec((scopes(), bounds()), 0..6).prop_map(|some| {
        (1..)
            .zip(some)
            .map(|(number, (scope, bound))| Limit {
                scope,
                ..limit(number, bound)
            })
            .collect()
    })
}

/// A call that is under way.
struct Call {
    admission: Admission,
    provider: usize,
}

/// Everything that the counters must agree with, whatever happens.
fn check(limits: &Limits, open: usize) -> Result<(), TestCaseError> {
    let now = limits.bench.now();
    for counter in limits.bench.counters().values() {
        let mut state = counter.lock();
        let most = state.limit.bound.most();
        let taken = state.taken(now);
        match &state.tally {
            Tally::InUse { count, .. } => {
                prop_assert!(*count <= most, "{count} of {most} at the same time");
                prop_assert!(open > 0 || *count == 0, "a call is left over");
            }
            Tally::Period(purse) => {
                let bound = most.saturating_add(units(purse.excess()));
                prop_assert!(taken <= bound, "{taken} of {most} and {bound} at most");
                prop_assert!(open > 0 || purse.held() == Cost::ZERO, "money is left over");
            }
            Tally::Sliding(_) if matches!(state.limit.bound, Bound::Requests { .. }) => {
                prop_assert!(taken <= most, "{taken} of {most} requests");
            }
            Tally::Sliding(_) => {}
        }
    }
    Ok(())
}

/// A call that waits to be admitted.
type Asked<'a> = Pin<Box<dyn Future<Output = Result<Admission, LimitReached>> + 'a>>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn limits_hold_and_nothing_is_left_over(tree in trees(), steps in steps()) {
        let clock = Arc::new(Hand::default());
        let (limits, _alerts) = Limits::new(Arc::clone(&clock) as Arc<dyn Clock>, false);
        prop_assert!(poll(std::pin::pin!(limits.replace(tree, &Nothing, &|_| Vec::new()))).is_ready());
        let budget = Budget { limit: Cost::from_nano_dollars(900), per: Period::Day };
        let keys = [
            caller(Rate::default(), None),
            caller(Rate { rpm: Some(5), tpm: Some(200), ..Rate::default() }, None),
            caller(Rate::default(), Some(budget)),
        ];
        let providers: [ProviderName; 2] = ["one".parse().unwrap(), "two".parse().unwrap()];
        let target = |provider: usize| Destination { provider: &providers[provider], model: "m" };
        let nano = |cost: u64| Cost::from_nano_dollars(cost.cast_signed());
        let mut open: Vec<Call> = Vec::new();
        for step in steps {
            match step {
                Step::Ask { key, provider, input, output, cost } => {
                    let expected = expecting(input, Some(output));
                    let admitted = limits.admit_now(&keys[key], expected).and_then(|mut admission| {
                        admission.reserve(target(provider), usually(nano(cost)))?;
                        Ok(admission)
                    });
                    match admitted {
                        Ok(admission) => open.push(Call { admission, provider }),
                        // A refusal must be for something: everything is free when nothing has happened.
                        Err(reached) => prop_assert!(
                            matches!(reached.relief, Relief::Never { .. })
                                || limits.bench.counters().values().any(|counter| {
                                    counter.lock().taken(limits.bench.now()) > 0
                                }),
                            "{reached} without a reason"
                        ),
                    }
                }
                Step::FallBack { call, provider, cost } if !open.is_empty() => {
                    let call = call % open.len();
                    if open[call].admission.reserve(target(provider), usually(nano(cost))).is_ok() {
                        open[call].provider = provider;
                    }
                }
                Step::Settle { call, tokens, cost } if !open.is_empty() => {
                    let call = open.swap_remove(call % open.len());
                    call.admission.settle(tokens / 2, tokens - tokens / 2, nano(cost));
                }
                Step::Drop { call } if !open.is_empty() => {
                    open.swap_remove(call % open.len());
                }
                Step::Pass { seconds } => clock.forward(Duration::from_secs(seconds)),
                Step::FallBack { .. } | Step::Settle { .. } | Step::Drop { .. } => {}
            }
            check(&limits, open.len())?;
        }
        open.clear();
        check(&limits, 0)?;
        // Everything that only was held is free again.
        clock.forward(Duration::from_hours(48));
        for counter in limits.bench.counters().values() {
            let mut state = counter.lock();
            let taken = state.taken(limits.bench.now());
            prop_assert!(matches!(state.tally, Tally::Period(_)) || taken == 0);
        }
    }

    #[test]
    fn who_waits_is_let_in_or_refused_in_time_and_the_line_is_empty_in_the_end(
        bound in prop_oneof![
            (1_u64..4).prop_map(|most| Bound::Concurrency { most }),
            (1_u64..4).prop_map(|most| Bound::Requests { most, per: Window::Minute }),
            (60_u64..200).prop_map(|most| Bound::Tokens { most, per: Window::Minute }),
        ],
        arrivals in proptest::collection::vec((0_u64..20, 0_usize..3, 1_u64..60, 0_u64..30), 1..60),
    ) {
        const MAX_WAIT: u64 = 100;
        let clock = Arc::new(Hand::default());
        let (limits, _alerts) = Limits::new(Arc::clone(&clock) as Arc<dyn Clock>, false);
        let rules = QueueRules { max_wait: Duration::from_secs(MAX_WAIT), max_waiting: 20 };
        let queued = Limit { queue: Some(rules), ..limit(1, bound) };
        prop_assert!(poll(std::pin::pin!(limits.replace(vec![queued], &Nothing, &|_| Vec::new()))).is_ready());
        let keys = [(); 3].map(|()| caller(Rate::default(), None));
        let mut arrivals: VecDeque<_> = arrivals.into();
        let mut waiting: Vec<(u64, u64, u64, Asked<'_>)> = Vec::new();
        let mut running: Vec<(u64, u64, Admission)> = Vec::new();
        let mut outcomes: HashMap<bool, usize> = HashMap::new();
        let mut next = 0;
        let mut now = 0;
        while !(arrivals.is_empty() && waiting.is_empty() && running.is_empty()) {
            while arrivals.front().is_some_and(|(after, ..)| now >= next + after) {
                let (after, key, input, lasts) = arrivals.pop_front().unwrap();
                next += after;
                let asked = Box::pin(limits.admit(&keys[key], expecting(input, Some(0))));
                waiting.push((now, input, lasts, asked));
            }
            let mut still = Vec::new();
            for (since, input, lasts, mut asked) in waiting {
                match poll(asked.as_mut()) {
                    Poll::Pending => {
                        prop_assert!(now <= since + MAX_WAIT, "it waits too long");
                        still.push((since, input, lasts, asked));
                    }
                    Poll::Ready(Ok(admission)) => {
                        *outcomes.entry(true).or_default() += 1;
                        running.push((now + lasts, input, admission));
                    }
                    Poll::Ready(Err(reached)) => {
                        *outcomes.entry(false).or_default() += 1;
                        prop_assert!(reached.retry_after().is_some());
                    }
                }
            }
            waiting = still;
            check(&limits, running.len().max(1))?;
            let (over, on): (Vec<_>, Vec<_>) = running.into_iter().partition(|(end, ..)| *end <= now);
            running = on;
            let some_ended = !over.is_empty();
            for (_, input, admission) in over {
                admission.settle(input, 0, Cost::ZERO);
            }
            if !some_ended {
                now += 1;
                clock.forward(Duration::from_secs(1));
            }
            prop_assert!(now < 20_000, "nobody is let in");
        }
        prop_assert_eq!(limits.waiting(), 0);
        prop_assert!(outcomes.contains_key(&true), "the first is always let in");
        check(&limits, 0)?;
    }
}
