//! The key port.

use domain::key::{KeyStore, PreviousHash, Rate, Rotation, VirtualKey};
use domain::store_error::StoreError;
use futures_util::future::join_all;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{full_key, hash, key, key_id, time};

on_both_engines!(
    an_empty_store_has_no_keys,
    a_key_reads_back_as_it_was_added,
    a_bound_beyond_the_range_stops_at_its_edge,
    a_key_is_added_once,
    two_keys_never_share_a_text,
    a_list_of_keys_goes_on_where_it_ended,
    keys_of_the_same_time_are_listed_once,
    a_list_before_an_unknown_key_is_empty,
    changes_are_read_once_and_in_their_order,
    a_reader_misses_no_change_of_concurrent_writers,
    a_revoked_key_stays_revoked_from_the_earlier_time,
    revoking_again_is_no_change,
    a_revocation_may_be_brought_forward,
    a_rotated_key_keeps_its_old_text_for_a_while,
    of_two_rotations_at_the_same_time_one_is_made,
    a_revoked_key_is_not_rotated,
    a_key_that_will_be_revoked_is_rotated_until_then,
    what_is_unknown_is_neither_revoked_nor_rotated,
);

async fn add(bench: &Bench, keys: &[VirtualKey]) {
    for key in keys {
        bench.store.add_key(key).await.unwrap();
    }
}

async fn an_empty_store_has_no_keys(bench: Bench) {
    assert_eq!(bench.store.key(key_id(1)).await.unwrap(), None);
    assert_eq!(bench.store.list_keys(None, None, 10).await.unwrap(), []);
    let changed = bench.store.keys_changed_since(0).await.unwrap();
    assert_eq!(changed, (Vec::new(), 0));
}

async fn a_key_reads_back_as_it_was_added(bench: Bench) {
    for key in [key(1), full_key(2)] {
        bench.store.add_key(&key).await.unwrap();
        assert_eq!(bench.store.key(key.id).await.unwrap(), Some(key));
    }
}

async fn a_bound_beyond_the_range_stops_at_its_edge(bench: Bench) {
    let mut key = key(1);
    key.rate = Rate {
        rpm: Some(0),
        tpm: Some(u64::MAX),
        ..Rate::default()
    };
    add(&bench, &[key]).await;
    let found = bench.store.key(key_id(1)).await.unwrap().unwrap();
    assert_eq!(found.rate.rpm, Some(0));
    assert_eq!(found.rate.tpm, Some(i64::MAX.unsigned_abs()));
}

async fn a_key_is_added_once(bench: Bench) {
    add(&bench, &[key(1)]).await;
    let again = VirtualKey {
        hash: hash(2),
        ..key(1)
    };
    let error = bench.store.add_key(&again).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error:?}");
    assert_eq!(
        bench.store.list_keys(None, None, 10).await.unwrap(),
        [key(1)]
    );
}

async fn two_keys_never_share_a_text(bench: Bench) {
    add(&bench, &[key(1)]).await;
    let same_text = VirtualKey {
        hash: hash(1),
        ..key(2)
    };
    let error = bench.store.add_key(&same_text).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error:?}");
}

async fn a_list_of_keys_goes_on_where_it_ended(bench: Bench) {
    add(&bench, &[key(1), key(2), key(3), key(4), key(5)]).await;
    let first = bench.store.list_keys(None, None, 2).await.unwrap();
    assert_eq!(first, [key(5), key(4)]);
    let rest = bench
        .store
        .list_keys(None, Some(key(4).id), 10)
        .await
        .unwrap();
    assert_eq!(rest, [key(3), key(2), key(1)]);
    assert_eq!(
        bench
            .store
            .list_keys(None, Some(key(1).id), 10)
            .await
            .unwrap(),
        []
    );
    assert_eq!(bench.store.list_keys(None, None, 0).await.unwrap(), []);
}

async fn keys_of_the_same_time_are_listed_once(bench: Bench) {
    let keys = [1, 2, 3].map(|number| VirtualKey {
        created_at: time(0),
        ..key(number)
    });
    add(&bench, &keys).await;
    let mut listed = Vec::new();
    while let [found] = &bench
        .store
        .list_keys(None, listed.last().copied(), 1)
        .await
        .unwrap()[..]
    {
        listed.push(found.id);
    }
    assert_eq!(listed, [key_id(3), key_id(2), key_id(1)]);
}

async fn a_list_before_an_unknown_key_is_empty(bench: Bench) {
    add(&bench, &[key(1)]).await;
    assert_eq!(
        bench
            .store
            .list_keys(None, Some(key_id(9)), 10)
            .await
            .unwrap(),
        []
    );
}

async fn changes_are_read_once_and_in_their_order(bench: Bench) {
    add(&bench, &[key(2), key(1)]).await;
    let (changed, revision) = bench.store.keys_changed_since(0).await.unwrap();
    assert_eq!(changed, [key(2), key(1)]);

    let nothing = bench.store.keys_changed_since(revision).await.unwrap();
    assert_eq!(nothing, (Vec::new(), revision));

    bench.store.revoke_key(key_id(2), time(5)).await.unwrap();
    let (changed, later) = bench.store.keys_changed_since(revision).await.unwrap();
    let revoked = VirtualKey {
        revoked_at: Some(time(5)),
        ..key(2)
    };
    assert_eq!(changed, [revoked]);
    assert!(later > revision);
}

/// Two stores at one place write while a third follows: what the follower has heard of, change by change,
/// must be all that there is in the end.
async fn a_reader_misses_no_change_of_concurrent_writers(bench: Bench) {
    const EACH: u64 = 40;
    let [one, two] = [bench.open_again().await, bench.open_again().await];
    let write = async |store: &store::Store, from: u64| {
        for number in from..from + EACH {
            store.add_key(&key(number)).await.unwrap();
            store.revoke_key(key_id(number), time(1)).await.unwrap();
        }
    };
    let follow = async || {
        let mut heard = Vec::new();
        let mut revision = 0;
        loop {
            let (changed, now) = bench.store.keys_changed_since(revision).await.unwrap();
            heard.extend(changed);
            revision = now;
            let revoked = heard.iter().filter(|key| key.revoked_at.is_some());
            if revoked.count() == usize::try_from(2 * EACH).unwrap() {
                return revision;
            }
            tokio::task::yield_now().await;
        }
    };
    let (revision, (), ()) = tokio::join!(follow(), write(&one, 0), write(&two, 1000));
    assert_eq!(revision, i64::try_from(4 * EACH).unwrap());
    join_all([one.close(), two.close()]).await;
}

async fn a_revoked_key_stays_revoked_from_the_earlier_time(bench: Bench) {
    add(&bench, &[key(1)]).await;
    let revoked = bench.store.revoke_key(key_id(1), time(10)).await.unwrap();
    assert_eq!(revoked.unwrap().revoked_at, Some(time(10)));
    let again = bench.store.revoke_key(key_id(1), time(20)).await.unwrap();
    assert_eq!(again.unwrap().revoked_at, Some(time(10)));
    let found = bench.store.key(key_id(1)).await.unwrap().unwrap();
    assert_eq!(found.revoked_at, Some(time(10)));
}

async fn revoking_again_is_no_change(bench: Bench) {
    add(&bench, &[key(1)]).await;
    bench.store.revoke_key(key_id(1), time(10)).await.unwrap();
    let (_, revision) = bench.store.keys_changed_since(0).await.unwrap();
    bench.store.revoke_key(key_id(1), time(10)).await.unwrap();
    let (changed, _) = bench.store.keys_changed_since(revision).await.unwrap();
    assert_eq!(changed, []);
}

async fn a_revocation_may_be_brought_forward(bench: Bench) {
    add(&bench, &[key(1)]).await;
    bench.store.revoke_key(key_id(1), time(1000)).await.unwrap();
    let revoked = bench.store.revoke_key(key_id(1), time(10)).await.unwrap();
    assert_eq!(revoked.unwrap().revoked_at, Some(time(10)));
}

fn rotation(at: i64) -> Rotation {
    Rotation {
        hash: hash(99),
        prefix: "tl_wxyz".to_owned(),
        last_four: "9876".to_owned(),
        previous: PreviousHash {
            hash: hash(1),
            until: time(at + 60),
        },
        at: time(at),
    }
}

async fn a_rotated_key_keeps_its_old_text_for_a_while(bench: Bench) {
    add(&bench, &[key(1), key(2)]).await;
    let (_, revision) = bench.store.keys_changed_since(0).await.unwrap();
    let rotated = bench
        .store
        .rotate_key(key_id(1), &rotation(10))
        .await
        .unwrap();
    let expected = VirtualKey {
        hash: hash(99),
        prefix: "tl_wxyz".to_owned(),
        last_four: "9876".to_owned(),
        previous: Some(rotation(10).previous),
        rotated_at: Some(time(10)),
        ..key(1)
    };
    assert_eq!(rotated, Some(expected.clone()));
    let (changed, _) = bench.store.keys_changed_since(revision).await.unwrap();
    assert_eq!(changed, [expected]);
    assert_eq!(bench.store.key(key_id(2)).await.unwrap(), Some(key(2)));
}

async fn of_two_rotations_at_the_same_time_one_is_made(bench: Bench) {
    add(&bench, &[key(1)]).await;
    let other = Rotation {
        hash: hash(98),
        ..rotation(10)
    };
    let (one, other) = tokio::join!(
        async {
            bench
                .store
                .rotate_key(key_id(1), &rotation(10))
                .await
                .unwrap()
        },
        async { bench.store.rotate_key(key_id(1), &other).await.unwrap() },
    );
    assert!(one.is_some() != other.is_some(), "{one:?} {other:?}");
    let made = one.or(other).unwrap();
    assert_eq!(made.previous, Some(rotation(10).previous));
    assert_eq!(bench.store.key(key_id(1)).await.unwrap(), Some(made));
}

async fn a_revoked_key_is_not_rotated(bench: Bench) {
    add(&bench, &[key(1)]).await;
    let revoked = bench.store.revoke_key(key_id(1), time(5)).await.unwrap();
    assert_eq!(
        bench
            .store
            .rotate_key(key_id(1), &rotation(10))
            .await
            .unwrap(),
        None
    );
    assert_eq!(bench.store.key(key_id(1)).await.unwrap(), revoked);
}

async fn a_key_that_will_be_revoked_is_rotated_until_then(bench: Bench) {
    add(&bench, &[key(1)]).await;
    bench.store.revoke_key(key_id(1), time(5)).await.unwrap();
    let rotated = bench
        .store
        .rotate_key(key_id(1), &rotation(4))
        .await
        .unwrap();
    assert_eq!(rotated.unwrap().hash, hash(99));
}

async fn what_is_unknown_is_neither_revoked_nor_rotated(bench: Bench) {
    assert_eq!(
        bench.store.revoke_key(key_id(1), time(5)).await.unwrap(),
        None
    );
    assert_eq!(
        bench
            .store
            .rotate_key(key_id(1), &rotation(5))
            .await
            .unwrap(),
        None
    );
    let changed = bench.store.keys_changed_since(0).await.unwrap();
    assert_eq!(changed, (Vec::new(), 0));
}
