//! How a provider is doing as a whole, said to people and monitors.

use std::time::Duration;

use domain::clock::Moment;
use serde::Serialize;

use super::{BreakerState, Health, TargetHealth};
use crate::routes::Provider;

/// From which part of failed calls on a provider is no longer healthy.
const MANY: f64 = 0.1;

/// How well something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStatus {
    /// As it should.
    Healthy,
    /// Not in every part.
    Degraded,
    /// Not at all.
    Unhealthy,
}

/// How a provider is doing, all of its models that were asked together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServiceCondition {
    /// How well it works.
    pub status: ServiceStatus,
    /// The mean of how long its models take to answer, or where none was asked, its last probe; `None` where
    /// nobody knows.
    pub latency: Option<Duration>,
    /// The part of the calls that failed lately, 0 to 1; 0 where there were none.
    pub error_rate: f64,
    /// Whether calls are steered elsewhere: of none of its models, of some, or of all that were asked.
    pub circuit: BreakerState,
    /// Calls under way.
    pub in_flight: u32,
}

impl Health {
    /// How a provider is doing.
    pub fn service(&self, provider: &Provider, now: Moment) -> ServiceCondition {
        let asked = self.of_provider(&provider.name).into_iter();
        let asked: Vec<_> = asked.filter(|it| it.last_asked().is_some()).collect();
        let probed = self.probed(provider);
        let (good, bad) = asked
            .iter()
            .map(|target| target.breaker.counts(now))
            .fold((0, 0), |sum, (good, bad)| (sum.0 + good, sum.1 + bad));
        let is_out = probed.is_some_and(|probed| probed.is_out());
        let circuit = if is_out {
            BreakerState::Open
        } else {
            circuit(asked.iter().map(|target| target.breaker(now)))
        };
        let latencies: Vec<Duration> = asked.iter().filter_map(|it| latency(it)).collect();
        let mean = u32::try_from(latencies.len())
            .ok()
            .and_then(|count| latencies.iter().sum::<Duration>().checked_div(count));
        let of_probe = probed.and_then(|probed| probed.latency_ms);
        let error_rate = rate(good, bad);
        let has_no_key = !asked.is_empty() && asked.iter().all(|it| !it.has_key(now));
        let refuses_key = probed.is_some_and(|probed| probed.refuses_key);
        let status = if circuit == BreakerState::Open || has_no_key {
            ServiceStatus::Unhealthy
        } else if circuit == BreakerState::HalfOpen || refuses_key || error_rate >= MANY {
            ServiceStatus::Degraded
        } else {
            ServiceStatus::Healthy
        };
        ServiceCondition {
            status,
            latency: mean.or(of_probe.map(Duration::from_millis)),
            error_rate,
            circuit,
            in_flight: asked.iter().map(|target| target.in_flight()).sum(),
        }
    }
}

impl ServiceStatus {
    /// How well something works whose parts work so: not at all where no part does.
    pub fn of_parts(parts: impl IntoIterator<Item = Self>) -> Self {
        let (mut best, mut worst) = (None, None);
        for part in parts {
            best = Some(best.map_or(part, |best: Self| best.min(part)));
            worst = Some(worst.map_or(part, |worst: Self| worst.max(part)));
        }
        match (best, worst) {
            (None, _) | (Some(Self::Healthy), Some(Self::Healthy)) => Self::Healthy,
            (Some(Self::Unhealthy), _) => Self::Unhealthy,
            _ => Self::Degraded,
        }
    }
}

fn latency(target: &TargetHealth) -> Option<Duration> {
    target.total().or(target.first_byte())
}

/// Open where every one is, closed where every one is, and otherwise in between.
fn circuit(breakers: impl Iterator<Item = BreakerState>) -> BreakerState {
    let mut circuit = None;
    for state in breakers {
        circuit = match circuit {
            None => Some(state),
            Some(known) if known == state => Some(state),
            Some(_) => Some(BreakerState::HalfOpen),
        };
    }
    circuit.unwrap_or(BreakerState::Closed)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a part of counts that a float holds exactly"
)]
fn rate(good: u64, bad: u64) -> f64 {
    match good + bad {
        0 => 0.0,
        all => bad as f64 / all as f64,
    }
}

#[cfg(test)]
mod tests {
    use domain::provider_error::Cause;

    use super::*;
    use crate::testing::provider_of_openai;

    fn now() -> Moment {
        Moment::at(Duration::from_secs(1))
    }

    fn fail(health: &Health, model: &str, times: usize) {
        let target = health.of(&"openai".parse().unwrap(), model, 1);
        for _ in 0..times {
            target.board(now()).failed(Cause::Server, now());
        }
    }

    fn succeed(health: &Health, model: &str, times: usize) {
        let target = health.of(&"openai".parse().unwrap(), model, 1);
        for _ in 0..times {
            target
                .board(now())
                .answered(now(), now().after(Duration::from_millis(80)));
        }
    }

    fn service(health: &Health) -> ServiceCondition {
        health.service(&provider_of_openai(), now())
    }

    #[test]
    fn who_was_never_asked_is_healthy_and_unknown() {
        let health = Health::default();
        health.of(&"openai".parse().unwrap(), "a", 1);
        let service = service(&health);
        assert_eq!(service.status, ServiceStatus::Healthy);
        assert_eq!(
            (service.latency, service.circuit),
            (None, BreakerState::Closed)
        );
    }

    #[test]
    fn a_model_that_fails_degrades_its_provider_and_all_of_them_take_it_down() {
        let health = Health::default();
        succeed(&health, "a", 30);
        fail(&health, "b", 10);
        let some = service(&health);
        assert_eq!(some.status, ServiceStatus::Degraded);
        assert_eq!(some.circuit, BreakerState::HalfOpen);
        assert!((some.error_rate - 0.25).abs() < 1e-9);
        assert_eq!(some.latency, Some(Duration::from_millis(80)));
        fail(&health, "a", 30);
        let all = service(&health);
        assert_eq!(
            (all.status, all.circuit),
            (ServiceStatus::Unhealthy, BreakerState::Open)
        );
    }

    #[test]
    fn a_whole_works_not_at_all_where_no_part_does() {
        use ServiceStatus::{Degraded, Healthy, Unhealthy};
        for (parts, whole) in [
            (&[][..], Healthy),
            (&[Healthy, Healthy], Healthy),
            (&[Healthy, Unhealthy], Degraded),
            (&[Degraded, Degraded], Degraded),
            (&[Unhealthy, Unhealthy], Unhealthy),
        ] {
            assert_eq!(ServiceStatus::of_parts(parts.iter().copied()), whole);
        }
    }
}
