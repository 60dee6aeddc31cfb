//! OpenAI Responses (<https://platform.openai.com/docs/api-reference/responses>): a conversation of items,
//! of which the messages are one kind.
//!
//! The caller's side is `face`: `envelope` and `relay` for the verbatim path, `parse` and its `parse_…` for
//! the whole request, `answer` (the object), `items` (what it lists) and `encoder` (the events) for
//! answers. The target's side is [`Dialect`] below: `encode` and its `encode_…`, `decode`, `stream`. `custody`
//! keeps what other providers want back, `words` what the format calls otherwise than chat completions.
//! [`state`] is for the gateway, which keeps answers for callers who refer to them.

mod annotations;
mod answer;
mod count;
mod custody;
mod decode;
mod encode;
mod encode_items;
mod encode_tools;
mod encoder;
mod envelope;
mod face;
#[cfg(test)]
mod fuzz;
mod items;
mod parse;
mod parse_content;
mod parse_items;
mod parse_tools;
mod relay;
pub mod state;
mod stream;
mod stream_items;
mod wire;
pub(super) mod words;

pub(crate) use self::count::InputCounter;
pub use self::count::{Compact, CountInput};

use bytes::Bytes;
use domain::chat::{ChatRequest, ChatResponse};
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use http::response::Parts;
use http::{HeaderMap, Request};
use jiff::Timestamp;

use super::{OpenaiChat, error};
use crate::dialect::{DecodeError, Dialect, Encoded, Format, Refusal, StreamDecoder, Target};
use crate::exchange::Exchange;
use crate::outgoing;

/// OpenAI Responses, of callers and of targets
/// (<https://platform.openai.com/docs/api-reference/responses/create>).
///
/// To callers, other providers' models look like OpenAI's:
/// - thoughts are the summary of reasoning items;
/// - what a provider wants back and the format has no place for (signatures, encrypted thoughts, blocks that
///   only its format knows) is in `encrypted_content` of reasoning items, which clients give back untouched;
/// - custom tools are offered to other models as functions of one text;
/// - a report, where the caller asked for one, is in `trunkline`, in a stream inside of the last event's
///   `response`.
pub struct OpenaiResponses;

impl Dialect for OpenaiResponses {
    fn format(&self) -> Format {
        Format::OpenaiResponses
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
        let url = format!("{}/responses", target.base_url);
        outgoing::post_chat(&url, stream, fields, body)
    }

    /// Not with what this gateway gave out for another provider: OpenAI refuses what it did not seal.
    fn takes_as_written(&self, body: &[u8]) -> bool {
        !envelope::holds_foreign_state(body)
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
        Box::new(stream::EventDecoder::of(exchange))
    }

    fn usage(&self, native: &[u8]) -> Result<Usage, DecodeError> {
        OpenaiChat.usage(native)
    }
}
