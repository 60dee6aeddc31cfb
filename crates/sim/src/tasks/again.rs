//! What batches of every vendor have in common: their lines are asked of this provider itself, and what they keep
//! to themselves is not shown.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Request, response};
use http_body_util::BodyExt;
use serde_json::Value;

use super::Asked;
use crate::sim::Sim;

/// Asks this provider itself, with those `fields` of who looks; a body that is not JSON is `null`.
pub(crate) async fn ask(
    sim: &Sim,
    asked: &Asked<'_>,
    path: &str,
    fields: &[&'static str],
    body: &Value,
) -> (response::Parts, Value) {
    let told = fields.iter().filter_map(|name| {
        let value = asked.head.headers.get(*name)?;
        Some((HeaderName::from_static(name), value.clone()))
    });
    send(sim, path, told.collect(), body).await
}

/// Asks Bedrock of this provider, which knows a token: a signature of who looks holds for its own request only.
pub(crate) async fn ask_unsigned(sim: &Sim, path: &str, body: &Value) -> (response::Parts, Value) {
    let token = (AUTHORIZATION, HeaderValue::from_static("Bearer simulated"));
    send(sim, path, HeaderMap::from_iter([token]), body).await
}

async fn send(sim: &Sim, path: &str, fields: HeaderMap, body: &Value) -> (response::Parts, Value) {
    let mut request = Request::new(Bytes::from(body.to_string()));
    *request.method_mut() = http::Method::POST;
    *request.headers_mut() = fields;
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    // An answer of this provider may be one of these endpoints again.
    let (head, body) = Box::pin(sim.respond(request)).await.into_parts();
    let bytes = body.collect().await;
    let bytes = bytes.map(http_body_util::Collected::to_bytes).ok();
    let answer = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    (head, answer.unwrap_or_default())
}

/// A batch without the fields that begin with `_`, which are kept and not shown.
pub(crate) fn visible(mut batch: Value) -> Value {
    if let Some(fields) = batch.as_object_mut() {
        fields.retain(|name, _| !name.starts_with('_'));
    }
    batch
}
