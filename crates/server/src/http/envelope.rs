//! The platform API's envelope: `{success, data, error, timestamp, request_id}`.

use axum::body::Body;
use axum::response::Response;
use domain::problem::Problem;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::call::retry_fields;
use super::request::Arrival;

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the list goes on (`?cursor=`); `null` at its end.
    pub next_cursor: Option<String>,
}

/// Answers with data.
pub fn success(arrival: &Arrival, data: &impl Serialize) -> Response {
    respond(StatusCode::OK, &body(arrival, &json!(data), None))
}

/// Answers with data that was just made.
pub fn created(arrival: &Arrival, data: &impl Serialize) -> Response {
    respond(StatusCode::CREATED, &body(arrival, &json!(data), None))
}

/// Answers with a problem: `error` is its sentence, and the whole of it (RFC 9457) stands beside it.
pub fn failure(arrival: &Arrival, problem: &Problem) -> Response {
    let status = problem.status();
    let mut response = respond(status, &body(arrival, &Value::Null, Some(problem)));
    retry_fields(problem, status, response.headers_mut());
    response
}

fn body(arrival: &Arrival, data: &Value, problem: Option<&Problem>) -> Value {
    let mut body = json!({
        "success": problem.is_none(),
        "data": data,
        "error": problem.map(|problem| &problem.detail),
        "timestamp": arrival.at.to_string(),
        "request_id": arrival.request_id,
    });
    if let (Some(problem), Some(body)) = (problem, body.as_object_mut()) {
        let details = json!({
            "type": problem.type_uri(),
            "title": problem.kind.title(),
            "status": problem.status().as_u16(),
            "detail": problem.detail,
            "instance": format!("urn:trunkline:request:{}", arrival.request_id),
            "param": problem.param,
        });
        body.insert("problem".to_owned(), details);
    }
    body
}

fn respond(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
