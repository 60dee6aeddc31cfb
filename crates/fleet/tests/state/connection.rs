//! The connection while the server is there, away, slow and back.

use std::time::Duration;

use domain::fleet::SharedStateError;

use crate::server::RedisServer;
use crate::world::{connected, connected_at};

const BOUND: Duration = Duration::from_secs(10);
const REST: Duration = Duration::from_millis(501);

#[tokio::test]
async fn a_server_that_is_there_answers() {
    let server = RedisServer::start();
    let (shared, _) = connected(&server);
    assert!(shared.answers());
    shared.ping(BOUND).await.unwrap();
    assert!(shared.answers());
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let server = RedisServer::start_with_tls();
    let authority = std::fs::read_to_string(server.authority()).unwrap();
    assert!(authority.contains("BEGIN CERTIFICATE"), "{authority}");
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    installed.expect("every test is a process of its own, or this is the only one that speaks TLS");
    let (shared, _) = connected_at(&server.tls_url());
    let error = shared.ping(BOUND).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.to_lowercase().contains("certificate"), "{cause}");
}

#[tokio::test]
async fn a_server_of_a_cluster_is_refused_and_another_is_not() {
    let server = RedisServer::start_in_cluster();
    let (shared, _) = connected(&server);
    let error = shared.refuse_cluster(BOUND).await.unwrap_err();
    assert!(error.to_string().contains("Redis Cluster"), "{error}");
    let mut server = RedisServer::start();
    let (shared, _) = connected(&server);
    assert!(shared.refuse_cluster(BOUND).await.is_ok());
    // One that cannot be asked may be what it should be.
    server.stop();
    assert!(shared.refuse_cluster(BOUND).await.is_ok());
    assert!(shared.answers(), "others ask for themselves");
}

#[tokio::test]
async fn nobody_waits_for_a_server_that_is_known_to_be_away() {
    let mut server = RedisServer::start();
    let (shared, _) = connected(&server);
    server.stop();
    let error = shared.ping(BOUND).await.unwrap_err();
    assert!(matches!(error, SharedStateError::Unavailable(_)), "{error}");
    assert!(!shared.answers());

    // The server is there again, and is not even asked before the rest is over.
    server.start_again();
    for _ in 0..100 {
        let error = shared.ping(BOUND).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("not asked again yet"), "{cause}");
    }
}

#[tokio::test]
async fn a_server_that_is_back_is_found_by_the_first_question_after_the_rest() {
    let mut server = RedisServer::start();
    let (shared, watch) = connected(&server);
    shared.ping(BOUND).await.unwrap();
    server.stop();
    shared.ping(BOUND).await.unwrap_err();
    server.start_again();
    // The first question may still find the broken connection.
    for _ in 0..2 {
        watch.goes_on(REST);
        if shared.ping(BOUND).await.is_ok() {
            break;
        }
    }
    assert!(shared.answers());
    shared.ping(BOUND).await.unwrap();
}

#[tokio::test]
async fn a_slow_server_is_waited_for_no_longer_than_the_bound() {
    let server = RedisServer::start();
    let (shared, _) = connected(&server);
    shared.ping(BOUND).await.unwrap();
    server.pause(Duration::from_mins(1));
    let error = shared.ping(Duration::from_millis(20)).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "no answer within 20ms");
    assert!(!shared.answers());
}

#[tokio::test]
async fn a_server_that_refuses_the_password_is_no_server_that_is_away() {
    let server = RedisServer::start();
    assert_eq!(
        server.say(&["CONFIG", "SET", "requirepass", "hunter2"]),
        "+OK"
    );
    let (shared, _) = connected(&server);
    let error = shared.ping(BOUND).await.unwrap_err();
    assert!(matches!(error, SharedStateError::Failed(_)), "{error}");
}
