//! The caller's side: what `POST /v2/chat` takes and answers.

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatRequest, ChatResponse};
use domain::problem::Problem;
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::Value;

use super::encoder::{EventEncoder, HEARTBEAT};
use super::relay::EventRelay;
use super::{CohereChat, events, parse, render};
use crate::dialect::Format;
use crate::face::{
    Asked, Envelope, Face, InvalidRequest, Rendering, Spliced, StreamEncoder, StreamRelay,
};
use crate::openai::render::attach_report;
use crate::passing;

/// "The name of the project that is making the request."
const CLIENT_NAME: HeaderName = HeaderName::from_static("x-client-name");

impl Face for CohereChat {
    fn format(&self) -> Format {
        Format::CohereChat
    }

    fn envelope(&self, _: &Asked, body: &[u8]) -> Result<Envelope, InvalidRequest> {
        parse::envelope(body)
    }

    fn forwarded(&self, asked: &Asked) -> HeaderMap {
        let mut forwarded = HeaderMap::new();
        if let Some(name) = asked.headers.get(CLIENT_NAME) {
            forwarded.insert(CLIENT_NAME, name.clone());
        }
        forwarded
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
        events::write_problem(problem, &mut out);
        out.freeze()
    }

    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(HEARTBEAT)
    }
}

#[cfg(test)]
mod tests {
    use domain::problem::ProblemKind;

    use super::*;

    #[test]
    fn a_problem_is_told_as_the_vendor_tells_it() {
        let problem = Problem::new(ProblemKind::UnknownModel, "There is no model x.");
        let (status, body) = CohereChat.render_error(&problem, "req_1");
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(body, r#"{"id":"req_1","message":"There is no model x."}"#);
    }

    #[test]
    fn a_problem_in_the_middle_of_a_stream_ends_it() {
        let problem = Problem::new(ProblemKind::ProviderFailed, "It broke.");
        let told = CohereChat.stream_error(&problem, "req_1");
        let expected = "\n\nevent: message-end\ndata: {\"type\":\"message-end\",\"delta\":\
            {\"error\":\"It broke.\",\"finish_reason\":\"ERROR\"}}\n\n";
        assert_eq!(told, expected);
    }

    #[test]
    fn of_the_callers_fields_only_its_name_is_passed_on() {
        let mut asked = Asked::default();
        asked
            .headers
            .insert("x-client-name", "shop".parse().unwrap());
        asked
            .headers
            .insert("authorization", "Bearer tl_1".parse().unwrap());
        let forwarded = CohereChat.forwarded(&asked);
        assert_eq!(forwarded.len(), 1);
        assert_eq!(forwarded["x-client-name"], "shop");
    }
}
