//! `GET /api/ai/health`: how providers, the store, shared state and the cache are doing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use domain::problem::Problem;
use gateway::health::{ServiceCondition, ServiceStatus};
use http::StatusCode;
use providers::application::ApplicationChat;
use serde_json::{Map, Value, json};

use super::auth::caller_of;
use super::call;
use super::faces::Api;
use super::health::SHARED_BOUND;
use super::request::Arrival;
use crate::app::{App, Shared};

/// `GET /api/ai/health`. 200 while calls are served, 503 where no provider answers or the process is stopping.
pub async fn show(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let answered = async {
        caller_of(&app, request, &arrival)?;
        Ok::<_, Problem>(health(&app).await)
    };
    match answered.await {
        Ok((ServiceStatus::Unhealthy, health)) => {
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(health)).into_response()
        }
        Ok((_, health)) => axum::Json(health).into_response(),
        Err(problem) => {
            let face = Api::Chat(&ApplicationChat);
            call::render(face, &problem, &arrival).map(Body::new)
        }
    }
}

async fn health(app: &App) -> (ServiceStatus, Value) {
    let now = app.clock.moment();
    let conditions: Vec<(String, ServiceCondition)> = {
        let routes = app.gateway.routes();
        let health = routes.health();
        let providers = routes.providers();
        let conditions = providers.map(|it| (it.name.to_string(), health.service(it, now)));
        conditions.collect()
    };
    let store = match app.store.is_ready().await {
        Ok(()) => ServiceStatus::Healthy,
        Err(_) => ServiceStatus::Unhealthy,
    };
    let shared = match &app.shared {
        None => None,
        Some(shared) => Some(match shared.ping(SHARED_BOUND).await {
            Ok(()) => ServiceStatus::Healthy,
            Err(_) => ServiceStatus::Unhealthy,
        }),
    };
    let status = status(app, &conditions, store, shared);
    let in_flight: u32 = conditions.iter().map(|(_, it)| it.in_flight).sum();
    let uptime = app.clock.now().duration_since(app.started_at).as_secs();
    let health = json!({
        "status": status,
        "services": {
            "providers": conditions.iter().map(shown).collect::<Map<_, _>>(),
            "store": { "status": store },
            "shared": { "status": word_of(shared) },
            "cache": { "status": word_of(app.cache.as_ref().map(|_| ServiceStatus::Healthy)) },
        },
        "metrics": {
            "uptimeSeconds": uptime.max(0),
            "inFlight": in_flight,
            "attemptsDispatched": app.ledger.dispatched(),
            "attemptsCaptured": app.ledger.captured(),
        },
    });
    (status, health)
}

/// Calls are served without the store and without what replicas share, for a while.
fn status(
    app: &App,
    conditions: &[(String, ServiceCondition)],
    store: ServiceStatus,
    shared: Option<ServiceStatus>,
) -> ServiceStatus {
    if app.is_stopping.load(Ordering::Relaxed) {
        return ServiceStatus::Unhealthy;
    }
    let providers = ServiceStatus::of_parts(conditions.iter().map(|(_, it)| it.status));
    let is_whole = store == ServiceStatus::Healthy && shared != Some(ServiceStatus::Unhealthy);
    match providers {
        ServiceStatus::Healthy if !is_whole => ServiceStatus::Degraded,
        status => status,
    }
}

fn word_of(status: Option<ServiceStatus>) -> Value {
    status.map_or_else(|| json!("disabled"), |status| json!(status))
}

fn shown((name, condition): &(String, ServiceCondition)) -> (String, Value) {
    let milliseconds = |latency: Duration| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
    let view = json!({
        "status": condition.status,
        "latencyMs": condition.latency.map(milliseconds),
        "errorRate": condition.error_rate,
        "circuit": condition.circuit,
    });
    (name.clone(), view)
}
