//! Sums of what calls cost.

use domain::call::{Attempt, Call, CallStore};
use domain::money::Cost;
use domain::spend::{Spend, SpendStore};
use jiff::Timestamp;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{application_id, call, full_call, key_id, time, user_id};

on_both_engines!(
    nothing_was_spent_in_an_empty_store,
    sums_are_what_the_calls_add_up_to,
    a_call_that_is_recorded_twice_counts_once,
    calls_are_summed_by_whom_and_on_what,
    an_hour_and_a_month_begin_where_the_calendar_says,
    amounts_beyond_the_range_of_a_column_add_up,
    old_hours_are_dropped_and_months_are_kept,
);

fn costing(number: u64, nano_dollars: i64, at: Timestamp) -> Call {
    Call {
        cost_usd: Some(Cost::from_nano_dollars(nano_dollars)),
        started_at: at,
        ..call(number)
    }
}

async fn record(bench: &Bench, calls: &[Call]) {
    bench.store.record_calls(calls).await.unwrap();
}

async fn since(bench: &Bench, at: &str) -> Vec<Spend> {
    let mut spends = bench.store.spend_since(at.parse().unwrap()).await.unwrap();
    spends.sort_by(|one, other| one.subject.cmp(&other.subject));
    spends
}

async fn total(bench: &Bench, at: &str) -> i64 {
    let spends = since(bench, at).await;
    spends.iter().map(|spend| spend.cost.nano_dollars()).sum()
}

/// The hour, the month and the epoch that [`time`] is in.
const HOUR: &str = "2026-11-21T12:00:00Z";
const MONTH: &str = "2026-11-01T00:00:00Z";
const EVER: &str = "1970-01-01T00:00:00Z";

async fn nothing_was_spent_in_an_empty_store(bench: Bench) {
    assert_eq!(since(&bench, HOUR).await, []);
    assert_eq!(since(&bench, EVER).await, []);
}

async fn sums_are_what_the_calls_add_up_to(bench: Bench) {
    let free = Call {
        cost_usd: None,
        ..call(9)
    };
    record(&bench, &[costing(1, 5, time(0)), free]).await;
    record(&bench, &[costing(2, 1_999_999_999, time(10))]).await;
    for start in [HOUR, MONTH, EVER] {
        assert_eq!(total(&bench, start).await, 2_000_000_004, "{start}");
    }
}

async fn a_call_that_is_recorded_twice_counts_once(bench: Bench) {
    let (one, two) = (costing(1, 5, time(0)), costing(2, 7, time(0)));
    record(&bench, std::slice::from_ref(&one)).await;
    record(&bench, &[one.clone(), two.clone(), two]).await;
    record(&bench, &[one]).await;
    assert_eq!(total(&bench, HOUR).await, 12);
    assert!(
        bench
            .store
            .call(call(2).request_id)
            .await
            .unwrap()
            .is_some()
    );
}

async fn calls_are_summed_by_whom_and_on_what(bench: Bench) {
    let attempt = |model: &str| Attempt {
        model: model.to_owned(),
        ..full_call(1).attempts.remove(0)
    };
    let mine = Call {
        key_id: key_id(1),
        user_id: Some(user_id(1)),
        application_id: Some(application_id(1)),
        attempts: vec![attempt("small"), attempt("large")],
        ..costing(1, 5, time(0))
    };
    let others = Call {
        key_id: key_id(2),
        ..costing(2, 7, time(0))
    };
    record(&bench, &[mine.clone(), others]).await;
    let spends = since(&bench, HOUR).await;
    assert_eq!(spends.len(), 2);
    let of_mine = spends.iter().find(|spend| spend.cost.nano_dollars() == 5);
    let subject = &of_mine.unwrap().subject;
    assert_eq!(subject.key_id, Some(key_id(1)));
    assert_eq!(subject.user_id, Some(user_id(1)));
    assert_eq!(subject.application_id, Some(application_id(1)));
    assert_eq!(subject.organization_id, Some(mine.organization_id));
    assert_eq!(subject.project_id, Some(mine.project_id));
    assert_eq!(subject.provider, mine.provider);
    assert_eq!(subject.model.as_deref(), Some("large"));
}

async fn an_hour_and_a_month_begin_where_the_calendar_says(bench: Bench) {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    record(
        &bench,
        &[
            costing(1, 1, at("2026-10-31T23:59:59.999999Z")),
            costing(2, 10, at("2026-11-01T00:00:00Z")),
            costing(3, 100, at("2026-11-21T11:59:59.999999Z")),
            costing(4, 1_000, at("2026-11-21T12:00:00Z")),
        ],
    )
    .await;
    assert_eq!(total(&bench, EVER).await, 1_111);
    assert_eq!(total(&bench, MONTH).await, 1_110);
    assert_eq!(total(&bench, "2026-11-21T00:00:00Z").await, 1_100);
    assert_eq!(total(&bench, HOUR).await, 1_000);
}

async fn amounts_beyond_the_range_of_a_column_add_up(bench: Bench) {
    let huge = |number| costing(number, i64::MAX, time(0));
    record(&bench, &[huge(1), huge(2)]).await;
    record(&bench, &[huge(3)]).await;
    let spends = since(&bench, HOUR).await;
    assert_eq!(spends.len(), 1);
    assert_eq!(spends[0].cost, Cost::MAX);
}

async fn old_hours_are_dropped_and_months_are_kept(bench: Bench) {
    record(
        &bench,
        &[costing(1, 5, time(0)), costing(2, 7, time(-7_200))],
    )
    .await;
    let before = HOUR.parse().unwrap();
    assert_eq!(bench.store.drop_hours_before(before, 10).await.unwrap(), 1);
    assert_eq!(bench.store.drop_hours_before(before, 10).await.unwrap(), 0);
    assert_eq!(total(&bench, "2026-11-21T00:00:00Z").await, 5);
    assert_eq!(total(&bench, MONTH).await, 12);
}
