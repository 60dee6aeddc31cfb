//! Limits, and what operators want to hear of.

use std::time::Duration;

use domain::event::{Event, EventKind, EventStore};
use domain::id::{EventId, LimitId, OrganizationId, ProjectId};
use domain::key::{Origin, Period};
use domain::limit::{Bound, Limit, LimitStore, QueueRules, Scope, Window};
use domain::money::Cost;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{Numbered, time};

on_both_engines!(
    a_limit_reads_back_as_it_was_added,
    a_limit_is_replaced_and_removed,
    a_change_is_seen_once,
    an_event_with_the_same_mark_is_kept_once,
    events_are_listed_from_the_newest_on,
    old_events_are_dropped,
);

fn limit(number: u64) -> Limit {
    Limit {
        id: LimitId::new(time(0), &Numbered(number)),
        name: format!("limit {number}"),
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        scope: Scope::of_parts([("user", "each"), ("model", "openai/*")]).unwrap(),
        bound: Bound::Dollars {
            most: Cost::from_nano_dollars(5_000_000_001),
            per: Period::Week,
        },
        queue: None,
        alerts: vec![50, 100],
        origin: Origin::Store,
        created_at: time(i64::try_from(number).unwrap()),
    }
}

fn queued(number: u64) -> Limit {
    Limit {
        bound: Bound::Requests {
            most: 7,
            per: Window::Hour,
        },
        queue: Some(QueueRules {
            max_wait: Duration::from_millis(1_500),
            max_waiting: 9,
        }),
        alerts: Vec::new(),
        ..limit(number)
    }
}

fn concurrent(number: u64) -> Limit {
    Limit {
        bound: Bound::Concurrency { most: 3 },
        scope: Scope::default(),
        alerts: Vec::new(),
        ..limit(number)
    }
}

async fn a_limit_reads_back_as_it_was_added(bench: Bench) {
    let limits = [limit(1), queued(2), concurrent(3)];
    for limit in &limits {
        bench.store.add_limit(limit).await.unwrap();
        let read = bench.store.limit(limit.id).await.unwrap();
        assert_eq!(read.as_ref(), Some(limit));
    }
    let first = bench.store.list_limits(None, 2).await.unwrap();
    assert_eq!(first, [concurrent(3), queued(2)]);
    let rest = bench
        .store
        .list_limits(Some(queued(2).id), 2)
        .await
        .unwrap();
    assert_eq!(rest, [limit(1)]);
}

async fn a_limit_is_replaced_and_removed(bench: Bench) {
    let changed = Limit {
        name: "another".to_owned(),
        ..queued(1)
    };
    assert!(!bench.store.replace_limit(&changed).await.unwrap());
    bench.store.add_limit(&limit(1)).await.unwrap();
    assert!(bench.store.replace_limit(&changed).await.unwrap());
    assert_eq!(
        bench.store.limit(changed.id).await.unwrap(),
        Some(changed.clone())
    );
    assert!(bench.store.remove_limit(changed.id).await.unwrap());
    assert!(!bench.store.remove_limit(changed.id).await.unwrap());
    assert_eq!(bench.store.limit(changed.id).await.unwrap(), None);
}

async fn a_change_is_seen_once(bench: Bench) {
    assert_eq!(bench.store.limits_since(0).await.unwrap(), None);
    bench.store.add_limit(&limit(1)).await.unwrap();
    let (limits, revision) = bench.store.limits_since(0).await.unwrap().unwrap();
    assert_eq!(limits, [limit(1)]);
    assert_eq!(bench.store.limits_since(revision).await.unwrap(), None);
    bench.store.remove_limit(limit(1).id).await.unwrap();
    let (limits, _) = bench.store.limits_since(revision).await.unwrap().unwrap();
    assert_eq!(limits, []);
}

fn event(number: u64, mark: &str) -> Event {
    Event {
        id: EventId::new(time(0), &Numbered(number)),
        at: time(i64::try_from(number).unwrap()),
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        kind: EventKind::BudgetAlert,
        mark: mark.to_owned(),
        detail: serde_json::json!({ "percent": 50 }),
    }
}

async fn an_event_with_the_same_mark_is_kept_once(bench: Bench) {
    assert!(bench.store.record_event(&event(1, "one")).await.unwrap());
    assert!(!bench.store.record_event(&event(2, "one")).await.unwrap());
    let events = bench.store.list_events(None, 10).await.unwrap();
    assert_eq!(events, [event(1, "one")]);
}

async fn events_are_listed_from_the_newest_on(bench: Bench) {
    for number in 1..4 {
        let event = event(number, &number.to_string());
        bench.store.record_event(&event).await.unwrap();
    }
    let first = bench.store.list_events(None, 2).await.unwrap();
    assert_eq!(first, [event(3, "3"), event(2, "2")]);
    let rest = bench.store.list_events(Some(first[1].id), 2).await.unwrap();
    assert_eq!(rest, [event(1, "1")]);
}

async fn old_events_are_dropped(bench: Bench) {
    bench.store.record_event(&event(1, "1")).await.unwrap();
    bench.store.record_event(&event(5, "5")).await.unwrap();
    assert_eq!(
        bench.store.drop_events_before(time(3), 10).await.unwrap(),
        1
    );
    assert_eq!(
        bench.store.list_events(None, 10).await.unwrap(),
        [event(5, "5")]
    );
}
