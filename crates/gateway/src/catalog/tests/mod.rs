//! Tests of the catalog as a whole: its data, its prices, its refresh.

mod cases;
mod data;
mod golden;
mod properties;
mod refresh;

use domain::usage::{ServiceTier, Usage};
use jiff::Timestamp;

use super::Catalog;
use super::price::Priced;

/// A weekday after every dated price that these tests rely on, outside DeepSeek's windows.
const NOW: &str = "2026-11-20T20:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn priced(provider: &str, model: &str, usage: Usage, tier: ServiceTier) -> Priced {
    Catalog::builtin()
        .price(provider, model, &usage, tier, at(NOW))
        .unwrap()
}

/// The total in dollars, as it is printed.
fn cost(provider: &str, model: &str, usage: Usage) -> String {
    priced(provider, model, usage, ServiceTier::Standard)
        .total
        .to_string()
}
