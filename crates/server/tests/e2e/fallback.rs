//! Two providers of which one fails, in every way that a provider can: the caller sees a good answer.

use serde_json::{Value, json};

use crate::bench::client::{Answer, Client};
use crate::bench::directory::unique;
use crate::bench::process::Installation;
use crate::bench::simulated::Simulated;
use crate::bench::{ask, ask_streamed, providers};

/// Routes whose first target and whose fallback are of different formats, by the format of the first.
const ROUTES: [(&str, &str, &str); 3] = [
    ("from-openai", "openai/gpt", "anthropic/claude"),
    ("from-anthropic", "anthropic/claude", "google/gemini"),
    ("from-google", "google/gemini", "openai/gpt"),
];

/// Each of [`ROUTES`], with `options`, before the simulated provider.
fn routes(sim: &Simulated, options: &str) -> String {
    let routes = ROUTES.map(|(name, first, then)| {
        format!(
            "  {name}: {{ targets: [{{ model: {first} }}], fallback: [{then}], retries: {{ attempts: 1 }}, \
             timeout: {{ first_byte: 400ms, attempt: 400ms, total: 60s }}{options} }}\n"
        )
    });
    format!("{}models:\n{}", providers(sim.address), routes.concat())
}

/// Asks, and gives the answer with its record.
async fn ask_recorded(caller: &Client, request: &Value) -> (Answer, Value) {
    let mark = unique("mark-");
    let headers = [("x-client-request-id", mark.as_str())];
    let answer = caller.chat_with(&headers, request).await;
    (answer, caller.recorded(&mark).await)
}

/// Words that make the simulated provider fail so, once.
fn failing(wish: &str) -> String {
    format!("[[sim {wish} times=1 id={}]] Hello", unique("once-"))
}

fn reasons(call: &Value) -> Vec<&str> {
    let attempts = call["attempts"].as_array().unwrap().iter();
    attempts
        .map(|it| it["reason"].as_str().unwrap_or("first"))
        .collect()
}

#[tokio::test]
async fn whatever_goes_wrong_before_there_is_content_another_provider_answers() {
    let sim = Simulated::start().await;
    // A breaker that opens would keep the failures away that this is about.
    let rest = "breaker: { failures: 1, calls: 1000, window: 30s }\n";
    let installation = Installation::new(&format!("{}{rest}", routes(&sim, "")));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let anyhow = ["status=500", "status=503", "hang=head", "error-200", "html"];
    for (route, first, then) in ROUTES {
        // A rate limit comes last: for a while afterwards, nobody is asked who reached one.
        let whole = anyhow.into_iter().chain(["garbage", "cut=1", "status=429"]);
        let streamed = anyhow.into_iter().chain(["cut=0"]);
        let asked = streamed.map(|wish| (wish, ask_streamed(route, &failing(wish))));
        let asked = asked.chain(whole.map(|wish| (wish, ask(route, &failing(wish)))));
        for (wish, request) in asked {
            let (answer, call) = ask_recorded(&app, &request).await;
            let about = format!("{first} {wish}: {}\n{call:#}", answer.text());
            assert_eq!(answer.status, 200, "{about}");
            assert!(answer.said().contains("Hello"), "{about}");
            assert!(!answer.text().contains("\"error\""), "{about}");
            let (provider, _) = then.split_once('/').unwrap();
            assert_eq!(
                answer.header("x-trunkline-provider"),
                Some(provider),
                "{about}"
            );
            assert_eq!(answer.header("x-trunkline-attempts"), Some("2"), "{about}");
            assert_eq!(reasons(&call), ["first", "fallback"], "{about}");
            assert!(call["attempts"][0]["error_type"].is_string(), "{about}");
            assert!(call["attempts"][1]["error_type"].is_null(), "{about}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_stood_in_for() {
    let sim = Simulated::start().await;
    let rest = "models:
  absent: { targets: [{ model: nobody/gpt }], fallback: { any: [openai/gpt] }, retries: { attempts: 1 } }
";
    let nobody = "providers:
  nobody: { kind: openai, base_url: 'http://127.0.0.1:9/v1', api_key: sk-x, allow_private_address: true }
";
    let providers = providers(sim.address).replacen("providers:\n", nobody, 1);
    let installation = Installation::new(&format!("{providers}{rest}"));
    let trunkline = installation.start().await;
    let (answer, call) = ask_recorded(&trunkline.app(), &ask("absent", "Hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(call["attempts"][0]["error_type"], "unreachable", "{call:#}");
    assert_eq!(call["state"], "settled", "{call:#}");
}

#[tokio::test]
async fn an_explanation_names_the_fallbacks_for_one_cause() {
    let sim = Simulated::start().await;
    let rest = "models:
  careful:
    targets: [{ model: openai/gpt }]
    fallback: { any: [google/gemini], content_policy: [anthropic/claude] }
    safe_reply: Not now.
";
    let installation = Installation::new(&format!("{}{rest}", providers(sim.address)));
    let trunkline = installation.start().await;
    let question = json!({ "model": "careful" });
    let path = "/api/v1/admin/routes/explain";
    let explained = trunkline.admin().post(path, &question).await.json();
    let targets = explained["data"]["targets"].as_array().unwrap();
    assert_eq!(targets[2]["provider"], "anthropic", "{explained:#}");
    assert_eq!(targets[2]["standing"], "fallback");
    assert_eq!(
        targets[2]["reason"],
        "It is asked when a target refuses the content."
    );
    let listed = trunkline.admin().get("/api/v1/admin/routes").await.json();
    let route = &listed["data"]["items"][0];
    assert_eq!(route["fallback"], json!(["google/gemini"]));
    assert_eq!(
        route["fallback_content_policy"],
        json!(["anthropic/claude"])
    );
    assert_eq!(route["safe_reply"], "Not now.");
}

/// A chat in the words of every face, whole and as a stream, of a model's name and what is said.
fn in_every_format(model: &str, words: &str) -> Vec<(String, Value)> {
    let messages = json!([{ "role": "user", "content": words }]);
    let contents = json!([{ "role": "user", "parts": [{ "text": words }] }]);
    let mut asked = vec![
        (
            format!("/v1beta/models/{model}:generateContent"),
            json!({ "contents": contents }),
        ),
        (
            format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            json!({ "contents": contents }),
        ),
        (
            format!("/v1beta/models/{model}:streamGenerateContent"),
            json!({ "contents": contents }),
        ),
    ];
    for stream in [false, true] {
        asked.extend([
            (
                "/v1/chat/completions".to_owned(),
                json!({ "model": model, "messages": messages, "stream": stream }),
            ),
            (
                "/v1/responses".to_owned(),
                json!({ "model": model, "input": words, "stream": stream }),
            ),
            (
                "/v1/completions".to_owned(),
                json!({ "model": model, "prompt": words, "stream": stream }),
            ),
            (
                "/v1/messages".to_owned(),
                json!({ "model": model, "messages": messages, "max_tokens": 999, "stream": stream }),
            ),
            (
                "/v2/chat".to_owned(),
                json!({ "model": model, "messages": messages, "stream": stream }),
            ),
            (
                "/api/ai/chat".to_owned(),
                json!({ "model": model, "messages": messages, "stream": stream }),
            ),
        ]);
    }
    asked
}

#[tokio::test]
async fn the_safe_reply_is_given_in_every_format_when_everybody_failed() {
    let sim = Simulated::start().await;
    let safe = ", safe_reply: 'Please try again shortly.'";
    let installation = Installation::new(&routes(&sim, safe));
    let trunkline = installation.start().await;
    let app = trunkline.app();
    for (path, request) in in_every_format("from-openai", "[[sim status=500]]") {
        let answer = app.post(&path, &request).await;
        let about = format!("{path}: {}", answer.text());
        assert_eq!(answer.status, 200, "{about}");
        assert_eq!(
            answer.header("x-trunkline-safe-reply"),
            Some("true"),
            "{about}"
        );
        assert!(
            answer.text().contains("Please try again shortly."),
            "{about}"
        );
        let is_marked = ["safe_reply", "safeReply"]
            .iter()
            .any(|it| answer.text().contains(it));
        assert!(is_marked, "{about}");
    }
    for (path, request) in in_every_format("from-openai", "Hello") {
        let answer = app.post(&path, &request).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-trunkline-safe-reply"), None, "{path}");
    }

    let (_, call) = ask_recorded(&app, &ask("from-openai", "[[sim status=500]]")).await;
    assert_eq!(call["state"], "failed", "{call:#}");
    assert_eq!(call["end_reason"], "safe_reply", "{call:#}");
    assert_eq!(call["cost_usd"], "0.000000000", "{call:#}");
    let (answer, call) = ask_recorded(&app, &ask("from-openai", "[[sim status=400]]")).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(call["end_reason"], "provider_error", "{call:#}");
}

#[tokio::test]
async fn a_stream_that_comes_too_slowly_ends_with_an_error_frame() {
    let sim = Simulated::start().await;
    let rest = "models:
  hasty:
    targets: [{ model: openai/gpt }]
    timeout: { slow: { tokens_per_second: 1000, window: 500ms } }
";
    let installation = Installation::new(&format!("{}{rest}", providers(sim.address)));
    let trunkline = installation.start().await;
    let words = "[[sim words=400 chunks=400 chunk-delay=50]]";
    let (answer, call) = ask_recorded(&trunkline.app(), &ask_streamed("hasty", words)).await;
    let events = answer.events();
    let error = &events.last().unwrap()["error"];
    assert_eq!(error["code"], "provider_timeout", "{}", answer.text());
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("1000 tokens per second"),
        "{error}"
    );
    assert_eq!(call["end_reason"], "provider_broke", "{call:#}");
}

#[tokio::test]
async fn a_stream_that_is_cut_goes_on_at_a_model_that_continues_it() {
    let sim = Simulated::start().await;
    let claude = "anthropic/claude-haiku-4-5";
    let routes = ["openai/gpt", "google/gemini", "anthropic/claude-opus-4-5"].map(|first| {
        let (name, _) = first.split_once('/').unwrap();
        format!("  {name}: {{ targets: [{{ model: {first} }}], fallback: [{claude}], continue: true }}\n")
    });
    let configuration = format!("{}models:\n{}", providers(sim.address), routes.concat());
    let installation = Installation::new(&configuration);
    let trunkline = installation.start().await;
    let app = trunkline.app();
    let whole = app.chat(&ask(claude, "[[sim words=60]]")).await.said();
    for name in ["openai", "google", "anthropic"] {
        for (path, mut request) in in_every_format(name, "") {
            let words = failing("words=60 chunks=30 cut=12");
            let words = words.replace(" Hello", "");
            let is_streamed = path.contains(":stream") || request["stream"] == true;
            if !is_streamed || path == "/v1/completions" {
                continue;
            }
            for pointer in ["/messages/0/content", "/input", "/contents/0/parts/0/text"] {
                if let Some(said) = request.pointer_mut(pointer) {
                    *said = words.clone().into();
                }
            }
            let answer = app.post(&path, &request).await;
            let about = format!("{name} {path}: {}", answer.text());
            assert_eq!(answer.status, 200, "{about}");
            assert_eq!(said_by_any(answer.text()), whole, "{about}");
            let marks = ["after_characters", "afterCharacters"];
            assert!(marks.iter().any(|it| answer.text().contains(it)), "{about}");
        }
    }
    let calls = trunkline.admin().logs("").await;
    let continued: Vec<_> = calls
        .iter()
        .filter(|it| reasons(it) == ["first", "continuation"])
        .collect();
    assert!(continued.len() >= 15, "{calls:#?}");
    for call in continued {
        assert_eq!(call["state"], "estimated", "{call:#}");
        let taken = |at: usize| {
            call["attempts"][at]["usage"]["output_tokens"]
                .as_u64()
                .unwrap()
        };
        assert!(taken(0) > 0 && taken(1) > 0, "{call:#}");
        assert_eq!(
            call["usage"]["output_tokens"],
            taken(0) + taken(1),
            "{call:#}"
        );
    }
}

/// What a stream says in whatever format.
fn said_by_any(text: &str) -> String {
    let mut said = String::new();
    let array: Option<Vec<Value>> = serde_json::from_str(text).ok();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = lines.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    for event in array.into_iter().flatten().chain(events) {
        let pieces = [
            "/choices/0/delta/content",
            "/delta/text",
            "/candidates/0/content/parts/0/text",
            "/delta/message/content/text",
        ];
        for pointer in pieces {
            said.push_str(
                event
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            );
        }
        if event["type"] == "response.output_text.delta" {
            said.push_str(event["delta"].as_str().unwrap());
        }
    }
    said
}
