//! Requests that pass to a vendor's own API (`/passthrough/{provider}/…`): where they may go
//! ([`address`]), which fields go along in either direction ([`fields`]), and what can be metered of them
//! ([`meter`]).

pub mod address;
pub mod fields;
pub mod meter;

use bytes::Bytes;
use domain::name::ModelName;
use http::{HeaderMap, Method, Request};

use crate::dialect::Refusal;
use crate::face::InvalidRequest;
use crate::passing;

/// The request for a provider: the caller's method, path, query, end-to-end fields and body, and no
/// credential. `root` is where the provider's API begins ([`crate::kind::ProviderKind::root`]).
pub fn request(
    root: &str,
    method: &Method,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Request<Bytes>, Refused> {
    let uri = address::below(root, path, query)?;
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = fields::onward(headers);
    Ok(request)
}

/// The model that a JSON body names; `None` where it names none.
pub fn named_model(body: &[u8]) -> Option<ModelName> {
    let span = passing::model_span(body).ok()?;
    let name: String = serde_json::from_slice(body.get(span)?).ok()?;
    name.parse().ok()
}

/// A JSON body with another model's name and nothing else touched.
pub fn with_model(body: &Bytes, model: &str) -> Result<Bytes, InvalidRequest> {
    Ok(passing::with_model(body, passing::model_span(body)?, model))
}

/// Why a request cannot pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The caller's path does not stay below the provider's base URL.
    #[error(transparent)]
    Path(#[from] InvalidRequest),
    /// The provider's base URL is not one.
    #[error(transparent)]
    Provider(#[from] Refusal),
}
