//! The caller's side: what `models/{model}:generateContent` and `:streamGenerateContent` take and answer.
//!
//! Suggested reading order: `envelope` for the verbatim path; `parse`, which puts a request together from
//! `contents` (with `turn`, `results` and `media`), `tools` (with `schema`) and `config`; then `render` for whole
//! answers, `encoder` with `progress` and `framing` for streams, both on `wire`, `finish` and `grounding`;
//! `relay` for streams that pass; `problem` for errors and `words` for reports. `custody` is how other providers' sealed thoughts
//! survive in a Gemini client.

mod config;
mod contents;
mod custody;
mod encoder;
pub(super) mod envelope;
pub(super) mod fields;
mod finish;
mod framing;
#[cfg(test)]
mod fuzz;
mod grounding;
mod media;
pub(super) mod parse;
pub(super) mod problem;
mod progress;
mod relay;
mod render;
mod results;
mod schema;
mod tools;
mod turn;
mod wire;
mod words;

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatRequest, ChatResponse};
use domain::problem::Problem;
use http::StatusCode;
use serde_json::Value;

use self::encoder::ChunkEncoder;
use self::framing::Framing;
use self::relay::ChunkRelay;
use super::Gemini;
use crate::dialect::Format;
use crate::face::{
    Asked, Envelope, Face, InvalidRequest, Rendering, Spliced, StreamEncoder, StreamRelay,
};
use crate::openai::render::attach_report;

/// What keeps an idle stream open. Empty lines, not a comment: google-genai for Python reads every line
/// that is neither empty nor data as JSON.
const HEARTBEAT: &[u8] = b"\n\n";

impl Face for Gemini {
    fn format(&self) -> Format {
        Format::Gemini
    }

    fn envelope(&self, asked: &Asked, body: &[u8]) -> Result<Envelope, InvalidRequest> {
        envelope::read(asked, body)
    }

    fn splice(&self, _: &Envelope, body: &Bytes, _: &str) -> Spliced {
        envelope::splice(body)
    }

    fn parse(&self, asked: &Asked, body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
        parse::request(asked, body)
    }

    fn field<'a>(&self, request: &ChatRequest, path: &'a str) -> Cow<'a, str> {
        words::of(request, path)
    }

    fn render(
        &self,
        response: &ChatResponse,
        rendering: &Rendering,
        report: Option<&Value>,
    ) -> Bytes {
        render::answer(response, rendering, report)
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        (problem.status(), problem::body(problem, request_id))
    }

    fn encoder(&self, rendering: &Rendering) -> Box<dyn StreamEncoder> {
        Box::new(ChunkEncoder::new(Framing::Events, rendering))
    }

    fn attach_report(&self, body: Bytes, report: &Value) -> Bytes {
        attach_report(body, report)
    }

    fn relay(&self, _: bool) -> Box<dyn StreamRelay> {
        Box::new(ChunkRelay::new(Framing::Events))
    }

    fn stream_error(&self, problem: &Problem, request_id: &str) -> Bytes {
        // The empty line ends whatever event was begun.
        let mut out = BytesMut::from(HEARTBEAT);
        let mut framing = Framing::Events;
        framing.line(&problem::line(problem, request_id), &mut out);
        out.freeze()
    }

    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(HEARTBEAT)
    }
}

/// The caller's side of `streamGenerateContent` without `alt=sse`: the stream is one JSON array whose
/// items come one by one. The provider is asked for server-sent events all the same.
#[derive(Debug, Clone, Copy, Default)]
pub struct GeminiArray;

impl Face for GeminiArray {
    fn format(&self) -> Format {
        Format::Gemini
    }

    fn envelope(&self, asked: &Asked, body: &[u8]) -> Result<Envelope, InvalidRequest> {
        envelope::read(asked, body)
    }

    fn splice(&self, _: &Envelope, body: &Bytes, _: &str) -> Spliced {
        envelope::splice(body)
    }

    fn parse(&self, asked: &Asked, body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
        parse::request(asked, body)
    }

    fn field<'a>(&self, request: &ChatRequest, path: &'a str) -> Cow<'a, str> {
        words::of(request, path)
    }

    fn render(
        &self,
        response: &ChatResponse,
        rendering: &Rendering,
        report: Option<&Value>,
    ) -> Bytes {
        render::answer(response, rendering, report)
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        (problem.status(), problem::body(problem, request_id))
    }

    fn stream_type(&self) -> &'static str {
        "application/json; charset=utf-8"
    }

    fn reframes(&self) -> bool {
        true
    }

    fn encoder(&self, rendering: &Rendering) -> Box<dyn StreamEncoder> {
        Box::new(ChunkEncoder::new(Framing::ARRAY, rendering))
    }

    fn attach_report(&self, body: Bytes, report: &Value) -> Bytes {
        attach_report(body, report)
    }

    fn relay(&self, _: bool) -> Box<dyn StreamRelay> {
        Box::new(ChunkRelay::new(Framing::ARRAY))
    }

    /// The error as an item; [`StreamRelay::fail`] puts it into the array.
    fn stream_error(&self, problem: &Problem, request_id: &str) -> Bytes {
        problem::line(problem, request_id).into()
    }

    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(b"\n")
    }
}
