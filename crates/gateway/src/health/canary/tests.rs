use domain::call::CallState;
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
