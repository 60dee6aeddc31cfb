//! Hugging Face's router, by its published schema and in the words of the hosts behind it.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{Answer, OPENAI, send, with};

const CHAT: &str = "/huggingface/v1/chat/completions";
const FEATURES: &str = "/huggingface/hf-inference/models/sentence-transformers/all-MiniLM-L6-v2/pipeline/feature-extraction";

fn plain() -> Value {
    json!({"model": "meta-llama/Llama-3.3-70B-Instruct:fastest", "messages": [{"role": "user", "content": "Hello there"}]})
}

async fn ask(sim: &Sim, uri: &str, body: &Value) -> Answer {
    send(sim, "POST", uri, OPENAI, body.to_string().into()).await
}

#[tokio::test]
async fn what_does_not_fit_the_schema_is_refused_in_the_words_of_whoever_reads_it() {
    let sim = Sim::default();
    let messages = |message: &Value| json!({"messages": [message]});
    let developer = json!({"role": "developer", "content": "x"});
    let document =
        json!({"role": "user", "content": [{"type": "file", "file": {"file_data": "x"}}]});
    for (changes, status, says) in [
        (
            json!({"store": false}),
            400,
            "property 'store' is unsupported",
        ),
        (json!({"max_completion_tokens": 5}), 400, "is unsupported"),
        (json!({"stop": "x"}), 422, "stop: expected a sequence"),
        (json!({"logit_bias": {"1": 2}}), 422, "logit_bias"),
        (json!({"seed": -1}), 422, "seed"),
        (json!({"tool_choice": "any"}), 422, "tool_choice"),
        (messages(&developer), 422, "Unexpected message role"),
        (messages(&document), 400, "unknown variant `file`"),
        (
            json!({"model": "gpt"}),
            400,
            "not supported by any provider",
        ),
    ] {
        let answer = ask(&sim, CHAT, &with(&plain(), &changes)).await;
        assert_eq!(answer.status, status, "{changes}: {}", answer.text());
        assert!(answer.text().contains(says), "{changes}: {}", answer.text());
    }
    let unknown = send(&sim, "POST", CHAT, &[], plain().to_string().into()).await;
    assert_eq!(unknown.status, 401);
    assert_eq!(
        unknown.json(),
        json!({"error": "Invalid username or password."})
    );
}

#[tokio::test]
async fn what_fits_is_answered_and_a_model_that_thinks_shows_it() {
    let sim = Sim::default();
    for changes in [
        json!({"stop": ["x"], "seed": 7, "tool_prompt": "y", "logit_bias": [0.5], "user": "u"}),
        json!({"max_tokens": 40, "reasoning_effort": "low", "tool_choice": "none", "tools": [
            {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]}),
    ] {
        let answer = ask(&sim, CHAT, &with(&plain(), &changes)).await;
        assert_eq!(answer.status, 200, "{changes}: {}", answer.text());
    }
    let thinker = json!({"model": "deepseek-ai/DeepSeek-R1"});
    let message = &ask(&sim, CHAT, &with(&plain(), &thinker)).await.json()["choices"][0]["message"];
    assert!(message["reasoning_content"].is_string(), "{message}");
    let listed = send(&sim, "GET", "/huggingface/v1/models", OPENAI, "".into()).await;
    assert_eq!(listed.json()["data"][1]["providers"][0]["status"], "live");
}

#[tokio::test]
async fn vectors_come_bare_one_for_each_text() {
    let sim = Sim::default();
    let vectors = ask(
        &sim,
        FEATURES,
        &json!({"inputs": ["x", "y"], "truncate": true}),
    )
    .await
    .json();
    assert_eq!(vectors.as_array().map(Vec::len), Some(2));
    assert_eq!(vectors[0].as_array().map(Vec::len), Some(384));
    for (body, says) in [
        (json!({"input": "x"}), "unknown field `input`"),
        (json!({"inputs": []}), "cannot be empty"),
        (json!({"inputs": [[1, 2]]}), "must be texts"),
        (
            json!({"inputs": vec!["x"; 33]}),
            "maximum allowed batch size 32",
        ),
    ] {
        let refused = ask(&sim, FEATURES, &body).await;
        assert_eq!(refused.status, 422, "{body}");
        assert!(refused.text().contains(says), "{body}: {}", refused.text());
    }
}
