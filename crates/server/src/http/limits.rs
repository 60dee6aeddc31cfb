//! `/api/v1/admin/limits`, and `/api/v1/admin/budgets`, which are the limits of dollars.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::id::LimitId;
use domain::key::Origin;
use domain::limit::{Bound, Limit, Part, QueueRules, Scope};
use domain::money::Cost;
use domain::problem::{Problem, ProblemKind};
use gateway::limits::Usage;
use gateway::limits::desk::{LimitError, NewLimit, USUAL_ALERTS};
use identity::tenants::Reach;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::admin;
use super::envelope::{Page, created, failure, success};
use super::problem::{IntoProblem, capitalised};
use super::request::Arrival;
use crate::app::{App, Shared};
use crate::scope::nobody;

const PAGE: u32 = 100;
/// How many of those that a limit counts apart are shown with it, those with the most first.
const SHOWN: usize = 100;

/// The body of `POST /api/v1/admin/limits`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitBody {
    name: String,
    organization: Option<String>,
    project: Option<String>,
    user: Option<String>,
    application: Option<String>,
    key: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    requests: Option<u64>,
    tokens: Option<u64>,
    concurrency: Option<u64>,
    usd: Option<Value>,
    per: Option<String>,
    queue: Option<QueueBody>,
    alerts: Option<Vec<u8>>,
}

/// How calls wait, as it is written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueBody {
    max_wait_seconds: u64,
    #[serde(default = "usual_waiting")]
    max_waiting: u32,
}

fn usual_waiting() -> u32 {
    QueueRules::USUAL_WAITING
}

impl From<QueueBody> for QueueRules {
    fn from(body: QueueBody) -> Self {
        Self {
            max_wait: Duration::from_secs(body.max_wait_seconds),
            max_waiting: body.max_waiting,
        }
    }
}

/// Which of the limits a path is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    Budgets,
}

impl Which {
    fn holds(self, limit: &Limit) -> bool {
        self == Self::All || matches!(limit.bound, Bound::Dollars { .. })
    }
}

/// `POST /api/v1/admin/limits`: makes a limit.
pub async fn create(State(app): State<Shared>, request: Request) -> Response {
    make(&app, request, Which::All).await
}

/// `POST /api/v1/admin/budgets`: makes a limit of dollars.
pub async fn create_budget(State(app): State<Shared>, request: Request) -> Response {
    make(&app, request, Which::Budgets).await
}

/// `GET /api/v1/admin/limits`: limits of the configuration first, then those of the store, newest first, each
/// with how much of it is used up.
pub async fn list(State(app): State<Shared>, request: Request) -> Response {
    listed(&app, request, Which::All).await
}

/// `GET /api/v1/admin/budgets`: the same of dollars only.
pub async fn list_budgets(State(app): State<Shared>, request: Request) -> Response {
    listed(&app, request, Which::Budgets).await
}

/// `GET /api/v1/admin/limits/{id}`: one limit.
pub async fn show(State(app): State<Shared>, Path(id): Path<String>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let found = async {
        let (parts, _) = request.into_parts();
        admin::operator(&app, &parts, &arrival)?;
        let id = limit_id(&id)?;
        let found = app.limit_desk.find(id).await;
        let found = found.map_err(IntoProblem::into_problem)?;
        found.ok_or_else(|| LimitError::NoSuchLimit(id).into_problem())
    };
    match found.await {
        Ok(limit) => success(&arrival, &with_usage(&app, &limit)),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// `PUT /api/v1/admin/limits/{id}`: puts a limit in the place of the one that is there.
pub async fn replace(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let replaced = async {
        let body: LimitBody = operators_body(&app, &arrival, request).await?;
        let new = new_limit(&app, body, Which::All).await?;
        let replaced = app.limit_desk.replace(limit_id(&id)?, new).await;
        replaced.map_err(IntoProblem::into_problem)
    };
    match replaced.await {
        Ok(limit) => success(&arrival, &with_usage(&app, &limit)),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// `DELETE /api/v1/admin/limits/{id}`: removes a limit.
pub async fn remove(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let removed = async {
        let (parts, _) = request.into_parts();
        admin::operator(&app, &parts, &arrival)?;
        let removed = app.limit_desk.remove(limit_id(&id)?).await;
        removed.map_err(IntoProblem::into_problem)
    };
    match removed.await {
        Ok(limit) => success(&arrival, &view(&limit)),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// The body of an administrator of the whole installation.
async fn operators_body(
    app: &App,
    arrival: &Arrival,
    request: Request,
) -> Result<LimitBody, Problem> {
    let (administrator, body) = admin::body(app, arrival, request).await?;
    match administrator.reach {
        Reach::Installation => Ok(body),
        Reach::Organization(_) => Err(Problem::new(
            ProblemKind::PermissionDenied,
            "This needs an administrator of the whole installation.",
        )),
    }
}

async fn make(app: &App, request: Request, which: Which) -> Response {
    let arrival = Arrival::of(&request);
    let made = async {
        let body: LimitBody = operators_body(app, &arrival, request).await?;
        let new = new_limit(app, body, which).await?;
        let made = app.limit_desk.add(new).await;
        made.map_err(IntoProblem::into_problem)
    };
    match made.await {
        Ok(limit) => created(&arrival, &with_usage(app, &limit)),
        Err(problem) => failure(&arrival, &problem),
    }
}

async fn listed(app: &App, request: Request, which: Which) -> Response {
    let arrival = Arrival::of(&request);
    let page = async {
        let (parts, _) = request.into_parts();
        admin::operator(app, &parts, &arrival)?;
        let before = admin::cursor(&parts).map(limit_id).transpose()?;
        let stored = app.limit_desk.list(before, PAGE).await;
        let stored = stored.map_err(IntoProblem::into_problem)?;
        let is_full = stored.len() == PAGE as usize;
        let last = stored.last().filter(|_| is_full);
        let next_cursor = last.map(|limit| limit.id.to_string());
        let configured = match before {
            None => app.limit_desk.configured().await,
            Some(_) => Vec::new(),
        };
        let limits = configured.iter().chain(&stored);
        let shown = limits.filter(|limit| which.holds(limit));
        Ok::<_, Problem>(Page {
            items: shown.map(|limit| with_usage(app, limit)).collect(),
            next_cursor,
        })
    };
    match page.await {
        Ok(page) => success(&arrival, &page),
        Err(problem) => failure(&arrival, &problem),
    }
}

async fn new_limit(app: &App, body: LimitBody, which: Which) -> Result<NewLimit, Problem> {
    let parts = [
        ("organization", &body.organization),
        ("project", &body.project),
        ("user", &body.user),
        ("application", &body.application),
        ("key", &body.key),
        ("provider", &body.provider),
        ("model", &body.model),
    ];
    let parts = parts
        .iter()
        .filter_map(|(part, text)| Some((*part, text.as_deref()?)));
    let scope = Scope::of_parts(parts)
        .map_err(|error| invalid(&error.part.clone(), format!("{error}.")))?;
    exists(app, &scope).await?;
    let bound = bound(&body)?;
    if which == Which::Budgets && !matches!(bound, Bound::Dollars { .. }) {
        return Err(invalid("usd", "A budget is a limit of `usd`.".to_owned()));
    }
    let is_budget = matches!(bound, Bound::Dollars { .. });
    let usual = if is_budget {
        USUAL_ALERTS.to_vec()
    } else {
        Vec::new()
    };
    Ok(NewLimit {
        name: body.name,
        scope,
        bound,
        queue: body.queue.map(QueueRules::from),
        alerts: body.alerts.unwrap_or(usual),
    })
}

/// Refuses a limit of somebody whom there is not, or of such a provider: it would silently limit nothing.
async fn exists(app: &App, scope: &Scope) -> Result<(), Problem> {
    if let Part::Only(provider) = &scope.provider
        && app.gateway.routes().provider(provider.as_str()).is_none()
    {
        let detail = format!("No provider is called '{provider}'.");
        return Err(invalid("provider", detail));
    }
    let nobody = nobody(scope, &app.ring, &app.store).await;
    match nobody.map_err(IntoProblem::into_problem)? {
        Some(nobody) => {
            let detail = format!("{}.", capitalised(&nobody.to_string()));
            Err(invalid(nobody.part, detail))
        }
        None => Ok(()),
    }
}

fn bound(body: &LimitBody) -> Result<Bound, Problem> {
    let usd = body.usd.as_ref().map(|usd| match usd {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let usd = usd.map(|text| text.parse::<Cost>()).transpose();
    let usd = usd.map_err(|error| invalid("usd", format!("{error}.")))?;
    let units = |cost: Cost| u64::try_from(cost.nano_dollars()).ok();
    let usd = usd.map(|cost| {
        let below = || invalid("usd", "A budget is not negative.".to_owned());
        units(cost).ok_or_else(below)
    });
    let given = [
        ("requests", body.requests),
        ("tokens", body.tokens),
        ("concurrency", body.concurrency),
        ("usd", usd.transpose()?),
    ];
    let mut given = given
        .into_iter()
        .filter_map(|(measure, most)| Some((measure, most?)));
    let (Some((measure, most)), None) = (given.next(), given.next()) else {
        let detail = "A limit has one of `requests`, `tokens`, `concurrency` and `usd`.";
        return Err(invalid("requests", detail.to_owned()));
    };
    Bound::from_words(measure, most, body.per.as_deref()).ok_or_else(|| {
        let detail = match measure {
            "concurrency" => "`concurrency` has no `per`: it is counted at every moment.",
            "usd" => "`per` is one of hour, day, week, month and total.",
            _ => "`per` is one of minute, hour and day.",
        };
        invalid("per", detail.to_owned())
    })
}

fn limit_id(text: &str) -> Result<LimitId, Problem> {
    text.parse()
        .map_err(|error| Problem::new(ProblemKind::NotFound, format!("No limit: {error}.")))
}

fn invalid(param: &str, detail: String) -> Problem {
    Problem::new(ProblemKind::InvalidRequest, detail).with_param(param)
}

/// How calls wait, as it is shown.
pub(super) fn queue_view(queue: QueueRules) -> Value {
    json!({
        "max_wait_seconds": queue.max_wait.as_secs_f64(),
        "max_waiting": queue.max_waiting,
    })
}

/// A limit as it is shown.
pub fn view(limit: &Limit) -> Value {
    let mut view = Map::new();
    view.insert("id".to_owned(), json!(limit.id));
    view.insert("name".to_owned(), json!(limit.name));
    for (part, text) in limit.scope.parts() {
        view.insert(part.to_owned(), json!(text));
    }
    let most = match limit.bound {
        Bound::Dollars { most, .. } => json!(most),
        bound => json!(bound.most()),
    };
    view.insert(limit.bound.measure().to_owned(), most);
    if let Some(per) = limit.bound.per() {
        view.insert("per".to_owned(), json!(per));
    }
    if let Some(queue) = limit.queue {
        view.insert("queue".to_owned(), queue_view(queue));
    }
    if matches!(limit.bound, Bound::Dollars { .. }) {
        view.insert("alerts".to_owned(), json!(limit.alerts));
    }
    let read_only = limit.origin == Origin::Configuration;
    view.insert("read_only".to_owned(), json!(read_only));
    view.insert("created_at".to_owned(), json!(limit.created_at));
    Value::Object(view)
}

fn with_usage(app: &App, limit: &Limit) -> Value {
    let mut view = view(limit);
    let usage = app.limits.usage(limit.id, SHOWN);
    if let Some(fields) = view.as_object_mut() {
        let usage: Vec<Value> = usage.iter().map(used).collect();
        fields.insert("usage".to_owned(), json!(usage));
    }
    view
}

fn used(usage: &Usage) -> Value {
    let amount = |units: u64| match usage.bound {
        Bound::Dollars { .. } => {
            json!(Cost::from_nano_dollars(
                i64::try_from(units).unwrap_or(i64::MAX)
            ))
        }
        _ => json!(units),
    };
    json!({
        "subject": usage.subject,
        "taken": amount(usage.taken),
        "held": amount(usage.held),
        "left": amount(usage.bound.most().saturating_sub(usage.taken)),
        "waiting": usage.waiting,
        "resets_at": usage.resets_at,
    })
}
