//! Breakers of several replicas: what one has found out the others need not.

use std::collections::HashMap;
use std::time::Duration;

use domain::breaker::BreakerTurn;
use domain::clock::Moment;
use domain::name::ProviderName;

use super::breaker::News;
use super::{Health, TargetHealth};

impl Health {
    /// What has changed here since the last time, to be told to the other replicas. What cannot be told is to
    /// be told the next time: it is not said again.
    pub fn turns(&self, now: Moment) -> Vec<BreakerTurn> {
        let targets = self.all();
        targets.iter().filter_map(|it| it.turn(now)).collect()
    }

    /// Hears of every breaker that is not closed, by anybody's word, after everything was told that there was to
    /// tell. What is not among them any more was closed by somebody. Replicas try one after another whether a target
    /// is well: first who found it out, then each by its own `stagger`.
    pub fn hear(&self, turned: &[BreakerTurn], stagger: Duration, now: Moment) {
        let turned: HashMap<(&ProviderName, &str), &BreakerTurn> = turned
            .iter()
            .map(|turn| ((&turn.provider, &*turn.model), turn))
            .collect();
        for target in self.all() {
            let turn = turned.get(&target.name());
            target.hear(turn.and_then(|turn| turn.rest), stagger, now);
        }
    }
}

impl TargetHealth {
    fn turn(&self, now: Moment) -> Option<BreakerTurn> {
        let (provider, model) = self.name();
        let rest = match self.breaker.untold(now)? {
            News::Closed => None,
            News::Open(rest) => Some(rest),
        };
        Some(BreakerTurn {
            provider: provider.clone(),
            model: model.to_owned(),
            rest,
        })
    }

    fn hear(&self, rest: Option<Duration>, stagger: Duration, now: Moment) {
        match rest {
            Some(rest) if rest.is_zero() => {}
            Some(rest) => self.breaker.open_as_told(now.after(rest), stagger, now),
            None => self.breaker.close_told(now),
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::provider_error::Cause;

    use super::*;
    use crate::health::BreakerState;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    fn replica() -> (Health, Arc<TargetHealth>) {
        let health = Health::default();
        let target = health.of(&"sim".parse().unwrap(), "gpt", 1);
        (health, target)
    }

    fn fail(target: &Arc<TargetHealth>, now: Moment) {
        for _ in 0..10 {
            target.board(now).failed(Cause::Server, now);
        }
    }

    /// Two replicas tell and hear once.
    fn exchange(replicas: [&Health; 2], told: &mut HashMap<String, BreakerTurn>, now: Moment) {
        for health in replicas {
            for turn in health.turns(now) {
                match turn.rest {
                    Some(_) => told.insert(turn.model.clone(), turn),
                    None => told.remove(&turn.model),
                };
            }
            let all: Vec<BreakerTurn> = told.values().cloned().collect();
            health.hear(&all, Duration::ZERO, now);
        }
    }

    #[test]
    fn what_one_replica_finds_out_the_other_need_not() {
        let ((one, first), (other, second)) = (replica(), replica());
        let mut told = HashMap::new();
        fail(&first, at(0));
        exchange([&one, &other], &mut told, at(0));
        assert_eq!(second.breaker(at(0)), BreakerState::Open);
        assert!(one.turns(at(0)).is_empty() && other.turns(at(0)).is_empty());

        // One is told in `rest` what was left of it then.
        for turn in told.values_mut() {
            turn.rest = Some(Duration::ZERO);
        }
        exchange([&one, &other], &mut told, at(10));
        assert_eq!(first.breaker(at(10)), BreakerState::HalfOpen);
        assert_eq!(
            second.breaker(at(13)),
            BreakerState::Open,
            "the first tries"
        );
        assert_eq!(second.breaker(at(14)), BreakerState::HalfOpen);
        for _ in 0..2 {
            second.board(at(14)).answered(at(14), at(14));
        }
        assert_eq!(second.breaker(at(14)), BreakerState::Closed);
        exchange([&other, &one], &mut told, at(15));
        assert_eq!(first.breaker(at(15)), BreakerState::Closed);
        assert!(told.is_empty());
    }

    #[test]
    fn what_was_never_told_is_not_closed_by_silence() {
        let (health, target) = replica();
        fail(&target, at(0));
        health.hear(&[], Duration::ZERO, at(0));
        assert_eq!(target.breaker(at(0)), BreakerState::Open);
    }
}
