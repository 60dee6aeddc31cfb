//! The end of a process and the beginning of the next, on the same data.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::bench::directory::unique;
use crate::bench::process::Installation;
use crate::bench::simulated::Simulated;
use crate::bench::wait::{eventually, within};
use crate::bench::{EVERY_FORMAT, ask, ask_streamed, providers};

#[tokio::test]
async fn a_stream_that_runs_when_the_process_is_told_to_stop_is_finished_first() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let request = ask_streamed("anthropic/claude", "[[sim chunks=20 chunk-delay=40]]");
    let mut stream = trunkline.app().open_chat(&request).await;
    stream.next().await.unwrap();
    trunkline.signal("TERM").await;
    trunkline.logged("stopping").await;
    let rest = String::from_utf8(stream.rest().await).unwrap();
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    let address = trunkline.address();
    let status = trunkline.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the port is free again"
    );
    assert_eq!(installation.journal(), Vec::<PathBuf>::new());
    let logs = installation.print(&["logs", "--json"]).await;
    let call: Value = serde_json::from_str(logs.trim()).unwrap();
    assert_eq!(call["state"], "settled", "{call:#}");
}

#[tokio::test]
async fn whole_answers_that_are_under_way_are_given_before_the_process_ends() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let answers = join_all((0..12).map(async |number| {
        let model = EVERY_FORMAT[number % EVERY_FORMAT.len()];
        app.chat(&ask(model, "[[sim latency=700]]")).await.status
    }));
    let stop = async {
        eventually("all are under way", async || {
            (sim.calls().len() == 12).then_some(())
        })
        .await;
        trunkline.stop().await;
    };
    let (answers, ()) = tokio::join!(answers, stop);
    assert_eq!(answers, [200; 12]);
    assert_eq!(installation.journal(), Vec::<PathBuf>::new());
    let trunkline = installation.start().await;
    let calls = trunkline.app().logs("").await;
    assert_eq!(calls.len(), 12);
    assert!(
        calls.iter().all(|call| call["state"] == "settled"),
        "{calls:#?}"
    );
}

#[tokio::test]
async fn an_answer_that_outlasts_the_patience_of_a_stop_is_cut_off_and_recorded() {
    let sim = Simulated::start().await;
    let configuration = format!("{}server: {{ drain: 300ms }}\n", providers(sim.address));
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let mark = unique("mark-");
    let words = format!("{mark} [[sim chunks=100000 words=100000 chunk-delay=20]]");
    let mut stream = trunkline
        .app()
        .open_chat(&ask_streamed("openai/gpt", &words))
        .await;
    stream.next().await.unwrap();
    // It goes on to be read: a caller who stops reading is another matter.
    let reading = async { while stream.next_or_broken().await.is_some() {} };
    let ((), ()) = tokio::join!(reading, trunkline.stop());
    let trunkline = installation.start().await;
    let calls = within(Duration::from_secs(2), "the call is recorded", async || {
        Some(trunkline.app().logs("").await).filter(|calls| !calls.is_empty())
    })
    .await;
    assert_eq!(calls.len(), 1, "{calls:#?}");
    let state = calls[0]["state"].as_str().unwrap();
    assert!(["cancelled", "estimated"].contains(&state), "{calls:#?}");
    assert!(
        calls[0]["usage"]["input_tokens"].as_u64().unwrap() > 0,
        "{calls:#?}"
    );
}

#[tokio::test]
async fn a_start_that_is_killed_while_it_settles_what_was_left_open_loses_nothing() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let marks: Vec<String> = (0..60).map(|_| unique("mark-")).collect();
    let asked = join_all(marks.iter().map(async |mark| {
        let headers = [("x-client-request-id", mark.as_str())];
        let request = ask("openai/gpt", &format!("{mark} [[sim hang=head]]"));
        app.try_chat(&headers, request.to_string()).await.is_err()
    }));
    let kill = async {
        eventually("all are under way", async || {
            (sim.calls().len() == 60).then_some(())
        })
        .await;
        trunkline.kill().await;
    };
    let (broken, ()) = tokio::join!(asked, kill);
    assert!(broken.iter().all(|is_broken| *is_broken));
    for _ in 0..5 {
        installation.start_and_kill().await;
    }
    let trunkline = installation.start().await;
    let calls = trunkline.app().logs("").await;
    assert_eq!(calls.len(), 60);
    for call in calls {
        assert_eq!(call["state"], "estimated", "{call:#}");
        assert_eq!(call["end_reason"], "interrupted", "{call:#}");
    }
}

#[tokio::test]
async fn another_process_on_the_same_data_leaves_the_calls_of_a_living_one_alone() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let mark = unique("mark-");
    let words = format!("{mark} [[sim chunks=40 words=80 chunk-delay=30]]");
    let mut stream = trunkline
        .app()
        .open_chat(&ask_streamed("openai/gpt", &words))
        .await;
    stream.next().await.unwrap();
    let said = installation
        .print(&["chat", "--model", "openai/gpt", "hello"])
        .await;
    assert!(!said.trim().is_empty());
    let recorded = trunkline.admin().logs("").await;
    assert_eq!(
        recorded.len(),
        1,
        "the open call is not settled by others: {recorded:#?}"
    );
    let rest = String::from_utf8(stream.rest().await).unwrap();
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    let calls = eventually("both are recorded", async || {
        Some(trunkline.admin().logs("").await).filter(|calls| calls.len() == 2)
    })
    .await;
    assert!(
        calls.iter().all(|call| call["state"] == "settled"),
        "{calls:#?}"
    );
}

#[tokio::test]
async fn a_ledger_that_is_always_synced_keeps_what_every_other_keeps() {
    let sim = Simulated::start().await;
    let configuration = format!("{}ledger: {{ sync: always }}\n", providers(sim.address));
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let answers =
        join_all((0..20).map(async |_| app.chat(&ask("openai/gpt", "hello")).await.status)).await;
    assert_eq!(answers, [200; 20]);
    trunkline.kill().await;
    let trunkline = installation.start().await;
    let calls = trunkline.app().logs("").await;
    assert_eq!(calls.len(), 20);
    assert!(
        calls.iter().all(|call| call["state"] == "settled"),
        "{calls:#?}"
    );
}
