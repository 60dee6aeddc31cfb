//! A row that does not say what it must is an error that names it, never a default. In a list it does not
//! cost the others.

use domain::call::{CallFilter, CallStore};
use domain::key::KeyStore;
use domain::store_error::StoreError;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{call, full_key, key, key_id, payload, request_id, time};

on_both_engines!(
    a_key_with_an_invalid_column_is_named,
    a_call_with_an_invalid_column_is_named,
    a_payload_with_an_invalid_column_is_named,
    a_list_of_keys_goes_on_without_what_cannot_be_read,
    a_list_of_calls_goes_on_without_what_cannot_be_read,
);

fn named(error: &StoreError) -> (&str, &str, &str) {
    match error {
        StoreError::Corrupt { table, column, id } => (table, column, id),
        other => panic!("not about a row: {other:?}"),
    }
}

async fn a_key_with_an_invalid_column_is_named(bench: Bench) {
    bench.store.add_key(&full_key(1)).await.unwrap();
    // Each statement spoils a column that is read before those spoiled by the statements above it.
    for (column, sql) in [
        (
            "revoked_at",
            "UPDATE virtual_keys SET revoked_at = 9223372036854775807",
        ),
        ("budget_per", "UPDATE virtual_keys SET budget_per = 'year'"),
        ("rpm", "UPDATE virtual_keys SET rpm = -1"),
        (
            "addresses",
            "UPDATE virtual_keys SET addresses = '[\"10.0.0\"]'",
        ),
        (
            "previous_until",
            "UPDATE virtual_keys SET previous_until = NULL",
        ),
        ("hash", "UPDATE virtual_keys SET hash = substr(hash, 1, 31)"),
        ("role", "UPDATE virtual_keys SET role = 'emperor'"),
        (
            "organization_id",
            "UPDATE virtual_keys SET organization_id = 'acme'",
        ),
        ("models", "UPDATE virtual_keys SET models = '{'"),
    ] {
        bench.tamper(sql).await;
        let id = key_id(1).to_string();
        let error = bench.store.key(key_id(1)).await.unwrap_err();
        assert_eq!(named(&error), ("virtual_keys", column, id.as_str()));
    }
}

async fn a_call_with_an_invalid_column_is_named(bench: Bench) {
    bench.store.record_calls(&[call(1)]).await.unwrap();
    for (column, value) in [
        ("user_id", "'u'"),
        ("application_id", "'a'"),
        ("batch_id", "'b'"),
        ("overhead_us", "-1"),
        ("cache", "'perhaps'"),
        ("usage", "'{\"input_tokens\":-1}'"),
        ("attempts", "'none'"),
        ("status", "65536"),
        ("request_model", "''"),
        ("provider", "'Open AI'"),
        ("state", "'unsettled'"),
        ("ended_at", "9223372036854775807"),
        ("key_id", "'k'"),
    ] {
        bench.spoil_calls(column, value, "1 = 1").await;
        let id = request_id(1).to_string();
        let error = bench.store.call(request_id(1)).await.unwrap_err();
        assert_eq!(named(&error), ("calls", column, id.as_str()));
    }
    let error = bench.store.spend_by_key(time(0)).await.unwrap_err();
    assert_eq!(named(&error), ("calls", "key_id", "k"));
}

async fn a_payload_with_an_invalid_column_is_named(bench: Bench) {
    bench.store.keep_payloads(&[payload(1)]).await.unwrap();
    bench
        .tamper("UPDATE call_payloads SET organization_id = ''")
        .await;
    let error = bench.store.payload(request_id(1)).await.unwrap_err();
    let id = request_id(1).to_string();
    assert_eq!(
        named(&error),
        ("call_payloads", "organization_id", id.as_str())
    );
}

async fn a_list_of_keys_goes_on_without_what_cannot_be_read(bench: Bench) {
    for number in 1..=3 {
        bench.store.add_key(&key(number)).await.unwrap();
    }
    let (_, last) = bench.store.keys_changed_since(0).await.unwrap();
    bench
        .tamper("UPDATE virtual_keys SET role = 'emperor' WHERE name = 'key 2'")
        .await;
    assert_eq!(
        bench.store.list_keys(None, None, 10).await.unwrap(),
        [key(3), key(1)]
    );
    let (changed, followed) = bench.store.keys_changed_since(0).await.unwrap();
    assert_eq!((changed, followed), (vec![key(1), key(3)], last));
}

async fn a_list_of_calls_goes_on_without_what_cannot_be_read(bench: Bench) {
    let calls: Vec<_> = (1..=5).map(call).collect();
    bench.store.record_calls(&calls).await.unwrap();
    let between = "started_at > (SELECT MIN(started_at) FROM calls) \
                   AND started_at < (SELECT MAX(started_at) FROM calls)";
    bench.spoil_calls("state", "'unsettled'", between).await;
    let mut found = Vec::new();
    let mut after = None;
    for _ in 0..3 {
        let everything = CallFilter::default();
        let page = bench.store.list_calls(&everything, after, 2).await.unwrap();
        found.extend(page.calls);
        after = page.next;
    }
    assert_eq!(found, [call(5), call(1)]);
    assert_eq!(after, None, "a page of nothing else is passed over");
}
