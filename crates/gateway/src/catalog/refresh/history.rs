//! New facts beside old files: what was true stays written down.

use std::collections::{BTreeMap, BTreeSet};

use domain::usage::ServiceTier;
use jiff::civil::Date;

use super::combine::same_model;
use super::diff::{Diff, ModelName, PriceChange};
use crate::catalog::facts::{ModelFacts, PriceList, Source};
use crate::catalog::meter::{Meter, Prices};
use crate::catalog::shelf::Shelf;

/// The circumstances of one provider's merge.
pub(super) struct Merge<'a> {
    pub(super) provider: &'static str,
    /// Whether the capability table was read as well as the prices.
    pub(super) is_complete: bool,
    /// Models about which some row was refused: they keep what they have.
    pub(super) refused: &'a BTreeSet<String>,
    pub(super) today: Date,
}

impl Merge<'_> {
    /// The models of the new file, in order of their ids.
    pub(super) fn models(
        &self,
        old: &[ModelFacts],
        new: Vec<ModelFacts>,
        diff: &mut Diff,
    ) -> Vec<ModelFacts> {
        let old_by_id: BTreeMap<&str, &ModelFacts> =
            old.iter().map(|model| (&*model.id, model)).collect();
        let new_ids: BTreeSet<String> = new.iter().map(|model| model.id.clone()).collect();
        let new_shelf = Shelf::new(new.clone());
        let mut merged = Vec::new();
        for model in new {
            match old_by_id.get(&*model.id) {
                Some(old) if self.refused.contains(&model.id) => merged.push((*old).clone()),
                Some(old) => merged.push(self.model(old, model, diff)),
                None => {
                    diff.added.push(self.name(&model.id));
                    merged.push(model);
                }
            }
        }
        for model in old.iter().filter(|model| !new_ids.contains(&model.id)) {
            merged.push(self.missing(model, &new_shelf, &old_by_id, diff));
        }
        merged.sort_by(|one, other| one.id.cmp(&other.id));
        merged
    }

    fn name(&self, model: &str) -> ModelName {
        ModelName {
            provider: self.provider.to_owned(),
            model: model.to_owned(),
        }
    }

    /// A model that the facts do not name by itself any more.
    fn missing(
        &self,
        model: &ModelFacts,
        new: &Shelf,
        old: &BTreeMap<&str, &ModelFacts>,
        diff: &mut Diff,
    ) -> ModelFacts {
        if model.withdrawn.is_some() || self.refused.contains(&model.id) {
            return model.clone();
        }
        if self.is_complete {
            diff.withdrawn.push(self.name(&model.id));
            return ModelFacts {
                withdrawn: Some(self.today),
                ..model.clone()
            };
        }
        // Without the table a variant is not named, but it follows the price of its model.
        let leader = same_model(new, &model.id);
        let followed = leader
            .and_then(|leader| old.get(&*leader.id))
            .filter(
                |leader| match (self.standard(leader), self.standard(model)) {
                    (Some(one), Some(other)) => one.prices == other.prices,
                    _ => false,
                },
            );
        match (leader, followed) {
            (Some(leader), Some(_)) => {
                let named = ModelFacts {
                    id: model.id.clone(),
                    names: model.names.clone(),
                    ..leader.clone()
                };
                self.model(model, named, diff)
            }
            _ => model.clone(),
        }
    }

    fn standard<'m>(&self, model: &'m ModelFacts) -> Option<&'m PriceList> {
        model.price_list(ServiceTier::Standard, self.today)
    }

    fn model(&self, old: &ModelFacts, mut new: ModelFacts, diff: &mut Diff) -> ModelFacts {
        if !self.is_complete {
            new.capabilities = old.capabilities.clone();
            let in_force = self.standard(old);
            if in_force.is_some_and(|list| list.source == Source::Litellm) {
                // The table overruled the other source, and nobody has asked it again.
                return old.clone();
            }
            self.keep_filled_meters(old, &mut new);
        }
        if new.capabilities != old.capabilities {
            diff.capabilities.push(self.name(&new.id));
        }
        let mut prices = Vec::new();
        let (standard, changed_on) = self.tier(old, &new, ServiceTier::Standard, diff);
        prices.extend(standard);
        for tier in ServiceTier::ALL {
            if tier == ServiceTier::Standard {
                continue;
            }
            let is_named = new.prices.iter().any(|list| list.tier == tier);
            if is_named {
                prices.extend(self.tier(old, &new, tier, diff).0);
            } else {
                let kept = old.prices.iter().filter(|list| list.tier == tier).cloned();
                // A tier's price that went with another ordinary price is not known to go on.
                prices.extend(kept.map(|list| PriceList {
                    until: list.until.or(changed_on),
                    ..list
                }));
            }
        }
        new.prices = prices;
        new
    }

    /// Without the table, meters that only it named stay as they were.
    fn keep_filled_meters(&self, old: &ModelFacts, new: &mut ModelFacts) {
        let today = self.today;
        let Some(old) = self
            .standard(old)
            .filter(|list| list.source != Source::GenaiPrices)
        else {
            return;
        };
        let from = self.standard(new).map(|list| list.from);
        for list in &mut new.prices {
            if Some(list.from) != from || list.from.is_some_and(|from| from > today) {
                continue;
            }
            let mut has_filled = list.prices.fill_from(&old.prices);
            if list.long_input.is_empty() && list.hours.is_empty() && list.prices == old.prices {
                list.long_input.clone_from(&old.long_input);
            }
            for step in &mut list.long_input {
                let same_step = old
                    .long_input
                    .iter()
                    .find(|other| other.above == step.above);
                let pieces = old.prices.by_the_piece();
                let known = same_step.map_or(&pieces, |other| &other.prices);
                has_filled |= step.prices.fill_from(known);
            }
            if has_filled {
                list.source = old.source;
            }
        }
    }

    /// The lists of one tier: the old ones, then what changed today or is announced. Also the day
    /// on which the price in force changed, if it did.
    fn tier(
        &self,
        old: &ModelFacts,
        new: &ModelFacts,
        tier: ServiceTier,
        diff: &mut Diff,
    ) -> (Vec<PriceList>, Option<Date>) {
        let (announced_before, mut lists) = self.announced(old, tier);
        let (announced_now, _) = self.announced(new, tier);
        let in_force = old.price_list(tier, self.today);
        let change = self.change(in_force, new.price_list(tier, self.today));
        let changed_on = change.as_ref().and_then(|list| list.from);
        if let Some(list) = change {
            self.report(new, in_force, &list, diff);
            lists.retain(|old| old.from < list.from);
            lists.push(list);
        }
        for list in announced_now {
            let known = announced_before
                .iter()
                .find(|known| known.from == list.from && known.charges_like(&list));
            if known.is_none() {
                self.report(new, new.price_list(tier, self.today), &list, diff);
            }
            lists.push(known.cloned().unwrap_or(list));
        }
        (lists, changed_on)
    }

    /// A tier's lists that begin after today, and the others.
    fn announced(&self, model: &ModelFacts, tier: ServiceTier) -> (Vec<PriceList>, Vec<PriceList>) {
        model
            .prices
            .iter()
            .filter(|list| list.tier == tier)
            .cloned()
            .partition(|list| list.from.is_some_and(|from| from > self.today))
    }

    /// The list that takes over from the one in force: from its own day if the facts name a new one,
    /// otherwise from today, or from ever if it is the first.
    fn change(&self, old: Option<&PriceList>, new: Option<&PriceList>) -> Option<PriceList> {
        let new = new.filter(|list| list.from.is_none_or(|from| from <= self.today))?;
        let from = match (old, new.from) {
            (Some(old), _) if old.charges_like(new) => return None,
            (None, from) => from,
            (Some(old), Some(from)) if old.from.is_none_or(|old| from > old) => Some(from),
            (Some(_), _) => Some(self.today),
        };
        Some(PriceList {
            from,
            ..new.clone()
        })
    }

    fn report(
        &self,
        model: &ModelFacts,
        old: Option<&PriceList>,
        new: &PriceList,
        diff: &mut Diff,
    ) {
        let nothing = Prices::default();
        let mut compare = |above: Option<u64>, old: &Prices, new_prices: &Prices| {
            for meter in Meter::ALL {
                let (before, after) = (old.get(meter), new_prices.get(meter));
                if before != after {
                    diff.prices.push(PriceChange {
                        provider: self.provider.to_owned(),
                        model: model.id.clone(),
                        tier: new.tier,
                        meter,
                        long_input_above: above,
                        old: before,
                        new: after,
                        from: new.from,
                    });
                }
            }
        };
        compare(None, old.map_or(&nothing, |list| &list.prices), &new.prices);
        let steps_of = |list: &PriceList| -> BTreeMap<u64, Prices> {
            list.long_input
                .iter()
                .map(|step| (step.above, step.prices.clone()))
                .collect()
        };
        let old_steps = old.map(steps_of).unwrap_or_default();
        let new_steps = steps_of(new);
        let thresholds: BTreeSet<u64> = old_steps.keys().chain(new_steps.keys()).copied().collect();
        for above in thresholds {
            compare(
                Some(above),
                old_steps.get(&above).unwrap_or(&nothing),
                new_steps.get(&above).unwrap_or(&nothing),
            );
        }
    }
}
