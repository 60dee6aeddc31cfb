//! What the tests stand on: the process under test, its callers, and the providers behind it.

pub(crate) mod client;
pub(crate) mod directory;
pub(crate) mod fleet;
pub(crate) mod gate;
pub(crate) mod limited;
pub(crate) mod line;
pub(crate) mod postgres;
pub(crate) mod postgres_tls;
pub(crate) mod process;
#[path = "../../../../fleet/tests/state/server.rs"]
pub(crate) mod redis;
pub(crate) mod relay;
pub(crate) mod scripted;
pub(crate) mod simulated;
pub(crate) mod wait;

use std::net::SocketAddr;

use serde_json::{Value, json};

/// The text of the key that [`providers`] configures for an application.
pub(crate) const APP_KEY: &str = "the-key-of-an-application";

/// A configuration with one provider of each format, all at `address`, and one key. Tests append to it.
pub(crate) fn providers(address: SocketAddr) -> String {
    format!(
        "providers:
  openai: {{ kind: openai, base_url: 'http://{address}/v1', api_key: sk-openai, allow_private_address: true }}
  anthropic: {{ kind: anthropic, base_url: 'http://{address}', api_key: sk-ant, allow_private_address: true }}
  google: {{ kind: gemini, base_url: 'http://{address}', api_key: google-key, allow_private_address: true }}
keys:
  - {{ name: app, key: {APP_KEY} }}
"
    )
}

/// A model of each provider that [`providers`] configures: one for each format.
pub(crate) const EVERY_FORMAT: [&str; 3] = ["openai/gpt", "anthropic/claude", "google/gemini"];

/// A request that says `words` to `model` and wants a whole answer.
pub(crate) fn ask(model: &str, words: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": words }] })
}

/// A request that says `words` to `model` and wants a stream.
pub(crate) fn ask_streamed(model: &str, words: &str) -> Value {
    let mut request = ask(model, words);
    request["stream"] = true.into();
    request
}
