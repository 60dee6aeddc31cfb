//! `/api/v1/admin/cache`

pub mod warm;

use axum::extract::{Request, State};
use axum::response::Response;
use domain::cache::CacheTenant;
use domain::id::{OrganizationId, RequestId};
use domain::problem::{Problem, ProblemKind};
use gateway::cache::{Cache, Evicted};
use identity::tenants::Reach;
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin;
use super::envelope::{failure, success};
use super::request::Arrival;
use super::tenants::parsed;
use crate::app::{App, Shared};
use crate::telemetry::Causes;

/// Whose answers are meant.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    organization_id: Option<String>,
    project_id: Option<String>,
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// The body of `POST /api/v1/admin/cache/feedback`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    request_id: String,
    verdict: Verdict,
}

/// What somebody thinks of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// It is not one to what was asked.
    Wrong,
    /// It is.
    Right,
}

/// `GET /api/v1/admin/cache`: what happened since this process began, and what it keeps. It counts every
/// organisation's, so it needs an administrator of the whole installation.
pub async fn stats(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let (parts, _) = request.into_parts();
    let stats = admin::operator(&app, &parts, &arrival)
        .and_then(|()| cache(&app))
        .map(|cache| json!(cache.stats()));
    match stats {
        Ok(stats) => success(&arrival, &stats),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// `GET /api/v1/admin/cache/prompts`: what each key has had written into vendors' prompt caches and has read of
/// it, in the last day at this process; an organisation's administrator sees its own keys.
pub async fn prompts(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let report = async {
        let (administrator, Nothing {}): (_, Nothing) = admin::query(&app, &arrival, request, "")?;
        let organization = reached(administrator.reach, None)?;
        let routes = app.gateway.routes();
        let now = app.clock.now();
        Ok(json!(app.prompt_watch.report(organization, &routes, now)))
    };
    answered(&arrival, report.await)
}

/// `DELETE /api/v1/admin/cache`: forgets answers, of one tenant or of all; an organisation's administrator
/// reaches its own only.
pub async fn purge(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let purged = async {
        let known = "organization_id, project_id";
        let (administrator, tenant): (_, Tenant) = admin::query(&app, &arrival, request, known)?;
        let asked = parsed("organization_id", tenant.organization_id.as_deref())?;
        let tenant = CacheTenant {
            organization_id: reached(administrator.reach, asked)?,
            project_id: parsed("project_id", tenant.project_id.as_deref())?,
        };
        let purged = cache(&app)?.purge(tenant).await.map_err(|error| {
            tracing::warn!(error = %Causes(&error), "shared answers could not be purged");
            let detail = "This process has forgotten its answers; those that replicas share could not be \
                          reached. Try again.";
            Problem::new(ProblemKind::Unavailable, detail)
        })?;
        Ok(json!({ "purged": purged }))
    };
    answered(&arrival, purged.await)
}

/// `POST /api/v1/admin/cache/feedback`: has a wrong answer forgotten.
pub async fn feedback(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let evicted = async {
        let (administrator, feedback): (_, Feedback) = admin::body(&app, &arrival, request).await?;
        let id: RequestId = feedback.request_id.parse().map_err(|error| {
            let detail = format!("request_id: {error}.");
            Problem::new(ProblemKind::InvalidRequest, detail).with_param("request_id")
        })?;
        let tenant = CacheTenant {
            organization_id: reached(administrator.reach, None)?,
            project_id: None,
        };
        let cache = cache(&app)?;
        if feedback.verdict == Verdict::Right {
            return Ok(json!({ "evicted": false, "told": false }));
        }
        let evicted = cache.evict(id, tenant).await.map_err(|error| {
            tracing::warn!(error = %Causes(&error), "other replicas could not be told to forget an answer");
            let detail = "This process does not know the call, and the other replicas could not be told. Try \
                          again.";
            Problem::new(ProblemKind::Unavailable, detail)
        })?;
        Ok(json!({
            "evicted": evicted == Evicted::Here,
            "told": evicted == Evicted::Told,
        }))
    };
    answered(&arrival, evicted.await)
}

/// The organisation whose answers are meant, `None` being all; somebody else's is answered as unknown.
fn reached(reach: Reach, asked: Option<OrganizationId>) -> Result<Option<OrganizationId>, Problem> {
    match reach {
        Reach::Installation => Ok(asked),
        Reach::Organization(own) if asked.is_none_or(|asked| asked == own) => Ok(Some(own)),
        Reach::Organization(_) => {
            let detail = "There is no such organization.";
            Err(Problem::new(ProblemKind::NotFound, detail).with_param("organization_id"))
        }
    }
}

fn answered(arrival: &Arrival, answer: Result<Value, Problem>) -> Response {
    match answer {
        Ok(answer) => success(arrival, &answer),
        Err(problem) => failure(arrival, &problem),
    }
}

fn cache(app: &App) -> Result<&Cache, Problem> {
    app.cache.as_deref().ok_or_else(|| {
        let detail = "No answers are kept: `cache.exact` is not in the configuration.";
        Problem::new(ProblemKind::NotFound, detail)
    })
}
