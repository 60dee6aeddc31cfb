//! Requests that make no sense, are too much, or ask for what cannot be had: each is refused in OpenAI's
//! shape, and nothing is sent.

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bench::process::{Installation, Trunkline};
use crate::bench::simulated::Simulated;
use crate::bench::wait::soon;
use crate::bench::{APP_KEY, EVERY_FORMAT, ask, providers};

/// The largest body that [`start`] takes.
const MAX_BODY: usize = 64 * 1024;

async fn start() -> (Simulated, Installation, Trunkline) {
    let sim = Simulated::start().await;
    let installation = Installation::new(&format!(
        "{}server: {{ max_body: 64KiB, max_messages: 5 }}
models:
  fast: {{ targets: [{{ model: openai/gpt }}] }}
  strict-claude: {{ targets: [{{ model: anthropic/claude }}], strict: true }}
",
        providers(sim.address)
    ));
    let trunkline = installation.start().await;
    (sim, installation, trunkline)
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_said_and_its_field_is_named() {
    let (sim, _installation, trunkline) = start().await;
    let hello = r#"[{"role":"user","content":"hello"}]"#;
    let cases: &[(&[u8], Value, &str)] = &[
        (
            b"{\"model\":\"fast\",\"messages\":[}",
            json!(null),
            "not valid JSON",
        ),
        (
            b"{\"model\":\"fast\",\"messages\":[{\"content\":\"\xff\"}]}",
            json!(null),
            "not valid UTF-8",
        ),
        (
            br#"{"model":"fast","model":"fast","messages":[]}"#,
            json!("model"),
            "twice",
        ),
        (br#"{"messages":[]}"#, json!("model"), "missing"),
        (br#"{"model":7,"messages":[]}"#, json!("model"), "must be"),
        (br#"{"model":"fast"}"#, json!("messages"), "missing"),
        (
            br#"{"model":"fast","messages":[]}"#,
            json!("messages"),
            "at least one",
        ),
    ];
    for (body, param, words) in cases {
        let answer = trunkline.app().chat_bytes(&[], body.to_vec()).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "invalid_request_error", "{error}");
        assert_eq!(error["param"], *param, "{error}");
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{words}: {error}"
        );
    }
    for (field, value) in [
        ("n", json!(0)),
        ("max_tokens", json!(-1)),
        ("stream", json!("yes")),
    ] {
        let body = format!(r#"{{"model":"fast","messages":{hello},"{field}":{value}}}"#);
        let answer = trunkline.app().chat_bytes(&[], body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.json()["error"]["param"], field, "{}", answer.text());
    }
    assert_eq!(sim.calls(), []);
    assert_eq!(trunkline.app().logs("").await, Vec::<Value>::new());
    let refused = trunkline.app().metric("trunkline_refused_total").await;
    assert_eq!(refused.to_string(), (cases.len() + 3).to_string());
}

#[tokio::test]
async fn an_unknown_model_comes_with_names_that_are_like_it() {
    let (sim, _installation, trunkline) = start().await;
    for (asked, near) in [("fsat", "'fast'"), ("strict-cluade", "'strict-claude'")] {
        let answer = trunkline.app().chat(&ask(asked, "hello")).await;
        let sentence = answer.sentence(404, "model_not_found");
        assert!(
            sentence.contains(asked) && sentence.contains(near),
            "{sentence}"
        );
        assert_eq!(answer.json()["error"]["param"], "model");
    }
    assert_eq!(sim.calls(), []);
}

#[tokio::test]
async fn without_a_known_key_nothing_is_answered() {
    let (sim, _installation, trunkline) = start().await;
    let request = ask("fast", "hello");
    let sentence = trunkline
        .app()
        .with_key("")
        .chat(&request)
        .await
        .sentence(401, "invalid_api_key");
    assert!(sentence.contains("No API key"), "{sentence}");
    // A provider's own key is not one of ours.
    let stranger = trunkline.app().with_key("sk-openai");
    let sentence = stranger
        .chat(&request)
        .await
        .sentence(401, "invalid_api_key");
    assert!(sentence.contains("not known"), "{sentence}");
    for path in ["/v1/models", "/api/v1/db/logs", "/api/v1/admin/keys"] {
        assert_eq!(stranger.get(path).await.status, 401, "{path}");
    }
    assert_eq!(sim.calls(), []);
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_is_sent() {
    let (sim, _installation, trunkline) = start().await;
    let mut connection = TcpStream::connect(trunkline.address()).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {APP_KEY}\r\n\
         content-length: {}\r\n\r\n",
        MAX_BODY + 1
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut connection, "request_too_large").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(sim.calls(), []);
}

#[tokio::test]
async fn a_body_without_a_length_is_read_up_to_the_bound_and_no_further() {
    let (sim, _installation, trunkline) = start().await;
    let mut connection = TcpStream::connect(trunkline.address()).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {APP_KEY}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let piece = format!("400\r\n{}\r\n", " ".repeat(1024));
    for _ in 0..=MAX_BODY / 1024 {
        connection.write_all(piece.as_bytes()).await.unwrap();
    }
    let answer = read_until(&mut connection, "request_too_large").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(sim.calls(), []);
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_to_the_next_request() {
    let (sim, _installation, trunkline) = start().await;
    for (request, status) in [
        ("POST /v1/nothing", 404),
        ("PUT /v1/chat/completions", 405),
        ("POST /v1/chat/completions", 401),
        ("POST /v1/messages", 401),
        ("POST /passthrough/openai/v1/files", 401),
        ("POST /api/v1/admin/routes/explain", 401),
    ] {
        let mut connection = TcpStream::connect(trunkline.address()).await.unwrap();
        connection.set_nodelay(true).unwrap();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer nobody\r\n\
             content-length: {MAX_BODY}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        // The body comes when the refusal is known already.
        for piece in vec![b' '; MAX_BODY].chunks(MAX_BODY / 8) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            connection.write_all(piece).await.unwrap();
        }
        let answer = read_until(&mut connection, "\r\n\r\n").await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{request}: {answer}");
        assert!(!answer.contains("connection: close"), "{request}: {answer}");
        let next = b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n";
        connection.write_all(next).await.unwrap();
        read_until(&mut connection, "HTTP/1.1 200 ").await;
    }
    assert_eq!(sim.calls(), []);
}

#[tokio::test]
async fn who_asks_before_it_sends_is_refused_without_its_body() {
    let (sim, _installation, trunkline) = start().await;
    let mut connection = TcpStream::connect(trunkline.address()).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nauthorization: Bearer nobody\r\n\
                expect: 100-continue\r\ncontent-length: 100\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut connection, "invalid_api_key").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(sim.calls(), []);
}

/// What comes over a connection, until it has `words`.
async fn read_until(connection: &mut TcpStream, words: &str) -> String {
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer);
        if text.contains(words) {
            return text.into_owned();
        }
        let read = connection.read_buf(&mut answer);
        let count = soon("the answer", read).await.unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn a_body_as_large_as_the_bound_is_taken() {
    let (sim, _installation, trunkline) = start().await;
    let body = ask("fast", "hello").to_string();
    let padded = format!("{body}{}", " ".repeat(MAX_BODY - body.len()));
    assert_eq!(trunkline.app().chat_bytes(&[], padded).await.status, 200);
    assert_eq!(sim.calls().len(), 1);
}

#[tokio::test]
async fn more_messages_than_are_taken_are_refused() {
    let (sim, _installation, trunkline) = start().await;
    let message = json!({ "role": "user", "content": "hello" });
    let request = |count| json!({ "model": "fast", "messages": vec![message.clone(); count] });
    assert_eq!(trunkline.app().chat(&request(5)).await.status, 200);
    let answer = trunkline.app().chat(&request(6)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["param"], "messages");
    assert_eq!(sim.calls().len(), 1);
}

#[tokio::test]
async fn what_a_target_cannot_do_is_said_and_not_sent() {
    let (sim, _installation, trunkline) = start().await;
    let mut several = ask("anthropic/claude", "hello");
    several["n"] = 2.into();
    let sentence = trunkline
        .app()
        .chat(&several)
        .await
        .sentence(400, "unsupported_by_target");
    assert!(sentence.contains("`n`"), "{sentence}");

    let mut lossy = ask("strict-claude", "hello");
    lossy["logit_bias"] = json!({ "50256": -100 });
    let answer = trunkline.app().chat(&lossy).await;
    let sentence = answer.sentence(400, "unsupported_by_target");
    assert!(
        sentence.contains("strict") && sentence.contains("logit_bias"),
        "{sentence}"
    );
    assert_eq!(answer.json()["error"]["param"], "logit_bias");
    assert_eq!(sim.calls(), []);

    // The same is sent where the route is not strict, and told to who asks.
    lossy["model"] = "anthropic/claude".into();
    let headers = [("x-trunkline-report", "conversion")];
    let answer = trunkline.app().chat_with(&headers, &lossy).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let dropped = &answer.json()["trunkline"]["conversion"]["dropped"];
    assert_eq!(dropped[0]["field"], "logit_bias", "{dropped}");
}

#[tokio::test]
async fn the_platform_api_refuses_in_its_own_shape() {
    let (_sim, _installation, trunkline) = start().await;
    let admin = trunkline.admin();
    let no_rate = r#"{"name":"a","rate":{"rpm":0}}"#;
    let cases = [
        (Method::POST, "/api/v1/admin/keys", no_rate, 400),
        (Method::GET, "/api/v1/db/logs?limit=0", "", 400),
        (Method::GET, "/api/v1/db/logs?limit=1001", "", 400),
        (Method::GET, "/api/v1/db/logs?state=odd", "", 400),
        (Method::GET, "/api/v1/db/logs?cursor=odd", "", 400),
        (Method::GET, "/api/v1/db/logs?since=yesterday", "", 400),
        (Method::GET, "/api/v1/db/logs?unknown=1", "", 400),
        (Method::GET, "/api/v1/db/logs/req_unknown", "", 404),
        (Method::POST, "/api/v1/admin/keys", "{}", 400),
        (Method::POST, "/api/v1/admin/keys", r#"{"name":""}"#, 400),
        (
            Method::POST,
            "/api/v1/admin/keys",
            r#"{"name":"a","modles":[]}"#,
            400,
        ),
        (
            Method::POST,
            "/api/v1/admin/keys",
            r#"{"name":"a","addresses":["x"]}"#,
            400,
        ),
        (
            Method::POST,
            "/api/v1/admin/keys",
            r#"{"name":"a","budget":{"usd":-1,"per":"day"}}"#,
            400,
        ),
        (Method::DELETE, "/api/v1/admin/keys/key_unknown", "", 404),
        (Method::GET, "/api/v1/nothing", "", 404),
        (Method::DELETE, "/api/v1/db/logs", "", 405),
    ];
    for (method, path, body, status) in cases {
        let answer = admin.try_send(method, path, &[], body).await.unwrap();
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
        let told = answer.json();
        assert_eq!(told["success"], false, "{told}");
        assert_eq!(told["problem"]["status"], status, "{told}");
        assert_eq!(told["error"], told["problem"]["detail"], "{told}");
        assert_eq!(
            told["request_id"],
            answer.header("x-request-id").unwrap(),
            "{told}"
        );
    }
}

#[tokio::test]
async fn the_simulated_provider_refuses_nothing_that_was_let_through() {
    let (sim, _installation, trunkline) = start().await;
    for model in EVERY_FORMAT {
        let mut request = ask(model, "hello");
        request["temperature"] = json!(0.5);
        request["max_tokens"] = json!(64);
        request["stop"] = json!(["STOP"]);
        request["user"] = json!("user-1");
        assert_eq!(trunkline.app().chat(&request).await.status, 200, "{model}");
    }
    assert!(sim.calls().iter().all(|call| call.status == Some(200)));
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_words_of_the_api_that_was_meant() {
    let (_sim, _installation, trunkline) = start().await;
    let app = trunkline.app();
    let version = ("anthropic-version", "2023-06-01");
    let google = ("x-goog-api-key", "the-key-of-an-application");
    for (path, fields, pointer, word) in [
        ("/v1/nothing", &[][..], "/error/code", "not_found"),
        ("/v1/nothing", &[version], "/error/type", "not_found_error"),
        (
            "/anthropic/v1/nothing",
            &[],
            "/error/type",
            "not_found_error",
        ),
        ("/v1/nothing", &[google], "/error/status", "NOT_FOUND"),
        ("/v1beta/tunedModels", &[], "/error/status", "NOT_FOUND"),
        (
            "/api/v1/nothing",
            &[],
            "/problem/title",
            "There is nothing here",
        ),
    ] {
        let answer = app.try_send(Method::GET, path, fields, "").await.unwrap();
        assert_eq!(answer.status, 404, "{path}");
        let told = answer.json();
        let found = told.pointer(pointer).and_then(serde_json::Value::as_str);
        assert_eq!(found, Some(word), "{path} {told}");
    }
    let cohere = app
        .try_send(Method::GET, "/v2/nothing", &[], "")
        .await
        .unwrap();
    assert!(cohere.json()["message"].is_string(), "{}", cohere.text());
}
