//! OpenAI chat completions, and every host that speaks the format
//! (<https://platform.openai.com/docs/api-reference/chat>).
//!
//! The caller's side is `face`: `envelope` and `relay` for the verbatim path, `parse` for the whole
//! request, `render` and `encoder` for answers. The target's side is [`Dialect`] below: `encode`, `decode`,
//! `stream`, `error`, `usage`. Both stand on `fields` (JSON read by path) and `wire` (what requests and
//! answers have in common on the way out).

mod annotations;
mod body;
mod call_ids;
mod chunk;
pub mod completions;
mod decode;
mod encode;
mod encode_message;
mod encode_reasoning;
mod encode_tools;
mod encoder;
pub(crate) mod envelope;
pub(crate) mod error;
mod face;
pub(crate) mod fields;
mod finish;
/// What an answer of any of OpenAI's endpoints says that it took; `None` where it says nothing.
pub fn usage_of(answer: &[u8]) -> Option<Usage> {
    #[derive(serde::Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        usage: Option<&'a serde_json::value::RawValue>,
    }
    let answer: Answer<'_> = serde_json::from_slice(answer).ok()?;
    usage::read(answer.usage?.get().as_bytes()).ok().flatten()
}

#[cfg(test)]
mod fuzz;
pub(crate) mod media;
mod model;
mod observe;
mod parse;
mod parse_blocks;
mod parse_message;
mod past_thoughts;
mod pictures;
mod progress;
pub mod realtime;
mod relay;
pub(crate) mod render;
mod request_body;
pub mod responses;
mod stream;
mod strictness;
mod template;
#[cfg(test)]
mod tests;
mod think;
pub(crate) mod usage;
mod wire;

use bytes::Bytes;
use domain::chat::{ChatRequest, ChatResponse, Part};
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use http::header::AUTHORIZATION;
use http::response::Parts;
use http::{HeaderMap, Request};
use jiff::Timestamp;

use self::completions::OpenaiCompletions;
use self::responses::OpenaiResponses;
use crate::credential::{self, Credential};
use crate::dialect::{DecodeError, Dialect, Encoded, Format, Refusal, StreamDecoder, Target};
use crate::exchange::Exchange;
use crate::hosts::{Serves, Thoughts};
use crate::outgoing;
use crate::tap::Observed;

pub(crate) use call_ids::is_short_call_id;
#[cfg(test)]
pub(crate) use request_body::may_be_refused;

/// OpenAI chat completions, of callers and of targets
/// (<https://platform.openai.com/docs/api-reference/chat/create>).
///
/// Beyond the vendor's own fields, answers show:
/// - thoughts in `reasoning_content` and, with what a later turn must give back, `reasoning_details`;
/// - Gemini's signatures in `extra_content.google.thought_signature`;
/// - the provider's own word for the end in `native_finish_reason`, and the text that stopped it in
///   `stop_sequence`;
/// - pictures of Gemini's in `images`, beside `provider_content`;
/// - in `provider_content`, the order of the parts where it matters and blocks that only the provider's
///   format knows;
/// - a report, where the caller asked for one, in `trunkline`.
pub struct OpenaiChat;

impl Dialect for OpenaiChat {
    fn format(&self) -> Format {
        Format::OpenaiChat
    }

    /// Pictures are fetched by the provider itself; documents and recordings must come with their bytes.
    fn media_needed(&self, request: &ChatRequest, _: &Target<'_>) -> Vec<String> {
        outgoing::urls(request, |part, _| {
            matches!(part, Part::Document(_) | Part::Audio(_))
        })
    }

    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        _: Timestamp,
    ) -> Result<Encoded, Refusal> {
        let (body, report) = encode::body(request, target)?;
        Ok(Encoded {
            body: body.into(),
            fields: HeaderMap::new(),
            report,
            exchange: Exchange {
                streamed: request.stream,
                model: target.model.to_owned(),
                thinks_in_tags: target.host.quirks.thoughts == Thoughts::Tags,
                ..Exchange::default()
            },
        })
    }

    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<Request<Bytes>, Refusal> {
        let url = [target.base_url, "/chat/completions"].concat();
        outgoing::post_chat(&url, stream, fields, body)
    }

    fn decode(
        &self,
        exchange: &Exchange,
        _: &Parts,
        body: &[u8],
    ) -> Result<ChatResponse, DecodeError> {
        let mut response = decode::response(exchange, body)?;
        if exchange.thinks_in_tags {
            think::split_response(&mut response);
        }
        Ok(response)
    }

    fn observe(
        &self,
        exchange: &Exchange,
        _: &Parts,
        body: &[u8],
    ) -> Result<Observed, DecodeError> {
        observe::observed(exchange, body)
    }

    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        error::of_response(head, body, now)
    }

    fn decoder(&self, exchange: &Exchange) -> Box<dyn StreamDecoder> {
        let decoder = stream::ChunkDecoder::of(exchange);
        if exchange.thinks_in_tags {
            Box::new(think::ThinkDecoder::new(decoder))
        } else {
            Box::new(decoder)
        }
    }

    /// Also reads the usage of OpenAI's responses, and those of the hosts that add their own fields.
    fn usage(&self, native: &[u8]) -> Result<Usage, DecodeError> {
        usage::read(native)?.ok_or_else(|| {
            DecodeError::Malformed("the usage counts neither input nor output".to_owned())
        })
    }
}

/// The formats in which a host chats with `model`, the one to translate into first. Of a model that OpenAI
/// serves under `/responses` only, that is the only one; of one that thinks with tools only there, the first.
pub fn dialects(model: &str, serves: Serves) -> &'static [&'static dyn Dialect] {
    match (serves.responses, serves.completions) {
        (true, _) if model::answers_responses_only(model) => &[&OpenaiResponses],
        (true, true) if model::thinks_with_tools_by_responses(model) => {
            &[&OpenaiResponses, &OpenaiChat, &OpenaiCompletions]
        }
        (true, false) if model::thinks_with_tools_by_responses(model) => {
            &[&OpenaiResponses, &OpenaiChat]
        }
        (true, true) => &[&OpenaiChat, &OpenaiResponses, &OpenaiCompletions],
        (true, false) => &[&OpenaiChat, &OpenaiResponses],
        (false, true) => &[&OpenaiChat, &OpenaiCompletions],
        (false, false) => &[&OpenaiChat],
    }
}

/// Writes the credential as a bearer token.
pub(crate) fn authorize(
    request: &mut Request<Bytes>,
    credential: &Credential,
) -> Result<(), Refusal> {
    let (Credential::ApiKey(secret) | Credential::Token(secret)) = credential else {
        return Err(credential::wrong_kind("An OpenAI host", "an API key"));
    };
    let value = credential::field("Bearer ", secret)?;
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}
