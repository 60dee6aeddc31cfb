//! Waiting for the disk.

use domain::store_error::StoreError;

use super::Pools;
use crate::error::store_error;

/// Another connection is folding the log into the file; what it has not seen is not yet on the disk.
#[derive(Debug, thiserror::Error)]
#[error("another process is writing the store's log back")]
struct Busy;

/// Flushes the write-ahead log: a checkpoint begins with that
/// (<https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>). A passive one waits for no reader.
pub(crate) async fn make_durable(pools: &Pools) -> Result<(), StoreError> {
    let (is_busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)")
        .fetch_one(&pools.write)
        .await
        .map_err(store_error)?;
    if is_busy == 0 {
        Ok(())
    } else {
        Err(StoreError::Unavailable(Box::new(Busy)))
    }
}
