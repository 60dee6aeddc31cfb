//! What `/api/ai/chat` has beside a chat of any face: what it says to the gateway, and the provider's name and the
//! cost in the answer.

use domain::problem::{Problem, ProblemKind};
use gateway::Inbound;
use gateway::reply::Reply;
use gateway::routes::Wishes;
use http::HeaderValue;
use providers::application::{CacheSettings, Settings, settings, with_provider};

use crate::app::App;

/// What a request says of the cache, as every face may.
const CACHE: &str = "x-trunkline-cache";

/// Reads of a request what its body says to the gateway and not to the model.
pub fn ask(app: &App, inbound: &mut Inbound) -> Result<(), Problem> {
    // The answer says what it cost.
    inbound.report.cost = true;
    let settings = settings(&inbound.body).map_err(|invalid| Problem {
        param: invalid.param,
        ..Problem::new(ProblemKind::InvalidRequest, invalid.detail)
    })?;
    if let Some(directives) = directives(settings.cache) {
        inbound.asked.headers.append(CACHE, directives);
    }
    if settings.wish_nothing() {
        return Ok(());
    }
    let is_unknown = |model| app.gateway.routes().plan(model).is_err();
    if settings.model.as_ref().is_some_and(is_unknown) {
        inbound.asked.model = settings.model_at_preferred();
    }
    inbound.wishes = Some(Box::new(wishes(settings)));
    Ok(())
}

fn wishes(settings: Settings) -> Wishes {
    Wishes {
        provider: settings.preferred_provider,
        order: settings.fallback_order,
        has_no_fallback: settings.fallback_enabled == Some(false),
        performance: settings.performance_weighting,
        is_cheapest: settings.cost_optimization_enabled,
        attempts: settings.max_retries.map(|retries| retries + 1),
    }
}

fn directives(cache: CacheSettings) -> Option<HeaderValue> {
    match cache {
        CacheSettings {
            enabled: Some(false),
            ..
        } => Some(HeaderValue::from_static("no-cache, no-store")),
        CacheSettings {
            ttl_seconds: Some(seconds),
            ..
        } => HeaderValue::try_from(format!("ttl={seconds}")).ok(),
        CacheSettings { .. } => None,
    }
}

/// Puts the provider's name into a whole answer.
pub fn show(reply: Reply) -> Reply {
    match reply {
        Reply::Whole {
            facts,
            content_type,
            body,
        } => Reply::Whole {
            body: with_provider(&body, &facts.provider),
            facts,
            content_type,
        },
        stream @ Reply::Stream { .. } => stream,
    }
}
