//! The call port: the list of calls, its filters and its pages.

use domain::call::{Call, CallCursor, CallFilter, CallState, CallStore};
use domain::id::{OrganizationId, ProjectId};

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{
    application_id, batch_id, call, key_id, other_organization, other_project, request_id, time,
    user_id,
};

on_both_engines!(
    the_newest_call_is_first,
    a_list_goes_on_where_it_ended,
    a_full_last_page_says_that_it_is_the_last,
    a_call_recorded_meanwhile_shifts_no_page,
    calls_of_the_same_time_are_listed_once,
    a_page_of_nothing_is_empty,
    every_filter_holds_alone_and_beside_every_other,
    the_default_project_and_settled_calls_can_be_asked_for,
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

/// A call that differs from others in every field that can be filtered.
fn of_its_kind(number: u64) -> Call {
    Call {
        organization_id: other_organization(),
        project_id: other_project(),
        application_id: Some(application_id(7)),
        user_id: Some(user_id(7)),
        key_id: key_id(7),
        client_request_id: Some("trace 东京".to_owned()),
        batch_id: Some(batch_id(7)),
        state: CallState::Failed,
        provider: Some("anthropic".parse().unwrap()),
        request_model: "fast".parse().unwrap(),
        ..call(number)
    }
}

/// Each filter with a call of the kind that it alone does not let through; its number is 10 and the place.
fn one_filter_each() -> Vec<(CallFilter, Call)> {
    let open = CallFilter::default;
    let mut number = 9;
    let mut kind = || {
        number += 1;
        of_its_kind(number)
    };
    let mut cases = Vec::new();
    macro_rules! case {
        ($field:ident: $wanted:expr, $other:expr) => {
            cases.push((
                CallFilter {
                    $field: Some($wanted),
                    ..open()
                },
                Call {
                    $field: $other,
                    ..kind()
                },
            ));
        };
    }
    case!(organization_id: other_organization(), OrganizationId::DEFAULT);
    case!(project_id: other_project(), ProjectId::DEFAULT);
    case!(application_id: application_id(7), None);
    case!(user_id: user_id(7), Some(user_id(8)));
    case!(key_id: key_id(7), key_id(8));
    case!(client_request_id: "trace 东京".to_owned(), None);
    case!(batch_id: batch_id(7), Some(batch_id(8)));
    case!(state: CallState::Failed, CallState::Settled);
    case!(provider: "anthropic".to_owned(), None);
    case!(request_model: "fast".to_owned(), "slow".parse().unwrap());
    cases
}

/// The numbers of `recorded` calls that neither `filter` keeps back.
fn without(recorded: usize, kept_back: [usize; 2]) -> Vec<u64> {
    (0..recorded)
        .rev()
        .filter(|place| !kept_back.contains(place))
        .map(|place| 10 + place as u64)
        .collect()
}

fn both(one: &CallFilter, other: &CallFilter) -> CallFilter {
    let (one, other) = (one.clone(), other.clone());
    CallFilter {
        organization_id: one.organization_id.or(other.organization_id),
        project_id: one.project_id.or(other.project_id),
        application_id: one.application_id.or(other.application_id),
        user_id: one.user_id.or(other.user_id),
        key_id: one.key_id.or(other.key_id),
        client_request_id: one.client_request_id.or(other.client_request_id),
        batch_id: one.batch_id.or(other.batch_id),
        state: one.state.or(other.state),
        provider: one.provider.or(other.provider),
        request_model: one.request_model.or(other.request_model),
        since: None,
        until: None,
    }
}

/// Whatever a list is read by, each filter keeps back what it does not name and nothing else.
async fn every_filter_holds_alone_and_beside_every_other(bench: Bench) {
    let cases = one_filter_each();
    record(&bench, cases.iter().map(|(_, call)| call.clone())).await;
    record(&bench, [call(2)]).await;
    for (one, (filter, _)) in cases.iter().enumerate() {
        for (other, (beside, _)) in cases.iter().enumerate() {
            let filter = both(filter, beside);
            let expected = without(cases.len(), [one, other]);
            assert_eq!(
                numbers(&bench, filter.clone()).await,
                expected,
                "{filter:?}"
            );
        }
    }
}

async fn the_default_project_and_settled_calls_can_be_asked_for(bench: Bench) {
    record(&bench, [of_its_kind(1), call(2), call(3)]).await;
    let of_project = CallFilter {
        project_id: Some(ProjectId::DEFAULT),
        ..CallFilter::default()
    };
    let settled = CallFilter {
        state: Some(CallState::Settled),
        ..CallFilter::default()
    };
    let of_nobody = CallFilter {
        provider: Some("nobody".to_owned()),
        ..CallFilter::default()
    };
    assert_eq!(numbers(&bench, of_project).await, [3, 2]);
    assert_eq!(numbers(&bench, settled).await, [3, 2]);
    assert!(numbers(&bench, of_nobody).await.is_empty());
}

async fn a_time_span_includes_its_start_and_excludes_its_end(bench: Bench) {
    let tagged = |number| Call {
        client_request_id: Some("same".to_owned()),
        batch_id: Some(batch_id(1)),
        project_id: other_project(),
        application_id: Some(application_id(1)),
        user_id: Some(user_id(1)),
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
    let of_project = CallFilter {
        project_id: Some(other_project()),
        ..span.clone()
    };
    let of_application = CallFilter {
        application_id: Some(application_id(1)),
        ..span.clone()
    };
    let of_user = CallFilter {
        user_id: Some(user_id(1)),
        ..span.clone()
    };
    for filter in [
        span,
        of_key,
        of_client_request,
        of_state,
        of_batch,
        of_project,
        of_application,
        of_user,
    ] {
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
