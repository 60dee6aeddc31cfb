//! Cost cases from files: a provider's usage object as it is sent, and what it costs by the published prices.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use domain::money::{Cost, PicoDollars};
use domain::usage::ServiceTier;
use providers::native_usage;
use serde::Deserialize;
use serde_json::Value;

use super::{NOW, at};
use crate::catalog::Catalog;
use crate::catalog::provider::BUILTIN_PROVIDERS;

/// The cases of one provider.
#[derive(Deserialize)]
struct Cases {
    provider: String,
    source: String,
    as_of: String,
    checked: String,
    #[serde(rename = "cases")]
    list: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    model: String,
    tier: Option<String>,
    at: Option<String>,
    usage: Value,
    terms: Vec<String>,
    cost_usd: String,
}

fn all() -> Vec<Cases> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/catalog/tests/cases");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = files.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    files
        .map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        .collect()
}

/// The sum of `QUANTITY x $PRICE / UNITS`.
fn worked_out(terms: &[String]) -> Cost {
    let pico = terms.iter().map(|term| {
        let (quantity, price) = term.split_once(" x $").unwrap();
        let (dollars, units) = price.split_once(" / ").unwrap();
        let price = PicoDollars::from_dollars_per(dollars, units.parse().unwrap()).unwrap();
        price.times(quantity.parse().unwrap())
    });
    Cost::from_pico_dollars(pico.sum())
}

#[test]
fn every_case_costs_what_the_published_prices_make_it() {
    let catalog = Catalog::builtin();
    for Cases { provider, list, .. } in all() {
        for case in list {
            let name = format!("{provider}, {}", case.name);
            assert_eq!(
                worked_out(&case.terms).to_string(),
                case.cost_usd,
                "{name}: its terms"
            );
            let usage = native_usage::read(case.usage.to_string().as_bytes()).unwrap();
            let tier = case
                .tier
                .map_or(ServiceTier::Standard, |tier| tier.parse().unwrap());
            let moment = case.at.map_or(at(NOW), |moment| at(&moment));
            let bill = catalog
                .price(&provider, &case.model, &usage, tier, moment)
                .unwrap();
            assert_eq!(
                bill.total.to_string(),
                case.cost_usd,
                "{name}: {:#?}",
                bill.lines
            );
            assert_eq!(
                (bill.asked_tier(), bill.unpriced_tier),
                (tier, None),
                "{name}"
            );
            assert!(bill.unpriced.is_empty(), "{name}: {:?}", bill.unpriced);
        }
    }
}

#[test]
fn every_provider_of_the_catalog_has_cases_with_a_source() {
    let cases = all();
    let with_cases: BTreeSet<&str> = cases.iter().map(|cases| cases.provider.as_str()).collect();
    for provider in &BUILTIN_PROVIDERS {
        assert!(with_cases.contains(provider.name), "{}", provider.name);
    }
    for cases in &cases {
        assert!(cases.source.starts_with("https://"), "{}", cases.provider);
        assert!(cases.as_of.len() == "2025-11".len(), "{}", cases.provider);
        assert!(cases.checked.starts_with("20"), "{}", cases.provider);
        assert!(!cases.list.is_empty(), "{}", cases.provider);
    }
}

#[test]
fn the_tier_can_be_read_from_a_prices_source() {
    use crate::catalog::tier_of;

    for tier in ServiceTier::ALL {
        let usage = domain::usage::Usage::text(1, 1);
        let bill = super::priced("openai", "gpt-5", usage, tier);
        assert_eq!(tier_of(&bill.source()), tier, "{}", bill.source());
    }
    assert_eq!(tier_of(""), ServiceTier::Standard);
}
