//! What an application's request says to the gateway and not to the model.

use domain::name::ModelName;
use serde_json::{Map, Value};

use super::read::object;
use crate::face::InvalidRequest;

/// The members that are not the model's.
pub(super) const NAMES: [&str; 7] = [
    "preferredProvider",
    "fallbackEnabled",
    "fallbackOrder",
    "costOptimizationEnabled",
    "performanceWeighting",
    "maxRetries",
    "cache",
];

/// How often one target may be asked again at most: each time holds the caller's connection.
pub const MAX_RETRIES: u32 = 9;

/// What a request says to the gateway. Providers are in lower case, as they are named.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// The model as it was asked for; `None` where its name says which provider's it is, or is no name.
    pub model: Option<ModelName>,
    /// The provider that is to be tried first.
    pub preferred_provider: Option<String>,
    /// Whether others are to be tried when the first does not answer; `None` leaves it to the route.
    pub fallback_enabled: Option<bool>,
    /// The providers that are to be tried after the first, in this order.
    pub fallback_order: Vec<String>,
    /// Whether the cheapest target is to be tried first.
    pub cost_optimization_enabled: bool,
    /// How much speed counts against cost, 0 to 1.
    pub performance_weighting: Option<f64>,
    /// How often one target is to be asked again, at most 9.
    pub max_retries: Option<u32>,
    /// What is said of the cache.
    pub cache: CacheSettings,
}

/// What a request says of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheSettings {
    /// Whether it may answer and keep the answer; `None` leaves it to the route.
    pub enabled: Option<bool>,
    /// How long the answer is kept, in seconds, at least 1.
    pub ttl_seconds: Option<u64>,
}

impl Settings {
    /// The model at the provider that is to be tried first.
    pub fn model_at_preferred(&self) -> Option<ModelName> {
        let provider = self.preferred_provider.as_ref()?;
        format!("{provider}/{}", self.model.as_ref()?).parse().ok()
    }

    /// Whether the choice of a target is left to the route.
    pub fn wish_nothing(&self) -> bool {
        let cache = self.cache;
        let model = self.model.clone();
        let nothing = Self {
            model,
            cache,
            ..Self::default()
        };
        *self == nothing
    }
}

/// Reads what a request says to the gateway.
pub fn settings(body: &[u8]) -> Result<Settings, InvalidRequest> {
    let request = object(body)?;
    // A model that is missing or no name is refused with the rest of the request.
    let model = request.get("model").and_then(Value::as_str);
    let model = model.filter(|model| !model.contains('/'));
    Ok(Settings {
        model: model.and_then(|model| model.parse().ok()),
        preferred_provider: said(&request, "preferredProvider", provider, A_PROVIDER)?,
        fallback_enabled: said(&request, "fallbackEnabled", Value::as_bool, A_SWITCH)?,
        fallback_order: said(&request, "fallbackOrder", providers, PROVIDERS)?.unwrap_or_default(),
        cost_optimization_enabled: said(
            &request,
            "costOptimizationEnabled",
            Value::as_bool,
            A_SWITCH,
        )?
        .unwrap_or_default(),
        performance_weighting: said(
            &request,
            "performanceWeighting",
            part,
            "a number from 0, cost only, to 1, speed only",
        )?,
        max_retries: said(
            &request,
            "maxRetries",
            retries,
            "a whole number from 0 to 9",
        )?,
        cache: match said(&request, "cache", Value::as_object, "an object")? {
            Some(cache) => cache_settings(cache)?,
            None => CacheSettings::default(),
        },
    })
}

const A_PROVIDER: &str = "a provider's name such as \"OPENAI\"";
const PROVIDERS: &str = "a list of providers' names such as [\"OPENAI\", \"ANTHROPIC\"]";
const A_SWITCH: &str = "true or false";

fn cache_settings(cache: &Map<String, Value>) -> Result<CacheSettings, InvalidRequest> {
    let known = ["enabled", "ttlSeconds"];
    if let Some(name) = cache.keys().find(|name| !known.contains(&name.as_str())) {
        let param = format!("cache.{name}");
        let detail = format!(
            "'{param}' is not known here. Known are cache.enabled and cache.ttlSeconds; how large the cache \
             is, is the operator's to say (`cache.exact.max_bytes`)."
        );
        return Err(InvalidRequest::of(param, detail));
    }
    let in_cache = |error: InvalidRequest| InvalidRequest {
        param: error.param.map(|name| format!("cache.{name}")),
        detail: error.detail.replacen('\'', "'cache.", 1),
    };
    let seconds = |value: &Value| value.as_u64().filter(|seconds| *seconds > 0);
    let at_least_one = "a whole number of at least 1";
    Ok(CacheSettings {
        enabled: said(cache, "enabled", Value::as_bool, A_SWITCH).map_err(in_cache)?,
        ttl_seconds: said(cache, "ttlSeconds", seconds, at_least_one).map_err(in_cache)?,
    })
}

/// What stands under `name`, if anything does; `read` answers `None` to what is not `expected`.
fn said<'v, T>(
    object: &'v Map<String, Value>,
    name: &str,
    read: impl FnOnce(&'v Value) -> Option<T>,
    expected: &str,
) -> Result<Option<T>, InvalidRequest> {
    let Some(value) = object.get(name).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    read(value).map(Some).ok_or_else(|| {
        let detail = format!("'{name}' is {expected}, not {value}.");
        InvalidRequest::of(name, detail)
    })
}

fn provider(value: &Value) -> Option<String> {
    let name = value.as_str().filter(|name| !name.is_empty())?;
    Some(name.to_lowercase())
}

fn providers(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(provider).collect()
}

fn part(value: &Value) -> Option<f64> {
    value.as_f64().filter(|part| (0.0..=1.0).contains(part))
}

fn retries(value: &Value) -> Option<u32> {
    let retries = u32::try_from(value.as_u64()?).ok()?;
    (retries <= MAX_RETRIES).then_some(retries)
}
