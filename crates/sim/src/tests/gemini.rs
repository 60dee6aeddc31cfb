//! Google's `generateContent`.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{Fields, GEMINI, assert_says, cases, gemini, gemini_stream, send, with};

fn plain() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]})
}

fn weather() -> Value {
    json!({"functionDeclarations": [{"name": "get_weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}}]})
}

fn asks_weather(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}], "tools": [weather()]})
}

fn response() -> Value {
    json!({"functionResponse": {"name": "get_weather", "response": {"result": "22 degrees"}}})
}

#[tokio::test]
async fn an_answer_says_that_it_is_simulated_and_counts_its_tokens() {
    let answer = gemini(&Sim::default(), "gemini", &plain()).await;
    let body = answer.json();
    let text = "This is a simulated answer from Trunkline's sim provider (model gemini). You said: Hello there";
    assert_eq!(answer.status, 200);
    assert_eq!(
        body["candidates"],
        json!([{"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP", "index": 0}])
    );
    let usage = &body["usageMetadata"];
    assert_eq!(
        (&usage["promptTokenCount"], &usage["candidatesTokenCount"]),
        (&json!(6), &json!(text.len().div_ceil(4)))
    );
    assert_eq!(usage["totalTokenCount"], 6 + text.len().div_ceil(4));
    assert_eq!(body["modelVersion"], "gemini");
}

#[tokio::test]
async fn what_google_refuses_is_refused_in_its_words() {
    let sim = Sim::default();
    for case in cases(include_str!("refused/gemini.jsonl")) {
        let answer = gemini(&sim, "gemini", &with(&plain(), &case["changes"])).await;
        let body = answer.json();
        assert_eq!(answer.status, 400, "{case}: {body}");
        assert_says(&body["error"]["message"], &case);
        assert_eq!(body["error"]["code"], 400);
        assert_eq!(body["error"]["status"], "INVALID_ARGUMENT", "{case}");
    }
}

#[tokio::test]
async fn unknown_fields_are_named_all_at_once() {
    let answer = gemini(
        &Sim::default(),
        "gemini",
        &with(&plain(), &json!({"foo": 1, "generationConfig": {"bar": 2}})),
    )
    .await;
    let violations = &answer.json()["error"]["details"][0]["fieldViolations"];
    assert_eq!(violations.as_array().map(Vec::len), Some(2), "{violations}");
    assert_eq!(violations[1]["field"], "generation_config");
}

#[tokio::test]
async fn what_google_takes_is_taken() {
    let sim = Sim::default();
    for case in cases(include_str!("taken/gemini.jsonl")) {
        let request = with(&plain(), &case["changes"]);
        let answer = gemini(&sim, case["model"].as_str().unwrap(), &request).await;
        assert_eq!(answer.status, 200, "{case}: {}", answer.text());
    }
}

#[tokio::test]
async fn keys_and_models_are_refused_as_google_refuses_them() {
    let sim = Sim::default();
    let cases: [(&str, Fields<'_>, u16, &str, &str); 5] = [
        (
            "/v1beta/models/gemini:generateContent",
            &[],
            403,
            "PERMISSION_DENIED",
            "unregistered callers",
        ),
        (
            "/v1beta/models/gemini:generateContent",
            &[("x-goog-api-key", "invalid-key")],
            400,
            "INVALID_ARGUMENT",
            "API key not valid",
        ),
        (
            "/v1beta/models/gemini:generateContent?key=invalid",
            &[],
            400,
            "INVALID_ARGUMENT",
            "API key not valid",
        ),
        (
            "/v1/models/gpt:generateContent",
            GEMINI,
            404,
            "NOT_FOUND",
            "models/gpt is not found",
        ),
        (
            "/v1beta/models/gemini:embedContent",
            GEMINI,
            404,
            "NOT_FOUND",
            "not found",
        ),
    ];
    for (uri, fields, status, kind, message) in cases {
        let answer = send(&sim, "POST", uri, fields, plain().to_string().into()).await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status, status, "{uri}");
        assert_eq!(error["status"], kind);
        assert!(
            error["message"].as_str().unwrap().contains(message),
            "{error}"
        );
    }
    let answer = send(
        &sim,
        "POST",
        "/v1/models/gemini:generateContent?key=k",
        &[],
        plain().to_string().into(),
    )
    .await;
    assert_eq!(answer.status, 200);
    let models = send(&sim, "GET", "/v1beta/models", GEMINI, "".into())
        .await
        .json();
    assert_eq!(models["models"][0]["name"], "models/gemini");
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says_in_both_framings() {
    let sim = Sim::default();
    for (model, request) in [
        ("gemini", plain()),
        (
            "gemini",
            with(
                &plain(),
                &json!({"generationConfig": {"candidateCount": 3}}),
            ),
        ),
        (
            "gemini",
            asks_weather("get_weather here and get_weather there"),
        ),
        (
            "gemini",
            with(
                &plain(),
                &json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 1000, "includeThoughts": true}}}),
            ),
        ),
        ("gemini-3-pro-preview", asks_weather("get_weather")),
    ] {
        let whole = gemini(&sim, model, &request).await.json();
        let events = gemini_stream(&sim, model, &request).await.events();
        let array = send(
            &sim,
            "POST",
            &format!("/v1beta/models/{model}:streamGenerateContent"),
            GEMINI,
            request.to_string().into(),
        )
        .await;
        assert_eq!(array.json().as_array().map(Vec::len), Some(events.len()));
        assert_eq!(
            events.last().unwrap()["usageMetadata"],
            whole["usageMetadata"]
        );
        for candidate in whole["candidates"].as_array().unwrap() {
            let chunks: Vec<&Value> = events
                .iter()
                .map(|event| &event["candidates"][0])
                .filter(|chunk| chunk["index"] == candidate["index"])
                .collect();
            let parts: Vec<&Value> = chunks
                .iter()
                .flat_map(|chunk| chunk["content"]["parts"].as_array().unwrap())
                .collect();
            let text = |parts: &[&Value], thought: bool| {
                parts
                    .iter()
                    .filter(|part| part["thought"].as_bool().unwrap_or(false) == thought)
                    .filter_map(|part| part["text"].as_str())
                    .collect::<String>()
            };
            let calls = |parts: &[&Value]| {
                parts
                    .iter()
                    .filter(|part| part.get("functionCall").is_some())
                    .map(|part| (*part).clone())
                    .collect::<Vec<_>>()
            };
            let expected: Vec<&Value> = candidate["content"]["parts"]
                .as_array()
                .unwrap()
                .iter()
                .collect();
            assert_eq!(text(&parts, false), text(&expected, false));
            assert_eq!(text(&parts, true), text(&expected, true));
            assert_eq!(calls(&parts), calls(&expected));
            let reasons: Vec<&Value> = chunks
                .iter()
                .filter_map(|chunk| chunk.get("finishReason"))
                .collect();
            assert_eq!(reasons, [&json!("STOP")]);
            assert!(chunks.last().unwrap().get("finishReason").is_some());
        }
    }
}

#[tokio::test]
async fn thoughts_are_counted_apart_and_shown_on_request() {
    let config = json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 1000, "includeThoughts": true}}});
    let body = gemini(&Sim::default(), "gemini", &with(&plain(), &config))
        .await
        .json();
    assert_eq!(
        body["candidates"][0]["content"]["parts"][0]["thought"],
        true
    );
    let usage = &body["usageMetadata"];
    let of = |key: &str| usage[key].as_u64().unwrap();
    assert!(of("thoughtsTokenCount") > 0);
    assert_eq!(
        of("totalTokenCount"),
        of("promptTokenCount") + of("candidatesTokenCount") + of("thoughtsTokenCount")
    );
}

#[tokio::test]
async fn a_newer_model_wants_its_signature_back() {
    let sim = Sim::default();
    let model = "gemini-3-pro-preview";
    let first = gemini(&sim, model, &asks_weather("get_weather and get_weather"))
        .await
        .json();
    let content = first["candidates"][0]["content"].clone();
    let signed: Vec<bool> = content["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part.get("thoughtSignature").is_some())
        .collect();
    assert_eq!(signed, [true, false]);
    let follow_up = |content: &Value| {
        let user = json!({"role": "user", "parts": [{"text": "get_weather and get_weather"}]});
        json!({"tools": [weather()], "contents": [user, content, {"role": "user", "parts": [response(), response()]}]})
    };
    let second = gemini(&sim, model, &follow_up(&content)).await;
    assert_eq!(second.status, 200, "{}", second.text());
    let mut lost = content.clone();
    lost["parts"][0]
        .as_object_mut()
        .unwrap()
        .shift_remove("thoughtSignature");
    let refused = gemini(&sim, model, &follow_up(&lost)).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused
            .text()
            .contains("missing a thought_signature in functionCall parts"),
        "{}",
        refused.text()
    );
    let mut placeholder = content;
    placeholder["parts"][0]["thoughtSignature"] = json!("skip_thought_signature_validator");
    assert_eq!(
        gemini(&sim, model, &follow_up(&placeholder)).await.status,
        200
    );
}

#[tokio::test]
async fn a_blocked_prompt_has_no_candidates() {
    let body = gemini(
        &Sim::default(),
        "gemini",
        &json!({"contents": [{"parts": [{"text": "[[sim refusal]]"}]}]}),
    )
    .await
    .json();
    assert!(body.get("candidates").is_none());
    assert_eq!(body["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    assert_eq!(body["usageMetadata"]["candidatesTokenCount"], 0);
}

#[tokio::test]
async fn limits_and_wished_reasons_end_an_answer() {
    let sim = Sim::default();
    let cut = gemini(
        &sim,
        "gemini",
        &with(
            &plain(),
            &json!({"generationConfig": {"maxOutputTokens": 2}}),
        ),
    )
    .await
    .json();
    assert_eq!(cut["candidates"][0]["finishReason"], "MAX_TOKENS");
    let blocked = gemini(
        &sim,
        "gemini",
        &json!({"contents": [{"parts": [{"text": "x [[sim finish=SAFETY]]"}]}]}),
    )
    .await
    .json();
    assert_eq!(blocked["candidates"][0]["finishReason"], "SAFETY");
}
