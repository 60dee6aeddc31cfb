//! Replicas that share one limit over Redis, and what its callers are answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::client::Client;
use super::fleet::Fleet;
use super::process::Trunkline;
use super::redis::RedisServer;
use super::simulated::Simulated;
use super::{ask, providers};

/// The key whose limits are tried.
const LIMITED: &str = "the-key-that-has-a-limit";
/// Its requests per hour: no test takes so long that it comes to have some again.
pub(crate) const RATE: usize = 60;
pub(crate) const OF_REQUESTS: &str = "requests: 60, per: hour";

/// Replicas that share `limit` over what is at `url`, none of which runs.
pub(crate) async fn fleet_at(count: usize, sim: &Simulated, url: &str, limit: &str) -> Fleet {
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

/// Replicas that share one limit on a Redis of their own.
pub(crate) struct Limited {
    pub(crate) sim: Simulated,
    pub(crate) redis: RedisServer,
    pub(crate) fleet: Fleet,
    pub(crate) replicas: Vec<Trunkline>,
    pub(crate) counted: Counted,
}

impl Limited {
    /// Replicas that run and know of each other.
    pub(crate) async fn by(limit: &str, count: usize) -> Self {
        let (sim, redis) = (Simulated::start().await, RedisServer::start());
        let fleet = fleet_at(count, &sim, &redis.url(), limit).await;
        let replicas = fleet.start_acquainted().await;
        let counted = Counted::default();
        Self {
            sim,
            redis,
            fleet,
            replicas,
            counted,
        }
    }

    /// Asks all replicas at once until `is_enough`.
    pub(crate) async fn load(&self, is_enough: impl Fn(&Counted) -> bool) {
        let counted = &self.counted;
        counted.load(&self.replicas, || is_enough(counted)).await;
    }

    /// Asks until the whole rate is used up, and then some more.
    pub(crate) async fn use_up(&self) {
        self.counted.use_up(&self.replicas).await;
    }

    /// Stops all replicas.
    pub(crate) async fn end(self) {
        self.fleet.stop(self.replicas).await;
    }
}

/// Answers of status 200 and 429 that callers of several replicas got.
#[derive(Default)]
pub(crate) struct Counted {
    answered: AtomicUsize,
    refused: AtomicUsize,
}

impl Counted {
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Asks `replica` once.
    pub(crate) async fn ask(&self, replica: &Trunkline) {
        let client = replica.app().with_key(LIMITED);
        self.ask_as(&client).await;
    }

    async fn ask_as(&self, client: &Client) {
        let answer = client.chat(&ask("openai/gpt", "hello")).await;
        match answer.status {
            200 => self.answered.fetch_add(1, Ordering::Relaxed),
            429 => self.refused.fetch_add(1, Ordering::Relaxed),
            status => panic!("{status}: {}", answer.text()),
        };
    }

    /// Asks all of `replicas` at once, four callers at each, until `is_enough`.
    pub(crate) async fn load(&self, replicas: &[Trunkline], is_enough: impl Fn() -> bool) {
        let callers = replicas
            .iter()
            .flat_map(|replica| (0..4).map(move |_| replica));
        join_all(callers.map(async |replica| {
            let client = replica.app().with_key(LIMITED);
            while !is_enough() {
                self.ask_as(&client).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }))
        .await;
    }

    /// Asks `replicas` until the whole rate is used up, and then some more.
    pub(crate) async fn use_up(&self, replicas: &[Trunkline]) {
        let began = Instant::now();
        let is_used_up = || self.answered() >= RATE || began.elapsed() > Duration::from_secs(20);
        self.load(replicas, is_used_up).await;
        let refused = self.refused();
        self.load(replicas, || self.refused() >= refused + 40).await;
    }
}

/// How many requests replicas that know of each other may have let in: the rate. Where a busy machine kept one from
/// being answered in time, that one also gave out its part of what it knew to be nobody's, which others may have got.
pub(crate) fn most_of(replicas: &[Trunkline]) -> usize {
    let was_alone =
        |replica: &&Trunkline| replica.log().contains("limits cannot be shared for now");
    let alone = replicas.iter().filter(was_alone).count();
    RATE + alone * RATE / replicas.len()
}

/// What replicas said that they took of all counters together, and how much of them is their shares.
pub(crate) fn said_to(redis: &RedisServer) -> (usize, usize) {
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
