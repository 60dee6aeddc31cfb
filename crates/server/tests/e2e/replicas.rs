//! Several replicas of one installation: they know each other, follow each other's changes, and take over what
//! one of them left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::bench::client::Client;
use crate::bench::directory::unique;
use crate::bench::fleet::{Fleet, operator};
use crate::bench::process::Trunkline;
use crate::bench::relay::{Relay, Wire};
use crate::bench::simulated::Simulated;
use crate::bench::wait::{eventually, within};
use crate::bench::{EVERY_FORMAT, ask, providers};

/// What another replica changes takes effect within this time.
const A_SECOND: Duration = Duration::from_secs(1);

/// The replicas that `replica` sees.
async fn seen_by(replica: &Trunkline) -> Vec<Value> {
    let answer = operator(replica).get("/api/v1/admin/replicas").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"]["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn replicas_know_each_other_until_they_stop() {
    let sim = Simulated::start().await;
    let fleet = Fleet::of(3, &providers(sim.address)).await;
    let mut replicas = fleet.start().await;
    let seen = seen_by(&replicas[1]).await;
    assert_eq!(seen.len(), 3, "{seen:#?}");
    for (number, replica) in replicas.iter().enumerate() {
        let address = seen[number]["address"].as_str().unwrap();
        assert!(
            address.ends_with(&replica.address().to_string()),
            "{seen:#?}"
        );
        assert_eq!(seen[number]["is_this"], number == 1);
        assert_eq!(seen[number]["shared"], false);
    }
    let printed = fleet.homes[0].print(&["replicas", "--json"]).await;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed[2]["id"], seen[2]["id"]);

    let forbidden = replicas[0].app().get("/api/v1/admin/replicas").await;
    assert_eq!(forbidden.status, 403, "{}", forbidden.text());

    replicas.remove(0).stop().await;
    let seen = seen_by(&replicas[0]).await;
    assert_eq!(seen.len(), 2, "{seen:#?}");
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn a_second_replica_is_not_ready_while_a_limit_is_set_that_it_does_not_share() {
    let sim = Simulated::start().await;
    let configuration = format!(
        "{}  - {{ name: limited, key: another-key-that-is-limited, rate: {{ rpm: 60 }} }}\n",
        providers(sim.address)
    );
    let fleet = Fleet::of(2, &configuration).await;
    let first = fleet.homes[0].start().await;
    let second = fleet.homes[1].start_unready().await;
    let ready = operator(&second).get("/readyz").await;
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert!(
        ready.text().contains("name one server under `shared`"),
        "{}",
        ready.text()
    );
    assert!(
        ready.text().contains(&first.address().to_string()),
        "{}",
        ready.text()
    );
    assert_eq!(operator(&first).get("/readyz").await.status, 200);

    // When the first has ended, the second holds the limits alone.
    first.stop().await;
    eventually("the second is ready", async || {
        (operator(&second).get("/readyz").await.status == 200).then_some(())
    })
    .await;
    fleet.stop(vec![second]).await;
}

#[tokio::test]
async fn a_second_replica_is_not_ready_while_a_limit_of_the_store_is_in_force() {
    let sim = Simulated::start().await;
    let fleet = Fleet::of(2, &providers(sim.address)).await;
    let replicas = fleet.start().await;
    let limits = "/api/v1/admin/limits";
    let limit = json!({ "name": "all", "requests": 60, "per": "minute" });
    let made = operator(&replicas[0]).post(limits, &limit).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let becomes = async |status: u16| {
        eventually("the second has followed", async || {
            (operator(&replicas[1]).get("/readyz").await.status == status).then_some(())
        })
        .await;
    };
    becomes(503).await;
    assert_eq!(operator(&replicas[0]).get("/readyz").await.status, 200);
    let path = format!("{limits}/{}", made.json()["data"]["id"].as_str().unwrap());
    assert_eq!(operator(&replicas[0]).delete(&path).await.status, 200);
    becomes(200).await;
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn a_key_that_is_revoked_at_one_replica_is_refused_by_all_within_a_second() {
    let sim = Simulated::start().await;
    let fleet = Fleet::of(3, &providers(sim.address)).await;
    let replicas = fleet.start().await;
    let made = operator(&replicas[0])
        .post("/api/v1/admin/keys", &json!({ "name": "passing" }))
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let (id, key) = (
        made["data"]["id"].as_str().unwrap(),
        made["data"]["key"].as_str().unwrap(),
    );
    for replica in &replicas {
        within(A_SECOND, "the key is known", async || {
            let answer = replica
                .app()
                .with_key(key)
                .chat(&ask("openai/gpt", "hello"))
                .await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
    let revoked = operator(&replicas[2])
        .delete(&format!("/api/v1/admin/keys/{id}"))
        .await;
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    within(A_SECOND, "the key is refused everywhere", async || {
        let answers = join_all(replicas.iter().map(async |replica| {
            let answer = replica
                .app()
                .with_key(key)
                .chat(&ask("openai/gpt", "hello"))
                .await;
            answer.status
        }));
        (answers.await == [401; 3]).then_some(())
    })
    .await;
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn what_a_replica_left_that_was_killed_under_load_is_taken_over_by_another() {
    let sim = Simulated::start().await;
    let fleet = Fleet::of(3, &providers(sim.address)).await;
    let others: Vec<String> = fleet
        .homes
        .iter()
        .map(|home| format!("'{}'", home.path("trunkline-data").display()))
        .collect();
    let configuration = format!(
        "{}ledger: {{ adopt: [{}] }}\n",
        Fleet::shared(&providers(sim.address), &fleet.database.url()),
        others.join(", ")
    );
    for home in &fleet.homes {
        home.configure(&configuration);
    }
    let mut replicas = fleet.start().await;
    let marks: Vec<String> = (0..60).map(|_| unique("mark-")).collect();
    let load = join_all(marks.iter().enumerate().map(async |(number, mark)| {
        let model = EVERY_FORMAT[number % EVERY_FORMAT.len()];
        let request = ask(
            model,
            &format!("[[sim latency={}]] {mark}", 100 + number * 10),
        );
        let headers = [("x-client-request-id", mark.as_str())];
        let replica = &replicas[number % 3];
        replica
            .app()
            .try_chat(&headers, request.to_string())
            .await
            .map(|answer| answer.status)
    }));
    let killed = async {
        eventually("all were sent", async || {
            (sim.calls().len() == marks.len()).then_some(())
        })
        .await;
        replicas[0].signal("KILL").await;
    };
    let (answers, ()) = tokio::join!(load, killed);
    let broken = answers.iter().filter(|answer| answer.is_err()).count();
    assert!(broken > 0, "nothing was under way");
    let app = replicas[1].app();
    for (number, mark) in marks.iter().enumerate() {
        let call = app.recorded(mark).await;
        let expected: &[Value] = if answers[number].is_ok() {
            &[json!("settled")]
        } else {
            // The answer may have come and not been passed on any more.
            &[json!("estimated"), json!("settled"), json!("cancelled")]
        };
        assert!(expected.contains(&call["state"]), "{number}: {call:#}");
    }
    assert_eq!(
        operator(&replicas[1]).logs("").await.len(),
        sim.calls().len()
    );
    drop(replicas.remove(0));
    let seen = seen_by(&replicas[0]).await;
    assert_eq!(seen.len(), 2, "{seen:#?}");
    assert!(fleet.homes[0].journal().is_empty());
    fleet.stop(replicas).await;
}

/// A client that keeps its connections and goes to the next replica when a connection is refused, and only then.
struct Balanced(Vec<Client>);

impl Balanced {
    async fn chat(&self, number: usize, mark: &str) -> anyhow::Result<u16> {
        let request = ask(EVERY_FORMAT[number % EVERY_FORMAT.len()], mark).to_string();
        let headers = [("x-client-request-id", mark)];
        for turn in 0.. {
            let client = &self.0[(number + turn) % self.0.len()];
            match client.try_chat(&headers, request.clone()).await {
                Ok(answer) => return Ok(answer.status),
                Err(error) if is_refused(&error) && turn < 100 => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the loop ends by itself")
    }
}

fn is_refused(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused)
    })
}

#[tokio::test]
async fn a_rolling_restart_under_load_drops_no_request() {
    let sim = Simulated::start().await;
    let fleet = Fleet::of(2, &providers(sim.address)).await;
    let mut ports = Vec::new();
    for home in &fleet.homes {
        // The port of a replica stays the same, as behind a load balancer.
        let first = home.start().await;
        ports.push(first.address());
        first.stop().await;
    }
    let mut replicas = Vec::new();
    for (home, port) in fleet.homes.iter().zip(&ports) {
        replicas.push(home.start_at(*port).await);
    }
    let balanced = Balanced(replicas.iter().map(Trunkline::app).collect());
    let is_over = AtomicBool::new(false);
    let load = join_all((0..8).map(async |worker| {
        let mut sent = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let mark = unique("mark-");
            let status = balanced.chat(worker + sent.len(), &mark).await;
            assert_eq!(status.unwrap(), 200);
            sent.push(mark);
        }
        sent
    }));
    let roll = async {
        for _ in 0..2 {
            for (home, port) in fleet.homes.iter().zip(&ports) {
                replicas.remove(0).stop().await;
                replicas.push(home.start_at(*port).await);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(load, roll);
    let sent: Vec<String> = sent.into_iter().flatten().collect();
    assert!(sent.len() > 50, "only {} were sent", sent.len());
    eventually("every request is recorded once", async || {
        (operator(&replicas[0]).logs("").await.len() == sent.len()).then_some(())
    })
    .await;
    assert_eq!(sim.calls().len(), sent.len());
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn replicas_under_load_lose_nothing_while_the_store_is_away_or_does_not_answer() {
    let sim = Simulated::start().await;
    let fleet = Fleet::of(2, &providers(sim.address)).await;
    let wire = Relay::to(fleet.database.host()).await;
    let store = fleet.database.url_through(wire.address);
    for home in &fleet.homes {
        home.configure(&Fleet::shared(&providers(sim.address), &store));
    }
    let replicas = fleet.start().await;
    let is_over = AtomicBool::new(false);
    let load = join_all((0..6).map(async |worker| {
        let app = replicas[worker % 2].app();
        let mut sent = 0;
        while !is_over.load(Ordering::Relaxed) {
            let answer = app.chat(&ask(EVERY_FORMAT[worker % 3], "hello")).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            sent += 1;
        }
        sent
    }));
    let outage = async {
        let so_many_more = async |more: usize| {
            let before = sim.calls().len();
            let enough = async || (sim.calls().len() >= before + more).then_some(());
            eventually("calls go on", enough).await;
        };
        so_many_more(20).await;
        for blow in [Wire::Cut, Wire::Silent, Wire::Cut] {
            wire.be(blow);
            so_many_more(40).await;
            wire.mend();
            so_many_more(20).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(load, outage);
    let sent: usize = sent.into_iter().sum();
    eventually("every call is recorded once", async || {
        let listed = operator(&replicas[0]).get("/api/v1/db/logs?limit=1").await;
        if listed.status != 200 {
            return None;
        }
        (operator(&replicas[0]).logs("").await.len() == sent).then_some(())
    })
    .await;
    assert_eq!(sim.calls().len(), sent);
    eventually("both are seen again", async || {
        (seen_by(&replicas[1]).await.len() == 2).then_some(())
    })
    .await;
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn each_replica_takes_over_its_own_changed_configuration() {
    let sim = Simulated::start().await;
    let fleet = Fleet::of(2, &providers(sim.address)).await;
    let replicas = fleet.start().await;
    let changed = format!(
        "{}  - {{ name: late, key: a-key-that-came-later }}\n",
        providers(sim.address)
    );
    let changed = Fleet::shared(&changed, &fleet.database.url());
    let status = async |replica: &Trunkline| {
        let late = replica.app().with_key("a-key-that-came-later");
        late.chat(&ask("openai/gpt", "hello")).await.status
    };
    for (home, replica) in fleet.homes.iter().zip(&replicas) {
        assert_eq!(status(replica).await, 401);
        home.configure(&changed);
        eventually("the key is known", async || {
            (status(replica).await == 200).then_some(())
        })
        .await;
    }
    fleet.stop(replicas).await;
}
