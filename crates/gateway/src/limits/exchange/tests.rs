//! Several replicas by one clock, which share counters as [`Shares`] says.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;

use domain::caller::Caller;
use domain::clock::Clock;
use domain::key::{Budget, Period, Rate};
use domain::limit::LEASE;
use domain::money::Cost;
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::counters::{Counters, Link};
use super::*;
use crate::limits::{Admission, Alert, EXCHANGE_PAUSE, LimitReached};
use crate::testing::{Hand, caller, expecting, poll, run, someone, somewhere, usually};

/// Replicas, and what they share.
struct Fleet {
    clock: Arc<Hand>,
    counters: Counters,
    replicas: Vec<(Limits, ReplicaId)>,
    alerts: Vec<Mutex<mpsc::Receiver<Alert>>>,
}

impl Fleet {
    fn of(count: usize) -> Self {
        let clock = Arc::new(Hand::default());
        let replicas = (0..count).map(|_| {
            let (limits, alerts) = Limits::new(Arc::clone(&clock) as Arc<dyn Clock>, true);
            limits.replicas_seen(u64::try_from(count).unwrap());
            ((limits, crate::testing::replica()), Mutex::new(alerts))
        });
        let (replicas, alerts) = replicas.unzip();
        Self {
            replicas,
            alerts,
            counters: Counters::shared_by(u64::try_from(count).unwrap(), &clock),
            clock,
        }
    }

    /// How many counters were exchanged, or `None` when they were away.
    fn exchange(&self, number: usize) -> Option<usize> {
        let (limits, replica) = &self.replicas[number];
        run(&self.clock, limits.exchange(&self.counters, *replica)).ok()
    }

    /// Of which parts operators were told there, in per cent.
    fn told(&self, number: usize) -> Vec<u8> {
        let mut alerts = self.alerts[number].lock().unwrap();
        std::iter::from_fn(|| alerts.try_recv().ok())
            .map(|alert| alert.percent)
            .collect()
    }

    fn lose(&self) {
        self.counters.lose();
    }

    fn cut_off(&self) {
        self.counters.link(Link::Cut);
    }

    fn ask(&self, number: usize, caller: &Caller) -> Option<Admission> {
        let (limits, _) = &self.replicas[number];
        limits.admit_now(caller, expecting(1, Some(0))).ok()
    }

    /// How many requests in a row are admitted, with an exchange whenever one is not.
    fn use_up(&self, number: usize, caller: &Caller) -> usize {
        let mut admitted = 0;
        for _ in 0..12 {
            while let Some(admission) = self.ask(number, caller) {
                admission.settle(1, 1, Cost::ZERO);
                admitted += 1;
            }
            self.clock.forward(EXCHANGE_PAUSE);
            self.exchange(number);
        }
        admitted
    }
}

/// How much of a budget is spent in a row, ten at a time, with an exchange of all whenever no more is to be had.
fn spend(fleet: &Fleet, number: usize, caller: &Caller, most: u64) -> u64 {
    let (provider, mut spent) = (someone(), 0);
    for _ in 0..12 {
        while let Some(mut admission) = fleet.ask(number, caller) {
            let cost = Cost::from_nano_dollars(10);
            if admission
                .reserve(somewhere(&provider), usually(cost))
                .is_err()
            {
                break;
            }
            admission.settle(1, 1, cost);
            spent += 10;
            if spent >= most {
                return spent;
            }
        }
        fleet.clock.forward(EXCHANGE_PAUSE);
        for number in 0..fleet.replicas.len() {
            fleet.exchange(number);
        }
    }
    spent
}

/// A key that may spend so many nano-dollars a day.
fn a_day(nano_dollars: i64) -> Caller {
    let budget = Budget {
        limit: Cost::from_nano_dollars(nano_dollars),
        per: Period::Day,
    };
    caller(Rate::default(), Some(budget))
}

fn a_minute(rpm: u32) -> Caller {
    let rate = Rate {
        rpm: Some(rpm),
        tpm: None,
        ..Rate::default()
    };
    caller(rate, None)
}

#[test]
fn a_rate_is_one_rate_for_all_replicas_together() {
    let (fleet, caller) = (Fleet::of(3), a_minute(60));
    let used: Vec<usize> = (0..3).map(|number| fleet.use_up(number, &caller)).collect();
    assert_eq!(used, [60, 0, 0]);
}

#[test]
fn one_exchange_is_enough_for_all_limits_of_a_call() {
    let rate = Rate {
        rpm: Some(60),
        tpm: Some(6_000),
        ..Rate::default()
    };
    let (fleet, caller) = (Fleet::of(1), caller(rate, None));
    assert!(fleet.ask(0, &caller).is_none(), "nothing is shared out yet");
    assert_eq!(fleet.exchange(0), Some(2));
    assert!(fleet.ask(0, &caller).is_some());
}

#[test]
fn what_is_given_back_is_the_others_at_once() {
    let (fleet, caller) = (Fleet::of(2), a_minute(100));
    assert!(fleet.ask(0, &caller).is_none(), "nothing is shared out yet");
    fleet.exchange(0);
    fleet.ask(0, &caller).unwrap().settle(1, 1, Cost::ZERO);
    let (limits, replica) = &fleet.replicas[0];
    run(&fleet.clock, limits.give_back(&fleet.counters, *replica)).unwrap();
    assert_eq!(fleet.use_up(1, &caller), 99);
}

#[test]
fn a_counter_of_which_nothing_is_wanted_is_not_exchanged_every_time() {
    let (fleet, caller) = (Fleet::of(1), a_minute(100));
    fleet.ask(0, &caller);
    fleet.exchange(0);
    fleet.ask(0, &caller).unwrap().settle(1, 1, Cost::ZERO);
    let mut exchanged = 0;
    for _ in 0..150 {
        fleet.clock.forward(EXCHANGE_PAUSE);
        exchanged += fleet.exchange(0).unwrap();
    }
    // Thirty seconds: some times until it wants nothing any more, then every six seconds.
    assert!(exchanged <= 15, "{exchanged} exchanges");
}

#[test]
fn what_idle_replicas_used_is_said_anew_when_everything_was_lost() {
    let (fleet, caller) = (Fleet::of(2), a_minute(100));
    fleet.ask(0, &caller);
    fleet.exchange(0);
    for _ in 0..2 {
        fleet.ask(0, &caller).unwrap().settle(1, 1, Cost::ZERO);
    }
    for _ in 0..10 {
        fleet.clock.forward(EXCHANGE_PAUSE);
        fleet.exchange(0);
    }
    assert_eq!(fleet.exchange(0), Some(0), "it rests");
    fleet.lose();
    // Long before an exchange falls due.
    fleet.clock.forward(Duration::from_secs(1));
    fleet.exchange(0);
    assert_eq!(fleet.exchange(0), Some(1));
    assert_eq!(fleet.use_up(1, &caller), 98);
}

#[test]
fn a_replica_on_its_own_gives_out_its_share_and_its_part_of_the_rest() {
    let (fleet, caller) = (Fleet::of(2), a_minute(100));
    for number in [0, 1, 0, 1] {
        fleet.ask(number, &caller);
        fleet.exchange(number);
    }
    fleet.cut_off();
    let used: Vec<usize> = (0..2).map(|number| fleet.use_up(number, &caller)).collect();
    assert!(used.iter().all(|used| *used > 40), "{used:?}");
    assert!(used.iter().sum::<usize>() <= 100, "{used:?}");
}

#[test]
fn a_replica_that_was_cut_off_for_longer_than_its_lease_has_its_part_and_no_more() {
    let (fleet, caller) = (Fleet::of(4), a_minute(100));
    assert_eq!(fleet.use_up(0, &caller), 100);
    fleet.cut_off();
    fleet.ask(0, &caller);
    fleet.exchange(0);
    fleet.clock.forward(LEASE + Duration::from_secs(1));
    fleet.exchange(0);
    // The minute is over, and the others may have been given the share meanwhile.
    fleet.clock.forward(Duration::from_mins(1));
    assert_eq!(fleet.use_up(0, &caller), 25);
}

#[test]
fn a_rate_holds_however_long_nobody_can_be_asked() {
    let (fleet, caller) = (Fleet::of(2), a_minute(100));
    for number in [1, 0, 1] {
        fleet.ask(number, &caller);
        fleet.exchange(number);
    }
    fleet.ask(1, &caller).unwrap().settle(1, 1, Cost::ZERO);
    let before = fleet.use_up(0, &caller);
    fleet.exchange(1);
    fleet.cut_off();
    let alone = before + 1 + fleet.use_up(0, &caller);
    assert!(alone > 90, "{alone}");
    // The leases end, and the minute does not.
    for _ in 0..20 {
        fleet.clock.forward(Duration::from_secs(1));
        fleet.exchange(0);
        fleet.exchange(1);
    }
    let all = alone + fleet.use_up(1, &caller);
    assert!(all <= 100, "{all} in a minute");
    // Then everybody has a part.
    for _ in 0..70 {
        fleet.clock.forward(Duration::from_secs(1));
        fleet.exchange(0);
        fleet.exchange(1);
    }
    let used: Vec<usize> = (0..2).map(|number| fleet.use_up(number, &caller)).collect();
    assert_eq!(used, [50, 50]);
}

#[test]
fn a_budget_holds_however_long_nobody_can_be_asked() {
    let (fleet, caller) = (Fleet::of(2), a_day(1_000));
    assert_eq!(spend(&fleet, 0, &caller, 100), 100);
    assert_eq!(spend(&fleet, 1, &caller, 100), 100);
    fleet.exchange(0);
    fleet.cut_off();
    let mut spent = 200;
    for _ in 0..20 {
        spent += spend(&fleet, 0, &caller, u64::MAX);
        spent += spend(&fleet, 1, &caller, u64::MAX);
        fleet.clock.forward(LEASE);
    }
    assert!((700..=1_000).contains(&spent), "{spent}");
}

#[test]
fn of_a_period_that_begins_while_nobody_can_be_asked_each_has_its_part() {
    let (fleet, caller) = (Fleet::of(4), a_day(1_000));
    spend(&fleet, 0, &caller, 100);
    fleet.cut_off();
    fleet.clock.forward(Duration::from_hours(24));
    assert_eq!(spend(&fleet, 0, &caller, u64::MAX), 250);
}

#[test]
fn what_was_offered_back_is_not_given_out_when_the_answer_does_not_come() {
    let (fleet, caller) = (Fleet::of(2), a_minute(63));
    let take = |number: usize, count: usize| {
        for _ in 0..count {
            fleet.ask(number, &caller).unwrap().settle(1, 1, Cost::ZERO);
        }
        fleet.exchange(number);
    };
    fleet.ask(0, &caller);
    fleet.exchange(0);
    for count in [1, 2, 4, 8, 16] {
        take(0, count);
    }
    // All is its share. It offers back what it does not expect to need, is heard, and does not know.
    fleet.counters.link(Link::Deaf);
    for _ in 0..3 {
        fleet.exchange(0);
    }
    fleet.counters.link(Link::Whole);
    let others = fleet.use_up(1, &caller);
    fleet.cut_off();
    let used = 31 + others + fleet.use_up(0, &caller);
    assert!(others > 0 && used <= 63, "{others} of {used}");
}

#[test]
fn money_that_was_spent_before_a_loss_stays_spent() {
    let (fleet, caller) = (Fleet::of(2), a_day(100));
    assert_eq!(spend(&fleet, 0, &caller, 60), 60);
    fleet.exchange(0);
    fleet.lose();
    fleet.exchange(0);
    fleet.exchange(0);
    assert_eq!(spend(&fleet, 1, &caller, u64::MAX), 40);
}

/// A call that waits to be admitted.
type Asked<'a> = Pin<Box<dyn Future<Output = Result<Admission, LimitReached>> + 'a>>;

impl Fleet {
    /// So many calls that come at once and find no room at their replica.
    fn waiting<'a>(&'a self, number: usize, caller: &'a Caller, count: usize) -> Vec<Asked<'a>> {
        let (limits, _) = &self.replicas[number];
        let asked = (0..count)
            .map(|_| -> Asked<'a> { Box::pin(limits.admit(caller, expecting(1, Some(0)))) });
        let mut asked: Vec<_> = asked.collect();
        for call in &mut asked {
            assert!(poll(call.as_mut()).is_pending(), "it does not wait");
        }
        asked
    }
}

/// How many of those who wait are admitted and refused, when each is woken in its turn.
fn outcome(asked: &mut Vec<Asked<'_>>) -> (usize, usize) {
    let (mut admitted, mut refused) = (0, 0);
    loop {
        let before = asked.len();
        asked.retain_mut(|call| match poll(call.as_mut()) {
            Poll::Pending => true,
            Poll::Ready(Ok(admission)) => {
                admission.settle(1, 1, Cost::ZERO);
                admitted += 1;
                false
            }
            Poll::Ready(Err(_)) => {
                refused += 1;
                false
            }
        });
        if asked.len() == before {
            return (admitted, refused);
        }
    }
}

#[test]
fn a_cold_replica_under_full_load_lets_everybody_wait_for_its_first_share() {
    let (fleet, caller) = (Fleet::of(2), a_minute(10_000));
    let mut asked = fleet.waiting(0, &caller, 4_000);
    let (limits, replica) = &fleet.replicas[0];
    fleet.counters.link(Link::Slow);
    let mut exchange = Box::pin(limits.exchange(&fleet.counters, *replica));
    assert!(poll(exchange.as_mut()).is_pending());
    fleet.clock.forward(Duration::from_millis(150));
    asked.extend(fleet.waiting(0, &caller, 1_000));
    fleet.counters.answer(*replica, true);
    assert!(poll(exchange.as_mut()).is_ready());
    // Whoever comes while they are let in one after the other stands behind them.
    asked.extend(fleet.waiting(0, &caller, 10));
    assert_eq!(
        outcome(&mut asked),
        (4_000, 0),
        "all who were there when it was asked"
    );
    fleet.counters.link(Link::Whole);
    fleet.exchange(0);
    assert_eq!(
        outcome(&mut asked),
        (1_010, 0),
        "one exchange is enough for all who wait"
    );
    assert!(asked.is_empty());
}

#[test]
fn a_cold_replica_that_gets_no_share_gives_out_its_part_and_refuses_the_others_in_time() {
    let (fleet, caller) = (Fleet::of(2), a_minute(100));
    let mut asked = fleet.waiting(0, &caller, 150);
    fleet.cut_off();
    assert_eq!(fleet.exchange(0), None);
    assert_eq!(outcome(&mut asked), (50, 0));
    fleet.clock.forward(Duration::from_millis(500));
    assert_eq!(outcome(&mut asked), (0, 100));
}

#[test]
fn what_the_others_have_used_up_is_not_waited_for() {
    let (fleet, caller) = (Fleet::of(2), a_minute(60));
    assert_eq!(fleet.use_up(0, &caller), 60);
    assert!(fleet.ask(1, &caller).is_none());
    fleet.exchange(1);
    let (limits, _) = &fleet.replicas[1];
    let mut asked = std::pin::pin!(limits.admit(&caller, expecting(1, Some(0))));
    assert!(matches!(poll(asked.as_mut()), Poll::Ready(Err(_))));
}

#[test]
fn a_call_that_did_not_get_enough_does_not_ask_without_a_pause() {
    let (fleet, caller) = (Fleet::of(2), a_minute(60));
    fleet.ask(0, &caller);
    fleet.exchange(0);
    // The other has a part of the rest that it does not use.
    let mut first = fleet.waiting(1, &caller, 1);
    fleet.exchange(1);
    assert_eq!(outcome(&mut first), (1, 0));
    while fleet.ask(0, &caller).is_some_and(|admission| {
        admission.settle(1, 1, Cost::ZERO);
        true
    }) || fleet
        .exchange(0)
        .is_some_and(|_| fleet.ask(0, &caller).is_some())
    {}
    let (limits, _) = &fleet.replicas[0];
    let mut asked = fleet.waiting(0, &caller, 1);
    let began = fleet.clock.elapsed();
    run(&fleet.clock, limits.share_wanted());
    assert_eq!(
        fleet.clock.elapsed(),
        began,
        "the first is asked for at once"
    );
    fleet.exchange(0);
    assert_eq!(outcome(&mut asked), (0, 0), "it still waits");
    run(&fleet.clock, limits.share_wanted());
    let waited = fleet.clock.elapsed().checked_sub(began);
    assert_eq!(waited, Some(Duration::from_millis(20)));
}

#[test]
fn money_waits_for_the_first_share_where_there_are_other_targets_too() {
    let (fleet, caller) = (Fleet::of(1), a_day(1_000));
    let (limits, _) = &fleet.replicas[0];
    let mut admission = limits.admit_now(&caller, expecting(1, Some(0))).unwrap();
    let provider = someone();
    let outlay = usually(Cost::from_nano_dollars(10));
    let mut reserved = Box::pin(admission.reserve_when_shared(somewhere(&provider), outlay));
    assert!(poll(reserved.as_mut()).is_pending());
    fleet.exchange(0);
    assert!(matches!(poll(reserved.as_mut()), Poll::Ready(Ok(()))));
}

#[test]
fn a_budget_that_replicas_use_up_together_is_told_of() {
    let (fleet, caller) = (Fleet::of(2), a_day(100));
    assert_eq!(spend(&fleet, 0, &caller, 40), 40);
    assert_eq!(spend(&fleet, 1, &caller, 40), 40);
    fleet.exchange(0);
    let told: Vec<u8> = (0..2).flat_map(|number| fleet.told(number)).collect();
    assert!(told.contains(&80), "{told:?}");
}

/// What happens next at a replica.
#[derive(Debug, Clone)]
enum Step {
    Ask(usize),
    Exchange(usize),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0usize..3).prop_map(Step::Ask),
        3 => (0usize..3).prop_map(Step::Exchange),
        1 => (0u64..30).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_minute_of_all_replicas_together_has_more_than_the_rate(steps in steps()) {
        let (fleet, caller) = (Fleet::of(3), a_minute(20));
        let mut admitted: VecDeque<u64> = VecDeque::new();
        for step in steps {
            match step {
                Step::Ask(number) => {
                    if let Some(admission) = fleet.ask(number, &caller) {
                        admission.settle(1, 1, Cost::ZERO);
                        let now = fleet.clock.elapsed().as_secs();
                        admitted.push_back(now);
                        while admitted.front().is_some_and(|then| now - then >= 60) {
                            admitted.pop_front();
                        }
                        prop_assert!(admitted.len() <= 20, "{} in a minute", admitted.len());
                    }
                }
                Step::Exchange(number) => {
                    fleet.exchange(number);
                }
                Step::Pass(seconds) => {
                    // Everyone is heard of before a lease ends.
                    for _ in 0..seconds / 5 {
                        fleet.clock.forward(Duration::from_secs(5));
                        for number in 0..3 {
                            fleet.exchange(number);
                        }
                    }
                }
            }
        }
    }
}
