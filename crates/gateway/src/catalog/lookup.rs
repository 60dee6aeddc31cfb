//! The catalog as the gateway asks it: which model is meant, what is known about it, what it costs.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use domain::model::Capabilities;
use domain::usage::{ServiceTier, Usage};
use jiff::Timestamp;
use jiff::civil::Date;

use super::facts::{ModelFacts, PriceList, Source};
use super::file::{CatalogFile, ProviderFile};
use super::meter::Prices;
use super::names;
use super::price::{Priced, Unpriced, price};
use super::provider::{BUILTIN_PROVIDERS, BuiltinProvider, builtin_provider};
use super::shelf::Shelf;

/// How alike two names must be to be offered as a correction (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.85;
/// How many corrections are offered.
const CORRECTIONS: usize = 3;

/// Prices and capabilities of models, by provider.
///
/// A built-in data file is read when its provider is first asked for, so that a gateway with one
/// provider does not hold the models of fourteen in memory.
#[derive(Debug)]
pub struct Catalog {
    shelves: BTreeMap<&'static str, LazyShelf>,
    overrides: BTreeMap<String, Shelf>,
}

#[derive(Debug)]
enum LazyShelf {
    Builtin(&'static str, OnceLock<Shelf>),
    Read(Shelf),
}

impl LazyShelf {
    fn get(&self) -> &Shelf {
        match self {
            Self::Read(models) => models,
            Self::Builtin(text, models) => models.get_or_init(|| {
                #[expect(
                    clippy::expect_used,
                    reason = "the text is compiled in, and every_builtin_file_is_plausible reads it"
                )]
                let file = ProviderFile::parse(text).expect("a built-in data file is well formed");
                Shelf::new(file.models)
            }),
        }
    }
}

/// What the operator's configuration says about one model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelOverride {
    /// The provider's name: one of the catalog's, or one from the configuration.
    pub provider: String,
    /// The catalog's name of the provider's kind, whose known facts this builds on.
    pub kind: String,
    /// The model's name as the provider's API takes it.
    pub model: String,
    /// If not empty, these are all its prices, at all times and in every tier. Zero is free.
    pub prices: Prices,
    /// What is `Some` here replaces what the catalog knows.
    pub capabilities: Capabilities,
}

impl Catalog {
    /// The catalog that is compiled in.
    #[must_use]
    pub fn builtin() -> Self {
        let shelves = BUILTIN_PROVIDERS
            .iter()
            .map(|provider| {
                let shelf = LazyShelf::Builtin(provider.file, OnceLock::new());
                (provider.name, shelf)
            })
            .collect();
        Self {
            shelves,
            overrides: BTreeMap::new(),
        }
    }

    /// The catalog of refreshed data files; a provider without a file keeps its built-in one.
    #[must_use]
    pub fn refreshed(files: CatalogFile) -> Self {
        let mut catalog = Self::builtin();
        for file in files.providers {
            if let Some(provider) = builtin_provider(&file.provider) {
                let shelf = LazyShelf::Read(Shelf::new(file.models));
                catalog.shelves.insert(provider.name, shelf);
            }
        }
        catalog
    }

    /// The same catalog with what the configuration says on top. `recorded` is the day from which
    /// the configured prices are dated in the ledger. A model that the catalog does not know
    /// becomes known by its override.
    #[must_use]
    pub fn with_overrides(
        mut self,
        overrides: impl IntoIterator<Item = ModelOverride>,
        recorded: Date,
    ) -> Self {
        let mut by_provider: BTreeMap<String, Vec<ModelFacts>> = BTreeMap::new();
        for configured in overrides {
            let known = self.find(&configured.kind, &configured.model).cloned();
            let facts = overridden(known, &configured, recorded);
            let provider = names::canonical_provider(&configured.provider).to_owned();
            by_provider.entry(provider).or_default().push(facts);
        }
        self.overrides = by_provider
            .into_iter()
            .map(|(provider, models)| (provider, Shelf::new(models)))
            .collect();
        self
    }

    /// What is known about a provider's model: by its name, an alias, a dated or regional spelling,
    /// or from the maker whose model the provider resells.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<&ModelFacts> {
        let provider = names::canonical_provider(provider);
        let spellings = names::spellings(provider, model);
        if let Some(shelf) = self.overrides.get(provider) {
            let found = spellings.iter().find_map(|name| shelf.find_exactly(name));
            if found.is_some() {
                return found;
            }
        }
        let row = builtin_provider(provider)?;
        self.find_among_own(row, &spellings).or_else(|| {
            row.resells
                .iter()
                .filter_map(|seller| builtin_provider(seller))
                .find_map(|seller| {
                    let name = model.to_lowercase();
                    let name = names::resold_name(provider, seller.name, &name);
                    self.find_among_own(seller, &names::spellings(seller.name, name))
                })
        })
    }

    fn find_among_own(
        &self,
        provider: &BuiltinProvider,
        spellings: &[String],
    ) -> Option<&ModelFacts> {
        let models = self.shelves.get(provider.name)?.get();
        spellings.iter().find_map(|name| models.find(name))
    }

    /// Every model that a provider is known to have, and what the configuration says about it.
    pub fn models<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = &'a ModelFacts> {
        let provider = names::canonical_provider(provider);
        let overrides = self.overrides.get(provider).map(Shelf::models);
        let builtin = self.shelves.get(provider).map(|shelf| shelf.get().models());
        let is_overridden = move |model: &&ModelFacts| {
            overrides.is_some_and(|models| models.iter().any(|other| other.id == model.id))
        };
        overrides.into_iter().flatten().chain(
            builtin
                .into_iter()
                .flatten()
                .filter(move |model| !is_overridden(model)),
        )
    }

    /// The providers that have a model of this bare name themselves, makers before resellers.
    #[must_use]
    pub fn providers_of(&self, model: &str) -> Vec<&'static str> {
        BUILTIN_PROVIDERS
            .iter()
            .filter(|provider| {
                let spellings = names::spellings(provider.name, model);
                self.find_among_own(provider, &spellings).is_some()
            })
            .map(|provider| provider.name)
            .collect()
    }

    /// Model names that look like `name`, the most alike first, for "did you mean".
    #[must_use]
    pub fn near(&self, name: &str) -> Vec<String> {
        let name = name.to_lowercase();
        let mut found: Vec<(f64, &str)> = BUILTIN_PROVIDERS
            .iter()
            .flat_map(|provider| self.models(provider.name))
            .map(|model| {
                (
                    strsim::jaro_winkler(&name, &model.id.to_lowercase()),
                    &*model.id,
                )
            })
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .collect();
        found.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
        found.dedup_by(|one, other| one.1 == other.1);
        found
            .into_iter()
            .take(CORRECTIONS)
            .map(|(_, id)| id.to_owned())
            .collect()
    }

    /// Prices one call. A model that is not known, or that has no known price, is [`Unpriced`].
    pub fn price(
        &self,
        provider: &str,
        model: &str,
        usage: &Usage,
        tier: ServiceTier,
        at: Timestamp,
    ) -> Result<Priced, Unpriced> {
        let facts = self.find(provider, model).ok_or_else(|| Unpriced {
            model: model.to_owned(),
        })?;
        price(facts, usage, tier, at)
    }
}

fn overridden(known: Option<ModelFacts>, configured: &ModelOverride, recorded: Date) -> ModelFacts {
    let known_prices = known.as_ref().map(|facts| facts.prices.clone());
    let prices = if configured.prices.is_empty() {
        known_prices.unwrap_or_default()
    } else {
        ServiceTier::ALL
            .into_iter()
            .map(|tier| PriceList {
                tier,
                from: None,
                until: None,
                source: Source::Configuration,
                recorded,
                prices: configured.prices.clone(),
                long_input: Vec::new(),
                hours: Vec::new(),
            })
            .collect()
    };
    ModelFacts {
        id: configured.model.clone(),
        names: Vec::new(),
        capabilities: merged(
            &known.map(|facts| facts.capabilities).unwrap_or_default(),
            &configured.capabilities,
        ),
        prices,
        withdrawn: None,
    }
}

fn merged(known: &Capabilities, configured: &Capabilities) -> Capabilities {
    Capabilities {
        context_window: configured.context_window.or(known.context_window),
        max_output_tokens: configured.max_output_tokens.or(known.max_output_tokens),
        sampling: configured.sampling.or(known.sampling),
        reasoning: configured.reasoning.or(known.reasoning),
        reasoning_always_on: configured.reasoning_always_on.or(known.reasoning_always_on),
        tools: configured.tools.or(known.tools),
        forced_tool_choice: configured.forced_tool_choice.or(known.forced_tool_choice),
        parallel_tools: configured.parallel_tools.or(known.parallel_tools),
        images: configured.images.or(known.images),
        documents: configured.documents.or(known.documents),
        audio: configured.audio.or(known.audio),
        structured_output: configured.structured_output.or(known.structured_output),
        prefill: configured.prefill.or(known.prefill),
        mid_conversation_system: configured
            .mid_conversation_system
            .or(known.mid_conversation_system),
    }
}
