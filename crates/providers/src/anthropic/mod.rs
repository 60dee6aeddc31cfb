//! Anthropic's Messages format.
//! <https://platform.claude.com/docs/en/api/messages>
//!
//! Suggested reading order: [`AnthropicMessages`]; `encode` (the request) with one file for each of its
//! parts: `messages` (with `conversation`, `media` and `call_ids`), `tools`, `output` (with `schema`), `reasoning`,
//! `sampling` and `cache`; `decode` and `stream` (the answer); `usage` and `error`. What is true of some
//! models only is in `model`, and of some hosts only in [`betas`]. The caller's side is `face`, and [`CountTokens`].

pub mod betas;
mod cache;
pub(crate) mod call_ids;
mod citation;
mod conversation;
pub(crate) mod count;
mod decode;
mod encode;
mod error;
mod face;
#[cfg(test)]
mod fuzz;
pub(crate) mod media;
pub(crate) mod messages;
pub(crate) mod model;
pub(crate) mod output;
pub(crate) mod reasoning;
pub(crate) mod sampling;
pub(crate) mod schema;
mod stream;
pub(crate) mod tools;
mod usage;
pub(crate) mod wire;

use bytes::Bytes;
use domain::chat::{ChatRequest, ChatResponse, Part};
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::response::Parts;
use jiff::Timestamp;

use crate::credential::{self, Credential};
use crate::dialect::{DecodeError, Dialect, Encoded, Format, Refusal, StreamDecoder, Target};
use crate::exchange::Exchange;
use crate::outgoing;
pub use count::CountTokens;
pub(crate) use count::MessageCounter;
pub(crate) use model::has_short_tokens;
use usage::NativeUsage;

/// The format's name in the domain's `Unknown` and `Hosted` items.
const FORMAT: &str = Format::AnthropicMessages.as_str();

/// The field that says the version of the API.
pub(crate) const VERSION_FIELD: &str = "anthropic-version";

/// The version that current clients send.
const VERSION: &str = "2026-10-21";

/// The version before it, the last that knows `temperature`, `top_p` and `top_k`: the current one
/// answers 400 when they are there. It is sent when they are, so that a caller's sampling reaches the
/// models that still take it. Otherwise the two versions differ in nothing that a translation writes.
/// <https://platform.claude.com/docs/en/api/versioning>
pub(crate) const VERSION_WITH_SAMPLING: &str = "2023-06-01";

/// The version for a request with or without such fields.
fn version(samples: bool) -> HeaderValue {
    HeaderValue::from_static(if samples {
        VERSION_WITH_SAMPLING
    } else {
        VERSION
    })
}

/// The target's side of Anthropic's Messages format: `POST {base_url}/v1/messages`, authenticated by
/// `x-api-key`, which takes precedence where a host also knows `Authorization: Bearer`.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnthropicMessages;

impl Dialect for AnthropicMessages {
    fn format(&self) -> Format {
        Format::AnthropicMessages
    }

    /// Anthropic fetches images and PDF documents from `https` URLs itself; others must be inlined.
    fn media_needed(&self, request: &ChatRequest, _target: &Target<'_>) -> Vec<String> {
        outgoing::urls(request, |part, url| {
            matches!(part, Part::Image(_) | Part::Document(_)) && !media::is_fetchable(url)
        })
    }

    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        _now: Timestamp,
    ) -> Result<Encoded, Refusal> {
        let body = encode::body(request, target)?;
        let mut fields = HeaderMap::new();
        fields.insert(VERSION_FIELD, version(body.samples));
        if let Some(betas) = body.betas {
            fields.insert("anthropic-beta", betas);
        }
        Ok(Encoded {
            body: body.json,
            fields,
            report: body.report,
            exchange: body.exchange,
        })
    }

    fn request(
        &self,
        target: &Target<'_>,
        _stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Refusal> {
        let mut fields = fields.clone();
        // What was translated says its version; of what passes untouched, the body tells.
        if !fields.contains_key(VERSION_FIELD) {
            let sampling = serde_json::from_slice::<wire::SamplingFields>(&body);
            let samples = sampling.is_ok_and(|fields| fields.any());
            fields.insert(VERSION_FIELD, version(samples));
        }
        let mut request = http::Request::post(format!("{}/v1/messages", target.base_url))
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| Refusal {
                detail: format!("The provider's base URL is not usable: {error}."),
                param: None,
            })?;
        request.headers_mut().extend(fields);
        Ok(request)
    }

    fn decode(
        &self,
        exchange: &Exchange,
        _head: &Parts,
        body: &[u8],
    ) -> Result<ChatResponse, DecodeError> {
        decode::response(exchange, body)
    }

    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        error::decode(head, body, now)
    }

    fn decoder(&self, exchange: &Exchange) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(exchange.clone()))
    }

    fn usage(&self, native: &[u8]) -> Result<Usage, DecodeError> {
        NativeUsage::parse(native)?
            .meters()?
            .ok_or_else(|| DecodeError::Malformed("the usage counts no tokens".to_owned()))
    }
}

/// Writes the credential into `x-api-key`, which takes precedence where a host also knows a bearer token.
pub(crate) fn authorize(
    request: &mut http::Request<Bytes>,
    credential: &Credential,
) -> Result<(), Refusal> {
    let Credential::ApiKey(api_key) = credential else {
        return Err(credential::wrong_kind("Anthropic", "an API key"));
    };
    let value = credential::field("", api_key)?;
    request.headers_mut().insert("x-api-key", value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::chat::{Media, Message, Source};
    use domain::model::Capabilities;

    use super::*;
    use crate::host::Host;

    static HOST: Host = Host::NONE;

    fn target(capabilities: &Capabilities) -> Target<'_> {
        Target {
            model: "claude-sonnet-4-5",
            base_url: "https://api.anthropic.com",
            capabilities,
            host: &HOST,
        }
    }

    fn version_of(body: &'static str) -> String {
        let capabilities = Capabilities::default();
        let request = AnthropicMessages
            .request(
                &target(&capabilities),
                false,
                &HeaderMap::new(),
                Bytes::from(body),
            )
            .unwrap();
        let version = request.headers().get("anthropic-version").unwrap();
        version.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_body_that_passes_untouched_gets_the_version_that_takes_it() {
        assert_eq!(
            version_of(r#"{"model":"m","top_k":5}"#),
            VERSION_WITH_SAMPLING
        );
        assert_eq!(version_of(r#"{"model":"m","max_tokens":5}"#), VERSION);
        assert_eq!(version_of(r#"{"metadata":{"temperature":1}}"#), VERSION);
    }

    #[test]
    fn only_urls_that_the_provider_does_not_fetch_are_named_and_once() {
        let image = |url: &str| {
            Part::Image(Media {
                source: Source::Url {
                    url: url.to_owned(),
                    media_type: None,
                },
                name: None,
                detail: None,
                cache: None,
            })
        };
        let mut request = ChatRequest::new("claude".parse().unwrap());
        request.messages.push(Message::User {
            content: vec![
                image("https://example.com/a.png"),
                image("http://example.com/b.png"),
                image("http://example.com/b.png"),
            ],
            name: None,
        });
        let capabilities = Capabilities::default();
        assert_eq!(
            AnthropicMessages.media_needed(&request, &target(&capabilities)),
            ["http://example.com/b.png"]
        );
    }
}
