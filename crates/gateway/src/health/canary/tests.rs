use domain::call::{CallState, CallStore};
use domain::clock::Clock;
use domain::id::OrganizationId;
use jiff::SignedDuration;

use super::*;
use crate::testing::{ANSWER, Act, Stage, run};

const ASK: &str = r#"{"model":"gpt","messages":[{"role":"user","content":"Hi"}]}"#;

fn rules(usd: &str) -> CanaryRules {
    CanaryRules {
        idle: Duration::from_mins(10),
        usd_per_day: usd.parse().unwrap(),
    }
}

fn idle(stage: &Stage, began: Moment) -> Vec<String> {
    let targets = stage.gateway.idle_targets(rules("1"), began);
    targets.iter().map(|it| it.model.clone()).collect()
}

fn send(stage: &Stage, usd: &str) -> bool {
    let caller = rules(usd).caller();
    let plan = stage.gateway.routes().plan(&"gpt".parse().unwrap());
    let target = Arc::clone(plan.unwrap().target());
    run(&stage.clock, stage.gateway.send_canary(&caller, &target))
}

#[test]
fn targets_are_idle_that_nobody_asked_for_long() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    let began = stage.clock.moment();
    assert!(idle(&stage, began).is_empty(), "nobody could ask yet");
    stage.clock.forward(Duration::from_mins(9));
    stage.chat(ASK).unwrap();
    stage.clock.forward(Duration::from_mins(1));
    assert_eq!(idle(&stage, began), ["claude", "gemini"]);
    stage.clock.forward(Duration::from_mins(9));
    assert_eq!(idle(&stage, began), ["claude", "gemini", "gpt"]);
}

#[test]
fn a_target_that_another_replica_asks_is_left_alone() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    let began = stage.clock.moment();
    stage.chat(ASK).unwrap();
    let call = stage.heard.only();
    let other = Stage::of([]);
    for stage in [&stage, &other] {
        stage.clock.forward(Duration::from_mins(9));
    }
    run(&other.clock, other.store.record_calls(&[call])).unwrap();
    let is_asked = |model: &str| {
        let plan = other.gateway.routes().plan(&model.parse().unwrap());
        let target = Arc::clone(plan.unwrap().target());
        let asked = other
            .gateway
            .is_asked_elsewhere(rules("1"), &target, &*other.store);
        run(&other.clock, asked).unwrap()
    };
    assert!(is_asked("gpt"));
    assert!(!is_asked("claude"));
    other.clock.forward(Duration::from_secs(59));
    assert!(!idle(&other, began).contains(&"gpt".to_owned()));
    other.clock.forward(Duration::from_secs(2));
    assert!(idle(&other, began).contains(&"gpt".to_owned()));
    assert!(!is_asked("gpt"), "it was asked too long ago");
}

#[test]
fn a_canary_is_a_small_call_of_trunklines_own() {
    let stage = Stage::of([Act::whole(200, ANSWER)]);
    assert!(send(&stage, "1"));
    let call = stage.heard.only();
    assert_eq!(call.state, CallState::Settled);
    assert_eq!(call.organization_id, OrganizationId::HOUSE);
    assert_eq!(call.key_id, house::key_id("canaries"));
    let sent = stage.script.sent.lock().unwrap();
    let body: serde_json::Value = serde_json::from_slice(sent[0].request.body()).unwrap();
    assert_eq!(body["max_tokens"], 1);
}

#[test]
fn no_canary_is_sent_when_the_days_money_is_spent() {
    let stage = Stage::of([Act::whole(200, ANSWER), Act::whole(200, ANSWER)]);
    assert!(send(&stage, "0.001"));
    assert!(!send(&stage, "0.001"));
    assert_eq!(stage.script.requests(), 1);
    stage.clock.set_wall(SignedDuration::from_hours(24));
    assert!(send(&stage, "0.001"), "another day");
    assert_eq!(stage.script.requests(), 2);
}
