//! Prices that a vendor documents as a multiple of another price instead of a figure.

use domain::money::PicoDollars;

use crate::catalog::facts::ModelFacts;
use crate::catalog::meter::{Meter, Prices};

/// Adds what the vendor's documentation implies and no source spells out.
pub(super) fn complete(model: &mut ModelFacts) {
    if !model.id.contains("claude") {
        return;
    }
    for list in &mut model.prices {
        for prices in list.all_prices_mut() {
            add_one_hour_writes(prices);
        }
    }
}

/// Claude's cache writes cost 1.25 times the input for five minutes and twice the input for one
/// hour, and these multiples hold within batches and for long inputs as well. Only where the first
/// multiple is found can the second be trusted to apply.
/// <https://docs.claude.com/en/docs/build-with-claude/prompt-caching#pricing>
fn add_one_hour_writes(prices: &mut Prices) {
    let (Some(input), Some(short), None) = (
        prices.get(Meter::Input),
        prices.get(Meter::CacheWrite5m),
        prices.get(Meter::CacheWrite1h),
    ) else {
        return;
    };
    let is_usual_scheme = short.times(4) == input.times(5);
    let twice = i64::try_from(input.times(2)).ok().map(PicoDollars::new);
    if let (true, Some(Ok(price))) = (is_usual_scheme, twice) {
        prices.set(Meter::CacheWrite1h, price);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claude(input: i64, short: i64) -> Prices {
        let price = |pico| PicoDollars::new(pico).unwrap();
        let mut prices = [
            (Meter::Input, price(input)),
            (Meter::CacheWrite5m, price(short)),
        ]
        .into_iter()
        .collect();
        add_one_hour_writes(&mut prices);
        prices
    }

    #[test]
    fn a_one_hour_write_costs_twice_the_input() {
        let prices = claude(1_500_000, 1_875_000);
        assert_eq!(prices.get(Meter::CacheWrite1h).unwrap().get(), 3_000_000);
    }

    #[test]
    fn another_scheme_is_left_alone() {
        assert_eq!(claude(250_000, 300_000).get(Meter::CacheWrite1h), None);
    }
}
