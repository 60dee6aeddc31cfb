//! `/api/v1/admin/keys`

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::id::KeyId;
use domain::key::{Budget, ModelPattern, Period, Rate, Role, VirtualKey};
use domain::limit::{Priority, QueueRules};
use domain::problem::{Problem, ProblemKind};
use identity::desk::NewKey;
use identity::tenants::{Holder, Placement};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin;
use super::envelope::{Page, created, failure, success};
use super::limits::{QueueBody, queue_view};
use super::problem::IntoProblem;
use super::request::Arrival;
use super::tenants::parsed;
use crate::app::{App, Shared};

const PAGE: u32 = 100;

/// The body of `POST /api/v1/admin/keys`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    name: String,
    #[serde(default = "every_model")]
    models: Vec<String>,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    rate: RateBody,
    priority: Option<String>,
    budget: Option<BudgetView>,
    #[serde(default)]
    admin: bool,
    expires_at: Option<Timestamp>,
    project_id: Option<String>,
    application_id: Option<String>,
    user_id: Option<String>,
}

/// A rate as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RateBody {
    rpm: Option<u32>,
    tpm: Option<u64>,
    concurrency: Option<u32>,
    queue: Option<QueueBody>,
}

/// A budget as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetView {
    usd: Value,
    per: Period,
}

/// The body of `POST /api/v1/admin/keys/{id}/rotate`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RotateKey {
    grace_seconds: u64,
}

fn every_model() -> Vec<String> {
    vec!["*".to_owned()]
}

/// `POST /api/v1/admin/keys`: makes a key; its text is in the answer, this once.
pub async fn create(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let made = async {
        let (administrator, new) = admin::body::<CreateKey>(&app, &arrival, request).await?;
        let holder = Holder {
            project_id: parsed("project_id", new.project_id.as_deref())?,
            application_id: parsed("application_id", new.application_id.as_deref())?,
            user_id: parsed("user_id", new.user_id.as_deref())?,
        };
        let (reach, own) = (administrator.reach, administrator.project_id);
        let placement = app.tenants.place(reach, own, holder).await;
        let new = new_key(new, placement.map_err(IntoProblem::into_problem)?)?;
        app.desk.issue(new).await.map_err(IntoProblem::into_problem)
    };
    match made.await {
        Ok((key, text)) => created(&arrival, &with_text(&key, text.reveal())),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// `GET /api/v1/admin/keys`: keys of the configuration first, then those of the store, newest first.
/// Never their texts.
pub async fn list(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    match page(&app, &arrival, request).await {
        Ok(page) => success(&arrival, &page),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// `POST /api/v1/admin/keys/{id}/rotate`: gives a key a new text; the old one stays good for
/// `grace_seconds`.
pub async fn rotate(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let rotated = async {
        let (administrator, body) = admin::body::<RotateKey>(&app, &arrival, request).await?;
        let grace = Duration::from_secs(body.grace_seconds);
        app.desk
            .rotate(administrator.reach, key_id(&id)?, grace)
            .await
            .map_err(IntoProblem::into_problem)
    };
    match rotated.await {
        Ok((key, text)) => success(&arrival, &with_text(&key, text.reveal())),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// `DELETE /api/v1/admin/keys/{id}`: revokes a key.
pub async fn revoke(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let revoked = async {
        let (parts, _) = request.into_parts();
        let administrator = admin::administrator(&app, &parts, &arrival)?;
        app.desk
            .revoke(administrator.reach, key_id(&id)?)
            .await
            .map_err(IntoProblem::into_problem)
    };
    match revoked.await {
        Ok(key) => success(&arrival, &view(&key)),
        Err(problem) => failure(&arrival, &problem),
    }
}

async fn page(app: &App, arrival: &Arrival, request: Request) -> Result<Page<Value>, Problem> {
    let (parts, _) = request.into_parts();
    let administrator = admin::administrator(app, &parts, arrival)?;
    let before = admin::cursor(&parts).map(key_id).transpose()?;
    let stored = app
        .desk
        .list(administrator.reach, before, PAGE)
        .await
        .map_err(IntoProblem::into_problem)?;
    let is_full = stored.len() == PAGE as usize;
    let next_cursor = stored
        .last()
        .filter(|_| is_full)
        .map(|key| key.id.to_string());
    let configured = if before.is_none() {
        app.ring.configured()
    } else {
        Vec::new()
    };
    let items = configured
        .iter()
        .filter(|key| administrator.reach.covers(key.organization_id))
        .map(|key| view(key))
        .chain(stored.iter().map(view))
        .collect();
    Ok(Page { items, next_cursor })
}

fn new_key(new: CreateKey, placement: Placement) -> Result<NewKey, Problem> {
    let invalid = |param: &str, detail: String| {
        Problem::new(ProblemKind::InvalidRequest, detail).with_param(param)
    };
    let addresses = new
        .addresses
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>();
    let budget = new.budget.map(|budget| {
        let amount = match &budget.usd {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        amount.parse().map(|limit| Budget {
            limit,
            per: budget.per,
        })
    });
    let priority = match new.priority.as_deref() {
        None => Priority::default(),
        Some(word) => Priority::from_word(word).ok_or_else(|| {
            let detail = format!("`priority` is low, normal or high, not '{word}'.");
            invalid("priority", detail)
        })?,
    };
    Ok(NewKey {
        name: new.name,
        placement,
        role: if new.admin { Role::Admin } else { Role::Member },
        models: new.models.into_iter().map(ModelPattern::new).collect(),
        addresses: addresses.map_err(|error| invalid("addresses", format!("{error}.")))?,
        rate: Rate {
            rpm: new.rate.rpm,
            tpm: new.rate.tpm,
            concurrency: new.rate.concurrency,
            queue: new.rate.queue.map(QueueRules::from),
        },
        priority,
        budget: budget
            .transpose()
            .map_err(|error| invalid("budget.usd", format!("{error}.")))?,
        expires_at: new.expires_at,
    })
}

fn key_id(text: &str) -> Result<KeyId, Problem> {
    text.parse()
        .map_err(|error| Problem::new(ProblemKind::NotFound, format!("No key: {error}.")))
}

/// A key as it is shown: never its text, never its hash.
pub fn view(key: &VirtualKey) -> Value {
    json!({
        "id": key.id,
        "organization_id": key.organization_id,
        "project_id": key.project_id,
        "application_id": key.application_id,
        "user_id": key.user_id,
        "name": key.name,
        "role": key.role.as_str(),
        "prefix": key.prefix,
        "last_four": key.last_four,
        "models": key.models.iter().map(ModelPattern::as_str).collect::<Vec<_>>(),
        "addresses": key.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "rate": {
            "rpm": key.rate.rpm,
            "tpm": key.rate.tpm,
            "concurrency": key.rate.concurrency,
            "queue": key.rate.queue.map(queue_view),
        },
        "priority": key.priority.as_str(),
        "budget": key.budget.map(|budget| json!({ "usd": budget.limit, "per": budget.per })),
        "read_only": key.origin == domain::key::Origin::Configuration,
        "created_at": key.created_at,
        "rotated_at": key.rotated_at,
        "previous_valid_until": key.previous.map(|previous| previous.until),
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    })
}

fn with_text(key: &VirtualKey, text: &str) -> Value {
    let mut view = view(key);
    if let Some(fields) = view.as_object_mut() {
        fields.insert("key".to_owned(), json!(text));
    }
    view
}
