//! Azure OpenAI: both styles of URL, its keys, tokens and filters.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{AZURE, Answer, Fields, OPENAI, send, with};

const CHAT: &str = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";

fn plain() -> Value {
    json!({"messages": [{"role": "user", "content": "Hello there"}]})
}

async fn ask(sim: &Sim, uri: &str, fields: Fields<'_>, body: &Value) -> Answer {
    send(sim, "POST", uri, fields, body.to_string().into()).await
}

/// A token for a scope, got with a client's secret.
async fn token(sim: &Sim, scope: &str) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id=c&client_secret=s&scope={scope}%2F.default"
    );
    let fields = [("content-type", "application/x-www-form-urlencoded")];
    let answer = send(
        sim,
        "POST",
        "/contoso/oauth2/v2.0/token",
        &fields,
        form.into(),
    )
    .await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_answer_tells_what_the_filters_found() {
    let sim = Sim::default();
    let body = ask(&sim, CHAT, AZURE, &plain()).await.json();
    assert_eq!(body["model"], "gpt-4o");
    assert_eq!(
        body["prompt_filter_results"][0]["content_filter_results"]["hate"]["severity"],
        "safe"
    );
    assert_eq!(
        body["choices"][0]["content_filter_results"]["violence"]["filtered"],
        false
    );
    let streamed = ask(&sim, CHAT, AZURE, &with(&plain(), &json!({"stream": true}))).await;
    let events = streamed.events();
    assert_eq!(events[0]["choices"], json!([]));
    assert!(events[0]["prompt_filter_results"].is_array() && events[0]["id"] == "");
    assert!(
        events[1..]
            .iter()
            .all(|event| event["choices"][0]["content_filter_results"].is_object())
    );
}

#[tokio::test]
async fn a_deployment_a_version_and_a_key_are_needed() {
    let sim = Sim::default();
    let nobody: Fields<'_> = &[];
    for (uri, fields, status, code) in [
        (
            "/openai/deployments/gpt-4o/chat/completions",
            AZURE,
            404,
            "404",
        ),
        (
            "/openai/deployments/gpt-4o/chat/completions?api-version=soon",
            AZURE,
            404,
            "404",
        ),
        (
            "/openai/deployments/nothing/chat/completions?api-version=2024-10-21",
            AZURE,
            404,
            "DeploymentNotFound",
        ),
        (
            "/openai/deployments/gpt-4o/nothing?api-version=2024-10-21",
            AZURE,
            404,
            "404",
        ),
        (
            "/openai/v1/chat/completions?api-version=2024-10-21",
            AZURE,
            400,
            "BadRequest",
        ),
        (CHAT, nobody, 401, "401"),
        (CHAT, &[("api-key", "invalid")], 401, "401"),
        (CHAT, OPENAI, 401, "Unauthorized"),
    ] {
        let answer = ask(&sim, uri, fields, &plain()).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (status, &json!(code)),
            "{uri}"
        );
    }
}

#[tokio::test]
async fn the_newer_style_names_the_deployment_as_the_model() {
    let sim = Sim::default();
    let named = with(&plain(), &json!({"model": "gpt-4o"}));
    let answer = ask(&sim, "/openai/v1/chat/completions", AZURE, &named).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let unknown = with(&plain(), &json!({"model": "nothing"}));
    let refused = ask(&sim, "/openai/v1/chat/completions", AZURE, &unknown)
        .await
        .json();
    assert_eq!(refused["error"]["code"], "DeploymentNotFound");
    let models = send(&sim, "GET", "/openai/v1/models", AZURE, "".into())
        .await
        .json();
    assert_eq!(models["object"], "list");
}

#[tokio::test]
async fn a_token_is_good_for_microsofts_ai_services_alone() {
    let sim = Sim::default();
    for (scope, status) in [
        ("https://cognitiveservices.azure.com", 200),
        ("https://ai.azure.com", 200),
        ("https://graph.microsoft.com", 401),
    ] {
        let bearer = format!("Bearer {}", token(&sim, scope).await);
        let answer = ask(&sim, CHAT, &[("authorization", &bearer)], &plain()).await;
        assert_eq!(answer.status, status, "{scope}");
    }
}

#[tokio::test]
async fn filtered_content_and_rates_are_refused_in_azures_words() {
    let sim = Sim::default();
    let asks = |text: &str| json!({"messages": [{"role": "user", "content": text}]});
    let filtered = ask(&sim, CHAT, AZURE, &asks("[[sim status=400]]"))
        .await
        .json();
    assert_eq!(filtered["error"]["code"], "content_filter");
    assert_eq!(
        filtered["error"]["innererror"]["code"],
        "ResponsibleAIPolicyViolation"
    );
    let limited = ask(&sim, CHAT, AZURE, &asks("[[sim status=429 retry-after=3]]")).await;
    assert_eq!(
        (
            limited.field("retry-after"),
            limited.field("retry-after-ms")
        ),
        ("3", "3000")
    );
    assert!(limited.text().contains("Please retry after 3 seconds"));
    let openais = ask(
        &sim,
        CHAT,
        AZURE,
        &with(&plain(), &json!({"temperature": 3})),
    )
    .await
    .json();
    assert_eq!(openais["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn responses_are_kept_in_azure_too() {
    let sim = Sim::default();
    let body = json!({"model": "gpt", "input": "hi"});
    for base in ["/openai/v1/responses", "/openai/responses"] {
        let version = if base.contains("v1") {
            ""
        } else {
            "?api-version=2025-04-01-preview"
        };
        let made = ask(&sim, &format!("{base}{version}"), AZURE, &body)
            .await
            .json();
        let id = made["id"].as_str().unwrap();
        let got = send(
            &sim,
            "GET",
            &format!("{base}/{id}{version}"),
            AZURE,
            "".into(),
        )
        .await
        .json();
        assert_eq!(got, made);
    }
}
