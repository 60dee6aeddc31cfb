//! What every request has: an identifier, and the moment at which it arrived.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::clock::Moment;
use domain::id::RequestId;
use http::HeaderValue;
use jiff::Timestamp;

use crate::app::Shared;

/// The response field that names the request.
pub const REQUEST_ID: &str = "x-request-id";

/// A request, on arrival.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its identifier.
    pub request_id: RequestId,
    /// When.
    pub at: Timestamp,
    /// The same on the monotonic clock.
    pub moment: Moment,
}

impl Arrival {
    /// The arrival of a request that went through [`identify`], which all do. One that did not is
    /// treated as having arrived at the beginning of time.
    pub fn of(request: &Request) -> Self {
        request.extensions().get().copied().unwrap_or(Self {
            request_id: RequestId::NONE,
            at: Timestamp::UNIX_EPOCH,
            moment: Moment::at(std::time::Duration::ZERO),
        })
    }
}

/// Gives every request an identifier, and every response the field that says it.
pub async fn identify(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let at = app.clock.now();
    let request_id = RequestId::new(at, &*app.entropy);
    request.extensions_mut().insert(Arrival {
        request_id,
        at,
        moment: app.clock.moment(),
    });
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::try_from(request_id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
