//! Providers that fail, in every way that a provider can.

use serde_json::Value;
use tokio::net::TcpListener;

use crate::bench::client::{Answer, Client};
use crate::bench::directory::unique;
use crate::bench::process::Installation;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{APP_KEY, EVERY_FORMAT, ask, ask_streamed, providers};

/// Asks, and gives the answer with its record.
async fn ask_recorded(caller: &Client, request: &Value) -> (Answer, Value) {
    let mark = unique("mark-");
    let headers = [("x-client-request-id", mark.as_str())];
    let answer = caller.chat_with(&headers, request).await;
    (answer, caller.recorded(&mark).await)
}

/// A configuration whose only provider, `lone`, is at `base_url`, and is tried once.
fn lone(base_url: &str, options: &str) -> String {
    format!(
        "providers:
  lone: {{ kind: openai, base_url: '{base_url}', api_key: sk-lone{options} }}
models:
  once: {{ targets: [{{ model: lone/gpt }}], retries: {{ attempts: 1 }} }}
keys:
  - {{ name: app, key: {APP_KEY} }}
"
    )
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let configuration = lone(
        &format!("http://{address}/v1"),
        ", allow_private_address: true",
    );
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    for request in [ask("once", "hello"), ask_streamed("once", "hello")] {
        let (answer, call) = ask_recorded(&trunkline.app(), &request).await;
        let sentence = answer.sentence(502, "provider_unreachable");
        assert!(sentence.contains("lone"), "{sentence}");
        assert_eq!(call["state"], "failed", "{call:#}");
        assert_eq!(call["error_type"], "unreachable", "{call:#}");
        assert_eq!(call["cost_usd"], "0.000000000", "{call:#}");
    }
}

#[tokio::test]
async fn tls_to_a_plain_port_is_a_failed_handshake_and_not_a_crash() {
    let sim = Simulated::start().await;
    let url = format!("https://{}/v1", sim.address);
    let installation = Installation::new(&lone(&url, ", allow_private_address: true"));
    let trunkline = installation.start().await;
    let (answer, call) = ask_recorded(&trunkline.app(), &ask("once", "hello")).await;
    let sentence = answer.sentence(502, "provider_unreachable");
    assert!(sentence.contains("TLS"), "{sentence}");
    assert_eq!(call["attempts"].as_array().unwrap().len(), 1, "{call:#}");
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_refused_unless_that_is_allowed() {
    // These are names to a URL and the loopback address to a resolver.
    for name in ["127.1", "2130706433", "0x7f000001"] {
        let sim = Simulated::start().await;
        let port = sim.address.port();
        let url = format!("http://{name}:{port}/v1");
        let installation = Installation::new(&lone(&url, ""));
        let trunkline = installation.start().await;
        let (answer, call) = ask_recorded(&trunkline.app(), &ask("once", "hello")).await;
        let sentence = answer.sentence(502, "provider_unreachable");
        assert!(sentence.contains("127.0.0.1 is not public"), "{sentence}");
        assert!(sentence.contains("allow_private_address"), "{sentence}");
        assert_eq!(call["state"], "failed", "{call:#}");
        assert_eq!(sim.calls(), []);

        installation.configure(&lone(&url, ", allow_private_address: true"));
        eventually("the address is allowed", async || {
            let answer = trunkline.app().chat(&ask("once", "hello")).await;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    let sim = Simulated::start().await;
    let checked = Installation::new(&lone(&format!("http://{}/v1", sim.address), ""));
    let output = checked.run(&["check"]).await;
    let problems = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{problems}");
    assert!(
        problems.contains("allow_private_address: true"),
        "{problems}"
    );
}

fn impatient(sim: &Simulated, timeout: &str) -> String {
    let models = EVERY_FORMAT.map(|model| {
        let (name, _) = model.split_once('/').unwrap();
        format!(
            "  impatient-{name}: {{ targets: [{{ model: {model} }}], timeout: {{ {timeout} }}, \
             retries: {{ attempts: 1 }} }}\n"
        )
    });
    format!("{}models:\n{}", providers(sim.address), models.concat())
}

const IMPATIENT: [&str; 3] = [
    "impatient-openai",
    "impatient-anthropic",
    "impatient-google",
];

#[tokio::test]
async fn a_provider_that_never_answers_is_given_up_after_the_routes_time() {
    let sim = Simulated::start().await;
    let timeout = "first_byte: 300ms, idle: 500ms, total: 600ms";
    let installation = Installation::new(&impatient(&sim, timeout));
    let trunkline = installation.start().await;
    for model in IMPATIENT {
        for (request, words) in [
            // What is left of the total is a little less than the total.
            (ask(model, "[[sim hang=head]]"), "did not answer within 0."),
            (
                ask_streamed(model, "[[sim hang=head]]"),
                "did not answer within 0.3 seconds",
            ),
        ] {
            let (answer, call) = ask_recorded(&trunkline.app(), &request).await;
            let sentence = answer.sentence(504, "provider_timeout");
            assert!(sentence.contains(words), "{sentence}");
            // The provider may have done it, and charge for it.
            assert_eq!(call["state"], "estimated", "{call:#}");
            assert_eq!(call["error_type"], "timeout", "{call:#}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_ends_with_an_error_frame() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&impatient(&sim, "idle: 400ms, total: 20s"));
    let trunkline = installation.start().await;
    for model in IMPATIENT {
        let request = ask_streamed(model, "[[sim hang=body words=40]]");
        let (answer, call) = ask_recorded(&trunkline.app(), &request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let events = answer.events();
        let error = &events.last().unwrap()["error"];
        assert_eq!(error["code"], "provider_timeout", "{}", answer.text());
        assert_eq!(call["state"], "estimated", "{call:#}");
        assert_eq!(call["end_reason"], "provider_broke", "{call:#}");
        assert!(
            call["usage"]["output_tokens"].as_u64().unwrap() > 0,
            "{call:#}"
        );
    }
}

#[tokio::test]
async fn the_total_time_of_a_route_ends_a_silent_stream_although_it_may_be_idle_for_longer() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&impatient(&sim, "total: 1s"));
    let trunkline = installation.start().await;
    let request = ask_streamed("impatient-openai", "[[sim hang=body words=40]]");
    let (answer, _) = ask_recorded(&trunkline.app(), &request).await;
    let events = answer.events();
    let error = &events.last().unwrap()["error"];
    assert_eq!(error["code"], "provider_timeout", "{}", answer.text());
    assert!(
        error["message"].as_str().unwrap().contains("total"),
        "{error}"
    );
}

#[tokio::test]
async fn the_total_time_of_a_route_ends_a_stream_that_keeps_coming() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&impatient(&sim, "idle: 500ms, total: 1s"));
    let trunkline = installation.start().await;
    let words = "[[sim chunks=2000 words=2000 chunk-delay=50]]";
    let (answer, _) =
        ask_recorded(&trunkline.app(), &ask_streamed("impatient-openai", words)).await;
    let events = answer.events();
    let error = &events.last().unwrap()["error"];
    assert_eq!(error["code"], "provider_timeout", "{error}");
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_with_an_error_frame_and_is_estimated() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    for model in EVERY_FORMAT {
        let request = ask_streamed(model, "[[sim cut=6 words=40 chunk-delay=5]]");
        let (answer, call) = ask_recorded(&trunkline.app(), &request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let events = answer.events();
        let error = &events.last().unwrap()["error"];
        assert!(error["message"].is_string(), "{}", answer.text());
        assert!(!answer.said().is_empty(), "{}", answer.text());
        assert_eq!(call["state"], "estimated", "{call:#}");
        assert_eq!(call["end_reason"], "provider_broke", "{call:#}");
        assert_eq!(call["attempts"].as_array().unwrap().len(), 1, "{call:#}");
    }
}

#[tokio::test]
async fn what_is_not_an_answer_is_a_bad_gateway() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    for model in EVERY_FORMAT {
        for wish in ["garbage", "html", "error-200"] {
            let request = ask(model, &format!("[[sim {wish}]]"));
            let (answer, call) = ask_recorded(&trunkline.app(), &request).await;
            assert!(answer.status >= 500, "{model} {wish}: {}", answer.text());
            let message = answer.json()["error"]["message"]
                .as_str()
                .unwrap()
                .to_owned();
            assert!(
                !message.is_empty() && !message.contains("<html"),
                "{message}"
            );
            assert_eq!(call["state"], "failed", "{model} {wish}: {call:#}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_not_an_answer_is_a_bad_gateway_or_ends_with_an_error_frame() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    for model in EVERY_FORMAT {
        for wish in ["garbage", "html", "error-200"] {
            let request = ask_streamed(model, &format!("[[sim {wish}]]"));
            let (answer, call) = ask_recorded(&trunkline.app(), &request).await;
            let (error, states) = match answer.status {
                200 => (answer.events().pop().unwrap(), ["estimated", "settled"]),
                status => {
                    assert!(status >= 500, "{model} {wish}: {}", answer.text());
                    (answer.json(), ["failed", "failed"])
                }
            };
            let message = error["error"]["message"].as_str();
            let message = message.unwrap_or_else(|| panic!("{model} {wish}: {}", answer.text()));
            assert!(
                !message.is_empty() && !message.contains("<html"),
                "{message}"
            );
            let state = call["state"].as_str().unwrap();
            assert!(states.contains(&state), "{model} {wish}: {call:#}");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_turned_away_is_sent_again_and_each_attempt_is_recorded() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    for model in EVERY_FORMAT {
        for status in [429, 503] {
            let id = unique("once-");
            let wish = format!("[[sim status={status} times=1 id={id}]]");
            let (answer, call) = ask_recorded(&trunkline.app(), &ask(model, &wish)).await;
            assert_eq!(answer.status, 200, "{model}: {}", answer.text());
            assert_eq!(answer.header("x-trunkline-attempts"), Some("2"));
            let attempts = call["attempts"].as_array().unwrap();
            assert_eq!(attempts.len(), 2, "{call:#}");
            assert_eq!(attempts[0]["status"], status, "{call:#}");
            assert_eq!(attempts[1]["status"], 200, "{call:#}");
            assert_eq!(call["state"], "settled", "{call:#}");
        }
    }
    assert_eq!(sim.calls().len(), 12);
}

#[tokio::test]
async fn a_provider_that_asks_for_more_patience_than_a_route_has_is_not_asked_again() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    for model in ["openai/gpt", "anthropic/claude"] {
        let request = ask(model, "[[sim status=429 retry-after=77]]");
        let (answer, call) = ask_recorded(&trunkline.app(), &request).await;
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("77"));
        assert_eq!(answer.header("x-trunkline-attempts"), Some("1"));
        assert_eq!(call["attempts"].as_array().unwrap().len(), 1, "{call:#}");
    }
}

#[tokio::test]
async fn an_overloaded_provider_is_503_whatever_it_calls_it() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&impatient(&sim, "total: 10s"));
    let trunkline = installation.start().await;
    for (model, wish) in [
        ("impatient-anthropic", "[[sim status=529]]"),
        ("impatient-google", "[[sim status=503]]"),
    ] {
        let (answer, call) = ask_recorded(&trunkline.app(), &ask(model, wish)).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(call["error_type"], "overloaded", "{call:#}");
    }
}
