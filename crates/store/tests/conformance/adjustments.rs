//! The adjustment port, and what is spent with adjustments in it.

use domain::adjustment::{
    Adjusted, Adjustment, AdjustmentFilter, AdjustmentReason, AdjustmentStore, SpendTotal,
};
use domain::call::{Call, CallStore};
use domain::id::{OrganizationId, ProjectId};
use domain::money::Cost;
use domain::spend::{CorrectionStore, SpendStore};
use domain::usage::Usage;
use jiff::{SignedDuration, Timestamp};

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{
    application_id, call, key_id, other_organization, other_project, replica_id, request_id, time,
    user_id,
};

on_both_engines!(
    an_adjustment_reads_back_as_it_was_added,
    of_two_that_were_computed_from_the_same_cost_one_is_made,
    the_sum_of_a_calls_adjustments_is_told,
    a_list_goes_on_where_it_ended_and_holds_its_time,
    what_a_key_spent_includes_its_adjustments,
    totals_are_those_of_each_key_project_and_day,
    no_call_is_in_the_ledger_twice,
    the_sums_of_what_was_spent_change_with_adjustments,
    corrections_are_told_in_their_order_and_are_one_replicas_business,
    every_hours_sum_is_that_of_its_calls_and_adjustments,
);

fn adjustment(of: u64, number: u32, nano: i64) -> Adjustment {
    Adjustment {
        request_id: request_id(of),
        number,
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        application_id: None,
        user_id: None,
        key_id: key_id(1),
        started_at: time(i64::try_from(of).unwrap()),
        amount: Cost::from_nano_dollars(nano),
        reason: AdjustmentReason::Rerated,
        old_price_source: None,
        new_price_source: Some(format!("catalog, edition {number}")),
        made_at: time(1_000),
        made_by: "command line".to_owned(),
    }
}

async fn add(bench: &Bench, adjustments: &[Adjustment]) -> u64 {
    bench.store.add_adjustments(adjustments).await.unwrap()
}

async fn all(bench: &Bench) -> Vec<Adjustment> {
    let filter = AdjustmentFilter::default();
    bench
        .store
        .list_adjustments(&filter, None, 100)
        .await
        .unwrap()
}

async fn an_adjustment_reads_back_as_it_was_added(bench: Bench) {
    let full = Adjustment {
        organization_id: other_organization(),
        project_id: other_project(),
        application_id: Some(application_id(1)),
        user_id: Some(user_id(1)),
        amount: Cost::from_nano_dollars(i64::MIN),
        old_price_source: Some("Größe 东京 'quoted'".to_owned()),
        new_price_source: None,
        ..adjustment(1, u32::MAX, 0)
    };
    assert_eq!(add(&bench, std::slice::from_ref(&full)).await, 1);
    assert_eq!(all(&bench).await, [full]);
}

async fn of_two_that_were_computed_from_the_same_cost_one_is_made(bench: Bench) {
    assert_eq!(
        add(&bench, &[adjustment(1, 1, 5), adjustment(2, 1, 5)]).await,
        2
    );
    assert_eq!(
        add(&bench, &[adjustment(1, 1, 7), adjustment(1, 2, 7)]).await,
        1
    );
    let made = [
        adjustment(1, 1, 5),
        adjustment(1, 2, 7),
        adjustment(2, 1, 5),
    ];
    assert_eq!(all(&bench).await, made);
}

async fn the_sum_of_a_calls_adjustments_is_told(bench: Bench) {
    let made = [
        adjustment(1, 1, -5),
        adjustment(1, 2, 7),
        adjustment(2, 1, 1),
    ];
    add(&bench, &made).await;
    let told = bench.store.adjusted(&[request_id(1), request_id(3)]).await;
    let expected = Adjusted {
        request_id: request_id(1),
        amount: Cost::from_nano_dollars(2),
        last_number: 2,
        price_source: Some("catalog, edition 2".to_owned()),
    };
    assert_eq!(told.unwrap(), [expected]);
    assert_eq!(bench.store.adjusted(&[]).await.unwrap(), []);
}

async fn a_list_goes_on_where_it_ended_and_holds_its_time(bench: Bench) {
    let made = [
        adjustment(1, 1, 1),
        adjustment(1, 2, 1),
        adjustment(2, 1, 1),
        adjustment(3, 1, 1),
    ];
    add(&bench, &made).await;
    let list = async |filter: &AdjustmentFilter, after, limit| {
        bench
            .store
            .list_adjustments(filter, after, limit)
            .await
            .unwrap()
    };
    let open = AdjustmentFilter::default();
    assert_eq!(list(&open, None, 2).await, made[..2]);
    assert_eq!(list(&open, Some((request_id(1), 2)), 2).await, made[2..]);
    let of_second = AdjustmentFilter {
        since: Some(time(2)),
        until: Some(time(3)),
        ..open.clone()
    };
    assert_eq!(list(&of_second, None, 9).await, made[2..3]);
    let of_call = AdjustmentFilter {
        request_id: Some(request_id(1)),
        ..open
    };
    assert_eq!(list(&of_call, None, 9).await, made[..2]);
}

async fn what_a_key_spent_includes_its_adjustments(bench: Bench) {
    bench.store.record_calls(&[call(1), call(5)]).await.unwrap();
    let of_another = Adjustment {
        key_id: key_id(2),
        ..adjustment(9, 1, 3)
    };
    add(
        &bench,
        &[adjustment(1, 1, -400), adjustment(5, 1, 1_000), of_another],
    )
    .await;
    let spent = async |since| {
        let spends = bench.store.spend_by_key(since).await.unwrap();
        let figures = spends
            .iter()
            .map(|spend| (spend.key_id, spend.cost.nano_dollars()));
        figures.collect::<Vec<_>>()
    };
    let since_ever = spent(Timestamp::UNIX_EPOCH).await;
    assert_eq!(since_ever, [(key_id(1), 2_000_600), (key_id(2), 3)]);
    let later = spent(time(2)).await;
    assert_eq!(later, [(key_id(1), 1_001_000), (key_id(2), 3)]);
}

async fn totals_are_those_of_each_key_project_and_day(bench: Bench) {
    let tomorrow = Call {
        started_at: time(1) + SignedDuration::from_hours(24),
        usage: Usage::text(7, 8),
        ..call(3)
    };
    let elsewhere = Call {
        project_id: other_project(),
        cost_usd: None,
        ..call(4)
    };
    let calls = [call(1), call(2), tomorrow.clone(), elsewhere];
    bench.store.record_calls(&calls).await.unwrap();
    add(&bench, &[adjustment(1, 1, -1), adjustment(2, 1, 11)]).await;
    let (since, until) = (Timestamp::UNIX_EPOCH, time(1_000_000));
    let mut totals = bench.store.spend_totals(since, until).await.unwrap();
    totals.sort_by_key(|total| (total.day, total.project_id));
    let day = time(1).as_second() / 86_400;
    let total = |project_id, day, calls, nano: i64, adjusted: i64, tokens: (u64, u64)| SpendTotal {
        key_id: key_id(1),
        project_id,
        day,
        calls,
        cost: Cost::from_nano_dollars(nano),
        adjusted: Cost::from_nano_dollars(adjusted),
        input_tokens: tokens.0,
        output_tokens: tokens.1,
    };
    let expected = [
        total(ProjectId::DEFAULT, day, 2, 2_000_000, 10, (200, 40)),
        total(other_project(), day, 1, 0, 0, (100, 20)),
        total(ProjectId::DEFAULT, day + 1, 1, 1_000_000, 0, (7, 8)),
    ];
    assert_eq!(totals, expected);
    let none = bench
        .store
        .spend_totals(until, time(2_000_000))
        .await
        .unwrap();
    assert_eq!(none, []);
}

async fn no_call_is_in_the_ledger_twice(bench: Bench) {
    bench.store.record_calls(&[call(1), call(2)]).await.unwrap();
    bench.store.record_calls(&[call(1)]).await.unwrap();
    assert_eq!(bench.store.doubled_calls(10).await.unwrap(), []);
}

async fn the_sums_of_what_was_spent_change_with_adjustments(bench: Bench) {
    let costly = Call {
        cost_usd: Some(Cost::from_nano_dollars(1_500_000_000)),
        ..call(1)
    };
    bench.store.record_calls(&[costly]).await.unwrap();
    let spent = async |since: &str| {
        let spends = bench.store.spend_since(since.parse().unwrap()).await;
        let spends = spends.unwrap();
        assert_eq!(spends.len(), 1, "it is one sum: {spends:?}");
        spends[0].cost.nano_dollars()
    };
    // Of the second, the call is not in the ledger.
    let adjustments = [adjustment(1, 1, -700_000_000), adjustment(2, 1, 5)];
    assert_eq!(add(&bench, &adjustments).await, 2);
    for since in ["2026-11-21T12:00:00Z", "2026-11-01T00:00:00Z"] {
        assert_eq!(spent(since).await, 800_000_000);
    }
    // What is not added changes nothing.
    assert_eq!(add(&bench, &[adjustment(1, 1, -700_000_000)]).await, 0);
    assert_eq!(add(&bench, &[adjustment(1, 2, 300_000_000)]).await, 1);
    assert_eq!(spent("2026-11-21T12:00:00Z").await, 1_100_000_000);
}

async fn corrections_are_told_in_their_order_and_are_one_replicas_business(bench: Bench) {
    assert_eq!(bench.store.last_correction().await.unwrap(), 0);
    bench.store.record_calls(&[call(1)]).await.unwrap();
    add(&bench, &[adjustment(2, 1, 5), adjustment(1, 1, -7)]).await;
    add(&bench, &[adjustment(2, 1, 5), adjustment(1, 2, 9)]).await;
    let told = bench.store.corrections_after(0, 10).await.unwrap();
    let amounts: Vec<i64> = told.iter().map(|it| it.spend.cost.nano_dollars()).collect();
    assert_eq!(amounts, [5, -7, 9]);
    let last = &told[2];
    assert_eq!(last.started_at, time(1));
    assert_eq!(last.spend.subject.key_id, Some(key_id(1)));
    assert_eq!(last.spend.subject.provider, call(1).provider);
    assert!(last.spend.subject.model.is_some());
    assert_eq!(bench.store.last_correction().await.unwrap(), last.sequence);
    let after = |sequence, limit| bench.store.corrections_after(sequence, limit);
    assert_eq!(after(told[0].sequence, 1).await.unwrap(), told[1..2]);
    assert_eq!(after(last.sequence, 10).await.unwrap(), []);
    let (one, other) = (replica_id(1), replica_id(2));
    let claim = |replica| bench.store.claim_correction(last.sequence, replica);
    assert!(claim(one).await.unwrap());
    assert!(!claim(other).await.unwrap());
}

async fn every_hours_sum_is_that_of_its_calls_and_adjustments(bench: Bench) {
    let costly = |number, at| Call {
        cost_usd: Some(Cost::from_nano_dollars(1_999_999_999)),
        started_at: at,
        ..call(number)
    };
    let calls = [
        costly(1, time(1)),
        costly(2, time(2)),
        costly(3, time(7_200)),
    ];
    bench.store.record_calls(&calls).await.unwrap();
    add(&bench, &[adjustment(1, 1, -5), adjustment(9, 1, 3)]).await;
    let (since, until) = (time(-86_400), time(86_400));
    let apart = async || bench.store.hours_apart(since, until, 10).await.unwrap();
    assert_eq!(apart().await, []);
    // Hours that are forgotten are apart from what their calls add up to.
    let later = "2026-11-21T13:00:00Z".parse().unwrap();
    assert!(bench.store.drop_hours_before(later, 10).await.unwrap() > 0);
    let found = apart().await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].rows, Cost::from_nano_dollars(3_999_999_993));
    assert_eq!(
        (found[0].sum, found[0].key_id),
        (Cost::ZERO, call(1).key_id)
    );
    assert_eq!(bench.store.hours_apart(later, until, 10).await.unwrap(), []);
}
