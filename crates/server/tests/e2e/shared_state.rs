//! What replicas share beside limits: answers that were kept, and which targets fail.

use serde_json::json;

use crate::bench::client::Client;
use crate::bench::fleet::{Fleet, operator};
use crate::bench::redis::RedisServer;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{ask, providers};

#[tokio::test]
async fn an_answer_that_one_replica_kept_is_given_by_another() {
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let configuration = format!(
        "shared: '{}'\ncache: {{ exact: {{ shared_wait: 1s }} }}\n{}",
        redis.url(),
        providers(sim.address)
    );
    let fleet = Fleet::of(2, &configuration).await;
    let replicas = fleet.start().await;
    let request = ask("openai/gpt", "once for all");
    let first = replicas[0].app().chat(&request).await;
    assert_eq!(first.header("x-trunkline-cache"), Some("miss"));
    eventually("the other has it too", async || {
        let second = replicas[1].app().chat(&request).await;
        assert_eq!(second.said(), first.said());
        (second.header("x-trunkline-cache") == Some("hit")).then_some(())
    })
    .await;
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn a_wrong_answer_is_forgotten_by_all_whichever_replica_is_told() {
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let configuration = format!(
        "shared: '{}'\ncache: {{ exact: {{ shared_wait: 1s }} }}\n{}",
        redis.url(),
        providers(sim.address)
    );
    let fleet = Fleet::of(2, &configuration).await;
    let replicas = fleet.start().await;
    let outcome = async |number: usize| {
        let app: Client = replicas[number].app();
        let answer = app.chat(&ask("openai/gpt", "once for all")).await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        (answer.header("x-trunkline-cache").unwrap().to_owned(), id)
    };
    let (miss, id) = outcome(0).await;
    assert_eq!(miss, "miss");
    eventually("the other has it too", async || {
        (outcome(1).await.0 == "hit").then_some(())
    })
    .await;
    let told = async |number: usize, id: &str| {
        let verdict = json!({ "request_id": id, "verdict": "wrong" });
        let operator = operator(&replicas[number]);
        let answer = operator
            .post("/api/v1/admin/cache/feedback", &verdict)
            .await;
        answer.json()["data"].clone()
    };
    // The second has given the answer as well, but does not know the call of the first.
    let data = told(1, &id).await;
    assert_eq!(data, json!({ "evicted": false, "told": true }));
    let asked = sim.calls().len();
    let kept = async |number: usize| {
        let stats = operator(&replicas[number]).get("/api/v1/admin/cache").await;
        stats.json()["data"]["entries"].as_u64().unwrap()
    };
    eventually("both have forgotten it", async || {
        (kept(0).await == 0 && kept(1).await == 0).then_some(())
    })
    .await;
    let (miss, id) = outcome(1).await;
    assert_eq!((&*miss, sim.calls().len()), ("miss", asked + 1));
    let data = told(1, &id).await;
    assert_eq!(data, json!({ "evicted": true, "told": false }));
    fleet.stop(replicas).await;
}

#[tokio::test]
async fn what_one_replica_finds_out_of_a_target_the_other_need_not() {
    let (sim, redis) = (Simulated::start().await, RedisServer::start());
    let nobody = "providers:
  nobody: { kind: openai, base_url: 'http://127.0.0.1:9/v1', api_key: sk-x, allow_private_address: true }
";
    let configuration = format!(
        "shared: '{}'
breaker: {{ open: 5m }}
models:
  absent: {{ targets: [{{ model: nobody/gpt }}], fallback: {{ any: [openai/gpt] }}, retries: {{ attempts: 1 }} }}
{}",
        redis.url(),
        providers(sim.address).replacen("providers:\n", nobody, 1)
    );
    let fleet = Fleet::of(2, &configuration).await;
    let replicas = fleet.start().await;
    let attempts = async |number: usize| {
        let app: Client = replicas[number].app();
        let answer = app.chat(&ask("absent", "hello")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("x-trunkline-attempts").unwrap().to_owned()
    };
    assert_eq!(attempts(1).await, "2", "it does not know yet");
    eventually("the first has found it out", async || {
        (attempts(0).await == "1").then_some(())
    })
    .await;
    // Far fewer calls than it would take to find it out here.
    eventually("the other has heard of it", async || {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        (attempts(1).await == "1").then_some(())
    })
    .await;
    let calls = sim.calls().len();
    assert!(calls < 30, "{calls} calls");
    fleet.stop(replicas).await;
}
