//! Limits that several replicas share: they hold under load, and while shared state is lost, away, slow and back.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;

use crate::bench::fleet::{acquaint, operator};
use crate::bench::limited::{Counted, Limited, OF_REQUESTS, RATE, fleet_at, most_of, said_to};
use crate::bench::redis::RedisServer;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;

#[tokio::test]
async fn a_rate_holds_over_all_replicas_and_all_of_it_is_to_be_had() {
    let limited = Limited::by(OF_REQUESTS, 3).await;
    limited.use_up().await;
    let answered = limited.counted.answered();
    assert!(
        (RATE..=most_of(&limited.replicas)).contains(&answered),
        "{answered}"
    );
    assert_eq!(limited.sim.calls().len(), answered);
    limited.end().await;
}

#[tokio::test]
async fn a_cold_replica_under_load_refuses_nobody_while_its_first_share_is_on_its_way() {
    const CALLERS: usize = 250;
    let limited = Limited::by("requests: 100000, per: hour", 1).await;
    limited.redis.pause(Duration::from_millis(150));
    join_all((0..CALLERS).map(|_| limited.counted.ask(&limited.replicas[0]))).await;
    assert_eq!(
        (limited.counted.answered(), limited.counted.refused()),
        (CALLERS, 0)
    );
    limited.end().await;
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_refused_without_asking_for_more_again_and_again() {
    let limited = Limited::by(OF_REQUESTS, 2).await;
    limited.use_up().await;
    let exchanges = || {
        let told = limited.redis.lines(&["INFO", "commandstats"]).join("\n");
        let (_, told) = told.split_once("cmdstat_evalsha:calls=").unwrap();
        told.split_once(',').unwrap().0.parse::<usize>().unwrap()
    };
    let (before, began) = (exchanges(), Instant::now());
    let refused = limited.counted.refused();
    limited
        .load(|counted| counted.refused() >= refused + 400)
        .await;
    // Five times a second at each, beside what else is shared, however many are refused.
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let most = 2 * (seconds + 1) * 15;
    let made = exchanges() - before;
    assert!(made <= most, "{made} exchanges in {:?}", began.elapsed());
    limited.end().await;
}

#[tokio::test]
async fn limits_are_shared_over_tls_with_a_server_that_somebody_vouches_for() {
    let (sim, redis) = (Simulated::start().await, RedisServer::start_with_tls());
    let fleet = fleet_at(2, &sim, &redis.tls_url(), OF_REQUESTS).await;
    let authority = redis.authority();
    let trusting = [("SSL_CERT_FILE", authority.to_str().unwrap())];
    let mut replicas = Vec::new();
    for home in &fleet.homes {
        replicas.push(home.start_knowing(&trusting).await);
    }
    acquaint(&replicas).await;
    let counted = Counted::default();
    counted.use_up(&replicas).await;
    let answered = counted.answered();
    assert!(
        (RATE..=most_of(&replicas)).contains(&answered),
        "{answered}"
    );
    eventually("what they took was said", async || {
        (said_to(&redis).0 == answered).then_some(())
    })
    .await;
    replicas.remove(0).stop().await;
    // Without the authority it is as if it were away.
    replicas.insert(0, fleet.homes[0].start().await);
    let ready = operator(&replicas[0]).get("/readyz").await;
    assert!(
        ready.text().contains("shared state cannot be reached"),
        "{}",
        ready.text()
    );
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn a_server_of_a_redis_cluster_is_refused_at_the_start() {
    let (sim, redis) = (Simulated::start().await, RedisServer::start_in_cluster());
    let fleet = fleet_at(1, &sim, &redis.url(), OF_REQUESTS).await;
    let ended = fleet.homes[0]
        .run(&["serve", "--listen", "127.0.0.1:0"])
        .await;
    assert!(!ended.status.success());
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert!(
        errors.contains("Redis Cluster, which is not spoken"),
        "{errors}"
    );
    fleet.database.remove().await;
}

#[tokio::test]
async fn one_replica_alone_may_use_all_of_a_rate_that_others_could_use_too() {
    let limited = Limited::by(OF_REQUESTS, 3).await;
    limited.counted.use_up(&limited.replicas[..1]).await;
    assert!(limited.counted.answered() >= RATE);
    // Nothing is left for the others.
    for replica in &limited.replicas[1..] {
        limited.counted.ask(replica).await;
    }
    let answered = limited.counted.answered();
    assert!(answered <= most_of(&limited.replicas), "{answered}");
    limited.end().await;
}

#[tokio::test]
async fn a_budget_is_overrun_by_no_more_than_what_is_in_flight() {
    const BUDGET: f64 = 0.5;
    let limited = Limited::by("usd: 0.5, per: day", 3).await;
    let began = Instant::now();
    limited
        .load(|counted| counted.refused() >= 60 || began.elapsed() > Duration::from_secs(30))
        .await;
    assert!(
        limited.counted.refused() >= 60,
        "the budget was never spent"
    );
    let calls = eventually("every call is recorded", async || {
        let calls = operator(&limited.replicas[0]).logs("").await;
        (calls.len() == limited.counted.answered()).then_some(calls)
    })
    .await;
    let cost = |call: &Value| call["cost_usd"].as_str().unwrap().parse::<f64>().unwrap();
    let spent: f64 = calls.iter().map(cost).sum();
    let dearest = calls.iter().map(cost).fold(0.0, f64::max);
    // Twelve callers, one call each.
    assert!(spent <= BUDGET + 12.0 * dearest, "{spent} of {BUDGET}");
    assert!(
        spent > BUDGET * 0.8,
        "only {spent} of {BUDGET} were to be had"
    );
    limited.end().await;
}

#[tokio::test]
async fn a_rate_holds_when_shared_state_is_flushed() {
    let limited = Limited::by(OF_REQUESTS, 2).await;
    limited.load(|counted| counted.answered() >= RATE / 2).await;
    limited.redis.flush();
    limited.use_up().await;
    // Both are asked alike, so that what either is taken to have used is what it used, but for what it was given
    // in advance.
    let answered = limited.counted.answered();
    let most = most_of(&limited.replicas) + RATE / 10;
    assert!((RATE * 9 / 10..=most).contains(&answered), "{answered}");
    limited.end().await;
}

#[tokio::test]
async fn a_rate_holds_while_shared_state_is_away_and_when_it_is_back() {
    let mut limited = Limited::by(OF_REQUESTS, 2).await;
    limited.load(|counted| counted.answered() >= 10).await;
    let shares = eventually("they want nothing more", async || {
        let (spent, shares) = said_to(&limited.redis);
        (spent == limited.counted.answered() && shares == spent).then_some(shares)
    })
    .await;
    limited.redis.stop();
    let refused = limited.counted.refused();
    let began = Instant::now();
    // Longer than the lease of a share.
    let is_enough =
        |counted: &Counted| counted.refused() >= refused + 200 && began.elapsed().as_secs() > 12;
    limited.load(is_enough).await;
    let while_away = limited.counted.answered();
    // Each may not have heard of what the other was given last, and has half of that too.
    assert!(
        (RATE / 2..=RATE + shares / 2).contains(&while_away),
        "{while_away} while it is away"
    );
    let ready = operator(&limited.replicas[0]).get("/readyz").await;
    assert_eq!(ready.status, 200);
    let is_up = async || {
        operator(&limited.replicas[0])
            .metric("trunkline_shared_state_up")
            .await
    };
    assert!(is_up().await < 1.0);
    let lease = "trunkline_limits_lease{measure=\"requests\"}";
    assert!(operator(&limited.replicas[0]).metric(lease).await < 1.0);
    assert!(
        ready.text().contains("shared state cannot be reached"),
        "{}",
        ready.text()
    );

    limited.redis.start_again();
    eventually("it is reached again", async || {
        (operator(&limited.replicas[0]).get("/readyz").await.text() == "ready\n").then_some(())
    })
    .await;
    limited.use_up().await;
    assert!(is_up().await > 0.0);
    let answered = limited.counted.answered();
    assert!(answered <= RATE * 11 / 10, "{answered}");
    limited.end().await;
}

#[tokio::test]
async fn slow_shared_state_makes_no_call_slow() {
    let limited = Limited::by("requests: 6000, per: hour", 2).await;
    limited.load(|counted| counted.answered() >= 20).await;
    let pause = Duration::from_secs(10);
    limited.redis.pause(pause);
    let paused = Instant::now();
    let mut slowest = Duration::ZERO;
    while paused.elapsed() < pause {
        for replica in &limited.replicas {
            let asked = Instant::now();
            limited.counted.ask(replica).await;
            slowest = slowest.max(asked.elapsed());
        }
    }
    // Whoever waits for what is slow waits for almost as long as that.
    assert!(slowest < pause / 2, "a call took {slowest:?}");
    assert_eq!(limited.counted.refused(), 0);
    limited.end().await;
}

#[tokio::test]
async fn what_a_replica_used_that_was_killed_stays_used() {
    let mut limited = Limited::by(OF_REQUESTS, 2).await;
    // The one that is killed has said what it took.
    limited
        .counted
        .load(&limited.replicas[..1], || limited.counted.answered() >= 40)
        .await;
    eventually("what it took is known", async || {
        (said_to(&limited.redis).0 == limited.counted.answered()).then_some(())
    })
    .await;
    limited.replicas.remove(0).kill().await;
    let began = Instant::now();
    let is_enough =
        |counted: &Counted| counted.answered() >= RATE || began.elapsed() > Duration::from_secs(25);
    limited.load(is_enough).await;
    let refused = limited.counted.refused();
    limited
        .load(|counted| counted.refused() >= refused + 20)
        .await;
    assert_eq!(limited.counted.answered(), RATE);
    limited
        .replicas
        .insert(0, limited.fleet.homes[0].start().await);
    limited.end().await;
}
