//! When a second target is asked while the first has not answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::money::Cost;

use crate::health::TargetHealth;

/// When a second target is asked, as it is configured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgeRules {
    /// How long the first may take.
    pub after: Delay,
    /// What the second may cost at most, as it is estimated; `None` without bound. What has no known price has
    /// no bound.
    pub max_cost: Option<Cost>,
    /// The part of the route's calls that may have a second, 0 to 1.
    pub max_ratio: f64,
}

/// How long the first target may take before a second is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// So long.
    Fixed(Duration),
    /// Longer than about 95 of 100 calls to it take, as far as its mean and the usual deviation tell. Until they
    /// are known there is no second.
    P95,
}

/// The hedge of one route.
#[derive(Debug)]
pub struct Hedge {
    rules: HedgeRules,
    calls: AtomicU64,
    hedged: AtomicU64,
}

impl Hedge {
    /// By these rules.
    pub fn new(rules: HedgeRules) -> Self {
        Self {
            rules,
            calls: AtomicU64::new(0),
            hedged: AtomicU64::new(0),
        }
    }

    /// Counts a call in: how long its first target may take; `None` where that is not known.
    pub(crate) fn delay(&self, health: &TargetHealth, is_streamed: bool) -> Option<Duration> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.rules.after {
            Delay::Fixed(delay) => Some(delay),
            Delay::P95 => health.usual_wait(is_streamed),
        }
    }

    /// Whether another call may have a second target that is estimated to cost this; counts it where it may.
    pub(crate) fn permits(&self, cost: Option<Cost>) -> bool {
        let is_cheap = match (self.rules.max_cost, cost) {
            (Some(max), Some(cost)) => cost <= max,
            (Some(_), None) => false,
            (None, _) => true,
        };
        let calls = self.calls.load(Ordering::Relaxed);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a count, of 0 to 1"
        )]
        let most = (calls as f64 * self.rules.max_ratio).ceil() as u64;
        let more = |hedged: u64| (is_cheap && hedged < most).then_some(hedged + 1);
        let counted = self
            .hedged
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hedge(max_cost: Option<&str>, max_ratio: f64) -> Hedge {
        Hedge::new(HedgeRules {
            after: Delay::Fixed(Duration::from_secs(1)),
            max_cost: max_cost.map(|cost| cost.parse().unwrap()),
            max_ratio,
        })
    }

    #[test]
    fn no_more_than_their_part_of_the_calls_are_hedged() {
        let hedge = hedge(None, 0.1);
        let health = crate::health::Health::default().of(&"sim".parse().unwrap(), "gpt", 1);
        let mut hedged = 0;
        for _ in 0..100 {
            hedge.delay(&health, true);
            hedged += u32::from(hedge.permits(None));
        }
        assert_eq!(hedged, 10);
    }

    #[test]
    fn what_costs_too_much_or_nobody_knows_what_is_not_hedged() {
        let hedge = hedge(Some("0.01"), 1.0);
        let health = crate::health::Health::default().of(&"sim".parse().unwrap(), "gpt", 1);
        for (cost, is_permitted) in [(Some("0.01"), true), (Some("0.011"), false), (None, false)] {
            hedge.delay(&health, true);
            let cost = cost.map(|cost| cost.parse().unwrap());
            assert_eq!(hedge.permits(cost), is_permitted);
        }
    }

    #[test]
    fn a_delay_that_is_to_be_learned_is_not_known_at_first() {
        let rules = HedgeRules {
            after: Delay::P95,
            max_cost: None,
            max_ratio: 1.0,
        };
        let health = crate::health::Health::default().of(&"sim".parse().unwrap(), "gpt", 1);
        assert_eq!(Hedge::new(rules).delay(&health, true), None);
    }
}
