//! `GET /api/v1/db/logs`

use std::str::FromStr;

use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use domain::adjustment::AdjustmentStore;
use domain::call::{Call, CallCursor, CallFilter, CallState, CallStore};
use domain::caller::Caller;
use domain::id::{InvalidId, RequestId};
use domain::problem::{Problem, ProblemKind};
use domain::store_error::StoreError;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use store::Store;

use super::auth::authenticate;
use super::envelope::{Page, failure, success};
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::{App, Shared};

/// The most items of one page.
const MAX_LIMIT: u32 = 1_000;
const DEFAULT_LIMIT: u32 = 100;

/// What may stand in the query.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogQuery {
    limit: Option<u32>,
    cursor: Option<String>,
    state: Option<String>,
    provider: Option<String>,
    request_model: Option<String>,
    organization_id: Option<String>,
    project_id: Option<String>,
    application_id: Option<String>,
    user_id: Option<String>,
    key_id: Option<String>,
    client_request_id: Option<String>,
    batch_id: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// The face's own key parameter; read by authentication.
    #[serde(rename = "key")]
    _key: Option<String>,
}

/// `GET /api/v1/db/logs`: recorded calls, newest first. An admin sees all, a key its own.
pub async fn list(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    match page(&app, &arrival, request).await {
        Ok(page) => success(&arrival, &page),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// `GET /api/v1/db/logs/{request_id}`: one call.
pub async fn retrieve(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    match find(&app, &arrival, &id, request).await {
        Ok(call) => match adjusted_views(&app.store, std::slice::from_ref(&call)).await {
            Ok(views) => success(&arrival, &views.first()),
            Err(error) => failure(&arrival, &error.into_problem()),
        },
        Err(problem) => failure(&arrival, &problem),
    }
}

/// `GET /api/v1/db/logs/{request_id}/payload`: what was said in a call, where `payloads.keep` wants it
/// kept.
pub async fn payload(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let found = async {
        let call = find(&app, &arrival, &id, request).await?;
        let kept = app
            .store
            .payload(call.request_id)
            .await
            .map_err(IntoProblem::into_problem)?;
        kept.filter(|kept| kept.keep_until > arrival.at).ok_or_else(|| {
            let detail = format!(
                "What was said in call '{id}' is not kept. 'payloads: {{ keep: full }}' keeps it from \
                 now on."
            );
            Problem::new(ProblemKind::NotFound, detail)
        })
    };
    match found.await {
        Ok(kept) => {
            let data = json!({
                "request_id": kept.request_id,
                "request": String::from_utf8_lossy(&kept.request),
                "response": String::from_utf8_lossy(&kept.response),
                "keep_until": kept.keep_until,
            });
            success(&arrival, &data)
        }
        Err(problem) => failure(&arrival, &problem),
    }
}

async fn page(app: &App, arrival: &Arrival, request: Request) -> Result<Page<Value>, Problem> {
    let (parts, _) = request.into_parts();
    let caller = authenticate(app, &parts, arrival)?;
    let Query(query) = Query::<LogQuery>::try_from_uri(&parts.uri).map_err(|error| {
        let detail = format!(
            "{error}. Known parameters: limit, cursor, state, provider, request_model, organization_id, \
             project_id, application_id, user_id, key_id, client_request_id, batch_id, since, until."
        );
        Problem::new(ProblemKind::InvalidRequest, detail)
    })?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 || limit > MAX_LIMIT {
        return Err(invalid("limit", &format!("limit is 1 to {MAX_LIMIT}.")));
    }
    let cursor = query.cursor.as_deref().map(read_cursor).transpose()?;
    let filter = filter(&caller, query)?;
    let page = app
        .store
        .list_calls(&filter, cursor, limit)
        .await
        .map_err(IntoProblem::into_problem)?;
    Ok(Page {
        items: adjusted_views(&app.store, &page.calls)
            .await
            .map_err(IntoProblem::into_problem)?,
        next_cursor: page.next.map(|cursor| write_cursor(&cursor)),
    })
}

/// The call of that identifier, if the caller may see it.
async fn find(app: &App, arrival: &Arrival, id: &str, request: Request) -> Result<Call, Problem> {
    let (parts, _) = request.into_parts();
    let caller = authenticate(app, &parts, arrival)?;
    let missing = || {
        Problem::new(
            ProblemKind::NotFound,
            format!("There is no call '{id}' that you may see."),
        )
    };
    let id: RequestId = id.parse().map_err(|_| missing())?;
    let call = app
        .store
        .call(id)
        .await
        .map_err(IntoProblem::into_problem)?;
    let is_theirs = |call: &Call| {
        caller.is_operator()
            || call.key_id == caller.key_id()
            || (caller.is_admin() && call.organization_id == caller.organization_id())
    };
    call.filter(is_theirs).ok_or_else(missing)
}

fn filter(caller: &Caller, query: LogQuery) -> Result<CallFilter, Problem> {
    let state = query.state.as_deref().map(|word| {
        CallState::from_word(word).ok_or_else(|| {
            invalid(
                "state",
                "state is one of settled, estimated, cancelled, failed.",
            )
        })
    });
    let key_id = id("key_id", query.key_id.as_deref())?;
    Ok(CallFilter {
        organization_id: if caller.is_operator() {
            id("organization_id", query.organization_id.as_deref())?
        } else {
            Some(caller.organization_id())
        },
        project_id: id("project_id", query.project_id.as_deref())?,
        application_id: id("application_id", query.application_id.as_deref())?,
        user_id: id("user_id", query.user_id.as_deref())?,
        key_id: if caller.is_admin() {
            key_id
        } else {
            Some(caller.key_id())
        },
        client_request_id: query.client_request_id,
        batch_id: id("batch_id", query.batch_id.as_deref())?,
        state: state.transpose()?,
        provider: query.provider,
        request_model: query.request_model,
        since: query.since,
        until: query.until,
    })
}

/// The identifier that a parameter holds.
fn id<T: FromStr<Err = InvalidId>>(param: &str, text: Option<&str>) -> Result<Option<T>, Problem> {
    text.map(|text| {
        text.parse()
            .map_err(|error| invalid(param, &format!("{error}.")))
    })
    .transpose()
}

/// Calls as the API shows them, with `adjusted_cost_usd` where a cost was corrected afterwards.
pub async fn adjusted_views(store: &Store, calls: &[Call]) -> Result<Vec<Value>, StoreError> {
    let ids: Vec<RequestId> = calls.iter().map(|call| call.request_id).collect();
    let adjusted = store.adjusted(&ids).await?;
    let mut views: Vec<Value> = calls.iter().map(view).collect();
    for adjusted in adjusted {
        let place = calls
            .iter()
            .position(|call| call.request_id == adjusted.request_id);
        let Some((place, call)) = place.and_then(|place| Some((place, calls.get(place)?))) else {
            continue;
        };
        let cost = call
            .cost_usd
            .unwrap_or_default()
            .saturating_add(adjusted.amount);
        if let Some(fields) = views.get_mut(place).and_then(Value::as_object_mut) {
            fields.insert("adjusted_cost_usd".to_owned(), json!(cost));
        }
    }
    Ok(views)
}

/// A call as the API shows it: the record, with `overhead_ms` in the unit that readers expect.
pub fn view(call: &Call) -> Value {
    let mut view = json!(call);
    if let Some(fields) = view.as_object_mut() {
        fields.remove("overhead_us");
        #[expect(clippy::cast_precision_loss, reason = "shown, not computed with")]
        let overhead_ms = call.overhead_us as f64 / 1000.0;
        fields.insert("overhead_ms".to_owned(), json!(overhead_ms));
    }
    view
}

pub fn write_cursor(cursor: &CallCursor) -> String {
    format!(
        "{}.{}",
        cursor.started_at.as_microsecond(),
        cursor.request_id
    )
}

pub fn read_cursor(text: &str) -> Result<CallCursor, Problem> {
    let read = || {
        let (micros, id) = text.split_once('.')?;
        let started_at = Timestamp::from_microsecond(micros.parse().ok()?).ok()?;
        Some(CallCursor {
            started_at,
            request_id: id.parse().ok()?,
        })
    };
    read().ok_or_else(|| {
        invalid(
            "cursor",
            "cursor is what next_cursor said on the page before.",
        )
    })
}

fn invalid(param: &str, detail: &str) -> Problem {
    Problem::new(ProblemKind::InvalidRequest, detail).with_param(param)
}
