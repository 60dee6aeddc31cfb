//! The call port: recording, finding, adding up.

use domain::call::{Call, CallFilter, CallState, CallStore, EndReason, Outcome, ShadowPair, Spend};
use domain::money::Cost;
use domain::usage::Usage;
use futures_util::future::join_all;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{call, full_call, key_id, request_id, time};

on_both_engines!(
    an_empty_store_has_no_calls,
    a_call_reads_back_as_it_was_recorded,
    every_state_and_reason_reads_back,
    tokens_have_columns_to_be_summed,
    an_empty_batch_is_recorded,
    a_call_that_is_there_stays_as_it_is,
    a_batch_with_known_calls_adds_the_others,
    a_batch_may_hold_a_call_twice,
    replicas_record_the_same_calls_at_once,
    times_are_kept_to_the_microsecond,
    counts_beyond_the_range_stop_at_its_edge,
    a_nul_in_a_providers_text_is_replaced,
    ten_thousand_calls_are_there_after_twenty_batches,
    spend_is_added_up_for_each_key,
    spend_begins_at_the_given_time,
    spend_beyond_the_range_stops_at_its_edge,
    calls_without_a_price_are_no_spend,
    a_copy_stands_beside_its_call,
);

async fn record(bench: &Bench, calls: &[Call]) {
    bench.store.record_calls(calls).await.unwrap();
}

async fn recorded(bench: &Bench, number: u64) -> Call {
    bench.store.call(request_id(number)).await.unwrap().unwrap()
}

async fn an_empty_store_has_no_calls(bench: Bench) {
    assert_eq!(bench.store.call(request_id(1)).await.unwrap(), None);
    let page = bench
        .store
        .list_calls(&CallFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!((page.calls, page.next), (Vec::new(), None));
    assert_eq!(bench.store.spend_by_key(time(0)).await.unwrap(), []);
}

async fn a_call_reads_back_as_it_was_recorded(bench: Bench) {
    record(&bench, &[call(1), full_call(2)]).await;
    assert_eq!(recorded(&bench, 1).await, call(1));
    assert_eq!(recorded(&bench, 2).await, full_call(2));
}

async fn every_state_and_reason_reads_back(bench: Bench) {
    let states = [
        (CallState::Settled, None),
        (CallState::Estimated, Some(EndReason::NoUsage)),
        (CallState::Estimated, Some(EndReason::Interrupted)),
        (CallState::Estimated, Some(EndReason::ProviderBroke)),
        (CallState::Cancelled, Some(EndReason::CallerGone)),
        (CallState::Failed, Some(EndReason::ProviderError)),
        (CallState::Failed, Some(EndReason::Refused)),
    ];
    let calls: Vec<Call> = (1..)
        .zip(states)
        .map(|(number, (state, end_reason))| Call {
            state,
            end_reason,
            provider: None,
            response_model: None,
            status: None,
            finish_reason: None,
            attempts: Vec::new(),
            cost_usd: None,
            price_source: None,
            ..call(number)
        })
        .collect();
    record(&bench, &calls).await;
    for (number, call) in (1..).zip(calls) {
        assert_eq!(recorded(&bench, number).await, call);
    }
}

async fn tokens_have_columns_to_be_summed(bench: Bench) {
    let mut usage = Usage::text(100, 20);
    usage.cached_input_tokens = 3;
    record(&bench, &[Call { usage, ..call(1) }, full_call(2)]).await;
    let columns = bench
        .texts(
            "SELECT input_tokens || ' ' || cached_input_tokens || ' ' || output_tokens
             FROM calls
             ORDER BY request_id",
        )
        .await;
    let edge = i64::MAX;
    assert_eq!(columns, ["100 3 20".to_owned(), format!("{edge} 1 {edge}")]);
}

async fn an_empty_batch_is_recorded(bench: Bench) {
    record(&bench, &[]).await;
}

async fn a_call_that_is_there_stays_as_it_is(bench: Bench) {
    record(&bench, &[call(1)]).await;
    let otherwise = Call {
        state: CallState::Failed,
        cost_usd: None,
        ..call(1)
    };
    record(&bench, &[otherwise]).await;
    record(&bench, &[call(1)]).await;
    assert_eq!(recorded(&bench, 1).await, call(1));
    let page = bench
        .store
        .list_calls(&CallFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.calls.len(), 1);
}

async fn a_batch_with_known_calls_adds_the_others(bench: Bench) {
    record(&bench, &[call(1), call(3)]).await;
    record(&bench, &[call(1), call(2), call(3), call(4)]).await;
    let page = bench
        .store
        .list_calls(&CallFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.calls, [call(4), call(3), call(2), call(1)]);
}

async fn a_batch_may_hold_a_call_twice(bench: Bench) {
    record(&bench, &[call(1), call(2), call(1)]).await;
    let page = bench
        .store
        .list_calls(&CallFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.calls, [call(2), call(1)]);
}

async fn replicas_record_the_same_calls_at_once(bench: Bench) {
    let forwards: Vec<Call> = (0..200).map(call).collect();
    let backwards: Vec<Call> = (0..200).rev().map(call).collect();
    let stores = [bench.open_again().await, bench.open_again().await];
    for outcome in join_all([
        stores[0].record_calls(&forwards),
        stores[1].record_calls(&backwards),
        stores[0].record_calls(&backwards),
        stores[1].record_calls(&forwards),
    ])
    .await
    {
        outcome.unwrap();
    }
    let page = bench
        .store
        .list_calls(&CallFilter::default(), None, 1000)
        .await
        .unwrap();
    assert_eq!(page.calls, backwards);
    join_all(stores.iter().map(store::Store::close)).await;
}

async fn times_are_kept_to_the_microsecond(bench: Bench) {
    let mut finer = call(1);
    finer.started_at = "2026-11-21T12:00:00.123456789Z".parse().unwrap();
    record(&bench, &[finer]).await;
    let started_at = recorded(&bench, 1).await.started_at;
    assert_eq!(started_at.to_string(), "2026-11-21T12:00:00.123456Z");
}

async fn counts_beyond_the_range_stop_at_its_edge(bench: Bench) {
    let beyond = Call {
        latency_ms: u64::MAX,
        time_to_first_token_ms: Some(u64::MAX),
        overhead_us: u64::MAX,
        cost_usd: Some(Cost::from_nano_dollars(i64::MIN)),
        ..call(1)
    };
    record(&bench, &[beyond]).await;
    let found = recorded(&bench, 1).await;
    assert_eq!(found.latency_ms, i64::MAX.unsigned_abs());
    assert_eq!(found.time_to_first_token_ms, Some(i64::MAX.unsigned_abs()));
    assert_eq!(found.overhead_us, i64::MAX.unsigned_abs());
    assert_eq!(found.cost_usd, Some(Cost::from_nano_dollars(i64::MIN)));
}

async fn a_nul_in_a_providers_text_is_replaced(bench: Bench) {
    let mut odd = call(1);
    odd.response_model = Some("gpt\0five".to_owned());
    odd.finish_reason = Some("\0".to_owned());
    odd.attempts[0].model = "\0\0".to_owned();
    record(&bench, &[odd, call(2)]).await;
    let found = recorded(&bench, 1).await;
    assert_eq!(found.response_model.as_deref(), Some("gpt\u{fffd}five"));
    assert_eq!(found.finish_reason.as_deref(), Some("\u{fffd}"));
    assert_eq!(found.attempts[0].model, "\u{fffd}\u{fffd}");
    assert_eq!(recorded(&bench, 2).await, call(2));
}

async fn ten_thousand_calls_are_there_after_twenty_batches(bench: Bench) {
    let calls: Vec<Call> = (0..10_000).map(call).collect();
    for batch in calls.chunks(500) {
        record(&bench, batch).await;
    }
    let spend = bench.store.spend_by_key(time(0)).await.unwrap();
    let ten_dollars = Cost::from_nano_dollars(10_000_000_000);
    assert_eq!(
        spend,
        [Spend {
            key_id: key_id(1),
            cost: ten_dollars
        }]
    );

    let mut listed = 0;
    let mut after = None;
    loop {
        let page = bench
            .store
            .list_calls(&CallFilter::default(), after, 999)
            .await
            .unwrap();
        listed += page.calls.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, 10_000);
}

fn spent(number: u64, key: u64, nano_dollars: Option<i64>) -> Call {
    Call {
        key_id: key_id(key),
        cost_usd: nano_dollars.map(Cost::from_nano_dollars),
        ..call(number)
    }
}

fn spend(key: u64, nano_dollars: i64) -> Spend {
    Spend {
        key_id: key_id(key),
        cost: Cost::from_nano_dollars(nano_dollars),
    }
}

async fn spend_is_added_up_for_each_key(bench: Bench) {
    record(
        &bench,
        &[
            spent(1, 1, Some(1_999_999_999)),
            spent(2, 2, Some(5)),
            spent(3, 1, Some(2)),
            spent(4, 1, Some(0)),
        ],
    )
    .await;
    let found = bench.store.spend_by_key(time(0)).await.unwrap();
    assert_eq!(found, [spend(1, 2_000_000_001), spend(2, 5)]);
}

async fn spend_begins_at_the_given_time(bench: Bench) {
    record(
        &bench,
        &[
            spent(1, 1, Some(1)),
            spent(2, 1, Some(10)),
            spent(3, 1, Some(100)),
        ],
    )
    .await;
    assert_eq!(
        bench.store.spend_by_key(time(2)).await.unwrap(),
        [spend(1, 110)]
    );
    assert_eq!(bench.store.spend_by_key(time(4)).await.unwrap(), []);
}

async fn spend_beyond_the_range_stops_at_its_edge(bench: Bench) {
    record(
        &bench,
        &[
            spent(1, 1, Some(i64::MAX)),
            spent(2, 1, Some(i64::MAX)),
            spent(3, 2, Some(i64::MAX)),
        ],
    )
    .await;
    let found = bench.store.spend_by_key(time(0)).await.unwrap();
    assert_eq!(found, [spend(1, i64::MAX), spend(2, i64::MAX)]);
}

async fn calls_without_a_price_are_no_spend(bench: Bench) {
    record(
        &bench,
        &[spent(1, 1, None), spent(2, 2, None), spent(3, 2, Some(3))],
    )
    .await;
    assert_eq!(
        bench.store.spend_by_key(time(0)).await.unwrap(),
        [spend(2, 3)]
    );
}

async fn a_copy_stands_beside_its_call(bench: Bench) {
    let copy = |number: u64, of: u64| Call {
        key_id: key_id(9),
        shadow_of: Some(request_id(of)),
        latency_ms: 1_000 + number,
        finish_reason: Some("length".to_owned()),
        ..call(number)
    };
    let failed = Call {
        state: CallState::Failed,
        cost_usd: Some(Cost::ZERO),
        ..copy(3, 1)
    };
    // Of the call that number 4 is a copy of, nothing is known yet.
    record(&bench, &[call(1), copy(2, 1), failed.clone(), copy(4, 77)]).await;
    let outcome = |call: &Call| Outcome {
        state: call.state,
        finish_reason: call.finish_reason.clone(),
        output_tokens: call.usage.output_tokens,
        cost: call.cost_usd,
        latency_ms: call.latency_ms,
        time_to_first_token_ms: call.time_to_first_token_ms,
    };
    let pair = |shadow: &Call, original: Option<&Call>| ShadowPair {
        shadow: outcome(shadow),
        original: original.map(outcome),
    };
    let all = [
        pair(&copy(4, 77), None),
        pair(&failed, Some(&call(1))),
        pair(&copy(2, 1), Some(&call(1))),
    ];
    for (since, until, limit, expected) in [
        (0, 100, 100, all.as_slice()),
        (0, 100, 1, &all[..1]),
        (3, 4, 100, &all[1..2]),
    ] {
        let pairs = bench
            .store
            .shadows(key_id(9), time(since), time(until), limit);
        assert_eq!(pairs.await.unwrap(), expected);
    }
    let others = bench.store.shadows(key_id(1), time(0), time(100), 100);
    assert_eq!(others.await.unwrap(), [], "a call is no copy");
}
