//! Writing a batch of calls.

use domain::call::Call;
use domain::store_error::StoreError;
use sqlx::PgPool;

use crate::call::named;
use crate::error::store_error;

/// One statement and one parameter for all rows. They are inserted in the order of their identifiers, so
/// that two replicas that record the same calls wait for each other instead of deadlocking.
pub(crate) async fn record_calls(pool: &PgPool, calls: &[Call]) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO calls (
           request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
           state, end_reason, operation, face, streamed, provider, request_model, response_model,
           route, status, error_type, finish_reason, attempts, usage,
           input_tokens, cached_input_tokens, output_tokens, cost_nano, price_source,
           cache, latency_ms, time_to_first_token_ms, overhead_us, batch_id,
           application_id, user_id, saved_nano, variant
         )
         SELECT
           request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
           state, end_reason, operation, face, streamed, provider, request_model, response_model,
           route, status, error_type, finish_reason, attempts, usage,
           input_tokens, cached_input_tokens, output_tokens, cost_nano, price_source,
           cache, latency_ms, time_to_first_token_ms, overhead_us, batch_id,
           application_id, user_id, saved_nano, variant
         FROM json_to_recordset($1::JSON) AS call (
           request_id TEXT, organization_id TEXT, project_id TEXT, key_id TEXT, client_request_id TEXT,
           started_at BIGINT, ended_at BIGINT, state TEXT, end_reason TEXT, operation TEXT, face TEXT,
           streamed BOOLEAN, provider TEXT, request_model TEXT, response_model TEXT, route TEXT,
           status BIGINT, error_type TEXT, finish_reason TEXT, attempts TEXT, usage TEXT,
           input_tokens BIGINT, cached_input_tokens BIGINT, output_tokens BIGINT, cost_nano BIGINT,
           price_source TEXT, cache TEXT, latency_ms BIGINT, time_to_first_token_ms BIGINT,
           overhead_us BIGINT, batch_id TEXT, application_id TEXT, user_id TEXT,
           saved_nano BIGINT, variant TEXT
         )
         ORDER BY request_id
         ON CONFLICT (request_id, started_at) DO NOTHING",
    )
    .bind(named(calls)?)
    .execute(pool)
    .await
    .map_err(store_error)?;
    Ok(())
}
