//! Cohere's chat, version 2 (<https://docs.cohere.com/reference/chat>).
//!
//! The target's side is [`Dialect`] below: `encode` puts a request together from `messages` (with `media`),
//! `tools` and `sampling`; `decode`, `stream` and `error` read the answer, with `billing`, `citation` and `logprobs`.
//! The caller's side is `face`: `parse` with `parse_message` for requests, `render`, and `encoder` with
//! `events`, for answers, `relay` for streams that pass.

pub(crate) mod billing;
mod citation;
mod decode;
mod encode;
mod encoder;
pub(crate) mod error;
mod events;
mod face;
#[cfg(test)]
mod fuzz;
mod logprobs;
mod media;
mod messages;
mod parse;
mod parse_message;
mod relay;
pub(crate) mod render;
mod sampling;
mod stream;
mod tools;
mod wire;

use bytes::Bytes;
use domain::chat::{ChatRequest, ChatResponse, Part};
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use http::header::AUTHORIZATION;
use http::response::Parts;
use http::{HeaderMap, Request};
use jiff::Timestamp;

use crate::credential::{self, Credential};
use crate::dialect::{DecodeError, Dialect, Encoded, Format, Refusal, StreamDecoder, Target};
use crate::exchange::Exchange;
use crate::outgoing;

/// The format's name in the domain's `Unknown` and `Hosted` items.
const FORMAT: &str = Format::CohereChat.as_str();

/// Cohere's chat, of callers and of targets: `POST {base_url}/v2/chat`.
///
/// What the model says before it calls tools is Cohere's `tool_plan` and the domain's text. Beyond the
/// vendor's own fields, answers to callers show:
/// - another provider's signature over thoughts in the block's `signature`, thoughts that are only shown
///   sealed in `redacted`, and Gemini's signatures in `extra_content.google.thought_signature`;
/// - the provider's own word for the end in `native_finish_reason`;
/// - in `provider_content`, blocks that only the provider's format knows;
/// - a report, where the caller asked for one, in `trunkline`.
#[derive(Debug, Clone, Copy, Default)]
pub struct CohereChat;

impl Dialect for CohereChat {
    fn format(&self) -> Format {
        Format::CohereChat
    }

    /// Cohere fetches pictures itself; documents must be there as text.
    fn media_needed(&self, request: &ChatRequest, _: &Target<'_>) -> Vec<String> {
        outgoing::urls(request, |part, _| matches!(part, Part::Document(_)))
    }

    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        _: Timestamp,
    ) -> Result<Encoded, Refusal> {
        let body = encode::body(request, target)?;
        Ok(Encoded {
            body: body.json,
            fields: HeaderMap::new(),
            report: body.report,
            exchange: body.exchange,
        })
    }

    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<Request<Bytes>, Refusal> {
        let url = format!("{}/v2/chat", target.base_url);
        outgoing::post_chat(&url, stream, fields, body)
    }

    fn decode(
        &self,
        exchange: &Exchange,
        _: &Parts,
        body: &[u8],
    ) -> Result<ChatResponse, DecodeError> {
        decode::response(exchange, body)
    }

    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        error::of_response(head, body, now)
    }

    fn decoder(&self, exchange: &Exchange) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(exchange.clone()))
    }

    fn usage(&self, native: &[u8]) -> Result<Usage, DecodeError> {
        billing::read(native)?
            .ok_or_else(|| DecodeError::Malformed("the usage counts nothing".to_owned()))
    }
}

/// Writes the credential as a bearer token.
pub(crate) fn authorize(
    request: &mut Request<Bytes>,
    credential: &Credential,
) -> Result<(), Refusal> {
    let (Credential::ApiKey(secret) | Credential::Token(secret)) = credential else {
        return Err(credential::wrong_kind("Cohere", "an API key"));
    };
    let value = credential::field("Bearer ", secret)?;
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::chat::{Media, Message, Source};
    use domain::secret::Secret;

    use super::*;

    #[test]
    fn the_key_goes_into_a_bearer_token() {
        let mut request = Request::new(Bytes::new());
        let key = Credential::ApiKey(Secret::new("co-1".to_owned()));
        authorize(&mut request, &key).unwrap();
        let field = request.headers().get(AUTHORIZATION).unwrap();
        assert_eq!(field, "Bearer co-1");
        assert!(field.is_sensitive());
    }

    #[test]
    fn documents_on_the_web_are_fetched_first_and_pictures_are_not() {
        let media = |url: &str| Media {
            source: Source::Url {
                url: url.to_owned(),
                media_type: None,
            },
            name: None,
            detail: None,
            cache: None,
        };
        let mut request = ChatRequest::new("m".parse().unwrap());
        request.messages.push(Message::User {
            content: vec![
                Part::Image(media("https://example.com/a.png")),
                Part::Document(media("https://example.com/a.txt")),
                Part::Document(media("https://example.com/a.txt")),
            ],
            name: None,
        });
        let capabilities = domain::model::Capabilities::default();
        let target = Target {
            model: "m",
            base_url: "https://api.cohere.com",
            capabilities: &capabilities,
            host: &crate::host::Host::NONE,
        };
        let needed = CohereChat.media_needed(&request, &target);
        assert_eq!(needed, ["https://example.com/a.txt"]);
    }
}
