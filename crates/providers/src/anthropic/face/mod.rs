//! The caller's side: what `POST /v1/messages` takes and answers.
//! <https://platform.claude.com/docs/en/api/messages>
//!
//! Suggested reading order: `envelope` for the verbatim path with `relay`; `parse` (the request) with
//! `conversation`, `content`, `tools` (with `client_tools`) and `thinking`; `render` (a whole answer) and
//! `encoder` with `queue` (a stream), which stand on `blocks` and `usage`; `problem`. `custody` carries the
//! reasoning state of other providers through the caller's hands, and `foreign` takes it out where the
//! conversation goes on with Anthropic.

mod blocks;
mod client_tools;
mod content;
mod conversation;
mod custody;
mod encoder;
pub(super) mod envelope;
mod foreign;
pub(super) mod parse;
mod problem;
mod queue;
mod relay;
mod render;
mod thinking;
mod tools;
mod usage;

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatRequest, ChatResponse};
use domain::problem::Problem;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::AnthropicMessages;
use crate::dialect::Format;
use crate::face::{
    Asked, Envelope, Face, InvalidRequest, Rendering, Spliced, StreamEncoder, StreamRelay,
};
use crate::openai;

/// The fields by which a caller says what its request means beside the body.
const FORWARDED: [&str; 2] = ["anthropic-version", "anthropic-beta"];

impl Face for AnthropicMessages {
    fn format(&self) -> Format {
        Format::AnthropicMessages
    }

    fn envelope(&self, _: &Asked, body: &[u8]) -> Result<Envelope, InvalidRequest> {
        envelope::read(body)
    }

    fn forwarded(&self, asked: &Asked) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for name in FORWARDED {
            for value in asked.headers.get_all(name) {
                fields.append(name, value.clone());
            }
        }
        fields
    }

    /// The model's name, and the thoughts that other providers left in the conversation. A stream of this
    /// format always carries its usage.
    fn splice(&self, envelope: &Envelope, body: &Bytes, model: &str) -> Spliced {
        let model_span = envelope.model_span.clone().unwrap_or_default();
        let mut edits = foreign::edits(body);
        edits.push((model_span, Value::from(model).to_string()));
        edits.sort_by_key(|(span, _)| span.start);
        Spliced {
            body: openai::envelope::apply(body, &edits),
            withhold_usage: false,
        }
    }

    fn parse(&self, asked: &Asked, body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
        parse::request(asked, body)
    }

    fn field<'a>(&self, request: &ChatRequest, path: &'a str) -> Cow<'a, str> {
        parse::field(request, path)
    }

    fn render(
        &self,
        response: &ChatResponse,
        rendering: &Rendering,
        report: Option<&Value>,
    ) -> Bytes {
        render::message(response, rendering, report)
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        problem::response(problem, request_id)
    }

    fn encoder(&self, rendering: &Rendering) -> Box<dyn StreamEncoder> {
        Box::new(encoder::MessageEncoder::new(rendering))
    }

    fn attach_report(&self, body: Bytes, report: &Value) -> Bytes {
        openai::render::attach_report(body, report)
    }

    fn relay(&self, _withhold_usage: bool) -> Box<dyn StreamRelay> {
        Box::new(relay::MessageRelay::default())
    }

    fn stream_error(&self, problem: &Problem, request_id: &str) -> Bytes {
        // The empty line ends whatever event was begun.
        let mut out = BytesMut::from(&b"\n\n"[..]);
        problem::event(problem, request_id, &mut out);
        out.freeze()
    }

    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(blocks::PING)
    }
}
