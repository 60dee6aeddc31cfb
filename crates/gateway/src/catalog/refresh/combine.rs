//! One list of models from two sources that overlap.
//!
//! Prices are genai-prices' where it names a model; the table completes them (service tiers, meters
//! that genai-prices does not have) only where both agree on the ordinary price, because half of
//! one price list and half of another is no price list. Where they disagree and the table's row names the page of the
//! provider's that it was read from, the row's list is taken whole: it says what the provider says. A row of the table about a model that
//! genai-prices covers only by a broad pattern stands for itself: `claude-opus-5-5` begins like
//! `claude-opus-5` and is another model.

use domain::model::Capabilities;
use domain::money::PicoDollars;
use domain::usage::ServiceTier;
use jiff::civil::Date;

use super::diff::{Conflict, Diff};
use super::documented;
use super::litellm::Listing;
use crate::catalog::facts::{ModelFacts, PriceList, Source};
use crate::catalog::meter::{Meter, Prices};
use crate::catalog::names;
use crate::catalog::provider::BuiltinProvider;
use crate::catalog::shelf::Shelf;

/// The meters that both sources nearly always have, by which they are compared.
const COMPARED: [Meter; 4] = [
    Meter::Input,
    Meter::CachedInput,
    Meter::CacheWrite5m,
    Meter::Output,
];

/// The models of one provider from both sources, in order of their ids.
pub(super) fn combine(
    provider: &BuiltinProvider,
    priced: Vec<ModelFacts>,
    listing: &Listing,
    today: Date,
    diff: &mut Diff,
) -> Vec<ModelFacts> {
    let shelf = Shelf::new(priced);
    let listed = &listing.models;
    let counts = |row: &ModelFacts, model: &ModelFacts| {
        listing.is_vouched(&row.id) && !is_free_instead(row, model, today)
    };
    let rows: Vec<(&ModelFacts, Option<&ModelFacts>)> = listed
        .iter()
        .map(|row| (row, same_model(&shelf, &row.id)))
        .collect();
    let mut combined: Vec<ModelFacts> = shelf
        .models()
        .iter()
        .map(|model| match companion(model, &rows, today) {
            Some(row) => complete(model, row, same_id(row, model) && counts(row, model), today),
            None => model.clone(),
        })
        .collect();
    for (row, model) in rows {
        let Some(model) = model else {
            combined.push(row.clone());
            continue;
        };
        let twin = listed.iter().find(|other| same_id(other, model));
        let is_twin = twin.is_some_and(|twin| twin.id == row.id);
        let differs = !agree(model, row, today);
        if differs && !is_twin && twin.is_some_and(|twin| agree(model, twin, today)) {
            combined.push(row.clone());
            continue;
        }
        if differs {
            let (taken, other) = if counts(row, model) {
                (row, model)
            } else {
                (model, row)
            };
            diff.conflicts
                .extend(conflicts(provider, &row.id, taken, other, today));
        }
        if is_twin {
            continue;
        }
        let mut variant = complete(model, row, counts(row, model), today);
        variant.id.clone_from(&row.id);
        variant.names = Vec::new();
        let is_covered = combined.iter().any(|other| {
            other.id == model.id
                && other.capabilities == variant.capabilities
                && other.prices == variant.prices
        });
        if !is_covered {
            combined.push(variant);
        }
    }
    for model in &mut combined {
        documented::complete(model);
    }
    combined.sort_by(|one, other| one.id.cmp(&other.id));
    combined
}

/// The model of `shelf` that a name stands for with nothing but a version left over.
pub(super) fn same_model<'a>(shelf: &'a Shelf, id: &str) -> Option<&'a ModelFacts> {
    let name = id.to_lowercase();
    let model = shelf.find(&name)?;
    let is_only_version = |before: &str, after: &str| before.is_empty() && is_version(after);
    let is_same = shelf.find_exactly(&name).is_some()
        || model.names.iter().any(|pattern| {
            pattern
                .rest(&name)
                .is_some_and(|(before, after)| is_only_version(before, after))
        });
    is_same.then_some(model)
}

fn is_version(suffix: &str) -> bool {
    let named = format!("x{suffix}");
    let mut rest = named.as_str();
    while let Some(shorter) = names::without_version(rest) {
        rest = shorter;
    }
    rest == "x"
}

fn same_id(one: &ModelFacts, other: &ModelFacts) -> bool {
    one.id.eq_ignore_ascii_case(&other.id)
}

/// The row of the table that tells most about a model: its own, or else that of a variant, rather
/// one that agrees about the price.
fn companion<'a>(
    model: &ModelFacts,
    rows: &[(&'a ModelFacts, Option<&ModelFacts>)],
    today: Date,
) -> Option<&'a ModelFacts> {
    let variants = || {
        rows.iter()
            .filter(|(_, of)| of.is_some_and(|other| other.id == model.id))
            .map(|(row, _)| *row)
    };
    rows.iter()
        .map(|(row, _)| *row)
        .find(|row| same_id(row, model))
        .or_else(|| variants().find(|row| agree(model, row, today)))
        .or_else(|| variants().next())
}

fn standard(model: &ModelFacts, today: Date) -> Option<&PriceList> {
    model.price_list(ServiceTier::Standard, today)
}

/// Whether both sources name the same ordinary prices today, as far as both name any.
fn agree(model: &ModelFacts, row: &ModelFacts, today: Date) -> bool {
    match (standard(model, today), standard(row, today)) {
        (Some(model), Some(row)) => COMPARED.into_iter().all(|meter| {
            match (model.prices.get(meter), row.prices.get(meter)) {
                (Some(one), Some(other)) => one == other,
                _ => true,
            }
        }),
        _ => true,
    }
}

/// Whether a row makes free what costs something elsewhere: rather a price that is missing.
fn is_free_instead(row: &ModelFacts, model: &ModelFacts, today: Date) -> bool {
    let input = |facts| standard(facts, today).and_then(|list| list.prices.get(Meter::Input));
    let is_free = |price: PicoDollars| price == PicoDollars::ZERO;
    input(row).is_some_and(is_free) && !input(model).is_some_and(is_free)
}

fn conflicts(
    provider: &BuiltinProvider,
    id: &str,
    taken: &ModelFacts,
    other: &ModelFacts,
    today: Date,
) -> Vec<Conflict> {
    let (Some(taken), Some(other)) = (standard(taken, today), standard(other, today)) else {
        return Vec::new();
    };
    let source = taken.source;
    COMPARED
        .into_iter()
        .filter_map(|meter| {
            let (taken, other) = (taken.prices.get(meter)?, other.prices.get(meter)?);
            (taken != other).then(|| Conflict {
                provider: provider.name.to_owned(),
                model: id.to_owned(),
                meter,
                source,
                taken,
                other,
            })
        })
        .collect()
}

/// A model with the capabilities of a row and, if they agree, what only the row prices; if they do not, the row's
/// prices where these count.
fn complete(model: &ModelFacts, row: &ModelFacts, row_counts: bool, today: Date) -> ModelFacts {
    let mut completed = model.clone();
    completed.capabilities = Capabilities {
        // The sources disagree by what they count; too small a window would refuse good calls.
        context_window: model
            .capabilities
            .context_window
            .max(row.capabilities.context_window),
        ..row.capabilities.clone()
    };
    if !agree(model, row, today) {
        if row_counts {
            completed.prices.clone_from(&row.prices);
        }
        return completed;
    }
    let Some(in_force) = standard(model, today).cloned() else {
        completed.prices.clone_from(&row.prices);
        return completed;
    };
    if let Some(additions) = standard(row, today) {
        for list in &mut completed.prices {
            if list.from == in_force.from {
                fill(list, additions);
            }
        }
    }
    let tiers = row
        .prices
        .iter()
        .filter(|list| list.tier != ServiceTier::Standard);
    completed.prices.extend(tiers.map(|list| PriceList {
        // Before the ordinary price of today, the tier's price of today was not checked.
        from: in_force.from,
        ..list.clone()
    }));
    completed
}

/// Takes over the meters that a list lacks, and steps for long input if it has none.
fn fill(list: &mut PriceList, additions: &PriceList) {
    let charges_by_call = list.prices.get(Meter::Request).is_some();
    let usable = |prices: &Prices| -> Prices {
        prices
            .iter()
            // A fee per request is the search fee under another name.
            .filter(|(meter, _)| !(charges_by_call && *meter == Meter::WebSearch))
            .collect()
    };
    let mut has_filled = false;
    if list.long_input.is_empty() && list.hours.is_empty() && list.from.is_none() {
        list.long_input.clone_from(&additions.long_input);
        for step in &mut list.long_input {
            step.prices = usable(&step.prices);
            step.prices.fill_from(&list.prices);
            has_filled = true;
        }
    }
    let ordinary = usable(&additions.prices);
    for step in &mut list.long_input {
        let same_step = additions
            .long_input
            .iter()
            .find(|other| other.above == step.above);
        let prices =
            same_step.map_or_else(|| ordinary.by_the_piece(), |other| usable(&other.prices));
        has_filled |= step.prices.fill_from(&prices);
    }
    for hours in &mut list.hours {
        has_filled |= hours.prices.fill_from(&ordinary.by_the_piece());
    }
    has_filled |= list.prices.fill_from(&ordinary);
    if has_filled {
        list.source = Source::Combined;
    }
}
