use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::entropy::Entropy;
use crate::limit::CounterName;

/// Always the same bytes, so that replicas are told apart by their time.
struct Even;

impl Entropy for Even {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

fn replica(number: i64) -> ReplicaId {
    ReplicaId::new(Timestamp::from_second(number).unwrap(), &Even)
}

fn demand(span: Span) -> Demand {
    Demand {
        counter: CounterName::of(&["all", "test"]),
        span,
        capacity: 100,
        epoch: None,
        spent: 0,
        unsaid: 0,
        held: 0,
        known: 0,
        wanted: 0,
    }
}

const MONTH: Span = Span::Period(None);
const MINUTE: Span = Span::Sliding(Duration::from_mins(1));

#[test]
fn shares_together_are_never_more_than_there_is() {
    let mut shares = Shares::new(Epoch(1), Duration::ZERO);
    let wants = |wanted| Demand {
        wanted,
        ..demand(MINUTE)
    };
    let first = shares.exchange(replica(1), 1, &wants(70), Duration::ZERO);
    let second = shares.exchange(replica(2), 1, &wants(70), Duration::ZERO);
    assert_eq!((first.share, second.share), (70, 30));
    assert_eq!(second.unallocated, 0);
}

#[test]
fn who_waits_gets_an_equal_part_in_the_end() {
    let mut shares = Shares::new(Epoch(1), Duration::ZERO);
    let wants = |wanted| Demand {
        wanted,
        ..demand(MINUTE)
    };
    let now = Duration::ZERO;
    shares.exchange(replica(1), 1, &wants(100), now);
    shares.exchange(replica(2), 1, &wants(100), now);
    let told = shares.exchange(replica(1), 1, &wants(100), now);
    assert_eq!((told.share, told.fair), (100, 50));
    shares.exchange(replica(1), 1, &wants(told.fair), now);
    assert_eq!(shares.exchange(replica(2), 1, &wants(100), now).share, 50);
}

#[test]
fn who_is_silent_loses_the_share_and_not_what_was_taken() {
    let mut shares = Shares::new(Epoch(1), Duration::ZERO);
    let said = Demand {
        spent: 10,
        unsaid: 10,
        held: 5,
        wanted: 80,
        ..demand(MONTH)
    };
    shares.exchange(replica(1), 1, &said, Duration::ZERO);
    let wants = Demand {
        wanted: 100,
        ..demand(MONTH)
    };
    let early = shares.exchange(replica(2), 1, &wants, LEASE);
    assert_eq!(early.share, 20);
    let late = shares.exchange(replica(2), 1, &wants, LEASE + Duration::from_secs(1));
    assert_eq!((late.share, late.spent_elsewhere), (90, 10));
    let gone = shares.exchange(replica(3), 1, &wants, GONE + Duration::from_secs(20));
    assert_eq!(gone.spent_elsewhere, 10);
    assert_eq!(shares.replicas.len(), 1);
}

#[test]
fn a_minute_is_over_a_minute_after_the_lease() {
    let mut shares = Shares::new(Epoch(1), Duration::ZERO);
    let said = Demand {
        spent: 100,
        wanted: 100,
        ..demand(MINUTE)
    };
    shares.exchange(replica(1), 1, &said, Duration::ZERO);
    let end = LEASE + Duration::from_mins(1);
    assert!(!shares.is_over(MINUTE, end));
    assert!(shares.is_over(MINUTE, end + Duration::from_secs(1)));
}

#[test]
fn what_was_said_stays_taken_when_a_replica_begins_anew() {
    let mut shares = Shares::new(Epoch(1), Duration::ZERO);
    let says = |spent, known| Demand {
        epoch: Some(Epoch(1)),
        spent,
        known,
        wanted: spent,
        ..demand(MONTH)
    };
    shares.exchange(replica(1), 1, &says(30, 30), Duration::ZERO);
    shares.exchange(replica(2), 1, &says(50, 80), Duration::ZERO);
    // It was cut off, and does not know what the other has spent since.
    let anew = Demand {
        known: 30,
        wanted: 100,
        ..demand(MONTH)
    };
    let late = GONE / 2 + Duration::from_secs(1);
    shares.exchange(replica(2), 1, &says(50, 80), late);
    for _ in 0..2 {
        let grant = shares.exchange(replica(1), 1, &anew, late);
        assert_eq!((grant.share, grant.spent_elsewhere), (20, 80));
    }
}

#[test]
fn a_counter_that_was_lost_begins_at_what_is_known() {
    let mut before = Shares::new(Epoch(1), Duration::ZERO);
    let joins = |known| Demand {
        known,
        wanted: 10,
        ..demand(MONTH)
    };
    let first = before.exchange(replica(1), 1, &joins(0), Duration::ZERO);
    before.exchange(replica(2), 1, &joins(0), Duration::ZERO);
    let mut after = Shares::new(Epoch(2), Duration::ZERO);
    // The first spent 30 and knows of 20 of the other's, who spent 25.
    let told = Demand {
        epoch: Some(first.epoch),
        spent: 30,
        known: 50,
        wanted: 30,
        ..demand(MONTH)
    };
    let grant = after.exchange(replica(1), 1, &told, Duration::ZERO);
    assert_eq!((grant.epoch, grant.spent_elsewhere), (Epoch(2), 50));
    // Having heard so, it counts from there.
    let anew = Demand {
        epoch: Some(Epoch(2)),
        spent: 0,
        wanted: 10,
        ..told
    };
    after.exchange(replica(1), 1, &anew, Duration::ZERO);
    let second = after.exchange(replica(2), 1, &joins(55), Duration::ZERO);
    assert_eq!(second.spent_elsewhere, 55);
}

#[test]
fn what_nobody_knew_of_when_everything_was_lost_counts_of_each_replica() {
    let mut shares = Shares::new(Epoch(2), Duration::ZERO);
    // Each knows of the 40 that all had said, and has taken more since.
    let says = |spent, unsaid| Demand {
        epoch: Some(Epoch(1)),
        spent,
        unsaid,
        known: 40 + unsaid,
        wanted: spent,
        ..demand(MONTH)
    };
    let first = shares.exchange(replica(1), 2, &says(27, 7), Duration::ZERO);
    assert_eq!((first.share, first.spent_elsewhere), (7, 40));
    // Whose answer is lost says it again, and more.
    shares.exchange(replica(2), 2, &says(25, 5), Duration::ZERO);
    let second = shares.exchange(replica(2), 2, &says(28, 8), Duration::ZERO);
    assert_eq!((second.share, second.spent_elsewhere), (8, 47));
    let anyone = shares.exchange(replica(3), 2, &demand(MONTH), Duration::ZERO);
    assert_eq!(anyone.spent_elsewhere, 55);
}

#[test]
fn a_replica_that_was_heard_and_not_answered_says_the_same_again_once() {
    let mut shares = Shares::new(Epoch(1), Duration::ZERO);
    // It gives out its part alone, and began with the 20 that the ledger knew.
    let says = |unsaid| Demand {
        spent: unsaid,
        unsaid,
        known: 20 + unsaid,
        wanted: unsaid,
        ..demand(MONTH)
    };
    shares.exchange(replica(1), 2, &says(3), Duration::ZERO);
    shares.exchange(replica(1), 2, &says(5), Duration::ZERO);
    let anyone = shares.exchange(replica(2), 2, &demand(MONTH), Duration::ZERO);
    assert_eq!(anyone.spent_elsewhere, 25);
}

#[test]
fn what_is_not_known_after_a_loss_is_left_to_those_who_were_not_heard_of() {
    let mut shares = Shares::new(Epoch(1), Duration::from_secs(90));
    let wants = Demand {
        wanted: 100,
        ..demand(MINUTE)
    };
    let now = Duration::from_secs(91);
    let first = shares.exchange(replica(1), 3, &wants, now);
    // Nor may one that is cut off then take of what is left to the others.
    assert_eq!((first.share, first.unallocated), (34, 0));
    let took = Demand {
        spent: 40,
        wanted: 40,
        ..demand(MINUTE)
    };
    shares.exchange(replica(2), 3, &took, now);
    assert_eq!(shares.exchange(replica(1), 3, &wants, now).share, 30);
    // Who is still silent then has no lease any more.
    let later = Duration::from_secs(90) + LEASE;
    assert_eq!(shares.exchange(replica(1), 3, &wants, later).share, 60);
}

#[test]
fn a_clock_that_is_set_back_makes_no_lease_longer() {
    let mut shares = Shares::new(Epoch(1), Duration::ZERO);
    let wants = |wanted| Demand {
        wanted,
        ..demand(MINUTE)
    };
    let day = Duration::from_hours(24);
    shares.exchange(replica(1), 1, &wants(100), day);
    let back = Duration::from_hours(1);
    let early = shares.exchange(replica(2), 1, &wants(100), back);
    assert_eq!(early.share, 0, "the lease holds");
    let late = back + LEASE + Duration::from_secs(1);
    let granted = shares.exchange(replica(2), 1, &wants(100), late);
    assert_eq!(granted.share, 100);
}

/// A replica that keeps to the rules of an exchange.
#[derive(Debug, Clone, Default)]
struct Honest {
    epoch: Option<Epoch>,
    share: u64,
    spent: u64,
    known_elsewhere: u64,
}

proptest! {
    #[test]
    fn whatever_honest_replicas_do_the_capacity_holds(
        steps in prop::collection::vec((0usize..3, 0u64..60, 0u64..120, 0u64..9), 1..200),
    ) {
        let mut shares = Shares::new(Epoch(1), Duration::ZERO);
        let mut replicas = vec![Honest::default(); 3];
        let mut now = Duration::ZERO;
        for (who, spends, wanted, passes) in steps {
            now += Duration::from_secs(passes);
            for (number, one) in replicas.iter_mut().enumerate() {
                // Everyone is heard of before the lease ends.
                let (spends, wanted) = if number == who { (spends, wanted) } else { (0, one.spent) };
                one.spent += spends.min(one.share.saturating_sub(one.spent));
                let said = Demand {
                    epoch: one.epoch,
                    spent: one.spent,
                    known: one.spent + one.known_elsewhere,
                    wanted,
                    ..demand(MONTH)
                };
                let grant = shares.exchange(replica(i64::try_from(number).unwrap()), 1, &said, now);
                one.epoch = Some(grant.epoch);
                one.share = grant.share;
                one.known_elsewhere = grant.spent_elsewhere;
            }
            let spent: u64 = replicas.iter().map(|one| one.spent).sum();
            prop_assert!(spent <= 100);
            let last = shares.exchange(replica(9), 1, &demand(MONTH), now);
            prop_assert_eq!(last.spent_elsewhere, spent);
        }
    }
}
