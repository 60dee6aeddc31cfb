//! The caller's side: what `POST /v1/responses` takes and answers.

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatRequest, ChatResponse};
use domain::problem::Problem;
use http::StatusCode;
use serde_json::Value;

use super::super::encoder::HEARTBEAT;
use super::super::render;
use super::encoder::{EventEncoder, problem_fields};
use super::relay::EventRelay;
use super::{OpenaiResponses, answer, envelope, parse};
use crate::dialect::Format;
use crate::face::{
    Asked, Envelope, Face, InvalidRequest, Rendering, Spliced, StreamEncoder, StreamRelay,
};

impl Face for OpenaiResponses {
    fn format(&self) -> Format {
        Format::OpenaiResponses
    }

    fn envelope(&self, _: &Asked, body: &[u8]) -> Result<Envelope, InvalidRequest> {
        envelope::read(body)
    }

    fn splice(&self, envelope: &Envelope, body: &Bytes, model: &str) -> Spliced {
        envelope::splice(envelope, body, model)
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
        answer::whole(response, rendering, report)
    }

    fn render_error(&self, problem: &Problem, _: &str) -> (StatusCode, Bytes) {
        (problem.status(), render::problem(problem))
    }

    fn encoder(&self, rendering: &Rendering) -> Box<dyn StreamEncoder> {
        Box::new(EventEncoder::new(rendering))
    }

    fn attach_report(&self, body: Bytes, report: &Value) -> Bytes {
        render::attach_report(body, report)
    }

    fn relay(&self, _: bool) -> Box<dyn StreamRelay> {
        Box::new(EventRelay::default())
    }

    /// The event's number is not known here: what came before was not read.
    fn stream_error(&self, problem: &Problem, _: &str) -> Bytes {
        // The empty line ends whatever event was begun.
        let mut out = BytesMut::from(
            &b"\n\nevent: error\ndata: {\"type\":\"error\",\"sequence_number\":0"[..],
        );
        problem_fields(problem, &mut out);
        out.freeze()
    }

    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(HEARTBEAT)
    }
}
