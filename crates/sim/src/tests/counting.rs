//! Calls that count tokens: what they say is what the answer's usage says.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{ANTHROPIC, Answer, Fields, GEMINI, OPENAI, google_token, send, with};

async fn ask(sim: &Sim, uri: &str, fields: Fields<'_>, body: &Value) -> Answer {
    send(sim, "POST", uri, fields, body.to_string().into()).await
}

#[tokio::test]
async fn anthropic_counts_what_it_bills() {
    let sim = Sim::default();
    let body = json!({
        "model": "claude",
        "system": "be brief",
        "messages": [{"role": "user", "content": "Hello there"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    });
    let counted = ask(
        &sim,
        "/v1/messages/count_tokens?beta=true",
        ANTHROPIC,
        &body,
    )
    .await
    .json();
    let answer = ask(
        &sim,
        "/v1/messages",
        ANTHROPIC,
        &with(&body, &json!({"max_tokens": 100})),
    )
    .await
    .json();
    assert_eq!(
        counted,
        json!({"input_tokens": answer["usage"]["input_tokens"]})
    );
    for (changes, says) in [
        (
            json!({"max_tokens": 5}),
            "max_tokens: Extra inputs are not permitted",
        ),
        (json!({"messages": null}), "messages: Field required"),
        (json!({"model": "nope"}), "model: nope"),
    ] {
        let refused = ask(
            &sim,
            "/v1/messages/count_tokens",
            ANTHROPIC,
            &with(&body, &changes),
        )
        .await;
        assert!(
            refused.status >= 400 && refused.text().contains(says),
            "{}",
            refused.text()
        );
    }
}

#[tokio::test]
async fn gemini_counts_what_it_bills() {
    let sim = Sim::default();
    let body = json!({
        "contents": [{"role": "user", "parts": [{"text": "Hello there"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]}],
    });
    let answer = ask(&sim, "/v1beta/models/gemini:generateContent", GEMINI, &body)
        .await
        .json();
    let total = &answer["usageMetadata"]["promptTokenCount"];
    let nested = json!({"generateContentRequest": with(&body, &json!({"model": "models/gemini"}))});
    for request in [&body, &nested] {
        let counted = ask(&sim, "/v1/models/gemini:countTokens", GEMINI, request)
            .await
            .json();
        assert_eq!(&counted["totalTokens"], total);
        assert_eq!(
            counted["promptTokensDetails"],
            answer["usageMetadata"]["promptTokensDetails"]
        );
    }
    let refused = ask(
        &sim,
        "/v1beta/models/gemini:countTokens",
        GEMINI,
        &with(&body, &json!({"tools": []})),
    )
    .await;
    assert!(
        refused.text().contains("Unknown name \\\"tools\\\""),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn clouds_count_in_their_own_way() {
    let sim = Sim::default();
    let token = format!("Bearer {}", google_token(&sim).await);
    let vertex: Fields<'_> = &[("authorization", &token)];
    let messages = json!([{"role": "user", "content": "Hello there"}]);
    let base = "/v1/projects/p/locations/global/publishers";
    let claude = json!({"anthropic_version": "vertex-2023-10-16", "model": "claude-sonnet-4-5@20250929", "messages": messages});
    let counted = ask(
        &sim,
        &format!("{base}/anthropic/models/count-tokens:rawPredict"),
        vertex,
        &claude,
    )
    .await
    .json();
    assert_eq!(counted, json!({"input_tokens": 6}));
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}], "systemInstruction": {"parts": [{"text": "x"}]}});
    let counted = ask(
        &sim,
        &format!("{base}/google/models/gemini-2.5-flash:countTokens"),
        vertex,
        &contents,
    )
    .await
    .json();
    assert!(counted["totalTokens"].as_u64().unwrap() > 6, "{counted}");
    let converse = json!({"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "Hello there"}]}]}}});
    let counted = ask(
        &sim,
        "/model/amazon.nova-pro-v1:0/count-tokens",
        OPENAI,
        &converse,
    )
    .await
    .json();
    assert_eq!(counted, json!({"inputTokens": 6}));
    let inner =
        json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": messages});
    let invoke = json!({"input": {"invokeModel": {"body": crate::media::encode(inner.to_string().as_bytes())}}});
    let counted = ask(
        &sim,
        "/model/anthropic.claude-haiku-4-5-v1:0/count-tokens",
        OPENAI,
        &invoke,
    )
    .await
    .json();
    assert_eq!(counted, json!({"inputTokens": 6}));
}

#[tokio::test]
async fn bedrock_counts_some_models_by_their_own_names_and_takes_nothing_but_the_union() {
    let sim = Sim::default();
    let messages = json!([{"role": "user", "content": [{"text": "Hello there"}]}]);
    let converse = json!({"input": {"converse": {"messages": messages}}});
    for model in [
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "anthropic.claude-opus-4-7",
        "meta.llama3-1-70b-instruct-v1:0",
        "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile%2Fa1b2c3",
    ] {
        let path = format!("/model/{model}/count-tokens");
        let refused = ask(&sim, &path, OPENAI, &converse).await;
        assert_eq!(refused.status, 400, "{model}");
        let says = refused.text();
        assert!(says.contains("doesn't support counting tokens"), "{says}");
    }
    let unbounded = json!({"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "Hi"}]});
    let unbounded = crate::media::encode(unbounded.to_string().as_bytes());
    for (body, says) in [
        (json!({}), "Value null at 'input'"),
        (json!({"input": {}}), "input"),
        (
            json!({"input": {"converse": {}, "invokeModel": {"body": "e30="}}}),
            "input",
        ),
        (
            json!({"input": {"converse": {"messages": messages, "inferenceConfig": {}}}}),
            "inferenceConfig",
        ),
        (
            json!({"input": {"invokeModel": {"body": "bm8="}}}),
            "Malformed input request",
        ),
        (
            json!({"input": {"invokeModel": {"body": unbounded}}}),
            "max_tokens",
        ),
        (
            json!({"input": {"converse": {"messages": messages}}, "modelId": "m"}),
            "modelId",
        ),
    ] {
        let path = "/model/anthropic.claude-haiku-4-5-v1:0/count-tokens";
        let refused = ask(&sim, path, OPENAI, &body).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.text().contains(says), "{}", refused.text());
    }
}

#[tokio::test]
async fn vertex_ai_counts_what_it_knows_and_names_what_it_does_not() {
    let sim = Sim::default();
    let token = format!("Bearer {}", google_token(&sim).await);
    let vertex: Fields<'_> = &[("authorization", &token)];
    let base = "/v1/projects/p/locations/global/publishers";
    let messages = json!([{"role": "user", "content": "Hello there"}]);
    let claude = json!({"model": "claude-sonnet-4-5@20250929", "messages": messages});
    let path = format!("{base}/anthropic/models/count-tokens:rawPredict");
    let counted = ask(&sim, &path, vertex, &claude).await.json();
    assert_eq!(counted, json!({"input_tokens": 6}));
    for (changes, says) in [
        (
            json!({"anthropic_version": "bedrock-2023-05-31"}),
            "anthropic_version",
        ),
        (
            json!({"max_tokens": 5}),
            "max_tokens: Extra inputs are not permitted",
        ),
        (
            json!({"stream": false}),
            "stream: Extra inputs are not permitted",
        ),
        (json!({"model": null}), "model"),
        (json!({"messages": null}), "messages: Field required"),
        (json!({"model": "nope"}), "was not found"),
    ] {
        let refused = ask(&sim, &path, vertex, &with(&claude, &changes)).await;
        assert!(
            refused.status >= 400 && refused.text().contains(says),
            "{}",
            refused.text()
        );
    }
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]});
    let path = format!("{base}/google/models/gemini-2.5-flash:countTokens");
    for (changes, says) in [
        (json!({"toolConfig": {}}), "Unknown name \\\"toolConfig\\\""),
        (
            json!({"generateContentRequest": {}}),
            "generateContentRequest",
        ),
        (
            json!({"contents": [{"parts": [{"text": "a"}]}]}),
            "valid role",
        ),
    ] {
        let refused = ask(&sim, &path, vertex, &with(&contents, &changes)).await;
        assert!(
            refused.status == 400 && refused.text().contains(says),
            "{}",
            refused.text()
        );
    }
}
