//! Which target a request goes to, through the front door.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::bench::process::{Installation, Trunkline};
use crate::bench::providers;
use crate::bench::simulated::Simulated;

/// Providers of three names, all at the simulated one, two of them in a region.
fn several(sim: &Simulated) -> String {
    let address = sim.address;
    let provider = |name: &str, region: &str| {
        format!(
            "  {name}: {{ kind: openai, base_url: 'http://{address}/v1', api_key: sk-{name}, allow_private_address: true{region} }}\n"
        )
    };
    let own = ["one", "two", "three"].map(|name| match name {
        "one" => provider(name, ", region: us"),
        "two" => provider(name, ", region: eu-west-1"),
        _ => provider(name, ""),
    });
    providers(address).replacen("providers:\n", &format!("providers:\n{}", own.concat()), 1)
}

async fn provider_of(trunkline: &Trunkline, headers: &[(&str, &str)], request: &Value) -> String {
    let answer = trunkline.app().chat_with(headers, request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-trunkline-provider").unwrap().to_owned()
}

fn ask(model: &str, user: &str, tier: &str) -> Value {
    json!({
        "model": model, "user": user, "metadata": { "tier": tier },
        "messages": [{ "role": "user", "content": "hello" }],
    })
}

#[tokio::test]
async fn requests_go_where_the_route_says() {
    let sim = Simulated::start().await;
    let routes = "models:
  shared: { strategy: weighted, targets: [{ model: one/gpt }, { model: two/gpt }] }
  tiers:
    targets:
      - { model: two/gpt, when: \"metadata.tier == 'gold' && headers['x-team'] == 'search'\" }
      - { model: one/gpt }
  rolled:
    targets:
      - { model: one/gpt, variant: old }
      - { model: two/gpt, variant: new, rollout: 50% }
  europe: { regions: [eu], targets: [{ model: one/gpt }, { model: two/gpt }], fallback: [three/gpt] }
  outer: { targets: [{ route: europe }, { model: one/gpt }] }
";
    let installation = Installation::new(&format!("{}{routes}", several(&sim)));
    let trunkline = installation.start().await;

    let mut shares = BTreeMap::new();
    for _ in 0..40 {
        let provider = provider_of(&trunkline, &[], &ask("shared", "ann", "")).await;
        *shares.entry(provider).or_insert(0) += 1;
    }
    assert_eq!(shares.len(), 2, "{shares:?}");

    let session = [("x-trunkline-session", "s-1")];
    let first = provider_of(&trunkline, &session, &ask("shared", "ann", "")).await;
    for _ in 0..10 {
        let next = provider_of(&trunkline, &session, &ask("shared", "ann", "")).await;
        assert_eq!(next, first, "a session stays where it is");
    }

    let of_search = [("x-team", "search")];
    let gold = ask("tiers", "ann", "gold");
    assert_eq!(provider_of(&trunkline, &of_search, &gold).await, "two");
    assert_eq!(provider_of(&trunkline, &[], &gold).await, "one");
    assert_eq!(
        provider_of(&trunkline, &of_search, &ask("tiers", "ann", "iron")).await,
        "one"
    );
    assert!(
        trunkline
            .app()
            .metric("trunkline_route_condition_failures_total")
            .await
            >= 1.0
    );

    let mut new = 0;
    for number in 0..30 {
        let user = format!("user-{number}");
        let provider = provider_of(&trunkline, &[], &ask("rolled", &user, "")).await;
        new += u32::from(provider == "two");
        assert_eq!(
            provider_of(&trunkline, &[], &ask("rolled", &user, "")).await,
            provider
        );
    }
    assert!((5..=25).contains(&new), "{new} of 30");
    let calls = trunkline.admin().logs("").await;
    let rolled = calls.iter().filter(|call| call["route"] == "rolled");
    for call in rolled {
        let variant = if call["provider"] == "two" {
            "new"
        } else {
            "old"
        };
        assert_eq!(call["variant"], variant, "{call:#}");
    }

    for model in ["europe", "outer"] {
        assert_eq!(
            provider_of(&trunkline, &[], &ask(model, "ann", "")).await,
            "two",
            "{model}"
        );
    }
    let failing = json!({ "model": "europe", "messages": [{ "role": "user", "content": "[[sim status=500]]" }] });
    let before = sim.calls().len();
    let failed = trunkline.app().chat(&failing).await;
    assert_ne!(failed.status, 200);
    assert_eq!(
        sim.calls().len(),
        before + 1,
        "nobody outside of the region is asked"
    );
}

#[tokio::test]
async fn a_tenants_data_stays_in_its_regions_whatever_is_asked_for() {
    let sim = Simulated::start().await;
    let rest = "models:
  both: { targets: [{ model: one/gpt }, { model: two/gpt }] }
residency:
  - { keys: [app], regions: [eu] }
";
    let installation = Installation::new(&format!("{}{rest}", several(&sim)));
    let trunkline = installation.start().await;
    assert_eq!(
        provider_of(&trunkline, &[], &ask("both", "ann", "")).await,
        "two"
    );
    assert_eq!(
        provider_of(&trunkline, &[], &ask("two/gpt", "ann", "")).await,
        "two"
    );
    for model in ["one/gpt", "three/gpt"] {
        let refused = trunkline.app().chat(&ask(model, "ann", "")).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert!(refused.text().contains("'eu'"), "{}", refused.text());
    }
    let embedding = json!({ "model": "one/text-embedding", "input": "hello" });
    let refused = trunkline.app().post("/v1/embeddings", &embedding).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let passed = trunkline
        .app()
        .post(
            "/passthrough/one/v1/chat/completions",
            &ask("gpt", "ann", ""),
        )
        .await;
    assert_eq!(passed.status, 403, "{}", passed.text());
    assert!(
        sim.calls().iter().all(|call| call.model == "gpt"),
        "only what was permitted"
    );
    let asked_by_admin = trunkline.admin().chat(&ask("one/gpt", "ann", "")).await;
    assert_eq!(
        asked_by_admin.status, 200,
        "the promise is about another key"
    );
}

#[tokio::test]
async fn an_explanation_says_where_a_request_would_go_and_the_command_line_agrees() {
    let sim = Simulated::start().await;
    let rest = "models:
  smart:
    strategy: cheapest
    targets:
      - { model: one/gpt }
      - { model: two/gpt }
      - { model: three/gpt, when: \"request.stream\" }
    fallback: [openai/gpt]
prices:
  - { provider: one, model: gpt, input: 2, output: 4 }
  - { provider: two, model: gpt, input: 1, output: 2 }
";
    let installation = Installation::new(&format!("{}{rest}", several(&sim)));
    let trunkline = installation.start().await;
    let question = json!({ "model": "smart", "input_tokens": 1_000_000, "max_output_tokens": 0 });
    let path = "/api/v1/admin/routes/explain";
    let answer = trunkline.admin().post(path, &question).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let explained = answer.json()["data"].clone();
    assert_eq!(explained["strategy"], "cheapest", "{explained:#}");
    let order = |explained: &Value| {
        let targets = explained["targets"].as_array().unwrap().iter();
        targets
            .map(|it| it["provider"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(order(&explained), ["two", "one", "openai"]);
    assert_eq!(explained["targets"][0]["expected_cost_usd"], "1.000000000");
    assert_eq!(explained["targets"][2]["standing"], "fallback");
    assert_eq!(explained["left_out"][0]["target"], "three/gpt");
    assert!(sim.calls().is_empty(), "nothing is sent");

    let printed = installation
        .print(&[
            "explain",
            "smart",
            "--input-tokens",
            "1000000",
            "--max-output-tokens",
            "0",
            "--json",
        ])
        .await;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["targets"], explained["targets"], "{printed:#}");
    let shown = installation
        .print(&["explain", "smart", "--prefer", "three", "--stream"])
        .await;
    assert!(
        shown.contains("The caller prefers its provider."),
        "{shown}"
    );

    let streamed = json!({ "model": "smart", "stream": true, "preferred_provider": "openai" });
    let answer = trunkline.admin().post(path, &streamed).await.json();
    assert_eq!(order(&answer["data"])[0], "openai");
    let wished = json!({
        "model": "smart", "input_tokens": 1_000_000, "max_output_tokens": 0, "max_retries": 4,
        "fallback_order": ["openai"], "performance_weighting": 0.5,
    });
    let wished = trunkline.admin().post(path, &wished).await.json();
    assert_eq!(wished["data"]["attempts"], 5, "{wished:#}");
    assert_eq!(wished["data"]["strategy"], "balanced");
    let reasons = wished["data"]["targets"].as_array().unwrap().iter();
    let reasons: Vec<&str> = reasons.filter_map(|it| it["reason"].as_str()).collect();
    assert!(
        reasons.contains(&"The caller wants its provider tried next."),
        "{reasons:?}"
    );
    let alone = ["explain", "smart", "--no-fallback", "--json"];
    let alone: Value = serde_json::from_str(&installation.print(&alone).await).unwrap();
    assert_eq!(alone["targets"].as_array().unwrap().len(), 1, "{alone:#}");
    for (wrong, status) in [
        (json!({ "model": "smart", "max_retries": 10 }), 400),
        (
            json!({ "model": "smart", "performance_weighting": 1.5 }),
            400,
        ),
        (json!({ "model": "smrt" }), 404),
        (json!({}), 400),
        (json!({ "model": "smart", "key_id": "key_0" }), 400),
        (
            json!({ "model": "smart", "headers": { "bad name": "x" } }),
            400,
        ),
    ] {
        let refused = trunkline.admin().post(path, &wrong).await;
        assert_eq!(refused.status, status, "{wrong}: {}", refused.text());
    }
    let member = trunkline.app().post(path, &question).await;
    assert_eq!(member.status, 403);

    let listed = trunkline.admin().get("/api/v1/admin/routes").await.json();
    let items = listed["data"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["targets"][2]["when"], "request.stream");
    assert_eq!(items[0]["fallback"], json!(["openai/gpt"]));
}
