//! In which order the targets of a route are tried.
//!
//! Everything here is a function of its arguments: the same contenders and the same seed give the same order
//! on every replica. Chance is drawn from the seed by the target's own hash, so that a target that joins or
//! goes moves nobody but those who come to it or were with it.

use std::cmp::Ordering;
use std::time::Duration;

use domain::money::Cost;

use super::hash::StableHash;

/// By what the targets of one route are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Strategy {
    /// As the configuration lists them.
    #[default]
    Priority,
    /// By chance, each as often as its weight says.
    Weighted,
    /// By what the request is expected to cost.
    Cheapest,
    /// By how fast each has answered lately: the faster of two drawn by chance first, so that not everybody
    /// runs to the same one.
    Fastest,
    /// By cost, speed and quality together.
    Balanced(Balance),
    /// By how many requests each is answering now, for its weight.
    LeastBusy,
    /// By how much of the provider's own rate limits each has left.
    UsageAware,
}

impl Strategy {
    /// The word used in the configuration and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Weighted => "weighted",
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
            Self::Balanced(_) => "balanced",
            Self::LeastBusy => "least_busy",
            Self::UsageAware => "usage_aware",
        }
    }

    /// Whether the order depends on what the request costs.
    pub fn minds_cost(self) -> bool {
        matches!(self, Self::Cheapest | Self::Balanced(_))
    }
}

/// How much each side of a target counts in [`Strategy::Balanced`]; only their proportion matters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balance {
    /// A low cost.
    pub cost: f64,
    /// A short wait.
    pub latency: f64,
    /// Quality, as the configuration states it.
    pub quality: f64,
}

impl Default for Balance {
    fn default() -> Self {
        Self::EVEN
    }
}

impl Balance {
    /// Every side counts as much as any other.
    pub const EVEN: Self = Self {
        cost: 1.0,
        latency: 1.0,
        quality: 1.0,
    };

    /// The balance between cost and speed that applications name by one number: 0 is cost only, 1 speed
    /// only. Quality keeps its weight.
    #[must_use]
    pub fn with_performance(self, weighting: f64) -> Self {
        let sum = self.cost + self.latency;
        let weighting = weighting.clamp(0.0, 1.0);
        Self {
            cost: sum * (1.0 - weighting),
            latency: sum * weighting,
            ..self
        }
    }
}

/// One target as a strategy sees it, for one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contender {
    /// By which chance knows it.
    pub id: StableHash,
    /// Targets of a lower tier are tried before all of a higher one.
    pub tier: u32,
    /// How often it is meant in proportion to the others; 0 only where all others fail.
    pub weight: u32,
    /// What the request is expected to cost there; `None` where no price is known.
    pub expected_cost: Option<Cost>,
    /// How long it took lately, to the first byte or to the end; `None` where nobody knows.
    pub latency: Option<Duration>,
    /// How many requests it is answering now.
    pub in_flight: u32,
    /// How much of the provider's rate limits is left, 0 to 1; `None` where the provider does not say.
    pub headroom: Option<f64>,
    /// How good the configuration says it is, 0 to 1.
    pub quality: Option<f64>,
    /// It is known not to answer now: its breaker is open, or its rate limit reached.
    pub is_out: bool,
}

/// The order in which `contenders` are tried, as indices into them: total, and the same for the same seed.
pub fn order(strategy: Strategy, contenders: &[Contender], seed: StableHash) -> Vec<usize> {
    let mut places: Vec<(usize, &Contender, f64)> = contenders
        .iter()
        .enumerate()
        .map(|(index, contender)| (index, contender, ticket(contender, seed)))
        .collect();
    let best = Best::of(contenders);
    places.sort_by(|(first, one, one_ticket), (second, other, other_ticket)| {
        let tiers = (one.is_out, one.tier).cmp(&(other.is_out, other.tier));
        tiers
            .then_with(|| by_strategy(strategy, &best, (*first, one), (*second, other)))
            .then_with(|| one_ticket.total_cmp(other_ticket))
            .then_with(|| first.cmp(second))
    });
    if strategy == Strategy::Fastest {
        put_the_faster_of_two_first(&mut places);
    }
    places.into_iter().map(|(index, ..)| index).collect()
}

/// When the target's turn comes in a race in which each is as quick as its weight: the least ticket is of
/// target *i* with a chance of its weight by the sum of all (weighted rendezvous hashing).
fn ticket(contender: &Contender, seed: StableHash) -> f64 {
    let chance = seed.and_number(contender.id.bits()).fraction();
    -chance.ln() / f64::from(contender.weight)
}

fn by_strategy(
    strategy: Strategy,
    best: &Best,
    (first, one): (usize, &Contender),
    (second, other): (usize, &Contender),
) -> Ordering {
    match strategy {
        Strategy::Priority => first.cmp(&second),
        Strategy::Weighted => Ordering::Equal,
        Strategy::Cheapest => unknown_last(one.expected_cost, other.expected_cost, Ord::cmp),
        // Whom nobody has tried yet is as fast as the fastest, or it would never be tried.
        Strategy::Fastest => best.latency_of(one).cmp(&best.latency_of(other)),
        Strategy::Balanced(balance) => {
            let (one, other) = (best.score(one, balance), best.score(other, balance));
            other.total_cmp(&one)
        }
        Strategy::LeastBusy => load(one).total_cmp(&load(other)),
        Strategy::UsageAware => {
            let left = |contender: &Contender| contender.headroom.unwrap_or(1.0);
            left(other).total_cmp(&left(one))
        }
    }
}

/// Requests in flight for each unit of weight, the next one included.
fn load(contender: &Contender) -> f64 {
    f64::from(contender.in_flight.saturating_add(1)) / f64::from(contender.weight)
}

fn unknown_last<T>(
    one: Option<T>,
    other: Option<T>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => compare(&one, &other),
        (one, other) => one.is_none().cmp(&other.is_none()),
    }
}

/// Of the first tier, the two that chance put first are compared, and the faster one leads. The rest stays
/// in the order of speed.
fn put_the_faster_of_two_first(places: &mut [(usize, &Contender, f64)]) {
    let Some((_, leader, _)) = places.first() else {
        return;
    };
    let of_first_tier = (leader.is_out, leader.tier);
    let in_first_tier = places
        .iter()
        .take_while(|(_, contender, _)| (contender.is_out, contender.tier) == of_first_tier);
    let mut drawn: Vec<(usize, f64)> = in_first_tier
        .map(|(.., ticket)| *ticket)
        .enumerate()
        .collect();
    drawn.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    // They stand in the order of speed already: the one further ahead is the faster.
    let faster = drawn.iter().take(2).map(|(place, _)| *place).min();
    if let Some(ahead) = faster.and_then(|faster| places.get_mut(..=faster)) {
        ahead.rotate_right(1);
    }
}

/// The best of all targets, by which the others are measured.
struct Best {
    cost: Option<Cost>,
    latency: Option<Duration>,
}

impl Best {
    fn of(contenders: &[Contender]) -> Self {
        Self {
            cost: contenders.iter().filter_map(|it| it.expected_cost).min(),
            latency: contenders.iter().filter_map(|it| it.latency).min(),
        }
    }

    fn latency_of(&self, contender: &Contender) -> Duration {
        let latency = contender.latency.or(self.latency);
        latency.unwrap_or_default()
    }

    /// 0 to the sum of the weights: what the best of each side has is 1, what takes twice as much is a half.
    fn score(&self, contender: &Contender, balance: Balance) -> f64 {
        let cost = match (contender.expected_cost, self.cost) {
            (Some(cost), Some(best)) => share(best.nano_dollars(), cost.nano_dollars()),
            (None, Some(_)) => 0.0,
            (_, None) => 1.0,
        };
        let nanoseconds = |latency: Duration| i64::try_from(latency.as_nanos()).unwrap_or(i64::MAX);
        let latency = match self.latency {
            Some(best) => share(nanoseconds(best), nanoseconds(self.latency_of(contender))),
            None => 1.0,
        };
        let quality = contender.quality.unwrap_or(0.0);
        balance.cost * cost + balance.latency * latency + balance.quality * quality
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share of two amounts needs no more than a double's 53 bits"
)]
fn share(best: i64, own: i64) -> f64 {
    if own <= best {
        1.0
    } else {
        best as f64 / own as f64
    }
}

#[cfg(test)]
mod tests;
