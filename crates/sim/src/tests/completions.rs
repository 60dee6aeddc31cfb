//! OpenAI's legacy completions.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{Answer, assert_says, cases, post, with};

fn plain() -> Value {
    json!({"model": "gpt-3.5-turbo-instruct", "prompt": "Say it", "max_tokens": 100})
}

async fn ask(sim: &Sim, body: &Value) -> Answer {
    post(sim, "/v1/completions", body).await
}

#[tokio::test]
async fn what_openai_refuses_is_refused_in_its_words() {
    let sim = Sim::default();
    for case in cases(include_str!("refused/completions.jsonl")) {
        let answer = ask(&sim, &with(&plain(), &case["changes"])).await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status, case["status"], "{case}: {error}");
        assert_says(&error["message"], &case);
        assert_eq!(error["param"], case["param"], "{case}: {error}");
    }
}

#[tokio::test]
async fn an_answer_is_short_unless_more_is_asked_for() {
    let sim = Sim::default();
    let body = ask(&sim, &with(&plain(), &json!({"max_tokens": null})))
        .await
        .json();
    assert_eq!(body["object"], "text_completion");
    assert!(body["id"].as_str().unwrap().starts_with("cmpl-"));
    assert_eq!(body["usage"]["completion_tokens"], 16);
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    let whole = ask(&sim, &plain()).await.json();
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    assert_eq!(whole["usage"]["prompt_tokens"], 2);
}

#[tokio::test]
async fn several_prompts_give_several_choices_each_with_its_own_echo() {
    let request = with(
        &plain(),
        &json!({"prompt": ["One", "Two"], "n": 2, "best_of": 2, "echo": true}),
    );
    let body = ask(&Sim::default(), &request).await.json();
    let choices = body["choices"].as_array().unwrap();
    let begins: Vec<&str> = choices
        .iter()
        .map(|choice| choice["text"].as_str().unwrap().split_at(3).0)
        .collect();
    assert_eq!(begins, ["One", "One", "Two", "Two"]);
    assert!(
        choices
            .iter()
            .enumerate()
            .all(|(index, choice)| choice["index"] == index)
    );
}

#[tokio::test]
async fn tokens_are_taken_for_text_and_told_one_by_one() {
    let request = with(
        &plain(),
        &json!({"prompt": [[1, 2, 3], [4]], "logprobs": 1}),
    );
    let body = ask(&Sim::default(), &request).await.json();
    assert_eq!(body["usage"]["prompt_tokens"], 4);
    let choice = &body["choices"][0];
    let tokens = choice["logprobs"]["tokens"].as_array().unwrap();
    let joined: String = tokens.iter().map(|token| token.as_str().unwrap()).collect();
    assert_eq!(joined, choice["text"].as_str().unwrap());
    for key in ["token_logprobs", "top_logprobs", "text_offset"] {
        assert_eq!(
            choice["logprobs"][key].as_array().unwrap().len(),
            tokens.len()
        );
    }
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let sim = Sim::default();
    let request = with(&plain(), &json!({"n": 2}));
    let whole = ask(&sim, &request).await.json();
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let streamed = ask(&sim, &with(&request, &options)).await;
    assert_eq!(streamed.data().last().map(String::as_str), Some("[DONE]"));
    let events = streamed.events();
    let (usage, chunks) = events.split_last().unwrap();
    assert_eq!(
        (&usage["choices"], &usage["usage"]),
        (&json!([]), &whole["usage"])
    );
    for choice in whole["choices"].as_array().unwrap() {
        let parts = chunks.iter().map(|chunk| &chunk["choices"][0]);
        let own: Vec<&Value> = parts
            .filter(|part| part["index"] == choice["index"])
            .collect();
        let said: String = own
            .iter()
            .map(|part| part["text"].as_str().unwrap())
            .collect();
        assert_eq!(said, choice["text"].as_str().unwrap());
        assert_eq!(
            own.last().unwrap()["finish_reason"],
            choice["finish_reason"]
        );
    }
}

#[tokio::test]
async fn a_model_that_completes_does_not_chat() {
    let body = json!({"model": "davinci-002", "messages": [{"role": "user", "content": "x"}]});
    let answer = post(&Sim::default(), "/v1/chat/completions", &body).await;
    let error = &answer.json()["error"];
    assert_eq!(answer.status, 404);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("This is not a chat model")
    );
}
