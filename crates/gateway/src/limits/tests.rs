use domain::id::{LimitId, RequestId};
use domain::key::{Budget, Origin, Period, Rate};
use domain::limit::{Bound, Limit, Part, QueueRules, Scope, Subject, Window};
use domain::name::ProviderName;
use domain::spend::{Correction, Spend, SpendStore};
use domain::store_error::StoreError;

use super::*;
use crate::ledger::Unrecorded;
use crate::testing::{
    BEGINNING, Hand, Zeros, at_once, caller, expecting, poll, run, someone, somewhere, usually,
};

fn limits() -> (Limits, Arc<Hand>) {
    let clock = Arc::new(Hand::default());
    let (limits, _) = Limits::new(Arc::clone(&clock) as Arc<dyn Clock>, false);
    (limits, clock)
}

/// Limits that were configured.
fn with(some: impl IntoIterator<Item = Limit>) -> (Limits, Arc<Hand>) {
    let (limits, clock) = limits();
    put(&limits, some);
    (limits, clock)
}

fn put(limits: &Limits, some: impl IntoIterator<Item = Limit>) {
    put_beside(limits, some, &[]);
}

/// The same while calls wait for the store that cost something.
fn put_beside(
    limits: &Limits,
    some: impl IntoIterator<Item = Limit>,
    unrecorded: &[Unrecorded],
) -> NewBudgets {
    let nothing = Spent(Vec::new());
    let waiting = |_| unrecorded.to_vec();
    let replaced = limits.replace(some.into_iter().collect(), &nothing, &waiting);
    at_once(replaced).unwrap()
}

/// A ledger in which this was spent, in every period.
struct Spent(Vec<Spend>);

#[async_trait::async_trait]
impl SpendStore for Spent {
    async fn spend_since(&self, _: Timestamp) -> Result<Vec<Spend>, StoreError> {
        Ok(self.0.clone())
    }

    async fn drop_hours_before(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// A limit for everyone, with a number that makes it another than others.
pub(super) fn limit(number: u8, bound: Bound) -> Limit {
    Limit {
        id: LimitId::of_configured([number; 16]),
        name: format!("limit {number}"),
        organization_id: domain::id::OrganizationId::DEFAULT,
        project_id: domain::id::ProjectId::DEFAULT,
        scope: Scope::default(),
        bound,
        queue: None,
        alerts: Vec::new(),
        origin: Origin::Configuration,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

pub(super) fn a_minute(most: u64) -> Bound {
    Bound::Requests {
        most,
        per: Window::Minute,
    }
}

fn tokens(input_tokens: u64) -> Expectation<'static> {
    expecting(input_tokens, Some(0))
}

fn dollars(text: &str) -> Cost {
    text.parse().unwrap()
}

fn a_day(limit: &str) -> Budget {
    Budget {
        limit: dollars(limit),
        per: Period::Day,
    }
}

fn rate(rpm: Option<u32>, tpm: Option<u64>) -> Rate {
    Rate {
        rpm,
        tpm,
        ..Rate::default()
    }
}

#[test]
fn requests_beyond_the_rate_wait_for_the_next_minute() {
    let (limits, clock) = limits();
    let caller = caller(rate(Some(2), None), None);
    let ask = || limits.admit_now(&caller, tokens(1));
    ask().unwrap().settle(1, 1, Cost::ZERO);
    clock.forward(Duration::from_secs(10));
    ask().unwrap().settle(1, 1, Cost::ZERO);
    let reached = ask().err().unwrap();
    assert_eq!(reached.bound, a_minute(2));
    assert_eq!(reached.relief, Relief::After(Duration::from_secs(50)));
    assert_eq!(
        reached.to_string(),
        "the key's limit of 2 requests per minute is reached"
    );
    clock.forward(Duration::from_secs(50));
    assert!(ask().is_ok());
}

#[test]
fn tokens_are_counted_as_they_were_used() {
    let (limits, _) = limits();
    let caller = caller(rate(None, Some(100)), None);
    let ask = |input| limits.admit_now(&caller, tokens(input));
    ask(40).unwrap().settle(30, 60, Cost::ZERO);
    assert!(matches!(
        ask(11).err().unwrap().bound,
        Bound::Tokens { most: 100, .. }
    ));
    ask(10).unwrap().settle(10, 0, Cost::ZERO);
    let too_many = ask(101).err().unwrap();
    assert_eq!(too_many.relief, Relief::Never { needed: 101 });
    assert_eq!(too_many.retry_after(), None);
}

#[test]
fn a_call_that_was_not_sent_gives_back_what_it_held() {
    let (limits, _) = limits();
    let caller = caller(rate(Some(1), Some(100)), Some(a_day("1")));
    let mut admission = limits.admit_now(&caller, tokens(90)).unwrap();
    admission.set_aside(dollars("1")).unwrap();
    drop(admission);
    let mut again = limits.admit_now(&caller, tokens(90)).unwrap();
    assert_eq!(again.set_aside(dollars("1")), Ok(()));
}

#[test]
fn calls_at_the_same_time_cannot_spend_the_same_rest() {
    let (limits, _) = limits();
    let caller = caller(Rate::default(), Some(a_day("1")));
    let ask = || limits.admit_now(&caller, tokens(1)).unwrap();
    let mut first = ask();
    first.set_aside(dollars("0.6")).unwrap();
    let mut second = ask();
    assert!(second.set_aside(dollars("0.6")).unwrap_err().is_budget());
    assert!(second.set_aside(dollars("0.4")).is_ok());
    first.settle(1, 1, dollars("0.1"));
    second.settle(1, 1, dollars("0.1"));
    let mut third = ask();
    assert!(third.set_aside(dollars("0.8")).is_ok());
}

#[test]
fn a_call_that_is_alone_may_use_the_rest_and_a_spent_budget_refuses() {
    let (limits, clock) = limits();
    let caller = caller(Rate::default(), Some(a_day("1")));
    let mut first = limits.admit_now(&caller, tokens(1)).unwrap();
    first.set_aside(dollars("5")).unwrap();
    first.settle(1, 1, dollars("1"));
    let mut second = limits.admit_now(&caller, tokens(1)).unwrap();
    let reached = second.set_aside(Cost::ZERO).unwrap_err();
    let Relief::At(resets_at) = reached.relief else {
        panic!()
    };
    assert_eq!(
        reached.to_string(),
        "the key's budget of $1.000000000 per day is spent"
    );
    let rest = u64::try_from(resets_at.as_second() - BEGINNING).unwrap();
    clock.forward(Duration::from_secs(rest));
    assert!(second.set_aside(dollars("1")).is_ok());
}

#[test]
fn a_call_that_surely_costs_more_than_the_rest_does_not_begin() {
    let (limits, _) = limits();
    let caller = caller(Rate::default(), Some(a_day("1")));
    let provider = someone();
    let mut spent = limits.admit_now(&caller, tokens(1)).unwrap();
    spent.set_aside(dollars("0.9")).unwrap();
    spent.settle(1, 1, dollars("0.9"));
    let mut call = limits.admit_now(&caller, tokens(1)).unwrap();
    let outlay = |least| Outlay {
        usual: dollars("5"),
        least: dollars(least),
    };
    let reached = call.reserve(somewhere(&provider), outlay("0.11"));
    assert_eq!(
        reached.unwrap_err().to_string(),
        "the key's budget of $1.000000000 per day has $0.100000000 left, which is not enough"
    );
    call.reserve(somewhere(&provider), outlay("0.1")).unwrap();
    // It holds the rest, and goes on to another target that costs as much.
    let other: ProviderName = "other".parse().unwrap();
    call.reserve(somewhere(&other), outlay("0.1")).unwrap();
}

#[test]
fn a_call_costs_in_the_period_in_which_it_began() {
    let (limits, clock) = limits();
    let caller = caller(Rate::default(), Some(a_day("1")));
    let mut overnight = limits.admit_now(&caller, tokens(1)).unwrap();
    overnight.set_aside(dollars("1")).unwrap();
    clock.forward(Duration::from_hours(24));
    let mut today = limits.admit_now(&caller, tokens(1)).unwrap();
    today.set_aside(dollars("1")).unwrap();
    overnight.settle(1, 1, dollars("1"));
    today.settle(1, 1, dollars("0.5"));
    let mut last = limits.admit_now(&caller, tokens(1)).unwrap();
    assert!(last.set_aside(dollars("0.5")).is_ok());
}

#[test]
fn what_the_ledger_remembers_counts() {
    let (limits, _) = limits();
    let caller = caller(Rate::default(), Some(a_day("1")));
    let everyone = Bound::Dollars {
        most: dollars("3"),
        per: Period::Month,
    };
    let spent = Spent(vec![Spend {
        subject: Subject::of(&caller),
        cost: dollars("1"),
    }]);
    let remembered = limits.remember(vec![limit(1, everyone)], &spent);
    assert!(poll(std::pin::pin!(remembered)).is_ready());
    let mut admission = limits.admit_now(&caller, tokens(1)).unwrap();
    assert!(admission.set_aside(Cost::ZERO).is_err());
    let other = crate::testing::caller(Rate::default(), None);
    let mut first = limits.admit_now(&other, tokens(1)).unwrap();
    first.set_aside(dollars("2")).unwrap();
    let mut second = limits.admit_now(&other, tokens(1)).unwrap();
    assert!(second.set_aside(dollars("0.000000001")).is_err());
}

/// What the caller's calls of `began` cost more than was counted, or less.
fn correction(caller: &Caller, nano_dollars: i64, began: Timestamp) -> Correction {
    Correction {
        sequence: 1,
        started_at: began,
        spend: Spend {
            subject: Subject::of(caller),
            cost: Cost::from_nano_dollars(nano_dollars),
        },
    }
}

#[test]
fn what_calls_are_found_to_have_cost_counts_in_every_budget_that_they_are_part_of() {
    let month = Bound::Dollars {
        most: dollars("3"),
        per: Period::Month,
    };
    let (limits, clock) = with([limit(1, month)]);
    let caller = caller(Rate::default(), Some(a_day("1")));
    let now = clock.now();
    let fits = |cost: &str| {
        let mut admission = limits.admit_now(&caller, tokens(1)).unwrap();
        admission.set_aside(dollars(cost)).is_ok()
    };
    let spend = |cost: &str| {
        let mut admission = limits.admit_now(&caller, tokens(1)).unwrap();
        admission.set_aside(Cost::ZERO).unwrap();
        admission.settle(1, 1, dollars(cost));
    };
    spend("1");
    assert!(!fits("0.1"), "the day's budget is spent");
    limits.correct(&correction(&caller, -600_000_000, now), true);
    assert!(fits("0.1"));
    limits.correct(&correction(&caller, 600_000_000, now), true);
    assert!(!fits("0.1"));
    // What another replica counts for all is not counted here as well.
    limits.correct(&correction(&caller, -600_000_000, now), false);
    assert!(!fits("0.1"));
    // A call of last month is in neither period, and nobody is given more than was spent.
    let long_ago = Timestamp::UNIX_EPOCH;
    limits.correct(&correction(&caller, -1_000_000_000, long_ago), true);
    assert!(!fits("0.1"));
    limits.correct(&correction(&caller, -9_000_000_000, now), true);
    assert!(fits("0.9"));
    // A budget that comes later knows of it.
    let later = caller_with(&caller, a_day("2"));
    limits.correct(&correction(&caller, 2_000_000_000, now), true);
    let mut admission = limits.admit_now(&later, tokens(1)).unwrap();
    assert!(admission.set_aside(Cost::ZERO).is_err());
}

/// The same key with another budget.
fn caller_with(caller: &Caller, budget: Budget) -> Caller {
    let mut key = (**caller.key()).clone();
    key.budget = Some(budget);
    Caller::holding(Arc::new(key))
}

#[test]
fn a_budget_that_is_made_while_a_call_runs_counts_what_it_costs() {
    let (limits, _) = limits();
    let caller = caller(Rate::default(), None);
    let mut running = limits.admit_now(&caller, tokens(1)).unwrap();
    running.set_aside(dollars("1")).unwrap();
    let everyone = Bound::Dollars {
        most: dollars("3"),
        per: Period::Day,
    };
    put(&limits, [limit(1, everyone)]);
    running.settle(1, 1, dollars("1"));
    assert_eq!(
        limits.usage(limit(1, everyone).id, 1)[0].taken,
        1_000_000_000
    );
    // One that knows the budget is counted once.
    let mut next = limits.admit_now(&caller, tokens(1)).unwrap();
    next.set_aside(dollars("1")).unwrap();
    put(&limits, [limit(1, everyone), limit(2, everyone)]);
    next.settle(1, 1, dollars("1"));
    assert_eq!(
        limits.usage(limit(1, everyone).id, 1)[0].taken,
        2_000_000_000
    );
    assert_eq!(
        limits.usage(limit(2, everyone).id, 1)[0].taken,
        1_000_000_000
    );
}

#[test]
fn a_budget_of_a_provider_that_is_made_while_a_call_runs_counts_what_it_costs_there() {
    let (limits, _) = limits();
    let caller = caller(Rate::default(), None);
    let run = || {
        let mut call = limits.admit_now(&caller, tokens(1)).unwrap();
        call.reserve(somewhere(&someone()), usually(dollars("1")))
            .unwrap();
        call
    };
    let of = |number, provider: ProviderName| Limit {
        scope: Scope {
            provider: Part::Only(provider),
            ..Scope::default()
        },
        ..limit(
            number,
            Bound::Dollars {
                most: dollars("9"),
                per: Period::Day,
            },
        )
    };
    let (here, elsewhere) = (of(1, someone()), of(2, "elsewhere".parse().unwrap()));
    let taken = |limit: &Limit| limits.usage(limit.id, 1).first().map(|usage| usage.taken);
    let first = run();
    put(&limits, [here.clone(), elsewhere.clone()]);
    first.settle_at(Some(somewhere(&someone())), 1, 1, dollars("1"));
    assert_eq!(taken(&here), Some(1_000_000_000));
    assert_eq!(taken(&elsewhere), None);
    // One that holds it already is counted once.
    let second = run();
    put(&limits, [here.clone()]);
    second.settle_at(Some(somewhere(&someone())), 1, 1, dollars("1"));
    assert_eq!(taken(&here), Some(2_000_000_000));
}

#[test]
fn what_waits_for_the_store_counts_once_in_a_budget_that_is_made() {
    let (limits, clock) = limits();
    let caller = caller(Rate::default(), None);
    let begun = |number| clock.now() + Duration::from_secs(number);
    let ended = |number, began| Unrecorded {
        request_id: RequestId::new(begun(number), &Zeros),
        started_at: began,
        spend: Spend {
            subject: Subject::of(&caller),
            cost: dollars("1"),
        },
    };
    let day = limit(
        1,
        Bound::Dollars {
            most: dollars("9"),
            per: Period::Day,
        },
    );
    let yesterday = clock.now() - Duration::from_hours(24);
    let waiting = [ended(1, clock.now()), ended(2, yesterday)];
    let mut budgets = put_beside(&limits, [day.clone()], &waiting);
    // A moment later the first is still there, and another one has come.
    let later = vec![ended(1, clock.now()), ended(3, clock.now())];
    limits.count_unrecorded(&mut budgets, later);
    assert_eq!(limits.usage(day.id, 1)[0].taken, 2_000_000_000);
    // Budgets that were there already know of it.
    put_beside(&limits, [day.clone()], &[ended(4, clock.now())]);
    assert_eq!(limits.usage(day.id, 1)[0].taken, 2_000_000_000);
}

#[test]
fn a_key_that_gets_a_budget_while_its_call_runs_has_spent_what_it_costs() {
    let (limits, _) = limits();
    let bare = caller(Rate::default(), None);
    let limited = caller_with(&bare, a_day("2"));
    let begin = |caller: &Caller| {
        let mut call = limits.admit_now(caller, tokens(1)).unwrap();
        call.set_aside(Cost::ZERO).map(|()| call)
    };
    let running = begin(&bare).unwrap();
    drop(begin(&limited).unwrap());
    running.settle(1, 1, dollars("1"));
    let running = begin(&limited).unwrap();
    // What it spends without one counts when it has one again.
    begin(&bare).unwrap().settle(1, 1, dollars("0.4"));
    drop(begin(&limited).unwrap());
    running.settle(1, 1, dollars("0.6"));
    assert!(begin(&limited).is_err(), "2 of 2 dollars are spent");
}

#[test]
fn calls_that_say_nothing_teach_nothing() {
    let (limits, _) = limits();
    let caller = caller(Rate::default(), None);
    let expected = || limits.admit_now(&caller, expecting(1, None)).unwrap();
    assert_eq!(expected().expected_output_tokens(), 500);
    expected().settle(1, 100, Cost::ZERO);
    assert_eq!(expected().expected_output_tokens(), 200);
    for _ in 0..50 {
        expected().settle(0, 0, Cost::ZERO);
    }
    assert_eq!(expected().expected_output_tokens(), 200);
}

#[test]
fn all_limits_hold_together_and_a_refusal_takes_of_none() {
    let tight = Limit {
        scope: Scope {
            project: Part::Each,
            ..Scope::default()
        },
        ..limit(2, a_minute(1))
    };
    let wide = limit(1, a_minute(2));
    let id = wide.id;
    let (limits, _) = with([wide, tight]);
    let caller = caller(Rate::default(), None);
    let first = limits.admit_now(&caller, tokens(1)).unwrap();
    let reached = limits.admit_now(&caller, tokens(1)).err().unwrap();
    assert_eq!(
        reached.to_string(),
        "the project's limit of 1 requests per minute is reached"
    );
    assert_eq!(limits.usage(id, 10)[0].taken, 1);
    first.settle(1, 1, Cost::ZERO);
}

#[test]
fn each_key_has_a_count_of_its_own() {
    let each = Limit {
        scope: Scope {
            key: Part::Each,
            ..Scope::default()
        },
        ..limit(1, Bound::Concurrency { most: 1 })
    };
    let (limits, _) = with([each]);
    let (one, other) = (caller(Rate::default(), None), caller(Rate::default(), None));
    let first = limits.admit_now(&one, tokens(1)).unwrap();
    assert!(limits.admit_now(&one, tokens(1)).is_err());
    let _second = limits.admit_now(&other, tokens(1)).unwrap();
    drop(first);
    assert!(limits.admit_now(&one, tokens(1)).is_ok());
}

#[test]
fn a_provider_whose_limit_is_reached_leaves_the_others() {
    let name = |text: &str| text.parse::<ProviderName>().unwrap();
    let (slow, fast) = (name("slow"), name("fast"));
    let at_slow = Limit {
        scope: Scope {
            provider: Part::Only(slow.clone()),
            ..Scope::default()
        },
        ..limit(1, Bound::Concurrency { most: 1 })
    };
    let id = at_slow.id;
    let (limits, _) = with([at_slow]);
    let caller = caller(Rate::default(), None);
    let mut first = limits.admit_now(&caller, tokens(1)).unwrap();
    first.reserve(somewhere(&slow), Outlay::default()).unwrap();
    let mut second = limits.admit_now(&caller, tokens(1)).unwrap();
    assert!(second.reserve(somewhere(&slow), Outlay::default()).is_err());
    second.reserve(somewhere(&fast), Outlay::default()).unwrap();
    // Turning to another provider gives the place at the first one back.
    first.reserve(somewhere(&fast), Outlay::default()).unwrap();
    assert_eq!(limits.usage(id, 1)[0].held, 0);
}

#[test]
fn a_model_within_a_project_is_limited_there_only() {
    let pair = Limit {
        scope: Scope {
            project: Part::Each,
            model: Part::Only(domain::key::ModelPattern::new("sim/so*")),
            ..Scope::default()
        },
        ..limit(1, a_minute(1))
    };
    let (limits, _) = with([pair]);
    let caller = caller(Rate::default(), None);
    let provider = someone();
    let ask = |model| {
        let target = Destination {
            provider: &provider,
            model,
        };
        let mut admission = limits.admit_now(&caller, tokens(1)).unwrap();
        admission.reserve(target, Outlay::default())?;
        admission.settle(1, 1, Cost::ZERO);
        Ok::<_, LimitReached>(())
    };
    ask("some").unwrap();
    ask("other").unwrap();
    assert!(ask("some").is_err());
}

#[test]
fn a_fallback_sets_aside_the_difference_only() {
    let (limits, _) = limits();
    let caller = caller(Rate::default(), Some(a_day("1")));
    let mut call = limits.admit_now(&caller, tokens(1)).unwrap();
    let mut other = limits.admit_now(&caller, tokens(1)).unwrap();
    call.set_aside(dollars("0.3")).unwrap();
    call.set_aside(dollars("0.6")).unwrap();
    assert!(other.set_aside(dollars("0.5")).is_err());
    other.set_aside(dollars("0.4")).unwrap();
}

#[test]
fn another_limit_takes_effect_and_the_count_goes_on() {
    let (limits, _) = with([limit(1, a_minute(1))]);
    let caller = caller(Rate::default(), None);
    let ask = || limits.admit_now(&caller, tokens(1));
    ask().unwrap().settle(1, 1, Cost::ZERO);
    assert!(ask().is_err());
    put(&limits, [limit(1, a_minute(2))]);
    ask().unwrap().settle(1, 1, Cost::ZERO);
    assert!(ask().is_err());
    put(&limits, []);
    assert!(ask().is_ok());
}

#[test]
fn an_alert_is_raised_once_for_each_part_and_period() {
    let clock = Arc::new(Hand::default());
    let (limits, mut alerts) = Limits::new(Arc::clone(&clock) as Arc<dyn Clock>, false);
    let budget = Bound::Dollars {
        most: dollars("1"),
        per: Period::Day,
    };
    put(
        &limits,
        [Limit {
            alerts: vec![50, 100],
            ..limit(1, budget)
        }],
    );
    let caller = caller(Rate::default(), None);
    let mut spend = |cost: &str| {
        let mut admission = limits.admit_now(&caller, tokens(1)).unwrap();
        admission.set_aside(dollars("0.1")).unwrap();
        admission.settle(1, 1, dollars(cost));
        alerts.try_recv().map(|alert| alert.percent).ok()
    };
    assert_eq!(spend("0.4"), None);
    assert_eq!(spend("0.2"), Some(50));
    assert_eq!(spend("0.3"), None);
    assert_eq!(spend("0.3"), Some(100));
    clock.forward(Duration::from_hours(24));
    assert_eq!(spend("0.5"), Some(50));
}

#[test]
fn what_is_left_is_told_of_the_tightest_limit() {
    let (limits, _) = with([limit(1, a_minute(5))]);
    let caller = caller(rate(Some(3), Some(1_000)), None);
    let admission = limits.admit_now(&caller, expecting(10, Some(20))).unwrap();
    let standing = admission.standing().unwrap();
    let meter = |limit, remaining| Meter {
        limit,
        remaining,
        per: Window::Minute,
    };
    assert_eq!(standing.requests, Some(meter(3, 2)));
    assert_eq!(standing.tokens, Some(meter(1_000, 970)));
    let unlimited = crate::testing::caller(Rate::default(), None);
    put(&limits, []);
    let other = limits.admit_now(&unlimited, tokens(1)).unwrap();
    assert_eq!(other.standing(), None);
}

fn queued(bound: Bound, max_wait: u64, max_waiting: u32) -> Limit {
    Limit {
        queue: Some(QueueRules {
            max_wait: Duration::from_secs(max_wait),
            max_waiting,
        }),
        ..limit(1, bound)
    }
}

#[test]
fn a_call_waits_for_room_and_takes_it() {
    let (limits, clock) = with([queued(Bound::Concurrency { most: 1 }, 30, 10)]);
    let caller = caller(Rate::default(), None);
    let first = limits.admit_now(&caller, tokens(1)).unwrap();
    let mut waiting = std::pin::pin!(limits.admit(&caller, tokens(1)));
    assert!(poll(waiting.as_mut()).is_pending());
    assert_eq!(limits.waiting(), 1);
    // Nobody overtakes who waits.
    first.settle(1, 1, Cost::ZERO);
    assert!(limits.admit_now(&caller, tokens(1)).is_err());
    assert!(run(&clock, waiting).is_ok());
    assert_eq!(limits.waiting(), 0);
}

#[test]
fn time_that_passes_makes_room_too() {
    let (limits, clock) = with([queued(a_minute(1), 90, 10)]);
    let caller = caller(Rate::default(), None);
    limits
        .admit_now(&caller, tokens(1))
        .unwrap()
        .settle(1, 1, Cost::ZERO);
    assert!(run(&clock, limits.admit(&caller, tokens(1))).is_ok());
    assert_eq!(clock.elapsed(), Duration::from_mins(1));
}

#[test]
fn a_call_that_will_not_make_it_is_refused_at_once() {
    let (limits, clock) = with([queued(a_minute(1), 30, 10)]);
    let caller = caller(Rate::default(), None);
    limits
        .admit_now(&caller, tokens(1))
        .unwrap()
        .settle(1, 1, Cost::ZERO);
    let reached = run(&clock, limits.admit(&caller, tokens(1)));
    let wait = reached.err().unwrap().retry_after();
    assert_eq!(wait, Some(Duration::from_mins(1)));
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

#[test]
fn a_call_that_waited_as_long_as_it_may_is_refused() {
    let (limits, clock) = with([queued(Bound::Concurrency { most: 1 }, 30, 10)]);
    let caller = caller(Rate::default(), None);
    let _first = limits.admit_now(&caller, tokens(1)).unwrap();
    assert!(run(&clock, limits.admit(&caller, tokens(1))).is_err());
    assert_eq!(clock.elapsed(), Duration::from_secs(30));
    assert_eq!(limits.waiting(), 0);
}

#[test]
fn a_caller_that_goes_away_leaves_the_line() {
    let (limits, clock) = with([queued(Bound::Concurrency { most: 1 }, 30, 10)]);
    let caller = caller(Rate::default(), None);
    let first = limits.admit_now(&caller, tokens(1)).unwrap();
    let mut second = Box::pin(limits.admit(&caller, tokens(1)));
    assert!(poll(second.as_mut()).is_pending());
    let mut third = Box::pin(limits.admit(&caller, tokens(1)));
    assert!(poll(third.as_mut()).is_pending());
    first.settle(1, 1, Cost::ZERO);
    // It was the second's turn.
    drop(second);
    assert!(run(&clock, third).is_ok());
    assert_eq!(limits.waiting(), 0);
}

#[test]
fn a_full_line_refuses_at_once() {
    let (limits, _) = with([queued(Bound::Concurrency { most: 1 }, 30, 1)]);
    let caller = caller(Rate::default(), None);
    let _first = limits.admit_now(&caller, tokens(1)).unwrap();
    let mut second = Box::pin(limits.admit(&caller, tokens(1)));
    assert!(poll(second.as_mut()).is_pending());
    let mut third = Box::pin(limits.admit(&caller, tokens(1)));
    assert!(poll(third.as_mut()).is_ready());
}

#[test]
fn calls_of_a_key_with_a_queue_wait_for_room_and_its_places_are_all_its_own() {
    let (limits, clock) = limits();
    let rate = Rate {
        concurrency: Some(1),
        queue: Some(QueueRules {
            max_wait: Duration::from_secs(30),
            max_waiting: 2,
        }),
        ..Rate::default()
    };
    let caller = caller(rate, Some(a_day("1.00")));
    let mut first = limits.admit_now(&caller, tokens(1)).unwrap();
    let mut second = Box::pin(limits.admit(&caller, tokens(1)));
    let mut third = Box::pin(limits.admit(&caller, tokens(1)));
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(third.as_mut()).is_pending());
    let reached = run(&clock, limits.admit(&caller, tokens(1))).err().unwrap();
    assert_eq!(reached.bound, Bound::Concurrency { most: 1 });
    first.set_aside(dollars("1.00")).unwrap();
    first.settle(1, 1, dollars("1.00"));
    let mut second = run(&clock, second).ok().unwrap();
    // Money that is spent does not come back: nobody waits for it.
    let provider = someone();
    let outlay = Outlay::exactly(dollars("1.00"));
    let broke = second.reserve_in_turn(somewhere(&provider), outlay);
    assert!(matches!(run(&clock, broke), Err(reached) if reached.is_budget()));
    drop(second);
    assert!(run(&clock, third).is_ok());
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

#[test]
fn a_budget_holds_when_the_clock_is_set_back_into_a_period_that_is_over() {
    let (limits, clock) = limits();
    let caller = caller(Rate::default(), Some(a_day("1.00")));
    let spend = || {
        let mut admission = limits.admit_now(&caller, tokens(1)).unwrap();
        admission.set_aside(dollars("1.00"))?;
        admission.settle(1, 1, dollars("1.00"));
        Ok::<(), LimitReached>(())
    };
    spend().unwrap();
    clock.set_wall(-jiff::SignedDuration::from_hours(24));
    assert!(spend().is_err(), "what was spent is forgotten");
    // When the clock has caught up, the next day comes as it would have.
    clock.forward(Duration::from_hours(24));
    assert!(spend().is_err());
    clock.forward(Duration::from_hours(24));
    spend().unwrap();
    assert!(spend().is_err(), "what is spent then counts");
}

#[test]
fn a_rate_raises_an_alert_once_an_hour_for_each_part() {
    let clock = Arc::new(Hand::default());
    let (limits, mut alerts) = Limits::new(Arc::clone(&clock) as Arc<dyn Clock>, false);
    let rate = Limit {
        alerts: vec![50, 100],
        ..limit(1, a_minute(4))
    };
    put(&limits, [rate]);
    let caller = caller(Rate::default(), None);
    let mut told = || {
        let ask = || limits.admit_now(&caller, tokens(1));
        for _ in 0..5 {
            if let Ok(admission) = ask() {
                admission.settle(1, 1, Cost::ZERO);
            }
        }
        let told = std::iter::from_fn(|| alerts.try_recv().ok());
        told.map(|alert| (alert.percent, alert.taken))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(), [(50, 2), (100, 4)]);
    clock.forward(Duration::from_mins(1));
    assert_eq!(told(), []);
    clock.forward(Duration::from_hours(1));
    assert_eq!(told(), [(50, 2), (100, 4)]);
}

#[test]
fn tokens_that_are_turned_away_are_told_of_though_some_are_left() {
    let clock = Arc::new(Hand::default());
    let (limits, mut alerts) = Limits::new(Arc::clone(&clock) as Arc<dyn Clock>, false);
    let bound = Bound::Tokens {
        most: 100,
        per: Window::Minute,
    };
    let rate = Limit {
        alerts: vec![100],
        ..limit(1, bound)
    };
    put(&limits, [rate]);
    let caller = caller(Rate::default(), None);
    let ask = |input| limits.admit_now(&caller, tokens(input));
    ask(90).unwrap().settle(90, 0, Cost::ZERO);
    assert!(ask(200).is_err(), "more than there can ever be");
    assert!(alerts.try_recv().is_err());
    assert!(ask(20).is_err());
    let alert = alerts.try_recv().unwrap();
    assert_eq!(alert.percent, 100);
    let event = alert.event(clock.now(), &crate::testing::Counting::default());
    assert_eq!(event.kind, domain::event::EventKind::RateAlert);
    assert_eq!(event.detail["measure"], "tokens");
}
