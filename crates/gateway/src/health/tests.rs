use super::*;

fn at(millis: u64) -> Moment {
    Moment::at(Duration::from_millis(millis))
}

fn target() -> Arc<TargetHealth> {
    Health::default().of(&"sim".parse().unwrap(), "gpt", 1)
}

#[test]
fn a_target_is_known_by_its_provider_and_model_and_outlives_whoever_asks() {
    let health = Health::default();
    let (sim, other) = ("sim".parse().unwrap(), "other".parse().unwrap());
    let one = health.of(&sim, "gpt", 1);
    assert!(Arc::ptr_eq(&one, &health.of(&sim, "gpt", 1)));
    assert!(!Arc::ptr_eq(&one, &health.of(&sim, "claude", 1)));
    assert!(!Arc::ptr_eq(&one, &health.of(&other, "gpt", 1)));
    assert!(!Arc::ptr_eq(&one, &health.of(&sim, "gpt", 2)), "other keys");
}

#[test]
fn names_that_callers_make_up_do_not_fill_the_memory() {
    let health = Health::default();
    let sim = "sim".parse().unwrap();
    for number in 0..MAX_TARGETS + 10 {
        health.of(&sim, &number.to_string(), 1);
    }
    assert_eq!(health.all().len(), MAX_TARGETS);
}

#[test]
fn calls_under_way_are_counted_until_they_are_dropped() {
    let target = target();
    let first = target.board(at(0));
    let second = target.board(at(0));
    assert_eq!(target.in_flight(), 2);
    drop((first, second));
    assert_eq!(target.in_flight(), 0);
}

#[test]
fn a_mean_follows_what_it_is_told() {
    let target = target();
    assert_eq!(target.first_byte(), None);
    target.board(at(0)).began(at(0), at(800));
    assert_eq!(target.first_byte(), Some(Duration::from_millis(800)));
    target.board(at(0)).began(at(0), at(1_600));
    assert_eq!(target.first_byte(), Some(Duration::from_millis(900)));
    assert_eq!(target.total(), None, "the stream is not over");
}

#[test]
fn a_wrong_request_and_a_rate_limit_are_no_failures_of_the_target() {
    let target = target();
    for cause in [
        Cause::InvalidRequest,
        Cause::RateLimited,
        Cause::Authentication,
        Cause::ContentPolicy,
    ] {
        for _ in 0..50 {
            target.board(at(0)).failed(cause, at(0));
        }
    }
    assert_eq!(target.breaker(at(0)), BreakerState::Closed);
    for _ in 0..250 {
        target.board(at(0)).failed(Cause::Server, at(0));
    }
    assert_eq!(target.breaker(at(0)), BreakerState::Open);
    assert_eq!(target.trouble(at(0)), Some(Cause::Overloaded));
}
