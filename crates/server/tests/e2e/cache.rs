//! Answers that are given again, and vendors' prompt caches.

use serde_json::{Value, json};

use crate::bench::process::{Installation, Trunkline};
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{APP_KEY, ask, ask_streamed, providers};

async fn cache(installation: &Installation, trunkline: &Trunkline, arguments: &[&str]) -> Value {
    let url = format!("http://{}", trunkline.address());
    let all = [&["cache", "--json", "--url", &url], arguments].concat();
    serde_json::from_str(&installation.print(&all).await).unwrap()
}

#[tokio::test]
async fn a_kept_answer_still_says_that_it_is_simulated() {
    let installation = Installation::new(&format!(
        "providers: {{ sim: {{ kind: sim }} }}\ncache: {{ exact: {{}} }}\nkeys: [{{ name: app, key: {APP_KEY} }}]\n"
    ));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    for (outcome, request) in [
        ("miss", ask("sim/gpt", "Hello")),
        ("hit", ask("sim/gpt", "Hello")),
        ("hit", ask_streamed("sim/gpt", "Hello")),
    ] {
        let answer = app.chat(&request).await;
        assert_eq!(answer.header("x-trunkline-cache"), Some(outcome));
        assert_eq!(answer.header("x-trunkline-simulated"), Some("true"));
    }
}

#[tokio::test]
async fn the_command_line_shows_purges_and_corrects_what_a_process_keeps() {
    let sim = Simulated::start().await;
    let configuration = format!("{}cache: {{ exact: {{}} }}\n", providers(sim.address));
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let outcome = async |words: &str| {
        let answer = app.chat(&ask("openai/gpt", words)).await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        (answer.header("x-trunkline-cache").unwrap().to_owned(), id)
    };
    assert_eq!(outcome("Hello").await.0, "miss");
    let (hit, id) = outcome("Hello").await;
    assert_eq!(hit, "hit");
    let shown = cache(&installation, &trunkline, &["show"]).await;
    assert_eq!((&shown["entries"], &shown["hits"]), (&json!(1), &json!(1)));
    let evicted = cache(&installation, &trunkline, &["feedback", &id]).await;
    assert_eq!(evicted["evicted"], true);
    assert_eq!(outcome("Hello").await.0, "miss");
    let organization = "org_00000000000000000000000000000009";
    let other = &["purge", "--organization", organization];
    assert_eq!(cache(&installation, &trunkline, other).await["purged"], 0);
    assert_eq!(
        cache(&installation, &trunkline, &["purge"]).await["purged"],
        1
    );
    assert_eq!(outcome("Hello").await.0, "miss");

    let nowhere = ["cache", "show", "--url", "http://127.0.0.1:1"];
    let output = installation.run(&nowhere).await;
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("http://127.0.0.1:1 does not answer"),
        "{told}"
    );
    let wrong = installation
        .run(&["cache", "purge", "--project", "x"])
        .await;
    assert_eq!(wrong.status.code(), Some(2));
}

#[tokio::test]
async fn what_was_asked_often_is_asked_again_within_bounds_and_charged_to_a_key() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&format!(
        "{}cache: {{ exact: {{}} }}\npayloads: {{ keep: full }}\n\
         prices: [{{ provider: openai, model: gpt, input: 1000, output: 1000 }}]\n",
        providers(sim.address)
    ));
    let trunkline = installation.start().await;
    let (app, admin) = (trunkline.app(), trunkline.admin());
    for words in ["Often", "Often", "Often", "Twice", "Twice", "Once"] {
        let answer = app.chat(&ask("openai/gpt", words)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let logs = eventually("all calls are recorded", async || {
        let logs = admin.logs("").await;
        (logs.len() == 6).then_some(logs)
    })
    .await;
    let key = logs[0]["key_id"].as_str().unwrap();
    let warm = ["warm", "--key", key, "--per-minute", "6000"];
    let planned = eventually("what was said is kept", async || {
        let planned = cache(
            &installation,
            &trunkline,
            &[&warm[..], &["--dry-run"]].concat(),
        )
        .await;
        (planned["requests"].as_array()?.len() == 2).then_some(planned)
    })
    .await;
    assert_eq!(planned["requests"][0]["times"], 3, "{planned}");
    cache(&installation, &trunkline, &["purge"]).await;

    // There is money for one of them.
    let cost = planned["requests"][0]["expected_cost_usd"]
        .as_str()
        .unwrap();
    let asked = sim.calls().len();
    let done = cache(
        &installation,
        &trunkline,
        &[&warm[..], &["--usd", cost]].concat(),
    )
    .await;
    assert_eq!((&done["kept"], &done["too_dear"]), (&json!(1), &json!(1)));
    assert_eq!(done["cost_usd"], cost, "{done}");
    assert_eq!(sim.calls().len(), asked + 1);
    let hit = app.chat(&ask_streamed("openai/gpt", "Often")).await;
    assert_eq!(hit.header("x-trunkline-cache"), Some("hit"));
    let done = cache(&installation, &trunkline, &warm).await;
    assert_eq!((&done["known"], &done["kept"]), (&json!(1), &json!(1)));
    assert_eq!(sim.calls().len(), asked + 2);

    let warming = eventually("the calls that warm are recorded", async || {
        let logs = admin.logs("").await.into_iter();
        let is_warming = |call: &Value| {
            let id = call["client_request_id"].as_str().unwrap_or_default();
            id.starts_with("cache-warm:req_")
        };
        let warming: Vec<Value> = logs.filter(is_warming).collect();
        (warming.len() == 3).then_some(warming)
    })
    .await;
    assert!(warming.iter().all(|call| call["key_id"] == key));

    let path = "/api/v1/admin/cache/warm";
    let nobody = json!({ "key_id": "key_00000000000000000000000000000009", "request_id": logs[0]["request_id"] });
    assert_eq!(admin.post(path, &nobody).await.status, 404);
    let unknown = json!({ "key_id": key, "request_id": "req_00000000000000000000000000000009" });
    assert_eq!(admin.post(path, &unknown).await.status, 404);
    assert_eq!(app.post(path, &unknown).await.status, 403);
    let list = "/api/v1/admin/cache/frequent";
    assert_eq!(admin.get(list).await.status, 400);
    let refused = admin.get(&format!("{list}?key_id={key}&limit=0")).await;
    assert!(refused.text().contains("1 to 1000"), "{}", refused.text());
}

#[tokio::test]
async fn a_long_system_prompt_that_comes_again_is_written_and_read_at_the_vendors() {
    let sim = Simulated::start().await;
    let helped = "hang_up: cancel, prompt_cache: auto";
    let configuration = providers(sim.address).replace(
        "anthropic: { kind: anthropic,",
        &format!("anthropic: {{ kind: anthropic, {helped},"),
    );
    assert!(configuration.contains(helped));
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let system = "You are kind. ".repeat(3_000);
    for words in ["One", "Two", "Three"] {
        let request = json!({ "model": "anthropic/claude", "messages": [
            { "role": "system", "content": system }, { "role": "user", "content": words },
        ] });
        assert_eq!(app.chat(&request).await.status, 200);
    }
    let usages = sim.calls().into_iter().filter_map(|call| call.usage);
    let cached: Vec<(u64, u64)> = usages
        .map(|usage| (usage.cache_write_5m, usage.cached_input))
        .collect();
    let [first, second, third] = cached.as_slice() else {
        panic!("three calls: {cached:?}");
    };
    assert_eq!(*first, (0, 0), "it was not known that it would come again");
    assert!(second.0 > 4_096 && second.1 == 0, "{cached:?}");
    assert!(third.0 < 100 && third.1 >= second.0, "{cached:?}");
    let report = cache(&installation, &trunkline, &["prompts"]).await;
    let line = &report["lines"][0];
    assert_eq!(line["written_tokens"], second.0, "{report}");
    assert_eq!(line["read_tokens"], third.1, "{report}");
    let table = ["cache", "prompts", "--url"];
    let url = format!("http://{}", trunkline.address());
    let table = installation.print(&[&table[..], &[&url]].concat()).await;
    assert!(table.contains("anthropic/claude"), "{table}");
}

#[tokio::test]
async fn vectors_of_a_provider_are_calls_in_the_ledger_that_name_the_chat() {
    let sim = Simulated::start().await;
    let semantic = "cache: { exact: {}, semantic: { model: openai/text-embedding-3-small, wait: 20s } }\n\
                    prices: [{ provider: openai, model: text-embedding-3-small, input: 1000 }]\n";
    let installation = Installation::new(&format!("{}{semantic}", providers(sim.address)));
    let trunkline = installation.start().await;
    let answer = trunkline
        .app()
        .chat(&ask("openai/gpt", "How are you?"))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.header("x-request-id").unwrap();
    let calls = eventually("both calls are recorded", async || {
        let calls = trunkline.admin().logs("").await;
        (calls.len() == 2).then_some(calls)
    })
    .await;
    let is_vector = |call: &&Value| call["operation"] == "cache_embedding";
    let vector = calls
        .iter()
        .find(is_vector)
        .expect("a vector was asked for");
    assert_eq!(vector["client_request_id"], id);
    assert_eq!(vector["state"], "settled");
    assert_ne!(vector["cost_usd"], "0.000000000");
    let chat = calls.iter().find(|call| !is_vector(call)).unwrap();
    assert_eq!(chat["key_id"], vector["key_id"]);
    let shown = cache(&installation, &trunkline, &["show"]).await;
    assert_eq!(shown["semantic"]["looked_up"], 1, "{shown}");

    installation.configure(&format!(
        "{}cache: {{ exact: {{}}, semantic: {{ model: nobody/m }} }}\n",
        providers(sim.address)
    ));
    let output = installation.run(&["check"]).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("no provider is called `nobody`"), "{told}");
}
