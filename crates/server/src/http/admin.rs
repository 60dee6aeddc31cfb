//! What every administration path shares: who may, and what is read of the request.

use axum::body::Body;
use axum::extract::Query;
use domain::id::ProjectId;
use domain::problem::{Problem, ProblemKind};
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use identity::tenants::Reach;
use serde::de::DeserializeOwned;

use super::auth::authenticate;
use super::request::Arrival;
use crate::app::App;

/// The most bytes of a body of the administration.
const MAX_BODY: usize = 64 * 1024;

/// An administrator, of the installation or of one organisation.
#[derive(Debug, Clone, Copy)]
pub struct Administrator {
    /// How far they reach.
    pub reach: Reach,
    /// Their own project.
    pub project_id: ProjectId,
}

/// The administrator who asks.
pub fn administrator(
    app: &App,
    parts: &Parts,
    arrival: &Arrival,
) -> Result<Administrator, Problem> {
    let caller = authenticate(app, parts, arrival)?;
    let reach = Reach::of(&caller).ok_or_else(|| {
        let detail = "This needs a key with the role 'admin'.";
        Problem::new(ProblemKind::PermissionDenied, detail)
    })?;
    Ok(Administrator {
        reach,
        project_id: caller.project_id(),
    })
}

/// The same, of the whole installation: what they do holds for every organisation.
pub fn operator(app: &App, parts: &Parts, arrival: &Arrival) -> Result<(), Problem> {
    match administrator(app, parts, arrival)?.reach {
        Reach::Installation => Ok(()),
        Reach::Organization(_) => {
            let detail = "This needs an administrator of the whole installation.";
            Err(Problem::new(ProblemKind::PermissionDenied, detail))
        }
    }
}

/// Where a list is to go on.
pub fn cursor(parts: &Parts) -> Option<&str> {
    let mut pairs = parts.uri.query()?.split('&');
    pairs.find_map(|pair| pair.strip_prefix("cursor="))
}

/// The administrator who asks, and the body as `T`; an empty one is read as `{}`.
pub async fn body<T: DeserializeOwned>(
    app: &App,
    arrival: &Arrival,
    request: http::Request<Body>,
) -> Result<(Administrator, T), Problem> {
    let (parts, body) = request.into_parts();
    let administrator = administrator(app, &parts, arrival)?;
    let invalid = |detail: String| Problem::new(ProblemKind::InvalidRequest, detail);
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(|error| invalid(format!("The body could not be read: {error}.")))?
        .to_bytes();
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let body = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("The body is not valid: {error}.")))?;
    Ok((administrator, body))
}

/// The administrator who asks, and the query as `T`, which takes the parameters `known`.
pub fn query<T: DeserializeOwned>(
    app: &App,
    arrival: &Arrival,
    request: http::Request<Body>,
    known: &str,
) -> Result<(Administrator, T), Problem> {
    let (parts, _) = request.into_parts();
    let administrator = administrator(app, &parts, arrival)?;
    let Query(query) = Query::try_from_uri(&parts.uri).map_err(|error| {
        let detail = format!("{error}. Known parameters: {known}.");
        Problem::new(ProblemKind::InvalidRequest, detail)
    })?;
    Ok((administrator, query))
}
