use super::*;

fn at(seconds: u64) -> Moment {
    Moment::at(Duration::from_secs(seconds))
}

fn turns(numbers: &[u16]) -> Vec<KeyNumber> {
    numbers.iter().copied().map(KeyNumber).collect()
}

fn error(cause: Cause) -> ProviderError {
    ProviderError::new(cause, "no")
}

#[test]
fn keys_take_turns_as_often_as_they_are_meant_to() {
    let keys = Keys::new(Unknown::of(2));
    let turns = turns(&[0, 0, 1]);
    let taken: Vec<u16> = (0..6)
        .map(|_| keys.next(&turns, at(0)).unwrap().0)
        .collect();
    assert_eq!(taken, [0, 0, 1, 0, 0, 1]);
}

#[test]
fn a_key_that_was_turned_away_rests_for_as_long_as_its_cause_says() {
    for (cause, seconds) in [
        (Cause::RateLimited, 5),
        (Cause::QuotaExhausted, 1_800),
        (Cause::Authentication, 600),
        (Cause::Permission, 600),
    ] {
        let keys = Keys::new(Unknown::of(2));
        let turns = turns(&[0, 1]);
        keys.note_failure(KeyNumber(0), &error(cause), at(0));
        assert_eq!(keys.trouble(at(0)), None, "the other is good");
        for _ in 0..4 {
            assert_eq!(keys.next(&turns, at(seconds - 1)), Some(KeyNumber(1)));
        }
        keys.note_failure(KeyNumber(1), &error(cause), at(0));
        assert_eq!(keys.next(&turns, at(0)), None);
        assert_eq!(keys.trouble(at(seconds - 1)), Some(cause));
        assert_eq!(keys.trouble(at(seconds)), None);
    }
}

#[test]
fn the_providers_own_word_on_a_rate_limit_counts() {
    let keys = Keys::new(Unknown::of(1));
    let limited = error(Cause::RateLimited).with_retry(Retry::After(Duration::from_secs(42)));
    keys.note_failure(KeyNumber::FIRST, &limited, at(0));
    assert_eq!(keys.trouble(at(41)), Some(Cause::RateLimited));
    assert_eq!(keys.trouble(at(42)), None);
}

#[test]
fn a_key_with_nothing_left_is_left_alone_until_there_is_again() {
    let keys = Keys::new(Unknown::of(1));
    let left = |left| Headroom {
        left,
        resets_after: Duration::from_secs(30),
    };
    keys.note_headroom(KeyNumber::FIRST, &left(250), at(0));
    assert_eq!(keys.headroom(at(0)), Some(0.25));
    assert_eq!(keys.trouble(at(0)), None);
    keys.note_headroom(KeyNumber::FIRST, &left(0), at(0));
    assert_eq!(keys.trouble(at(29)), Some(Cause::RateLimited));
    assert_eq!(keys.trouble(at(30)), None);
    assert_eq!(keys.headroom(at(30)), None, "it is not known any more");
}

#[test]
fn failures_that_are_not_the_keys_leave_it_alone() {
    let keys = Keys::new(Unknown::of(1));
    for cause in [Cause::Server, Cause::InvalidRequest, Cause::Overloaded] {
        keys.note_failure(KeyNumber::FIRST, &error(cause), at(0));
    }
    assert_eq!(keys.trouble(at(0)), None);
}

#[test]
fn another_configuration_gives_every_key_another_chance() {
    let keys = Keys::new(Unknown::of(1));
    keys.note_failure(KeyNumber::FIRST, &error(Cause::Authentication), at(0));
    keys.forget();
    assert_eq!(keys.trouble(at(0)), None);
}

#[test]
fn a_key_that_the_provider_does_not_know_rests_at_all_its_targets_and_others_at_one() {
    let unknown = Unknown::of(2);
    let [one, other] = [(); 2].map(|()| Keys::new(Arc::clone(&unknown)));
    let turns = turns(&[0, 1]);
    one.note_failure(KeyNumber(0), &error(Cause::Permission), at(0));
    assert_eq!(other.states(at(0))[0].cause, None);
    one.note_failure(KeyNumber(1), &error(Cause::Authentication), at(0));
    assert_eq!(other.next(&turns, at(0)), Some(KeyNumber(0)));
    assert_eq!(other.next(&turns, at(0)), Some(KeyNumber(0)));
    assert_eq!(other.states(at(0))[1].cause, Some(Cause::Authentication));
    assert_eq!(other.states(at(600))[1].cause, None);
    other.forget();
    assert_eq!(one.states(at(0))[1].cause, None, "it has another chance");
}
