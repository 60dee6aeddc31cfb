//! PostgreSQL's partitions by month.

use domain::call::{Call, CallFilter, CallStore, Payload};
use futures_util::future::join_all;
use jiff::Timestamp;
use store::Kind;

use crate::bench::{self, Bench};
use crate::sample::{call, payload, request_id, time};

#[tokio::test]
async fn a_month_and_the_two_after_it_have_partitions() {
    bench::run(Kind::Postgres, async |bench: Bench| {
        bench.store.prepare_partitions(time(0)).await.unwrap();
        bench.store.prepare_partitions(time(0)).await.unwrap();
        assert_eq!(
            partitions(&bench).await,
            [
                "call_payloads_2026_11",
                "call_payloads_2026_12",
                "call_payloads_2027_01",
                "call_payloads_other",
                "calls_2026_11",
                "calls_2026_12",
                "calls_2027_01",
                "calls_other",
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn replicas_prepare_partitions_at_once_while_calls_are_recorded() {
    bench::run(Kind::Postgres, async |bench: Bench| {
        let stores = [bench.open_again().await, bench.open_again().await];
        let prepare =
            join_all([0, 1, 0, 1].map(|store: usize| stores[store].prepare_partitions(time(0))));
        let record = async {
            for number in 0..50 {
                while bench.store.record_calls(&[call(number)]).await.is_err() {}
            }
        };
        let (prepared, ()) = tokio::join!(prepare, record);
        for outcome in prepared {
            outcome.unwrap();
        }
        let page = bench
            .store
            .list_calls(&CallFilter::default(), None, 100)
            .await
            .unwrap();
        assert_eq!(page.calls.len(), 50);
        join_all(stores.iter().map(store::Store::close)).await;
    })
    .await;
}

#[tokio::test]
async fn calls_that_came_before_their_partition_are_moved_into_it() {
    bench::run(Kind::Postgres, async |bench: Bench| {
        let elsewhere = Call {
            started_at: "1999-12-31T23:59:59Z".parse().unwrap(),
            ..call(2)
        };
        bench
            .store
            .record_calls(&[call(1), elsewhere.clone()])
            .await
            .unwrap();
        bench.store.keep_payloads(&[payload(1)]).await.unwrap();
        assert_eq!(
            count(&bench, "SELECT COUNT(*)::TEXT FROM calls_other").await,
            "2"
        );

        bench.store.prepare_partitions(time(0)).await.unwrap();
        assert_eq!(
            count(&bench, "SELECT COUNT(*)::TEXT FROM calls_2026_11").await,
            "1"
        );
        assert_eq!(
            count(&bench, "SELECT COUNT(*)::TEXT FROM calls_other").await,
            "1"
        );
        assert_eq!(
            count(&bench, "SELECT COUNT(*)::TEXT FROM call_payloads_2026_11").await,
            "1"
        );

        bench
            .store
            .record_calls(&[call(1), elsewhere.clone()])
            .await
            .unwrap();
        let page = bench
            .store
            .list_calls(&CallFilter::default(), None, 10)
            .await
            .unwrap();
        assert_eq!(page.calls, [call(1), elsewhere]);
        let kept = bench.store.payload(request_id(1)).await.unwrap();
        assert_eq!(kept, Some(payload(1)));
    })
    .await;
}

#[tokio::test]
async fn calls_are_listed_across_months() {
    bench::run(Kind::Postgres, async |bench: Bench| {
        bench.store.prepare_partitions(time(0)).await.unwrap();
        let month = |number: u64, month: &str| Call {
            started_at: format!("{month}-15T00:00:00Z").parse().unwrap(),
            ..call(number)
        };
        let calls = [
            month(1, "2027-01"),
            month(2, "2026-12"),
            month(3, "2026-11"),
            month(4, "2026-01"),
        ];
        bench.store.record_calls(&calls).await.unwrap();
        let first = bench
            .store
            .list_calls(&CallFilter::default(), None, 2)
            .await
            .unwrap();
        let rest = bench
            .store
            .list_calls(&CallFilter::default(), first.next, 9)
            .await
            .unwrap();
        assert_eq!([first.calls, rest.calls].concat(), calls);
    })
    .await;
}

#[tokio::test]
async fn a_month_of_payloads_goes_when_all_have_expired() {
    bench::run(Kind::Postgres, async |bench: Bench| {
        bench.store.prepare_partitions(time(0)).await.unwrap();
        let until = |number, keep_until: &str| Payload {
            keep_until: keep_until.parse().unwrap(),
            ..payload(number)
        };
        let payloads = [
            until(1, "2026-12-05T00:00:00Z"),
            until(2, "2026-12-10T00:00:00Z"),
        ];
        bench.store.keep_payloads(&payloads).await.unwrap();

        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        bench
            .store
            .prepare_partitions(at("2026-12-07T00:00:00Z"))
            .await
            .unwrap();
        assert_eq!(
            count(&bench, "SELECT COUNT(*)::TEXT FROM call_payloads_2026_11").await,
            "2"
        );

        bench
            .store
            .prepare_partitions(at("2026-12-10T00:00:00Z"))
            .await
            .unwrap();
        assert!(
            !partitions(&bench)
                .await
                .contains(&"call_payloads_2026_11".to_owned())
        );
        assert!(
            partitions(&bench)
                .await
                .contains(&"calls_2026_11".to_owned())
        );
        assert_eq!(bench.store.payload(request_id(2)).await.unwrap(), None);

        bench.store.keep_payloads(&payloads).await.unwrap();
        assert_eq!(
            bench
                .store
                .drop_expired_payloads(at("2026-12-10T00:00:00Z"), 9)
                .await
                .unwrap(),
            2
        );
    })
    .await;
}

async fn partitions(bench: &Bench) -> Vec<String> {
    bench
        .texts(
            "SELECT relname::TEXT FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 1",
        )
        .await
}

async fn count(bench: &Bench, sql: &'static str) -> String {
    bench.texts(sql).await.concat()
}
