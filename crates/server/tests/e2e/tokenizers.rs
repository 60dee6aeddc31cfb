//! Tokens of open models are counted by the tokenizer that the operator brought along.

use serde_json::json;

use crate::bench::process::Installation;
use crate::bench::providers;
use crate::bench::scripted::Scripted;

/// A tokenizer of which every word is a token.
const WORDS: &str = r#"{
    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}
}"#;

/// What OpenAI's tokenizer cuts into many more pieces than there are words.
const SAYING: &str =
    "Donaudampfschifffahrtsgesellschaft Rindfleischetikettierung Straßenbahnhaltestelle";

#[tokio::test]
async fn an_open_model_is_counted_by_its_own_tokenizer_whoever_asks() {
    let provider = Scripted::answering(Vec::new()).await;
    let installation = Installation::new("");
    let file = installation.path("words.json");
    std::fs::write(&file, WORDS).unwrap();
    let configuration = providers(provider.address);
    let entry = format!("{{ models: ['*llama*'], file: '{}' }}", file.display());
    installation.configure(&format!("{configuration}tokenizers: [{entry}]\n"));
    let trunkline = installation.start().await;
    let count = async |model: &str| {
        let messages = json!({
            "model": model, "messages": [{ "role": "user", "content": SAYING }]
        });
        let contents = json!({ "contents": [{ "parts": [{ "text": SAYING }] }] });
        let app = trunkline.app();
        let anthropic = app
            .post("/v1/messages/count_tokens", &messages)
            .await
            .json();
        let path = format!("/v1beta/models/{model}:countTokens");
        let google = app.post(&path, &contents).await.json();
        assert_eq!(anthropic["estimated"], true, "{anthropic}");
        assert_eq!(google["totalTokens"], anthropic["input_tokens"], "{google}");
        anthropic["input_tokens"].as_u64().unwrap()
    };
    // Three words, beside what surrounds a message and begins an answer.
    assert_eq!(count("openai/Llama-3-8B").await, 3 + 7);
    assert!(count("openai/qwen3").await > 20);
}

#[tokio::test]
async fn a_tokenizer_that_is_not_there_is_named_at_the_start() {
    let installation = Installation::new("tokenizers: [{ models: ['*'], file: absent.json }]\n");
    let output = installation
        .run(&["serve", "--listen", "127.0.0.1:0"])
        .await;
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("absent.json cannot be read"), "{told}");
}
