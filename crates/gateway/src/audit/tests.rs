use domain::adjustment::{Adjustment, AdjustmentReason, HourApart};
use domain::call::CacheOutcome;
use domain::usage::Usage;

use super::*;
use crate::catalog::Catalog;
use crate::testing::{Memory, at_once, call, provider_of_openai};

const EVER: Span = Span {
    since: Timestamp::MIN,
    until: Timestamp::MAX,
    hours_since: Timestamp::UNIX_EPOCH,
};

fn audited(store: &Memory) -> Audit {
    let routes = Routes::new([provider_of_openai()], [], Catalog::builtin());
    at_once(audit(store, &routes, EVER, |_| ())).unwrap()
}

fn store_with(calls: &[Call]) -> Memory {
    let store = Memory::default();
    at_once(store.record_calls(calls)).unwrap();
    store
}

fn findings(store: &Memory) -> Vec<String> {
    let audit = audited(store);
    assert_eq!(audit.found, audit.findings.len() as u64);
    audit.findings.iter().map(ToString::to_string).collect()
}

/// A call of `gpt-4.1` whose cost and price are those of the catalog.
fn sound() -> Call {
    let mut sound = Call {
        usage: Usage::text(1_000_000, 1_000_000),
        cost_usd: Some("10".parse().unwrap()),
        started_at: "2026-11-01T12:00:00Z".parse().unwrap(),
        ..call()
    };
    sound.attempts[0].model = "gpt-4.1".to_owned();
    let routes = Routes::new([provider_of_openai()], [], Catalog::builtin());
    sound.price_source = recompute(&routes, &sound).unwrap().source;
    sound
}

fn adjustment(of: &Call, amount: &str) -> Adjustment {
    Adjustment {
        request_id: of.request_id,
        number: 1,
        organization_id: of.organization_id,
        project_id: of.project_id,
        application_id: None,
        user_id: None,
        key_id: of.key_id,
        started_at: of.started_at,
        amount: amount.parse().unwrap(),
        reason: AdjustmentReason::Rerated,
        old_price_source: None,
        new_price_source: None,
        made_at: of.started_at,
        made_by: "test".to_owned(),
    }
}

#[test]
fn books_that_agree_have_no_findings() {
    let calls = [sound(), sound()];
    let store = store_with(&calls);
    at_once(store.add_adjustments(&[adjustment(&calls[0], "-1")])).unwrap();
    let audit = audited(&store);
    assert_eq!(audit.findings, []);
    assert_eq!(
        (audit.calls, audit.adjustments, audit.recomputed),
        (2, 1, 2)
    );
    assert_eq!(audit.cost, "20".parse().unwrap());
    assert_eq!(audit.adjusted, "-1".parse().unwrap());
}

#[test]
fn a_sum_that_is_not_that_of_the_rows_is_found() {
    let call = sound();
    let store = store_with(std::slice::from_ref(&call));
    store.miscount(|total| total.cost = "9.999999999".parse().unwrap());
    let found = findings(&store);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with(&format!("the cost of {}", call.key_id)),
        "{found:?}"
    );
    assert!(found[0].ends_with("the rows make 10.000000000, the store says 9.999999999"));
}

#[test]
fn an_adjustment_of_no_call_is_found() {
    let store = Memory::default();
    at_once(store.add_adjustments(&[adjustment(&sound(), "1")])).unwrap();
    let found = findings(&store);
    assert!(
        found[0].starts_with("an adjustment of 1.000000000 is of call"),
        "{found:?}"
    );
}

#[test]
fn every_rule_that_a_row_breaks_is_named() {
    let cases = [
        (
            Call {
                cost_usd: Some("10.000000001".parse().unwrap()),
                ..sound()
            },
            "its cost is 10.000000001, and its usage makes 10.000000000",
        ),
        (
            Call {
                usage: Usage {
                    cached_input_tokens: 2,
                    ..Usage::text(1, 0)
                },
                price_source: None,
                ..sound()
            },
            "exceed input_tokens",
        ),
        (
            Call {
                cost_usd: Some("-1".parse().unwrap()),
                price_source: None,
                ..sound()
            },
            "its cost is less than nothing",
        ),
        (
            Call {
                state: CallState::Failed,
                cost_usd: None,
                ..sound()
            },
            "it failed, and what it cost is not known",
        ),
        (
            Call {
                end_reason: Some(EndReason::Interrupted),
                ..sound()
            },
            "it was interrupted, and is settled",
        ),
        (
            Call {
                cache: CacheOutcome::Hit,
                cost_usd: Some(Cost::ZERO),
                ..sound()
            },
            "the cache answered it, and openai was asked",
        ),
    ];
    for (call, expected) in cases {
        let found = findings(&store_with(&[call]));
        assert!(
            found.iter().any(|found| found.contains(expected)),
            "{expected}: {found:?}"
        );
    }
    let mut unnumbered = sound();
    unnumbered.attempts[0].number = 2;
    let found = findings(&store_with(&[unnumbered]));
    assert!(
        found[0].ends_with("its attempts are not numbered from 1"),
        "{found:?}"
    );
}

#[test]
fn an_hour_whose_sum_is_wrong_is_found_where_such_sums_are_kept() {
    let store = store_with(&[sound()]);
    store.tell_apart(HourApart {
        key_id: sound().key_id,
        project_id: sound().project_id,
        starts_at: "2026-11-01T12:00:00Z".parse().unwrap(),
        rows: "10".parse().unwrap(),
        sum: "9".parse().unwrap(),
    });
    let found = findings(&store);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("the rows make 10.000000000"), "{found:?}");
    let routes = Routes::new([provider_of_openai()], [], Catalog::builtin());
    for (since, hours_since) in [
        // The hour had begun before, or such sums are not kept any more.
        ("2026-11-01T12:00:00.000001Z", "1970-01-01T00:00:00Z"),
        ("1970-01-01T00:00:00Z", "2026-11-01T12:30:00Z"),
    ] {
        let span = Span {
            since: since.parse().unwrap(),
            hours_since: hours_since.parse().unwrap(),
            ..EVER
        };
        let audit = at_once(audit(&store, &routes, span, |_| ())).unwrap();
        assert!(
            !audit
                .findings
                .iter()
                .any(|it| matches!(it, Finding::Hour { .. }))
        );
    }
}
