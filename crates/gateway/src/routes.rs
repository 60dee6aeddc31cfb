//! Which target serves a model name.
//!
//! A name is looked up as a configured route, then as `provider/model` (split at the first `/`), then in
//! the catalog among the models of the configured providers.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::egress::Reach;
use domain::model::Capabilities;
use domain::name::{ModelName, ProviderName};
use domain::region::Region;
use domain::secret::Secret;
use providers::credential::{Credential, Source};
use providers::dialect::{Dialect, Format, Target};
use providers::host::Host;
use providers::kind::ProviderKind;

use crate::cache::Caching;
use crate::catalog::meter::Meter;
use crate::catalog::names::canonical_provider;
use crate::catalog::provider::builtin_provider;
use crate::catalog::{Catalog, ModelFacts};
use crate::credentials::Rotation;
use crate::health::{Health, HealthRules, KeyNumber, TargetHealth};
use crate::limits::Destination;
use crate::simulated;
use hedge::{Hedge, HedgeRules};

use flag::Flags;
use residency::Residency;
use shadow::{Shadow, ShadowRules};

pub mod affinity;
pub mod choice;
mod choose;
pub mod condition;
pub mod explain;
mod fallback;
pub mod flag;
pub mod hash;
pub mod hedge;
#[cfg(test)]
pub(crate) mod inquiry;
mod language;
mod member;
mod plan;
pub mod question;
pub mod residency;
pub mod rollout;
mod roster;
pub mod shadow;
pub mod strategy;
mod wishes;

pub use choose::{Chosen, Circumstances, NoTarget};
pub use fallback::{Fallback, When};
pub use member::{Equivalent, Lead, RouteMember, Sharing};
pub use plan::{Candidate, Candidates, Plan, Routed, Standing};
pub use roster::{MAX_DEPTH, Sticky};
pub use wishes::Wishes;

use roster::Roster;

/// How alike a served name must be to be offered for one that is not.
const ALIKE: f64 = 0.65;
/// How many resolved names are remembered; callers choose names, so the number must have a bound.
const MAX_REMEMBERED: usize = 4096;

/// What happens to the provider's answer when the caller goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HangUp {
    /// It is cancelled: most providers then stop the work, and its cost.
    #[default]
    Cancel,
    /// It is read to its end, within a bound, so that its usage is known.
    Drain,
}

/// A configured provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: ProviderName,
    /// What it speaks.
    pub kind: ProviderKind,
    /// Absolute, without a slash at its end.
    pub base_url: String,
    /// The credential; `None` where the host wants none.
    pub credential: Option<Source>,
    /// Several credentials that take turns, the one above among them; `None` where there is one.
    pub rotation: Option<Arc<Rotation>>,
    /// What is particular about its host.
    pub host: Host,
    /// Which addresses may be reached.
    pub reach: Reach,
    /// What happens when the caller goes away.
    pub hang_up: HangUp,
    /// Where it keeps what it is sent; `None` where nobody says.
    pub region: Option<Region>,
}

/// Bounds on waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the first content of a stream.
    pub first_byte: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// For one attempt at an answer that is not streamed, where another target can be asked then.
    pub attempt: Duration,
    /// For the whole call, retries included.
    pub total: Duration,
    /// How fast a stream comes at least that has begun; `None` where it may be as slow as it is.
    pub slow: Option<Pace>,
}

/// How fast a stream has to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The least that is fast enough.
    pub tokens_per_second: NonZeroU32,
    /// Over how long it is measured, from the first content on.
    pub window: Duration,
}

impl Pace {
    /// How much content a window has at least, in bytes: four of a token.
    pub(crate) fn least_bytes(self) -> u64 {
        let a_second = u128::from(self.tokens_per_second.get()) * 4;
        let bytes = a_second * self.window.as_millis() / 1_000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_mins(5),
            idle: Duration::from_mins(5),
            attempt: Duration::from_mins(5),
            total: Duration::from_mins(10),
            slow: None,
        }
    }
}

/// How often and when a call is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How often one target is asked at most, the first time included; at least 1.
    pub attempts: u32,
    /// The wait before the second attempt; each further one waits twice as long.
    pub initial_backoff: Duration,
    /// The longest wait. A provider that asks for a longer one is not tried again.
    pub max_backoff: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 3,
            initial_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(5),
        }
    }
}

/// A configured route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where requests go, in the order in which they are listed; at least one.
    pub targets: Vec<RouteMember>,
    /// In which order these are tried.
    pub sharing: Sharing,
    /// Where they go when none of these answers, in the order in which they are tried.
    pub fallback: Vec<Fallback>,
    /// Whether a request is refused rather than sent with something dropped.
    pub strict: bool,
    /// Bounds on waiting.
    pub timeouts: Timeouts,
    /// How often it is sent again.
    pub retries: Retries,
    /// What of its answers is kept to be given again.
    pub caching: Caching,
    /// When a second target is asked while the first has not answered; `None` where it is not.
    pub hedge: Option<HedgeRules>,
    /// Which calls are copied to another target; `None` where none is.
    pub shadow: Option<ShadowRules>,
    /// What chats are answered with when every target failed; `None` where the failure is told.
    pub safe_reply: Option<Arc<str>>,
}

/// A target as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTarget {
    /// The provider.
    pub provider: ProviderName,
    /// The model in the provider's words.
    pub model: String,
}

/// A target, resolved.
pub struct ResolvedTarget {
    /// The provider.
    pub provider: Arc<Provider>,
    /// What it is; of the simulated provider, what it imitates.
    pub kind: ProviderKind,
    /// Where requests go.
    pub base_url: String,
    /// The model in the provider's words.
    pub model: String,
    /// What the catalog says of it.
    pub facts: Option<Arc<ModelFacts>>,
    /// What it can do; nothing is known when the catalog does not know the model.
    pub capabilities: Capabilities,
    /// Where it lies; `None` where nobody says.
    pub region: Option<Region>,
    /// How it is doing.
    pub health: Arc<TargetHealth>,
}

impl Provider {
    /// Which addresses its requests may reach; the simulated provider's reach none.
    pub fn reach(&self) -> Reach {
        if self.kind == ProviderKind::Sim {
            Reach::Simulated
        } else {
            self.reach
        }
    }

    /// How many credentials it is asked with.
    pub(crate) fn keys(&self) -> usize {
        self.rotation.as_ref().map_or(1, |rotation| rotation.len())
    }

    /// The credential of this number; `None` where the host wants none.
    pub(crate) fn source(&self, key: KeyNumber) -> Option<&Source> {
        match &self.rotation {
            Some(rotation) => rotation.source(key),
            None => self.credential.as_ref(),
        }
    }

    /// The simulated provider wants a key, as the vendors do, and takes any.
    fn with_simulated_key(mut self) -> Self {
        if self.kind == ProviderKind::Sim && self.credential.is_none() {
            let any = Secret::new("simulated".to_owned());
            self.credential = Some(Source::Ready(Credential::ApiKey(any)));
        }
        self
    }
}

impl ResolvedTarget {
    /// What limits on providers and models are looked up by.
    pub fn destination(&self) -> Destination<'_> {
        Destination {
            provider: &self.provider.name,
            model: &self.model,
        }
    }

    /// As the dialects want it.
    pub fn target(&self) -> Target<'_> {
        Target {
            model: &self.model,
            base_url: &self.base_url,
            capabilities: &self.capabilities,
            host: &self.provider.host,
        }
    }

    /// The wire format in which it is asked by a caller who speaks `face`: the same where it speaks it, else
    /// the one that it is translated into. `None` where it does not chat.
    pub fn dialect(&self, face: Format) -> Option<&'static dyn Dialect> {
        let serves = self.provider.host.serves;
        let dialects = self.kind.dialects(&self.model, serves).iter();
        let mut spoken = dialects.filter(|dialect| serves.has(dialect.format()));
        let first = spoken.clone().next();
        let own = spoken.find(|dialect| dialect.format() == face);
        own.or(first).copied()
    }
}

/// No target serves the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no route serves model {model}")]
pub struct UnknownModel {
    /// The name.
    pub model: ModelName,
    /// Names that look like it and are served, the most alike first.
    pub near: Vec<String>,
}

/// One name that callers may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedModel {
    /// The name.
    pub name: String,
    /// The provider that serves it.
    pub provider: ProviderName,
}

/// Every route of one configuration. A reload makes another.
pub struct Routes {
    providers: BTreeMap<ProviderName, Arc<Provider>>,
    by_name: BTreeMap<ModelName, Route>,
    policy: Policy,
    catalog: Catalog,
    health: Arc<Health>,
    resolved: RwLock<HashMap<ModelName, Known>>,
}

/// What holds on every route.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Switches that conditions ask for.
    pub flags: Flags,
    /// Who is held to which regions.
    pub residency: Residency,
    /// Models that can stand for each other, by the name of their class.
    pub equivalents: BTreeMap<String, Vec<Equivalent>>,
    /// How providers are looked after beside the calls that go to them.
    pub health: HealthRules,
}

/// What a name stands for.
#[derive(Clone)]
pub struct Known {
    /// Where its requests go, as the configuration lists it.
    pub plan: Plan,
    /// Who is to be chosen from; `None` where there is no choice.
    roster: Option<Arc<Roster>>,
}

impl Routes {
    /// The routes of a configuration. Every route names one of the providers.
    pub fn new(
        providers: impl IntoIterator<Item = Provider>,
        routes: impl IntoIterator<Item = (ModelName, Route)>,
        catalog: Catalog,
    ) -> Self {
        let providers = providers.into_iter().map(Provider::with_simulated_key);
        Self {
            providers: providers
                .map(|provider| (provider.name.clone(), Arc::new(provider)))
                .collect(),
            by_name: routes.into_iter().collect(),
            policy: Policy::default(),
            catalog,
            health: Arc::default(),
            resolved: RwLock::default(),
        }
    }

    /// The same under a policy.
    #[must_use]
    pub fn under(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// What holds on every route.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The targets of a name, as the configuration lists them, whoever asks and whatever for.
    pub fn plan(&self, name: &ModelName) -> Result<Plan, UnknownModel> {
        self.known(name).map(|known| known.plan)
    }

    /// What a name stands for.
    pub fn known(&self, name: &ModelName) -> Result<Known, UnknownModel> {
        if let Some(known) = self
            .resolved
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return Ok(known.clone());
        }
        let known = self.resolve(name).ok_or_else(|| UnknownModel {
            model: name.clone(),
            near: self.near(name.as_str()),
        })?;
        let mut resolved = self
            .resolved
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if resolved.len() < MAX_REMEMBERED {
            resolved.insert(name.clone(), known.clone());
        }
        Ok(known)
    }

    /// Every name that is known to be served: routes first, then `provider/model`.
    pub fn models(&self) -> Vec<ServedModel> {
        let routes = self.by_name.keys().filter_map(|name| {
            Some(ServedModel {
                name: name.as_str().to_owned(),
                provider: self.plan(name).ok()?.target().provider.name.clone(),
            })
        });
        let direct = self.providers.values().flat_map(|provider| {
            self.models_of(provider)
                .into_iter()
                .map(|model| ServedModel {
                    name: format!("{}/{model}", provider.name),
                    provider: provider.name.clone(),
                })
        });
        routes.chain(direct).collect()
    }

    /// A name to try first: a configured route, or else a small current model of a provider.
    pub fn suggested_model(&self) -> Option<String> {
        if let Some(name) = self.by_name.keys().next() {
            return Some(name.to_string());
        }
        let of_vendor = self.providers.values().find_map(|provider| {
            let model = match provider.kind {
                ProviderKind::Sim => "gpt",
                ProviderKind::Anthropic => "claude-haiku-4-5",
                ProviderKind::Gemini => "gemini-3.1-flash-lite",
                ProviderKind::Openai if catalog_name(provider) == "openai" => "gpt-5.4-nano",
                _ => return None,
            };
            Some(format!("{}/{model}", provider.name))
        });
        of_vendor.or_else(|| self.models().into_iter().next().map(|served| served.name))
    }

    /// The configured routes, by name.
    pub fn configured(&self) -> impl Iterator<Item = (&ModelName, &Route)> {
        self.by_name.iter()
    }

    /// The configured providers.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// A configured provider; `None` when there is none of that name.
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }

    /// The provider that is OpenAI, for requests that name none: the only one of kind `openai` that is no
    /// other known host, or of several the one that is called so. The simulated one where there is none.
    pub fn openai_provider(&self) -> Option<&Arc<Provider>> {
        let of_kind = |kind| self.providers.values().filter(move |it| it.kind == kind);
        let is_openai = |it: &&Arc<Provider>| matches!(it.host.name, None | Some("openai"));
        let mut openai = of_kind(ProviderKind::Openai).filter(is_openai);
        match (openai.next(), openai.next()) {
            (Some(only), None) => Some(only),
            (Some(_), Some(_)) => {
                let named = self.providers.get("openai");
                named.filter(|it| it.kind == ProviderKind::Openai)
            }
            (None, _) => of_kind(ProviderKind::Sim).next(),
        }
    }

    /// A plan for a request that passes to a provider's own API, as if its vendor were `kind`. Without a
    /// model, nothing is known of what it costs.
    pub fn native_plan(
        &self,
        provider: &Arc<Provider>,
        kind: ProviderKind,
        model: Option<&str>,
    ) -> Plan {
        let base_url = provider.base_url.clone();
        let target = model.and_then(|model| self.target(provider, model));
        let (facts, capabilities) = match &target {
            Some(target) => (target.facts.clone(), target.capabilities.clone()),
            None => (None, Capabilities::default()),
        };
        Plan::of(Arc::new(ResolvedTarget {
            provider: Arc::clone(provider),
            kind,
            base_url,
            model: model.unwrap_or_default().to_owned(),
            facts,
            capabilities,
            region: provider.region.clone(),
            health: self.health_of(provider, model.unwrap_or_default()),
        }))
    }

    /// The same routes, which know how targets were doing before.
    #[must_use]
    pub fn knowing(mut self, health: Arc<Health>) -> Self {
        self.health = health;
        self
    }

    /// How targets are doing.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Prices and capabilities.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn resolve(&self, name: &ModelName) -> Option<Known> {
        if let Some(route) = self.by_name.get(name) {
            let roster = self.roster(name, route, 0);
            let shadow = route.shadow.as_ref();
            let plan = Plan {
                shadow: shadow.and_then(|rules| self.shadow(name, route, rules)),
                route: Some(name.as_str().to_owned()),
                strict: route.strict,
                timeouts: route.timeouts,
                retries: route.retries,
                caching: route.caching,
                hedge: route.hedge.map(|rules| Arc::new(Hedge::new(rules))),
                safe_reply: route.safe_reply.clone(),
                candidates: Candidates::of(roster.candidates())?,
                routed: None,
            };
            let is_choice = !roster.is_plain();
            return Some(Known {
                plan,
                roster: is_choice.then(|| Arc::new(roster)),
            });
        }
        let target = self
            .named_target(name)
            .or_else(|| self.catalog_target(name))?;
        Some(Known {
            plan: Plan::of(target),
            roster: None,
        })
    }

    fn shadow(&self, name: &ModelName, route: &Route, rules: &ShadowRules) -> Option<Arc<Shadow>> {
        let provider = self.providers.get(&rules.target.provider)?;
        let target = self.target(provider, &rules.target.model)?;
        Some(Arc::new(Shadow::new(name, route, rules, target)))
    }

    fn named_target(&self, name: &ModelName) -> Option<Arc<ResolvedTarget>> {
        let (provider, model) = name.provider_and_rest()?;
        if model.is_empty() {
            return None;
        }
        self.target(self.providers.get(provider)?, model)
    }

    fn catalog_target(&self, name: &ModelName) -> Option<Arc<ResolvedTarget>> {
        let known = self.catalog.providers_of(name.as_str());
        known.into_iter().find_map(|known| {
            let provider = self
                .providers
                .values()
                .find(|it| catalog_name(it) == known)?;
            self.target(provider, name.as_str())
        })
    }

    fn target(&self, provider: &Arc<Provider>, model: &str) -> Option<Arc<ResolvedTarget>> {
        let kind = match provider.kind {
            ProviderKind::Sim => simulated::kind(model)?,
            kind => kind,
        };
        let base_url = match (provider.kind, kind) {
            (ProviderKind::Sim, ProviderKind::Openai) => format!("{}/v1", provider.base_url),
            _ => provider.base_url.clone(),
        };
        let facts = self.facts(provider, model);
        let capabilities = facts
            .as_ref()
            .map(|facts| facts.capabilities.clone())
            .unwrap_or_default();
        Some(Arc::new(ResolvedTarget {
            provider: Arc::clone(provider),
            kind,
            base_url,
            model: model.to_owned(),
            facts,
            capabilities,
            region: provider.region.clone(),
            health: self.health_of(provider, model),
        }))
    }

    fn health_of(&self, provider: &Provider, model: &str) -> Arc<TargetHealth> {
        self.health.of(&provider.name, model, provider.keys())
    }

    /// What is known of a model in a provider's words; `None` where nothing is.
    pub(crate) fn facts(&self, provider: &Provider, model: &str) -> Option<Arc<ModelFacts>> {
        let known = self.catalog.find(catalog_name(provider), model).cloned();
        let simulated = || match provider.kind {
            ProviderKind::Sim => simulated::facts(model),
            _ => None,
        };
        known.or_else(simulated).map(Arc::new)
    }

    fn models_of(&self, provider: &Provider) -> Vec<String> {
        if provider.kind == ProviderKind::Sim {
            return simulated::models().map(str::to_owned).collect();
        }
        let chats = |facts: &&ModelFacts| {
            facts
                .prices
                .iter()
                .any(|list| list.prices.get(Meter::Output).is_some())
                && facts.capabilities.context_window.is_some()
                && facts.withdrawn.is_none()
        };
        let models = self.catalog.models(catalog_name(provider)).filter(chats);
        models.map(|facts| facts.id.clone()).collect()
    }

    /// At most three served names that look like `name`.
    fn near(&self, name: &str) -> Vec<String> {
        let last = name.rsplit('/').next().unwrap_or(name);
        let mut near: Vec<(f64, String)> = self
            .models()
            .into_iter()
            .map(|served| {
                let model = served
                    .name
                    .split_once('/')
                    .map_or(&*served.name, |(_, model)| model);
                (
                    likeness(name, &served.name).max(likeness(last, model)),
                    served.name,
                )
            })
            .filter(|(likeness, _)| *likeness > ALIKE)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        near.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

/// How alike two names are, 0 to 1: by their beginning, or by the number of typing errors between them.
fn likeness(one: &str, other: &str) -> f64 {
    strsim::jaro_winkler(one, other).max(strsim::normalized_damerau_levenshtein(one, other))
}

/// The provider's name in the catalog: its own where the catalog knows it (`groq`, `mistral`), that of its
/// host or platform, the vendor's where the vendor itself answers. Any other host has only the prices of
/// the configuration.
pub fn catalog_name(provider: &Provider) -> &str {
    let name = canonical_provider(provider.name.as_str());
    if provider.kind == ProviderKind::Sim || builtin_provider(name).is_some() {
        return name;
    }
    let is_platform = matches!(
        provider.kind,
        ProviderKind::AzureOpenai | ProviderKind::Vertex | ProviderKind::Bedrock
    );
    if let Some(host) = provider.host.name {
        host
    } else if is_platform || provider.base_url == provider.kind.default_base_url() {
        canonical_provider(provider.kind.as_str())
    } else {
        name
    }
}

#[cfg(test)]
mod tests;
