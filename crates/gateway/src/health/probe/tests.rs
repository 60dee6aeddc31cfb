use domain::clock::Clock;
use domain::egress::EgressError;

use super::*;
use crate::health::BreakerState;
use crate::routes::ResolvedTarget;
use crate::testing::{Act, Keys, Rules, Stage, run};
use providers::kind::ProviderKind;

const RULES: ProbeRules = ProbeRules {
    interval: Duration::from_secs(30),
    timeout: Duration::from_secs(5),
};

fn stage(keys: Keys, acts: impl IntoIterator<Item = Act>) -> Stage {
    let rules = Rules {
        kind: Some(ProviderKind::Openai),
        keys,
        ..Rules::default()
    };
    Stage::with(rules, acts)
}

fn unreachable() -> Act {
    Act::Refuse(EgressError::Connect("refused".to_owned()))
}

fn target(stage: &Stage) -> Arc<ResolvedTarget> {
    let plan = stage.gateway.routes().plan(&"gpt".parse().unwrap());
    Arc::clone(plan.unwrap().target())
}

/// Probes the one provider.
fn probe(stage: &Stage) -> ProbeState {
    let routes = stage.gateway.routes();
    let provider = routes.provider("sim").unwrap();
    run(&stage.clock, stage.gateway.probe(provider, RULES));
    routes.health().probed(provider).unwrap()
}

#[test]
fn a_probe_asks_for_the_models_and_costs_no_call() {
    let stage = stage(Keys::Several(1), [Act::whole(200, "{}")]);
    let state = probe(&stage);
    assert!(state.is_reached && !state.refuses_key && state.latency_ms.is_some());
    let sent = stage.script.sent.lock().unwrap();
    let request = &sent[0].request;
    assert_eq!(request.uri().path(), "/v1/models");
    assert_eq!(request.headers()["authorization"], "Bearer key-1");
    assert_eq!(stage.ledger.dispatched(), 0);
}

#[test]
fn who_fails_twice_is_passed_over_and_tried_again_as_soon_as_it_answers() {
    let acts = [
        unreachable(),
        Act::whole(502, "{}"),
        unreachable(),
        Act::whole(200, "{}"),
    ];
    let stage = stage(Keys::Several(1), acts);
    let target = target(&stage);
    let breaker = || target.health.breaker(stage.clock.moment());
    assert_eq!(probe(&stage).failures, 1);
    assert_eq!(breaker(), BreakerState::Closed, "one may be lost by itself");
    assert!(probe(&stage).is_out());
    assert_eq!(breaker(), BreakerState::Open);
    stage.clock.forward(RULES.interval);
    assert_eq!(probe(&stage).cause, Some(Cause::Unreachable));
    stage.clock.forward(RULES.interval);
    assert_eq!(breaker(), BreakerState::Open, "as long as probes fail");
    assert!(probe(&stage).is_reached);
    assert_eq!(breaker(), BreakerState::HalfOpen);
}

#[test]
fn a_breaker_that_calls_opened_is_not_closed_by_a_list_of_models() {
    let stage = stage(Keys::Several(1), [Act::whole(200, "{}")]);
    let target = target(&stage);
    let now = stage.clock.moment();
    for _ in 0..10 {
        target.health.board(now).failed(Cause::Server, now);
    }
    assert!(probe(&stage).is_reached);
    assert_eq!(target.health.breaker(now), BreakerState::Open);
}

#[test]
fn a_key_that_is_refused_is_left_alone_until_it_is_taken() {
    let acts = [
        Act::whole(401, "{}"),
        Act::whole(200, "{}"),
        Act::whole(200, "{}"),
        Act::whole(200, "{}"),
    ];
    let stage = stage(Keys::Several(2), acts);
    let target = target(&stage);
    let rests = || {
        let condition = target.health.condition(stage.clock.moment());
        let causes = condition.keys.iter().map(|key| key.cause);
        causes.collect::<Vec<_>>()
    };
    let state = probe(&stage);
    assert!(state.is_reached && state.refuses_key);
    assert_eq!(rests(), [Some(Cause::Authentication), None]);
    assert!(!probe(&stage).refuses_key);
    assert_eq!(rests(), [None, None]);
}

#[test]
fn who_has_no_such_list_answers_all_the_same() {
    for status in [404, 405, 429] {
        let stage = stage(Keys::Several(1), [Act::whole(status, "{}")]);
        let state = probe(&stage);
        assert!(state.is_reached && !state.refuses_key, "{status}");
    }
}

#[test]
fn who_does_not_answer_in_time_fails() {
    let stage = stage(Keys::Several(1), [Act::Hang]);
    assert_eq!(probe(&stage).cause, Some(Cause::Timeout));
    assert_eq!(stage.clock.elapsed(), RULES.timeout);
}

#[test]
fn the_simulated_provider_is_not_asked() {
    let stage = Stage::of([]);
    let routes = stage.gateway.routes();
    let provider = routes.provider("sim").unwrap();
    run(&stage.clock, stage.gateway.probe(provider, RULES));
    assert_eq!(routes.health().probed(provider), None);
}
