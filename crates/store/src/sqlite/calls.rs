//! Writing a batch of calls.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::{Display, Write};
use std::sync::{Arc, LazyLock};

use domain::call::{Attempt, Call};
use domain::id::{KeyId, OrganizationId, ProjectId, RequestId};
use domain::store_error::StoreError;
use domain::usage::Usage;
use serde::Serialize;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::Pools;
use crate::call::{NewRow, json, shared_json};
use crate::error::store_error;
use crate::spend::sums;

/// How many rows one statement takes. Every statement goes to SQLite's thread and back, so that most rows go
/// in large ones; the sizes are few, so that their texts stay prepared.
const SIZES: [usize; 3] = [200, 20, 1];

/// The columns of `recorded_calls`. Each costs every call time, so that what is neither filtered nor summed is
/// in [`Details`].
const COLUMNS: [&str; 14] = [
    "request_id",
    "organization_id",
    "project_id",
    "key_id",
    "application_id",
    "user_id",
    "client_request_id",
    "batch_id",
    "started_at",
    "state",
    "provider",
    "request_model",
    "cost_nano",
    "details",
];

/// The rest of a row; the view `calls` makes columns of it.
#[derive(Serialize)]
struct Details<'r> {
    ended_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_reason: Option<&'static str>,
    operation: &'static str,
    face: &'static str,
    streamed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_model: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow_of: Option<RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'r str>,
    attempts: &'r [Attempt],
    usage: &'r Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_source: Option<&'r str>,
    cache: &'static str,
    latency_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_first_token_ms: Option<i64>,
    overhead_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_nano: Option<i64>,
}

/// A statement and its values.
type Insert = Query<'static, Sqlite, SqliteArguments>;

/// A statement that fails takes nothing back (`OR FAIL`), since its transaction is: otherwise SQLite would copy
/// every page that it changes into a journal of the statement's own.
static STATEMENTS: LazyLock<[String; 3]> = LazyLock::new(|| SIZES.map(statement));

/// Inserts the calls in one transaction, and adds what they cost to the sums; those that are there already stay
/// as they are.
pub(crate) async fn record_calls(pools: &Pools, calls: &[Call]) -> Result<(), StoreError> {
    let mut transaction = pools.write.begin().await.map_err(store_error)?;
    let inserted = insert(&mut transaction, calls).await?;
    if inserted == calls.len() as u64 {
        add_up(&mut transaction, calls.iter()).await?;
        return transaction.commit().await.map_err(store_error);
    }
    // Some are there already, which is rare; the sums are of the others only.
    transaction.rollback().await.map_err(store_error)?;
    record_new_calls(pools, calls).await
}

/// The same, with a look at which calls are new.
async fn record_new_calls(pools: &Pools, calls: &[Call]) -> Result<(), StoreError> {
    let ids: Vec<RequestId> = calls.iter().map(|call| call.request_id).collect();
    let immediate = "BEGIN IMMEDIATE";
    let begun = pools.write.begin_with(immediate).await;
    let mut transaction = begun.map_err(store_error)?;
    let known: Vec<(String,)> = sqlx::query_as(
        "SELECT request_id
         FROM recorded_calls
         WHERE request_id IN (SELECT value FROM json_each(?))",
    )
    .bind(json(&ids)?)
    .fetch_all(&mut *transaction)
    .await
    .map_err(store_error)?;
    let mut known: HashSet<String> = known.into_iter().map(|(id,)| id).collect();
    let new: Vec<Call> = calls
        .iter()
        .filter(|call| known.insert(call.request_id.to_string()))
        .cloned()
        .collect();
    insert(&mut transaction, &new).await?;
    add_up(&mut transaction, new.iter()).await?;
    transaction.commit().await.map_err(store_error)
}

/// Inserts the calls; answers how many were not there.
async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    calls: &[Call],
) -> Result<u64, StoreError> {
    let mut inserted = 0;
    let mut rest = calls;
    for (size, text) in SIZES.into_iter().zip(STATEMENTS.iter()) {
        while let Some((rows, others)) = rest.split_at_checked(size) {
            rest = others;
            let insert: Insert = sqlx::query(text.as_str());
            let mut repeated = Repeated::default();
            let insert = rows.iter().try_fold(insert, |insert, call| {
                bind(NewRow::of(call), &mut repeated, insert)
            })?;
            let done = insert.execute(&mut **transaction).await;
            inserted += done.map_err(store_error)?.rows_affected();
        }
    }
    Ok(inserted)
}

/// Adds what the calls cost to the sums.
async fn add_up(
    transaction: &mut Transaction<'_, Sqlite>,
    calls: impl Iterator<Item = &Call>,
) -> Result<(), StoreError> {
    match sums(calls)? {
        Some(sums) => add_to_sums(transaction, sums).await,
        None => Ok(()),
    }
}

/// Adds to the sums, which are a JSON array of objects that are named like the columns.
pub(crate) async fn add_to_sums(
    connection: &mut SqliteConnection,
    sums: String,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR FAIL INTO spend (
           span, starts_at, organization_id, project_id, application_id, user_id, key_id, provider, model,
           dollars, nano_dollars, calls
         )
         SELECT
           value ->> 'span', value ->> 'starts_at', value ->> 'organization_id', value ->> 'project_id',
           COALESCE(value ->> 'application_id', ''), COALESCE(value ->> 'user_id', ''), value ->> 'key_id',
           value ->> 'provider', value ->> 'model',
           value ->> 'dollars', value ->> 'nano_dollars', value ->> 'calls'
         FROM json_each(?)
         WHERE TRUE
         ON CONFLICT DO UPDATE SET
           dollars = dollars + excluded.dollars,
           nano_dollars = nano_dollars + excluded.nano_dollars,
           calls = calls + excluded.calls",
    )
    .bind(sums)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

/// Texts of rows. Those that rows repeat which follow each other are made once for many; room to write the others
/// is used again.
#[derive(Default)]
struct Repeated<'c> {
    written: String,
    organizations: Again<OrganizationId>,
    projects: Again<ProjectId>,
    keys: Again<KeyId>,
    states: Again<&'static str>,
    providers: Again<&'c str>,
    models: Again<&'c str>,
}

impl Repeated<'_> {
    fn own(&mut self, value: impl Display) -> Arc<str> {
        self.written.clear();
        // Writing to memory does not fail.
        let written = write!(self.written, "{value}");
        debug_assert!(written.is_ok());
        self.written.as_str().into()
    }
}

/// The text of the last value that was asked for.
struct Again<K>(Option<(K, Arc<str>)>);

impl<K> Default for Again<K> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: Copy + PartialEq + Display> Again<K> {
    fn text(&mut self, value: K) -> Arc<str> {
        match &self.0 {
            Some((last, text)) if *last == value => Arc::clone(text),
            _ => {
                let text: Arc<str> = value.to_string().into();
                self.0 = Some((value, Arc::clone(&text)));
                text
            }
        }
    }
}

/// Binds a row's values in the order of [`COLUMNS`].
fn bind<'c>(
    row: NewRow<'c>,
    repeated: &mut Repeated<'c>,
    insert: Insert,
) -> Result<Insert, StoreError> {
    let details = shared_json(&Details::of(&row))?;
    Ok(insert
        .bind(repeated.own(row.request_id))
        .bind(repeated.organizations.text(row.organization_id))
        .bind(repeated.projects.text(row.project_id))
        .bind(repeated.keys.text(row.key_id))
        .bind(row.application_id.map(|id| id.to_string()))
        .bind(row.user_id.map(|id| id.to_string()))
        .bind(row.client_request_id.map(Cow::into_owned))
        .bind(row.batch_id.map(|id| id.to_string()))
        .bind(row.started_at)
        .bind(repeated.states.text(row.state))
        .bind(row.provider.map(|name| repeated.providers.text(name)))
        .bind(repeated.models.text(row.request_model))
        .bind(row.cost_nano)
        .bind(details))
}

impl<'r> Details<'r> {
    fn of(row: &'r NewRow<'_>) -> Self {
        Self {
            ended_at: row.ended_at,
            end_reason: row.end_reason,
            operation: row.operation,
            face: row.face,
            streamed: row.streamed,
            response_model: row.response_model.as_deref(),
            route: row.route.as_deref(),
            variant: row.variant.as_deref(),
            shadow_of: row.shadow_of,
            status: row.status,
            error_type: row.error_type.as_deref(),
            finish_reason: row.finish_reason.as_deref(),
            attempts: &row.attempts,
            usage: &row.usage,
            price_source: row.price_source.as_deref(),
            cache: row.cache,
            latency_ms: row.latency_ms,
            time_to_first_token_ms: row.time_to_first_token_ms,
            overhead_us: row.overhead_us,
            saved_nano: row.saved_nano,
        }
    }
}

fn statement(rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS.len()].join(", "));
    format!(
        "INSERT OR FAIL INTO recorded_calls ({}) VALUES {} ON CONFLICT (request_id) DO NOTHING",
        COLUMNS.join(", "),
        vec![row; rows].join(", ")
    )
}
