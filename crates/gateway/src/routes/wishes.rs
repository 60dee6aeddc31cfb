//! What a caller may wish for the choice of a target.

use domain::name::ProviderName;

use super::plan::Plan;
use super::strategy::{Balance, Strategy};

/// What a caller wishes for the choice of a target. Regions, conditions, breakers and what the key permits hold
/// whatever is wished.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wishes {
    /// The provider that is to be tried first, by its name in the configuration.
    pub provider: Option<String>,
    /// The providers that are to be tried after the first, in this order; others come after them.
    pub order: Vec<String>,
    /// Nobody is to be tried after the first.
    pub has_no_fallback: bool,
    /// How much speed counts against cost, 0 to 1.
    pub performance: Option<f64>,
    /// The cheapest target is to be tried first, where nothing is said of speed.
    pub is_cheapest: bool,
    /// How often one target is to be asked at most, the first time included; at least 1.
    pub attempts: Option<u32>,
}

impl Wishes {
    /// Nothing is wished.
    pub const NONE: Self = Self {
        provider: None,
        order: Vec::new(),
        has_no_fallback: false,
        performance: None,
        is_cheapest: false,
        attempts: None,
    };

    /// By what the targets of a route are ordered for this caller. What the route says of quality stays.
    pub(super) fn strategy(&self, of_route: Strategy) -> Strategy {
        match (self.performance, of_route) {
            (Some(weighting), Strategy::Balanced(balance)) => {
                Strategy::Balanced(balance.with_performance(weighting))
            }
            (Some(weighting), _) => Strategy::Balanced(Balance::EVEN.with_performance(weighting)),
            (None, _) if self.is_cheapest => Strategy::Cheapest,
            (None, of_route) => of_route,
        }
    }

    /// Follows what is wished of the others than the first, and of how often they are asked.
    pub(crate) fn arrange(&self, plan: &mut Plan) {
        if let Some(attempts) = self.attempts {
            plan.retries.attempts = attempts;
        }
        if self.has_no_fallback {
            plan.candidates.keep_first();
        } else if !self.order.is_empty() {
            plan.candidates
                .put_next(|candidate| self.place_of(&candidate.target.provider.name));
        }
    }

    /// Where among those that are tried next a provider is wished.
    pub(super) fn place_of(&self, provider: &ProviderName) -> Option<usize> {
        let mut order = self.order.iter();
        order.position(|name| name == provider.as_str())
    }
}
