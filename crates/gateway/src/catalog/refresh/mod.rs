//! Keeping the data files up to date from published facts.
//!
//! Prices come from genai-prices, capabilities and the prices of other service tiers from `LiteLLM`'s
//! table. A price that changed becomes a new dated list and the old one stays, so that a call of the
//! past is still priced as it was. Whatever cannot be read is named in the [`Diff`], never dropped
//! in silence: one malformed row costs that row, not the refresh, and never turns a price into zero.

pub mod diff;

mod capabilities;
mod combine;
mod documented;
mod genai;
mod history;
mod litellm;
mod member;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde_json::Number;

use self::diff::{Diff, Refused};
use super::facts::ModelFacts;
use super::file::{CatalogFile, ProviderFile};
use super::provider::{BUILTIN_PROVIDERS, BuiltinProvider};

/// Why a refresh was refused as a whole; the old files stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The price facts are not JSON of the expected outer shape.
    #[error("the price facts are malformed")]
    Prices(#[source] serde_json::Error),
    /// The capability table is not a JSON object.
    #[error("the capability table is malformed")]
    Capabilities(#[source] serde_json::Error),
    /// The price facts lack a whole provider: rather a truncated file than the end of a vendor.
    #[error("the price facts name no provider {0}")]
    ProviderMissing(&'static str),
}

/// Builds new data files from `old` ones and a file of price facts (genai-prices, data format 2)
/// and, if given, a capability table (`LiteLLM`'s `model_prices_and_context_window.json`).
///
/// `today` dates what changed. Without a capability table, capabilities, tiers and models that only
/// that table names stay as they are, and nothing is reported as withdrawn.
pub fn rebuild(
    old: &CatalogFile,
    facts: &str,
    capabilities: Option<&str>,
    today: Date,
) -> Result<(CatalogFile, Diff), RefreshError> {
    let prices = genai::read(facts, today).map_err(RefreshError::Prices)?;
    let table = capabilities
        .map(|text| litellm::read(text, today))
        .transpose()
        .map_err(RefreshError::Capabilities)?;

    let mut diff = Diff::default();
    diff.refused.extend(prices.refused);
    let mut rows = BTreeMap::new();
    if let Some(table) = table {
        diff.refused.extend(table.refused);
        diff.unread = table.unread;
        rows = table.models;
    }
    let mut providers = Vec::new();
    for row in &BUILTIN_PROVIDERS {
        let vendor = prices
            .vendors
            .get(row.genai_name)
            .ok_or(RefreshError::ProviderMissing(row.name))?;
        let sold: Vec<ModelFacts> = vendor
            .models
            .iter()
            .filter(|model| sells(row, model))
            .cloned()
            .collect();
        let listed = rows.remove(row.name).unwrap_or_default();
        let combined = combine::combine(row, sold, &listed, today, &mut diff);
        let plausible = refuse_implausible(row, combined, &mut diff);
        let refused = refused_models(row, &diff.refused);
        let old_file = old.provider(row.name);
        let merge = history::Merge {
            provider: row.name,
            is_complete: capabilities.is_some(),
            refused: &refused,
            today,
        };
        providers.push(ProviderFile {
            provider: row.name.to_owned(),
            refreshed: today,
            pricing_urls: vendor.pricing_urls.clone(),
            models: merge.models(
                old_file.map_or(&[], |file| &file.models),
                plausible,
                &mut diff,
            ),
        });
    }
    Ok((CatalogFile { providers }, diff))
}

/// The facts have one vendor for Gemini's API and Vertex; only Vertex sells Claude.
fn sells(provider: &BuiltinProvider, model: &ModelFacts) -> bool {
    provider.name != "gemini" || !model.id.starts_with("claude")
}

fn refuse_implausible(
    provider: &BuiltinProvider,
    models: Vec<ModelFacts>,
    diff: &mut Diff,
) -> Vec<ModelFacts> {
    let mut plausible: Vec<ModelFacts> = Vec::new();
    for model in models {
        let is_second = plausible.iter().any(|other| other.id == model.id);
        let problem = match model.check() {
            Err(problem) => Some(problem.to_string()),
            Ok(()) => is_second.then(|| "the facts name this model twice".to_owned()),
        };
        match problem {
            None => plausible.push(model),
            Some(reason) => diff.refused.push(Refused {
                provider: provider.name.to_owned(),
                model: model.id,
                reason,
            }),
        }
    }
    plausible
}

/// Ids under which something of this provider was refused, in any of the provider's names.
fn refused_models(provider: &BuiltinProvider, refused: &[Refused]) -> BTreeSet<String> {
    refused
        .iter()
        .filter(|row| row.provider == provider.name || row.provider == provider.genai_name)
        .map(|row| row.model.clone())
        .collect()
}

/// The decimal text of a number. For a floating point number that is the shortest text that reads
/// back as the same number: what its author wrote.
fn decimal_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float.to_string(),
        _ => number.to_string(),
    }
}
