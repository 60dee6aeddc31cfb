//! The response port: answers that callers refer to later.

use domain::response::{KeptResponse, ResponseId, ResponseStore};
use jiff::Timestamp;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{key_id, other_organization, other_project, response, time};

on_both_engines!(
    an_answer_that_was_not_kept_is_none,
    an_answer_reads_back_byte_for_byte,
    an_answer_that_is_kept_stays_as_it_is,
    nobody_but_its_owner_finds_or_deletes_an_answer,
    a_deleted_answer_is_gone,
    an_answer_takes_the_place_of_what_was_kept_and_of_nothing_else,
    an_answer_is_not_found_after_its_time,
    answers_go_when_their_time_has_come_the_oldest_end_first,
);

async fn keep(bench: &Bench, responses: &[KeptResponse]) {
    bench.store.keep_responses(responses).await.unwrap();
}

async fn find(bench: &Bench, id: &ResponseId, now: Timestamp) -> Option<KeptResponse> {
    bench.store.response(id, key_id(1), now).await.unwrap()
}

async fn an_answer_that_was_not_kept_is_none(bench: Bench) {
    keep(&bench, &[]).await;
    let id = response(1).id;
    assert_eq!(find(&bench, &id, time(0)).await, None);
    assert!(!bench.store.delete_response(&id, key_id(1)).await.unwrap());
}

async fn an_answer_reads_back_byte_for_byte(bench: Bench) {
    let full = KeptResponse {
        organization_id: other_organization(),
        project_id: other_project(),
        is_at_provider: true,
        previous: Some(response(1).id),
        input: (0..=255).cycle().take(3_000_000).collect(),
        answer: vec![0, 0xff, 0x80, b'\''].into(),
        ..response(2)
    };
    keep(&bench, &[response(1), full.clone()]).await;
    for kept in [response(1), full] {
        assert_eq!(find(&bench, &kept.id, time(0)).await, Some(kept));
    }
}

async fn an_answer_that_is_kept_stays_as_it_is(bench: Bench) {
    keep(&bench, &[response(1)]).await;
    let otherwise = KeptResponse {
        key_id: key_id(2),
        answer: b"{}".to_vec().into(),
        ..response(1)
    };
    keep(&bench, &[otherwise, response(2)]).await;
    for kept in [response(1), response(2)] {
        assert_eq!(find(&bench, &kept.id, time(0)).await, Some(kept));
    }
}

async fn nobody_but_its_owner_finds_or_deletes_an_answer(bench: Bench) {
    keep(&bench, &[response(1)]).await;
    let (id, other) = (response(1).id, key_id(2));
    let found = bench.store.response(&id, other, time(0)).await.unwrap();
    assert_eq!(found, None);
    assert!(!bench.store.delete_response(&id, other).await.unwrap());
    assert!(find(&bench, &id, time(0)).await.is_some());
}

async fn a_deleted_answer_is_gone(bench: Bench) {
    keep(&bench, &[response(1), response(2)]).await;
    let id = response(1).id;
    assert!(bench.store.delete_response(&id, key_id(1)).await.unwrap());
    assert_eq!(find(&bench, &id, time(0)).await, None);
    assert!(!bench.store.delete_response(&id, key_id(1)).await.unwrap());
    assert!(find(&bench, &response(2).id, time(0)).await.is_some());
}

async fn an_answer_takes_the_place_of_what_was_kept_and_of_nothing_else(bench: Bench) {
    keep(&bench, &[response(1)]).await;
    let kept = response(1);
    let replace = async |owner, place: &[u8], answer: &[u8]| {
        let replaced = bench.store.replace_answer(&kept.id, owner, place, answer);
        replaced.await.unwrap()
    };
    let (place, other) = (kept.answer.to_vec(), key_id(2));
    let ids = [response(2).id, kept.id.clone()];
    let unreplaced = async || bench.store.unreplaced(&ids).await.unwrap();
    assert_eq!(unreplaced().await, std::slice::from_ref(&kept.id));
    assert!(!replace(other, &place, b"{}").await);
    assert!(!replace(key_id(1), b"something else", b"{}").await);
    assert!(replace(key_id(1), &place, b"{\"a\":1}").await);
    let expected = KeptResponse {
        answer: b"{\"a\":1}".to_vec().into(),
        ..kept.clone()
    };
    assert_eq!(find(&bench, &kept.id, time(0)).await, Some(expected));
    assert_eq!(unreplaced().await, []);
    assert!(!replace(key_id(1), &place, b"{}").await);
}

fn until(number: u64, keep_until: Timestamp) -> KeptResponse {
    KeptResponse {
        keep_until,
        ..response(number)
    }
}

async fn an_answer_is_not_found_after_its_time(bench: Bench) {
    keep(&bench, &[until(1, time(10))]).await;
    let id = response(1).id;
    assert!(find(&bench, &id, time(9)).await.is_some());
    assert_eq!(find(&bench, &id, time(10)).await, None);
}

async fn answers_go_when_their_time_has_come_the_oldest_end_first(bench: Bench) {
    let all = [
        until(1, time(20)),
        until(2, time(10)),
        until(3, time(15)),
        until(4, time(30)),
    ];
    keep(&bench, &all).await;
    let drop_expired = |limit| bench.store.drop_expired_responses(time(20), limit);
    assert_eq!(drop_expired(0).await.unwrap(), 0);
    assert_eq!(drop_expired(2).await.unwrap(), 2);
    assert!(find(&bench, &all[0].id, time(0)).await.is_some());
    assert_eq!(drop_expired(9).await.unwrap(), 1);
    assert!(find(&bench, &all[3].id, time(0)).await.is_some());
}
