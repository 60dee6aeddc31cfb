//! What is corrected after the fact, compared with invoices, and checked: through the command line and the API.

use serde_json::{Value, json};

use crate::bench::client::Client;
use crate::bench::process::{Installation, Trunkline};
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{EVERY_FORMAT, ask, ask_streamed, providers};

fn configuration(sim: &Simulated, input: &str) -> String {
    let prices = ["openai/gpt", "anthropic/claude", "google/gemini"].map(|name| {
        let (provider, model) = name.split_once('/').unwrap();
        format!("  - {{ provider: {provider}, model: {model}, input: {input}, output: 10 }}\n")
    });
    format!("{}prices:\n{}", providers(sim.address), prices.concat())
}

async fn called(trunkline: &Trunkline) -> Vec<Value> {
    let app = trunkline.app();
    for model in EVERY_FORMAT {
        app.chat(&ask(model, "Hello")).await;
        app.chat(&ask_streamed(model, "Hello")).await;
        app.chat(&ask(model, "[[sim status=400]]")).await;
    }
    eventually("every call is recorded", async || {
        let calls = trunkline.admin().logs("").await;
        (calls.len() == 3 * EVERY_FORMAT.len()).then_some(calls)
    })
    .await
}

async fn json_of(installation: &Installation, arguments: &[&str]) -> Value {
    serde_json::from_str(&installation.print(arguments).await).unwrap()
}

/// Nano-dollars, exactly.
fn nano(amount: &Value) -> i64 {
    let cost: domain::money::Cost = amount.as_str().unwrap().parse().unwrap();
    cost.nano_dollars()
}

async fn spent(admin: &Client, field: &str) -> i64 {
    let calls = admin.logs("").await;
    let cost = |call: &Value| match &call[field] {
        Value::Null => nano(&call["cost_usd"]),
        amount => nano(amount),
    };
    calls.iter().map(cost).sum()
}

#[tokio::test]
async fn a_price_that_is_corrected_later_adjusts_what_calls_cost_and_leaves_them_as_they_are() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&configuration(&sim, "2"));
    let trunkline = installation.start().await;
    let calls = called(&trunkline).await;
    let admin = trunkline.admin();
    let before = spent(&admin, "cost_usd").await;

    installation.configure(&configuration(&sim, "3"));
    let input: i64 = calls
        .iter()
        .map(|call| call["usage"]["input_tokens"].as_i64().unwrap())
        .sum();
    // One dollar more for a million is a thousand nano-dollars more for one.
    let expected = json!(domain::money::Cost::from_nano_dollars(input * 1_000));
    let dry = json_of(&installation, &["cost", "rerate", "--dry-run", "--json"]).await;
    assert_eq!(
        (&dry["amount_usd"], &dry["adjusted"]),
        (&expected, &json!(6)),
        "{dry}"
    );
    let rerated = json_of(&installation, &["cost", "rerate", "--json"]).await;
    assert_eq!(rerated, dry);
    let again = json_of(&installation, &["cost", "rerate", "--json"]).await;
    assert_eq!(
        (&again["adjusted"], &again["calls"]),
        (&json!(0), &json!(9)),
        "{again}"
    );

    assert_eq!(spent(&admin, "cost_usd").await, before);
    assert_eq!(
        spent(&admin, "adjusted_cost_usd").await,
        before + input * 1_000
    );
    let spend = json_of(&installation, &["cost", "--json"]).await;
    let total: i64 = spend["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| nano(&key["cost_usd"]))
        .sum();
    assert_eq!(total, before + input * 1_000);
    let checked = json_of(&installation, &["ledger", "check", "--json"]).await;
    assert_eq!(checked["adjusted_usd"], expected);
    assert_eq!(checked["adjustments"], 6);
}

#[tokio::test]
async fn a_budget_sees_what_calls_are_found_to_have_cost_while_the_process_serves() {
    let sim = Simulated::start().await;
    let budget = "limits:\n  - { name: all, usd: 5, per: month }\n";
    let dear = format!("{}{budget}", configuration(&sim, "100000"));
    let installation = Installation::new(&dear);
    let trunkline = installation.start().await;
    let (app, admin) = (trunkline.app(), trunkline.admin());
    app.chat(&ask("openai/gpt", "Hello")).await;
    eventually("the budget is spent", async || {
        let answer = app.chat(&ask("openai/gpt", "Hello")).await;
        (answer.status == 429).then_some(())
    })
    .await;
    eventually("the call is recorded", async || {
        (!admin.logs("").await.is_empty()).then_some(())
    })
    .await;
    // Another process corrects the price; this one is not told of it, and finds out.
    installation.configure(&format!("{}{budget}", configuration(&sim, "2")));
    let rerated = json_of(&installation, &["cost", "rerate", "--json"]).await;
    assert_ne!(rerated["adjusted"], 0, "{rerated}");
    eventually("calls are admitted again", async || {
        let answer = app.chat(&ask("openai/gpt", "Hello")).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_api_does_what_the_command_line_does_and_for_operators_only() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&configuration(&sim, "2"));
    let trunkline = installation.start().await;
    called(&trunkline).await;
    let admin = trunkline.admin();
    let rerated = admin
        .post("/api/v1/admin/cost/rerate", &json!({ "dry_run": true }))
        .await;
    assert_eq!(rerated.json()["data"]["adjusted"], 0, "{rerated:?}");
    assert_eq!(rerated.json()["data"]["next_cursor"], Value::Null);
    let check = "/api/v1/admin/ledger/check?until=2100-01-01T00:00:00Z";
    let checked = admin.get(check).await.json();
    assert_eq!(checked["data"]["agrees"], true, "{checked}");
    assert_eq!(checked["data"]["calls"], 9);
    assert!(
        checked["data"]["recomputed"].as_u64().unwrap() >= 9,
        "{checked}"
    );
    let app = trunkline.app();
    assert_eq!(app.get(check).await.status, 403);
    assert_eq!(
        app.post("/api/v1/admin/cost/rerate", &json!({}))
            .await
            .status,
        403
    );
    let unknown = admin
        .post("/api/v1/admin/cost/rerate", &json!({ "providr": "x" }))
        .await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn a_vendors_export_is_held_against_the_ledger() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&configuration(&sim, "2"));
    let trunkline = installation.start().await;
    let calls = called(&trunkline).await;
    let ours: i64 = calls
        .iter()
        .filter(|call| call["provider"] == "openai")
        .map(|call| nano(&call["cost_usd"]))
        .sum();
    let day = calls[0]["started_at"].as_str().unwrap().get(..10).unwrap();
    let export = |nano: i64| {
        let cost = domain::money::Cost::from_nano_dollars(nano);
        format!("date,model,cost_usd\n{day},gpt,{cost}\n")
    };
    let file = installation.path("export.csv");
    std::fs::write(&file, export(ours)).unwrap();
    let file = file.to_str().unwrap();
    let reconcile = ["cost", "reconcile", "--provider", "openai", file, "--json"];
    let same = json_of(&installation, &reconcile).await;
    assert_eq!(same["beyond_threshold"], 0, "{same}");
    assert_eq!(same["total"]["difference"]["cost_usd"], "0.000000000");

    std::fs::write(file, export(ours + 20_000_000_000)).unwrap();
    let other = installation.run(&reconcile).await;
    assert_eq!(other.status.code(), Some(1));
    let other: Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!(other["rows"][0]["is_beyond_threshold"], true);
    assert_eq!(other["rows"][0]["difference"]["cost_usd"], "-20.000000000");

    std::fs::write(file, "date,model\n2026-11-20,m\n").unwrap();
    let unreadable = installation.run(&reconcile).await;
    assert_eq!(unreadable.status.code(), Some(2));
}
