//! Replicas that live: the statements of their port.

use async_trait::async_trait;
use domain::fleet::{Replica, ReplicaStore};
use domain::id::ReplicaId;
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Session, Store, execute, rows};
use crate::value::{Reader, microseconds, readable};

#[async_trait]
impl ReplicaStore for Store {
    async fn beat(&self, replica: &Replica, since: Timestamp) -> Result<Vec<Replica>, StoreError> {
        let mut transaction = self.database.begin().await?;
        execute!(
            transaction.session(),
            "INSERT INTO replicas (id, started_at, seen_at, version, address, is_sharing)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (id) DO UPDATE SET
               seen_at = excluded.seen_at,
               version = excluded.version,
               address = excluded.address,
               is_sharing = excluded.is_sharing",
            replica.id.to_string(),
            microseconds(replica.started_at),
            microseconds(replica.seen_at),
            &replica.version,
            &replica.address,
            i64::from(replica.is_sharing),
        )?;
        let replicas = seen_since(transaction.session(), since).await?;
        transaction.commit().await?;
        Ok(replicas)
    }

    async fn replicas(&self, since: Timestamp) -> Result<Vec<Replica>, StoreError> {
        let mut connection = self.database.read().await?;
        seen_since(connection.session(), since).await
    }

    async fn forget_replica(&self, id: ReplicaId) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        execute!(
            transaction.session(),
            "DELETE FROM replicas
             WHERE id = $1",
            id.to_string(),
        )?;
        transaction.commit().await
    }

    async fn drop_silent_replicas(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut transaction = self.database.begin().await?;
        let dropped = execute!(
            transaction.session(),
            "DELETE FROM replicas
             WHERE seen_at < $1",
            microseconds(before),
        )?;
        transaction.commit().await?;
        Ok(dropped)
    }
}

async fn seen_since(session: Session<'_>, since: Timestamp) -> Result<Vec<Replica>, StoreError> {
    let found = rows!(
        session,
        ReplicaRow,
        "SELECT id, started_at, seen_at, version, address, is_sharing
         FROM replicas
         WHERE seen_at >= $1
         ORDER BY id",
        microseconds(since),
    )?;
    Ok(readable(found.into_iter().map(ReplicaRow::into_replica)))
}

#[derive(sqlx::FromRow)]
struct ReplicaRow {
    id: String,
    started_at: i64,
    seen_at: i64,
    version: String,
    address: String,
    is_sharing: i64,
}

impl ReplicaRow {
    fn into_replica(self) -> Result<Replica, StoreError> {
        let row = Reader {
            table: "replicas",
            id: &self.id,
        };
        Ok(Replica {
            id: row.parse("id", &self.id)?,
            started_at: row.time("started_at", self.started_at)?,
            seen_at: row.time("seen_at", self.seen_at)?,
            is_sharing: self.is_sharing != 0,
            version: self.version,
            address: self.address,
        })
    }
}
