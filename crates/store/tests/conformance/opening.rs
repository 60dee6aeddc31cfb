//! Opening, closing, and what is said when the database is away.

use std::error::Error;

use domain::call::{Call, CallFilter, CallStore};
use domain::key::KeyStore;
use domain::store_error::StoreError;
use futures_util::future::join_all;
use store::{Kind, Location};

use crate::bench::{self, Bench};
use crate::on_both_engines;
use crate::sample::{call, full_call, key, key_id, payload, time};

on_both_engines!(
    an_open_store_is_ready_and_says_what_it_is,
    what_was_written_is_there_when_it_is_opened_again,
    what_was_written_is_made_durable,
    many_processes_open_a_new_store_at_once,
    a_closed_store_is_unavailable,
    a_schema_of_an_earlier_version_is_brought_up_to_date,
    a_schema_of_a_later_version_is_opened,
    a_store_without_its_tables_is_not_ready,
    a_migration_that_was_changed_is_refused,
);

async fn an_open_store_is_ready_and_says_what_it_is(bench: Bench) {
    bench.store.is_ready().await.unwrap();
    let kind = match bench.location {
        Location::Sqlite(_) => Kind::Sqlite,
        Location::Postgres(_) => Kind::Postgres,
    };
    assert_eq!(bench.store.kind(), kind);
    bench.store.prepare_partitions(time(0)).await.unwrap();
}

async fn what_was_written_is_there_when_it_is_opened_again(bench: Bench) {
    bench.store.add_key(&key(1)).await.unwrap();
    bench.store.record_calls(&[call(1)]).await.unwrap();
    bench.store.close().await;
    let again = bench.open_again().await;
    assert_eq!(again.key(key_id(1)).await.unwrap(), Some(key(1)));
    let page = again
        .list_calls(&CallFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.calls, [call(1)]);
    again.close().await;
}

async fn what_was_written_is_made_durable(bench: Bench) {
    bench.store.make_durable().await.unwrap();
    bench.store.record_calls(&[call(1)]).await.unwrap();
    bench.store.make_durable().await.unwrap();
    if let Location::Sqlite(file) = &bench.location {
        // The file alone, without its log, has the call: that is what a checkpoint leaves behind.
        let copy = file.with_file_name("copy.db");
        std::fs::copy(file, &copy).unwrap();
        let copy = store::open(&Location::Sqlite(copy)).await.unwrap();
        assert_eq!(copy.call(call(1).request_id).await.unwrap(), Some(call(1)));
        copy.close().await;
    }
}

async fn many_processes_open_a_new_store_at_once(bench: Bench) {
    let location = match &bench.location {
        Location::Sqlite(file) => Location::Sqlite(file.with_file_name("new.db")),
        Location::Postgres(_) => {
            bench
                .tamper("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                .await;
            bench.location.clone()
        }
    };
    let stores = join_all((0..8).map(|_| store::open(&location))).await;
    for store in stores {
        let store = store.unwrap();
        store.prepare_partitions(time(0)).await.unwrap();
        store.is_ready().await.unwrap();
        store.close().await;
    }
}

async fn a_closed_store_is_unavailable(bench: Bench) {
    let clone = bench.store.clone();
    bench.store.close().await;
    for error in [
        clone.is_ready().await.unwrap_err(),
        clone.record_calls(&[call(1)]).await.unwrap_err(),
        clone.add_key(&key(1)).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
}

async fn a_schema_of_an_earlier_version_is_brought_up_to_date(bench: Bench) {
    bench.store.add_key(&key(1)).await.unwrap();
    bench
        .tamper(match &bench.location {
            Location::Sqlite(_) => "DROP VIEW calls; DROP TABLE recorded_calls",
            Location::Postgres(_) => "DROP TABLE calls",
        })
        .await;
    bench
        .tamper(
            "DROP TABLE call_payloads;
             DROP TABLE responses; DROP TABLE files; DROP TABLE reasoning_states;
             DROP TABLE batches; DROP TABLE batch_lines;
             DROP TABLE client_secrets; DROP TABLE replicas;
             DROP TABLE tenants; DROP TABLE adjustments;
             DROP TABLE spend; DROP TABLE limits; DROP TABLE limit_changes; DROP TABLE events;
             ALTER TABLE virtual_keys DROP COLUMN application_id;
             ALTER TABLE virtual_keys DROP COLUMN user_id;
             ALTER TABLE virtual_keys DROP COLUMN concurrency;
             ALTER TABLE virtual_keys DROP COLUMN max_wait_ms;
             ALTER TABLE virtual_keys DROP COLUMN max_waiting;
             ALTER TABLE virtual_keys DROP COLUMN priority;
             DELETE FROM _sqlx_migrations WHERE version > 1",
        )
        .await;
    let again = bench.open_again().await;
    again.record_calls(&[call(1)]).await.unwrap();
    again.keep_payloads(&[payload(1)]).await.unwrap();
    assert_eq!(again.key(key_id(1)).await.unwrap(), Some(key(1)));
    again.close().await;
}

/// Before its eleventh version, SQLite's schema had a column for every field of a call.
#[tokio::test]
async fn calls_that_were_written_column_by_column_are_brought_along() {
    bench::run(Kind::Sqlite, |bench| async move {
        let calls = [call(1), full_call(2), full_call(3)];
        bench.store.record_calls(&calls).await.unwrap();
        bench.store.close().await;
        bench
            .tamper(concat!(
                "CREATE TABLE before AS SELECT * FROM calls;
                 DROP VIEW calls; DROP TABLE recorded_calls;",
                include_str!("../../migrations/sqlite/0002_calls.sql"),
                include_str!("../../migrations/sqlite/0006_calls_of_batches.sql"),
                include_str!("../../migrations/sqlite/0010_calls_from_cache.sql"),
                "ALTER TABLE calls ADD COLUMN application_id TEXT;
                 ALTER TABLE calls ADD COLUMN user_id TEXT;
                 INSERT INTO calls (
                   request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
                   state, end_reason, operation, face, streamed, provider, request_model, response_model,
                   route, status, error_type, finish_reason, attempts, usage, input_tokens,
                   cached_input_tokens, output_tokens, cost_nano, price_source, cache, latency_ms,
                   time_to_first_token_ms, overhead_us, batch_id, application_id, user_id, saved_nano
                 )
                 SELECT
                   request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
                   state, end_reason, operation, face, streamed, provider, request_model, response_model,
                   route, status, error_type, finish_reason, attempts, usage, input_tokens,
                   cached_input_tokens, output_tokens, cost_nano, price_source, cache, latency_ms,
                   time_to_first_token_ms, overhead_us, batch_id, application_id, user_id, saved_nano
                 FROM before;
                 DROP TABLE before;
                 DELETE FROM _sqlx_migrations WHERE version IN (11, 16, 19)",
            ))
            .await;
        let again = bench.open_again().await;
        for call in calls {
            // It had no variant and no shadow then.
            let call = Call {
                variant: None,
                shadow_of: None,
                ..call
            };
            assert_eq!(again.call(call.request_id).await.unwrap(), Some(call));
        }
        again.close().await;
    })
    .await;
}

/// The version before the last must still start while the last is being rolled out.
async fn a_schema_of_a_later_version_is_opened(bench: Bench) {
    bench
        .tamper(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
    bench
        .tamper(match &bench.location {
            Location::Sqlite(_) => "ALTER TABLE recorded_calls ADD COLUMN later TEXT",
            Location::Postgres(_) => "ALTER TABLE calls ADD COLUMN later TEXT",
        })
        .await;
    let again = bench.open_again().await;
    again.record_calls(&[call(1)]).await.unwrap();
    assert_eq!(again.call(call(1).request_id).await.unwrap(), Some(call(1)));
    again.close().await;
}

async fn a_store_without_its_tables_is_not_ready(bench: Bench) {
    bench.tamper("DROP TABLE virtual_keys").await;
    let error = bench.store.is_ready().await.unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error:?}");
}

async fn a_migration_that_was_changed_is_refused(bench: Bench) {
    bench
        .tamper(
            "UPDATE _sqlx_migrations
             SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 2)
             WHERE version = 1",
        )
        .await;
    let error = store::open(&bench.location).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_named() {
    let location = Location::Sqlite("/proc/none/trunkline.db".into());
    let error = store::open(&location).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error:?}");
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "cannot create /proc/none/trunkline.db");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    bench::run(Kind::Sqlite, async |bench: Bench| {
        let Location::Sqlite(file) = &bench.location else {
            unreachable!("it runs on SQLite");
        };
        let other = file.with_file_name("notes.txt");
        std::fs::write(&other, "Buy milk. ".repeat(1000)).unwrap();
        let error = store::open(&Location::Sqlite(other)).await.unwrap_err();
        assert!(matches!(error, StoreError::Failed(_)), "{error:?}");
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_file_and_its_log() {
    use std::os::unix::fs::PermissionsExt;

    bench::run(Kind::Sqlite, async |bench: Bench| {
        let Location::Sqlite(file) = &bench.location else {
            unreachable!("it runs on SQLite");
        };
        bench.store.record_calls(&[call(1)]).await.unwrap();
        for file in [
            file.clone(),
            file.with_extension("db-wal"),
            file.with_extension("db-shm"),
        ] {
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let location = "postgres://nobody@127.0.0.1:1/nothing".parse().unwrap();
    let error = store::open(&location).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("refused"), "{cause}");
}

#[test]
fn both_engines_have_the_same_migrations() {
    let numbered = |migrations: sqlx::migrate::Migrator| -> Vec<(i64, String)> {
        migrations
            .iter()
            .map(|migration| (migration.version, migration.description.to_string()))
            .collect()
    };
    let sqlite = numbered(sqlx::migrate!("migrations/sqlite"));
    let postgres = numbered(sqlx::migrate!("migrations/postgres"));
    assert_eq!(sqlite, postgres);
    assert!(
        (1..)
            .zip(&sqlite)
            .all(|(number, (version, _))| number == *version),
        "{sqlite:?}"
    );
}

/// But for those of the installation itself: what was migrated, which processes serve it, how often its limits changed.
#[tokio::test]
async fn every_table_of_sqlite_names_its_tenant() {
    bench::run(Kind::Sqlite, async |bench: Bench| {
        let without = bench
            .texts(
                "SELECT name
                 FROM sqlite_master
                 WHERE type = 'table'
                   AND name NOT IN ('_sqlx_migrations', 'replicas', 'limit_changes')
                   AND (SELECT COUNT(*)
                        FROM pragma_table_info(sqlite_master.name) AS tenant
                        WHERE tenant.name IN ('organization_id', 'project_id')) < 2",
            )
            .await;
        assert_eq!(without, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn every_table_of_postgresql_names_its_tenant() {
    bench::run(Kind::Postgres, async |bench: Bench| {
        let without = bench
            .texts(
                "SELECT table_name::TEXT
                 FROM information_schema.columns
                 WHERE table_schema = 'public' AND table_name NOT IN ('_sqlx_migrations', 'replicas', 'limit_changes')
                 GROUP BY table_name
                 HAVING COUNT(*) FILTER (WHERE column_name IN ('organization_id', 'project_id')) < 2",
            )
            .await;
        assert_eq!(without, [""; 0]);
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_thread_that_writes_to_sqlite_gives_others_the_right_of_way() {
    /// The nineteenth field of `stat`, the seventeenth after the name (`proc_pid_stat(5)`).
    fn nice(task: &std::path::Path) -> Option<i32> {
        let stat = std::fs::read_to_string(task.join("stat")).ok()?;
        let (name, rest) = stat.rsplit_once(')')?;
        let is_worker = name.contains("sqlx-sqlite");
        rest.split_whitespace()
            .nth(16)?
            .parse()
            .ok()
            .filter(|_| is_worker)
    }

    bench::run(Kind::Sqlite, |bench| async move {
        bench.store.is_ready().await.unwrap();
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let mut workers: Vec<i32> = tasks.filter_map(|task| nice(&task.ok()?.path())).collect();
        workers.sort_unstable();
        let [reads, writes] = workers[..] else {
            panic!("{workers:?}: one thread reads, and one writes")
        };
        assert_eq!(writes, (reads + 5).min(19));
    })
    .await;
}
