//! `GET /api/v1/admin/routes/shadows`: calls of routes beside their copies.

use axum::extract::{Query, Request, State};
use axum::response::Response;
use domain::call::CallStore;
use domain::problem::{Problem, ProblemKind};
use domain::store_error::StoreError;
use gateway::routes::Routes;
use gateway::shadow::comparison::{Comparison, compare};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::authenticate_admin;
use super::envelope::{failure, success};
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::{App, Shared};

/// How far back calls are compared where nobody says.
const DEFAULT_SPAN: SignedDuration = SignedDuration::from_hours(24 * 7);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ShadowsQuery {
    route: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// A face's own key parameter; read by authentication.
    #[serde(rename = "key")]
    _key: Option<String>,
}

/// `GET /api/v1/admin/routes/shadows`: of every route that has a shadow, its calls beside their copies.
pub async fn list(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    match listed(&app, &arrival, request).await {
        Ok(data) => success(&arrival, &data),
        Err(problem) => failure(&arrival, &problem),
    }
}

async fn listed(app: &App, arrival: &Arrival, request: Request) -> Result<Value, Problem> {
    let (parts, _) = request.into_parts();
    authenticate_admin(app, &parts, arrival)?;
    let Query(query) = Query::<ShadowsQuery>::try_from_uri(&parts.uri).map_err(|error| {
        let detail = format!("{error}. Known parameters: route, since, until.");
        Problem::new(ProblemKind::InvalidRequest, detail)
    })?;
    let routes = app.gateway.routes();
    let (since, until) = span(query.since, query.until, arrival.at);
    let compared = comparisons(&app.store, &routes, query.route.as_deref(), since, until).await;
    let compared = compared.map_err(IntoProblem::into_problem)?;
    if let (Some(route), true) = (&query.route, compared.is_empty()) {
        let detail = format!(
            "No route '{route}' has a `shadow`. GET /api/v1/admin/routes lists those that are."
        );
        return Err(Problem::new(ProblemKind::NotFound, detail).with_param("route"));
    }
    Ok(view(&compared, since, until))
}

/// The time that is looked at: the last week, unless the ends are named.
pub fn span(
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let until = until.unwrap_or(now);
    let week_before = || until.saturating_sub(DEFAULT_SPAN).unwrap_or(until);
    (since.unwrap_or_else(week_before), until)
}

/// Compares the calls of one route, or of every route that has a shadow, with their copies.
pub async fn comparisons(
    store: &dyn CallStore,
    routes: &Routes,
    route: Option<&str>,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<Comparison>, StoreError> {
    let mut compared = Vec::new();
    for shadow in routes.shadows() {
        if route.is_none_or(|route| route == shadow.route().as_str()) {
            compared.push(compare(store, &shadow, since, until).await?);
        }
    }
    Ok(compared)
}

/// Comparisons as they are shown.
pub fn view(compared: &[Comparison], since: Timestamp, until: Timestamp) -> Value {
    json!({ "since": since, "until": until, "items": compared })
}
