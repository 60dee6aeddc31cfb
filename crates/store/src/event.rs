//! Events: the statements of the event port.

use async_trait::async_trait;
use domain::event::{Event, EventKind, EventStore};
use domain::id::EventId;
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Store, execute, rows};
use crate::value::{Reader, kept, microseconds, readable};

#[async_trait]
impl EventStore for Store {
    async fn record_event(&self, event: &Event) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let detail = event.detail.to_string();
        let kept = execute!(
            transaction.session(),
            "INSERT INTO events (id, at, organization_id, project_id, kind, mark, detail)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (mark) DO NOTHING",
            event.id.to_string(),
            microseconds(event.at),
            event.organization_id.to_string(),
            event.project_id.to_string(),
            event.kind.as_str(),
            kept(&event.mark),
            kept(&detail),
        )?;
        transaction.commit().await?;
        Ok(kept > 0)
    }

    async fn list_events(
        &self,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        let mut connection = self.database.read().await?;
        let events = rows!(
            connection.session(),
            EventRow,
            "SELECT id, at, organization_id, project_id, kind, mark, detail
             FROM events
             WHERE ($1 IS NULL OR (at, id) < (SELECT at, id FROM events WHERE id = $1))
             ORDER BY at DESC, id DESC
             LIMIT $2",
            before.map(|id| id.to_string()),
            i64::from(limit),
        )?;
        Ok(readable(events.into_iter().map(EventRow::into_event)))
    }

    async fn drop_events_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut transaction = self.database.begin().await?;
        let dropped = execute!(
            transaction.session(),
            "DELETE FROM events
             WHERE id IN (SELECT id FROM events WHERE at < $1 ORDER BY at LIMIT $2)",
            microseconds(before),
            i64::from(limit),
        )?;
        transaction.commit().await?;
        Ok(dropped)
    }
}

#[derive(sqlx::FromRow)]
struct EventRow {
    id: String,
    at: i64,
    organization_id: String,
    project_id: String,
    kind: String,
    mark: String,
    detail: String,
}

impl EventRow {
    fn into_event(self) -> Result<Event, StoreError> {
        let row = Reader {
            table: "events",
            id: &self.id,
        };
        let mut kinds = EventKind::ALL.into_iter();
        let kind = kinds.find(|kind| kind.as_str() == self.kind);
        Ok(Event {
            id: row.parse("id", &self.id)?,
            at: row.time("at", self.at)?,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            kind: row.some("kind", kind)?,
            detail: row.json("detail", &self.detail)?,
            mark: self.mark,
        })
    }
}
