//! Breakers that replicas tell each other of.

use std::time::Duration;

use domain::breaker::{BreakerTurn, SharedBreakers};
use fleet::Breakers;

use crate::server::RedisServer;
use crate::world::{connected, connected_in};

fn turn(model: &str, rest: Option<Duration>) -> BreakerTurn {
    BreakerTurn {
        provider: "openai".parse().unwrap(),
        model: model.to_owned(),
        rest,
    }
}

#[tokio::test]
async fn what_one_tells_the_others_hear_until_it_is_taken_back() {
    let server = RedisServer::start();
    let one = Breakers::new(&connected(&server).0);
    let other = Breakers::new(&connected(&server).0);
    let rest = Duration::from_mins(1);
    let model = "meta/llama";
    one.tell(&[turn(model, Some(rest)), turn("gpt", Some(rest))])
        .await
        .unwrap();
    let mut heard = other.hear().await.unwrap();
    heard.sort_by(|a, b| a.model.cmp(&b.model));
    let names: Vec<_> = heard.iter().map(|turn| turn.model.as_str()).collect();
    assert_eq!(names, ["gpt", model]);
    for turn in heard {
        let left = turn.rest.unwrap();
        assert!(left <= rest && left > rest / 2, "{left:?}");
    }
    other.tell(&[turn(model, None)]).await.unwrap();
    let heard = one.hear().await.unwrap();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].model, "gpt");
}

#[tokio::test]
async fn of_two_words_on_one_target_the_longer_holds() {
    let server = RedisServer::start();
    let one = Breakers::new(&connected(&server).0);
    for seconds in [60, 5] {
        let rest = Duration::from_secs(seconds);
        one.tell(&[turn("gpt", Some(rest))]).await.unwrap();
    }
    let heard = one.hear().await.unwrap();
    assert!(heard[0].rest.unwrap() > Duration::from_secs(30));
}

#[tokio::test]
async fn one_whose_rest_is_over_is_not_closed_by_that() {
    let server = RedisServer::start();
    let one = Breakers::new(&connected(&server).0);
    one.tell(&[turn("gpt", Some(Duration::ZERO))])
        .await
        .unwrap();
    assert_eq!(
        one.hear().await.unwrap(),
        [turn("gpt", Some(Duration::ZERO))]
    );
}

#[tokio::test]
async fn installations_that_share_a_server_do_not_hear_each_other() {
    let server = RedisServer::start();
    let one = Breakers::new(&connected_in(&server, 1).0);
    let other = Breakers::new(&connected_in(&server, 2).0);
    one.tell(&[turn("gpt", Some(Duration::from_mins(1)))])
        .await
        .unwrap();
    assert!(other.hear().await.unwrap().is_empty());
}
