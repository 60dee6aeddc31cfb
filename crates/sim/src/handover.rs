//! How an answer is handed over: its status and fields, and the faults that strike its body.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::bedrock;
use crate::body::{Ending, SimBody};
use crate::directive::{Directive, Fault};
use crate::frames::Frames;
use crate::vendor::{Api, Failure, Framing, HTML_ERROR, Reply};

/// Writes the stream, with the faults that strike inside it.
pub(crate) fn stream(
    api: Api,
    reply: &Reply<'_>,
    framing: Framing,
    overloaded: &Failure,
    request_id: &str,
) -> Frames {
    let mut frames = Frames::new(framing, reply.directive.crlf);
    let fault = reply.directive.fault.as_ref();
    let error = api.error(overloaded, request_id);
    if fault == Some(&Fault::ErrorIn200) {
        error_event(api, overloaded, &error, &mut frames);
        frames.close();
        return frames;
    }
    api.format.stream(reply, &mut frames);
    match fault {
        Some(Fault::ErrorMid(count)) => {
            frames.truncate(*count);
            error_event(api, overloaded, &error, &mut frames);
        }
        Some(Fault::Garbage) => {
            frames.truncate(1);
            frames.text("{\"simulated\": garbage, this is not JSON");
        }
        _ => {}
    }
    frames.close();
    frames
}

/// An error in a stream that has begun: in a binary one it is the vendor's, in any other the format's.
fn error_event(api: Api, failure: &Failure, error: &Value, frames: &mut Frames) {
    if frames.framing().is_binary() {
        bedrock::exception(failure, error, frames);
    } else {
        api.format.error_event(failure, error, frames);
    }
}

pub(crate) fn shaped_stream(frames: Frames, directive: &Directive) -> SimBody {
    let events = frames.count();
    let mut body = SimBody::pieces(frames.into_pieces());
    match directive.fault {
        Some(Fault::Cut(count)) => body = body.ending_after(count, Ending::Cut),
        Some(Fault::HangBody) => body = body.ending_after(events / 2, Ending::Hang),
        _ => {}
    }
    if let Some(size) = directive.piece_bytes {
        body = body.in_pieces_of(size);
    }
    body.paced(directive.chunk_delay)
}

pub(crate) fn shaped_whole(mut body: SimBody, directive: &Directive) -> SimBody {
    match directive.fault {
        Some(Fault::Cut(_)) => body = body.ending_half_way(Ending::Cut),
        Some(Fault::HangBody) => body = body.ending_half_way(Ending::Hang),
        _ => {}
    }
    match directive.piece_bytes {
        Some(size) => body.in_pieces_of(size),
        None => body,
    }
}

pub(crate) fn refused(
    api: Api,
    request_id: &str,
    failure: &Failure,
    framing: Option<Framing>,
) -> Response<SimBody> {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = api.error(failure, request_id);
    // Google answers with an array where an array was asked for.
    let error = if framing == Some(Framing::Array) {
        Value::Array(vec![error])
    } else {
        error
    };
    let mut response = json(api, request_id, status, &error);
    api.vendor
        .fields(request_id, Some(failure), response.headers_mut());
    if let Some(seconds) = failure.retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

pub(crate) fn json(
    api: Api,
    request_id: &str,
    status: StatusCode,
    value: &Value,
) -> Response<SimBody> {
    headed(
        api,
        request_id,
        status,
        "application/json",
        SimBody::whole(Bytes::from(value.to_string())),
    )
}

pub(crate) fn headed(
    api: Api,
    request_id: &str,
    status: StatusCode,
    kind: &'static str,
    body: SimBody,
) -> Response<SimBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    api.vendor.fields(request_id, None, response.headers_mut());
    response
}

pub(crate) fn html() -> Response<SimBody> {
    let mut response = Response::new(SimBody::whole(Bytes::from_static(HTML_ERROR.as_bytes())));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// Says that nothing here comes from a real vendor.
pub(crate) fn marked(mut response: Response<SimBody>) -> Response<SimBody> {
    response
        .headers_mut()
        .insert("x-trunkline-simulated", HeaderValue::from_static("true"));
    response
}
