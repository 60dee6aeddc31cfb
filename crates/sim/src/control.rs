//! `/sim/…`: how a test in another process reads the record and plans faults.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::body::SimBody;
use crate::directive::InvalidDirective;
use crate::route::query;
use crate::sim::Sim;
use crate::vendor::field;

/// Answers a control request; `None` for a request that is for a vendor.
pub(crate) fn respond(sim: &Sim, head: &Parts, body: &[u8]) -> Option<Response<SimBody>> {
    let subject = head.uri.path().strip_prefix("/sim/")?;
    let (status, value) = match (&head.method, subject) {
        (&Method::GET, "calls") => match query(head, "since").map_or(Ok(0), str::parse) {
            Ok(since) => (StatusCode::OK, json!(sim.record().since(since))),
            Err(_) => problem(
                StatusCode::BAD_REQUEST,
                "'since' takes the number of a call",
            ),
        },
        (&Method::DELETE, "calls") => {
            sim.record().clear();
            (StatusCode::OK, json!({"cleared": "calls"}))
        }
        (&Method::GET, "tasks") => match query(head, "since").map_or(Ok(0), str::parse) {
            Ok(since) => (StatusCode::OK, json!(sim.tasks_kept().record.since(since))),
            Err(_) => problem(
                StatusCode::BAD_REQUEST,
                "'since' takes the number of a call",
            ),
        },
        (&Method::DELETE, "tasks") => {
            sim.tasks_kept().record.clear();
            (StatusCode::OK, json!({"cleared": "tasks"}))
        }
        (&Method::GET, "tokens") => match query(head, "since").map_or(Ok(0), str::parse) {
            Ok(since) => (StatusCode::OK, json!(sim.token_record().since(since))),
            Err(_) => problem(
                StatusCode::BAD_REQUEST,
                "'since' takes the number of a request for a token",
            ),
        },
        (&Method::DELETE, "tokens") => {
            sim.token_record().clear();
            (StatusCode::OK, json!({"cleared": "tokens"}))
        }
        (&Method::GET, "faults") => (
            StatusCode::OK,
            json!(sim.faults().waiting().collect::<Vec<_>>()),
        ),
        (&Method::POST, "faults") => match serde_json::from_slice(body) {
            Ok(fault) => match sim.faults().queue(fault) {
                Ok(()) => (StatusCode::CREATED, json!({"queued": true})),
                Err(InvalidDirective(sentence)) => problem(StatusCode::BAD_REQUEST, &sentence),
            },
            Err(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (&Method::DELETE, "faults") => {
            sim.faults().clear();
            (StatusCode::OK, json!({"cleared": "faults"}))
        }
        (&Method::GET, "google-key-file") => match sim.account().key_file(&base_url(head)) {
            Some(file) => (StatusCode::OK, file),
            None => problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "there is no randomness to make a key of",
            ),
        },
        _ => problem(
            StatusCode::NOT_FOUND,
            "known are GET and DELETE of /sim/calls, /sim/tasks and /sim/tokens, GET, POST and DELETE of /sim/faults, \
             and GET /sim/google-key-file",
        ),
    };
    let mut response = Response::new(SimBody::whole(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(response)
}

/// Where this provider was reached.
fn base_url(head: &Parts) -> String {
    let host = field(head, "host")
        .or_else(|| head.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("oauth2.googleapis.com");
    format!("http://{host}")
}

fn problem(status: StatusCode, detail: &str) -> (StatusCode, Value) {
    (status, json!({"status": status.as_u16(), "detail": detail}))
}
