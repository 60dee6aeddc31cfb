//! `/api/v1/admin/cache/frequent` and `/api/v1/admin/cache/warm`

use std::num::NonZeroU32;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use domain::caller::Caller;
use domain::id::{KeyId, RequestId};
use domain::problem::{Problem, ProblemKind};
use identity::tenants::Reach;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{admin, answered, cache};
use crate::app::{App, Shared};
use crate::http::problem::IntoProblem;
use crate::http::request::Arrival;
use crate::http::tenants::parsed;

/// How many requests are named where nothing else is said, and how many at most.
const USUAL: u32 = 100;
const MOST: u32 = 1_000;
/// How far back requests are looked for where nothing else is said.
const USUAL_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The query of `GET /api/v1/admin/cache/frequent`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FrequentQuery {
    key_id: Option<String>,
    since: Option<Timestamp>,
    limit: Option<u32>,
    /// A face's own key parameter; read by authentication.
    #[serde(rename = "key")]
    _key: Option<String>,
}

/// The body of `POST /api/v1/admin/cache/warm`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WarmBody {
    key_id: String,
    request_id: String,
    ttl_seconds: Option<NonZeroU32>,
}

/// `GET /api/v1/admin/cache/frequent`: what was asked most often of those whose answers a key shares.
pub async fn frequent(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    answered(&arrival, found(&app, &arrival, request).await)
}

/// `POST /api/v1/admin/cache/warm`: asks again what was asked in a call, on behalf of a key.
pub async fn warm(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    answered(&arrival, warmed(&app, &arrival, request).await)
}

async fn found(app: &App, arrival: &Arrival, request: Request) -> Result<Value, Problem> {
    let known = "key_id (required), since, limit";
    let (administrator, query): (_, FrequentQuery) = admin::query(app, arrival, request, known)?;
    let holder = holder(app, arrival, administrator.reach, query.key_id.as_deref())?;
    let limit = query.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        let detail = format!("limit is a number from 1 to {MOST}.");
        return Err(Problem::new(ProblemKind::InvalidRequest, detail).with_param("limit"));
    }
    let week = arrival.at.saturating_sub(USUAL_AGE);
    let since = query.since.or(week.ok()).unwrap_or(Timestamp::MIN);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = cache(app)?
        .frequent(&app.store, &holder, since, limit)
        .await
        .map_err(IntoProblem::into_problem)?;
    Ok(json!(found))
}

async fn warmed(app: &App, arrival: &Arrival, request: Request) -> Result<Value, Problem> {
    let (administrator, body): (_, WarmBody) = admin::body(app, arrival, request).await?;
    let holder = holder(app, arrival, administrator.reach, Some(&body.key_id))?;
    let asked: Option<RequestId> = parsed("request_id", Some(&body.request_id))?;
    let asked = asked.ok_or_else(|| missing("request_id"))?;
    let ttl = body.ttl_seconds;
    let ttl = ttl.map(|seconds| Duration::from_secs(seconds.get().into()));
    let warmed = app.gateway.warm(&app.store, &holder, asked, ttl);
    Ok(json!(
        Box::pin(warmed).await.map_err(IntoProblem::into_problem)?
    ))
}

/// The holder of a key that is good; somebody else's is answered as unknown.
fn holder(
    app: &App,
    arrival: &Arrival,
    reach: Reach,
    key_id: Option<&str>,
) -> Result<Caller, Problem> {
    let id: Option<KeyId> = parsed("key_id", key_id)?;
    let id = id.ok_or_else(|| missing("key_id"))?;
    let holder = app.ring.holder(id).filter(|holder| match reach {
        Reach::Installation => true,
        Reach::Organization(own) => holder.organization_id() == own,
    });
    let holder = holder.ok_or_else(|| {
        let detail = format!("There is no key {id}.");
        Problem::new(ProblemKind::NotFound, detail).with_param("key_id")
    })?;
    if !holder.is_valid_at(arrival.at) {
        let detail = format!("Key {id} is not in service: name one that is.");
        return Err(Problem::new(ProblemKind::InvalidRequest, detail).with_param("key_id"));
    }
    Ok(holder)
}

fn missing(param: &str) -> Problem {
    let detail = format!("{param} is missing.");
    Problem::new(ProblemKind::InvalidRequest, detail).with_param(param)
}
