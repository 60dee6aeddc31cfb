//! What a store must do, on both engines: every test runs on SQLite in a directory of its own and on
//! PostgreSQL in a database of its own, on the server at `TRUNKLINE_TEST_POSTGRES`.

#![cfg(test)]

mod adjustments;
mod batches;
mod bench;
mod calls;
mod client_secrets;
mod corrupt;
mod custody;
mod files;
mod keys;
mod limits;
mod listing;
mod opening;
mod partitions;
mod payloads;
mod replicas;
mod responses;
mod sample;
mod spend;
mod tenants;

/// Writes two tests of each function, one per engine:
///
/// ```ignore
/// on_both_engines!(an_unknown_key_is_none);
/// // sqlite::an_unknown_key_is_none and postgres::an_unknown_key_is_none
/// ```
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                crate::bench::run(store::Kind::Sqlite, super::$test).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                crate::bench::run(store::Kind::Postgres, super::$test).await;
            })+
        }
    };
}
pub(crate) use on_both_engines;
