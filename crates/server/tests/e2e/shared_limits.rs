//! Limits that several replicas share: they hold under load, and while shared state is lost, away, slow and back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;

use crate::bench::fleet::{Fleet, operator};
use crate::bench::process::Trunkline;
use crate::bench::redis::RedisServer;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{ask, providers};

/// The key whose limits are tried.
const LIMITED: &str = "the-key-that-has-a-limit";
/// Its requests per hour: no test takes so long that it comes to have some again.
const RATE: usize = 60;
const OF_REQUESTS: &str = "requests: 60, per: hour";

/// Replicas that share one limit on a Redis of their own.
async fn fleet(count: usize, sim: &Simulated, redis: &RedisServer, limit: &str) -> Fleet {
    fleet_at(count, sim, &redis.url(), limit).await
}

/// The same where what they share is at `url`.
async fn fleet_at(count: usize, sim: &Simulated, url: &str, limit: &str) -> Fleet {
    let configuration = format!(
        "shared: '{url}'
prices:
  - {{ provider: openai, model: gpt, input: 100, output: 1000 }}
limits:
  - {{ name: shared, {limit} }}
{}  - {{ name: limited, key: {LIMITED} }}
",
        providers(sim.address)
    );
    Fleet::of(count, &configuration).await
}

/// Answers of status 200 and 429 that callers of several replicas got.
#[derive(Default)]
struct Counted {
    answered: AtomicUsize,
    refused: AtomicUsize,
}

impl Counted {
    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Asks `replica` once.
    async fn ask(&self, replica: &Trunkline) {
        let client = replica.app().with_key(LIMITED);
        self.ask_as(&client).await;
    }

    async fn ask_as(&self, client: &crate::bench::client::Client) {
        let answer = client.chat(&ask("openai/gpt", "hello")).await;
        match answer.status {
            200 => self.answered.fetch_add(1, Ordering::Relaxed),
            429 => self.refused.fetch_add(1, Ordering::Relaxed),
            status => panic!("{status}: {}", answer.text()),
        };
    }

    /// Asks all replicas at once, four callers at each, until `enough`.
    async fn load(&self, replicas: &[Trunkline], enough: impl Fn() -> bool) {
        let callers = replicas
            .iter()
            .flat_map(|replica| (0..4).map(move |_| replica));
        join_all(callers.map(async |replica| {
            let client = replica.app().with_key(LIMITED);
            while !enough() {
                self.ask_as(&client).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }))
        .await;
    }
}

/// What replicas said that they took of all counters together, and how much of them is their shares.
fn said_to(redis: &RedisServer) -> (usize, usize) {
    const SAID: &str = "
        local spent, shares = 0, 0
        for _, key in ipairs(redis.call('KEYS', '*:limit:*')) do
            for _, value in ipairs(redis.call('HVALS', key)) do
                local taken, share = string.match(value, '^(%d+) %d+ %d+ (%d+) %d+$')
                if taken then spent, shares = spent + tonumber(taken), shares + tonumber(share) end
            end
        end
        return spent .. ' ' .. shares";
    let said = redis.lines(&["EVAL", SAID, "0"]).concat();
    let (spent, shares) = said.split_once(' ').unwrap();
    (spent.parse().unwrap(), shares.parse().unwrap())
}

/// Asks until the whole limit is used up, and then some more.
async fn use_up(counted: &Counted, replicas: &[Trunkline]) {
    let began = Instant::now();
    counted
        .load(replicas, || {
            counted.answered() >= RATE || began.elapsed() > Duration::from_secs(20)
        })
        .await;
    let refused = counted.refused();
    counted
        .load(replicas, || counted.refused() >= refused + 40)
        .await;
}

/// How many requests the replicas may have let in: the rate, and twice that where an exchange took longer on a busy
/// machine than is waited for, since then each gives out its part.
fn most_of(replicas: &[Trunkline]) -> usize {
    let was_cut_off =
        |replica: &Trunkline| replica.log().contains("limits cannot be shared for now");
    if replicas.iter().any(was_cut_off) {
        2 * RATE
    } else {
        RATE
    }
}

#[tokio::test]
async fn a_rate_holds_over_all_replicas_and_all_of_it_is_to_be_had() {
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let fleet = fleet(3, &sim, &redis, OF_REQUESTS).await;
    let replicas = fleet.start().await;
    let counted = Counted::default();
    use_up(&counted, &replicas).await;
    let answered = counted.answered();
    assert!(
        (RATE..=most_of(&replicas)).contains(&answered),
        "{answered}"
    );
    assert_eq!(sim.calls().len(), answered);
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn a_cold_replica_under_load_refuses_nobody_while_its_first_share_is_on_its_way() {
    const CALLERS: usize = 250;
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let fleet = fleet(1, &sim, &redis, "requests: 100000, per: hour").await;
    let replicas = fleet.start().await;
    let counted = Counted::default();
    redis.pause(Duration::from_millis(150));
    join_all((0..CALLERS).map(|_| counted.ask(&replicas[0]))).await;
    assert_eq!((counted.answered(), counted.refused()), (CALLERS, 0));
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_refused_without_asking_for_more_again_and_again() {
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let fleet = fleet(2, &sim, &redis, OF_REQUESTS).await;
    let replicas = fleet.start().await;
    let counted = Counted::default();
    use_up(&counted, &replicas).await;
    let exchanges = || {
        let told = redis.lines(&["INFO", "commandstats"]).join("\n");
        let (_, told) = told.split_once("cmdstat_evalsha:calls=").unwrap();
        told.split_once(',').unwrap().0.parse::<usize>().unwrap()
    };
    let (before, began) = (exchanges(), Instant::now());
    let refused = counted.refused();
    counted
        .load(&replicas, || counted.refused() >= refused + 400)
        .await;
    // Five times a second at each, beside what else is shared, however many are refused.
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let most = 2 * (seconds + 1) * 15;
    let made = exchanges() - before;
    assert!(made <= most, "{made} exchanges in {:?}", began.elapsed());
    fleet.stop(replicas).await;
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
    let counted = Counted::default();
    use_up(&counted, &replicas).await;
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
    let fleet = fleet(1, &sim, &redis, OF_REQUESTS).await;
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
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let fleet = fleet(3, &sim, &redis, OF_REQUESTS).await;
    let replicas = fleet.start().await;
    let counted = Counted::default();
    use_up(&counted, &replicas[..1]).await;
    assert_eq!(counted.answered(), RATE);
    // Nothing is left for the others.
    for replica in &replicas[1..] {
        counted.ask(replica).await;
    }
    assert_eq!(counted.answered(), RATE);
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn a_budget_is_overrun_by_no_more_than_what_is_in_flight() {
    const BUDGET: f64 = 0.5;
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let fleet = fleet(3, &sim, &redis, "usd: 0.5, per: day").await;
    let replicas = fleet.start().await;
    let counted = Counted::default();
    let began = Instant::now();
    counted
        .load(&replicas, || {
            counted.refused() >= 60 || began.elapsed() > Duration::from_secs(30)
        })
        .await;
    assert!(counted.refused() >= 60, "the budget was never spent");
    let calls = eventually("every call is recorded", async || {
        let calls = operator(&replicas[0]).logs("").await;
        (calls.len() == counted.answered()).then_some(calls)
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
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn a_rate_holds_when_shared_state_is_flushed() {
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let fleet = fleet(2, &sim, &redis, OF_REQUESTS).await;
    let replicas = fleet.start().await;
    let counted = Counted::default();
    counted
        .load(&replicas, || counted.answered() >= RATE / 2)
        .await;
    redis.flush();
    use_up(&counted, &replicas).await;
    // Both are asked alike, so that what either is taken to have used is what it used, but for what it was given
    // in advance.
    let answered = counted.answered();
    assert!(
        (RATE * 9 / 10..=RATE * 11 / 10).contains(&answered),
        "{answered}"
    );
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn a_rate_holds_while_shared_state_is_away_and_when_it_is_back() {
    let (sim, mut redis) = (Simulated::start().await, RedisServer::start());
    let fleet = fleet(2, &sim, &redis, OF_REQUESTS).await;
    let replicas = fleet.start().await;
    let counted = Counted::default();
    // Each hears of the other when it says that it lives, every two seconds.
    tokio::time::sleep(Duration::from_secs(3)).await;
    counted.load(&replicas, || counted.answered() >= 10).await;
    let shares = eventually("they want nothing more", async || {
        let (spent, shares) = said_to(&redis);
        (spent == counted.answered() && shares == spent).then_some(shares)
    })
    .await;
    redis.stop();
    let refused = counted.refused();
    let began = Instant::now();
    // Longer than the lease of a share.
    let is_enough = || counted.refused() >= refused + 200 && began.elapsed().as_secs() > 12;
    counted.load(&replicas, is_enough).await;
    let while_away = counted.answered();
    // Each may not have heard of what the other was given last, and has half of that too.
    assert!(
        (RATE / 2..=RATE + shares / 2).contains(&while_away),
        "{while_away} while it is away"
    );
    let ready = operator(&replicas[0]).get("/readyz").await;
    assert_eq!(ready.status, 200);
    let is_up = async || {
        operator(&replicas[0])
            .metric("trunkline_shared_state_up")
            .await
    };
    assert!(is_up().await < 1.0);
    let lease = "trunkline_limits_lease{measure=\"requests\"}";
    assert!(operator(&replicas[0]).metric(lease).await < 1.0);
    assert!(
        ready.text().contains("shared state cannot be reached"),
        "{}",
        ready.text()
    );

    redis.start_again();
    eventually("it is reached again", async || {
        (operator(&replicas[0]).get("/readyz").await.text() == "ready\n").then_some(())
    })
    .await;
    use_up(&counted, &replicas).await;
    assert!(is_up().await > 0.0);
    let answered = counted.answered();
    assert!(answered <= RATE * 11 / 10, "{answered}");
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn slow_shared_state_makes_no_call_slow() {
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let fleet = fleet(2, &sim, &redis, "requests: 6000, per: hour").await;
    let replicas = fleet.start().await;
    let counted = Counted::default();
    counted.load(&replicas, || counted.answered() >= 20).await;
    let pause = Duration::from_secs(10);
    redis.pause(pause);
    let paused = Instant::now();
    let mut slowest = Duration::ZERO;
    while paused.elapsed() < pause {
        for replica in &replicas {
            let asked = Instant::now();
            counted.ask(replica).await;
            slowest = slowest.max(asked.elapsed());
        }
    }
    // Whoever waits for what is slow waits for almost as long as that.
    assert!(slowest < pause / 2, "a call took {slowest:?}");
    assert_eq!(counted.refused(), 0);
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn what_a_replica_used_that_was_killed_stays_used() {
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let fleet = fleet(2, &sim, &redis, OF_REQUESTS).await;
    let mut replicas = fleet.start().await;
    let counted = Counted::default();
    // The one that is killed has said what it took.
    counted
        .load(&replicas[..1], || counted.answered() >= 40)
        .await;
    eventually("what it took is known", async || {
        (said_to(&redis).0 == counted.answered()).then_some(())
    })
    .await;
    replicas.remove(0).kill().await;
    let began = Instant::now();
    let is_enough = || counted.answered() >= RATE || began.elapsed() > Duration::from_secs(25);
    counted.load(&replicas, is_enough).await;
    let refused = counted.refused();
    counted
        .load(&replicas, || counted.refused() >= refused + 20)
        .await;
    assert_eq!(counted.answered(), RATE);
    replicas.insert(0, fleet.homes[0].start().await);
    fleet.stop(replicas).await;
}
