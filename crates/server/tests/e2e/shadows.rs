//! Copies of calls that go to another target, through the front door.

use serde_json::{Value, json};

use crate::bench::process::Installation;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{ask, ask_streamed, providers};

fn configuration(sim: &Simulated, budget: &str) -> String {
    let address = sim.address;
    let one = |name: &str| {
        format!(
            "  {name}: {{ kind: openai, base_url: 'http://{address}/v1', api_key: sk-{name}, allow_private_address: true }}\n"
        )
    };
    let providers = providers(address);
    let with = format!("providers:\n{}{}", one("first"), one("second"));
    let providers = providers.replacen("providers:\n", &with, 1);
    format!(
        "{providers}models:
  chat:
    targets: [{{ model: first/gpt }}]
    shadow: {{ model: second/gpt, budget: {{ usd: {budget}, per: day }} }}
prices:
  - {{ provider: first, model: gpt, input: 1, output: 1 }}
  - {{ provider: second, model: gpt, input: 2, output: 2 }}
"
    )
}

#[tokio::test]
async fn copies_are_recorded_compared_and_hidden_from_callers() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&configuration(&sim, "5"));
    let trunkline = installation.start().await;
    for words in ["one", "two"] {
        let answer = trunkline.app().chat(&ask("chat", words)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-trunkline-provider"), Some("first"));
        assert_eq!(answer.header("x-trunkline-attempts"), Some("1"));
    }
    let streamed = trunkline.app().chat(&ask_streamed("chat", "three")).await;
    assert_eq!(streamed.status, 200);

    let path = "/api/v1/admin/routes/shadows?route=chat";
    let compared = eventually("every copy is recorded", async || {
        let compared = trunkline.admin().get(path).await.json();
        let item = compared["data"]["items"][0].clone();
        (item["calls"] == 3).then_some(item)
    })
    .await;
    assert_eq!(compared["model"], "second/gpt", "{compared:#}");
    assert_eq!(compared["unmatched"], 0);
    let dollars = |side: &str| {
        let text = compared[side]["cost_usd"].as_str().unwrap();
        text.parse::<f64>().unwrap()
    };
    assert!(dollars("original") > 0.0);
    assert!((dollars("shadow") - 2.0 * dollars("original")).abs() < 1e-9);
    for side in ["original", "shadow"] {
        assert_eq!(compared[side]["failed"], 0);
        assert_eq!(compared[side]["finish_reasons"], json!({ "stop": 3 }));
        assert!(compared[side]["latency_ms"]["p95"].is_u64());
        assert!(compared[side]["time_to_first_token_ms"]["p50"].is_u64());
    }

    let logs = trunkline.admin().logs("").await;
    let (copies, calls): (Vec<Value>, Vec<Value>) = logs
        .into_iter()
        .partition(|call| call["shadow_of"].is_string());
    assert_eq!((copies.len(), calls.len()), (3, 3));
    for copy in &copies {
        assert_eq!(copy["provider"], "second");
        let of = calls
            .iter()
            .filter(|it| it["request_id"] == copy["shadow_of"]);
        assert_eq!(of.count(), 1);
        assert_ne!(copy["key_id"], calls[0]["key_id"]);
    }
    let own = trunkline.app().logs("").await;
    assert_eq!(own.len(), 3, "callers see their own calls only");
    let sent = "trunkline_shadow_copies_total{outcome=\"sent\"}";
    assert!((trunkline.admin().metric(sent).await - 3.0).abs() < 0.5);

    let printed = installation.print(&["shadows", "--json"]).await;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["items"][0], compared);
    let shown = installation.print(&["shadows", "--route", "chat"]).await;
    assert!(
        shown.contains("3 calls beside their copies at second/gpt"),
        "{shown}"
    );

    let unknown = trunkline
        .admin()
        .get("/api/v1/admin/routes/shadows?route=other")
        .await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    assert_eq!(trunkline.app().get(path).await.status, 403);
    let listed = trunkline.admin().get("/api/v1/admin/routes").await.json();
    let shadow = &listed["data"]["items"][0]["shadow"];
    assert_eq!(shadow["model"], "second/gpt", "{listed:#}");
}

#[tokio::test]
async fn a_budget_of_copies_outlives_a_restart() {
    let sim = Simulated::start().await;
    // What is asked costs nothing, so that the first copy surely costs no more than there is; what is answered
    // costs more.
    let configuration = configuration(&sim, "0.000001").replace("input: 2", "input: 0");
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    trunkline.app().chat(&ask("chat", "first")).await;
    let is_over = async |trunkline: &crate::bench::process::Trunkline, name: &str| {
        eventually("a copy is counted", async || {
            let metric = format!("trunkline_shadow_copies_total{{outcome=\"{name}\"}}");
            (trunkline.admin().metric(&metric).await >= 1.0).then_some(())
        })
        .await;
    };
    is_over(&trunkline, "sent").await;
    eventually("both calls are recorded", async || {
        (trunkline.admin().logs("").await.len() == 2).then_some(())
    })
    .await;
    trunkline.stop().await;

    let trunkline = installation.start().await;
    trunkline.app().chat(&ask("chat", "second")).await;
    is_over(&trunkline, "over_budget").await;
    let copies = sim.calls().into_iter();
    assert_eq!(copies.count(), 3, "two calls and one copy");
}
