//! Answers that callers refer to later: the statements of the response port.

use async_trait::async_trait;
use domain::id::KeyId;
use domain::response::{KeptResponse, ResponseId, ResponseStore};
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Session, Store, execute, rows};
use crate::error::store_error;
use crate::value::{Reader, microseconds, readable};

#[async_trait]
impl ResponseStore for Store {
    async fn keep_responses(&self, responses: &[KeptResponse]) -> Result<(), StoreError> {
        if responses.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        for response in responses {
            execute!(
                transaction.session(),
                "INSERT INTO responses (
                   id, organization_id, project_id, key_id, provider, is_at_provider, previous,
                   created_at, keep_until, input, answer
                 )
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                 ON CONFLICT DO NOTHING",
                response.id.as_str(),
                response.organization_id.to_string(),
                response.project_id.to_string(),
                response.key_id.to_string(),
                response.provider.as_str(),
                i64::from(response.is_at_provider),
                response.previous.as_ref().map(ResponseId::as_str),
                microseconds(response.created_at),
                microseconds(response.keep_until),
                &*response.input,
                &*response.answer,
            )?;
        }
        transaction.commit().await
    }

    async fn response(
        &self,
        id: &ResponseId,
        owner: KeyId,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>, StoreError> {
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            ResponseRow,
            "SELECT
               id, organization_id, project_id, key_id, provider, is_at_provider, previous,
               created_at, keep_until, input, answer
             FROM responses
             WHERE id = $1 AND key_id = $2 AND keep_until > $3",
            id.as_str(),
            owner.to_string(),
            microseconds(now),
        )?
        .pop()
        .map(ResponseRow::into_response)
        .transpose()
    }

    async fn unreplaced(&self, ids: &[ResponseId]) -> Result<Vec<ResponseId>, StoreError> {
        let ids: serde_json::Value = ids.iter().map(ResponseId::as_str).collect();
        let ids = ids.to_string();
        let mut connection = self.database.read().await?;
        // One parameter, whatever the number of answers.
        let found: Vec<String> = match connection.session() {
            Session::Sqlite(connection) => {
                sqlx::query_scalar(
                    "SELECT id
                     FROM responses
                     WHERE id IN (SELECT value FROM json_each($1)) AND is_replaced = 0",
                )
                .bind(ids)
                .fetch_all(connection)
                .await
            }
            Session::Postgres(connection) => {
                sqlx::query_scalar(
                    "SELECT id
                     FROM responses
                     WHERE id IN (SELECT json_array_elements_text($1::JSON)) AND is_replaced = 0",
                )
                .bind(ids)
                .fetch_all(connection)
                .await
            }
        }
        .map_err(store_error)?;
        let ids = found.iter().map(|id| {
            let table = "responses";
            Reader { table, id }.parse("id", id)
        });
        Ok(readable(ids))
    }

    async fn replace_answer(
        &self,
        id: &ResponseId,
        owner: KeyId,
        place: &[u8],
        answer: &[u8],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let replaced = execute!(
            transaction.session(),
            "UPDATE responses
             SET answer = $1, is_replaced = 1
             WHERE id = $2 AND key_id = $3 AND answer = $4",
            answer,
            id.as_str(),
            owner.to_string(),
            place,
        )?;
        transaction.commit().await?;
        Ok(replaced > 0)
    }

    async fn delete_response(&self, id: &ResponseId, owner: KeyId) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let deleted = execute!(
            transaction.session(),
            "DELETE FROM responses WHERE id = $1 AND key_id = $2",
            id.as_str(),
            owner.to_string(),
        )?;
        transaction.commit().await?;
        Ok(deleted > 0)
    }

    async fn drop_expired_responses(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut transaction = self.database.begin().await?;
        let dropped = execute!(
            transaction.session(),
            "DELETE FROM responses
             WHERE id IN (
               SELECT id
               FROM responses
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
}

#[derive(sqlx::FromRow)]
struct ResponseRow {
    id: String,
    organization_id: String,
    project_id: String,
    key_id: String,
    provider: String,
    is_at_provider: i64,
    previous: Option<String>,
    created_at: i64,
    keep_until: i64,
    input: Vec<u8>,
    answer: Vec<u8>,
}

impl ResponseRow {
    fn into_response(self) -> Result<KeptResponse, StoreError> {
        let row = Reader {
            table: "responses",
            id: &self.id,
        };
        Ok(KeptResponse {
            id: row.parse("id", &self.id)?,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            key_id: row.parse("key_id", &self.key_id)?,
            provider: row.parse("provider", &self.provider)?,
            is_at_provider: self.is_at_provider != 0,
            previous: row.optional("previous", self.previous.as_deref(), Reader::parse)?,
            created_at: row.time("created_at", self.created_at)?,
            keep_until: row.time("keep_until", self.keep_until)?,
            input: self.input.into(),
            answer: self.answer.into(),
        })
    }
}
