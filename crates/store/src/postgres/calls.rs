//! Writing a batch of calls.

use std::collections::HashSet;

use domain::call::Call;
use domain::store_error::StoreError;
use sqlx::{PgConnection, PgPool};

use crate::call::named;
use crate::error::store_error;
use crate::spend::sums;

/// Inserts the calls in one transaction, and adds what they cost to the sums; those that are there already stay
/// as they are.
pub(crate) async fn record_calls(pool: &PgPool, calls: &[Call]) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await.map_err(store_error)?;
    let inserted = insert(&mut transaction, calls).await?;
    let mut new: HashSet<String> = inserted.into_iter().map(|(id,)| id).collect();
    // A call that is in the batch twice counts once.
    let new = calls
        .iter()
        .filter(|call| new.remove(&call.request_id.to_string()));
    if let Some(sums) = sums(new)? {
        add_to_sums(&mut transaction, sums).await?;
    }
    transaction.commit().await.map_err(store_error)
}

/// One statement and one parameter for all rows; answers which were not there. They are inserted in the order of their identifiers, so
/// that two replicas that record the same calls wait for each other instead of deadlocking.
async fn insert(
    transaction: &mut PgConnection,
    calls: &[Call],
) -> Result<Vec<(String,)>, StoreError> {
    sqlx::query_as(
        "INSERT INTO calls (
           request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
           state, end_reason, operation, face, streamed, provider, request_model, response_model,
           route, status, error_type, finish_reason, attempts, usage,
           input_tokens, cached_input_tokens, output_tokens, cost_nano, price_source,
           cache, latency_ms, time_to_first_token_ms, overhead_us, batch_id,
           application_id, user_id, saved_nano, variant, shadow_of
         )
         SELECT
           request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
           state, end_reason, operation, face, streamed, provider, request_model, response_model,
           route, status, error_type, finish_reason, attempts, usage,
           input_tokens, cached_input_tokens, output_tokens, cost_nano, price_source,
           cache, latency_ms, time_to_first_token_ms, overhead_us, batch_id,
           application_id, user_id, saved_nano, variant, shadow_of
         FROM json_to_recordset($1::JSON) AS call (
           request_id TEXT, organization_id TEXT, project_id TEXT, key_id TEXT, client_request_id TEXT,
           started_at BIGINT, ended_at BIGINT, state TEXT, end_reason TEXT, operation TEXT, face TEXT,
           streamed BOOLEAN, provider TEXT, request_model TEXT, response_model TEXT, route TEXT,
           status BIGINT, error_type TEXT, finish_reason TEXT, attempts TEXT, usage TEXT,
           input_tokens BIGINT, cached_input_tokens BIGINT, output_tokens BIGINT, cost_nano BIGINT,
           price_source TEXT, cache TEXT, latency_ms BIGINT, time_to_first_token_ms BIGINT,
           overhead_us BIGINT, batch_id TEXT, application_id TEXT, user_id TEXT,
           saved_nano BIGINT, variant TEXT, shadow_of TEXT
         )
         ORDER BY request_id
         ON CONFLICT (request_id, started_at) DO NOTHING
         RETURNING request_id",
    )
    .bind(named(calls)?)
    .fetch_all(transaction)
    .await
    .map_err(store_error)
}

/// Adds to the sums, which are a JSON array of objects that are named like the columns.
pub(crate) async fn add_to_sums(
    transaction: &mut PgConnection,
    sums: String,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO spend (
           span, starts_at, organization_id, project_id, application_id, user_id, key_id, provider, model,
           dollars, nano_dollars, calls
         )
         SELECT
           span, starts_at, organization_id, project_id, COALESCE(application_id, ''), COALESCE(user_id, ''),
           key_id, provider, model, dollars, nano_dollars, calls
         FROM json_to_recordset($1::JSON) AS sum (
           span TEXT, starts_at BIGINT, organization_id TEXT, project_id TEXT, application_id TEXT,
           user_id TEXT, key_id TEXT, provider TEXT, model TEXT,
           dollars BIGINT, nano_dollars BIGINT, calls BIGINT
         )
         ON CONFLICT (
           span, starts_at, key_id, provider, model, organization_id, project_id, application_id, user_id
         )
         DO UPDATE SET
           dollars = spend.dollars + excluded.dollars,
           nano_dollars = spend.nano_dollars + excluded.nano_dollars,
           calls = spend.calls + excluded.calls",
    )
    .bind(sums)
    .execute(transaction)
    .await
    .map_err(store_error)?;
    Ok(())
}
