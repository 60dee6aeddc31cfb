//! `/api/v1/admin/routes`

use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::caller::Caller;
use domain::name::ModelName;
use domain::problem::{Problem, ProblemKind};
use gateway::routes::condition::Condition;
use gateway::routes::explain::Supposed;
use gateway::routes::shadow::ShadowRules;
use gateway::routes::{Lead, Route, RouteMember, RouteTarget, Sticky, When};
use gateway::{ChatError, routes::Routes};
use serde_json::{Value, json};

use super::auth::authenticate_admin;
use super::call::read;
use super::envelope::{Page, failure, success};
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::{App, Shared};

const PAGE: usize = 100;

/// `GET /api/v1/admin/routes`: the routes of the configuration, by name.
pub async fn list(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let (parts, _) = request.into_parts();
    match authenticate_admin(&app, &parts, &arrival) {
        Ok(_) => success(&arrival, &page(&app.gateway.routes(), parts.uri.query())),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// `POST /api/v1/admin/routes/explain`: where a chat request would go, and why.
pub async fn explain(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let explained = async {
        let (parts, body) = request.into_parts();
        let admin = authenticate_admin(&app, &parts, &arrival)?;
        let body = read(body, app.max_body).await?;
        let supposed =
            Supposed::read(&body).map_err(|error| ChatError::from(error).into_problem())?;
        let caller = caller(&app, admin, &supposed)?;
        let explained = app.gateway.explain(&caller, &supposed);
        explained.map_err(|error| ChatError::from(error).into_problem())
    };
    match explained.await {
        Ok(explanation) => success(&arrival, &explanation),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// Who is supposed to ask: the holder of the key that is named, or whoever wants it explained.
fn caller(app: &App, admin: Caller, supposed: &Supposed) -> Result<Caller, Problem> {
    let Some(id) = supposed.key_id() else {
        return Ok(admin);
    };
    app.ring.holder(id).ok_or_else(|| {
        let detail = format!("There is no key {id}. GET /api/v1/admin/keys lists those that are.");
        Problem::new(ProblemKind::NotFound, detail).with_param("key_id")
    })
}

/// A hundred routes from the cursor on, which is the last name before them in base 64.
fn page(routes: &Routes, query: Option<&str>) -> Page<Value> {
    let cursor = query.and_then(|query| {
        let mut pairs = query.split('&');
        pairs.find_map(|pair| pair.strip_prefix("cursor="))
    });
    let after = cursor.and_then(|cursor| {
        let name = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        String::from_utf8(name).ok()
    });
    let after = after.unwrap_or_default();
    let mut following = routes
        .configured()
        .filter(|(name, _)| name.as_str() > after.as_str());
    let mut last = None;
    let items = following
        .by_ref()
        .take(PAGE)
        .map(|(name, route)| {
            last = Some(name);
            view(name, route)
        })
        .collect();
    let goes_on = following.next().is_some();
    let last = last.filter(|_| goes_on);
    Page {
        items,
        next_cursor: last.map(|name| URL_SAFE_NO_PAD.encode(name.as_str())),
    }
}

/// A route as it is shown.
pub fn view(name: &ModelName, route: &Route) -> Value {
    let sharing = &route.sharing;
    json!({
        "name": name,
        "strategy": sharing.strategy.as_str(),
        "sticky": sharing.sticky.iter().map(|it| Sticky::as_str(*it)).collect::<Vec<_>>(),
        "regions": sharing.regions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "strict": route.strict,
        "targets": route.targets.iter().map(member).collect::<Vec<_>>(),
        "fallback": fallbacks(route, When::Always),
        "fallback_context_window": fallbacks(route, When::ContextWindow),
        "fallback_content_policy": fallbacks(route, When::ContentPolicy),
        "fallback_rate_limit": fallbacks(route, When::RateLimit),
        "continue": route.continues,
        "safe_reply": route.safe_reply,
        "shadow": route.shadow.as_ref().map(shadow),
        "read_only": true,
    })
}

fn shadow(rules: &ShadowRules) -> Value {
    json!({
        "model": model(&rules.target),
        "share_percent": f64::from(rules.share.hundredths()) / 100.0,
        "budget": { "usd": rules.budget.limit, "per": rules.budget.per },
    })
}

/// The fallbacks that are there for one purpose.
fn fallbacks(route: &Route, when: When) -> Vec<String> {
    let fallbacks = route.fallback.iter().filter(|it| it.when == when);
    fallbacks.map(|it| model(&it.target)).collect()
}

fn member(member: &RouteMember) -> Value {
    let mut view = match &member.lead {
        Lead::Model(target) => json!({ "model": model(target) }),
        Lead::Route(name) => json!({ "route": name }),
        Lead::Equivalents { class, floor } => json!({ "equivalents": class, "min_quality": floor }),
    };
    let terms = json!({
        "weight": member.weight,
        "priority": member.priority,
        "region": member.region.as_ref().map(ToString::to_string),
        "when": member.when.as_ref().map(Condition::as_str),
        "rollout_percent": member.rollout.map(|share| f64::from(share.hundredths()) / 100.0),
        "variant": member.variant,
        "quality": member.quality,
    });
    if let (Some(view), Value::Object(terms)) = (view.as_object_mut(), terms) {
        view.extend(terms.into_iter().filter(|(_, value)| !value.is_null()));
    }
    view
}

fn model(target: &RouteTarget) -> String {
    format!("{}/{}", target.provider, target.model)
}
