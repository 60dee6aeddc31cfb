//! What was said in calls: kept apart from them, with an end of its own.

use domain::call::Payload;
use domain::id::RequestId;
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Database, execute, rows};
use crate::value::{Reader, microseconds};

/// Keeps what was said; what is already there stays.
pub(super) async fn keep(database: &Database, payloads: &[Payload]) -> Result<(), StoreError> {
    if payloads.is_empty() {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    for payload in payloads {
        execute!(
            transaction.session(),
            "INSERT INTO call_payloads (
               request_id, organization_id, project_id, identified_at, keep_until, request, response
             )
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT DO NOTHING",
            payload.request_id.to_string(),
            payload.organization_id.to_string(),
            payload.project_id.to_string(),
            identified_at(payload.request_id),
            microseconds(payload.keep_until),
            payload.request.as_slice(),
            payload.response.as_slice(),
        )?;
    }
    transaction.commit().await
}

/// What was said in a call.
pub(super) async fn find(
    database: &Database,
    id: RequestId,
) -> Result<Option<Payload>, StoreError> {
    let mut connection = database.read().await?;
    rows!(
        connection.session(),
        PayloadRow,
        "SELECT request_id, organization_id, project_id, keep_until, request, response
         FROM call_payloads
         WHERE request_id = $1 AND identified_at = $2",
        id.to_string(),
        identified_at(id),
    )?
    .pop()
    .map(PayloadRow::into_payload)
    .transpose()
}

/// Deletes at most `limit` payloads whose end is `now` or earlier, the oldest end first; answers how many.
pub(super) async fn drop_expired(
    database: &Database,
    now: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let mut transaction = database.begin().await?;
    let dropped = execute!(
        transaction.session(),
        "DELETE FROM call_payloads
         WHERE (request_id, identified_at) IN (
           SELECT request_id, identified_at
           FROM call_payloads
           WHERE keep_until <= $1
           ORDER BY keep_until
           LIMIT $2
         )",
        microseconds(now),
        i64::from(limit),
    )?;
    transaction.commit().await?;
    Ok(dropped)
}

#[derive(sqlx::FromRow)]
struct PayloadRow {
    request_id: String,
    organization_id: String,
    project_id: String,
    keep_until: i64,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl PayloadRow {
    fn into_payload(self) -> Result<Payload, StoreError> {
        let row = Reader {
            table: "call_payloads",
            id: &self.request_id,
        };
        Ok(Payload {
            request_id: row.parse("request_id", &self.request_id)?,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            keep_until: row.time("keep_until", self.keep_until)?,
            request: self.request,
            response: self.response,
        })
    }
}

/// The time in the identifier, in microseconds.
fn identified_at(id: RequestId) -> i64 {
    microseconds(id.time())
}
