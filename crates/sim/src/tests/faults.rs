//! Faults and shapes on demand, and the record of calls, on every face.

use std::time::Duration;

use crate::{Face, Sim};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::ask::{
    ANTHROPIC, Answer, GEMINI, OPENAI, anthropic, gemini, gemini_stream, openai, send,
};

/// The three faces, asked the same thing.
async fn on_all(sim: &Sim, text: &str, streamed: bool) -> [(Face, Answer); 3] {
    let chat = |model: &str| json!({"model": model, "max_tokens": 4000, "stream": streamed, "messages": [{"role": "user", "content": text}]});
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": text}]}]});
    let openai = openai(sim, &chat("gpt")).await;
    let anthropic = anthropic(sim, &chat("claude")).await;
    let gemini = if streamed {
        gemini_stream(sim, "gemini", &contents).await
    } else {
        gemini(sim, "gemini", &contents).await
    };
    [
        (Face::OpenAi, openai),
        (Face::Anthropic, anthropic),
        (Face::Gemini, gemini),
    ]
}

/// The vendor's class of an error.
fn kind(face: Face, body: &Value) -> String {
    let error = &body["error"];
    let kind = if face == Face::Gemini {
        &error["status"]
    } else {
        &error["type"]
    };
    kind.as_str()
        .unwrap_or_else(|| panic!("no error: {body}"))
        .to_owned()
}

#[tokio::test]
async fn a_status_is_answered_with_the_vendors_own_error() {
    let sim = Sim::default();
    for (status, kinds) in [
        (429, ["requests", "rate_limit_error", "RESOURCE_EXHAUSTED"]),
        (500, ["server_error", "api_error", "INTERNAL"]),
        (503, ["server_error", "api_error", "UNAVAILABLE"]),
        (529, ["server_error", "overloaded_error", "INTERNAL"]),
        (
            403,
            [
                "invalid_request_error",
                "permission_error",
                "PERMISSION_DENIED",
            ],
        ),
        (
            404,
            ["invalid_request_error", "not_found_error", "NOT_FOUND"],
        ),
        (
            401,
            [
                "invalid_request_error",
                "authentication_error",
                "UNAUTHENTICATED",
            ],
        ),
    ] {
        for streamed in [false, true] {
            let answers = on_all(
                &sim,
                &format!("x [[sim status={status} retry-after=7]]"),
                streamed,
            )
            .await;
            for ((face, answer), expected) in answers.iter().zip(kinds) {
                assert_eq!(answer.status, status);
                assert_eq!(answer.field("retry-after"), "7");
                assert_eq!(answer.field("content-type"), "application/json");
                assert_eq!(kind(*face, &answer.json()), expected, "{status} {face:?}");
            }
        }
    }
    let quota = gemini(
        &sim,
        "gemini",
        &json!({"contents": [{"parts": [{"text": "[[sim status=429 retry-after=7]]"}]}]}),
    )
    .await
    .json();
    let details = quota["error"]["details"].as_array().unwrap();
    assert!(
        details.iter().any(|detail| detail["retryDelay"] == "7s"),
        "{quota}"
    );
}

#[tokio::test]
async fn an_array_stream_gets_its_error_in_an_array() {
    let body = json!({"contents": [{"parts": [{"text": "[[sim status=503]]"}]}]}).to_string();
    let answer = send(
        &Sim::default(),
        "POST",
        "/v1beta/models/gemini:streamGenerateContent",
        GEMINI,
        body.into(),
    )
    .await;
    assert_eq!(
        (answer.status, &answer.json()[0]["error"]["status"]),
        (503, &json!("UNAVAILABLE"))
    );
}

#[tokio::test]
async fn a_counted_fault_lifts_after_its_last_strike() {
    let sim = Sim::default();
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "x [[sim status=503 times=2 id=a]]"}]});
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(openai(&sim, &body).await.status);
    }
    assert_eq!(statuses, [503, 503, 200]);
}

#[tokio::test]
async fn a_stream_breaks_after_so_many_events_and_a_whole_body_in_its_middle() {
    let sim = Sim::default();
    for (face, answer) in on_all(&sim, "x [[sim cut=2 text=\"one two three four five six seven eight nine ten eleven twelve thirteen\"]]", true).await {
        assert_eq!((answer.status, answer.pieces.len(), answer.cut.is_some()), (200, 2, true), "{face:?}");
    }
    for (face, answer) in on_all(&sim, "x [[sim cut=0]]", false).await {
        assert!(answer.cut.is_some() && answer.status == 200, "{face:?}");
        assert!(serde_json::from_str::<Value>(&answer.text()).is_err());
        let promised: usize = answer.text().len() * 2;
        assert!(promised > 0);
    }
    assert!(
        sim.calls()
            .iter()
            .all(|call| !call.completed && call.status == Some(200))
    );
}

#[tokio::test]
async fn an_error_can_come_in_the_middle_or_at_the_start_of_a_200() {
    let sim = Sim::default();
    let kinds = ["server_error", "overloaded_error", "UNAVAILABLE"];
    for (directive, events) in [("error-mid=2", 3), ("error-200", 1)] {
        for ((face, answer), expected) in
            on_all(&sim, &format!("x [[sim {directive} words=100]]"), true)
                .await
                .iter()
                .zip(kinds)
        {
            let told = answer.events();
            assert_eq!(
                (answer.status, told.len()),
                (200, events),
                "{face:?} {directive}"
            );
            assert_eq!(kind(*face, told.last().unwrap()), expected);
            assert!(!answer.text().contains("[DONE]") && !answer.text().contains("message_stop"));
        }
    }
    for ((face, answer), expected) in on_all(&sim, "x [[sim error-200]]", false)
        .await
        .iter()
        .zip(kinds)
    {
        assert_eq!(
            (answer.status, kind(*face, &answer.json()).as_str()),
            (200, expected)
        );
    }
}

#[tokio::test]
async fn garbage_is_no_json_and_html_is_a_proxys_page() {
    let sim = Sim::default();
    for streamed in [false, true] {
        for (face, answer) in on_all(&sim, "x [[sim garbage]]", streamed).await {
            let all = answer.pieces.concat();
            assert_eq!(answer.status, 200, "{face:?}");
            assert!(
                String::from_utf8_lossy(&all).contains("this is not JSON"),
                "{face:?}"
            );
        }
        for (_, answer) in on_all(&sim, "x [[sim html]]", streamed).await {
            assert_eq!(
                (answer.status, answer.field("content-type")),
                (502, "text/html")
            );
            assert!(answer.text().contains("sk-sim-"));
        }
    }
}

#[tokio::test]
async fn shapes_change_how_an_answer_comes_but_not_what_it_says() {
    let sim = Sim::default();
    let plain = on_all(&sim, "x [[sim unicode]]", true).await;
    let in_bytes = on_all(&sim, "x [[sim unicode bytes=3]]", true).await;
    let awkward = on_all(&sim, "x [[sim unicode crlf]]", true).await;
    let contents = |face: Face, answer: &Answer| -> String {
        let text = |event: &Value| match face {
            Face::OpenAi => event["choices"][0]["delta"]["content"]
                .as_str()
                .map(str::to_owned),
            Face::Anthropic => event["delta"]["text"].as_str().map(str::to_owned),
            Face::Gemini => event["candidates"][0]["content"]["parts"][0]["text"]
                .as_str()
                .map(str::to_owned),
            _ => None,
        };
        answer.events().iter().filter_map(text).collect()
    };
    for (((face, plain), (_, in_bytes)), (_, awkward)) in plain.iter().zip(&in_bytes).zip(&awkward)
    {
        let said = contents(*face, plain);
        assert!(said.contains("世界") && said.contains("👩‍👩‍👧‍👦"), "{said}");
        assert_eq!(contents(*face, in_bytes), said);
        assert!(
            in_bytes
                .pieces
                .iter()
                .rev()
                .skip(1)
                .all(|piece| piece.len() == 3)
        );
        assert!(
            in_bytes
                .pieces
                .iter()
                .any(|piece| std::str::from_utf8(piece).is_err()),
            "a character is split"
        );
        assert_eq!(contents(*face, awkward), said);
        assert!(
            awkward.text().starts_with('\u{feff}') && awkward.text().contains("\r\n\r\n: ping\r\n")
        );
    }
}

#[tokio::test]
async fn a_stream_has_exactly_the_wished_number_of_content_events() {
    for (face, answer) in on_all(&Sim::default(), "x [[sim chunks=50]]", true).await {
        let has_text = |event: &&Value| match face {
            Face::OpenAi => event["choices"][0]["delta"]["content"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            Face::Anthropic => event["delta"]["type"] == "text_delta",
            Face::Gemini => event["candidates"][0]["content"]["parts"][0]["text"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            _ => false,
        };
        assert_eq!(
            answer.events().iter().filter(has_text).count(),
            50,
            "{face:?}"
        );
    }
}

#[tokio::test]
async fn usage_can_be_left_out_zeroed_or_said_to_be_cached() {
    let sim = Sim::default();
    let usage = |face: Face, answer: &Answer| {
        answer.json()[if face == Face::Gemini {
            "usageMetadata"
        } else {
            "usage"
        }]
        .clone()
    };
    for (face, answer) in on_all(&sim, "x [[sim usage=none]]", false).await {
        assert!(usage(face, &answer).is_null());
    }
    for (face, answer) in on_all(&sim, "x [[sim usage=zero]]", false).await {
        let keys = match face {
            Face::OpenAi => ["prompt_tokens", "completion_tokens"],
            Face::Anthropic => ["input_tokens", "output_tokens"],
            _ => ["promptTokenCount", "candidatesTokenCount"],
        };
        let usage = usage(face, &answer);
        assert!(keys.iter().all(|key| usage[*key] == 0), "{usage}");
    }
    for (face, answer) in on_all(&sim, "many words to be cached [[sim cached=4]]", false).await {
        let usage = usage(face, &answer);
        let cached = match face {
            Face::OpenAi => &usage["prompt_tokens_details"]["cached_tokens"],
            Face::Anthropic => &usage["cache_read_input_tokens"],
            _ => &usage["cachedContentTokenCount"],
        };
        assert_eq!(cached, 4, "{usage}");
    }
    let reported: Vec<bool> = sim.calls().iter().map(|call| call.usage_reported).collect();
    assert_eq!(
        reported,
        [false, false, false, true, true, true, true, true, true]
    );
}

#[tokio::test(start_paused = true)]
async fn delays_and_hangs_hold_an_answer_back() {
    let sim = Sim::default();
    let started = tokio::time::Instant::now();
    let waited = || started.elapsed();
    on_all(&sim, "x [[sim latency=100]]", false).await;
    assert_eq!(waited(), Duration::from_millis(300));
    let body = json!({"model": "gpt", "stream": true, "messages": [{"role": "user", "content": "x [[sim chunks=3 chunk-delay=10]]"}]});
    openai(&sim, &body).await;
    // One role event, three pieces, the finish and `[DONE]`: five pauses between six events.
    assert_eq!(waited(), Duration::from_millis(350));
    for hang in ["head", "body"] {
        let body = json!({"model": "gpt", "messages": [{"role": "user", "content": format!("x [[sim hang={hang}]]")}]});
        assert!(
            tokio::time::timeout(Duration::from_mins(1), openai(&sim, &body))
                .await
                .is_err(),
            "{hang}"
        );
    }
    let statuses: Vec<Option<u16>> = sim
        .calls()
        .iter()
        .rev()
        .take(2)
        .map(|call| call.status)
        .collect();
    assert_eq!(statuses, [Some(200), None]);
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_seen_in_the_record() {
    let sim = Sim::default();
    let body =
        json!({"model": "gpt", "stream": true, "messages": [{"role": "user", "content": "hello"}]})
            .to_string();
    let request = http::Request::post("/v1/chat/completions")
        .header("authorization", "Bearer k")
        .header("x-client-request-id", "mine");
    let mut answer = sim
        .respond(request.body(body.into()).unwrap())
        .await
        .into_body();
    answer.frame().await.unwrap().unwrap();
    drop(answer);
    on_all(&sim, "to the end", false).await;
    let calls = sim.calls();
    let seen: Vec<(u64, Face, &str, bool, bool)> = calls
        .iter()
        .map(|call| {
            (
                call.sequence,
                call.face,
                call.model.as_str(),
                call.streamed,
                call.completed,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (0, Face::OpenAi, "gpt", true, false),
            (1, Face::OpenAi, "gpt", false, true),
            (2, Face::Anthropic, "claude", false, true),
            (3, Face::Gemini, "gemini", false, true)
        ]
    );
    assert_eq!(
        (
            calls[0].prompt.as_str(),
            calls[0].client_request_id.as_deref()
        ),
        ("hello", Some("mine"))
    );
}

#[tokio::test]
async fn the_record_and_the_fault_queue_are_reached_over_http() {
    let sim = Sim::default();
    let queued =
        json!({"match": {"face": "anthropic"}, "directive": "status=529", "times": 1}).to_string();
    assert_eq!(
        send(&sim, "POST", "/sim/faults", &[], queued.into())
            .await
            .status,
        201
    );
    assert_eq!(
        send(
            &sim,
            "POST",
            "/sim/faults",
            &[],
            r#"{"directive": "teapot"}"#.into()
        )
        .await
        .status,
        400
    );
    let statuses = on_all(&sim, "x", false)
        .await
        .map(|(_, answer)| answer.status);
    assert_eq!(statuses, [200, 529, 200]);
    assert_eq!(
        on_all(&sim, "x", false)
            .await
            .map(|(_, answer)| answer.status),
        [200, 200, 200]
    );
    let calls = send(&sim, "GET", "/sim/calls?since=4", &[], "".into())
        .await
        .json();
    let faces: Vec<&str> = calls
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["face"].as_str().unwrap())
        .collect();
    assert_eq!(faces, ["anthropic", "gemini"]);
    assert_eq!(
        send(&sim, "DELETE", "/sim/calls", &[], "".into())
            .await
            .status,
        200
    );
    assert!(sim.calls().is_empty());
    assert_eq!(
        send(&sim, "GET", "/sim/teapot", &[], "".into())
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn every_answer_is_marked_as_simulated() {
    let sim = Sim::default();
    for (uri, fields) in [
        ("/v1/models", OPENAI),
        ("/v1/models", ANTHROPIC),
        ("/v1beta/models", GEMINI),
        ("/sim/calls", &[]),
        ("/nothing", &[]),
    ] {
        assert_eq!(
            send(&sim, "GET", uri, fields, "".into())
                .await
                .field("x-trunkline-simulated"),
            "true",
            "{uri}"
        );
    }
}
