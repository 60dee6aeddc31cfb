//! Another configuration while calls go on.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;

use crate::bench::process::Installation;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{APP_KEY, ask, ask_streamed, providers};

/// A configuration whose route `chosen` leads to `target`.
fn leading_to(sim: &Simulated, target: &str) -> String {
    format!(
        "{}models:\n  chosen: {{ targets: [{{ model: {target} }}] }}\n",
        providers(sim.address)
    )
}

#[tokio::test]
async fn a_route_leads_elsewhere_after_the_file_has_changed_and_no_call_fails() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&leading_to(&sim, "openai/gpt"));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let is_over = AtomicBool::new(false);
    let callers = join_all((0..6).map(async |number: usize| {
        let words = "[[sim chunks=5 chunk-delay=5]]";
        let mut calls = 0;
        while !is_over.load(Ordering::Relaxed) {
            let is_streamed = number.is_multiple_of(2);
            let request = if is_streamed {
                ask_streamed("chosen", words)
            } else {
                ask("chosen", words)
            };
            let answer = app.chat(&request).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(!answer.said().is_empty(), "{}", answer.text());
            assert_eq!(is_streamed, answer.text().ends_with("data: [DONE]\n\n"));
            calls += 1;
        }
        calls
    }));
    let changes = async {
        for (target, provider) in [
            ("anthropic/claude", "anthropic"),
            ("google/gemini", "google"),
            ("openai/gpt", "openai"),
        ] {
            installation.configure(&leading_to(&sim, target));
            eventually("the route leads elsewhere", async || {
                let answer = app.chat(&ask("chosen", "hello")).await;
                (answer.header("x-trunkline-provider") == Some(provider)).then_some(())
            })
            .await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (calls, ()) = tokio::join!(callers, changes);
    assert!(calls.iter().all(|calls| *calls > 0), "{calls:?}");
}

#[tokio::test]
async fn a_file_that_is_written_in_place_is_noticed_as_well() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&leading_to(&sim, "openai/gpt"));
    let trunkline = installation.start().await;
    let new = leading_to(&sim, "anthropic/claude");
    std::fs::write(installation.path("trunkline.yaml"), new).unwrap();
    eventually("the route leads elsewhere", async || {
        let answer = trunkline.app().chat(&ask("chosen", "hello")).await;
        (answer.header("x-trunkline-provider") == Some("anthropic")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_reported_with_every_problem() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&leading_to(&sim, "openai/gpt"));
    let trunkline = installation.start().await;
    installation.configure(&format!(
        "{}  wrong: {{ targts: [] }}\nmodel: 1\n",
        leading_to(&sim, "google/gemini")
    ));
    trunkline
        .logged("the configuration is not valid and stays as it was")
        .await;
    let log = trunkline.log();
    assert!(log.contains("targts") && log.contains("models"), "{log}");
    let answer = trunkline.app().chat(&ask("chosen", "hello")).await;
    assert_eq!(answer.header("x-trunkline-provider"), Some("openai"));
    installation.configure(&leading_to(&sim, "google/gemini"));
    trunkline.logged("the configuration was reloaded").await;
    let answer = trunkline.app().chat(&ask("chosen", "hello")).await;
    assert_eq!(answer.header("x-trunkline-provider"), Some("google"));
}

#[tokio::test]
async fn sighup_reads_again_what_the_file_refers_to() {
    let sim = Simulated::start().await;
    let refers = providers(sim.address).replace(APP_KEY, "file:secrets/app.key");
    let installation = Installation::new("");
    let secret = installation.path("secrets");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("app.key"), APP_KEY).unwrap();
    installation.configure(&refers);
    let trunkline = installation.start().await;
    let old = trunkline.app();
    assert_eq!(old.chat(&ask("openai/gpt", "hello")).await.status, 200);

    std::fs::write(secret.join("app.key"), "another-text-of-the-key").unwrap();
    trunkline.signal("HUP").await;
    trunkline.logged("the configuration was reloaded").await;
    let new = old.with_key("another-text-of-the-key");
    assert_eq!(new.chat(&ask("openai/gpt", "hello")).await.status, 200);
    old.chat(&ask("openai/gpt", "hello"))
        .await
        .sentence(401, "invalid_api_key");
}
