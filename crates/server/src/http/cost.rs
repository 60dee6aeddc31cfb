//! `/api/v1/admin/cost/…` and `/api/v1/admin/ledger/check`: prices corrected afterwards, vendors' invoices, and
//! the ledger's books.

use axum::extract::{Query, Request, State};
use axum::response::Response;
use domain::call::CallFilter;
use domain::money::Cost;
use domain::name::ProviderName;
use domain::problem::{Problem, ProblemKind};
use gateway::audit::{Audit, Span, audit};
use gateway::invoice::{self, Columns, Threshold};
use gateway::rerate::{Rerated, Rerating, rerate};
use http_body_util::{BodyExt, Limited};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::authenticate_admin;
use super::envelope::{failure, success};
use super::logs::{read_cursor, write_cursor};
use super::problem::IntoProblem;
use super::request::Arrival;
use super::tenants::parsed;
use crate::app::{App, Shared};
use crate::loops::hours_since;

/// The most bytes of an export.
const MAX_EXPORT: usize = 16 * 1024 * 1024;
/// Calls that one request re-rates; the rest is for the next.
const RERATED: u64 = 20_000;
/// Calls end a while after they started: what is newer is not looked at unless it is asked for.
const AT_REST: SignedDuration = SignedDuration::from_mins(10);

/// The body of `POST /api/v1/admin/cost/rerate`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RerateBody {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    provider: Option<String>,
    model: Option<String>,
    dry_run: bool,
    cursor: Option<String>,
}

/// The query of `POST /api/v1/admin/cost/reconcile`; the export is the body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReconcileQuery {
    provider: String,
    #[serde(default)]
    columns: String,
    threshold_usd: Option<String>,
    threshold_percent: Option<f64>,
    /// A face's own key parameter; read by authentication.
    #[serde(rename = "key")]
    _key: Option<String>,
}

/// The query of `GET /api/v1/admin/ledger/check`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CheckQuery {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// A face's own key parameter; read by authentication.
    #[serde(rename = "key")]
    _key: Option<String>,
}

/// `POST /api/v1/admin/cost/rerate`: corrects what calls cost by the prices that are known now.
pub async fn rerating(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    answered(&arrival, rerated(&app, &arrival, request).await)
}

/// `POST /api/v1/admin/cost/reconcile?provider=…`: compares a vendor's export with the ledger.
pub async fn reconciliation(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    answered(&arrival, reconciled(&app, &arrival, request).await)
}

/// `GET /api/v1/admin/ledger/check`: goes through the ledger's books.
pub async fn check(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    answered(&arrival, checked(&app, &arrival, request).await)
}

fn answered(arrival: &Arrival, outcome: Result<Value, Problem>) -> Response {
    match outcome {
        Ok(data) => success(arrival, &data),
        Err(problem) => failure(arrival, &problem),
    }
}

async fn rerated(app: &App, arrival: &Arrival, request: Request) -> Result<Value, Problem> {
    let (parts, body) = request.into_parts();
    let caller = authenticate_admin(app, &parts, arrival)?;
    let body = text(body, MAX_EXPORT).await?;
    let body = if body.is_empty() { "{}" } else { &body };
    let body: RerateBody = serde_json::from_str(body)
        .map_err(|error| invalid(&format!("The body is not valid: {error}.")))?;
    let cursor = body.cursor.as_deref().map(read_cursor).transpose()?;
    let rerating = Rerating {
        filter: CallFilter {
            provider: body.provider,
            since: body.since,
            until: body.until,
            ..CallFilter::default()
        },
        model: body.model,
        is_dry: body.dry_run,
        made_by: caller.key_id().to_string(),
        now: arrival.at,
    };
    let routes = app.gateway.routes();
    let rerated = rerate(&app.store, &routes, &rerating, cursor, RERATED, |_| ()).await;
    Ok(view_rerated(&rerated.map_err(IntoProblem::into_problem)?))
}

async fn reconciled(app: &App, arrival: &Arrival, request: Request) -> Result<Value, Problem> {
    let (parts, body) = request.into_parts();
    authenticate_admin(app, &parts, arrival)?;
    let Query(query) = Query::<ReconcileQuery>::try_from_uri(&parts.uri).map_err(|error| {
        let known = "provider (required), columns, threshold_usd, threshold_percent";
        invalid(&format!("{error}. Known parameters: {known}."))
    })?;
    let provider: Option<ProviderName> = parsed("provider", Some(&query.provider))?;
    let provider = provider.ok_or_else(|| invalid("provider is missing."))?;
    let columns: Option<Columns> = parsed("columns", Some(&query.columns))?;
    let usd: Option<Cost> = parsed("threshold_usd", query.threshold_usd.as_deref())?;
    let threshold = threshold(usd, query.threshold_percent)
        .ok_or_else(|| invalid("threshold_percent is 0 to 100.").with_param("threshold_percent"))?;
    let export = text(body, MAX_EXPORT).await?;
    let lines = invoice::read(&export, &columns.unwrap_or_default())
        .map_err(|error| invalid(&format!("The export cannot be read: {error}.")))?;
    let found = invoice::reconcile(&app.store, &provider, &lines, threshold)
        .await
        .map_err(IntoProblem::into_problem)?;
    found
        .map(|reconciliation| json!(reconciliation))
        .ok_or_else(|| invalid("The export has no lines."))
}

async fn checked(app: &App, arrival: &Arrival, request: Request) -> Result<Value, Problem> {
    let (parts, _) = request.into_parts();
    authenticate_admin(app, &parts, arrival)?;
    let Query(query) = Query::<CheckQuery>::try_from_uri(&parts.uri)
        .map_err(|error| invalid(&format!("{error}. Known parameters: since, until.")))?;
    let since = query.since.unwrap_or(Timestamp::UNIX_EPOCH);
    let until = query.until.unwrap_or_else(|| before(arrival.at));
    let routes = app.gateway.routes();
    let span = Span {
        since,
        until,
        hours_since: hours_since(arrival.at),
    };
    let found = audit(&app.store, &routes, span, |_| ()).await;
    let found = found.map_err(IntoProblem::into_problem)?;
    Ok(view_audit(&found, since, until))
}

/// The time before which calls have ended and are in the store.
pub fn before(now: Timestamp) -> Timestamp {
    now.saturating_sub(AT_REST).unwrap_or(now)
}

/// The bounds within which a difference is tolerated; `None` where the share is none.
pub fn threshold(usd: Option<Cost>, percent: Option<f64>) -> Option<Threshold> {
    let default = Threshold::default();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and 10,000"
    )]
    let basis_points = match percent {
        None => default.basis_points,
        Some(percent) if (0.0..=100.0).contains(&percent) => (percent * 100.0).round() as u32,
        Some(_) => return None,
    };
    Some(Threshold {
        usd: usd.unwrap_or(default.usd),
        basis_points,
    })
}

/// What re-rating came to, as it is shown.
pub fn view_rerated(rerated: &Rerated) -> Value {
    let models = rerated.models.iter().map(|(model, rated)| {
        json!({ "model": model, "adjusted": rated.adjusted, "amount_usd": rated.amount })
    });
    json!({
        "calls": rerated.calls,
        "adjusted": rerated.adjusted,
        "not_computable": rerated.not_computable,
        "amount_usd": rerated.amount,
        "models": models.collect::<Vec<_>>(),
        "next_cursor": rerated.next.as_ref().map(write_cursor),
    })
}

/// What an audit found, as it is shown.
pub fn view_audit(audit: &Audit, since: Timestamp, until: Timestamp) -> Value {
    json!({
        "since": since,
        "until": until,
        "agrees": audit.found == 0,
        "calls": audit.calls,
        "adjustments": audit.adjustments,
        "recomputed": audit.recomputed,
        "cost_usd": audit.cost,
        "adjusted_usd": audit.adjusted,
        "found": audit.found,
        "findings": audit.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

async fn text(body: axum::body::Body, bound: usize) -> Result<String, Problem> {
    let bytes = Limited::new(body, bound)
        .collect()
        .await
        .map_err(|error| invalid(&format!("The body could not be read: {error}.")))?
        .to_bytes();
    String::from_utf8(bytes.into()).map_err(|_| invalid("The body is no text in UTF-8."))
}

fn invalid(detail: &str) -> Problem {
    Problem::new(ProblemKind::InvalidRequest, detail)
}
