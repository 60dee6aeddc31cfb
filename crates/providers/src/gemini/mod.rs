//! Gemini's `generateContent` and `streamGenerateContent` (<https://ai.google.dev/api/generate-content>).
//!
//! The caller's side is in `face`, with its URLs in [`path`]; `count` is for both. The target's side, in suggested reading order:
//! `encode`, which puts a request together from `contents` (with `results` and
//! `media`), `tools`, `config` and `thinking`; then `decode` with `choice`, `stream`, `usage` and `error`.
//! `model` is the one place where a model's name is read.

mod choice;
mod citations;
mod config;
mod contents;
pub(crate) mod count;
mod decode;
mod encode;
mod error;
mod face;
#[cfg(test)]
mod fuzz;
mod logprobs;
mod media;
mod model;
mod objects;
pub mod path;
mod results;
mod schema;
mod stream;
mod thinking;
mod tools;
mod usage;
mod wire;

pub(crate) use self::count::ContentCounter;
pub use self::count::CountTokens;
pub(crate) use self::encode::Service;
pub use self::face::GeminiArray;

use bytes::Bytes;
use domain::chat::{ChatRequest, ChatResponse};
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::response::Parts;
use jiff::Timestamp;

use crate::credential::{self, Credential};
use crate::dialect::{DecodeError, Dialect, Encoded, Format, Refusal, StreamDecoder, Target};
use crate::exchange::Exchange;

/// The format's name in the domain's `Unknown` and `Hosted` items.
const FORMAT: &str = Format::Gemini.as_str();

/// The Gemini format, of callers and of targets. The key of a target goes into the `x-goog-api-key` field, never into the
/// URL.
///
/// Beyond the vendor's own fields, answers show what only other formats know: the provider's own word for
/// the end in `nativeFinishReason`, the text that stopped it in `stopSequence`, blocks that have no part in
/// `providerContent`, and a report, where the caller asked for one, in `trunkline`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gemini;

impl Dialect for Gemini {
    fn format(&self) -> Format {
        Format::Gemini
    }

    fn media_needed(&self, request: &ChatRequest, target: &Target<'_>) -> Vec<String> {
        media::needed(request, target.base_url)
    }

    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        _now: Timestamp,
    ) -> Result<Encoded, Refusal> {
        encode_for(Service::GeminiApi, request, target)
    }

    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Refusal> {
        let (verb, accept) = if stream {
            ("streamGenerateContent?alt=sse", "text/event-stream")
        } else {
            ("generateContent", "application/json")
        };
        let model = model_path(target.model)?;
        let url = format!("{}/v1beta/{model}:{verb}", target.base_url);
        let mut request = http::Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, accept)
            .body(body)
            .map_err(|error| {
                Refusal::of("model", format!("the request's URL is not valid: {error}"))
            })?;
        request.headers_mut().extend(fields.clone());
        Ok(request)
    }

    fn decode(
        &self,
        exchange: &Exchange,
        head: &Parts,
        body: &[u8],
    ) -> Result<ChatResponse, DecodeError> {
        decode::response(exchange, head, body)
    }

    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        error::of_response(head, body, now)
    }

    fn decoder(&self, exchange: &Exchange) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(exchange))
    }

    fn usage(&self, native: &[u8]) -> Result<Usage, DecodeError> {
        usage::extract(native)?
            .ok_or_else(|| DecodeError::Malformed("the usage does not say what went in".to_owned()))
    }
}

/// The model's path: `models/…`, or as it is where the name says what kind it is. The name comes from a
/// caller, so nothing in it may lead to another path of the provider.
pub(crate) fn model_path(model: &str) -> Result<String, Refusal> {
    let (kind, name) = ["models", "tunedModels"]
        .into_iter()
        .find_map(|kind| Some((kind, model.strip_prefix(kind)?.strip_prefix('/')?)))
        .unwrap_or(("models", model));
    if name.is_empty()
        || name
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
    {
        return Err(Refusal::of(
            "model",
            format!("{model:?} is not the name of a Gemini model"),
        ));
    }
    let mut path = format!("{kind}/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'@') {
            path.push(char::from(byte));
        } else {
            path.extend(['%', hexadecimal(byte >> 4), hexadecimal(byte & 0xF)]);
        }
    }
    Ok(path)
}

fn hexadecimal(half: u8) -> char {
    char::from_digit(u32::from(half), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

/// Translates a request for one of the services that speak the format.
pub(crate) fn encode_for(
    service: Service,
    request: &ChatRequest,
    target: &Target<'_>,
) -> Result<Encoded, Refusal> {
    let body = encode::body(request, target, service)?;
    Ok(Encoded {
        body: body.json.into(),
        fields: body.fields,
        report: body.report,
        exchange: body.exchange,
    })
}

/// Writes the credential into the `x-goog-api-key` field, never into the URL.
pub(crate) fn authorize(
    request: &mut http::Request<Bytes>,
    credential: &Credential,
) -> Result<(), Refusal> {
    let Credential::ApiKey(api_key) = credential else {
        return Err(credential::wrong_kind("The Gemini API", "an API key"));
    };
    let value = credential::field("", api_key)?;
    request.headers_mut().insert("x-goog-api-key", value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::{Asked, Face};
    use crate::host::Host;
    use crate::openai::OpenaiChat;
    use domain::model::Capabilities;

    static HOST: Host = Host::NONE;

    fn target<'a>(model: &'a str, capabilities: &'a Capabilities) -> Target<'a> {
        Target {
            model,
            base_url: "https://generativelanguage.googleapis.com",
            capabilities,
            host: &HOST,
        }
    }

    fn path_and_query(model: &str) -> Result<String, Refusal> {
        let capabilities = Capabilities::default();
        let request = Gemini.request(
            &target(model, &capabilities),
            false,
            &HeaderMap::new(),
            Bytes::new(),
        )?;
        Ok(request.uri().path_and_query().unwrap().to_string())
    }

    #[test]
    fn a_model_name_stays_within_the_models() {
        for (model, path) in [
            ("gemini-2.5-pro", "models/gemini-2.5-pro"),
            ("models/gemini-2.5-pro", "models/gemini-2.5-pro"),
            ("tunedModels/mine", "tunedModels/mine"),
            ("a?b=c#d e:f%2e", "models/a%3Fb%3Dc%23d%20e%3Af%252e"),
        ] {
            assert_eq!(
                path_and_query(model).unwrap(),
                format!("/v1beta/{path}:generateContent")
            );
        }
        for model in ["", "..", "../files/x", "models/", "a//b", "./a"] {
            let refusal = path_and_query(model).unwrap_err();
            assert_eq!(refusal.param.as_deref(), Some("model"), "{model}");
        }
    }

    #[test]
    fn only_what_google_cannot_read_is_fetched_and_only_once() {
        let body = br#"{"model": "m", "messages": [
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                {"type": "image_url", "image_url": {"url": "gs://bucket/b.png"}}
            ]},
            {"role": "tool", "tool_call_id": "x", "content": [
                {"type": "image_url", "image_url": {"url": "https://example.com/c.png"}}
            ]}
        ]}"#;
        let request = OpenaiChat.parse(&Asked::default(), body).unwrap();
        let capabilities = Capabilities::default();
        assert_eq!(
            Gemini.media_needed(&request, &target("m", &capabilities)),
            ["https://example.com/a.png", "https://example.com/c.png"]
        );
    }

    #[test]
    fn a_native_usage_object_must_say_what_went_in() {
        let usage = Gemini.usage(br#"{"promptTokenCount": 3, "candidatesTokenCount": 4}"#);
        assert_eq!(usage, Ok(Usage::text(3, 4)));
        assert!(Gemini.usage(b"{}").is_err());
    }
}
