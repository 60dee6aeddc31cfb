//! What was asked often is asked again.

use domain::call::{CallStore, Payload};

use super::*;
use crate::cache::warm::{FrequentRequests, WarmError, WarmOutcome, Warmed};
use crate::testing::Rules;

/// Has a caller ask, and keeps what was said as the server would.
fn ask(cached: &Cached, caller: &Caller, body: &str) -> RequestId {
    cached.stage.clock.forward(Duration::from_secs(1));
    cached
        .answered(caller, cached.inbound(body, &[]))
        .expect("it is answered");
    keep(cached, body)
}

fn keep(cached: &Cached, body: &str) -> RequestId {
    let call = cached.last();
    let payload = Payload {
        request_id: call.request_id,
        organization_id: call.organization_id,
        project_id: call.project_id,
        request: body.as_bytes().to_vec(),
        response: Vec::new(),
        keep_until: Timestamp::MAX,
    };
    let store = &cached.stage.store;
    let kept = async {
        store.record_calls(std::slice::from_ref(&call)).await?;
        store.keep_payloads(&[payload]).await
    };
    run(&cached.stage.clock, kept).unwrap();
    call.request_id
}

fn frequent(cached: &Cached, holder: &Caller) -> FrequentRequests {
    let (store, clock) = (&*cached.stage.store, &cached.stage.clock);
    let found = cached
        .cache
        .frequent(store, holder, Timestamp::UNIX_EPOCH, 10);
    run(clock, found).unwrap()
}

fn warm(cached: &Cached, holder: &Caller, asked: RequestId) -> Result<Warmed, WarmError> {
    let (gateway, store) = (&cached.stage.gateway, &*cached.stage.store);
    let ttl = Some(Duration::from_secs(90));
    run(&cached.stage.clock, gateway.warm(store, holder, asked, ttl))
}

fn purge(cached: &Cached) {
    let purged = cached.cache.purge(CacheTenant::default());
    assert!(run(&cached.stage.clock, purged).unwrap() > 0);
}

fn says(words: &str) -> String {
    json!({ "model": "gpt", "messages": [{ "role": "user", "content": words }] }).to_string()
}

#[test]
fn what_was_asked_more_than_once_is_found_the_most_frequent_first() {
    let acts = [ANSWER; 9].map(|answer| Act::whole(200, answer));
    let cached = Cached::of(acts);
    let caller = cached.stage.caller.clone();
    ask(&cached, &caller, &says("Once"));
    ask(&cached, &caller, &says("Twice"));
    let twice = ask(&cached, &caller, &says("Twice"));
    ask(&cached, &caller, ASK);
    ask(&cached, &caller, STREAM);
    let thrice = ask(
        &cached,
        &caller,
        r#"{"user":"u","messages":[{"content":"Hi","role":"user"}],"model":"gpt"}"#,
    );
    // What goes on with another answer is never the same again, and what another project asks is its own.
    for _ in 0..2 {
        let other = elsewhere(&cached.stage);
        ask(&cached, &other, &says("Elsewhere"));
    }
    let found = frequent(&cached, &caller);
    let named: Vec<(RequestId, u64)> = found
        .requests
        .iter()
        .map(|it| (it.request_id, it.times))
        .collect();
    assert_eq!(named, [(thrice, 3), (twice, 2)]);
    // The latest call was answered by the cache; what it saved is what it is expected to cost.
    let expected = Some("0.0014".parse().unwrap());
    assert_eq!(found.requests[0].expected_cost_usd, expected);
    assert_eq!((found.looked_at, found.not_kept), (6, 0));
}

#[test]
fn where_each_key_has_answers_of_its_own_only_what_it_asked_itself_counts() {
    let acts = [ANSWER; 3].map(|answer| Act::whole(200, answer));
    let of_key = CacheRules {
        scope: CacheScope::Key,
        ..rules()
    };
    let cached = Cached::with(of_key, None, acts);
    let caller = cached.stage.caller.clone();
    let mut key = (**caller.key()).clone();
    key.id = "key_00000000000000000000000000000009".parse().unwrap();
    let colleague = Caller::holding(Arc::new(key));
    ask(&cached, &caller, ASK);
    let asked = ask(&cached, &caller, ASK);
    ask(&cached, &colleague, ASK);
    assert_eq!(frequent(&cached, &caller).requests[0].times, 2);
    assert!(frequent(&cached, &colleague).requests.is_empty());
    let refused = warm(&cached, &colleague, asked);
    assert!(matches!(refused, Err(WarmError::Unknown(_))), "{refused:?}");
}

#[test]
fn what_is_asked_again_is_paid_by_the_key_and_answers_whoever_asks_next() {
    let acts = [ANSWER; 3].map(|answer| Act::whole(200, answer));
    let cached = Cached::of(acts);
    let caller = cached.stage.caller.clone();
    let first = ask(&cached, &caller, ASK);
    let asked = ask(&cached, &caller, STREAM);
    purge(&cached);
    let warmed = warm(&cached, &caller, asked).unwrap();
    assert_eq!(warmed.outcome, WarmOutcome::Kept);
    assert_eq!(warmed.cost_usd, Some("0.0014".parse().unwrap()));
    let call = cached.last();
    assert_eq!(call.request_id, warmed.request_id);
    assert_eq!(call.client_request_id, Some(format!("cache-warm:{asked}")));
    assert_eq!(call.key_id, caller.key_id());
    assert_eq!((call.cost_usd, call.streamed), (warmed.cost_usd, false));
    assert_eq!(cached.ask(STREAM).0, CacheOutcome::Hit);
    assert_eq!(cached.requests(), 2);
    // It is kept for as long as was said.
    let again = warm(&cached, &caller, first).unwrap();
    assert_eq!(
        (again.outcome, again.cost_usd),
        (WarmOutcome::Known, Some(Cost::ZERO))
    );
    cached.stage.clock.forward(Duration::from_secs(91));
    assert_eq!(cached.ask(ASK).0, CacheOutcome::Miss);
}

#[test]
fn what_warms_the_cache_does_not_count_as_asked() {
    let acts = [ANSWER; 2].map(|answer| Act::whole(200, answer));
    let cached = Cached::of(acts);
    let caller = cached.stage.caller.clone();
    let asked = ask(&cached, &caller, ASK);
    for _ in 0..3 {
        warm(&cached, &caller, asked).unwrap();
        keep(&cached, ASK);
    }
    assert!(frequent(&cached, &caller).requests.is_empty());
}

#[test]
fn an_answer_that_is_not_kept_is_said_so_and_costs() {
    let cut = ANSWER.replace(r#""finish_reason":"stop""#, r#""finish_reason":"length""#);
    assert_ne!(cut, ANSWER);
    let cached = Cached::of([Act::whole(200, ANSWER), Act::whole(200, &cut)]);
    let caller = cached.stage.caller.clone();
    let asked = ask(&cached, &caller, ASK);
    purge(&cached);
    let warmed = warm(&cached, &caller, asked).unwrap();
    assert_eq!(warmed.outcome, WarmOutcome::NotKept);
    assert_eq!(warmed.cost_usd, Some("0.0014".parse().unwrap()));
}

#[test]
fn nothing_is_sent_where_no_answer_could_be_kept() {
    let cached = Cached::of([Act::whole(200, ANSWER), Act::whole(200, ANSWER)]);
    let caller = cached.stage.caller.clone();
    let asked = ask(&cached, &caller, ASK);
    let other = warm(&cached, &elsewhere(&cached.stage), asked);
    assert!(matches!(other, Err(WarmError::Unknown(_))), "{other:?}");

    let several = r#"{"model":"gpt","n":2,"messages":[{"role":"user","content":"Hi"}]}"#;
    let asked = ask(&cached, &caller, several);
    let several = warm(&cached, &caller, asked);
    assert!(
        matches!(several, Err(WarmError::NotCached(_))),
        "{several:?}"
    );

    let store = &cached.stage.store;
    let mut call = cached.last();
    call.request_id = request_id();
    let unkept = call.request_id;
    run(&cached.stage.clock, store.record_calls(&[call])).unwrap();
    let missing = warm(&cached, &caller, unkept);
    assert!(matches!(missing, Err(WarmError::NotKept(_))), "{missing:?}");
    assert_eq!(frequent(&cached, &caller).not_kept, 1);
    assert_eq!(cached.requests(), 2);

    let stage = Stage::with(Rules::default(), []);
    let warmed = stage
        .gateway
        .warm(&*stage.store, &stage.caller, asked, None);
    let refused = run(&stage.clock, warmed);
    assert!(matches!(refused, Err(WarmError::NoCache)), "{refused:?}");
}
