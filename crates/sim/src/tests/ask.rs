//! Short ways to ask the simulated provider and to read what it answers.

use crate::{Sim, SimCut};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::Value;

/// An answer read to its end, or to the place where the connection broke.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) cut: Option<SimCut>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.pieces.concat()).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text())
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The data of every event, `[DONE]` included.
    pub(crate) fn data(&self) -> Vec<String> {
        self.text()
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| data.trim().to_owned())
            .collect()
    }

    /// The events that are JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.data()
            .iter()
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect()
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request and reads the answer.
pub(crate) async fn send(
    sim: &Sim,
    method: &str,
    uri: &str,
    fields: Fields<'_>,
    body: Bytes,
) -> Answer {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (head, mut body) = sim.respond(request.body(body).unwrap()).await.into_parts();
    let mut answer = Answer {
        status: head.status.as_u16(),
        fields: head.headers,
        pieces: Vec::new(),
        cut: None,
    };
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => answer.pieces.push(frame.into_data().unwrap()),
            Err(cut) => {
                answer.cut = Some(cut);
                break;
            }
        }
    }
    answer
}

/// Header fields of a request.
pub(crate) type Fields<'a> = &'a [(&'a str, &'a str)];

pub(crate) const OPENAI: Fields<'_> = &[("authorization", "Bearer sk-test")];
pub(crate) const ANTHROPIC: Fields<'_> = &[
    ("x-api-key", "sk-test"),
    ("anthropic-version", "2023-06-01"),
];
pub(crate) const AZURE: Fields<'_> = &[("api-key", "sk-test")];
pub(crate) const GEMINI: Fields<'_> = &[("x-goog-api-key", "sk-test")];

pub(crate) async fn openai(sim: &Sim, body: &Value) -> Answer {
    send(
        sim,
        "POST",
        "/v1/chat/completions",
        OPENAI,
        body.to_string().into(),
    )
    .await
}

pub(crate) async fn anthropic(sim: &Sim, body: &Value) -> Answer {
    send(
        sim,
        "POST",
        "/v1/messages",
        ANTHROPIC,
        body.to_string().into(),
    )
    .await
}

pub(crate) async fn gemini(sim: &Sim, model: &str, body: &Value) -> Answer {
    send(
        sim,
        "POST",
        &format!("/v1beta/models/{model}:generateContent"),
        GEMINI,
        body.to_string().into(),
    )
    .await
}

pub(crate) async fn gemini_stream(sim: &Sim, model: &str, body: &Value) -> Answer {
    send(
        sim,
        "POST",
        &format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        GEMINI,
        body.to_string().into(),
    )
    .await
}

/// `base` with the members of `changes` over it; a `null` takes a member away.
pub(crate) fn with(base: &Value, changes: &Value) -> Value {
    let mut merged = base.clone();
    for (key, value) in changes.as_object().unwrap() {
        if value.is_null() {
            merged.as_object_mut().unwrap().shift_remove(key);
        } else {
            merged[key] = value.clone();
        }
    }
    merged
}

/// The cases of a table, one JSON object a line.
pub(crate) fn cases(table: &str) -> impl Iterator<Item = Value> {
    table
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

/// A refusal contains the sentence that its case expects.
#[track_caller]
pub(crate) fn assert_says(message: &Value, case: &Value) {
    let expected = case["says"].as_str().unwrap();
    assert!(
        message.as_str().is_some_and(|said| said.contains(expected)),
        "{case}: {message}"
    );
}

/// Asks with a bearer token, which OpenAI, Cohere and Bedrock take as it is.
pub(crate) async fn post(sim: &Sim, uri: &str, body: &Value) -> Answer {
    send(sim, "POST", uri, OPENAI, body.to_string().into()).await
}

/// A token that Vertex AI takes.
pub(crate) async fn google_token(sim: &Sim) -> String {
    let uri = "/computeMetadata/v1/instance/service-accounts/default/token";
    let answer = send(sim, "GET", uri, &[("metadata-flavor", "Google")], "".into()).await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// The messages of a binary stream, each with its headers, with every checksum checked.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<(Vec<(String, String)>, Value)> {
    let number = |bytes: &[u8], at: usize| {
        u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    };
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let (length, head_length) = (number(bytes, 0), number(bytes, 4));
        let (message, rest) = bytes.split_at(length);
        assert_eq!(number(message, 8), crc32fast::hash(&message[..8]) as usize);
        let end = length - 4;
        assert_eq!(
            number(message, end),
            crc32fast::hash(&message[..end]) as usize
        );
        let mut head = &message[12..12 + head_length];
        let mut headers = Vec::new();
        while let Some((name_length, after)) = head.split_first() {
            let (name, after) = after.split_at(usize::from(*name_length));
            assert_eq!(after[0], 7, "headers are texts");
            let length = usize::from(u16::from_be_bytes([after[1], after[2]]));
            let (value, after) = after[3..].split_at(length);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            headers.push((text(name), text(value)));
            head = after;
        }
        let payload = serde_json::from_slice(&message[12 + head_length..end]).unwrap();
        messages.push((headers, payload));
        bytes = rest;
    }
    messages
}

/// The events of a binary stream by their names; those of a model's own format as they are inside.
pub(crate) fn named_messages(bytes: &[u8]) -> Vec<(String, Value)> {
    messages(bytes)
        .into_iter()
        .map(|(headers, payload)| {
            let get = |name: &str| {
                headers
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.clone())
            };
            let name = get(":event-type")
                .or_else(|| get(":exception-type"))
                .unwrap();
            if name != "chunk" {
                return (name, payload);
            }
            let inner = crate::media::decode_standard(payload["bytes"].as_str().unwrap()).unwrap();
            let inner: Value = serde_json::from_slice(&inner).unwrap();
            (inner["type"].as_str().unwrap().to_owned(), inner)
        })
        .collect()
}
