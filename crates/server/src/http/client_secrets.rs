//! `/v1/realtime/client_secrets` and its elders: what a caller hands to a browser, so that it holds realtime
//! sessions without the caller's key (<https://platform.openai.com/docs/api-reference/realtime-sessions>).
//!
//! The secret is the gateway's own and never the provider's: a session that began at the provider itself would
//! pass budgets and ledger by. For the same reason calls over WebRTC and SIP are not taken.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use domain::id::RequestId;
use domain::problem::{Problem, ProblemKind};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use providers::openai::OpenaiChat;
use providers::openai::realtime::preset::{self, Edition};

use super::auth::{authenticate, caller_of};
use super::call::{read, render};
use super::faces::Api;
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::Shared;

/// The longest description of a session, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// `POST /v1/realtime/client_secrets`: makes a client secret.
pub async fn create(State(app): State<Shared>, request: Request) -> Response {
    make(app, Edition::ClientSecrets, request).await
}

/// `POST /v1/realtime/sessions`: makes a client secret, as the beta did.
pub async fn create_session(State(app): State<Shared>, request: Request) -> Response {
    make(app, Edition::Sessions, request).await
}

/// `POST /v1/realtime/transcription_sessions`: makes a client secret whose sessions write down what is said, as
/// the beta did.
pub async fn create_transcription_session(State(app): State<Shared>, request: Request) -> Response {
    make(app, Edition::TranscriptionSessions, request).await
}

async fn make(app: Shared, edition: Edition, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let made = async {
        let (parts, body) = request.into_parts();
        let caller = authenticate(&app, &parts, &arrival)?;
        let body = read(body, app.max_body.min(MAX_BODY)).await?;
        let wanted = preset::read(edition, &body).map_err(IntoProblem::into_problem)?;
        let offered = app.gateway.offer_sessions(&caller, &wanted.preset).await;
        offered.map_err(IntoProblem::into_problem)?;
        let session = serde_json::to_vec(&wanted.preset).map_err(|error| {
            tracing::error!(%error, "a session's description cannot be written down");
            Problem::new(ProblemKind::Internal, "The session cannot be kept.")
        })?;
        let issued = app
            .client_secrets
            .issue(&caller, session.into(), wanted.lifetime);
        let (text, expires_at) = issued.await.map_err(IntoProblem::into_problem)?;
        let id = RequestId::new(arrival.at, &*app.entropy).to_string();
        let id = format!("sess_{}", id.trim_start_matches("req_"));
        let expires_at = expires_at.as_second();
        Ok(wanted.preset.answer(text.reveal(), expires_at, &id))
    };
    match made.await {
        Ok(answer) => {
            let fields = [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "no-store"),
            ];
            (fields, answer).into_response()
        }
        Err(problem) => refuse(&app, &problem, &arrival),
    }
}

/// `/v1/realtime/calls…` and `/v1/realtime/translations…`: what only the vendor itself can do.
pub async fn not_here(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let path = request.uri().path().to_owned();
    let problem = caller_of(&app, request, &arrival).err().unwrap_or_else(|| {
        let detail = if path.starts_with("/v1/realtime/calls") {
            "Calls over WebRTC and SIP go from their two ends to the vendor past the gateway, which could neither \
             meter nor limit them. Hold the session over WebSocket at /v1/realtime?model=NAME; a browser shows a \
             client secret of POST /v1/realtime/client_secrets there."
        } else {
            "Translation sessions are not served. Hold a session over WebSocket at /v1/realtime?model=NAME with \
             instructions to translate."
        };
        Problem::new(ProblemKind::NotImplemented, detail)
    });
    refuse(&app, &problem, &arrival)
}

fn refuse(app: &Shared, problem: &Problem, arrival: &Arrival) -> Response {
    app.telemetry.refused(problem.kind);
    render(Api::Chat(&OpenaiChat), problem, arrival).map(Body::new)
}
