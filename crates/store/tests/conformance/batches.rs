//! Batches: held by one replica at a time, and each of their lines counted once.

use domain::batch::{
    Batch, BatchCursor, BatchFace, BatchState, BatchStore, EndedLine, EndedLines, Handover,
    HandoverStep, Hold, LineFault,
};
use domain::id::ReplicaId;
use domain::money::Cost;
use domain::usage::Usage;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{batch, batch_id, key_id, replica_id, request_id, time};

on_both_engines!(
    a_batch_comes_back_as_it_was_added,
    a_batch_of_another_key_is_unknown,
    a_key_has_a_bounded_number_of_open_batches,
    a_list_goes_both_ways,
    a_batch_is_held_by_one_replica_at_a_time,
    a_lease_that_is_over_is_for_anybody,
    those_in_progress_are_found_whoever_holds_them,
    replicas_that_claim_at_once_get_different_batches,
    whoever_lost_a_batch_writes_nothing,
    a_line_counts_once,
    a_wish_to_cancel_stays_beside_what_the_holder_writes,
    a_batch_that_has_ended_is_let_go_of_with_its_lines,
    only_a_batch_that_has_ended_can_be_deleted,
    old_batches_go_when_they_have_ended,
);

async fn add(bench: &Bench, batches: impl IntoIterator<Item = Batch>) {
    for batch in batches {
        assert!(bench.store.add_batch(&batch, 100).await.unwrap());
    }
}

/// Claims at `now` for ten seconds.
async fn claim(bench: &Bench, holder: ReplicaId, now: i64) -> Option<Batch> {
    bench
        .store
        .claim_batch(holder, time(now), time(now + 10))
        .await
        .unwrap()
}

fn line(number: u32, status: u16) -> EndedLine {
    EndedLine {
        number,
        request_id: request_id(u64::from(number)),
        status,
        body: format!("{{\"n\":{number}}}").into(),
    }
}

async fn found(bench: &Bench, number: u64) -> Batch {
    let found = bench.store.batch(batch_id(number), key_id(1)).await;
    found.unwrap().unwrap()
}

async fn a_batch_comes_back_as_it_was_added(bench: Bench) {
    let plain = batch(1);
    let mut full = batch(2);
    full.face = BatchFace::Anthropic;
    full.details.metadata = Some(serde_json::json!({"größe": "東京"}));
    full.details.output_seconds = Some(3600);
    full.details.lines = u32::MAX;
    full.details.faults = vec![LineFault {
        code: "invalid_json_line".to_owned(),
        message: "No.".to_owned(),
        param: Some("body.model".to_owned()),
        line: Some(7),
    }];
    full.details.handovers = vec![Handover {
        provider: "openai".parse().unwrap(),
        model: "gpt-5.4".to_owned(),
        asked_as: vec!["fast".parse().unwrap(), "openai/gpt-5.4".parse().unwrap()],
        lines: u32::MAX,
        reserved: Cost::from_nano_dollars(7),
        number: 1,
        at: time(5),
        file: Some("file-x".to_owned()),
        step: HandoverStep::Running {
            id: "batch_x".to_owned(),
            is_certain: true,
        },
        is_stopped: true,
        not_this: vec!["batch_w".to_owned()],
    }];
    full.details.usage = Some(Usage::text(3, 4));
    full.details.model = Some("gpt".to_owned());
    full.details.in_progress_at = Some(time(1));
    full.details.finalizing_at = Some(time(2));
    full.details.ended_at = Some(time(3));
    full.details.output = Some(full.details.input);
    full.details.errors = Some(full.details.input);
    add(&bench, [plain.clone(), full.clone()]).await;
    assert_eq!(found(&bench, 1).await, plain);
    assert_eq!(found(&bench, 2).await, full);
}

async fn a_batch_of_another_key_is_unknown(bench: Bench) {
    add(&bench, [batch(1)]).await;
    let store = &bench.store;
    let (id, other) = (batch_id(1), key_id(2));
    assert_eq!(store.batch(id, other).await.unwrap(), None);
    assert_eq!(store.cancel_batch(id, other, time(1)).await.unwrap(), None);
    assert!(!store.delete_batch(id, other).await.unwrap());
    let listed = store.list_batches(other, BatchFace::Openai, None, 10).await;
    assert!(listed.unwrap().is_empty());
    assert_eq!(found(&bench, 1).await.cancelling_at, None);
}

async fn a_key_has_a_bounded_number_of_open_batches(bench: Bench) {
    let store = &bench.store;
    for number in 1..=2 {
        assert!(store.add_batch(&batch(number), 2).await.unwrap());
    }
    assert!(!store.add_batch(&batch(3), 2).await.unwrap());
    let mut of_another = batch(4);
    of_another.key_id = key_id(2);
    assert!(store.add_batch(&of_another, 2).await.unwrap());
    let mut ended = claim(&bench, replica_id(1), 0).await.unwrap();
    ended.state = BatchState::Completed;
    assert!(store.save_batch(&ended, replica_id(1)).await.unwrap());
    assert!(store.add_batch(&batch(3), 2).await.unwrap());
}

async fn a_list_goes_both_ways(bench: Bench) {
    let mut elsewhere = batch(9);
    elsewhere.face = BatchFace::Anthropic;
    add(&bench, (1..=5).map(batch).chain([elsewhere])).await;
    let list = async |cursor, limit| {
        let face = BatchFace::Openai;
        let listed = bench.store.list_batches(key_id(1), face, cursor, limit);
        let listed = listed.await.unwrap();
        listed.into_iter().map(|batch| batch.id).collect::<Vec<_>>()
    };
    let ids = |numbers: &[u64]| numbers.iter().map(|it| batch_id(*it)).collect::<Vec<_>>();
    assert_eq!(list(None, 10).await, ids(&[5, 4, 3, 2, 1]));
    assert_eq!(list(None, 2).await, ids(&[5, 4]));
    let after = BatchCursor::After(batch_id(4));
    assert_eq!(list(Some(after), 2).await, ids(&[3, 2]));
    let before = BatchCursor::Before(batch_id(2));
    assert_eq!(list(Some(before), 2).await, ids(&[4, 3]));
}

async fn a_batch_is_held_by_one_replica_at_a_time(bench: Bench) {
    add(&bench, [batch(1)]).await;
    let (one, other) = (replica_id(1), replica_id(2));
    assert_eq!(claim(&bench, one, 100).await, Some(batch(1)));
    assert_eq!(claim(&bench, other, 105).await, None);
    let hold = bench.store.hold_batch(batch_id(1), one, time(120)).await;
    let cancelling_at = None;
    assert_eq!(hold.unwrap(), Hold::Held { cancelling_at });
    assert_eq!(claim(&bench, other, 115).await, None);
    bench.store.release_batch(batch_id(1), other).await.unwrap();
    assert_eq!(claim(&bench, other, 115).await, None);
    bench.store.release_batch(batch_id(1), one).await.unwrap();
    assert!(claim(&bench, other, 115).await.is_some());
}

async fn a_lease_that_is_over_is_for_anybody(bench: Bench) {
    add(&bench, [batch(1)]).await;
    let (one, other) = (replica_id(1), replica_id(2));
    claim(&bench, one, 100).await.unwrap();
    assert!(claim(&bench, other, 110).await.is_some());
    let hold = bench.store.hold_batch(batch_id(1), one, time(120)).await;
    assert_eq!(hold.unwrap(), Hold::Lost);
    let gone = bench.store.hold_batch(batch_id(7), one, time(120)).await;
    assert_eq!(gone.unwrap(), Hold::Lost);
}

async fn those_in_progress_are_found_whoever_holds_them(bench: Bench) {
    add(&bench, (1..=4).map(batch)).await;
    for number in 1..=4_u64 {
        let holder = replica_id(number);
        let mut claimed = claim(&bench, holder, 100).await.unwrap();
        claimed.state = match claimed.id {
            id if id == batch_id(2) => BatchState::Completed,
            _ => BatchState::InProgress,
        };
        let saved = bench.store.save_before_asking(&claimed, holder).await;
        assert!(saved.unwrap());
    }
    assert!(bench.store.add_batch(&batch(5), 100).await.unwrap());
    let store = &bench.store;
    let ids = async |last, limit| {
        let found = store.batches_in_progress(last, limit).await.unwrap();
        found.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 2).await, [1, 3].map(batch_id));
    assert_eq!(ids(Some(batch_id(3)), 2).await, [batch_id(4)]);
    let lost = store.save_before_asking(&batch(1), replica_id(9)).await;
    assert!(!lost.unwrap(), "it is another's");
}

async fn replicas_that_claim_at_once_get_different_batches(bench: Bench) {
    add(&bench, (1..=8).map(batch)).await;
    let claims = (1..=8).map(|replica| claim(&bench, replica_id(replica), 100));
    let claimed = futures_util::future::join_all(claims).await;
    let mut ids: Vec<_> = claimed.into_iter().flatten().map(|it| it.id).collect();
    ids.sort();
    let before = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), before, "none is claimed twice");
    // Who found a row locked that was free may have gone away with nothing; it is there the next time.
    while let Some(batch) = claim(&bench, replica_id(9), 100).await {
        ids.push(batch.id);
    }
    ids.sort();
    assert_eq!(ids, (1..=8).map(batch_id).collect::<Vec<_>>());
}

async fn whoever_lost_a_batch_writes_nothing(bench: Bench) {
    add(&bench, [batch(1)]).await;
    let (one, other) = (replica_id(1), replica_id(2));
    let mut lost = claim(&bench, one, 100).await.unwrap();
    claim(&bench, other, 110).await.unwrap();
    lost.state = BatchState::Completed;
    assert!(!bench.store.save_batch(&lost, one).await.unwrap());
    let lines = [line(1, 200)];
    assert!(!bench.store.end_lines(&lost, one, &lines).await.unwrap());
    assert_eq!(found(&bench, 1).await, batch(1));
    assert!(
        bench
            .store
            .ended_numbers(batch_id(1))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(bench.store.end_lines(&lost, other, &lines).await.unwrap());
}

async fn a_line_counts_once(bench: Bench) {
    add(&bench, [batch(1)]).await;
    let one = replica_id(1);
    let held = claim(&bench, one, 100).await.unwrap();
    let store = &bench.store;
    let lines = [line(2, 200), line(10, 429), line(1, 200)];
    assert!(store.end_lines(&held, one, &lines).await.unwrap());
    let again = [line(10, 200), line(3, 500)];
    assert!(store.end_lines(&held, one, &again).await.unwrap());
    let ended = EndedLines {
        succeeded: 2,
        failed: 2,
    };
    assert_eq!(found(&bench, 1).await.ended, ended);
    assert_eq!(
        store.ended_numbers(batch_id(1)).await.unwrap(),
        [1, 2, 3, 10]
    );
    let page = store.ended_lines(batch_id(1), 1, 2).await.unwrap();
    assert_eq!(page, [line(2, 200), line(3, 500)]);
    let rest = store.ended_lines(batch_id(1), 3, 2).await.unwrap();
    assert_eq!(rest, [line(10, 429)]);
}

async fn a_wish_to_cancel_stays_beside_what_the_holder_writes(bench: Bench) {
    add(&bench, [batch(1)]).await;
    let one = replica_id(1);
    let mut held = claim(&bench, one, 100).await.unwrap();
    let cancel = async |at| {
        let cancelled = bench
            .store
            .cancel_batch(batch_id(1), key_id(1), time(at))
            .await;
        cancelled.unwrap().unwrap().cancelling_at
    };
    assert_eq!(cancel(5).await, Some(time(5)));
    assert_eq!(cancel(6).await, Some(time(5)));
    held.state = BatchState::InProgress;
    assert!(bench.store.save_batch(&held, one).await.unwrap());
    assert_eq!(found(&bench, 1).await.cancelling_at, Some(time(5)));
    let hold = bench.store.hold_batch(batch_id(1), one, time(120)).await;
    let cancelling_at = Some(time(5));
    assert_eq!(hold.unwrap(), Hold::Held { cancelling_at });
}

async fn a_batch_that_has_ended_is_let_go_of_with_its_lines(bench: Bench) {
    add(&bench, [batch(1)]).await;
    let one = replica_id(1);
    let mut held = claim(&bench, one, 100).await.unwrap();
    let store = &bench.store;
    assert!(store.end_lines(&held, one, &[line(1, 200)]).await.unwrap());
    held.state = BatchState::Completed;
    assert!(store.save_batch(&held, one).await.unwrap());
    assert!(store.ended_numbers(batch_id(1)).await.unwrap().is_empty());
    assert_eq!(claim(&bench, replica_id(2), 1_000).await, None);
    assert!(!store.save_batch(&held, one).await.unwrap());
    let cancelled = store.cancel_batch(batch_id(1), key_id(1), time(5)).await;
    let cancelled = cancelled.unwrap().unwrap();
    assert_eq!(cancelled.cancelling_at, None);
    assert_eq!(cancelled.ended.succeeded, 1);
}

async fn only_a_batch_that_has_ended_can_be_deleted(bench: Bench) {
    add(&bench, [batch(1)]).await;
    let store = &bench.store;
    assert!(!store.delete_batch(batch_id(1), key_id(1)).await.unwrap());
    let mut held = claim(&bench, replica_id(1), 100).await.unwrap();
    held.state = BatchState::Expired;
    store.save_batch(&held, replica_id(1)).await.unwrap();
    assert!(store.delete_batch(batch_id(1), key_id(1)).await.unwrap());
    assert_eq!(store.batch(batch_id(1), key_id(1)).await.unwrap(), None);
}

async fn old_batches_go_when_they_have_ended(bench: Bench) {
    add(&bench, (1..=3).map(batch)).await;
    for _ in 1..=2 {
        let mut held = claim(&bench, replica_id(1), 100).await.unwrap();
        held.state = BatchState::Failed;
        assert!(bench.store.save_batch(&held, replica_id(1)).await.unwrap());
    }
    let drop = async |before| {
        bench
            .store
            .drop_old_batches(time(before), 10)
            .await
            .unwrap()
    };
    assert_eq!(drop(1).await, 0);
    assert_eq!(drop(2).await, 1);
    assert_eq!(drop(1_000).await, 1);
    assert_eq!(found(&bench, 3).await, batch(3));
}
