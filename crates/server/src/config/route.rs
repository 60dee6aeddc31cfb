//! `models`: the names that callers may ask for, and where each leads.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use domain::name::{ModelName, ProviderName};
use gateway::routes::{Retries, Route, RouteTarget, Timeouts};
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::node::Node;
use super::path::Path;
use super::problem::Complaint;
use super::reading::Reading;
use super::scalar::{Misfit, Scalar};

impl Section for Route {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let strict = fields.or(
            "strict",
            "false",
            "Whether a request is refused with status 400 rather than sent with something dropped \
             that the target cannot express.",
        );
        let targets: Option<Vec<RouteTarget>> = fields.some_sections(
            "targets",
            "Where requests go, in the order in which they are tried.",
        );
        let fallback: Vec<RouteTarget> = fields.list(
            "fallback",
            &[],
            "Where they go when none of the targets answers, in the order in which they are tried, each \
             as the provider's name, a `/` and the model: not after a request that is wrong everywhere, \
             nor after a refusal of its content.",
        );
        let timeouts = fields.section("timeout", "How long to wait.");
        let retries = fields.section(
            "retries",
            "How often a request is sent again after status 429 or 503 or when no connection is \
             made.",
        );
        let caching = fields.section("cache", "What of its answers is kept to be given again.");
        Some(Self {
            targets: targets?,
            fallback,
            strict: strict?,
            timeouts: timeouts?,
            retries: retries?,
            caching: caching?,
        })
    }
}

/// Says which routes lead to a provider that there is not.
pub(super) fn refuse_unknown_providers(
    routes: &BTreeMap<ModelName, Option<Route>>,
    providers: &[ProviderName],
    root: &Node,
    reading: &mut Reading<'_>,
) {
    for (name, route) in routes {
        let Some(route) = route else { continue };
        let path = Path::default().key("models").key(name.as_str());
        let targets = route.targets.iter().enumerate().map(|(index, target)| {
            let path = path.key("targets").index(index).key("model");
            (path, target)
        });
        let fallback = route.fallback.iter().enumerate();
        let fallback = fallback.map(|(index, target)| (path.key("fallback").index(index), target));
        for (path, target) in targets.chain(fallback) {
            if providers.contains(&target.provider) {
                continue;
            }
            let complaint = Complaint::new(format!("no provider is called `{}`", target.provider));
            let known = providers.iter().map(ProviderName::as_str);
            let complaint =
                complaint.suggest_one_of(target.provider.as_str(), known, "the providers are");
            reading.refuse_at(root, &path, complaint);
        }
    }
}

impl Section for RouteTarget {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        fields.required(
            "model",
            "openai/gpt-5.4-nano",
            "The provider's name under `providers`, a `/`, and the model as that provider calls \
             it.",
        )
    }
}

impl Scalar for RouteTarget {
    const EXPECTED: &'static str = "a provider and its model such as `openai/gpt-5.4-nano`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let name = ModelName::parse(text)?;
        let Some((provider, model)) = name.provider_and_rest() else {
            return Err(Misfit::because("the provider is missing before a `/`"));
        };
        if model.is_empty() {
            return Err(Misfit::because("the model is missing after the `/`"));
        }
        Ok(Self {
            provider: ProviderName::parse(provider)?,
            model: model.to_owned(),
        })
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[a-z0-9._-]{1,64}/.+$", "maxLength": 256 })
    }
}

impl Scalar for ModelName {
    const EXPECTED: &'static str = "a model's name: 1 to 256 bytes without control characters";

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| Misfit::default())
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": 256 })
    }
}

impl Section for Timeouts {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let first_byte = fields.or(
            "first_byte",
            "5m",
            "Until the first content of a streamed answer; then the next target is asked.",
        );
        let attempt = fields.or(
            "attempt",
            "5m",
            "For one attempt at an answer that is not streamed, where another target can be asked then.",
        );
        let idle = fields.or("idle", "5m", "Between two pieces of a streamed answer.");
        let total = fields.or("total", "10m", "For the whole call, retries included.");
        for (key, duration) in [
            ("first_byte", first_byte),
            ("idle", idle),
            ("attempt", attempt),
        ] {
            if fields.is_given(key)
                && fields.is_given("total")
                && duration > total
                && total.is_some()
            {
                let complaint = Complaint::new("it is longer than `total` and would never count");
                fields.refuse(
                    key,
                    complaint.suggest("write a shorter time, or raise `total`"),
                );
            }
        }
        Some(Self {
            first_byte: first_byte?,
            idle: idle?,
            attempt: attempt?,
            total: total?,
        })
    }
}

impl Section for Retries {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let attempts: Option<Attempts> = fields.or(
            "attempts",
            "3",
            "How often one target is asked at most, the first time included.",
        );
        let backoff: Option<Backoff> = fields.section(
            "backoff",
            "The waits in between; a provider's `Retry-After` wins over them.",
        );
        let backoff = backoff?;
        Some(Self {
            attempts: attempts?.0,
            initial_backoff: backoff.initial,
            max_backoff: backoff.max,
        })
    }
}

struct Backoff {
    initial: Duration,
    max: Duration,
}

impl Section for Backoff {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let initial = fields.or(
            "initial",
            "200ms",
            "The wait before the second attempt; each further one waits twice as long.",
        );
        let max = fields.or(
            "max",
            "5s",
            "The longest wait. A provider that asks for a longer one is not tried again.",
        );
        if initial > max && max.is_some() {
            let key = if fields.is_given("initial") {
                "initial"
            } else {
                "max"
            };
            let complaint = Complaint::new("`initial` is longer than `max`");
            fields.refuse(key, complaint.suggest("lower `initial`, or raise `max`"));
        }
        Some(Self {
            initial: initial?,
            max: max?,
        })
    }
}

/// A bounded number: each attempt holds the caller's connection.
struct Attempts(u32);

impl Attempts {
    const MOST: u32 = 10;
}

impl Scalar for Attempts {
    const EXPECTED: &'static str = "a whole number from 1 to 10";
    const ACCEPTS: &'static [super::node::Kind] = NonZeroU32::ACCEPTS;

    fn parse(text: &str) -> Result<Self, Misfit> {
        match NonZeroU32::parse(text)?.get() {
            attempts @ 1..=Self::MOST => Ok(Self(attempts)),
            _ => Err(Misfit::default()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": Self::MOST })
    }
}
