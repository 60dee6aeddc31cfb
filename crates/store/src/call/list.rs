//! The list of calls, newest first.
//!
//! Five statements that differ in what they are read by: SQLite plans a statement before it sees the
//! values, so an optional filter (`$1 IS NULL OR …`) never chooses an index. The filter that narrows most
//! is therefore part of the statement, and the rest is optional.

use domain::call::{CallCursor, CallFilter, CallPage, CallState};
use domain::store_error::StoreError;

use super::row::CallRow;
use crate::database::{Database, Session, rows};
use crate::value::{microseconds, readable};

/// At most `limit` calls that pass `filter`, newest first, from `after` on.
pub(super) async fn page(
    database: &Database,
    filter: &CallFilter,
    after: Option<CallCursor>,
    limit: u32,
) -> Result<CallPage, StoreError> {
    let wanted = Wanted::of(filter, after, limit);
    let mut connection = database.read().await?;
    let session = connection.session();
    let rows = match (filter.batch_id, &filter.client_request_id, filter.key_id) {
        (Some(batch_id), _, _) => of_batch(session, batch_id.to_string(), wanted).await,
        (None, Some(client_request_id), _) => {
            of_client_request(session, client_request_id, wanted).await
        }
        (None, None, Some(key_id)) => of_key(session, key_id.to_string(), wanted).await,
        (None, None, None) => match filter.state {
            None | Some(CallState::Settled) => of_everyone(session, wanted).await,
            Some(_) => unsettled(session, wanted).await,
        },
    }?;

    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let goes_on = rows.len() > limit;
    // A row that cannot be read is one that the list goes on after, all the same.
    let last = rows.iter().take(limit).rev().find_map(CallRow::cursor);
    let next = if goes_on { last.or(after) } else { None };
    let calls = rows.into_iter().take(limit).map(CallRow::into_call);
    Ok(CallPage {
        calls: readable(calls),
        next,
    })
}

/// The filter in the values that the statements take.
struct Wanted {
    organization_id: Option<String>,
    client_request_id: Option<String>,
    key_id: Option<String>,
    state: Option<&'static str>,
    provider: Option<String>,
    request_model: Option<String>,
    /// The earliest start.
    since: i64,
    /// The latest start; calls of that very time pass if their identifier is lower than `before_id`.
    until: i64,
    before_id: String,
    /// One more than the page holds, to see whether the list goes on.
    limit: i64,
}

impl Wanted {
    fn of(filter: &CallFilter, after: Option<CallCursor>, limit: u32) -> Self {
        // Every identifier is higher than the empty text: a time without a cursor excludes its own calls.
        let until = filter.until.map_or(i64::MAX, microseconds);
        let cursor = after.map_or((i64::MAX, String::new()), |cursor| {
            (
                microseconds(cursor.started_at),
                cursor.request_id.to_string(),
            )
        });
        let (until, before_id) = cursor.min((until, String::new()));
        Self {
            organization_id: filter.organization_id.map(|id| id.to_string()),
            client_request_id: filter.client_request_id.clone(),
            key_id: filter.key_id.map(|id| id.to_string()),
            state: filter.state.map(CallState::as_str),
            provider: filter.provider.clone(),
            request_model: filter.request_model.clone(),
            since: filter.since.map_or(i64::MIN, microseconds),
            until,
            before_id,
            limit: i64::from(limit) + 1,
        }
    }
}

async fn of_everyone(session: Session<'_>, wanted: Wanted) -> Result<Vec<CallRow>, StoreError> {
    rows!(
        session,
        CallRow,
        "SELECT
           request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
           state, end_reason, operation, face, streamed, provider, request_model, response_model,
           route, status, error_type, finish_reason, attempts, usage, cost_nano, price_source,
           cache, latency_ms, time_to_first_token_ms, overhead_us, batch_id
         FROM calls
         WHERE started_at >= $1
           AND started_at <= $2
           AND (started_at < $2 OR request_id < $3)
           AND ($4 IS NULL OR organization_id = $4)
           AND ($5 IS NULL OR state = $5)
           AND ($6 IS NULL OR provider = $6)
           AND ($7 IS NULL OR request_model = $7)
         ORDER BY started_at DESC, request_id DESC
         LIMIT $8",
        wanted.since,
        wanted.until,
        wanted.before_id,
        wanted.organization_id,
        wanted.state,
        wanted.provider,
        wanted.request_model,
        wanted.limit,
    )
}

/// Calls of one state that few calls are in.
async fn unsettled(session: Session<'_>, wanted: Wanted) -> Result<Vec<CallRow>, StoreError> {
    rows!(
        session,
        CallRow,
        "SELECT
           request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
           state, end_reason, operation, face, streamed, provider, request_model, response_model,
           route, status, error_type, finish_reason, attempts, usage, cost_nano, price_source,
           cache, latency_ms, time_to_first_token_ms, overhead_us, batch_id
         FROM calls
         WHERE state = $1
           AND state <> 'settled'
           AND started_at >= $2
           AND started_at <= $3
           AND (started_at < $3 OR request_id < $4)
           AND ($5 IS NULL OR organization_id = $5)
           AND ($6 IS NULL OR provider = $6)
           AND ($7 IS NULL OR request_model = $7)
         ORDER BY started_at DESC, request_id DESC
         LIMIT $8",
        wanted.state,
        wanted.since,
        wanted.until,
        wanted.before_id,
        wanted.organization_id,
        wanted.provider,
        wanted.request_model,
        wanted.limit,
    )
}

async fn of_key(
    session: Session<'_>,
    key_id: String,
    wanted: Wanted,
) -> Result<Vec<CallRow>, StoreError> {
    rows!(
        session,
        CallRow,
        "SELECT
           request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
           state, end_reason, operation, face, streamed, provider, request_model, response_model,
           route, status, error_type, finish_reason, attempts, usage, cost_nano, price_source,
           cache, latency_ms, time_to_first_token_ms, overhead_us, batch_id
         FROM calls
         WHERE key_id = $1
           AND started_at >= $2
           AND started_at <= $3
           AND (started_at < $3 OR request_id < $4)
           AND ($5 IS NULL OR organization_id = $5)
           AND ($6 IS NULL OR state = $6)
           AND ($7 IS NULL OR provider = $7)
           AND ($8 IS NULL OR request_model = $8)
         ORDER BY started_at DESC, request_id DESC
         LIMIT $9",
        key_id,
        wanted.since,
        wanted.until,
        wanted.before_id,
        wanted.organization_id,
        wanted.state,
        wanted.provider,
        wanted.request_model,
        wanted.limit,
    )
}

async fn of_client_request(
    session: Session<'_>,
    client_request_id: &str,
    wanted: Wanted,
) -> Result<Vec<CallRow>, StoreError> {
    rows!(
        session,
        CallRow,
        "SELECT
           request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
           state, end_reason, operation, face, streamed, provider, request_model, response_model,
           route, status, error_type, finish_reason, attempts, usage, cost_nano, price_source,
           cache, latency_ms, time_to_first_token_ms, overhead_us, batch_id
         FROM calls
         WHERE client_request_id = $1
           AND started_at >= $2
           AND started_at <= $3
           AND (started_at < $3 OR request_id < $4)
           AND ($5 IS NULL OR organization_id = $5)
           AND ($6 IS NULL OR key_id = $6)
           AND ($7 IS NULL OR state = $7)
           AND ($8 IS NULL OR provider = $8)
           AND ($9 IS NULL OR request_model = $9)
         ORDER BY started_at DESC, request_id DESC
         LIMIT $10",
        client_request_id,
        wanted.since,
        wanted.until,
        wanted.before_id,
        wanted.organization_id,
        wanted.key_id,
        wanted.state,
        wanted.provider,
        wanted.request_model,
        wanted.limit,
    )
}

async fn of_batch(
    session: Session<'_>,
    batch_id: String,
    wanted: Wanted,
) -> Result<Vec<CallRow>, StoreError> {
    rows!(
        session,
        CallRow,
        "SELECT
           request_id, organization_id, project_id, key_id, client_request_id, started_at, ended_at,
           state, end_reason, operation, face, streamed, provider, request_model, response_model,
           route, status, error_type, finish_reason, attempts, usage, cost_nano, price_source,
           cache, latency_ms, time_to_first_token_ms, overhead_us, batch_id
         FROM calls
         WHERE batch_id = $1
           AND started_at >= $2
           AND started_at <= $3
           AND (started_at < $3 OR request_id < $4)
           AND ($5 IS NULL OR organization_id = $5)
           AND ($6 IS NULL OR key_id = $6)
           AND ($7 IS NULL OR state = $7)
           AND ($8 IS NULL OR provider = $8)
           AND ($9 IS NULL OR request_model = $9)
           AND ($10 IS NULL OR client_request_id = $10)
         ORDER BY started_at DESC, request_id DESC
         LIMIT $11",
        batch_id,
        wanted.since,
        wanted.until,
        wanted.before_id,
        wanted.organization_id,
        wanted.key_id,
        wanted.state,
        wanted.provider,
        wanted.request_model,
        wanted.client_request_id,
        wanted.limit,
    )
}
