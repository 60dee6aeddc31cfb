//! The site map: every route on one page, but for the [compatible faces](super::faces).

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, any, delete, get, post};
use domain::problem::{Problem, ProblemKind};
use domain::tenant::TenantWord;
use providers::anthropic::AnthropicMessages;
use providers::cohere::CohereChat;
use providers::face::Face;
use providers::gemini::Gemini;
use providers::openai::OpenaiChat;

use super::faces::Api;
use super::request::Arrival;
use super::{
    batches, cache, call, client_secrets, cost, envelope, events, files, health, keys, limits,
    logs, media, message_batches, models, openapi, replicas, responses, routes, services, shadows,
    tenants,
};
use crate::app::Shared;

/// Every route.
pub fn router(app: Shared) -> Router {
    Router::new()
        // Models, in the faces' shapes
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*model}", get(models::retrieve))
        .route("/v1beta/models", get(models::list))
        .route("/v1beta/models/{*model}", get(models::retrieve))
        .route("/anthropic/v1/models", get(models::list))
        .route("/anthropic/v1/models/{*model}", get(models::retrieve))
        .route("/gemini/v1beta/models", get(models::list))
        .route("/gemini/v1beta/models/{*model}", get(models::retrieve))
        // Answers that are kept
        .route(
            "/v1/responses/{id}",
            get(responses::retrieve).delete(responses::forget),
        )
        .route("/v1/responses/{id}/cancel", post(responses::cancel))
        .route(
            "/v1/responses/{id}/input_items",
            get(responses::input_items),
        )
        // Realtime sessions, beside the socket itself
        .route("/v1/realtime/client_secrets", post(client_secrets::create))
        .route(
            "/v1/realtime/sessions",
            post(client_secrets::create_session),
        )
        .route(
            "/v1/realtime/transcription_sessions",
            post(client_secrets::create_transcription_session),
        )
        .route("/v1/realtime/calls", any(client_secrets::not_here))
        .route("/v1/realtime/calls/{*rest}", any(client_secrets::not_here))
        .route("/v1/realtime/translations", any(client_secrets::not_here))
        .route(
            "/v1/realtime/translations/{*rest}",
            any(client_secrets::not_here),
        )
        // Batches
        .route("/v1/batches", get(batches::list).post(batches::create))
        .route("/v1/batches/{id}", get(batches::retrieve))
        .route("/v1/batches/{id}/cancel", post(batches::cancel))
        .route("/v1/messages/batches", all_message_batches())
        .route("/v1/messages/batches/{id}", one_message_batch())
        .route(
            "/v1/messages/batches/{id}/results",
            get(message_batches::results),
        )
        .route(
            "/v1/messages/batches/{id}/cancel",
            post(message_batches::cancel),
        )
        .route("/anthropic/v1/messages/batches", all_message_batches())
        .route("/anthropic/v1/messages/batches/{id}", one_message_batch())
        .route(
            "/anthropic/v1/messages/batches/{id}/results",
            get(message_batches::results),
        )
        .route(
            "/anthropic/v1/messages/batches/{id}/cancel",
            post(message_batches::cancel),
        )
        // Files
        .route("/v1/files", all_files())
        .route("/v1/files/{id}", one_file())
        .route("/v1/files/{id}/content", get(files::content))
        .route("/anthropic/v1/files", all_files())
        .route("/anthropic/v1/files/{id}", one_file())
        .route("/anthropic/v1/files/{id}/content", get(files::content))
        .route("/v1beta/files", get(files::list))
        .route("/v1beta/files/{id}", one_file())
        .route("/gemini/v1beta/files", get(files::list))
        .route("/gemini/v1beta/files/{id}", one_file())
        .route("/upload/v1beta/files", uploads())
        .route("/upload/v1/files", uploads())
        .route("/gemini/upload/v1beta/files", uploads())
        .route("/media/{id}", get(media::read))
        // The platform API
        .route("/api/v1/db/logs", get(logs::list))
        .route("/api/v1/db/logs/{request_id}", get(logs::retrieve))
        .route("/api/v1/db/logs/{request_id}/payload", get(logs::payload))
        .merge(administration())
        // The application API, beside its chats
        .route("/api/ai/health", get(services::show))
        // Operations
        .route("/", get(health::welcome))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/schema/config.json", get(openapi::config_schema))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

/// What administrators may do.
fn administration() -> Router<Shared> {
    Router::new()
        .route(
            "/api/v1/admin/cache",
            get(cache::stats).delete(cache::purge),
        )
        .route("/api/v1/admin/cache/feedback", post(cache::feedback))
        .route("/api/v1/admin/cache/frequent", get(cache::warm::frequent))
        .route("/api/v1/admin/cache/prompts", get(cache::prompts))
        .route("/api/v1/admin/cache/warm", post(cache::warm::warm))
        .route(
            "/api/v1/admin/organizations",
            tenants::all(TenantWord::Organization),
        )
        .route(
            "/api/v1/admin/organizations/{id}",
            tenants::one(TenantWord::Organization),
        )
        .route("/api/v1/admin/projects", tenants::all(TenantWord::Project))
        .route(
            "/api/v1/admin/projects/{id}",
            tenants::one(TenantWord::Project),
        )
        .route(
            "/api/v1/admin/applications",
            tenants::all(TenantWord::Application),
        )
        .route(
            "/api/v1/admin/applications/{id}",
            tenants::one(TenantWord::Application),
        )
        .route("/api/v1/admin/users", tenants::all(TenantWord::User))
        .route("/api/v1/admin/users/{id}", tenants::one(TenantWord::User))
        .route("/api/v1/admin/cost/rerate", post(cost::rerating))
        .route("/api/v1/admin/cost/reconcile", post(cost::reconciliation))
        .route("/api/v1/admin/ledger/check", get(cost::check))
        .route("/api/v1/admin/keys", get(keys::list).post(keys::create))
        .route("/api/v1/admin/keys/{id}", delete(keys::revoke))
        .route("/api/v1/admin/keys/{id}/rotate", post(keys::rotate))
        .route(
            "/api/v1/admin/limits",
            get(limits::list).post(limits::create),
        )
        .route(
            "/api/v1/admin/limits/{id}",
            get(limits::show)
                .put(limits::replace)
                .delete(limits::remove),
        )
        .route(
            "/api/v1/admin/budgets",
            get(limits::list_budgets).post(limits::create_budget),
        )
        .route("/api/v1/admin/events", get(events::list))
        .route("/api/v1/admin/replicas", get(replicas::list))
        .route("/api/v1/admin/routes", get(routes::list))
        .route("/api/v1/admin/routes/explain", post(routes::explain))
        .route("/api/v1/admin/routes/shadows", get(shadows::list))
}

fn all_message_batches() -> MethodRouter<Shared> {
    get(message_batches::list).post(message_batches::create)
}

fn one_message_batch() -> MethodRouter<Shared> {
    get(message_batches::retrieve).delete(message_batches::delete)
}

/// Files are larger than other bodies, and not held in memory: what bounds them is `media.max_file`.
fn all_files() -> MethodRouter<Shared> {
    get(files::list)
        .post(files::create)
        .layer(DefaultBodyLimit::disable())
}

/// Their pieces are as large as their callers like.
fn uploads() -> MethodRouter<Shared> {
    post(files::upload).layer(DefaultBodyLimit::disable())
}

fn one_file() -> MethodRouter<Shared> {
    get(files::retrieve).delete(files::delete)
}

async fn nothing_here(State(_): State<Shared>, request: Request) -> Response {
    let detail = format!(
        "There is nothing at {} {}.",
        request.method(),
        request.uri().path()
    );
    problem(&request, &Problem::new(ProblemKind::NotFound, detail))
}

async fn wrong_method(State(_): State<Shared>, request: Request) -> Response {
    let detail = format!(
        "{} does not take {}.",
        request.uri().path(),
        request.method()
    );
    problem(
        &request,
        &Problem::new(ProblemKind::MethodNotAllowed, detail),
    )
}

/// In the shape of the face that was (probably) meant.
fn problem(request: &Request, problem: &Problem) -> Response {
    match meant(request) {
        Some(face) => call::render(Api::Chat(face), problem, &Arrival::of(request)).map(Body::new),
        None => envelope::failure(&Arrival::of(request), problem),
    }
}

/// The face that is meant by a request that none has.
fn meant(request: &Request) -> Option<&'static dyn Face> {
    let path = request.uri().path();
    let is_under = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
    let says = |name: &str| request.headers().contains_key(name);
    if is_under(&["/anthropic/"]) || is_under(&["/v1/"]) && says("anthropic-version") {
        Some(&AnthropicMessages)
    } else if is_under(&["/v1beta/", "/gemini/", "/upload/"])
        || is_under(&["/v1/"]) && says("x-goog-api-key")
    {
        Some(&Gemini)
    } else if is_under(&["/v2/"]) {
        Some(&CohereChat)
    } else if is_under(&["/v1/"]) {
        Some(&OpenaiChat)
    } else {
        None
    }
}
