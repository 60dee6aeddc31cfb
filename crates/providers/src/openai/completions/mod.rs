//! OpenAI completions, the API before chat (<https://platform.openai.com/docs/api-reference/completions>):
//! a prompt that is continued.
//!
//! Hosts that speak it get the caller's bytes. For others, a prompt is what a person says, and the answer's
//! text is its continuation. The caller's side is `face`: `envelope`, `parse`, `render`, `encoder`; the
//! target's is [`Dialect`] below: `encode`, `decode`, `stream`. `logprobs` translates between the two shapes
//! of probabilities.

mod decode;
mod encode;
mod encoder;
mod envelope;
mod face;
#[cfg(test)]
mod fuzz;
mod logprobs;
mod parse;
mod render;
mod stream;

use bytes::Bytes;
use domain::chat::{ChatRequest, ChatResponse};
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use http::response::Parts;
use http::{HeaderMap, Request};
use jiff::Timestamp;

use super::body::Body;
use super::{OpenaiChat, error};
use crate::dialect::{DecodeError, Dialect, Encoded, Format, Refusal, StreamDecoder, Target};
use crate::exchange::Exchange;
use crate::outgoing;

/// The format's name in the domain.
const FORMAT: &str = Format::OpenaiCompletions.as_str();

/// OpenAI completions, of callers and of targets
/// (<https://platform.openai.com/docs/api-reference/completions/create>).
///
/// Beyond the vendor's own fields, a choice shows the model's thoughts in `reasoning_content`, and an
/// answer the report, where the caller asked for one, in `trunkline`.
pub struct OpenaiCompletions;

impl Dialect for OpenaiCompletions {
    fn format(&self) -> Format {
        Format::OpenaiCompletions
    }

    /// Only what one person says in plain text is a prompt; a conversation is refused.
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
        let url = format!("{}/completions", target.base_url);
        outgoing::post_chat(&url, stream, fields, body)
    }

    fn decode(&self, _: &Exchange, _: &Parts, body: &[u8]) -> Result<ChatResponse, DecodeError> {
        decode::response(body)
    }

    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        error::of_response(head, body, now)
    }

    fn decoder(&self, _: &Exchange) -> Box<dyn StreamDecoder> {
        Box::new(Body::of(stream::TextDecoder::default()))
    }

    fn usage(&self, native: &[u8]) -> Result<Usage, DecodeError> {
        OpenaiChat.usage(native)
    }
}
