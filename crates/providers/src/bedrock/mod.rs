//! Amazon Bedrock: the Converse format, which every model there speaks, and Anthropic's format in
//! Bedrock's envelope.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html>
//!
//! Suggested reading order: [`BedrockConverse`]; `encode` (the request) with one file for each of its parts:
//! `messages` (with `conversation` and `media`), `tools`, `output`, `reasoning`, `inference`, `extras` and
//! `cache`; `decode`, and `frames` with `stream` (the answer); `usage` and `error`. What is true of some models
//! only is in `model`. [`AnthropicOnBedrock`] is the other format, with `chunks` (the stream's
//! envelope); `endpoint` is where both are sent and how they are authorised, and `count`
//! how their tokens are counted before.

mod anthropic;
mod cache;
mod chunks;
mod citation;
mod conversation;
mod count;
mod decode;
mod encode;
pub(crate) mod endpoint;
mod error;
mod extras;
mod frames;
#[cfg(test)]
mod fuzz;
mod gathered;
mod inference;
mod media;
mod messages;
pub(crate) mod model;
mod output;
mod reasoning;
mod stream;
mod tools;
pub(crate) mod usage;
mod wire;

pub use anthropic::AnthropicOnBedrock;
pub(crate) use anthropic::VERSION as ANTHROPIC_VERSION;
pub(crate) use count::counter;
pub(crate) use endpoint::{authorize, root};
pub use model::without_geography;

use bytes::Bytes;
use domain::chat::{ChatRequest, ChatResponse};
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use http::response::Parts;
use jiff::Timestamp;

use crate::dialect::{DecodeError, Dialect, Encoded, Format, Refusal, StreamDecoder, Target};
use crate::exchange::Exchange;
use crate::outgoing;

/// The format's name in the domain's `Unknown` and `Hosted` items.
const FORMAT: &str = Format::BedrockConverse.as_str();

/// The target's side of Bedrock's Converse format: `POST {base_url}/model/{model}/converse`, and
/// `/converse-stream` for a stream of binary messages.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>
#[derive(Debug, Clone, Copy, Default)]
pub struct BedrockConverse;

/// Whether a model is one of Anthropic's, which also speak Anthropic's own format. An application
/// inference profile does not tell.
pub fn is_claude(model: &str) -> bool {
    model::Family::of(model) == model::Family::Claude
}

/// The URLs that a request names and that Bedrock does not fetch: all but those of Amazon S3.
fn urls_to_inline(request: &ChatRequest) -> Vec<String> {
    outgoing::urls(request, |_, url| media::must_be_inlined(url))
}

impl Dialect for BedrockConverse {
    fn format(&self) -> Format {
        Format::BedrockConverse
    }

    fn media_needed(&self, request: &ChatRequest, _target: &Target<'_>) -> Vec<String> {
        urls_to_inline(request)
    }

    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        _now: Timestamp,
    ) -> Result<Encoded, Refusal> {
        encode::request(request, target)
    }

    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Refusal> {
        let (operation, accept) = if stream {
            ("converse-stream", "application/vnd.amazon.eventstream")
        } else {
            ("converse", "application/json")
        };
        let mut request = http::Request::post(endpoint::address(target, operation)?)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, accept)
            .body(body)
            .map_err(endpoint::unusable)?;
        request.headers_mut().extend(fields.clone());
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
        usage::read(native)
    }
}
