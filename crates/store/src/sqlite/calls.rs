//! Writing a batch of calls.

use std::sync::LazyLock;

use domain::call::Call;
use domain::store_error::StoreError;

use super::Pools;
use crate::call::{COLUMNS, NewRow, SqliteQuery};
use crate::error::store_error;

/// How many rows one statement takes. Every statement goes to SQLite's thread and back, so that most rows go
/// in large ones; the sizes are few, so that their texts stay prepared.
const SIZES: [usize; 3] = [200, 20, 1];

static STATEMENTS: LazyLock<[String; 3]> = LazyLock::new(|| SIZES.map(statement));

/// Inserts the calls in one transaction; those that are there already stay as they are.
pub(crate) async fn record_calls(pools: &Pools, calls: &[Call]) -> Result<(), StoreError> {
    let mut transaction = pools.write.begin().await.map_err(store_error)?;
    let mut rest = calls;
    for (size, text) in SIZES.into_iter().zip(STATEMENTS.iter()) {
        while let Some((rows, others)) = rest.split_at_checked(size) {
            rest = others;
            let query: SqliteQuery = sqlx::query(text.as_str());
            let query = rows
                .iter()
                .try_fold(query, |query, call| NewRow::of(call).bind(query))?;
            query
                .execute(&mut *transaction)
                .await
                .map_err(store_error)?;
        }
    }
    transaction.commit().await.map_err(store_error)
}

fn statement(rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS.len()].join(", "));
    format!(
        "INSERT INTO calls ({}) VALUES {} ON CONFLICT (request_id) DO NOTHING",
        COLUMNS.join(", "),
        vec![row; rows].join(", ")
    )
}
