//! The call port: the list of calls, its filters and its pages.

use domain::call::{Call, CallCursor, CallFilter, CallState, CallStore};

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{batch_id, call, key_id, other_organization, request_id, time};

on_both_engines!(
    the_newest_call_is_first,
    a_list_goes_on_where_it_ended,
    a_full_last_page_says_that_it_is_the_last,
    a_call_recorded_meanwhile_shifts_no_page,
    calls_of_the_same_time_are_listed_once,
    a_page_of_nothing_is_empty,
    every_filter_lets_through_what_it_names,
    every_filter_holds_beside_the_key_the_client_request_and_the_batch,
    every_filter_holds_beside_a_state_and_settled_calls_have_one_too,
    a_time_span_includes_its_start_and_excludes_its_end,
    a_cursor_and_an_end_both_hold,
);

async fn numbers(bench: &Bench, filter: CallFilter) -> Vec<u64> {
    let page = bench.store.list_calls(&filter, None, 100).await.unwrap();
    assert_eq!(page.next, None);
    page.calls.iter().map(number).collect()
}

fn number(call: &Call) -> u64 {
    (0..1000)
        .find(|number| request_id(*number) == call.request_id)
        .unwrap()
}

async fn record(bench: &Bench, calls: impl IntoIterator<Item = Call>) {
    let calls: Vec<Call> = calls.into_iter().collect();
    bench.store.record_calls(&calls).await.unwrap();
}

/// Every call that passes `filter`, in pages of `limit`.
async fn paged(bench: &Bench, filter: &CallFilter, limit: u32) -> Vec<u64> {
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = bench.store.list_calls(filter, after, limit).await.unwrap();
        assert!(page.calls.len() <= usize::try_from(limit).unwrap());
        listed.extend(page.calls.iter().map(number));
        match page.next {
            Some(next) => after = Some(next),
            None => return listed,
        }
    }
}

async fn the_newest_call_is_first(bench: Bench) {
    record(&bench, [2, 4, 1, 3].map(call)).await;
    assert_eq!(numbers(&bench, CallFilter::default()).await, [4, 3, 2, 1]);
}

async fn a_list_goes_on_where_it_ended(bench: Bench) {
    record(&bench, (1..=7).map(call)).await;
    for limit in [1, 2, 3, 6, 7, 8] {
        let listed = paged(&bench, &CallFilter::default(), limit).await;
        assert_eq!(listed, [7, 6, 5, 4, 3, 2, 1], "in pages of {limit}");
    }
}

async fn a_full_last_page_says_that_it_is_the_last(bench: Bench) {
    record(&bench, (1..=4).map(call)).await;
    let list = async |after, limit| {
        bench
            .store
            .list_calls(&CallFilter::default(), after, limit)
            .await
            .unwrap()
    };
    let first = list(None, 2).await;
    let cursor = CallCursor {
        started_at: time(3),
        request_id: request_id(3),
    };
    assert_eq!(first.next, Some(cursor));
    assert_eq!(list(Some(cursor), 2).await.next, None);
    let beyond = CallCursor {
        started_at: time(1),
        request_id: request_id(1),
    };
    assert_eq!(list(Some(beyond), 2).await.calls, []);
}

async fn a_call_recorded_meanwhile_shifts_no_page(bench: Bench) {
    record(&bench, (1..=4).map(call)).await;
    let first = bench
        .store
        .list_calls(&CallFilter::default(), None, 2)
        .await
        .unwrap();
    record(&bench, [call(9)]).await;
    let second = bench
        .store
        .list_calls(&CallFilter::default(), first.next, 2)
        .await
        .unwrap();
    assert_eq!(second.calls, [call(2), call(1)]);
}

async fn calls_of_the_same_time_are_listed_once(bench: Bench) {
    let at_once = |number| Call {
        started_at: time(0),
        client_request_id: Some("same".to_owned()),
        state: CallState::Cancelled,
        ..call(number)
    };
    record(&bench, (1..=5).map(at_once)).await;
    for filter in [
        CallFilter::default(),
        CallFilter {
            key_id: Some(key_id(1)),
            ..CallFilter::default()
        },
        CallFilter {
            client_request_id: Some("same".to_owned()),
            ..CallFilter::default()
        },
        CallFilter {
            state: Some(CallState::Cancelled),
            ..CallFilter::default()
        },
    ] {
        for limit in [1, 2, 4] {
            assert_eq!(
                paged(&bench, &filter, limit).await,
                [5, 4, 3, 2, 1],
                "{filter:?}"
            );
        }
    }
}

async fn a_page_of_nothing_is_empty(bench: Bench) {
    record(&bench, [call(1)]).await;
    let page = bench
        .store
        .list_calls(&CallFilter::default(), None, 0)
        .await
        .unwrap();
    assert_eq!(page.calls, []);
}

/// Call 1 differs from calls 2 and 3 in every field that can be filtered.
async fn record_one_of_its_kind(bench: &Bench) {
    let kind = Call {
        organization_id: other_organization(),
        key_id: key_id(7),
        client_request_id: Some("trace 东京".to_owned()),
        batch_id: Some(batch_id(7)),
        state: CallState::Failed,
        provider: Some("anthropic".parse().unwrap()),
        request_model: "fast".parse().unwrap(),
        ..call(1)
    };
    let none_of_it = Call {
        provider: None,
        ..call(3)
    };
    record(bench, [kind, call(2), none_of_it]).await;
}

fn one_filter_each() -> [CallFilter; 6] {
    let open = CallFilter::default;
    [
        CallFilter {
            organization_id: Some(other_organization()),
            ..open()
        },
        CallFilter {
            key_id: Some(key_id(7)),
            ..open()
        },
        CallFilter {
            client_request_id: Some("trace 东京".to_owned()),
            ..open()
        },
        CallFilter {
            state: Some(CallState::Failed),
            ..open()
        },
        CallFilter {
            provider: Some("anthropic".to_owned()),
            ..open()
        },
        CallFilter {
            request_model: Some("fast".to_owned()),
            ..open()
        },
    ]
}

async fn every_filter_lets_through_what_it_names(bench: Bench) {
    record_one_of_its_kind(&bench).await;
    for filter in one_filter_each() {
        assert_eq!(numbers(&bench, filter.clone()).await, [1], "{filter:?}");
    }
    let nobody = CallFilter {
        provider: Some("nobody".to_owned()),
        ..CallFilter::default()
    };
    assert!(numbers(&bench, nobody).await.is_empty());
}

/// Each statement knows every filter: with the key, the client's request, or the batch, of all calls,
/// a filter still takes away what it does not name.
async fn every_filter_holds_beside_the_key_the_client_request_and_the_batch(bench: Bench) {
    record_one_of_its_kind(&bench).await;
    let same = |number| Call {
        key_id: key_id(7),
        client_request_id: Some("trace 东京".to_owned()),
        batch_id: Some(batch_id(7)),
        ..call(number)
    };
    record(&bench, [same(4), same(5)]).await;
    let [organization, key, client_request, state, provider, model] = one_filter_each();
    assert_eq!(numbers(&bench, key.clone()).await, [5, 4, 1]);
    assert_eq!(numbers(&bench, client_request.clone()).await, [5, 4, 1]);
    for filter in [organization, state, provider, model] {
        let with_key = CallFilter {
            key_id: key.key_id,
            ..filter.clone()
        };
        assert_eq!(numbers(&bench, with_key.clone()).await, [1], "{with_key:?}");
        let with_batch = CallFilter {
            batch_id: Some(batch_id(7)),
            ..filter.clone()
        };
        assert_eq!(
            numbers(&bench, with_batch.clone()).await,
            [1],
            "{with_batch:?}"
        );
        let with_both = CallFilter {
            client_request_id: client_request.client_request_id.clone(),
            ..with_key
        };
        assert_eq!(
            numbers(&bench, with_both.clone()).await,
            [1],
            "{with_both:?}"
        );
        let of_another_key = CallFilter {
            key_id: Some(key_id(1)),
            ..with_both
        };
        assert!(numbers(&bench, of_another_key).await.is_empty());
    }
}

async fn every_filter_holds_beside_a_state_and_settled_calls_have_one_too(bench: Bench) {
    record_one_of_its_kind(&bench).await;
    let failed = |number| Call {
        state: CallState::Failed,
        ..call(number)
    };
    record(&bench, [failed(4), failed(5)]).await;
    let [organization, _, _, state, provider, model] = one_filter_each();
    assert_eq!(numbers(&bench, state.clone()).await, [5, 4, 1]);
    for filter in [organization, provider, model] {
        let with_state = CallFilter {
            state: state.state,
            ..filter
        };
        assert_eq!(
            numbers(&bench, with_state.clone()).await,
            [1],
            "{with_state:?}"
        );
    }
    let settled = CallFilter {
        state: Some(CallState::Settled),
        ..CallFilter::default()
    };
    assert_eq!(numbers(&bench, settled).await, [3, 2]);
}

async fn a_time_span_includes_its_start_and_excludes_its_end(bench: Bench) {
    let tagged = |number| Call {
        client_request_id: Some("same".to_owned()),
        batch_id: Some(batch_id(1)),
        state: CallState::Cancelled,
        ..call(number)
    };
    record(&bench, (1..=5).map(tagged)).await;
    let span = CallFilter {
        since: Some(time(2)),
        until: Some(time(4)),
        ..CallFilter::default()
    };
    let of_key = CallFilter {
        key_id: Some(key_id(1)),
        ..span.clone()
    };
    let of_client_request = CallFilter {
        client_request_id: Some("same".to_owned()),
        ..span.clone()
    };
    let of_state = CallFilter {
        state: Some(CallState::Cancelled),
        ..span.clone()
    };
    let of_batch = CallFilter {
        batch_id: Some(batch_id(1)),
        ..span.clone()
    };
    for filter in [span, of_key, of_client_request, of_state, of_batch] {
        assert_eq!(numbers(&bench, filter.clone()).await, [3, 2], "{filter:?}");
        let from = CallFilter {
            until: None,
            ..filter.clone()
        };
        assert_eq!(numbers(&bench, from).await, [5, 4, 3, 2]);
        let to = CallFilter {
            since: None,
            ..filter
        };
        assert_eq!(numbers(&bench, to).await, [3, 2, 1]);
    }
}

async fn a_cursor_and_an_end_both_hold(bench: Bench) {
    record(&bench, (1..=5).map(call)).await;
    let until = |seconds| CallFilter {
        until: Some(time(seconds)),
        ..CallFilter::default()
    };
    let after = Some(CallCursor {
        started_at: time(4),
        request_id: request_id(4),
    });
    let list = async |filter| {
        bench
            .store
            .list_calls(&filter, after, 10)
            .await
            .unwrap()
            .calls
    };
    assert_eq!(list(until(100)).await, [call(3), call(2), call(1)]);
    assert_eq!(list(until(4)).await, [call(3), call(2), call(1)]);
    assert_eq!(list(until(3)).await, [call(2), call(1)]);
}
