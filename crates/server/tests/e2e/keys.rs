//! Virtual keys: who may ask, for what, and how much.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::bench::directory::unique;
use crate::bench::process::Installation;
use crate::bench::simulated::Simulated;
use crate::bench::wait::within;
use crate::bench::{ask, ask_streamed, providers};

/// In this time a running server knows what the command line has changed.
const FOLLOWED: Duration = Duration::from_secs(1);
/// What [`priced`] makes every call of the tests cost, whatever is said: a dollar for the request.
const PRICE: &str = "1.000000000";

fn priced(sim: &Simulated) -> String {
    format!(
        "{}prices:\n  - {{ provider: openai, model: gpt, input: 0, output: 0, request: 1 }}\n",
        providers(sim.address)
    )
}

/// Makes a key on the command line.
async fn create(installation: &Installation, options: &[&str]) -> Value {
    let arguments = [&["keys", "--json", "create"], options].concat();
    serde_json::from_str(&installation.print(&arguments).await).unwrap()
}

#[tokio::test]
async fn a_key_made_on_the_command_line_is_good_within_a_second_and_a_revoked_one_no_longer() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let key = create(&installation, &["support"]).await;
    let caller = trunkline.admin().with_key(key["key"].as_str().unwrap());
    let request = ask("openai/gpt", "hello");
    within(FOLLOWED, "the new key is good", async || {
        (caller.chat(&request).await.status == 200).then_some(())
    })
    .await;
    installation
        .print(&["keys", "revoke", key["id"].as_str().unwrap()])
        .await;
    let refused = within(FOLLOWED, "the revoked key is refused", async || {
        Some(caller.chat(&request).await).filter(|answer| answer.status != 200)
    })
    .await;
    let sentence = refused.sentence(401, "invalid_api_key");
    assert!(sentence.contains("revoked"), "{sentence}");
}

#[tokio::test]
async fn the_text_before_a_rotation_stays_good_for_its_grace_and_no_longer() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let admin = trunkline.admin();
    let key = admin
        .post("/api/v1/admin/keys", &json!({ "name": "rotated" }))
        .await
        .json();
    let path = format!(
        "/api/v1/admin/keys/{}/rotate",
        key["data"]["id"].as_str().unwrap()
    );
    let first = admin.with_key(key["data"]["key"].as_str().unwrap());
    let request = ask("openai/gpt", "hello");

    let rotated = admin
        .post(&path, &json!({ "grace_seconds": 3600 }))
        .await
        .json();
    let second = admin.with_key(rotated["data"]["key"].as_str().unwrap());
    assert_eq!(first.chat(&request).await.status, 200);
    assert_eq!(second.chat(&request).await.status, 200);

    let rotated = admin
        .post(&path, &json!({ "grace_seconds": 0 }))
        .await
        .json();
    let third = admin.with_key(rotated["data"]["key"].as_str().unwrap());
    first.chat(&request).await.sentence(401, "invalid_api_key");
    second.chat(&request).await.sentence(401, "invalid_api_key");
    assert_eq!(third.chat(&request).await.status, 200);
}

#[tokio::test]
async fn a_key_is_good_for_its_models_from_its_addresses_and_until_it_expires() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let narrow = create(&installation, &["narrow", "--model", "openai/*"]).await;
    let remote = create(&installation, &["remote", "--address", "203.0.113.0/24"]).await;
    let soon = jiff::Timestamp::from_second(4_102_444_800)
        .unwrap()
        .to_string();
    let lasting = create(&installation, &["lasting", "--expires-at", &soon]).await;
    let trunkline = installation.start().await;
    let caller = |key: &Value| trunkline.admin().with_key(key["key"].as_str().unwrap());

    assert_eq!(
        caller(&narrow)
            .chat(&ask("openai/gpt", "hello"))
            .await
            .status,
        200
    );
    let refused = caller(&narrow).chat(&ask("google/gemini", "hello")).await;
    let sentence = refused.sentence(403, "permission_denied");
    assert!(sentence.contains("google/gemini"), "{sentence}");
    let models = caller(&narrow).get("/v1/models").await.json();
    let names = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap());
    assert!(names.clone().count() > 0 && names.into_iter().all(|name| name.starts_with("openai/")));

    let refused = caller(&remote).chat(&ask("openai/gpt", "hello")).await;
    let sentence = refused.sentence(403, "permission_denied");
    assert!(sentence.contains("127.0.0.1"), "{sentence}");

    assert_eq!(
        caller(&lasting)
            .chat(&ask("openai/gpt", "hello"))
            .await
            .status,
        200
    );
    assert_eq!(sim.calls().len(), 2);
}

#[tokio::test]
async fn requests_beyond_the_rate_are_refused_with_the_time_to_come_back() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let key = create(&installation, &["limited", "--rpm", "5"]).await;
    let trunkline = installation.start().await;
    let caller = trunkline.admin().with_key(key["key"].as_str().unwrap());
    let answers = join_all((0..20).map(async |number| {
        let model = if number % 2 == 0 {
            "openai/gpt"
        } else {
            "anthropic/claude"
        };
        caller.chat(&ask(model, "hello")).await
    }))
    .await;
    let (good, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((good.len(), sim.calls().len()), (5, 5));
    for answer in refused {
        let sentence = answer.sentence(429, "rate_limit_exceeded");
        assert!(sentence.contains("5 requests per minute"), "{sentence}");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(answer.header("x-should-retry"), None);
    }
}

#[tokio::test]
async fn calls_of_a_key_with_a_queue_wait_and_those_of_another_are_turned_away() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let at_once = ["--concurrency", "1"];
    let waits = ["--max-wait-seconds", "300", "--priority", "low"];
    let patient = create(
        &installation,
        &[&["patient"][..], &at_once, &waits].concat(),
    )
    .await;
    assert_eq!(
        patient["rate"],
        json!({
            "rpm": null, "tpm": null, "concurrency": 1,
            "queue": { "max_wait_seconds": 300.0, "max_waiting": 100 },
        })
    );
    assert_eq!(patient["priority"], "low");
    let nothing = installation
        .run(&["keys", "create", "idle", "--max-wait-seconds", "3"])
        .await;
    let errors = String::from_utf8_lossy(&nothing.stderr);
    assert!(errors.contains("wait where requests, tokens"), "{errors}");

    let trunkline = installation.start().await;
    let admin = trunkline.admin();
    let hasty = json!({ "name": "hasty", "rate": { "concurrency": 1 } });
    let hasty = admin.post("/api/v1/admin/keys", &hasty).await.json();
    let wrong = [
        (
            json!({ "queue": { "max_wait_seconds": 5 } }),
            "wait where requests, tokens",
        ),
        (
            json!({ "rpm": 5, "queue": { "max_wait_seconds": 601 } }),
            "at most 10 minutes",
        ),
        (json!({ "rpms": 5 }), "unknown field `rpms`"),
    ];
    for (rate, said) in wrong {
        let body = json!({ "name": "wrong", "rate": rate });
        let refused = admin.post("/api/v1/admin/keys", &body).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.text().contains(said), "{}", refused.text());
    }
    let body = json!({ "name": "wrong", "priority": "urgent" });
    let refused = admin.post("/api/v1/admin/keys", &body).await;
    assert_eq!(refused.json()["problem"]["param"], "priority");

    let answers = async |key: &Value| {
        let caller = admin.with_key(key["key"].as_str().unwrap());
        let request = ask("openai/gpt", "[[sim latency=300]]");
        let answers = join_all((0..6).map(async |_| caller.chat(&request).await)).await;
        answers.iter().filter(|answer| answer.status == 200).count()
    };
    assert_eq!(answers(&patient).await, 6);
    assert!(answers(&hasty["data"]).await < 6);
}

#[tokio::test]
async fn tokens_beyond_the_rate_are_refused_and_a_request_that_never_fits_says_so() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let key = create(&installation, &["limited", "--tpm", "400"]).await;
    let trunkline = installation.start().await;
    let caller = trunkline.admin().with_key(key["key"].as_str().unwrap());
    let huge = caller.chat(&ask("openai/gpt", &"word ".repeat(4000))).await;
    let sentence = huge.sentence(429, "rate_limit_exceeded");
    assert!(sentence.contains("never admitted"), "{sentence}");
    assert_eq!(huge.header("x-should-retry"), Some("false"));
    assert_eq!(sim.calls().len(), 0);

    let words = "hello ".repeat(100);
    assert_eq!(caller.chat(&ask("openai/gpt", &words)).await.status, 200);
    let refused = within(
        crate::bench::wait::PATIENCE,
        "the tokens run out",
        async || {
            Some(caller.chat(&ask("openai/gpt", &words)).await)
                .filter(|answer| answer.status != 200)
        },
    )
    .await;
    let sentence = refused.sentence(429, "rate_limit_exceeded");
    assert!(sentence.contains("400 tokens per minute"), "{sentence}");
    assert!(refused.header("retry-after").is_some());
    let used: u64 = sim
        .calls()
        .iter()
        .filter_map(|call| call.usage)
        .map(|usage| usage.input + usage.output)
        .sum();
    // The last call that was let in may take more than was expected of it; never twice the limit.
    assert!(used < 800, "{used}");
}

#[tokio::test]
async fn a_budget_holds_against_callers_who_all_come_at_once_and_across_a_restart() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&priced(&sim));
    let key = create(&installation, &["frugal", "--budget", "5"]).await;
    let trunkline = installation.start().await;
    let caller = trunkline.admin().with_key(key["key"].as_str().unwrap());
    let answers = join_all((0..40).map(async |number| {
        let words = "[[sim latency=50]]";
        let request = match number % 2 {
            0 => ask("openai/gpt", words),
            _ => ask_streamed("openai/gpt", words),
        };
        caller.chat(&request).await
    }))
    .await;
    let (good, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((good.len(), sim.calls().len()), (5, 5));
    for answer in &refused {
        let sentence = answer.sentence(429, "insufficient_quota");
        assert!(sentence.contains("$5"), "{sentence}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
    let whole = good
        .iter()
        .find_map(|answer| answer.header("x-trunkline-cost-usd"));
    assert_eq!(whole, Some(PRICE));
    trunkline.stop().await;

    let trunkline = installation.start().await;
    let caller = trunkline.admin().with_key(key["key"].as_str().unwrap());
    caller
        .chat(&ask("openai/gpt", "hello"))
        .await
        .sentence(429, "insufficient_quota");
    let spent: Value =
        serde_json::from_str(&installation.print(&["cost", "--json"]).await).unwrap();
    assert_eq!(spent["keys"][0]["cost_usd"], "5.000000000", "{spent:#}");
    assert_eq!(spent["keys"][0]["name"], "frugal", "{spent:#}");
}

#[tokio::test]
async fn a_key_sees_its_own_calls_and_an_admin_sees_all() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let other = create(&installation, &["other"]).await;
    let trunkline = installation.start().await;
    let (app, admin) = (trunkline.app(), trunkline.admin());
    let other = admin.with_key(other["key"].as_str().unwrap());
    let mark = unique("mark-");
    let (mine, theirs) = (format!("{mark}-mine"), format!("{mark}-theirs"));
    for (caller, mark) in [(&app, &mine), (&other, &theirs)] {
        let headers = [("x-client-request-id", mark.as_str())];
        assert_eq!(
            caller
                .chat_with(&headers, &ask("openai/gpt", "hello"))
                .await
                .status,
            200
        );
    }
    let my_call = app.recorded(&mine).await;
    let their_call = other.recorded(&theirs).await;
    assert_eq!(app.logs("").await, std::slice::from_ref(&my_call));
    assert_eq!(admin.logs("").await.len(), 2);
    let path = format!(
        "/api/v1/db/logs/{}",
        their_call["request_id"].as_str().unwrap()
    );
    assert_eq!(app.get(&path).await.status, 404);
    assert_eq!(other.get(&path).await.json()["data"], their_call);
    let sneaking = format!("&key_id={}", their_call["key_id"].as_str().unwrap());
    assert_eq!(app.logs(&sneaking).await, [my_call]);
}

#[tokio::test]
async fn administration_is_for_admins_and_never_shows_a_keys_text() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    let (app, admin) = (trunkline.app(), trunkline.admin());
    let new =
        json!({ "name": "made", "models": ["openai/*"], "budget": { "usd": 2.5, "per": "day" } });
    let made = admin.post("/api/v1/admin/keys", &new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let id = made["data"]["id"].as_str().unwrap();

    for answer in [
        app.get("/api/v1/admin/keys").await,
        app.post("/api/v1/admin/keys", &new).await,
        app.post(&format!("/api/v1/admin/keys/{id}/rotate"), &json!({}))
            .await,
        app.delete(&format!("/api/v1/admin/keys/{id}")).await,
    ] {
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert_eq!(answer.json()["success"], false);
        assert_eq!(
            answer.json()["problem"]["type"],
            "urn:trunkline:problem:permission_denied"
        );
    }

    let listed = admin.get("/api/v1/admin/keys").await;
    let printed = installation.print(&["keys", "list", "--json"]).await;
    for shown in [listed.text(), &printed] {
        assert!(shown.contains(id), "{shown}");
        for text in [
            made["data"]["key"].as_str().unwrap(),
            trunkline.admin_key(),
            crate::bench::APP_KEY,
        ] {
            assert!(!shown.contains(text), "{text}: {shown}");
        }
    }
}
