use std::sync::Arc;

use domain::provider_error::Retry;
use proptest::prelude::*;

use super::*;
use crate::testing::{Zeros, target};

fn end() -> Moment {
    Moment::at(Duration::from_mins(10))
}

fn at(millis: u64) -> Moment {
    Moment::at(Duration::from_millis(millis))
}

/// Candidates of the simulated provider, of these standings.
fn candidates(standings: impl IntoIterator<Item = Standing>) -> Candidates {
    Candidates::of(standings.into_iter().map(|standing| Candidate {
        target: target(None),
        standing,
    }))
    .unwrap()
}

fn error(cause: Cause) -> ProviderError {
    ProviderError::new(cause, "it failed").with_retry(Retry::Now)
}

/// What is next after the first candidate failed so.
fn after(candidates: &Candidates, cause: Cause) -> Next {
    let mut agenda = Agenda::new(candidates, Retries::default());
    agenda.note(0, &error(cause), at(0), &Zeros);
    agenda.next(at(0), end())
}

const PRIMARY: Standing = Standing::Primary;
const ALWAYS: Standing = Standing::Fallback(When::Always);

#[test]
fn another_primary_is_asked_at_once() {
    let two = candidates([PRIMARY, PRIMARY]);
    for cause in [
        Cause::Overloaded,
        Cause::RateLimited,
        Cause::Server,
        Cause::Timeout,
        Cause::Authentication,
        Cause::ContextTooLong,
    ] {
        assert_eq!(after(&two, cause), Next::Ask(1), "{cause:?}");
    }
}

#[test]
fn a_fallback_waits_for_the_retries_of_the_primaries_but_not_for_a_rate_limit() {
    let two = candidates([PRIMARY, ALWAYS]);
    let backoff = Duration::from_millis(100);
    assert_eq!(after(&two, Cause::Overloaded), Next::Wait(backoff));
    assert_eq!(after(&two, Cause::RateLimited), Next::Ask(1));
    assert_eq!(after(&two, Cause::Server), Next::Ask(1));
}

#[test]
fn what_is_wrong_everywhere_is_asked_nowhere_else() {
    let all = candidates([PRIMARY, PRIMARY, ALWAYS]);
    assert_eq!(after(&all, Cause::InvalidRequest), Next::Nobody);
    assert_eq!(after(&all, Cause::ContentPolicy), Next::Nobody);
}

#[test]
fn a_fallback_for_one_cause_comes_after_that_cause_only_and_before_the_others() {
    let special = |when| Standing::Fallback(when);
    let all = candidates([
        PRIMARY,
        ALWAYS,
        special(When::ContextWindow),
        special(When::ContentPolicy),
        special(When::RateLimit),
    ]);
    assert_eq!(after(&all, Cause::Server), Next::Ask(1));
    assert_eq!(after(&all, Cause::TooLarge), Next::Ask(2));
    assert_eq!(after(&all, Cause::ContentPolicy), Next::Ask(3));
    assert_eq!(after(&all, Cause::RateLimited), Next::Ask(4));
    assert_eq!(after(&all, Cause::QuotaExhausted), Next::Ask(4));
}

#[test]
fn a_target_that_is_listed_for_several_causes_is_asked_once() {
    let twice = target(None);
    let listed = [When::RateLimit, When::Always].map(|when| Candidate {
        target: Arc::clone(&twice),
        standing: Standing::Fallback(when),
    });
    let all = [Candidate::primary(target(None))].into_iter().chain(listed);
    let all = Candidates::of(all).unwrap();
    let mut agenda = Agenda::new(
        &all,
        Retries {
            attempts: 1,
            ..Retries::default()
        },
    );
    agenda.note(0, &error(Cause::RateLimited), at(0), &Zeros);
    assert_eq!(agenda.next(at(0), end()), Next::Ask(1));
    agenda.note(1, &error(Cause::Server), at(0), &Zeros);
    assert_eq!(agenda.next(at(0), end()), Next::Nobody);
}

#[test]
fn a_model_whose_window_is_known_to_be_no_larger_is_not_asked() {
    let roomy = |window| Candidate::primary(target(Some(window)));
    let all = Candidates::of([roomy(100), roomy(100), roomy(200)]).unwrap();
    assert_eq!(after(&all, Cause::ContextTooLong), Next::Ask(2));
}

#[test]
fn whoever_is_waited_for_is_asked_again_when_nobody_else_is_left() {
    let two = candidates([PRIMARY, ALWAYS]);
    let mut agenda = Agenda::new(&two, Retries::default());
    agenda.note(0, &error(Cause::RateLimited), at(0), &Zeros);
    agenda.note(1, &error(Cause::Server), at(50), &Zeros);
    let wait = Duration::from_millis(50);
    assert_eq!(agenda.next(at(50), end()), Next::Wait(wait));
    assert_eq!(agenda.next(at(100), end()), Next::Ask(0));
    assert_eq!(agenda.next(at(100), at(100)), Next::Nobody);
    assert_eq!(agenda.next(at(50), at(90)), Next::Nobody, "in vain");
}

fn causes() -> impl Strategy<Value = Cause> {
    prop_oneof![
        Just(Cause::RateLimited),
        Just(Cause::Overloaded),
        Just(Cause::Unreachable),
        Just(Cause::Server),
        Just(Cause::Timeout),
        Just(Cause::InvalidRequest),
        Just(Cause::ContextTooLong),
        Just(Cause::ContentPolicy),
        Just(Cause::QuotaExhausted),
    ]
}

fn standings() -> impl Strategy<Value = Vec<Standing>> {
    let fallback = prop_oneof![
        Just(When::Always),
        Just(When::ContextWindow),
        Just(When::ContentPolicy),
        Just(When::RateLimit),
    ];
    let standing = prop_oneof![Just(PRIMARY), fallback.prop_map(Standing::Fallback)];
    proptest::collection::vec(standing, 0..5).prop_map(|others| {
        let mut all = vec![PRIMARY];
        all.extend(others);
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_way_comes_to_an_end_and_asks_nobody_too_often_or_too_early(
        standings in standings(),
        attempts in 1_u32..5,
        failures in proptest::collection::vec((causes(), 0_u64..8), 32),
    ) {
        let candidates = candidates(standings);
        let retries = Retries { attempts, ..Retries::default() };
        let mut agenda = Agenda::new(&candidates, retries);
        let mut asked = vec![0_u32; candidates.len()];
        let mut not_before = vec![at(0); candidates.len()];
        let mut now = at(0);
        let mut next = Next::Ask(0);
        let mut failures = failures.into_iter();
        loop {
            match next {
                Next::Nobody => break,
                Next::Wait(pause) => {
                    prop_assert!(pause > Duration::ZERO && pause <= retries.max_backoff);
                    now = now.after(pause);
                }
                Next::Ask(index) => {
                    prop_assert!(now >= not_before[index]);
                    asked[index] += 1;
                    prop_assert!(asked[index] <= attempts);
                    let (cause, seconds) = failures.next().unwrap();
                    let mut error = error(cause);
                    if seconds > 0 {
                        error.retry = Retry::After(Duration::from_secs(seconds));
                        not_before[index] = now.after(Duration::from_secs(seconds));
                    }
                    agenda.note(index, &error, now, &Zeros);
                }
            }
            next = agenda.next(now, end());
        }
        prop_assert!(now < end());
    }
}
