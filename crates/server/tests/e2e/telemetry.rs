//! What operators see: spans, metrics and log lines.

use serde_json::Value;

use crate::bench::process::Installation;
use crate::bench::scripted::Scripted;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{APP_KEY, EVERY_FORMAT, ask, providers};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PROMPT: &str = "the-secret-of-the-prompt";

#[tokio::test]
async fn a_span_of_each_call_and_attempt_joins_the_callers_trace() {
    let sim = Simulated::start().await;
    let accepted = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let collector = Scripted::answering(accepted.to_vec()).await;
    let installation = Installation::new(&format!(
        "{}telemetry: {{ otlp: 'http://{}' }}\n",
        providers(sim.address),
        collector.address
    ));
    let trunkline = installation.start().await;
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("traceparent", traceparent.as_str())];
    let answer = trunkline
        .app()
        .chat_with(&headers, &ask("openai/gpt", PROMPT))
        .await;
    assert_eq!(answer.status, 200);
    // What waits to be sent is sent before the process ends.
    trunkline.stop().await;

    let received = collector.received();
    assert!(
        received
            .iter()
            .all(|request| request.head.starts_with("post /v1/traces "))
    );
    let spans: Vec<u8> = received
        .into_iter()
        .flat_map(|request| request.body)
        .collect();
    let trace: Vec<u8> = TRACE
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let count = |what: &[u8]| {
        spans
            .windows(what.len())
            .filter(|window| *window == what)
            .count()
    };
    assert_eq!(count(&trace), 2, "one span of the call, one of its attempt");
    assert!(count(b"gen_ai.request.model") > 0);
    assert_eq!(count(PROMPT.as_bytes()), 0);
    assert_eq!(count(APP_KEY.as_bytes()), 0);
}

#[tokio::test]
async fn a_call_is_one_log_line_with_its_facts_and_neither_prompt_nor_key() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    for model in EVERY_FORMAT {
        let headers = [("x-client-request-id", model)];
        assert_eq!(
            trunkline
                .app()
                .chat_with(&headers, &ask(model, PROMPT))
                .await
                .status,
            200
        );
    }
    let failing = ask("openai/gpt", &format!("{PROMPT} [[sim status=400]]"));
    assert_eq!(trunkline.app().chat(&failing).await.status, 400);
    let lines = eventually("every call has its line", async || {
        let log = trunkline.log();
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines: Vec<Value> = lines
            .filter(|line| line["message"] == "call ended")
            .collect();
        (lines.len() == 4).then_some(lines)
    })
    .await;
    for (line, model) in lines.iter().zip(EVERY_FORMAT) {
        let call = trunkline.app().recorded(model).await;
        assert_eq!(line["service"], "trunkline");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["operation"], "chat");
        assert_eq!(line["model"], model);
        assert_eq!(line["request_id"], call["request_id"]);
        assert_eq!(line["latency_ms"], call["latency_ms"]);
        assert_eq!(line["cost"], call["cost_usd"]);
        let tokens = call["usage"]["input_tokens"].as_u64().unwrap()
            + call["usage"]["output_tokens"].as_u64().unwrap();
        assert_eq!(line["tokens"], tokens);
        // The store keeps microseconds.
        let logged: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        let ended: jiff::Timestamp = call["ended_at"].as_str().unwrap().parse().unwrap();
        assert_eq!(logged.as_microsecond(), ended.as_microsecond());
    }
    assert_eq!(lines[3]["level"], "WARN");
    assert_eq!(lines[3]["error_type"], "invalid_request");
    let log = trunkline.log();
    for text in [
        PROMPT,
        APP_KEY,
        trunkline.admin_key(),
        "sk-openai",
        "sk-ant",
        "google-key",
    ] {
        assert!(!log.contains(text), "{text}: {log}");
    }
}

#[tokio::test]
async fn metrics_count_calls_tokens_and_refusals() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    for model in EVERY_FORMAT {
        assert_eq!(app.chat(&ask(model, "hello")).await.status, 200);
    }
    assert_eq!(app.chat(&ask("nobody/nothing", "hello")).await.status, 404);
    let metrics = app.get("/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    for line in metrics
        .text()
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(series.starts_with("trunkline_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    assert_eq!(app.metric("trunkline_calls_total").await.to_string(), "3");
    assert_eq!(app.metric("trunkline_refused_total").await.to_string(), "1");
    let tokens: u64 = sim
        .calls()
        .iter()
        .filter_map(|call| call.usage)
        .map(|usage| usage.input + usage.cached_input + usage.output)
        .sum();
    assert_eq!(
        app.metric("trunkline_tokens_total").await.to_string(),
        tokens.to_string()
    );
    for unexposed in [PROMPT, APP_KEY] {
        assert!(!metrics.text().contains(unexposed));
    }
}
