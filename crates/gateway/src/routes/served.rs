//! The names that callers may ask for, as they are listed and suggested.

use domain::name::ProviderName;
use providers::kind::ProviderKind;

use super::{Provider, Routes, catalog_name};
use crate::catalog::ModelFacts;
use crate::catalog::meter::Meter;
use crate::simulated;

/// How alike a served name must be to be offered for one that is not.
pub(super) const ALIKE: f64 = 0.65;

/// One name that callers may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedModel {
    /// The name.
    pub name: String,
    /// The provider that serves it.
    pub provider: ProviderName,
}

impl Routes {
    /// Every name that is known to be served: routes first, then `provider/model`.
    pub fn models(&self) -> Vec<ServedModel> {
        let routes = self.by_name.keys().filter_map(|name| {
            Some(ServedModel {
                name: name.as_str().to_owned(),
                provider: self.served(name)?.plan.target().provider.name.clone(),
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
    pub(super) fn near(&self, name: &str) -> Vec<String> {
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
