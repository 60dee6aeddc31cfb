//! The caller's side: what `POST /v2/chat` takes and answers.

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatRequest, ChatResponse};
use domain::problem::Problem;
use http::StatusCode;
use serde_json::Value;

use super::encoder::{self, EventEncoder, HEARTBEAT};
use super::relay::EventRelay;
use super::{CohereChat, parse, render};
use crate::dialect::Format;
use crate::face::{
    Asked, Envelope, Face, InvalidRequest, Rendering, Spliced, StreamEncoder, StreamRelay,
};
use crate::openai::render::attach_report;
use crate::passing;

impl Face for CohereChat {
    fn format(&self) -> Format {
        Format::CohereChat
    }

    fn envelope(&self, _: &Asked, body: &[u8]) -> Result<Envelope, InvalidRequest> {
        parse::envelope(body)
    }

    /// The model's name only: Cohere's streams always end with the usage.
    fn splice(&self, envelope: &Envelope, body: &Bytes, model: &str) -> Spliced {
        let span = envelope.model_span.clone().unwrap_or_default();
        Spliced {
            body: passing::with_model(body, span, model),
            withhold_usage: false,
        }
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
        render::answer(response, rendering, report)
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        let body = render::problem_body(problem, request_id);
        (problem.status(), body)
    }

    fn encoder(&self, rendering: &Rendering) -> Box<dyn StreamEncoder> {
        Box::new(EventEncoder::new(rendering))
    }

    fn attach_report(&self, body: Bytes, report: &Value) -> Bytes {
        attach_report(body, report)
    }

    fn relay(&self, _: bool) -> Box<dyn StreamRelay> {
        Box::new(EventRelay::default())
    }

    fn stream_error(&self, problem: &Problem, _: &str) -> Bytes {
        // The empty line ends whatever event was begun.
        let mut out = BytesMut::from(&b"\n\n"[..]);
        encoder::write_problem(problem, &mut out);
        out.freeze()
    }

    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(HEARTBEAT)
    }
}
