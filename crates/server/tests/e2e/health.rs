//! How providers are doing, through the front door: probes, canaries and what monitors are told.

use serde_json::{Value, json};

use crate::bench::process::Installation;
use crate::bench::providers;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;

const PATH: &str = "/api/ai/health";

#[tokio::test]
async fn health_is_told_in_the_applications_shape() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let request = crate::bench::ask("openai/gpt", "hello");
    assert_eq!(trunkline.app().chat(&request).await.status, 200);
    let answer = trunkline.app().get(PATH).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let health = answer.json();
    assert_eq!(health["status"], "healthy", "{health:#}");
    let openai = &health["services"]["providers"]["openai"];
    assert_eq!(openai["status"], "healthy");
    assert_eq!(openai["circuit"], "closed");
    assert_eq!(openai["errorRate"], 0.0);
    assert!(openai["latencyMs"].is_u64(), "{health:#}");
    let unasked = &health["services"]["providers"]["google"];
    assert_eq!(unasked["latencyMs"], Value::Null);
    assert_eq!(health["services"]["store"], json!({ "status": "healthy" }));
    assert_eq!(
        health["services"]["shared"],
        json!({ "status": "disabled" })
    );
    assert_eq!(health["metrics"]["attemptsDispatched"], 1);

    let stranger = trunkline.app().with_key("not-a-key-of-anyone");
    let refused = stranger.get(PATH).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["error"]["type"], "authentication");
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_found_out_without_a_call() {
    let sim = Simulated::start().await;
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let health = "health: { probes: { interval: 1s } }\n";
    let lost = format!(
        "  lost: {{ kind: openai, base_url: 'http://{gone}/v1', api_key: sk, allow_private_address: true }}\n"
    );
    let configuration = providers(sim.address);
    let configuration = configuration.replacen("providers:\n", &format!("providers:\n{lost}"), 1);
    let installation = Installation::new(&format!("{configuration}{health}"));
    let trunkline = installation.start().await;
    let found = eventually("probes tell", async || {
        let health = trunkline.app().get(PATH).await.json();
        let is_out = health["services"]["providers"]["lost"]["status"] == "unhealthy";
        is_out.then_some(health)
    })
    .await;
    assert_eq!(found["status"], "degraded", "{found:#}");
    assert_eq!(found["services"]["providers"]["lost"]["circuit"], "open");
    assert_eq!(
        found["services"]["providers"]["openai"]["status"],
        "healthy"
    );
    let ready = trunkline.app().get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(
        ready.text().contains("probes of lost fail"),
        "{}",
        ready.text()
    );
    let up = "trunkline_provider_up{provider=\"openai\"}";
    assert!((trunkline.admin().metric(up).await - 1.0).abs() < 0.5);
    assert!(
        trunkline.admin().logs("").await.is_empty(),
        "probes are no calls"
    );
}

#[tokio::test]
async fn a_target_that_nobody_asks_gets_canaries_until_the_money_is_spent() {
    let sim = Simulated::start().await;
    let rest = "models:
  quiet: { targets: [{ model: openai/gpt }] }
prices:
  - { provider: openai, model: gpt, input: 0, output: 1000 }
health: { canary: { idle: 1s, usd_per_day: 0.000001 } }
";
    let installation = Installation::new(&format!("{}{rest}", providers(sim.address)));
    let trunkline = installation.start().await;
    let call = eventually("a canary is recorded", async || {
        trunkline.admin().logs("").await.pop()
    })
    .await;
    assert_eq!(call["request_model"], "openai/gpt", "{call:#}");
    assert_eq!(call["usage"]["output_tokens"], 1);
    assert_eq!(
        call["organization_id"],
        "org_00000000000000000000000000000002"
    );
    let canaries = sim.calls().len();
    assert_eq!(canaries, 1, "the day's money is spent");
}
