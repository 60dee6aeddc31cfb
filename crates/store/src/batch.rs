//! Batches and their lines that have ended: the statements of the batch port.

use async_trait::async_trait;
use domain::batch::{
    Batch, BatchCursor, BatchDetails, BatchFace, BatchState, BatchStore, EndedLine, EndedLines,
    Hold,
};
use domain::id::{BatchId, KeyId, ReplicaId};
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Kind, Store, Transaction, execute, rows};
use crate::value::{Reader, kept, microseconds};

#[async_trait]
impl BatchStore for Store {
    async fn add_batch(&self, batch: &Batch, max_open: u32) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let added = execute!(
            transaction.session(),
            "INSERT INTO batches (
               id, organization_id, project_id, key_id, face, state, cancelling_at, succeeded, failed,
               created_at, expires_at, details, holder, held_until
             )
             SELECT $1, $2, $3, $4, $5, $6, NULL, 0, 0, $7, $8, $9, NULL, 0
             WHERE (
               SELECT COUNT(*)
               FROM batches
               WHERE key_id = $4 AND state IN ('validating', 'in_progress', 'finalizing')
             ) < $10",
            batch.id.to_string(),
            batch.organization_id.to_string(),
            batch.project_id.to_string(),
            batch.key_id.to_string(),
            batch.face.as_str(),
            batch.state.as_str(),
            microseconds(batch.created_at),
            microseconds(batch.expires_at),
            details(batch)?,
            i64::from(max_open),
        )?;
        transaction.commit().await?;
        Ok(added > 0)
    }

    async fn batch(&self, id: BatchId, owner: KeyId) -> Result<Option<Batch>, StoreError> {
        let mut connection = self.database.read().await?;
        one(rows!(
            connection.session(),
            BatchRow,
            "SELECT
               id, organization_id, project_id, key_id, face, state, cancelling_at, succeeded, failed,
               created_at, expires_at, details
             FROM batches
             WHERE id = $1 AND key_id = $2",
            id.to_string(),
            owner.to_string(),
        )?)
    }

    async fn list_batches(
        &self,
        owner: KeyId,
        face: BatchFace,
        cursor: Option<BatchCursor>,
        limit: u32,
    ) -> Result<Vec<Batch>, StoreError> {
        let mut connection = self.database.read().await?;
        // What comes just before a place is read from there backwards.
        if let Some(BatchCursor::Before(id)) = cursor {
            let mut rows = rows!(
                connection.session(),
                BatchRow,
                "SELECT
                   id, organization_id, project_id, key_id, face, state, cancelling_at, succeeded,
                   failed, created_at, expires_at, details
                 FROM batches
                 WHERE key_id = $1 AND face = $2 AND id > $3
                 ORDER BY id
                 LIMIT $4",
                owner.to_string(),
                face.as_str(),
                id.to_string(),
                i64::from(limit),
            )?;
            rows.reverse();
            return rows.into_iter().map(BatchRow::into_batch).collect();
        }
        let after = match cursor {
            Some(BatchCursor::After(id)) => Some(id.to_string()),
            _ => None,
        };
        rows!(
            connection.session(),
            BatchRow,
            "SELECT
               id, organization_id, project_id, key_id, face, state, cancelling_at, succeeded, failed,
               created_at, expires_at, details
             FROM batches
             WHERE key_id = $1 AND face = $2 AND ($3 IS NULL OR id < $3)
             ORDER BY id DESC
             LIMIT $4",
            owner.to_string(),
            face.as_str(),
            after,
            i64::from(limit),
        )?
        .into_iter()
        .map(BatchRow::into_batch)
        .collect()
    }

    async fn cancel_batch(
        &self,
        id: BatchId,
        owner: KeyId,
        at: Timestamp,
    ) -> Result<Option<Batch>, StoreError> {
        let mut transaction = self.database.begin().await?;
        execute!(
            transaction.session(),
            "UPDATE batches
             SET cancelling_at = $1
             WHERE id = $2
               AND key_id = $3
               AND cancelling_at IS NULL
               AND state IN ('validating', 'in_progress', 'finalizing')",
            microseconds(at),
            id.to_string(),
            owner.to_string(),
        )?;
        transaction.commit().await?;
        self.batch(id, owner).await
    }

    async fn delete_batch(&self, id: BatchId, owner: KeyId) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let deleted = execute!(
            transaction.session(),
            "DELETE FROM batches
             WHERE id = $1
               AND key_id = $2
               AND state NOT IN ('validating', 'in_progress', 'finalizing')",
            id.to_string(),
            owner.to_string(),
        )?;
        transaction.commit().await?;
        Ok(deleted > 0)
    }

    async fn claim_batch(
        &self,
        holder: ReplicaId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Batch>, StoreError> {
        let mut transaction = self.database.begin().await?;
        let (holder, now, until) = (holder.to_string(), microseconds(now), microseconds(until));
        let rows = match self.kind() {
            // SQLite's writers wait for each other.
            Kind::Sqlite => rows!(
                transaction.session(),
                BatchRow,
                "UPDATE batches
                 SET holder = $1, held_until = $2
                 WHERE id = (
                   SELECT id
                   FROM batches
                   WHERE state IN ('validating', 'in_progress', 'finalizing') AND held_until <= $3
                   ORDER BY held_until, id
                   LIMIT 1
                 )
                 RETURNING
                   id, organization_id, project_id, key_id, face, state, cancelling_at, succeeded,
                   failed, created_at, expires_at, details",
                holder,
                until,
                now,
            ),
            Kind::Postgres => rows!(
                transaction.session(),
                BatchRow,
                "UPDATE batches
                 SET holder = $1, held_until = $2
                 WHERE id = (
                   SELECT id
                   FROM batches
                   WHERE state IN ('validating', 'in_progress', 'finalizing') AND held_until <= $3
                   ORDER BY held_until, id
                   LIMIT 1
                   FOR UPDATE SKIP LOCKED
                 )
                 RETURNING
                   id, organization_id, project_id, key_id, face, state, cancelling_at, succeeded,
                   failed, created_at, expires_at, details",
                holder,
                until,
                now,
            ),
        }?;
        transaction.commit().await?;
        one(rows)
    }

    async fn batches_in_progress(
        &self,
        last: Option<BatchId>,
        limit: u32,
    ) -> Result<Vec<Batch>, StoreError> {
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            BatchRow,
            "SELECT
               id, organization_id, project_id, key_id, face, state, cancelling_at, succeeded, failed,
               created_at, expires_at, details
             FROM batches
             WHERE state IN ('validating', 'in_progress', 'finalizing')
               AND state = 'in_progress'
               AND ($1 IS NULL OR id > $1)
             ORDER BY id
             LIMIT $2",
            last.map(|last| last.to_string()),
            i64::from(limit),
        )?
        .into_iter()
        .map(BatchRow::into_batch)
        .collect()
    }

    async fn hold_batch(
        &self,
        id: BatchId,
        holder: ReplicaId,
        until: Timestamp,
    ) -> Result<Hold, StoreError> {
        let mut transaction = self.database.begin().await?;
        let mut held = rows!(
            transaction.session(),
            (Option<i64>,),
            "UPDATE batches
             SET held_until = $1
             WHERE id = $2 AND holder = $3
             RETURNING cancelling_at",
            microseconds(until),
            id.to_string(),
            holder.to_string(),
        )?;
        transaction.commit().await?;
        let Some((cancelling_at,)) = held.pop() else {
            return Ok(Hold::Lost);
        };
        let text = id.to_string();
        let row = Reader {
            table: "batches",
            id: &text,
        };
        let cancelling_at = row.optional("cancelling_at", cancelling_at, Reader::time)?;
        Ok(Hold::Held { cancelling_at })
    }

    async fn save_batch(&self, batch: &Batch, holder: ReplicaId) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let saved = execute!(
            transaction.session(),
            "UPDATE batches
             SET state = $1,
                 details = $2,
                 holder = CASE WHEN $3 = 1 THEN NULL ELSE holder END
             WHERE id = $4 AND holder = $5",
            batch.state.as_str(),
            details(batch)?,
            i64::from(batch.has_ended()),
            batch.id.to_string(),
            holder.to_string(),
        )?;
        if saved > 0 && batch.has_ended() {
            execute!(
                transaction.session(),
                "DELETE FROM batch_lines WHERE batch_id = $1",
                batch.id.to_string(),
            )?;
        }
        transaction.commit().await?;
        Ok(saved > 0)
    }

    async fn save_before_asking(
        &self,
        batch: &Batch,
        holder: ReplicaId,
    ) -> Result<bool, StoreError> {
        let is_held = self.save_batch(batch, holder).await?;
        if is_held {
            self.make_durable().await?;
        }
        Ok(is_held)
    }

    async fn release_batch(&self, id: BatchId, holder: ReplicaId) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        execute!(
            transaction.session(),
            "UPDATE batches SET holder = NULL, held_until = 0 WHERE id = $1 AND holder = $2",
            id.to_string(),
            holder.to_string(),
        )?;
        transaction.commit().await
    }

    async fn end_lines(
        &self,
        batch: &Batch,
        holder: ReplicaId,
        lines: &[EndedLine],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let ended = insert_lines(&mut transaction, batch, lines).await?;
        // The row is changed last, so that it is locked for a moment only.
        let held = execute!(
            transaction.session(),
            "UPDATE batches
             SET succeeded = succeeded + $1, failed = failed + $2
             WHERE id = $3 AND holder = $4",
            i64::from(ended.succeeded),
            i64::from(ended.failed),
            batch.id.to_string(),
            holder.to_string(),
        )?;
        if held == 0 {
            // Dropped, the transaction is rolled back.
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn ended_numbers(&self, id: BatchId) -> Result<Vec<u32>, StoreError> {
        let mut connection = self.database.read().await?;
        let text = id.to_string();
        let row = Reader {
            table: "batch_lines",
            id: &text,
        };
        rows!(
            connection.session(),
            (i64,),
            "SELECT number FROM batch_lines WHERE batch_id = $1 ORDER BY number",
            id.to_string(),
        )?
        .into_iter()
        .map(|(number,)| row.number("number", number))
        .collect()
    }

    async fn ended_lines(
        &self,
        id: BatchId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<EndedLine>, StoreError> {
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            LineRow,
            "SELECT number, request_id, status, body
             FROM batch_lines
             WHERE batch_id = $1 AND number > $2
             ORDER BY number
             LIMIT $3",
            id.to_string(),
            i64::from(after),
            i64::from(limit),
        )?
        .into_iter()
        .map(|line| line.into_line(id))
        .collect()
    }

    async fn drop_old_batches(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut transaction = self.database.begin().await?;
        let dropped = execute!(
            transaction.session(),
            "DELETE FROM batches
             WHERE id IN (
               SELECT id
               FROM batches
               WHERE created_at < $1
                 AND state NOT IN ('validating', 'in_progress', 'finalizing')
               ORDER BY created_at
               LIMIT $2
             )",
            microseconds(before),
            i64::from(limit),
        )?;
        transaction.commit().await?;
        Ok(dropped)
    }
}

/// Inserts lines; answers how many of them are new.
async fn insert_lines(
    transaction: &mut Transaction,
    batch: &Batch,
    lines: &[EndedLine],
) -> Result<EndedLines, StoreError> {
    let mut ended = EndedLines::default();
    for line in lines {
        let inserted = execute!(
            transaction.session(),
            "INSERT INTO batch_lines (
               batch_id, number, organization_id, project_id, key_id, request_id, status, body
             )
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT DO NOTHING",
            batch.id.to_string(),
            i64::from(line.number),
            batch.organization_id.to_string(),
            batch.project_id.to_string(),
            batch.key_id.to_string(),
            line.request_id.to_string(),
            i64::from(line.status),
            &*line.body,
        )?;
        if inserted > 0 && line.is_good() {
            ended.succeeded += 1;
        } else if inserted > 0 {
            ended.failed += 1;
        }
    }
    Ok(ended)
}

fn details(batch: &Batch) -> Result<String, StoreError> {
    let text = serde_json::to_string(&batch.details)
        .map_err(|error| StoreError::Failed(Box::new(error)))?;
    Ok(kept(&text).into_owned())
}

fn one(mut rows: Vec<BatchRow>) -> Result<Option<Batch>, StoreError> {
    rows.pop().map(BatchRow::into_batch).transpose()
}

#[derive(sqlx::FromRow)]
struct BatchRow {
    id: String,
    organization_id: String,
    project_id: String,
    key_id: String,
    face: String,
    state: String,
    cancelling_at: Option<i64>,
    succeeded: i64,
    failed: i64,
    created_at: i64,
    expires_at: i64,
    details: String,
}

impl BatchRow {
    fn into_batch(self) -> Result<Batch, StoreError> {
        let row = Reader {
            table: "batches",
            id: &self.id,
        };
        let face: BatchFace = row.parse("face", &self.face)?;
        let state: BatchState = row.parse("state", &self.state)?;
        let details: BatchDetails = row.json("details", &self.details)?;
        Ok(Batch {
            id: row.parse("id", &self.id)?,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            key_id: row.parse("key_id", &self.key_id)?,
            face,
            state,
            cancelling_at: row.optional("cancelling_at", self.cancelling_at, Reader::time)?,
            ended: EndedLines {
                succeeded: row.number("succeeded", self.succeeded)?,
                failed: row.number("failed", self.failed)?,
            },
            created_at: row.time("created_at", self.created_at)?,
            expires_at: row.time("expires_at", self.expires_at)?,
            details,
        })
    }
}

#[derive(sqlx::FromRow)]
struct LineRow {
    number: i64,
    request_id: String,
    status: i64,
    body: Vec<u8>,
}

impl LineRow {
    fn into_line(self, batch: BatchId) -> Result<EndedLine, StoreError> {
        let id = format!("{batch}/{}", self.number);
        let row = Reader {
            table: "batch_lines",
            id: &id,
        };
        Ok(EndedLine {
            number: row.number("number", self.number)?,
            request_id: row.parse("request_id", &self.request_id)?,
            status: row.number("status", self.status)?,
            body: self.body.into(),
        })
    }
}
