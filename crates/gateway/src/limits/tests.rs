use domain::key::{Budget, Rate};

use super::*;
use crate::testing::{BEGINNING, Hand, caller};

fn limits() -> (Limits, Arc<Hand>) {
    let clock = Arc::new(Hand::default());
    (Limits::new(Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

fn tokens(input_tokens: u64) -> Expectation {
    Expectation {
        input_tokens,
        max_output_tokens: Some(0),
    }
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

#[test]
fn requests_beyond_the_rate_wait_for_the_next_minute() {
    let (limits, clock) = limits();
    let caller = caller(
        Rate {
            rpm: Some(2),
            tpm: None,
        },
        None,
    );
    limits
        .admit(&caller, tokens(1))
        .unwrap()
        .settle(1, 1, Cost::ZERO);
    clock.forward(Duration::from_secs(10));
    limits
        .admit(&caller, tokens(1))
        .unwrap()
        .settle(1, 1, Cost::ZERO);
    let reached = limits.admit(&caller, tokens(1)).err().unwrap();
    let retry_after = Duration::from_secs(50);
    assert_eq!(
        reached,
        LimitReached::Requests {
            limit: 2,
            retry_after
        }
    );
    clock.forward(Duration::from_secs(50));
    assert!(limits.admit(&caller, tokens(1)).is_ok());
}

#[test]
fn tokens_are_counted_as_they_were_used() {
    let (limits, _) = limits();
    let caller = caller(
        Rate {
            rpm: None,
            tpm: Some(100),
        },
        None,
    );
    limits
        .admit(&caller, tokens(40))
        .unwrap()
        .settle(30, 60, Cost::ZERO);
    assert!(matches!(
        limits.admit(&caller, tokens(11)),
        Err(LimitReached::Tokens { .. })
    ));
    assert!(limits.admit(&caller, tokens(10)).is_ok());
    let too_many = limits.admit(&caller, tokens(101)).err().unwrap();
    assert_eq!(
        too_many,
        LimitReached::TooManyTokens {
            limit: 100,
            needed: 101
        }
    );
}

#[test]
fn a_call_that_was_not_sent_gives_back_what_it_held() {
    let (limits, _) = limits();
    let caller = caller(
        Rate {
            rpm: None,
            tpm: Some(100),
        },
        Some(a_day("1")),
    );
    let mut admission = limits.admit(&caller, tokens(90)).unwrap();
    admission.reserve(dollars("1")).unwrap();
    drop(admission);
    let mut again = limits.admit(&caller, tokens(90)).unwrap();
    assert_eq!(again.reserve(dollars("1")), Ok(()));
}

#[test]
fn calls_at_the_same_time_cannot_spend_the_same_rest() {
    let (limits, _) = limits();
    let caller = caller(Rate::default(), Some(a_day("1")));
    let mut first = limits.admit(&caller, tokens(1)).unwrap();
    first.reserve(dollars("0.6")).unwrap();
    let mut second = limits.admit(&caller, tokens(1)).unwrap();
    assert!(matches!(
        second.reserve(dollars("0.6")),
        Err(LimitReached::Budget { .. })
    ));
    assert!(second.reserve(dollars("0.4")).is_ok());
    first.settle(1, 1, dollars("0.1"));
    second.settle(1, 1, dollars("0.1"));
    let mut third = limits.admit(&caller, tokens(1)).unwrap();
    assert!(third.reserve(dollars("0.8")).is_ok());
}

#[test]
fn a_call_that_is_alone_may_use_the_rest_and_a_spent_budget_refuses() {
    let (limits, clock) = limits();
    let caller = caller(Rate::default(), Some(a_day("1")));
    let mut first = limits.admit(&caller, tokens(1)).unwrap();
    first.reserve(dollars("5")).unwrap();
    first.settle(1, 1, dollars("1"));
    let mut second = limits.admit(&caller, tokens(1)).unwrap();
    let reached = second.reserve(Cost::ZERO).unwrap_err();
    let LimitReached::Budget {
        resets_at: Some(resets_at),
        ..
    } = reached
    else {
        panic!()
    };
    let rest = u64::try_from(resets_at.as_second() - BEGINNING).unwrap();
    clock.forward(Duration::from_secs(rest));
    assert!(second.reserve(dollars("1")).is_ok());
}

#[test]
fn what_the_ledger_remembers_counts() {
    let (limits, clock) = limits();
    let caller = caller(Rate::default(), Some(a_day("1")));
    let spend = Spend {
        key_id: caller.key_id(),
        cost: dollars("1"),
    };
    limits.remember(Period::Day, &[spend], clock.now());
    let mut admission = limits.admit(&caller, tokens(1)).unwrap();
    assert!(admission.reserve(Cost::ZERO).is_err());
}

#[test]
fn calls_that_say_nothing_teach_nothing() {
    let (limits, _) = limits();
    let caller = caller(Rate::default(), None);
    let unbounded = Expectation {
        input_tokens: 1,
        max_output_tokens: None,
    };
    let expected = || limits.admit(&caller, unbounded).unwrap();
    assert_eq!(expected().expected_output_tokens(), KeyCount::FIRST_OUTPUT);
    expected().settle(1, 100, Cost::ZERO);
    assert_eq!(expected().expected_output_tokens(), 200);
    for _ in 0..50 {
        expected().settle(0, 0, Cost::ZERO);
    }
    assert_eq!(expected().expected_output_tokens(), 200);
}
