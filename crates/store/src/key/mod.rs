//! Virtual keys: the statements of the key port. There are few keys and they change seldom; look-ups on
//! the way of a call are made in memory, from [`KeyStore::keys_changed_since`].

mod row;

use async_trait::async_trait;
use domain::id::{KeyId, OrganizationId};
use domain::key::{KeyRevision, KeyStore, Rotation, VirtualKey};
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Session, Store, Turn, execute, rows};
use crate::value::{kept, microseconds, milliseconds, readable, saturated};
use row::{KeyRow, RevisedKeyRow, json};

#[async_trait]
impl KeyStore for Store {
    async fn add_key(&self, key: &VirtualKey) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_in_turn(Turn::Keys).await?;
        execute!(
            transaction.session(),
            "INSERT INTO virtual_keys (
               id, organization_id, project_id, name, role, hash, previous_hash, previous_until,
               prefix, last_four, models, addresses, rpm, tpm, budget_nano, budget_per,
               created_at, rotated_at, expires_at, revoked_at, application_id, user_id,
               concurrency, max_wait_ms, max_waiting, priority, revision
             )
             VALUES (
               $1, $2, $3, $4, $5, $6, $7, $8,
               $9, $10, $11, $12, $13, $14, $15, $16,
               $17, $18, $19, $20, $21, $22,
               $23, $24, $25, $26, (SELECT COALESCE(MAX(revision), 0) + 1 FROM virtual_keys)
             )",
            key.id.to_string(),
            key.organization_id.to_string(),
            key.project_id.to_string(),
            kept(&key.name),
            key.role.as_str(),
            key.hash.as_slice(),
            key.previous
                .as_ref()
                .map(|previous| previous.hash.as_slice()),
            key.previous.map(|previous| microseconds(previous.until)),
            kept(&key.prefix),
            kept(&key.last_four),
            json(key.models.iter().map(|pattern| pattern.as_str().to_owned())),
            json(key.addresses.iter().map(ToString::to_string)),
            key.rate.rpm.map(i64::from),
            key.rate.tpm.map(saturated),
            key.budget.map(|budget| budget.limit.nano_dollars()),
            key.budget.map(|budget| budget.per.as_str()),
            microseconds(key.created_at),
            key.rotated_at.map(microseconds),
            key.expires_at.map(microseconds),
            key.revoked_at.map(microseconds),
            key.application_id.map(|id| id.to_string()),
            key.user_id.map(|id| id.to_string()),
            key.rate.concurrency.map(i64::from),
            key.rate.queue.map(|queue| milliseconds(queue.max_wait)),
            key.rate.queue.map(|queue| i64::from(queue.max_waiting)),
            key.priority.as_str(),
        )?;
        transaction.commit().await
    }

    async fn keys_changed_since(
        &self,
        revision: KeyRevision,
    ) -> Result<(Vec<VirtualKey>, KeyRevision), StoreError> {
        let mut connection = self.database.read().await?;
        let changed = rows!(
            connection.session(),
            RevisedKeyRow,
            "SELECT
               id, organization_id, project_id, name, role, hash, previous_hash, previous_until,
               prefix, last_four, models, addresses, rpm, tpm, budget_nano, budget_per,
               created_at, rotated_at, expires_at, revoked_at, application_id, user_id,
               concurrency, max_wait_ms, max_waiting, priority, revision
             FROM virtual_keys
             WHERE revision > $1
             ORDER BY revision",
            revision,
        )?;
        let followed = changed.last().map_or(revision, |row| row.revision);
        let keys = changed.into_iter().map(|row| row.key.into_key());
        Ok((readable(keys), followed))
    }

    async fn key(&self, id: KeyId) -> Result<Option<VirtualKey>, StoreError> {
        let mut connection = self.database.read().await?;
        find(connection.session(), id).await
    }

    async fn list_keys(
        &self,
        organization_id: Option<OrganizationId>,
        before: Option<KeyId>,
        limit: u32,
    ) -> Result<Vec<VirtualKey>, StoreError> {
        let mut connection = self.database.read().await?;
        let keys = rows!(
            connection.session(),
            KeyRow,
            "SELECT
               id, organization_id, project_id, name, role, hash, previous_hash, previous_until,
               prefix, last_four, models, addresses, rpm, tpm, budget_nano, budget_per,
               created_at, rotated_at, expires_at, revoked_at, application_id, user_id,
               concurrency, max_wait_ms, max_waiting, priority
             FROM virtual_keys
             WHERE ($1 IS NULL OR (created_at, id) < (SELECT created_at, id FROM virtual_keys WHERE id = $1))
               AND ($2 IS NULL OR organization_id = $2)
             ORDER BY created_at DESC, id DESC
             LIMIT $3",
            before.map(|id| id.to_string()),
            organization_id.map(|id| id.to_string()),
            i64::from(limit),
        )?;
        Ok(readable(keys.into_iter().map(KeyRow::into_key)))
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<Option<VirtualKey>, StoreError> {
        let mut transaction = self.database.begin_in_turn(Turn::Keys).await?;
        execute!(
            transaction.session(),
            "UPDATE virtual_keys
             SET revoked_at = $2,
                 revision = (SELECT MAX(revision) + 1 FROM virtual_keys)
             WHERE id = $1 AND (revoked_at IS NULL OR revoked_at > $2)",
            id.to_string(),
            microseconds(at),
        )?;
        let key = find(transaction.session(), id).await?;
        transaction.commit().await?;
        Ok(key)
    }

    async fn rotate_key(
        &self,
        id: KeyId,
        rotation: &Rotation,
    ) -> Result<Option<VirtualKey>, StoreError> {
        let mut transaction = self.database.begin_in_turn(Turn::Keys).await?;
        let changed = execute!(
            transaction.session(),
            "UPDATE virtual_keys
             SET hash = $2,
                 prefix = $3,
                 last_four = $4,
                 previous_hash = $5,
                 previous_until = $6,
                 rotated_at = $7,
                 revision = (SELECT MAX(revision) + 1 FROM virtual_keys)
             WHERE id = $1 AND hash = $5 AND (revoked_at IS NULL OR revoked_at > $7)",
            id.to_string(),
            rotation.hash.as_slice(),
            kept(&rotation.prefix),
            kept(&rotation.last_four),
            rotation.previous.hash.as_slice(),
            microseconds(rotation.previous.until),
            microseconds(rotation.at),
        )?;
        if changed == 0 {
            return Ok(None);
        }
        let key = find(transaction.session(), id).await?;
        transaction.commit().await?;
        Ok(key)
    }
}

async fn find(session: Session<'_>, id: KeyId) -> Result<Option<VirtualKey>, StoreError> {
    rows!(
        session,
        KeyRow,
        "SELECT
           id, organization_id, project_id, name, role, hash, previous_hash, previous_until,
           prefix, last_four, models, addresses, rpm, tpm, budget_nano, budget_per,
           created_at, rotated_at, expires_at, revoked_at, application_id, user_id,
           concurrency, max_wait_ms, max_waiting, priority
         FROM virtual_keys
         WHERE id = $1",
        id.to_string(),
    )?
    .pop()
    .map(KeyRow::into_key)
    .transpose()
}
