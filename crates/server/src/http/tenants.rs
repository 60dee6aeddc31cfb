//! `/api/v1/admin/{organizations,projects,applications,users}`

use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use domain::problem::{Problem, ProblemKind};
use domain::tenant::{
    ProjectSettings, Tenant, TenantChange, TenantFilter, TenantId, TenantKind, TenantWord,
};
use identity::tenants::{NewTenant, NewTenantKind};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::admin;
use super::envelope::{Page, created, failure, success};
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::{App, Shared};

/// The most items of one page.
const MAX_LIMIT: u32 = 1_000;
const DEFAULT_LIMIT: u32 = 100;

/// The body of a `POST`; which fields it may have depends on the kind.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Create {
    name: String,
    organization_id: Option<String>,
    project_id: Option<String>,
    email: Option<String>,
    settings: Option<ProjectSettings>,
}

/// The body of a `PATCH`; what is left out stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    name: Option<String>,
    email: EmailChange,
    settings: Option<ProjectSettings>,
    archived: Option<bool>,
}

/// What may stand in the query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ListQuery {
    limit: Option<u32>,
    cursor: Option<String>,
    organization_id: Option<String>,
    project_id: Option<String>,
    archived: Option<bool>,
    /// A face's own key parameter; read by authentication.
    #[serde(rename = "key")]
    _key: Option<String>,
}

/// What becomes of a user's address: `null` forgets it.
#[derive(Debug, Default)]
enum EmailChange {
    #[default]
    None,
    Forget,
    Set(String),
}

impl<'de> Deserialize<'de> for EmailChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given: Option<String> = Option::deserialize(deserializer)?;
        Ok(given.map_or(Self::Forget, Self::Set))
    }
}

/// All tenants of a kind: `GET` lists them, newest first, `POST` makes one.
pub fn all(word: TenantWord) -> MethodRouter<Shared> {
    get(
        move |State(app): State<Shared>, request: Request| async move {
            let arrival = Arrival::of(&request);
            match page(&app, &arrival, word, request).await {
                Ok(page) => success(&arrival, &page),
                Err(problem) => failure(&arrival, &problem),
            }
        },
    )
    .post(
        move |State(app): State<Shared>, request: Request| async move {
            let arrival = Arrival::of(&request);
            match create(&app, &arrival, word, request).await {
                Ok(tenant) => created(&arrival, &view(&tenant)),
                Err(problem) => failure(&arrival, &problem),
            }
        },
    )
}

/// One tenant: `GET` shows it, `PATCH` changes it, `DELETE` takes it out of service.
pub fn one(word: TenantWord) -> MethodRouter<Shared> {
    let answered = |arrival: &Arrival, outcome: Result<Tenant, Problem>| -> Response {
        match outcome {
            Ok(tenant) => success(arrival, &view(&tenant)),
            Err(problem) => failure(arrival, &problem),
        }
    };
    get(
        move |State(app): State<Shared>, Path(id): Path<String>, request: Request| async move {
            let arrival = Arrival::of(&request);
            answered(&arrival, find(&app, &arrival, word, &id, request).await)
        },
    )
    .patch(
        move |State(app): State<Shared>, Path(id): Path<String>, request: Request| async move {
            let arrival = Arrival::of(&request);
            answered(&arrival, change(&app, &arrival, word, &id, request).await)
        },
    )
    .delete(
        move |State(app): State<Shared>, Path(id): Path<String>, request: Request| async move {
            let arrival = Arrival::of(&request);
            answered(&arrival, archive(&app, &arrival, word, &id, request).await)
        },
    )
}

async fn page(
    app: &App,
    arrival: &Arrival,
    word: TenantWord,
    request: Request,
) -> Result<Page<Value>, Problem> {
    let known = "limit, cursor, organization_id, project_id, archived";
    let (administrator, query) = admin::query::<ListQuery>(app, arrival, request, known)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 || limit > MAX_LIMIT {
        return Err(invalid("limit", &format!("limit is 1 to {MAX_LIMIT}.")));
    }
    let filter = TenantFilter {
        word,
        organization_id: parsed("organization_id", query.organization_id.as_deref())?,
        project_id: parsed("project_id", query.project_id.as_deref())?,
        archived: query.archived,
    };
    let cursor = query.cursor.as_deref().map(|text| word.parse_id(text));
    let before = cursor.transpose().map_err(|_| {
        invalid(
            "cursor",
            "cursor is what next_cursor said on the page before.",
        )
    })?;
    let tenants = app
        .tenants
        .list(administrator.reach, filter, before, limit)
        .await
        .map_err(IntoProblem::into_problem)?;
    let is_full = tenants.len() == limit as usize;
    let last = tenants.last().filter(|_| is_full);
    Ok(Page {
        next_cursor: last.map(|tenant| tenant.id().to_string()),
        items: tenants.iter().map(view).collect(),
    })
}

async fn create(
    app: &App,
    arrival: &Arrival,
    word: TenantWord,
    request: Request,
) -> Result<Tenant, Problem> {
    let (administrator, body) = admin::body::<Create>(app, arrival, request).await?;
    let new = new_tenant(word, body)?;
    app.tenants
        .create(administrator.reach, administrator.project_id, new)
        .await
        .map_err(IntoProblem::into_problem)
}

async fn find(
    app: &App,
    arrival: &Arrival,
    word: TenantWord,
    id: &str,
    request: Request,
) -> Result<Tenant, Problem> {
    let (parts, _) = request.into_parts();
    let administrator = admin::administrator(app, &parts, arrival)?;
    app.tenants
        .find(administrator.reach, tenant_id(word, id)?)
        .await
        .map_err(IntoProblem::into_problem)
}

async fn change(
    app: &App,
    arrival: &Arrival,
    word: TenantWord,
    id: &str,
    request: Request,
) -> Result<Tenant, Problem> {
    let (administrator, body) = admin::body::<Change>(app, arrival, request).await?;
    refuse_foreign(
        word,
        "email",
        !matches!(body.email, EmailChange::None),
        TenantWord::User,
    )?;
    refuse_foreign(
        word,
        "settings",
        body.settings.is_some(),
        TenantWord::Project,
    )?;
    let email = match body.email {
        EmailChange::None => None,
        EmailChange::Forget => Some(None),
        EmailChange::Set(text) => Some(parsed("email", Some(&text))?),
    };
    let change = TenantChange {
        name: parsed("name", body.name.as_deref())?,
        email,
        settings: body.settings.map(checked).transpose()?,
        archived_at: body.archived.map(|archived| archived.then_some(arrival.at)),
    };
    app.tenants
        .change(administrator.reach, tenant_id(word, id)?, &change)
        .await
        .map_err(IntoProblem::into_problem)
}

async fn archive(
    app: &App,
    arrival: &Arrival,
    word: TenantWord,
    id: &str,
    request: Request,
) -> Result<Tenant, Problem> {
    let (parts, _) = request.into_parts();
    let administrator = admin::administrator(app, &parts, arrival)?;
    app.tenants
        .archive(administrator.reach, tenant_id(word, id)?)
        .await
        .map_err(IntoProblem::into_problem)
}

fn new_tenant(word: TenantWord, body: Create) -> Result<NewTenant, Problem> {
    let is_below_organization = matches!(word, TenantWord::Project | TenantWord::User);
    if body.organization_id.is_some() && !is_below_organization {
        return Err(foreign(word, "organization_id"));
    }
    let has_project = body.project_id.is_some();
    refuse_foreign(word, "project_id", has_project, TenantWord::Application)?;
    refuse_foreign(word, "email", body.email.is_some(), TenantWord::User)?;
    refuse_foreign(
        word,
        "settings",
        body.settings.is_some(),
        TenantWord::Project,
    )?;
    let organization = parsed("organization_id", body.organization_id.as_deref())?;
    let kind = match word {
        TenantWord::Organization => NewTenantKind::Organization,
        TenantWord::Project => {
            NewTenantKind::Project(organization, checked(body.settings.unwrap_or_default())?)
        }
        TenantWord::Application => {
            NewTenantKind::Application(parsed("project_id", body.project_id.as_deref())?)
        }
        TenantWord::User => {
            NewTenantKind::User(organization, parsed("email", body.email.as_deref())?)
        }
    };
    let name = body.name.parse();
    Ok(NewTenant {
        name: name.map_err(|error| invalid("name", &sentence(&error)))?,
        kind,
    })
}

/// A tenant as it is shown.
pub fn view(tenant: &Tenant) -> Value {
    let mut view = json!({
        "id": tenant.id().to_string(),
        "organization_id": tenant.organization_id,
        "name": tenant.name.as_str(),
        "created_at": tenant.created_at,
        "archived_at": tenant.archived_at,
    });
    match &tenant.kind {
        TenantKind::Organization(_) => {}
        TenantKind::Project(_, settings) => view["settings"] = json!(settings),
        TenantKind::Application(_, project_id) => view["project_id"] = json!(project_id),
        TenantKind::User(_, email) => {
            view["email"] = json!(email.as_ref().map(domain::tenant::Email::as_str));
        }
    }
    view
}

fn tenant_id(word: TenantWord, text: &str) -> Result<TenantId, Problem> {
    word.parse_id(text).map_err(|error| {
        let detail = format!("There is no {} '{text}': {error}.", word.as_str());
        Problem::new(ProblemKind::NotFound, detail)
    })
}

/// A value that may be left out.
pub fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    param: &str,
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    text.map(|text| {
        text.parse()
            .map_err(|error| invalid(param, &sentence(&error)))
    })
    .transpose()
}

fn checked(settings: ProjectSettings) -> Result<ProjectSettings, Problem> {
    settings
        .checked()
        .map_err(|error| invalid(error.field(), &sentence(&error)))
}

fn refuse_foreign(
    word: TenantWord,
    field: &str,
    is_given: bool,
    owner: TenantWord,
) -> Result<(), Problem> {
    if is_given && word != owner {
        return Err(foreign(word, field));
    }
    Ok(())
}

fn foreign(word: TenantWord, field: &str) -> Problem {
    let detail = format!(
        "{field} is no field of a record of kind '{}'.",
        word.as_str()
    );
    invalid(field, &detail)
}

fn sentence(error: &impl std::fmt::Display) -> String {
    format!("{error}.")
}

fn invalid(param: &str, detail: &str) -> Problem {
    Problem::new(ProblemKind::InvalidRequest, detail).with_param(param)
}
