//! The list of calls, newest first.
//!
//! SQLite plans a statement before it sees the values, so an optional filter (`$1 IS NULL OR …`) never
//! chooses an index. There is a statement for each filter that narrows most, which has it as a condition of
//! its own; beside that, all have every filter as an optional one.

use domain::call::{CallCursor, CallFilter, CallPage, CallState};
use domain::id::ProjectId;
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
    let rows = wanted.rows(connection.session(), By::of(filter)).await?;

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

/// What a list is read by: the filter that leaves the fewest calls, and has an index.
enum By {
    Batch,
    ClientRequest,
    Key,
    User,
    Application,
    Project,
    UnsettledState,
    Time,
}

impl By {
    fn of(filter: &CallFilter) -> Self {
        let is_unsettled = |state: CallState| state != CallState::Settled;
        if filter.batch_id.is_some() {
            Self::Batch
        } else if filter.client_request_id.is_some() {
            Self::ClientRequest
        } else if filter.key_id.is_some() {
            Self::Key
        } else if filter.user_id.is_some() {
            Self::User
        } else if filter.application_id.is_some() {
            Self::Application
        } else if filter.project_id.is_some_and(|id| id != ProjectId::DEFAULT) {
            Self::Project
        } else if filter.state.is_some_and(is_unsettled) {
            Self::UnsettledState
        } else {
            Self::Time
        }
    }
}

/// Reads rows by a statement with one condition of its own. It is written as
/// `SELECT … WHERE started_at >= $1 AND … AND {condition} ORDER BY … LIMIT $14`.
macro_rules! rows_where {
    ($condition:literal, $session:expr, $wanted:expr) => {
        rows!(
            $session,
            CallRow,
            concat!(
                "SELECT
                   request_id, organization_id, project_id, key_id, client_request_id, started_at,
                   ended_at, state, end_reason, operation, face, streamed, provider, request_model,
                   response_model, route, status, error_type, finish_reason, attempts, usage,
                   cost_nano, price_source, cache, latency_ms, time_to_first_token_ms, overhead_us,
                   batch_id, application_id, user_id, saved_nano, variant, shadow_of
                 FROM calls
                 WHERE started_at >= $1
                   AND started_at <= $2
                   AND (started_at < $2 OR request_id < $3)
                   AND ($4 IS NULL OR organization_id = $4)
                   AND ($5 IS NULL OR project_id = $5)
                   AND ($6 IS NULL OR application_id = $6)
                   AND ($7 IS NULL OR user_id = $7)
                   AND ($8 IS NULL OR key_id = $8)
                   AND ($9 IS NULL OR client_request_id = $9)
                   AND ($10 IS NULL OR batch_id = $10)
                   AND ($11 IS NULL OR state = $11)
                   AND ($12 IS NULL OR provider = $12)
                   AND ($13 IS NULL OR request_model = $13)
                   AND ",
                $condition,
                " ORDER BY started_at DESC, request_id DESC
                  LIMIT $14"
            ),
            $wanted.since,
            $wanted.until,
            $wanted.before_id,
            $wanted.organization_id,
            $wanted.project_id,
            $wanted.application_id,
            $wanted.user_id,
            $wanted.key_id,
            $wanted.client_request_id,
            $wanted.batch_id,
            $wanted.state,
            $wanted.provider,
            $wanted.request_model,
            $wanted.limit,
        )
    };
}

/// The filter in the values that the statements take.
struct Wanted {
    /// The earliest start.
    since: i64,
    /// The latest start; calls of that very time pass if their identifier is lower than `before_id`.
    until: i64,
    before_id: String,
    organization_id: Option<String>,
    project_id: Option<String>,
    application_id: Option<String>,
    user_id: Option<String>,
    key_id: Option<String>,
    client_request_id: Option<String>,
    batch_id: Option<String>,
    state: Option<&'static str>,
    provider: Option<String>,
    request_model: Option<String>,
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
            since: filter.since.map_or(i64::MIN, microseconds),
            until,
            before_id,
            organization_id: filter.organization_id.map(|id| id.to_string()),
            project_id: filter.project_id.map(|id| id.to_string()),
            application_id: filter.application_id.map(|id| id.to_string()),
            user_id: filter.user_id.map(|id| id.to_string()),
            key_id: filter.key_id.map(|id| id.to_string()),
            client_request_id: filter.client_request_id.clone(),
            batch_id: filter.batch_id.map(|id| id.to_string()),
            state: filter.state.map(CallState::as_str),
            provider: filter.provider.clone(),
            request_model: filter.request_model.clone(),
            limit: i64::from(limit) + 1,
        }
    }

    /// The conditions on the default project and on settled calls are those of partial indexes: most calls
    /// are in neither.
    async fn rows(self, session: Session<'_>, by: By) -> Result<Vec<CallRow>, StoreError> {
        match by {
            By::Batch => rows_where!("batch_id = $10", session, self),
            By::ClientRequest => rows_where!("client_request_id = $9", session, self),
            By::Key => rows_where!("key_id = $8", session, self),
            By::User => rows_where!("user_id = $7", session, self),
            By::Application => rows_where!("application_id = $6", session, self),
            By::Project => rows_where!(
                "project_id = $5 AND project_id <> 'proj_00000000000000000000000000000001'",
                session,
                self
            ),
            By::UnsettledState => {
                rows_where!("state = $11 AND state <> 'settled'", session, self)
            }
            By::Time => rows_where!("TRUE", session, self),
        }
    }
}
