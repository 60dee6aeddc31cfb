//! `/api/v1/admin/replicas`

use axum::extract::{Request, State};
use axum::response::Response;
use domain::fleet::{Replica, ReplicaStore};
use domain::id::ReplicaId;
use domain::problem::Problem;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::auth::authenticate_admin;
use super::envelope::{Page, failure, success};
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::{App, Shared};
use crate::replicas::alive_since;

/// `GET /api/v1/admin/replicas`: the processes that serve this installation, the oldest first. They are few:
/// one page has all of them.
pub async fn list(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    match page(&app, &arrival, request).await {
        Ok(page) => success(&arrival, &page),
        Err(problem) => failure(&arrival, &problem),
    }
}

async fn page(app: &App, arrival: &Arrival, request: Request) -> Result<Page<Value>, Problem> {
    let (parts, _) = request.into_parts();
    authenticate_admin(app, &parts, arrival)?;
    let now = app.clock.now();
    let alive = app
        .store
        .replicas(alive_since(now))
        .await
        .map_err(IntoProblem::into_problem)?;
    let own = Some(app.replicas.id());
    let items = alive
        .iter()
        .map(|replica| view(replica, own, now))
        .collect();
    Ok(Page {
        items,
        next_cursor: None,
    })
}

/// A replica as it is shown, beside the one that `own` is.
pub fn view(replica: &Replica, own: Option<ReplicaId>, now: Timestamp) -> Value {
    let silent = now.duration_since(replica.seen_at).as_millis().max(0);
    json!({
        "id": replica.id,
        "started_at": replica.started_at,
        "seen_at": replica.seen_at,
        "seen_ms_ago": i64::try_from(silent).unwrap_or(i64::MAX),
        "version": replica.version,
        "address": replica.address,
        "shared": replica.is_sharing,
        "is_this": Some(replica.id) == own,
    })
}
