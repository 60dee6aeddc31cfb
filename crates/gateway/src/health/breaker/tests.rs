use proptest::prelude::*;

use super::*;

fn rules() -> BreakerRules {
    BreakerRules::default()
}

fn at(seconds: u64) -> Moment {
    Moment::at(Duration::from_secs(seconds))
}

/// One call that goes so.
fn call(breaker: &Breaker, outcome: Outcome, now: Moment) -> Option<BreakerState> {
    let mut permit = breaker.enter(now);
    breaker.note(&mut permit, outcome, now)
}

fn opened(breaker: &Breaker, now: Moment) {
    let mut turned = None;
    for _ in 0..rules().calls {
        turned = call(breaker, Outcome::Bad, now);
    }
    assert_eq!(turned, Some(BreakerState::Open));
}

#[test]
fn a_few_failures_say_nothing() {
    let breaker = Breaker::new(rules());
    for _ in 1..rules().calls {
        assert_eq!(call(&breaker, Outcome::Bad, at(1)), None);
    }
    assert!(breaker.lets_through(at(1)));
    assert_eq!(
        call(&breaker, Outcome::Bad, at(1)),
        Some(BreakerState::Open)
    );
    assert!(!breaker.lets_through(at(1)));
}

#[test]
fn failures_that_are_less_than_their_part_do_not_open_it() {
    let breaker = Breaker::new(rules());
    for _ in 0..60 {
        call(&breaker, Outcome::Good, at(1));
        call(&breaker, Outcome::Good, at(1));
        assert_eq!(call(&breaker, Outcome::Bad, at(1)), None);
    }
}

#[test]
fn what_lies_before_the_window_does_not_count() {
    let breaker = Breaker::new(rules());
    for second in 0..100 {
        assert_eq!(call(&breaker, Outcome::Bad, at(second * 4)), None);
    }
    assert!(breaker.lets_through(at(400)));
}

#[test]
fn it_closes_after_as_many_good_probes_as_are_wanted() {
    let breaker = Breaker::new(rules());
    opened(&breaker, at(0));
    assert_eq!(breaker.state(at(9)), BreakerState::Open);
    assert_eq!(breaker.state(at(10)), BreakerState::HalfOpen);
    assert_eq!(call(&breaker, Outcome::Good, at(10)), None);
    assert_eq!(
        call(&breaker, Outcome::Good, at(11)),
        Some(BreakerState::Closed)
    );
    assert_eq!(call(&breaker, Outcome::Bad, at(11)), None, "it begins anew");
}

#[test]
fn it_stays_open_twice_as_long_after_each_bad_probe_up_to_its_bound() {
    let breaker = Breaker::new(rules());
    let mut now = at(0);
    opened(&breaker, now);
    for seconds in [10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(breaker.rest(now), Duration::from_secs(seconds));
        now = now.after(Duration::from_secs(seconds));
        assert_eq!(call(&breaker, Outcome::Bad, now), Some(BreakerState::Open));
    }
}

#[test]
fn one_that_opens_again_soon_stays_open_longer_and_one_that_was_well_does_not() {
    let breaker = Breaker::new(rules());
    opened(&breaker, at(0));
    call(&breaker, Outcome::Good, at(10));
    call(&breaker, Outcome::Good, at(10));
    opened(&breaker, at(20));
    assert_eq!(breaker.rest(at(20)), Duration::from_secs(20));
    call(&breaker, Outcome::Good, at(40));
    call(&breaker, Outcome::Good, at(40));
    opened(&breaker, at(80));
    assert_eq!(breaker.rest(at(80)), Duration::from_secs(10));
}

#[test]
fn only_so_many_probe_at_the_same_time_and_one_that_is_given_up_leaves_its_place() {
    let breaker = Breaker::new(rules());
    opened(&breaker, at(0));
    let mut first = breaker.enter(at(10));
    let second = breaker.enter(at(10));
    assert_eq!((&first, &second), (&Permit::Probe, &Permit::Probe));
    assert!(!breaker.lets_through(at(10)));
    assert_eq!(breaker.enter(at(10)), Permit::Forced);
    breaker.leave(&mut first);
    breaker.leave(&mut first);
    assert!(breaker.lets_through(at(10)));
    assert_eq!(breaker.enter(at(10)), Permit::Probe);
    assert!(!breaker.lets_through(at(10)));
}

#[test]
fn a_call_that_set_out_before_it_opened_says_nothing_new() {
    let breaker = Breaker::new(rules());
    let mut slow = breaker.enter(at(0));
    opened(&breaker, at(0));
    assert_eq!(breaker.note(&mut slow, Outcome::Bad, at(10)), None);
    assert_eq!(breaker.state(at(10)), BreakerState::HalfOpen);
}

#[test]
fn what_others_saw_holds_here() {
    let breaker = Breaker::new(rules());
    breaker.open_until(at(30), at(0));
    assert_eq!(breaker.state(at(29)), BreakerState::Open);
    assert_eq!(breaker.untold(at(0)), None, "they know");
    breaker.close_told(at(5));
    assert_eq!(breaker.state(at(5)), BreakerState::Closed);
    breaker.open_until(at(4), at(5));
    assert_eq!(breaker.state(at(5)), BreakerState::Closed, "it is over");
}

#[test]
fn who_found_it_out_has_the_first_turn_to_try() {
    let breaker = Breaker::new(rules());
    breaker.open_as_told(at(30), Duration::from_secs(2), at(0));
    assert_eq!(breaker.state(at(35)), BreakerState::Open);
    assert_eq!(breaker.state(at(36)), BreakerState::HalfOpen);
    // A probe that says that it is well waits for nobody.
    breaker.end_rest(at(10));
    assert_eq!(breaker.state(at(10)), BreakerState::HalfOpen);
}

#[test]
fn what_turned_here_is_told_once() {
    let breaker = Breaker::new(rules());
    assert_eq!(breaker.untold(at(0)), None);
    opened(&breaker, at(0));
    assert_eq!(
        breaker.untold(at(1)),
        Some(News::Open(Duration::from_secs(9)))
    );
    assert_eq!(breaker.untold(at(1)), None);
    call(&breaker, Outcome::Good, at(10));
    call(&breaker, Outcome::Good, at(10));
    assert_eq!(breaker.untold(at(10)), Some(News::Closed));
    assert_eq!(breaker.untold(at(10)), None);
}

/// What happens to a breaker in a simulation.
#[derive(Debug, Clone, Copy)]
enum Event {
    Enter,
    End(usize, bool),
    GiveUp(usize),
    Pass(u16),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => Just(Event::Enter),
        6 => (0_usize..16, any::<bool>()).prop_map(|(at, good)| Event::End(at, good)),
        1 => (0_usize..16).prop_map(Event::GiveUp),
        3 => (0_u16..20_000).prop_map(Event::Pass),
    ];
    proptest::collection::vec(event, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn whatever_happens_probes_are_bounded_and_a_well_target_gets_its_calls_back(events in events()) {
        let breaker = Breaker::new(rules());
        let mut now = at(0);
        let mut under_way: Vec<Permit> = Vec::new();
        for event in events {
            match event {
                Event::Enter => {
                    let state = breaker.state(now);
                    let permit = breaker.enter(now);
                    prop_assert_eq!(permit == Permit::Free, state == BreakerState::Closed);
                    under_way.push(permit);
                }
                Event::End(index, good) if !under_way.is_empty() => {
                    let mut permit = under_way.swap_remove(index % under_way.len());
                    let before = breaker.state(now);
                    let outcome = if good { Outcome::Good } else { Outcome::Bad };
                    let turned = breaker.note(&mut permit, outcome, now);
                    if let Some(turned) = turned {
                        prop_assert_eq!(turned, breaker.state(now));
                        prop_assert_eq!(good, turned == BreakerState::Closed);
                    } else {
                        prop_assert_eq!(before, breaker.state(now));
                    }
                }
                Event::GiveUp(index) if !under_way.is_empty() => {
                    let mut permit = under_way.swap_remove(index % under_way.len());
                    breaker.leave(&mut permit);
                }
                Event::Pass(millis) => now = now.after(Duration::from_millis(millis.into())),
                Event::End(..) | Event::GiveUp(_) => {}
            }
            let probing = under_way.iter().filter(|it| **it == Permit::Probe).count();
            prop_assert!(probing <= rules().probes as usize);
            prop_assert_eq!(breaker.probing.load(Ordering::Relaxed) as usize, probing);
            prop_assert!(breaker.rest(now) <= rules().max_open);
        }
        for permit in &mut under_way {
            breaker.leave(permit);
        }
        now = now.after(rules().max_open);
        prop_assert!(breaker.lets_through(now));
        for _ in 0..rules().probes {
            call(&breaker, Outcome::Good, now);
        }
        prop_assert_eq!(breaker.state(now), BreakerState::Closed);
    }
}
