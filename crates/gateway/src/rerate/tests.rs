use domain::call::{Attempt, CacheOutcome};
use domain::provider_error::Cause;

use super::*;
use crate::catalog::Catalog;
use crate::routes::{Provider, Routes};
use crate::testing::{Memory, at_once, call, provider_of_openai};

/// By the catalog, `gpt-4.1` takes 2 dollars for a million input tokens and 8 for output.
fn routes() -> Routes {
    let provider: Provider = provider_of_openai();
    Routes::new([provider], [], Catalog::builtin())
}

fn attempt(model: &str, failed: bool) -> Attempt {
    Attempt {
        model: model.to_owned(),
        error_type: failed.then_some(Cause::RateLimited),
        ..call().attempts[0].clone()
    }
}

fn asked(cost: Option<&str>) -> Call {
    Call {
        usage: Usage::text(1_000_000, 0),
        attempts: vec![attempt("gpt-4.1", false)],
        cost_usd: cost.map(|cost| cost.parse().unwrap()),
        started_at: "2026-11-01T00:00:00Z".parse().unwrap(),
        ..call()
    }
}

fn rerating(is_dry: bool) -> Rerating {
    Rerating {
        filter: CallFilter::default(),
        model: None,
        is_dry,
        made_by: "command line".to_owned(),
        now: Timestamp::UNIX_EPOCH,
    }
}

fn rerated(store: &Memory, is_dry: bool) -> Rerated {
    at_once(rerate(
        store,
        &routes(),
        &rerating(is_dry),
        None,
        u64::MAX,
        |_| (),
    ))
    .unwrap()
}

fn store_with(calls: &[Call]) -> Memory {
    let store = Memory::default();
    at_once(store.record_calls(calls)).unwrap();
    store
}

#[test]
fn a_call_that_cost_too_little_is_adjusted_once() {
    let call = asked(Some("1.50"));
    let store = store_with(std::slice::from_ref(&call));
    let dry = rerated(&store, true);
    assert_eq!((dry.adjusted, dry.amount), (1, "0.5".parse().unwrap()));
    assert_eq!(store.adjustments(), []);

    let first = rerated(&store, false);
    assert_eq!(first, dry);
    assert_eq!(
        first.models["openai/gpt-4.1"].amount,
        "0.5".parse().unwrap()
    );
    let made = store.adjustments();
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].request_id, made[0].number), (call.request_id, 1));
    assert_eq!(made[0].old_price_source, call.price_source);
    assert!(
        made[0]
            .new_price_source
            .as_ref()
            .unwrap()
            .starts_with("genai-prices")
    );

    let again = rerated(&store, false);
    assert_eq!((again.calls, again.adjusted), (1, 0));
    assert_eq!(store.adjustments().len(), 1);
}

#[test]
fn a_second_correction_starts_from_the_first() {
    let store = store_with(&[asked(Some("5"))]);
    rerated(&store, false);
    assert_eq!(store.adjustments()[0].amount, "-3".parse().unwrap());
    // As if the price had been another one at that time.
    store.change_adjustment(|adjustment| adjustment.amount = "-4".parse().unwrap());
    rerated(&store, false);
    let amounts: Vec<String> = store
        .adjustments()
        .iter()
        .map(|adjustment| format!("{} {}", adjustment.number, adjustment.amount))
        .collect();
    assert_eq!(amounts, ["1 -4.000000000", "2 1.000000000"]);
}

#[test]
fn a_call_without_a_price_gets_the_one_that_became_known() {
    let store = store_with(&[Call {
        price_source: None,
        ..asked(None)
    }]);
    assert_eq!(rerated(&store, false).amount, "2".parse().unwrap());
    assert_eq!(rerated(&store, false).adjusted, 0);
}

#[test]
fn the_tier_that_a_call_was_priced_with_stays() {
    let batch = Call {
        price_source: Some("genai-prices 2026-11-21 batch".to_owned()),
        ..asked(Some("1"))
    };
    let cost = |call: &Call| recompute(&routes(), call).unwrap().cost.to_string();
    assert_eq!(cost(&batch), "1.000000000");
    assert_eq!(cost(&asked(Some("1"))), "2.000000000");
}

#[test]
fn what_took_nothing_costs_nothing() {
    let nothing = |state, usage| Call {
        state,
        usage,
        attempts: vec![attempt("nobody-knows-it", true)],
        ..asked(None)
    };
    let refused = nothing(CallState::Failed, Usage::default());
    let hit = Call {
        cache: CacheOutcome::Hit,
        ..asked(None)
    };
    for call in [refused, hit] {
        assert_eq!(recompute(&routes(), &call).unwrap().cost, Cost::ZERO);
    }
}

#[test]
fn what_nobody_can_compute_keeps_its_cost() {
    let unknown = Call {
        attempts: vec![attempt("nobody-knows-it", false)],
        ..asked(Some("7"))
    };
    let mixed = Call {
        attempts: vec![attempt("gpt-4o", false), attempt("gpt-4.1", false)],
        ..asked(Some("7"))
    };
    let unmetered = Call {
        end_reason: Some(EndReason::Unmetered),
        state: CallState::Estimated,
        ..asked(Some("7"))
    };
    for (call, reason) in [
        (unknown, NotComputable::Unpriced),
        (mixed, NotComputable::Mixed),
        (unmetered, NotComputable::Unmetered),
    ] {
        assert_eq!(recompute(&routes(), &call), Err(reason));
        let store = store_with(&[call]);
        let found = rerated(&store, false);
        assert_eq!((found.not_computable, found.adjusted), (1, 0));
    }
    let fallen_back = Call {
        attempts: vec![attempt("gpt-4o", true), attempt("gpt-4.1", false)],
        ..asked(None)
    };
    assert!(recompute(&routes(), &fallen_back).is_ok());
}

#[test]
fn a_call_that_several_models_were_billed_for_costs_what_each_of_them_took() {
    let part = |model: &str, tokens: u64| Attempt {
        usage: Some(Usage::text(tokens, 0)),
        ..attempt(model, false)
    };
    // 2 dollars for a million at gpt-4.1, 0.4 at gpt-4.1-mini.
    let hedged = Call {
        attempts: vec![part("gpt-4.1-mini", 500_000), part("gpt-4.1", 1_000_000)],
        usage: Usage::text(1_500_000, 0),
        ..asked(Some("7"))
    };
    let cost = recompute(&routes(), &hedged).unwrap().cost;
    assert_eq!(cost, "2.2".parse().unwrap());
    let store = store_with(&[hedged]);
    let found = rerated(&store, false);
    assert_eq!((found.not_computable, found.adjusted), (0, 1));
    assert_eq!(found.amount, "-4.8".parse().unwrap());
}
