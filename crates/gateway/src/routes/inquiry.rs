//! Requests for tests of routing: what a test does not say has a sensible default.

use domain::call::Operation;
use domain::caller::Caller;
use domain::key::Rate;
use domain::name::ModelName;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::hash::StableHash;
use super::question::{Question, Read};
use crate::testing::caller;

pub(crate) struct Inquiry {
    pub(crate) caller: Caller,
    pub(crate) model: ModelName,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) streamed: bool,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) now: Timestamp,
    pub(crate) seed: StableHash,
}

impl Default for Inquiry {
    fn default() -> Self {
        Self {
            caller: caller(Rate::default(), None),
            model: "fast".parse().unwrap(),
            headers: HeaderMap::new(),
            body: b"{}".to_vec(),
            streamed: false,
            max_output_tokens: None,
            now: "2026-11-21T15:30:00Z".parse().unwrap(),
            seed: StableHash::EMPTY,
        }
    }
}

impl Inquiry {
    pub(crate) fn with_body(body: &Value) -> Self {
        Self {
            body: body.to_string().into_bytes(),
            ..Self::default()
        }
    }

    /// A chat of `words` words by a user.
    pub(crate) fn by(user: &str, words: usize) -> Self {
        let text = "word ".repeat(words);
        Self::with_body(&json!({ "user": user, "messages": [{ "role": "user", "content": text }] }))
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub(crate) fn seeded(mut self, number: u64) -> Self {
        self.seed = StableHash::EMPTY.and_number(number);
        self
    }

    pub(crate) fn question(&self) -> Question<'_> {
        Question {
            caller: &self.caller,
            model: &self.model,
            operation: Operation::Chat,
            headers: &self.headers,
            body: &self.body,
            streamed: self.streamed,
            messages: 1,
            max_output_tokens: self.max_output_tokens,
            now: self.now,
            seed: self.seed,
            read: Read::default(),
        }
    }
}
