//! Exchanges with shared counters: the same as their meaning, `domain::limit::Shares`, also after everything was
//! lost and after the server's clock was set.

use std::time::Duration;

use domain::id::ReplicaId;
use domain::limit::{
    CounterName, Demand, Epoch, GONE, Grant, LEASE, MAX_DEMANDS, SharedCounters, Shares, Span,
};
use fleet::Counters;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::server::RedisServer;
use crate::world::{connected, connected_in, replica};

const MINUTE: Span = Span::Sliding(Duration::from_mins(1));
const MONTH: Span = Span::Period(None);

/// Makes everything that was said older by ARGV[1] milliseconds, and what was lost to have been lost earlier. Only
/// differences count, so that this is as if time had passed.
const AGE: &str = "
  for _, key in ipairs(redis.call('KEYS', '*limits-began')) do
    redis.call('SET', key, string.format('%.0f', redis.call('GET', key) - ARGV[1] * 1000))
  end
  for _, key in ipairs(redis.call('KEYS', '*:limit:*')) do
    local fields = redis.call('HGETALL', key)
    for i = 1, #fields, 2 do
      local rest, heard = string.match(fields[i + 1], '^(%d+ %d+ %d+ %d+) (%d+)$')
      if rest then
        redis.call('HSET', key, fields[i], string.format('%s %.0f', rest, heard - ARGV[1]))
      end
    end
  end
  return redis.status_reply('OK')";

fn passes(server: &RedisServer, time: Duration) {
    let milliseconds = time.as_millis().to_string();
    assert_eq!(server.say(&["EVAL", AGE, "0", &milliseconds]), "+OK");
}

/// The server's clock is set back.
fn is_set_back(server: &RedisServer, by: Duration) {
    let milliseconds = format!("-{}", by.as_millis());
    assert_eq!(server.say(&["EVAL", AGE, "0", &milliseconds]), "+OK");
}

fn demand(span: Span) -> Demand {
    Demand {
        counter: CounterName::of(&["all", "test"]),
        span,
        capacity: 100,
        epoch: None,
        spent: 0,
        unsaid: 0,
        held: 0,
        known: 0,
        wanted: 0,
    }
}

fn wants(wanted: u64) -> Demand {
    Demand {
        wanted,
        ..demand(MINUTE)
    }
}

fn counters(server: &RedisServer) -> Counters {
    let (shared, watch) = connected(server);
    Counters::new(&shared, watch)
}

async fn exchange(counters: &Counters, replica: ReplicaId, demand: &Demand) -> Grant {
    let grants = counters
        .exchange(replica, std::slice::from_ref(demand))
        .await;
    grants.unwrap().pop().unwrap()
}

/// One exchange of a random schedule.
#[derive(Debug, Clone)]
struct Step {
    /// What happens before.
    before: Before,
    /// How many replicas there are.
    replicas: u32,
    replica: u8,
    knows_the_run: bool,
    capacity: u64,
    spent: u64,
    unsaid: u64,
    held: u64,
    known: u64,
    wanted: u64,
}

#[derive(Debug, Clone, Copy)]
enum Before {
    Passes(Duration),
    IsSetBack(Duration),
    IsLost,
}

/// Steps of whole elevens of seconds, so that what a slow machine adds crosses none of the bounds in time: not
/// ten seconds, a minute and ten, or ten minutes.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seconds = Duration::from_secs;
    let before = prop_oneof![
        12 => prop_oneof![6 => Just(0), 2 => Just(11), 1 => Just(66), 1 => Just(605)]
            .prop_map(move |elevens| Before::Passes(seconds(elevens))),
        1 => prop_oneof![Just(11), Just(605)]
            .prop_map(move |elevens| Before::IsSetBack(seconds(elevens))),
        1 => Just(Before::IsLost),
    ];
    let step = (
        before,
        1u32..5,
        1u8..5,
        any::<bool>(),
        50u64..120,
        0u64..60,
        0u64..60,
        0u64..40,
        0u64..90,
        0u64..150,
    )
        .prop_map(
            |(
                before,
                replicas,
                replica,
                knows_the_run,
                capacity,
                spent,
                unsaid,
                held,
                known,
                wanted,
            )| {
                Step {
                    before,
                    replicas,
                    replica,
                    knows_the_run,
                    capacity,
                    spent,
                    unsaid,
                    held,
                    known,
                    wanted,
                }
            },
        );
    prop::collection::vec(step, 1..25)
}

fn span() -> impl Strategy<Value = Span> {
    let month = Timestamp::UNIX_EPOCH + Duration::from_hours(24 * 31);
    prop_oneof![
        Just(MINUTE),
        Just(MONTH),
        Just(Span::Period(Some(month))),
        Just(Span::InUse),
    ]
}

#[test]
fn an_exchange_means_the_same_as_it_does_without_a_server() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let server = RedisServer::start();
    let counters = counters(&server);
    let mut runner = TestRunner::new(Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&(span(), steps()), |(span, steps)| {
        server.flush();
        // Late enough to be set back as often as there are steps.
        let mut now = Duration::from_hours(24);
        let mut model = None;
        let mut run = None;
        for step in steps {
            match step.before {
                Before::Passes(time) => {
                    now += time;
                    passes(&server, time);
                }
                Before::IsSetBack(time) => {
                    now -= time;
                    is_set_back(&server, time);
                }
                Before::IsLost => {
                    (model, run) = (None, None);
                    server.flush();
                }
            }
            counters.replicas_seen(step.replicas);
            let said = |epoch| Demand {
                capacity: step.capacity,
                epoch,
                spent: step.spent,
                unsaid: step.unsaid,
                held: step.held,
                known: step.known,
                wanted: step.wanted,
                ..demand(span)
            };
            let who = replica(step.replica);
            let known = run.filter(|_| step.knows_the_run);
            let replicas = step.replicas.into();
            let shares = model.get_or_insert_with(|| Shares::new(Epoch(1), now));
            let expected = shares.exchange(who, replicas, &said(known.map(|_| Epoch(1))), now);
            let granted = runtime.block_on(exchange(&counters, who, &said(known)));
            prop_assert_eq!(*run.get_or_insert(granted.epoch), granted.epoch);
            prop_assert_eq!(
                Grant {
                    epoch: Epoch(1),
                    ..granted
                },
                expected
            );
        }
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn many_counters_are_exchanged_in_one_round_trip() {
    let server = RedisServer::start();
    let (shared, watch) = connected(&server);
    let counters = Counters::new(&shared, watch.clone());
    let demands: Vec<Demand> = (0..MAX_DEMANDS)
        .map(|number| Demand {
            counter: CounterName::of(&["all", &number.to_string()]),
            ..wants(u64::try_from(number).unwrap())
        })
        .collect();
    // On a busy machine it may take longer than is waited for.
    let mut made = 1;
    let grants = loop {
        match counters.exchange(replica(1), &demands).await {
            Ok(grants) => break grants,
            Err(error) => assert!(made < 50, "{error}"),
        }
        made += 1;
        watch.goes_on(Duration::from_secs(1));
    };
    let shares: Vec<u64> = grants.iter().map(|grant| grant.share).collect();
    let wanted: Vec<u64> = demands
        .iter()
        .map(|demand| demand.wanted.min(100))
        .collect();
    assert_eq!(shares, wanted);
    // The script came in full once, and its hash was asked for before.
    let calls = server.lines(&["INFO", "commandstats"]).join("\n");
    let (_, calls) = calls.split_once("cmdstat_evalsha:calls=").unwrap();
    let calls: usize = calls.split_once(',').unwrap().0.parse().unwrap();
    assert!(calls <= made + 1, "{calls} calls for {made} exchanges");
}

#[tokio::test]
async fn a_server_that_forgot_the_script_is_told_it_again() {
    let server = RedisServer::start();
    let counters = counters(&server);
    exchange(&counters, replica(1), &wants(10)).await;
    assert_eq!(server.say(&["SCRIPT", "FLUSH"]), "+OK");
    assert_eq!(exchange(&counters, replica(1), &wants(20)).await.share, 20);
}

#[tokio::test]
async fn every_key_ends_by_itself() {
    let server = RedisServer::start();
    let counters = counters(&server);
    let end = Timestamp::UNIX_EPOCH + Duration::from_hours(1);
    let demands = [MINUTE, MONTH, Span::Period(Some(end)), Span::InUse]
        .into_iter()
        .enumerate()
        .map(|(number, span)| Demand {
            counter: CounterName::of(&["all", &number.to_string()]),
            ..demand(span)
        });
    let demands: Vec<Demand> = demands.collect();
    counters.exchange(replica(1), &demands).await.unwrap();
    let keys = server.lines(&["KEYS", "*"]);
    assert_eq!(keys.len(), demands.len() + 1, "{keys:?}");
    for key in keys {
        let left = server.say(&["TTL", &key]);
        let left: i64 = left.trim_start_matches(':').parse().unwrap();
        assert!(left > 0, "{key} is kept for good");
    }
}

#[tokio::test]
async fn installations_that_share_a_server_share_no_counter() {
    let server = RedisServer::start();
    let (one, watch) = connected_in(&server, 1);
    let one = Counters::new(&one, watch);
    let (other, watch) = connected_in(&server, 2);
    let other = Counters::new(&other, watch);
    assert_eq!(exchange(&one, replica(1), &wants(100)).await.share, 100);
    assert_eq!(exchange(&other, replica(2), &wants(100)).await.share, 100);
}

#[tokio::test]
async fn what_is_not_known_after_a_loss_is_left_to_those_who_were_not_heard_of() {
    let server = RedisServer::start();
    let counters = counters(&server);
    counters.replicas_seen(2);
    exchange(&counters, replica(1), &wants(60)).await;
    exchange(&counters, replica(2), &wants(40)).await;
    let began = counters.began();

    server.flush();
    let first = exchange(&counters, replica(1), &wants(100)).await;
    assert_eq!(first.share, 50);
    assert_ne!(counters.began(), began);
    // The other one says what it took, and nothing is held back any more.
    let took = Demand {
        spent: 40,
        ..wants(40)
    };
    exchange(&counters, replica(2), &took).await;
    assert_eq!(exchange(&counters, replica(1), &wants(100)).await.share, 60);
}

#[tokio::test]
async fn nothing_is_held_back_for_one_that_stays_silent_for_longer_than_its_lease() {
    let server = RedisServer::start();
    let counters = counters(&server);
    counters.replicas_seen(3);
    assert_eq!(exchange(&counters, replica(1), &wants(100)).await.share, 34);
    passes(&server, LEASE);
    assert_eq!(
        exchange(&counters, replica(1), &wants(100)).await.share,
        100
    );
}

#[tokio::test]
async fn large_amounts_are_neither_cut_nor_written_with_an_exponent() {
    let server = RedisServer::start();
    let counters = counters(&server);
    let nine_million_dollars = 9_000_000_000_000_001;
    let said = Demand {
        capacity: nine_million_dollars,
        wanted: u64::MAX,
        known: nine_million_dollars - 7,
        ..demand(MONTH)
    };
    let grant = exchange(&counters, replica(1), &said).await;
    assert_eq!((grant.share, grant.fair), (7, nine_million_dollars));
    let endless = Demand {
        counter: CounterName::of(&["all", "endless"]),
        capacity: u64::MAX,
        wanted: u64::MAX,
        ..demand(MONTH)
    };
    assert_eq!(
        exchange(&counters, replica(1), &endless).await.share,
        u64::MAX
    );
}

#[tokio::test]
async fn what_a_replica_spent_that_is_gone_for_good_stays_spent() {
    let server = RedisServer::start();
    let counters = counters(&server);
    let said = Demand {
        spent: 30,
        unsaid: 30,
        wanted: 30,
        ..demand(MONTH)
    };
    exchange(&counters, replica(1), &said).await;
    passes(&server, GONE + Duration::from_secs(11));
    let other = Demand {
        wanted: 100,
        ..demand(MONTH)
    };
    let grant = exchange(&counters, replica(2), &other).await;
    assert_eq!((grant.share, grant.spent_elsewhere), (70, 30));
}
