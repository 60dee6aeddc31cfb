//! Copies of calls beside the calls themselves.

use domain::call::{CallState, Outcome, ShadowPair};
use domain::id::KeyId;
use domain::money::Cost;
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Database, rows};
use crate::value::{Reader, microseconds, readable};

/// How long before its copy a call may have started, in microseconds: copies that waited longer were not sent.
const HEAD_START: i64 = 3_600_000_000;

#[derive(sqlx::FromRow)]
struct PairRow {
    request_id: String,
    state: String,
    finish_reason: Option<String>,
    output_tokens: i64,
    cost_nano: Option<i64>,
    latency_ms: i64,
    time_to_first_token_ms: Option<i64>,
    original_state: Option<String>,
    original_finish_reason: Option<String>,
    original_output_tokens: Option<i64>,
    original_cost_nano: Option<i64>,
    original_latency_ms: Option<i64>,
    original_time_to_first_token_ms: Option<i64>,
}

/// At most `limit` copies that were sent with `key` and started in a time, newest first.
pub(super) async fn pairs(
    database: &Database,
    key: KeyId,
    (since, until): (Timestamp, Timestamp),
    limit: u32,
) -> Result<Vec<ShadowPair>, StoreError> {
    let mut connection = database.read().await?;
    let (since, until) = (microseconds(since), microseconds(until));
    // The bounds of the original's time spare PostgreSQL the partitions in which it is not.
    let rows = rows!(
        connection.session(),
        PairRow,
        "SELECT
           shadow.request_id AS request_id, shadow.state AS state, shadow.finish_reason AS finish_reason,
           shadow.output_tokens AS output_tokens, shadow.cost_nano AS cost_nano,
           shadow.latency_ms AS latency_ms, shadow.time_to_first_token_ms AS time_to_first_token_ms,
           original.state AS original_state, original.finish_reason AS original_finish_reason,
           original.output_tokens AS original_output_tokens, original.cost_nano AS original_cost_nano,
           original.latency_ms AS original_latency_ms,
           original.time_to_first_token_ms AS original_time_to_first_token_ms
         FROM calls AS shadow
         LEFT JOIN calls AS original
           ON original.request_id = shadow.shadow_of
           AND original.started_at >= $4
           AND original.started_at < $3
         WHERE shadow.key_id = $1
           AND shadow.shadow_of IS NOT NULL
           AND shadow.started_at >= $2
           AND shadow.started_at < $3
         ORDER BY shadow.started_at DESC
         LIMIT $5",
        key.to_string(),
        since,
        until,
        since.saturating_sub(HEAD_START),
        i64::from(limit),
    )?;
    Ok(readable(rows.into_iter().map(PairRow::into_pair)))
}

impl PairRow {
    fn into_pair(self) -> Result<ShadowPair, StoreError> {
        let row = Reader {
            table: "calls",
            id: &self.request_id,
        };
        let first =
            |milliseconds| row.optional("time_to_first_token_ms", milliseconds, Reader::number);
        let state = |word: &str| row.some("state", CallState::from_word(word));
        let shadow = Outcome {
            state: state(&self.state)?,
            finish_reason: self.finish_reason,
            output_tokens: row.number("output_tokens", self.output_tokens)?,
            cost: self.cost_nano.map(Cost::from_nano_dollars),
            latency_ms: row.number("latency_ms", self.latency_ms)?,
            time_to_first_token_ms: first(self.time_to_first_token_ms)?,
        };
        let original = match &self.original_state {
            None => None,
            Some(word) => Some(Outcome {
                state: state(word)?,
                finish_reason: self.original_finish_reason,
                output_tokens: row.number(
                    "output_tokens",
                    self.original_output_tokens.unwrap_or_default(),
                )?,
                cost: self.original_cost_nano.map(Cost::from_nano_dollars),
                latency_ms: row
                    .number("latency_ms", self.original_latency_ms.unwrap_or_default())?,
                time_to_first_token_ms: first(self.original_time_to_first_token_ms)?,
            }),
        };
        Ok(ShadowPair { shadow, original })
    }
}
