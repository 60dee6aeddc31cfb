//! Calls of a route beside their copies: what each side costs, how long it takes, and how it ends.

use std::collections::BTreeMap;

use domain::call::{CallState, CallStore, Outcome};
use domain::money::Cost;
use domain::name::ModelName;
use domain::store_error::StoreError;
use jiff::Timestamp;
use serde::Serialize;

use crate::routes::shadow::Shadow;

/// The most copies that one comparison reads: the newest ones.
const MAX_PAIRS: u32 = 10_000;

/// The calls of a route beside their copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The route.
    pub route: ModelName,
    /// Where the copies go: `provider/model`.
    pub model: String,
    /// How many calls are compared with their copies: the newest ones, 10,000 at most.
    pub calls: u64,
    /// Copies whose calls are not recorded yet, or are not in the time.
    pub unmatched: u64,
    /// The calls.
    pub original: Side,
    /// Their copies.
    pub shadow: Side,
}

/// What one side of a comparison came to.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Side {
    /// How many failed.
    pub failed: u64,
    /// What they cost together; what has no known price counts nothing.
    pub cost_usd: Cost,
    /// How many have no known price.
    pub unpriced: u64,
    /// How much they said together, in tokens.
    pub output_tokens: u64,
    /// How long those took that did not fail, to the end.
    pub latency_ms: Option<Quantiles>,
    /// How long those took that were streamed, to their first content.
    pub time_to_first_token_ms: Option<Quantiles>,
    /// Why they ended, by how often.
    pub finish_reasons: BTreeMap<String, u64>,
}

/// What half of some durations, and 95 of 100, do not exceed, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half.
    pub p50: u64,
    /// 95 of 100.
    pub p95: u64,
}

/// Compares the calls that a shadow copied in the time from `since` until before `until` with their copies.
pub async fn compare<S: CallStore + ?Sized>(
    store: &S,
    shadow: &Shadow,
    since: Timestamp,
    until: Timestamp,
) -> Result<Comparison, StoreError> {
    let key = shadow.caller().key_id();
    let pairs = store.shadows(key, since, until, MAX_PAIRS).await?;
    let (mut originals, mut shadows) = (Vec::new(), Vec::new());
    let found = pairs.len();
    for pair in pairs {
        if let Some(original) = pair.original {
            originals.push(original);
            shadows.push(pair.shadow);
        }
    }
    let target = &shadow.rules().target;
    Ok(Comparison {
        route: shadow.route().clone(),
        model: format!("{}/{}", target.provider, target.model),
        calls: originals.len() as u64,
        unmatched: (found - originals.len()) as u64,
        original: Side::of(&originals),
        shadow: Side::of(&shadows),
    })
}

impl Side {
    fn of(outcomes: &[Outcome]) -> Self {
        let mut side = Self::default();
        for outcome in outcomes {
            side.failed += u64::from(outcome.state == CallState::Failed);
            side.unpriced += u64::from(outcome.cost.is_none());
            let cost = outcome.cost.unwrap_or_default();
            side.cost_usd = side.cost_usd.saturating_add(cost);
            side.output_tokens = side.output_tokens.saturating_add(outcome.output_tokens);
            if let Some(reason) = &outcome.finish_reason {
                *side.finish_reasons.entry(reason.clone()).or_default() += 1;
            }
        }
        let answered = outcomes.iter();
        let answered = answered.filter(|outcome| outcome.state != CallState::Failed);
        side.latency_ms = Quantiles::of(answered.clone().map(|outcome| outcome.latency_ms));
        let first = answered.filter_map(|outcome| outcome.time_to_first_token_ms);
        side.time_to_first_token_ms = Quantiles::of(first);
        side
    }
}

impl Quantiles {
    /// Of so many durations the nearest ranks; `None` where there are none.
    fn of(durations: impl Iterator<Item = u64>) -> Option<Self> {
        let mut sorted: Vec<u64> = durations.collect();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            sorted.get(rank.saturating_sub(1)).copied()
        };
        Some(Self {
            p50: at(50)?,
            p95: at(95)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(latency_ms: u64) -> Outcome {
        Outcome {
            state: CallState::Settled,
            finish_reason: Some("stop".to_owned()),
            output_tokens: 10,
            cost: Some(Cost::from_nano_dollars(5)),
            latency_ms,
            time_to_first_token_ms: None,
        }
    }

    #[test]
    fn quantiles_are_the_nearest_ranks() {
        let quantiles = |most: u64| Quantiles::of((1..=most).rev());
        let expected = |p50, p95| Some(Quantiles { p50, p95 });
        assert_eq!(quantiles(0), None);
        assert_eq!(quantiles(1), expected(1, 1));
        assert_eq!(quantiles(20), expected(10, 19));
        assert_eq!(quantiles(100), expected(50, 95));
    }

    #[test]
    fn a_side_adds_up_and_counts_failures_out_of_its_times() {
        let failed = Outcome {
            state: CallState::Failed,
            finish_reason: None,
            output_tokens: 0,
            cost: None,
            ..outcome(90_000)
        };
        let streamed = Outcome {
            time_to_first_token_ms: Some(70),
            finish_reason: Some("length".to_owned()),
            ..outcome(300)
        };
        let side = Side::of(&[outcome(100), failed, streamed]);
        let expected = Side {
            failed: 1,
            cost_usd: Cost::from_nano_dollars(10),
            unpriced: 1,
            output_tokens: 20,
            latency_ms: Some(Quantiles { p50: 100, p95: 300 }),
            time_to_first_token_ms: Some(Quantiles { p50: 70, p95: 70 }),
            finish_reasons: [("stop".to_owned(), 1), ("length".to_owned(), 1)].into(),
        };
        assert_eq!(side, expected);
    }
}
