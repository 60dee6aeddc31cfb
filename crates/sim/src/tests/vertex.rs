//! Vertex AI: Google's and Anthropic's formats with Google Cloud's tokens.

use crate::{Options, Sim};
use serde_json::{Value, json};

use super::ask::{Answer, Fields, google_token, send, with};

const GEMINI: &str = "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash";
const CLAUDE: &str =
    "/v1/projects/p/locations/global/publishers/anthropic/models/claude-sonnet-4-5@20250929";

fn contents() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}], "labels": {"team": "a"}})
}

fn messages() -> Value {
    json!({"anthropic_version": "vertex-2023-10-16", "max_tokens": 500, "messages": [{"role": "user", "content": "Hello there"}]})
}

async fn ask(sim: &Sim, uri: &str, body: &Value) -> Answer {
    let token = format!("Bearer {}", google_token(sim).await);
    with_fields(sim, uri, &[("authorization", &token)], body).await
}

async fn with_fields(sim: &Sim, uri: &str, fields: Fields<'_>, body: &Value) -> Answer {
    send(sim, "POST", uri, fields, body.to_string().into()).await
}

#[tokio::test]
async fn both_publishers_answer_in_their_own_format() {
    let sim = Sim::default();
    let gemini = ask(&sim, &format!("{GEMINI}:generateContent"), &contents())
        .await
        .json();
    assert!(
        gemini["candidates"][0]["content"]["parts"][0]["text"]
            .as_str()
            .unwrap()
            .contains("Hello there")
    );
    assert_eq!(gemini["usageMetadata"]["trafficType"], "ON_DEMAND");
    assert!(gemini["createTime"].as_str().unwrap().ends_with('Z'));
    let claude = ask(&sim, &format!("{CLAUDE}:rawPredict"), &messages())
        .await
        .json();
    assert_eq!(claude["model"], "claude-sonnet-4-5-20250929");
    let array = ask(
        &sim,
        &format!("{GEMINI}:streamGenerateContent"),
        &contents(),
    )
    .await
    .json();
    assert!(array.as_array().unwrap().len() > 1);
}

#[tokio::test]
async fn a_token_of_googles_is_needed_and_does_not_last() {
    let sim = Sim::default();
    let later = Sim::new(Options {
        seed: 0,
        now: || 1_795_219_200 + 3599,
    });
    let uri = format!("{GEMINI}:generateContent");
    let token = format!("Bearer {}", google_token(&sim).await);
    let reason = async |sim: &Sim, fields: Fields<'_>| {
        let answer = with_fields(sim, &uri, fields, &contents()).await;
        assert_eq!(answer.status, 401);
        answer.json()["error"]["details"][0]["reason"].clone()
    };
    assert_eq!(reason(&sim, &[]).await, "CREDENTIALS_MISSING");
    assert_eq!(
        reason(&sim, &[("authorization", "Bearer ya29.other")]).await,
        "ACCESS_TOKEN_TYPE_UNSUPPORTED"
    );
    assert_eq!(
        reason(&later, &[("authorization", &token)]).await,
        "ACCESS_TOKEN_EXPIRED"
    );
    assert_eq!(
        reason(&sim, &[("x-goog-api-key", "k")]).await,
        "CREDENTIALS_MISSING"
    );
    let express = "/v1/publishers/google/models/gemini-2.5-flash:generateContent";
    let answer = with_fields(&sim, express, &[("x-goog-api-key", "k")], &contents()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn vertex_refuses_in_googles_words_what_is_not_the_models_affair() {
    let sim = Sim::default();
    let unknown = ask(
        &sim,
        &GEMINI.replace("gemini-2.5-flash", "gemini-9:generateContent"),
        &contents(),
    )
    .await;
    assert_eq!(unknown.status, 404);
    let expected = "Publisher Model `projects/p/locations/global/publishers/google/models/gemini-9` was not found";
    assert!(
        unknown.json()["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with(expected)
    );
    let unknown = ask(
        &sim,
        &format!("{}:rawPredict", CLAUDE.replace("claude-", "clod-")),
        &messages(),
    )
    .await;
    assert_eq!(
        (unknown.status, &unknown.json()["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    let roleless = json!({"contents": [{"parts": [{"text": "x"}]}]});
    let refused = ask(&sim, &format!("{GEMINI}:generateContent"), &roleless)
        .await
        .json();
    assert_eq!(
        refused["error"]["message"],
        "Please use a valid role: user, model."
    );
}

#[tokio::test]
async fn anthropics_format_names_its_version_and_leaves_the_model_to_the_path() {
    let sim = Sim::default();
    for (changes, says) in [
        (
            json!({"model": "claude"}),
            "model: Extra inputs are not permitted",
        ),
        (
            json!({"anthropic_version": null}),
            "anthropic_version: Field required",
        ),
        (
            json!({"anthropic_version": "bedrock-2023-05-31"}),
            "anthropic_version: Input should be 'vertex-2023-10-16' or '2026-10-21'",
        ),
        (
            json!({"anthropic_beta": ["x"]}),
            "anthropic_beta: Extra inputs are not permitted",
        ),
    ] {
        let answer = ask(
            &sim,
            &format!("{CLAUDE}:rawPredict"),
            &with(&messages(), &changes),
        )
        .await;
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["error"]["type"]),
            (400, &json!("invalid_request_error"))
        );
        assert!(
            body["error"]["message"].as_str().unwrap().contains(says),
            "{body}"
        );
    }
}
