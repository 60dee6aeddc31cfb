//! The caller's side: what `POST /v1/completions` takes and answers.

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatRequest, ChatResponse};
use domain::problem::Problem;
use http::StatusCode;
use serde_json::Value;

use super::super::encoder::HEARTBEAT;
use super::super::relay::ChunkRelay;
use super::super::render::{attach_report, problem, problem_event};
use super::encoder::TextEncoder;
use super::{OpenaiCompletions, envelope, parse, render};
use crate::dialect::Format;
use crate::face::{
    Asked, Envelope, Face, InvalidRequest, Rendering, Spliced, StreamEncoder, StreamRelay,
};

impl Face for OpenaiCompletions {
    fn format(&self) -> Format {
        Format::OpenaiCompletions
    }

    fn envelope(&self, _: &Asked, body: &[u8]) -> Result<Envelope, InvalidRequest> {
        envelope::read(body)
    }

    fn splice(&self, envelope: &Envelope, body: &Bytes, model: &str) -> Spliced {
        super::super::envelope::splice(envelope, body, model)
    }

    fn parse(&self, _: &Asked, body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
        parse::request(body)
    }

    fn render(
        &self,
        response: &ChatResponse,
        rendering: &Rendering,
        report: Option<&Value>,
    ) -> Bytes {
        render::completion(response, rendering, report)
    }

    fn render_error(&self, told: &Problem, _: &str) -> (StatusCode, Bytes) {
        (told.status(), problem(told))
    }

    fn encoder(&self, rendering: &Rendering) -> Box<dyn StreamEncoder> {
        Box::new(TextEncoder::new(rendering))
    }

    fn attach_report(&self, body: Bytes, report: &Value) -> Bytes {
        attach_report(body, report)
    }

    fn relay(&self, withhold_usage: bool) -> Box<dyn StreamRelay> {
        Box::new(ChunkRelay::of("text_completion", withhold_usage))
    }

    fn stream_error(&self, problem: &Problem, _: &str) -> Bytes {
        // The empty line ends whatever event was begun.
        let mut out = BytesMut::from(&b"\n\n"[..]);
        problem_event(problem, &mut out);
        out.freeze()
    }

    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(HEARTBEAT)
    }
}
