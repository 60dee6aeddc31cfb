//! Formats that a platform serves at URLs of its own.

use bytes::Bytes;
use domain::chat::{ChatRequest, ChatResponse, Conversion};
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use http::HeaderMap;
use http::response::Parts;
use jiff::Timestamp;

use crate::dialect::{DecodeError, Dialect, Encoded, Format, Refusal, StreamDecoder, Target};
use crate::exchange::Exchange;
use crate::tap::Observed;

/// A format where another than its vendor serves it: what is otherwise there. The rest is the vendor's
/// own dialect.
pub(crate) trait Elsewhere: Send + Sync {
    /// The vendor's dialect.
    type Own: Dialect;

    /// The vendor's dialect.
    fn own(&self) -> &Self::Own;

    /// As [`Dialect::encode`].
    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        now: Timestamp,
    ) -> Result<Encoded, Refusal> {
        self.own().encode(request, target, now)
    }

    /// As [`Dialect::request`].
    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Refusal>;

    /// As [`Dialect::report_left_out`].
    fn report_left_out(&self, target: &Target<'_>, fields: &HeaderMap, report: &mut Conversion) {
        self.own().report_left_out(target, fields, report);
    }

    /// As [`Dialect::takes_as_written`].
    fn takes_as_written(&self, body: &[u8]) -> bool {
        self.own().takes_as_written(body)
    }

    /// As [`Dialect::decode_error`].
    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        self.own().decode_error(head, body, now)
    }
}

impl<E: Elsewhere> Dialect for E {
    fn format(&self) -> Format {
        self.own().format()
    }

    fn media_needed(&self, request: &ChatRequest, target: &Target<'_>) -> Vec<String> {
        self.own().media_needed(request, target)
    }

    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        now: Timestamp,
    ) -> Result<Encoded, Refusal> {
        Elsewhere::encode(self, request, target, now)
    }

    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Refusal> {
        Elsewhere::request(self, target, stream, fields, body)
    }

    fn report_left_out(&self, target: &Target<'_>, fields: &HeaderMap, report: &mut Conversion) {
        Elsewhere::report_left_out(self, target, fields, report);
    }

    fn takes_as_written(&self, body: &[u8]) -> bool {
        Elsewhere::takes_as_written(self, body)
    }

    fn decode(
        &self,
        exchange: &Exchange,
        head: &Parts,
        body: &[u8],
    ) -> Result<ChatResponse, DecodeError> {
        self.own().decode(exchange, head, body)
    }

    fn observe(
        &self,
        exchange: &Exchange,
        head: &Parts,
        body: &[u8],
    ) -> Result<Observed, DecodeError> {
        self.own().observe(exchange, head, body)
    }

    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        Elsewhere::decode_error(self, head, body, now)
    }

    fn decoder(&self, exchange: &Exchange) -> Box<dyn StreamDecoder> {
        self.own().decoder(exchange)
    }

    fn usage(&self, native: &[u8]) -> Result<Usage, DecodeError> {
        self.own().usage(native)
    }
}
