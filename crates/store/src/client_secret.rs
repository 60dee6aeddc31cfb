//! Client secrets of realtime sessions: the statements of their port.

use async_trait::async_trait;
use domain::client_secret::{ClientSecret, ClientSecretStore};
use domain::key::KeyHash;
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Store, execute, rows};
use crate::value::{Reader, microseconds};

#[async_trait]
impl ClientSecretStore for Store {
    async fn keep_client_secret(
        &self,
        secret: &ClientSecret,
        most: u32,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let kept = execute!(
            transaction.session(),
            "INSERT INTO client_secrets (
               hash, organization_id, project_id, key_id, created_at, expires_at, session
             )
             SELECT $1, $2, $3, $4, $5, $6, $7
             WHERE (
               SELECT COUNT(*)
               FROM client_secrets
               WHERE key_id = $4 AND expires_at > $5
             ) < $8",
            secret.hash.as_slice(),
            secret.organization_id.to_string(),
            secret.project_id.to_string(),
            secret.key_id.to_string(),
            microseconds(secret.created_at),
            microseconds(secret.expires_at),
            &*secret.session,
            i64::from(most),
        )?;
        transaction.commit().await?;
        Ok(kept > 0)
    }

    async fn client_secret(
        &self,
        hash: &KeyHash,
        now: Timestamp,
    ) -> Result<Option<ClientSecret>, StoreError> {
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            ClientSecretRow,
            "SELECT organization_id, project_id, key_id, created_at, expires_at, session
             FROM client_secrets
             WHERE hash = $1 AND expires_at > $2",
            hash.as_slice(),
            microseconds(now),
        )?
        .pop()
        .map(|row| row.into_secret(*hash))
        .transpose()
    }

    async fn drop_expired_client_secrets(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.database.begin().await?;
        let dropped = execute!(
            transaction.session(),
            "DELETE FROM client_secrets
             WHERE hash IN (
               SELECT hash
               FROM client_secrets
               WHERE expires_at <= $1
               ORDER BY expires_at
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
struct ClientSecretRow {
    organization_id: String,
    project_id: String,
    key_id: String,
    created_at: i64,
    expires_at: i64,
    session: Vec<u8>,
}

impl ClientSecretRow {
    fn into_secret(self, hash: KeyHash) -> Result<ClientSecret, StoreError> {
        // Its text is a secret and the hash is nobody's word for it: the key says which row is meant.
        let row = Reader {
            table: "client_secrets",
            id: &self.key_id,
        };
        Ok(ClientSecret {
            hash,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            key_id: row.parse("key_id", &self.key_id)?,
            created_at: row.time("created_at", self.created_at)?,
            expires_at: row.time("expires_at", self.expires_at)?,
            session: self.session.into(),
        })
    }
}
