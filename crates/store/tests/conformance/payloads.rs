//! The call port: what was said in calls.

use domain::call::{CallStore, Payload};
use jiff::Timestamp;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{other_organization, other_project, payload, request_id, time};

on_both_engines!(
    what_was_not_kept_is_none,
    a_payload_reads_back_byte_for_byte,
    what_is_kept_stays_as_it_is,
    an_identifier_of_any_time_is_kept,
    payloads_go_when_their_time_has_come,
    the_oldest_end_goes_first_and_no_more_than_the_limit,
);

async fn keep(bench: &Bench, payloads: &[Payload]) {
    bench.store.keep_payloads(payloads).await.unwrap();
}

async fn what_was_not_kept_is_none(bench: Bench) {
    keep(&bench, &[]).await;
    assert_eq!(bench.store.payload(request_id(1)).await.unwrap(), None);
    assert_eq!(
        bench
            .store
            .drop_expired_payloads(time(0), 10)
            .await
            .unwrap(),
        0
    );
}

async fn a_payload_reads_back_byte_for_byte(bench: Bench) {
    let large = Payload {
        organization_id: other_organization(),
        project_id: other_project(),
        request: (0..=255).cycle().take(3_000_000).collect(),
        response: Vec::new(),
        ..payload(2)
    };
    keep(&bench, &[payload(1), large.clone()]).await;
    assert_eq!(
        bench.store.payload(request_id(1)).await.unwrap(),
        Some(payload(1))
    );
    assert_eq!(
        bench.store.payload(request_id(2)).await.unwrap(),
        Some(large)
    );
}

async fn what_is_kept_stays_as_it_is(bench: Bench) {
    keep(&bench, &[payload(1)]).await;
    let otherwise = Payload {
        request: Vec::new(),
        keep_until: time(1),
        ..payload(1)
    };
    keep(&bench, &[otherwise, payload(2)]).await;
    assert_eq!(
        bench.store.payload(request_id(1)).await.unwrap(),
        Some(payload(1))
    );
    assert_eq!(
        bench.store.payload(request_id(2)).await.unwrap(),
        Some(payload(2))
    );
    assert_eq!(
        bench
            .store
            .drop_expired_payloads(time(1), 10)
            .await
            .unwrap(),
        0
    );
}

async fn an_identifier_of_any_time_is_kept(bench: Bench) {
    for digits in ["0".repeat(32), "f".repeat(32)] {
        let odd = Payload {
            request_id: format!("req_{digits}").parse().unwrap(),
            ..payload(1)
        };
        keep(&bench, std::slice::from_ref(&odd)).await;
        assert_eq!(
            bench.store.payload(odd.request_id).await.unwrap(),
            Some(odd)
        );
    }
}

fn until(number: u64, keep_until: Timestamp) -> Payload {
    Payload {
        keep_until,
        ..payload(number)
    }
}

async fn payloads_go_when_their_time_has_come(bench: Bench) {
    keep(
        &bench,
        &[until(1, time(10)), until(2, time(20)), until(3, time(30))],
    )
    .await;
    assert_eq!(
        bench
            .store
            .drop_expired_payloads(time(20), 10)
            .await
            .unwrap(),
        2
    );
    assert_eq!(bench.store.payload(request_id(1)).await.unwrap(), None);
    assert_eq!(bench.store.payload(request_id(2)).await.unwrap(), None);
    assert!(bench.store.payload(request_id(3)).await.unwrap().is_some());
    assert_eq!(
        bench
            .store
            .drop_expired_payloads(time(20), 10)
            .await
            .unwrap(),
        0
    );
}

async fn the_oldest_end_goes_first_and_no_more_than_the_limit(bench: Bench) {
    keep(
        &bench,
        &[until(1, time(3)), until(2, time(1)), until(3, time(2))],
    )
    .await;
    assert_eq!(
        bench.store.drop_expired_payloads(time(9), 2).await.unwrap(),
        2
    );
    assert!(bench.store.payload(request_id(1)).await.unwrap().is_some());
    assert_eq!(
        bench.store.drop_expired_payloads(time(9), 2).await.unwrap(),
        1
    );
    assert_eq!(
        bench.store.drop_expired_payloads(time(9), 0).await.unwrap(),
        0
    );
}
