//! Limits: the statements of the limit port. There are few and they change seldom; calls look at them in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use domain::id::LimitId;
use domain::key::Origin;
use domain::limit::{Bound, Limit, LimitRevision, LimitStore, QueueRules, Scope};
use domain::store_error::StoreError;

use crate::database::{Store, Transaction, execute, rows};
use crate::value::{Reader, kept, microseconds, milliseconds, readable, saturated};

#[async_trait]
impl LimitStore for Store {
    async fn add_limit(&self, limit: &Limit) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        changed(&mut transaction).await?;
        insert(&mut transaction, limit).await?;
        transaction.commit().await
    }

    async fn replace_limit(&self, limit: &Limit) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        changed(&mut transaction).await?;
        let removed = execute!(
            transaction.session(),
            "DELETE FROM limits WHERE id = $1",
            limit.id.to_string(),
        )?;
        if removed == 0 {
            return Ok(false);
        }
        insert(&mut transaction, limit).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn remove_limit(&self, id: LimitId) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        changed(&mut transaction).await?;
        let removed = execute!(
            transaction.session(),
            "DELETE FROM limits WHERE id = $1",
            id.to_string(),
        )?;
        transaction.commit().await?;
        Ok(removed > 0)
    }

    async fn limit(&self, id: LimitId) -> Result<Option<Limit>, StoreError> {
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            LimitRow,
            "SELECT
               id, organization_id, project_id, name, scope, measure, most, per,
               max_wait_ms, max_waiting, alerts, created_at
             FROM limits
             WHERE id = $1",
            id.to_string(),
        )?
        .pop()
        .map(LimitRow::into_limit)
        .transpose()
    }

    async fn list_limits(
        &self,
        before: Option<LimitId>,
        limit: u32,
    ) -> Result<Vec<Limit>, StoreError> {
        let mut connection = self.database.read().await?;
        let limits = rows!(
            connection.session(),
            LimitRow,
            "SELECT
               id, organization_id, project_id, name, scope, measure, most, per,
               max_wait_ms, max_waiting, alerts, created_at
             FROM limits
             WHERE ($1 IS NULL OR (created_at, id) < (SELECT created_at, id FROM limits WHERE id = $1))
             ORDER BY created_at DESC, id DESC
             LIMIT $2",
            before.map(|id| id.to_string()),
            i64::from(limit),
        )?;
        Ok(readable(limits.into_iter().map(LimitRow::into_limit)))
    }

    async fn limits_since(
        &self,
        revision: LimitRevision,
    ) -> Result<Option<(Vec<Limit>, LimitRevision)>, StoreError> {
        let mut connection = self.database.read().await?;
        let changes = rows!(
            connection.session(),
            (i64,),
            "SELECT revision FROM limit_changes",
        )?;
        let now = changes.first().map_or(0, |(revision,)| *revision);
        if now == revision {
            return Ok(None);
        }
        // What changes in between is read again the next time.
        let limits = rows!(
            connection.session(),
            LimitRow,
            "SELECT
               id, organization_id, project_id, name, scope, measure, most, per,
               max_wait_ms, max_waiting, alerts, created_at
             FROM limits
             ORDER BY created_at, id",
        )?;
        let limits = readable(limits.into_iter().map(LimitRow::into_limit));
        Ok(Some((limits, now)))
    }
}

/// Notes a change; of two at the same time one waits for the other here.
async fn changed(transaction: &mut Transaction) -> Result<(), StoreError> {
    execute!(
        transaction.session(),
        "UPDATE limit_changes SET revision = revision + 1",
    )?;
    Ok(())
}

async fn insert(transaction: &mut Transaction, limit: &Limit) -> Result<(), StoreError> {
    let scope: BTreeMap<&str, String> = limit.scope.parts().collect();
    let scope = serde_json::to_string(&scope);
    let scope = scope.map_err(|error| StoreError::Failed(error.into()))?;
    let alerts = serde_json::to_string(&limit.alerts);
    let alerts = alerts.map_err(|error| StoreError::Failed(error.into()))?;
    execute!(
        transaction.session(),
        "INSERT INTO limits (
           id, organization_id, project_id, name, scope, measure, most, per,
           max_wait_ms, max_waiting, alerts, created_at
         )
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        limit.id.to_string(),
        limit.organization_id.to_string(),
        limit.project_id.to_string(),
        kept(&limit.name),
        kept(&scope),
        limit.bound.measure(),
        saturated(limit.bound.most()),
        limit.bound.per(),
        limit.queue.map(|queue| milliseconds(queue.max_wait)),
        limit.queue.map(|queue| i64::from(queue.max_waiting)),
        alerts.as_str(),
        microseconds(limit.created_at),
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct LimitRow {
    id: String,
    organization_id: String,
    project_id: String,
    name: String,
    scope: String,
    measure: String,
    most: i64,
    per: Option<String>,
    max_wait_ms: Option<i64>,
    max_waiting: Option<i64>,
    alerts: String,
    created_at: i64,
}

impl LimitRow {
    fn into_limit(self) -> Result<Limit, StoreError> {
        let row = Reader {
            table: "limits",
            id: &self.id,
        };
        let scope: BTreeMap<String, String> = row.json("scope", &self.scope)?;
        let parts = scope
            .iter()
            .map(|(part, text)| (part.as_str(), text.as_str()));
        let most: u64 = row.number("most", self.most)?;
        let bound = Bound::from_words(&self.measure, most, self.per.as_deref());
        let queue = match (self.max_wait_ms, self.max_waiting) {
            (Some(wait), Some(waiting)) => Some(QueueRules {
                max_wait: Duration::from_millis(row.number("max_wait_ms", wait)?),
                max_waiting: row.number("max_waiting", waiting)?,
            }),
            (None, None) => None,
            _ => return Err(row.corrupt("max_waiting")),
        };
        Ok(Limit {
            id: row.parse("id", &self.id)?,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            scope: row.some("scope", Scope::of_parts(parts).ok())?,
            bound: row.some("measure", bound)?,
            queue,
            alerts: row.json("alerts", &self.alerts)?,
            origin: Origin::Store,
            created_at: row.time("created_at", self.created_at)?,
            name: self.name,
        })
    }
}
