//! Which target serves a model name.
//!
//! A name is looked up as a configured route, then as `provider/model` (split at the first `/`), then in
//! the catalog among the models of the configured providers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use domain::model::Capabilities;
use domain::name::{ModelName, ProviderName};
use providers::kind::ProviderKind;

use crate::catalog::names::canonical_provider;
use crate::catalog::provider::builtin_provider;
use crate::catalog::{Catalog, ModelFacts};
use crate::health::{Health, HealthRules, TargetHealth};
use crate::simulated;
use hedge::Hedge;

use flag::Flags;
use residency::Residency;
use shadow::{Shadow, ShadowRules};

pub mod affinity;
pub mod choice;
mod choose;
pub mod condition;
mod expectation;
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
mod provider;
pub mod question;
mod reason;
pub mod residency;
pub mod rollout;
mod roster;
mod route;
mod served;
pub mod shadow;
pub mod strategy;
mod target;
mod wishes;

pub use choose::{Chosen, Circumstances, NoTarget};
pub use fallback::{Fallback, When};
pub use member::{Equivalent, Lead, RouteMember, Sharing};
pub use plan::{Candidate, Candidates, Plan, Routed, Standing};
pub use provider::{HangUp, Provider};
pub use roster::{MAX_DEPTH, Sticky};
pub use route::{Pace, Retries, Route, Timeouts};
pub use served::ServedModel;
pub use target::{ResolvedTarget, RouteTarget};
pub use wishes::Wishes;

use roster::Roster;

/// How many resolved names are remembered; callers choose names, so the number must have a bound.
const MAX_REMEMBERED: usize = 4096;

/// No target serves the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no route serves model {model}")]
pub struct UnknownModel {
    /// The name.
    pub model: ModelName,
    /// Names that look like it and are served, the most alike first.
    pub near: Vec<String>,
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
        self.served(name).ok_or_else(|| UnknownModel {
            model: name.clone(),
            near: self.near(name.as_str()),
        })
    }

    /// The same; `None` where nobody serves it, as a route of which no target is left. It does not look for names
    /// that are near, which itself asks who serves every route.
    fn served(&self, name: &ModelName) -> Option<Known> {
        if let Some(known) = self
            .resolved
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return Some(known.clone());
        }
        let known = self.resolve(name)?;
        let mut resolved = self
            .resolved
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if resolved.len() < MAX_REMEMBERED {
            resolved.insert(name.clone(), known.clone());
        }
        Some(known)
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
            prompt_cache: provider.prompt_cache,
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
                continues: route.continues,
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
            prompt_cache: provider.prompt_cache,
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
