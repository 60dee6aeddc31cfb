//! Calls and what was said in them: the statements of the call port.

mod list;
mod payload;
mod row;
mod shadow;

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::call::{Call, CallCursor, CallFilter, CallPage, CallStore, Payload, ShadowPair, Spend};
use domain::id::{KeyId, RequestId};
use domain::money::Cost;
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Database, Store, rows};
use crate::value::{Reader, microseconds, whole};
use crate::{postgres, sqlite};
use row::CallRow;
pub(crate) use row::{NewRow, json, named, shared_json};

#[async_trait]
impl CallStore for Store {
    async fn record_calls(&self, calls: &[Call]) -> Result<(), StoreError> {
        if calls.is_empty() {
            return Ok(());
        }
        match &self.database {
            Database::Sqlite(pools) => sqlite::record_calls(pools, calls).await,
            Database::Postgres(pool) => postgres::record_calls(pool, calls).await,
        }
    }

    async fn list_calls(
        &self,
        filter: &CallFilter,
        after: Option<CallCursor>,
        limit: u32,
    ) -> Result<CallPage, StoreError> {
        list::page(&self.database, filter, after, limit).await
    }

    async fn call(&self, id: RequestId) -> Result<Option<Call>, StoreError> {
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            CallRow,
            "SELECT
               request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
               state, end_reason, operation, face, streamed, provider, request_model, response_model,
               route, status, error_type, finish_reason, attempts, usage, cost_nano, price_source,
               cache, latency_ms, time_to_first_token_ms, overhead_us, batch_id,
               application_id, user_id, saved_nano, variant, shadow_of
             FROM calls
             WHERE request_id = $1
             LIMIT 1",
            id.to_string(),
        )?
        .pop()
        .map(CallRow::into_call)
        .transpose()
    }

    async fn shadows(
        &self,
        key: KeyId,
        since: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<ShadowPair>, StoreError> {
        shadow::pairs(&self.database, key, (since, until), limit).await
    }

    async fn spend_by_key(&self, since: Timestamp) -> Result<Vec<Spend>, StoreError> {
        /// Sums of whole dollars and of the rest: a sum of nano-dollars could leave the range of the
        /// engines' integers.
        #[derive(sqlx::FromRow)]
        struct SpendRow {
            key_id: String,
            dollars: i64,
            nano_dollars: i64,
        }

        let mut connection = self.database.read().await?;
        // The recursion jumps along the index from key to key, so that of each key only the calls since
        // then are read, and of these only the index.
        let rows = rows!(
            connection.session(),
            SpendRow,
            "WITH RECURSIVE keys (key_id) AS (
               SELECT MIN(key_id) FROM calls
               UNION ALL
               SELECT (SELECT MIN(key_id) FROM calls WHERE calls.key_id > keys.key_id)
               FROM keys
               WHERE keys.key_id IS NOT NULL
             )
             SELECT
               calls.key_id AS key_id,
               CAST(SUM(cost_nano / 1000000000) AS BIGINT) AS dollars,
               CAST(SUM(cost_nano % 1000000000) AS BIGINT) AS nano_dollars
             FROM keys
             JOIN calls ON calls.key_id = keys.key_id
             WHERE started_at >= $1 AND cost_nano IS NOT NULL
             GROUP BY calls.key_id
             ORDER BY calls.key_id",
            microseconds(since),
        )?;
        let adjusted = rows!(
            connection.session(),
            SpendRow,
            "SELECT
               key_id,
               CAST(SUM(amount_nano / 1000000000) AS BIGINT) AS dollars,
               CAST(SUM(amount_nano % 1000000000) AS BIGINT) AS nano_dollars
             FROM adjustments
             WHERE started_at >= $1
             GROUP BY key_id",
            microseconds(since),
        )?;
        let mut spent: BTreeMap<KeyId, Cost> = BTreeMap::new();
        for row in rows.into_iter().chain(adjusted) {
            let reader = Reader {
                table: "calls",
                id: &row.key_id,
            };
            let sum = spent
                .entry(reader.parse("key_id", &row.key_id)?)
                .or_default();
            *sum = sum.saturating_add(whole(row.dollars, row.nano_dollars));
        }
        let spend = |(key_id, cost)| Spend { key_id, cost };
        Ok(spent.into_iter().map(spend).collect())
    }

    async fn keep_payloads(&self, payloads: &[Payload]) -> Result<(), StoreError> {
        payload::keep(&self.database, payloads).await
    }

    async fn payload(&self, id: RequestId) -> Result<Option<Payload>, StoreError> {
        payload::find(&self.database, id).await
    }

    async fn drop_expired_payloads(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        payload::drop_expired(&self.database, now, limit).await
    }
}
