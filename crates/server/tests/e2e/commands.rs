//! The command line.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::bench::process::Installation;
use crate::bench::simulated::Simulated;
use crate::bench::{ask, providers};

/// What a command prints as JSON.
async fn json_of(installation: &Installation, arguments: &[&str]) -> Value {
    serde_json::from_str(&installation.print(arguments).await).unwrap()
}

#[tokio::test]
async fn check_reports_every_problem_at_once_with_its_place() {
    let installation = Installation::new(
        "server: { listn: 127.0.0.1:1, max_body: many }
providers:
  openai: { kind: opnai, api_key: '${NOT_SET_ANYWHERE}' }
models:
  fast: { targets: [{ model: nobody/gpt }] }
",
    );
    let output = installation.run(&["check"]).await;
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    for word in [
        "listn",
        "listen",
        "max_body",
        "opnai",
        "NOT_SET_ANYWHERE",
        "nobody",
        "line 1",
        "3:",
    ] {
        let is_told = told.contains(word) || word == "line 1" && told.contains("trunkline.yaml:1");
        assert!(is_told, "{word}: {told}");
    }
    let output = installation.run(&["check", "--json"]).await;
    assert_eq!(output.status.code(), Some(2));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["problems"].as_array().unwrap().len() >= 5, "{told:#}");

    installation.configure("providers: { sim: { kind: sim } }\n");
    let told = installation.print(&["check"]).await;
    assert!(told.contains("is valid"), "{told}");
}

#[tokio::test]
async fn the_schema_is_one_and_takes_what_the_process_takes() {
    let sim = Simulated::start().await;
    let installation = Installation::new("");
    let schema = json_of(&installation, &["check", "--schema"]).await;
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = json!({
        "providers": { "openai": { "kind": "openai", "api_key": "k", "base_url": format!("http://{}/v1", sim.address),
            "allow_private_address": true } },
        "models": { "fast": { "targets": [{ "model": "openai/gpt" }] } },
        "ledger": { "sync": "always", "max_bytes": "1GiB" },
    });
    // JSON is YAML.
    installation.configure(&good.to_string());
    installation.print(&["check"]).await;
    assert!(validator.is_valid(&good));
    assert!(!validator.is_valid(&json!({ "provders": {} })));
    assert!(!validator.is_valid(&json!({ "ledger": { "sync": "sometimes" } })));
}

#[tokio::test]
async fn the_openapi_document_lists_every_route_and_no_other() {
    let installation = Installation::new("");
    let document = json_of(&installation, &["openapi"]).await;
    let listed: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let router = include_str!("../../src/http/router.rs");
    let routed = router.split(".route(").skip(1);
    let routed = routed.map(|route| route.split('"').nth(1).unwrap().replace("{*", "{"));
    let faces = include_str!("../../src/http/faces.rs");
    let before_tests = faces.split("#[cfg(test)]").next().unwrap();
    let quoted = before_tests.split('"').skip(1).step_by(2);
    let spoken = quoted
        .filter(|text| text.starts_with('/'))
        .map(str::to_owned);
    let verbs = [
        "generateContent",
        "streamGenerateContent",
        "embedContent",
        "batchEmbedContents",
        "countTokens",
    ];
    let verbs = verbs.map(|verb| format!("/v1beta/models/{{model}}:{verb}"));
    // What passes has any path.
    let passing = ["/passthrough/{provider}/{path}", "/v1/fine_tuning/{path}"].map(str::to_owned);
    let routes = routed.chain(spoken).chain(verbs).chain(passing);
    let routes: BTreeSet<String> = routes.collect();
    assert_eq!(listed, routes.iter().map(String::as_str).collect());
}

#[tokio::test]
async fn models_lists_what_the_server_lists() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&format!(
        "{}models:\n  fast: {{ targets: [{{ model: openai/gpt }}] }}\n",
        providers(sim.address)
    ));
    let trunkline = installation.start().await;
    let names = |models: &Value| {
        let names = models
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].clone());
        names.collect::<Vec<_>>()
    };
    let printed = names(&json_of(&installation, &["models", "--json"]).await);
    let served = names(&trunkline.app().get("/v1/models").await.json()["data"]);
    assert!(printed.contains(&json!("fast")), "{printed:?}");
    assert_eq!(printed, served);
}

#[tokio::test]
async fn logs_shows_what_the_server_shows() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    for (mark, model) in [("first", "openai/gpt"), ("second", "anthropic/claude")] {
        let headers = [("x-client-request-id", mark)];
        assert_eq!(
            app.chat_with(&headers, &ask(model, "hello")).await.status,
            200
        );
        app.recorded(mark).await;
    }
    let printed = installation.print(&["logs", "--json"]).await;
    let printed = printed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(printed.collect::<Vec<_>>(), app.logs("").await);
    let only = installation
        .print(&["logs", "--json", "--model", "openai/gpt"])
        .await;
    assert_eq!(only.lines().count(), 1);
    let table = installation.print(&["logs", "--limit", "1"]).await;
    assert!(
        table.contains("anthropic/claude") && !table.contains("openai/gpt"),
        "{table}"
    );
}

#[tokio::test]
async fn cost_prices_the_usage_objects_of_every_format_alike() {
    // A thousandth of a dollar for a thousand tokens of input; twice that of output; a tenth when cached.
    let installation = Installation::new(
        "providers:
  openai: { kind: openai, api_key: k }
  anthropic: { kind: anthropic, api_key: k }
  gemini: { kind: gemini, api_key: k }
prices:
  - { provider: openai, model: m, input: 1, cached_input: 0.1, output: 2 }
  - { provider: anthropic, model: m, input: 1, cached_input: 0.1, output: 2 }
  - { provider: gemini, model: m, input: 1, cached_input: 0.1, output: 2 }
",
    );
    for (provider, usage) in [
        (
            "openai",
            json!({ "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500,
                "prompt_tokens_details": { "cached_tokens": 400 } }),
        ),
        (
            "anthropic",
            json!({ "input_tokens": 600, "output_tokens": 500, "cache_read_input_tokens": 400 }),
        ),
        (
            "gemini",
            json!({ "promptTokenCount": 1000, "candidatesTokenCount": 500, "totalTokenCount": 1500,
                "cachedContentTokenCount": 400 }),
        ),
    ] {
        let usage = usage.to_string();
        let arguments = [
            "cost",
            "price",
            "--provider",
            provider,
            "--model",
            "m",
            "--usage",
            &usage,
            "--json",
        ];
        let priced = json_of(&installation, &arguments).await;
        assert_eq!(priced["cost_usd"], "0.001640000", "{provider}: {priced:#}");
    }
}

#[tokio::test]
async fn chat_streams_its_answer_to_the_terminal_and_is_recorded() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let words = "[[sim text=\"caf\u{e9} \u{1F600}, twice\"]]";
    for model in crate::bench::EVERY_FORMAT {
        let said = installation.print(&["chat", "--model", model, words]).await;
        assert_eq!(said, "caf\u{e9} \u{1F600}, twice\n", "{model}");
    }
    assert!(
        sim.calls()
            .iter()
            .all(|call| call.streamed && call.completed)
    );
    let logs = installation.print(&["logs", "--json"]).await;
    assert_eq!(logs.lines().count(), 3);
    let output = installation
        .run(&["chat", "--model", "openai/gpt", "[[sim status=400]]"])
        .await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("trunkline: ")
    );
}
