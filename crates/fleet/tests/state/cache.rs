//! Answers that replicas share.

use std::time::Duration;

use bytes::Bytes;
use domain::cache::{CacheKey, CacheTenant, Forgotten, SharedCache};
use domain::fleet::SharedStateError;
use domain::id::{OrganizationId, ProjectId};
use fleet::Answers;

use crate::server::RedisServer;
use crate::world::{connected, connected_in};

const PATIENCE: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_mins(5);

fn key(project: u8, digest: u8) -> CacheKey {
    CacheKey {
        organization_id: OrganizationId::DEFAULT,
        project_id: format!("proj_{project:032x}").parse().unwrap(),
        digest: [digest; 32],
    }
}

#[tokio::test]
async fn an_answer_is_found_by_every_replica_and_by_no_other_key() {
    let server = RedisServer::start();
    let one = Answers::new(connected(&server).0, PATIENCE);
    let other = Answers::new(connected(&server).0, PATIENCE);
    let answer = Bytes::from_static(b"\x00\xffan answer");
    one.put(&key(1, 1), answer.clone(), LONG).await.unwrap();
    assert_eq!(other.get(&key(1, 1)).await.unwrap(), Some(answer));
    assert_eq!(other.get(&key(1, 2)).await.unwrap(), None);
    assert_eq!(other.get(&key(2, 1)).await.unwrap(), None);
    let elsewhere = Answers::new(connected_in(&server, 2).0, PATIENCE);
    assert_eq!(elsewhere.get(&key(1, 1)).await.unwrap(), None);
    other.remove(&key(1, 1)).await.unwrap();
    assert_eq!(one.get(&key(1, 1)).await.unwrap(), None);
}

#[tokio::test]
async fn an_answer_ends_by_itself() {
    let server = RedisServer::start();
    let answers = Answers::new(connected(&server).0, PATIENCE);
    let soon = Duration::from_millis(1);
    answers.put(&key(1, 1), Bytes::new(), soon).await.unwrap();
    // The server's own clock ends it: it is asked until it has.
    while answers.get(&key(1, 1)).await.unwrap().is_some() {}
}

#[tokio::test]
async fn a_purge_takes_one_tenants_answers_or_all() {
    let server = RedisServer::start();
    let answers = Answers::new(connected(&server).0, PATIENCE);
    for digest in 0..=255 {
        for project in 1..=5 {
            let key = key(project, digest);
            answers.put(&key, Bytes::new(), LONG).await.unwrap();
        }
    }
    let project: ProjectId = key(1, 0).project_id;
    let of_project = CacheTenant {
        organization_id: Some(OrganizationId::DEFAULT),
        project_id: Some(project),
    };
    assert_eq!(answers.purge(of_project).await.unwrap(), 256);
    assert_eq!(answers.get(&key(1, 7)).await.unwrap(), None);
    assert!(answers.get(&key(2, 7)).await.unwrap().is_some());
    let all = CacheTenant::default();
    assert_eq!(answers.purge(all).await.unwrap(), 4 * 256);
}

#[tokio::test]
async fn what_one_replica_forgets_is_told_to_the_others_once() {
    let server = RedisServer::start();
    let one = Answers::new(connected(&server).0, PATIENCE);
    let other = Answers::new(connected(&server).0, PATIENCE);
    let before = Forgotten::from(key(1, 1));
    one.tell(&before).await.unwrap();
    let (told, mark) = other.told(None).await.unwrap();
    assert_eq!(
        told,
        [],
        "what was told before it began is none of its business"
    );
    let (all, answer) = (CacheTenant::default().into(), key(2, 7).into());
    one.tell(&all).await.unwrap();
    one.tell(&answer).await.unwrap();
    let (told, mark) = other.told(Some(&mark)).await.unwrap();
    assert_eq!(told, [all, answer]);
    let (told, again) = other.told(Some(&mark)).await.unwrap();
    assert_eq!((told, again), (Vec::new(), mark));
    // A purge of everything leaves it alone.
    assert_eq!(one.purge(CacheTenant::default()).await.unwrap(), 0);
    let elsewhere = Answers::new(connected_in(&server, 2).0, PATIENCE);
    let (_, beginning) = elsewhere.told(None).await.unwrap();
    let (told, _) = elsewhere.told(Some(&beginning)).await.unwrap();
    assert_eq!(told, []);
}

#[tokio::test]
async fn a_server_that_is_away_is_not_waited_for() {
    let mut server = RedisServer::start();
    let answers = Answers::new(connected(&server).0, PATIENCE);
    answers.put(&key(1, 1), Bytes::new(), LONG).await.unwrap();
    server.stop();
    for _ in 0..3 {
        let failed = answers.get(&key(1, 1)).await;
        assert!(matches!(failed, Err(SharedStateError::Unavailable(_))));
    }
}
