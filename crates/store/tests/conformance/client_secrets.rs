//! The port of the client secrets of realtime sessions.

use domain::client_secret::{ClientSecret, ClientSecretStore};
use domain::id::{KeyId, OrganizationId, ProjectId};

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{key_id, other_organization, other_project, time};

on_both_engines!(
    a_secret_is_found_by_its_hash_as_it_was_kept,
    a_secret_is_not_found_after_its_time,
    a_key_has_no_more_secrets_than_it_may,
    expired_secrets_go_the_oldest_end_first,
);

fn secret(number: u8) -> ClientSecret {
    ClientSecret {
        hash: [number; 32],
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        key_id: key_id(1),
        session: format!("{{\"n\":{number}}}").into(),
        created_at: time(0),
        expires_at: time(600),
    }
}

async fn keep(bench: &Bench, secret: &ClientSecret, most: u32) -> bool {
    bench.store.keep_client_secret(secret, most).await.unwrap()
}

async fn find(bench: &Bench, number: u8, seconds: i64) -> Option<ClientSecret> {
    let hash = [number; 32];
    let found = bench.store.client_secret(&hash, time(seconds)).await;
    found.unwrap()
}

async fn a_secret_is_found_by_its_hash_as_it_was_kept(bench: Bench) {
    let other = ClientSecret {
        organization_id: other_organization(),
        project_id: other_project(),
        ..secret(2)
    };
    assert!(keep(&bench, &secret(1), 10).await);
    assert!(keep(&bench, &other, 10).await);
    assert_eq!(find(&bench, 1, 0).await, Some(secret(1)));
    assert_eq!(find(&bench, 2, 0).await, Some(other));
    assert_eq!(find(&bench, 3, 0).await, None);
}

async fn a_secret_is_not_found_after_its_time(bench: Bench) {
    keep(&bench, &secret(1), 10).await;
    assert!(find(&bench, 1, 599).await.is_some());
    assert!(find(&bench, 1, 600).await.is_none());
}

async fn a_key_has_no_more_secrets_than_it_may(bench: Bench) {
    let of = |key_id: KeyId, number| ClientSecret {
        key_id,
        ..secret(number)
    };
    assert!(keep(&bench, &of(key_id(1), 1), 2).await);
    assert!(keep(&bench, &of(key_id(1), 2), 2).await);
    assert!(!keep(&bench, &of(key_id(1), 3), 2).await);
    assert!(find(&bench, 3, 0).await.is_none());
    assert!(
        keep(&bench, &of(key_id(2), 4), 2).await,
        "another key has its own"
    );
    let later = ClientSecret {
        created_at: time(600),
        expires_at: time(700),
        ..of(key_id(1), 5)
    };
    assert!(keep(&bench, &later, 2).await, "the others have expired");
}

async fn expired_secrets_go_the_oldest_end_first(bench: Bench) {
    for number in 1..=3 {
        let secret = ClientSecret {
            expires_at: time(i64::from(number)),
            ..secret(number)
        };
        keep(&bench, &secret, 10).await;
    }
    let drop = async |seconds, limit| {
        let dropped = bench
            .store
            .drop_expired_client_secrets(time(seconds), limit);
        dropped.await.unwrap()
    };
    assert_eq!(drop(0, 10).await, 0);
    assert_eq!(drop(3, 2).await, 2);
    assert!(find(&bench, 3, 2).await.is_some(), "the newest is left");
    assert_eq!(drop(3, 2).await, 1);
}
