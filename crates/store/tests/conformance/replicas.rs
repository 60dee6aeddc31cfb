//! The port of replicas: who lives.

use domain::fleet::{Replica, ReplicaStore};
use jiff::Timestamp;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{replica_id, time};

on_both_engines!(
    a_replica_that_beats_sees_itself_and_those_that_were_seen,
    a_beat_changes_what_was_said_before_and_not_when_it_started,
    who_was_not_seen_for_long_is_not_answered,
    a_replica_that_ended_is_forgotten,
    those_that_are_silent_for_long_are_dropped,
);

fn replica(number: u32, seen_at: Timestamp) -> Replica {
    Replica {
        id: replica_id(number.into()),
        started_at: time(number.into()),
        seen_at,
        version: "0.1.0".to_owned(),
        address: format!("machine-{number} (127.0.0.1:8080)"),
        is_sharing: number.is_multiple_of(2),
    }
}

async fn a_replica_that_beats_sees_itself_and_those_that_were_seen(bench: Bench) {
    let (first, second) = (replica(1, time(100)), replica(2, time(101)));
    let seen = bench.store.beat(&second, time(90)).await.unwrap();
    assert_eq!(seen, std::slice::from_ref(&second));
    let seen = bench.store.beat(&first, time(90)).await.unwrap();
    assert_eq!(seen, [first.clone(), second.clone()]);
    let seen = bench.store.replicas(time(101)).await.unwrap();
    assert_eq!(seen, [second]);
}

async fn a_beat_changes_what_was_said_before_and_not_when_it_started(bench: Bench) {
    let first = replica(1, time(100));
    bench.store.beat(&first, time(0)).await.unwrap();
    let later = Replica {
        seen_at: time(102),
        version: "0.2.0".to_owned(),
        is_sharing: true,
        ..first
    };
    let moved = Replica {
        started_at: time(99),
        ..later.clone()
    };
    assert_eq!(bench.store.beat(&moved, time(0)).await.unwrap(), [later]);
}

async fn who_was_not_seen_for_long_is_not_answered(bench: Bench) {
    let first = replica(1, time(100));
    bench.store.beat(&first, time(0)).await.unwrap();
    let second = replica(2, time(120));
    let seen = bench.store.beat(&second, time(110)).await.unwrap();
    assert_eq!(seen, [second]);
}

async fn a_replica_that_ended_is_forgotten(bench: Bench) {
    let first = replica(1, time(100));
    bench.store.beat(&first, time(0)).await.unwrap();
    bench
        .store
        .forget_replica(replica(2, time(0)).id)
        .await
        .unwrap();
    assert_eq!(bench.store.replicas(time(0)).await.unwrap().len(), 1);
    bench.store.forget_replica(first.id).await.unwrap();
    assert_eq!(bench.store.replicas(time(0)).await.unwrap(), []);
}

async fn those_that_are_silent_for_long_are_dropped(bench: Bench) {
    for number in 1..=3 {
        let replica = replica(number, time(i64::from(number) * 100));
        bench.store.beat(&replica, time(0)).await.unwrap();
    }
    let dropped = bench.store.drop_silent_replicas(time(300)).await.unwrap();
    assert_eq!(dropped, 2);
    let left = bench.store.replicas(time(0)).await.unwrap();
    assert_eq!(left, [replica(3, time(300))]);
}
