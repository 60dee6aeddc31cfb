//! Offices that one replica holds.

use std::time::Duration;

use domain::fleet::Election;
use fleet::SharedElection;

use crate::server::RedisServer;
use crate::world::{connected, connected_in, replica};

const TERM: Duration = Duration::from_mins(1);

#[tokio::test]
async fn an_office_has_one_holder_who_may_stay() {
    let server = RedisServer::start();
    let (shared, _) = connected(&server);
    let first = SharedElection::new(&shared, replica(1));
    let second = SharedElection::new(&shared, replica(2));
    assert!(first.stand("canary", TERM).await.unwrap());
    assert!(!second.stand("canary", TERM).await.unwrap());
    assert!(first.stand("canary", TERM).await.unwrap());
    assert!(second.stand("another", TERM).await.unwrap());
}

#[tokio::test]
async fn who_resigns_leaves_the_office_to_others_and_takes_nobody_elses() {
    let server = RedisServer::start();
    let (shared, _) = connected(&server);
    let first = SharedElection::new(&shared, replica(1));
    let second = SharedElection::new(&shared, replica(2));
    assert!(first.stand("canary", TERM).await.unwrap());
    second.resign("canary").await.unwrap();
    assert!(!second.stand("canary", TERM).await.unwrap());
    first.resign("canary").await.unwrap();
    assert!(second.stand("canary", TERM).await.unwrap());
}

#[tokio::test]
async fn a_term_that_is_over_leaves_the_office_to_others() {
    let server = RedisServer::start();
    let (shared, _) = connected(&server);
    let first = SharedElection::new(&shared, replica(1));
    let second = SharedElection::new(&shared, replica(2));
    assert!(
        first
            .stand("canary", Duration::from_millis(1))
            .await
            .unwrap()
    );
    // The server's own clock ends the term: it is asked until it has.
    while !second.stand("canary", TERM).await.unwrap() {}
    assert!(!first.stand("canary", TERM).await.unwrap());
}

#[tokio::test]
async fn installations_that_share_a_server_share_no_office() {
    let server = RedisServer::start();
    let (one, _) = connected_in(&server, 1);
    let (other, _) = connected_in(&server, 2);
    let one = SharedElection::new(&one, replica(1));
    let other = SharedElection::new(&other, replica(2));
    assert!(one.stand("canary", TERM).await.unwrap());
    assert!(other.stand("canary", TERM).await.unwrap());
}
