//! `/healthz`, `/readyz` and `/metrics`

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::fleet::Replica;
use gateway::health::ProbeState;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::app::{App, Shared};
use crate::telemetry::{Causes, Lost};

/// How long shared state may take to say that it is there.
pub(super) const SHARED_BOUND: Duration = Duration::from_millis(500);

/// `GET /`: says what this is, to whoever comes by.
pub async fn welcome() -> &'static str {
    "Trunkline. OpenAI's API is at /v1, recorded calls are at /api/v1/db/logs, and /openapi.json describes \
     the rest.\n"
}

/// `GET /healthz`: the process runs.
pub async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: requests are served. 503 while shutting down, and when limits are set that another replica
/// would count for itself. While the store or what replicas share cannot
/// be reached, the answer says so but stays 200: calls are served, and the journal keeps them.
pub async fn ready(State(app): State<Shared>) -> Response {
    if app.is_stopping.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    if let Some(other) = app.replicas.unshared()
        && counts_anything(&app)
    {
        return (StatusCode::SERVICE_UNAVAILABLE, unshared(&other)).into_response();
    }
    let mut state = "ready".to_owned();
    if let Err(error) = app.store.is_ready().await {
        tracing::warn!(error = %Causes(&error), "the store is not ready");
        state.push_str("; the store cannot be reached, calls wait in the journal");
    }
    if let Some(shared) = &app.shared
        && let Err(error) = shared.ping(SHARED_BOUND).await
    {
        tracing::warn!(error = %Causes(&error), "shared state is not ready");
        state.push_str(
            "; shared state cannot be reached, limits hold by this replica's part of them",
        );
    }
    let silent = silent_providers(&app);
    if !silent.is_empty() {
        state.push_str("; probes of ");
        state.push_str(&silent.join(", "));
        state.push_str(" fail");
    }
    state.push('\n');
    state.into_response()
}

/// Whether there is a limit that each replica would count for itself: also that of copies of calls.
fn counts_anything(app: &App) -> bool {
    !app.limits.in_force().is_empty()
        || app.ring.limits_anyone(app.clock.now())
        || app.gateway.routes().shadows().next().is_some()
}

/// The providers whose probes fail; none where they are not probed.
fn silent_providers(app: &App) -> Vec<String> {
    let routes = app.gateway.routes();
    let health = routes.health();
    let is_silent = |state: ProbeState| state.is_out();
    let silent = routes.providers();
    let silent = silent.filter(|it| health.probed(it).is_some_and(is_silent));
    silent.map(|it| it.name.to_string()).collect()
}

fn unshared(other: &Replica) -> String {
    format!(
        "not ready: replica {} at {} serves the same store, and limits are set that the two do not share; \
         name one server under `shared` on both, or stop one of them\n",
        other.id, other.address
    )
}

/// `GET /metrics`: in Prometheus' text format.
pub async fn metrics(State(app): State<Shared>) -> Response {
    let custody = app.custody.as_ref();
    let lost = Lost {
        payloads: app.payloads.lost(),
        responses: app.responses.lost(),
        reasoning_states: custody.map_or(0, |custody| custody.lost()),
        conditions: app.gateway.failed_conditions(),
    };
    let copies = app.gateway.shadow_counts();
    let text = {
        let routes = app.gateway.routes();
        let now = app.clock.moment();
        app.telemetry
            .render(&app.ledger, &app.limits, lost, copies, &routes, now)
    };
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}
