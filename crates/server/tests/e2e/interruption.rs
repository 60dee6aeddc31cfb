//! What is in the ledger when the process, or the caller, ends in the middle.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bench::client::Client;
use crate::bench::directory::unique;
use crate::bench::process::{Installation, Trunkline};
use crate::bench::simulated::Simulated;
use crate::bench::wait::{eventually, soon, within};
use crate::bench::{APP_KEY, EVERY_FORMAT, ask, ask_streamed, providers};

/// One caller asks one thing after another until the process is gone. Answers the marks of the whole
/// answers that came back complete.
async fn ask_until_it_breaks(client: Client, number: usize) -> Vec<String> {
    let mut complete = Vec::new();
    for turn in number.. {
        let mark = unique("mark-");
        let model = EVERY_FORMAT[turn % EVERY_FORMAT.len()];
        let words = format!("{mark} [[sim latency=15 chunk-delay=10 chunks=6]]");
        let is_streamed = number.is_multiple_of(2);
        let request = if is_streamed {
            ask_streamed(model, &words)
        } else {
            ask(model, &words)
        };
        let headers = [("x-client-request-id", mark.as_str())];
        match client.try_chat(&headers, request.to_string()).await {
            Err(_) => break,
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{}", answer.text());
                if !is_streamed {
                    complete.push(mark);
                }
            }
        }
    }
    complete
}

fn by_client_request_id(calls: Vec<Value>) -> HashMap<String, Value> {
    let mut found = HashMap::new();
    for call in calls {
        let mark = call["client_request_id"].as_str().unwrap().to_owned();
        let earlier = found.insert(mark, call);
        assert_eq!(earlier, None, "recorded more than once");
    }
    found
}

#[tokio::test]
async fn every_call_that_a_provider_saw_is_recorded_once_however_often_the_process_is_killed() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let mut complete = Vec::new();
    let mut interrupted = 0;
    for round in 1..=3 {
        let trunkline = installation.start().await;
        let app = trunkline.app();
        let before = sim.calls().len();
        let callers = join_all((0..12).map(|number| ask_until_it_breaks(app.clone(), number)));
        let kill = async {
            eventually("the load is on", async || {
                (sim.calls().len() >= before + 60).then_some(())
            })
            .await;
            trunkline.kill().await;
        };
        let (answered, ()) = tokio::join!(callers, kill);
        complete.extend(answered.into_iter().flatten());

        let trunkline = installation.start().await;
        let app = trunkline.app();
        let seen: Vec<String> = sim
            .calls()
            .iter()
            .map(|call| call.prompt.trim().to_owned())
            .collect();
        let recorded = within(
            Duration::from_secs(2),
            "every call is recorded",
            async || {
                let recorded = by_client_request_id(app.logs("").await);
                seen.iter()
                    .all(|mark| recorded.contains_key(mark))
                    .then_some(recorded)
            },
        )
        .await;
        for mark in &complete {
            assert_eq!(recorded[mark]["state"], "settled", "{:#}", recorded[mark]);
        }
        for call in recorded.values() {
            let is_interrupted = call["end_reason"] == "interrupted";
            assert_eq!(call["state"] == "estimated", is_interrupted, "{call:#}");
            assert!(!call["attempts"].as_array().unwrap().is_empty(), "{call:#}");
        }
        let now = recorded
            .values()
            .filter(|call| call["end_reason"] == "interrupted")
            .count();
        assert!(now > interrupted, "kill {round} interrupted nothing");
        interrupted = now;
        assert!(app.metric("trunkline_ledger_dispatched").await.abs() < 0.5);
        trunkline.kill().await;
    }
}

#[tokio::test]
async fn at_rest_as_many_attempts_are_captured_as_were_dispatched() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let calls = (0..24).map(async |number: usize| {
        let words = match number % 4 {
            0 => "[[sim status=500]]",
            1 => "[[sim cut=2]]",
            _ => "hello",
        };
        let model = EVERY_FORMAT[number % EVERY_FORMAT.len()];
        let request = if number < 12 {
            ask_streamed(model, words)
        } else {
            ask(model, "hello again")
        };
        app.try_chat(&[], request.to_string()).await.is_ok()
    });
    join_all(calls).await;
    let dispatched = app.metric("trunkline_ledger_dispatched").await;
    let captured = app.metric("trunkline_ledger_captured").await;
    assert!(dispatched >= 24.0, "{dispatched}");
    assert!(
        (dispatched - captured).abs() < 0.5,
        "{captured} of {dispatched}"
    );
    assert_eq!(sim.calls().len().to_string(), dispatched.to_string());
}

/// Sends a request over a connection of its own, reads until `words` come, and hangs up.
async fn hang_up_after(trunkline: &Trunkline, mark: &str, request: &Value, words: &str) {
    let mut connection = TcpStream::connect(trunkline.address()).await.unwrap();
    let body = request.to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {APP_KEY}\r\n\
         x-client-request-id: {mark}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(body.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(words) {
        let count = soon("the answer begins", connection.read_buf(&mut read))
            .await
            .unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&read));
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_in_a_stream_cancels_it() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    for model in EVERY_FORMAT {
        let mark = unique("mark-");
        let words = format!("{mark} [[sim chunks=1000 words=2000 chunk-delay=20]]");
        hang_up_after(
            &trunkline,
            &mark,
            &ask_streamed(model, &words),
            "content\":\"",
        )
        .await;
        let call = trunkline.app().recorded(&mark).await;
        assert_eq!(call["state"], "cancelled", "{call:#}");
        assert_eq!(call["end_reason"], "caller_gone", "{call:#}");
        assert!(!sim.received(&mark).await.completed, "{model}");
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_before_a_whole_answer_cancels_it() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    for model in EVERY_FORMAT {
        let mark = unique("mark-");
        let request = ask(model, &format!("{mark} [[sim hang=head]]"));
        let hang_up = async {
            sim.received(&mark).await;
        };
        tokio::select! {
            () = hang_up_after(&trunkline, &mark, &request, "never") => panic!("it was answered"),
            () = hang_up => {}
        }
        let call = trunkline.app().recorded(&mark).await;
        assert_eq!(call["state"], "cancelled", "{call:#}");
        assert!(
            call["usage"]["input_tokens"].as_u64().unwrap() > 0,
            "{call:#}"
        );
        assert!(!sim.received(&mark).await.completed, "{model}");
    }
}

#[tokio::test]
async fn a_drained_answer_is_read_to_its_end_so_that_its_usage_is_known() {
    let sim = Simulated::start().await;
    let address = sim.address;
    let installation = Installation::new(&format!(
        "providers:
  anthropic: {{ kind: anthropic, base_url: 'http://{address}', api_key: sk-ant, allow_private_address: true, hang_up: drain }}
keys:
  - {{ name: app, key: {APP_KEY} }}
"
    ));
    let trunkline = installation.start().await;
    let mark = unique("mark-");
    let words = format!("{mark} [[sim chunks=20 words=40 chunk-delay=10]]");
    let request = ask_streamed("anthropic/claude", &words);
    hang_up_after(&trunkline, &mark, &request, "content\":\"").await;
    let call = trunkline.app().recorded(&mark).await;
    let received = sim.received(&mark).await;
    assert!(received.completed);
    let usage = received.usage.unwrap();
    assert_eq!(call["state"], "cancelled", "{call:#}");
    assert_eq!(call["usage"]["output_tokens"], usage.output, "{call:#}");
    assert_eq!(call["usage"]["input_tokens"], usage.input, "{call:#}");
}
