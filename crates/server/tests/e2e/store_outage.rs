//! PostgreSQL as the store, and what happens while it is away.

use futures_util::future::join_all;

use crate::bench::directory::unique;
use crate::bench::postgres::Database;
use crate::bench::process::Installation;
use crate::bench::relay::Relay;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{EVERY_FORMAT, ask, providers};

#[tokio::test]
async fn what_was_recorded_in_postgresql_is_there_after_a_restart() {
    let sim = Simulated::start().await;
    let database = Database::create().await;
    let configuration = format!("{}store: '{}'\n", providers(sim.address), database.url());
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let mark = unique("mark-");
    for model in EVERY_FORMAT {
        let headers = [("x-client-request-id", &*format!("{mark}-{model}"))];
        assert_eq!(
            trunkline
                .app()
                .chat_with(&headers, &ask(model, "hello"))
                .await
                .status,
            200
        );
    }
    let mut before = Vec::new();
    for model in EVERY_FORMAT {
        before.push(trunkline.app().recorded(&format!("{mark}-{model}")).await);
    }
    let admin_key = trunkline.admin_key().to_owned();
    trunkline.stop().await;

    let trunkline = installation.start().await;
    assert_eq!(trunkline.admin_key(), admin_key);
    let mut after = trunkline.admin().logs("").await;
    after.reverse();
    assert_eq!(after, before);
    trunkline.stop().await;
    database.remove().await;
}

#[tokio::test]
async fn calls_go_on_while_the_store_is_away_and_are_recorded_when_it_is_back() {
    let sim = Simulated::start().await;
    let database = Database::create().await;
    let wire = Relay::to(database.host()).await;
    let store = database.url_through(wire.address);
    let installation = Installation::new(&format!("{}store: '{store}'\n", providers(sim.address)));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let warm = app
        .chat_with(
            &[("x-client-request-id", "warm")],
            &ask("openai/gpt", "hello"),
        )
        .await;
    assert_eq!(warm.status, 200);
    app.recorded("warm").await;

    let at_rest = app.metric("trunkline_ledger_journal_bytes").await;
    wire.cut();
    let marks: Vec<String> = (0..40).map(|_| unique("mark-")).collect();
    join_all(marks.iter().enumerate().map(async |(number, mark)| {
        let model = EVERY_FORMAT[number % EVERY_FORMAT.len()];
        let headers = [("x-client-request-id", mark.as_str())];
        let answer = app.chat_with(&headers, &ask(model, mark)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }))
    .await;
    trunkline.logged("calls cannot be recorded").await;
    // The line says why.
    trunkline.logged("store unavailable: ").await;
    assert!(app.metric("trunkline_ledger_journal_bytes").await > at_rest);
    let ready = app.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(
        ready.text().contains("the store cannot be reached"),
        "{}",
        ready.text()
    );
    let logs = app.get("/api/v1/db/logs").await;
    assert_eq!(logs.status, 503, "{}", logs.text());

    wire.mend();
    for mark in &marks {
        assert_eq!(app.recorded(mark).await["state"], "settled");
    }
    assert_eq!(app.logs("").await.len(), marks.len() + 1);
    trunkline.stop().await;
    assert_eq!(installation.journal(), Vec::<std::path::PathBuf>::new());
    database.remove().await;
}

#[tokio::test]
async fn a_process_that_is_killed_while_the_store_is_away_loses_nothing() {
    let sim = Simulated::start().await;
    let database = Database::create().await;
    let wire = Relay::to(database.host()).await;
    let store = database.url_through(wire.address);
    let installation = Installation::new(&format!("{}store: '{store}'\n", providers(sim.address)));
    let trunkline = installation.start().await;
    wire.cut();
    let mark = unique("mark-");
    let headers = [("x-client-request-id", mark.as_str())];
    assert_eq!(
        trunkline
            .app()
            .chat_with(&headers, &ask("openai/gpt", "hello"))
            .await
            .status,
        200
    );
    trunkline.kill().await;
    wire.mend();
    let trunkline = installation.start().await;
    assert_eq!(trunkline.app().recorded(&mark).await["state"], "settled");
    trunkline.stop().await;
    database.remove().await;
}

#[tokio::test]
async fn a_full_journal_refuses_new_calls_before_they_are_sent_until_there_is_room_again() {
    let sim = Simulated::start().await;
    let database = Database::create().await;
    let wire = Relay::to(database.host()).await;
    let store = database.url_through(wire.address);
    let installation = Installation::new(&format!(
        "{}store: '{store}'\nledger: {{ max_bytes: 64KiB }}\n",
        providers(sim.address)
    ));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    wire.cut();
    let mut answered = 0;
    let refusal = eventually("the journal is full", async || {
        let answer = app.chat(&ask("openai/gpt", "hello")).await;
        answered += usize::from(answer.status == 200);
        (answer.status != 200).then_some(answer)
    })
    .await;
    let error = &refusal.json()["error"];
    assert_eq!(refusal.status, 503, "{error}");
    assert!(
        error["message"].as_str().unwrap().contains("cannot record"),
        "{error}"
    );
    assert_eq!(sim.calls().len(), answered);
    trunkline.logged("the ledger takes no new calls").await;

    wire.mend();
    eventually("new calls are taken again", async || {
        (app.chat(&ask("openai/gpt", "hello")).await.status == 200).then_some(())
    })
    .await;
    eventually("every call is recorded", async || {
        (app.logs("").await.len() == sim.calls().len()).then_some(())
    })
    .await;
    trunkline.stop().await;
    database.remove().await;
}
