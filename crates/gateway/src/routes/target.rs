//! A model of a provider, to which calls go.

use std::sync::Arc;

use domain::model::Capabilities;
use domain::name::ProviderName;
use domain::region::Region;
use providers::dialect::{Dialect, Format, Target};
use providers::kind::ProviderKind;

use super::Provider;
use crate::catalog::ModelFacts;
use crate::health::TargetHealth;
use crate::limits::Destination;
use crate::prompt_cache::PromptCaching;

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
    /// Whether its prompt cache is helped.
    pub prompt_cache: PromptCaching,
    /// How it is doing.
    pub health: Arc<TargetHealth>,
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
