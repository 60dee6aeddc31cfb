//! Tenants: the statements of the tenant port. There are few and they change seldom; look-ups on the way of
//! a call are made in memory, from [`TenantStore::tenants_changed_since`].

use async_trait::async_trait;
use domain::store_error::StoreError;
use domain::tenant::{
    Email, ProjectSettings, Tenant, TenantChange, TenantFilter, TenantId, TenantKind,
    TenantRevision, TenantStore, TenantWord,
};
use serde::{Deserialize, Serialize};

use crate::database::{Session, Store, Turn, execute, rows};
use crate::value::{Reader, kept, microseconds, readable};

#[async_trait]
impl TenantStore for Store {
    async fn add_tenant(&self, tenant: &Tenant) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_in_turn(Turn::Tenants).await?;
        execute!(
            transaction.session(),
            "INSERT INTO tenants (
               id, kind, organization_id, project_id, name, details, created_at, archived_at, revision
             )
             VALUES (
               $1, $2, $3, $4, $5, $6, $7, $8, (SELECT COALESCE(MAX(revision), 0) + 1 FROM tenants)
             )",
            tenant.id().to_string(),
            tenant.id().word().as_str(),
            tenant.organization_id.to_string(),
            tenant.project_id().map(|id| id.to_string()),
            kept(tenant.name.as_str()),
            details(tenant)?,
            microseconds(tenant.created_at),
            tenant.archived_at.map(microseconds),
        )?;
        transaction.commit().await
    }

    async fn change_tenant(
        &self,
        id: TenantId,
        change: &TenantChange,
    ) -> Result<Option<Tenant>, StoreError> {
        // Nobody else changes tenants until this transaction ends, so that nothing comes in between what
        // is read and what is written.
        let mut transaction = self.database.begin_in_turn(Turn::Tenants).await?;
        let Some(tenant) = find(transaction.session(), id).await? else {
            return Ok(None);
        };
        let tenant = tenant.changed(change);
        execute!(
            transaction.session(),
            "UPDATE tenants
             SET name = $2,
                 details = $3,
                 archived_at = $4,
                 revision = (SELECT MAX(revision) + 1 FROM tenants)
             WHERE id = $1",
            id.to_string(),
            kept(tenant.name.as_str()),
            details(&tenant)?,
            tenant.archived_at.map(microseconds),
        )?;
        transaction.commit().await?;
        Ok(Some(tenant))
    }

    async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        let mut connection = self.database.read().await?;
        find(connection.session(), id).await
    }

    async fn list_tenants(
        &self,
        filter: &TenantFilter,
        before: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>, StoreError> {
        let mut connection = self.database.read().await?;
        let tenants = rows!(
            connection.session(),
            TenantRow,
            "SELECT id, kind, organization_id, project_id, name, details, created_at, archived_at
             FROM tenants
             WHERE kind = $1
               AND ($2 IS NULL OR organization_id = $2)
               AND ($3 IS NULL OR project_id = $3)
               AND ($4 IS NULL OR (archived_at IS NOT NULL) = $4)
               AND ($5 IS NULL OR id < $5)
             ORDER BY id DESC
             LIMIT $6",
            filter.word.as_str(),
            filter.organization_id.map(|id| id.to_string()),
            filter.project_id.map(|id| id.to_string()),
            filter.archived,
            before.map(|id| id.to_string()),
            i64::from(limit),
        )?;
        Ok(readable(tenants.into_iter().map(TenantRow::into_tenant)))
    }

    async fn tenants_changed_since(
        &self,
        revision: TenantRevision,
    ) -> Result<(Vec<Tenant>, TenantRevision), StoreError> {
        /// Every column.
        #[derive(sqlx::FromRow)]
        struct RevisedRow {
            #[sqlx(flatten)]
            tenant: TenantRow,
            revision: i64,
        }

        let mut connection = self.database.read().await?;
        let changed = rows!(
            connection.session(),
            RevisedRow,
            "SELECT
               id, kind, organization_id, project_id, name, details, created_at, archived_at, revision
             FROM tenants
             WHERE revision > $1
             ORDER BY revision",
            revision,
        )?;
        let followed = changed.last().map_or(revision, |row| row.revision);
        let tenants = changed.into_iter().map(|row| row.tenant.into_tenant());
        Ok((readable(tenants), followed))
    }
}

async fn find(session: Session<'_>, id: TenantId) -> Result<Option<Tenant>, StoreError> {
    rows!(
        session,
        TenantRow,
        "SELECT id, kind, organization_id, project_id, name, details, created_at, archived_at
         FROM tenants
         WHERE id = $1",
        id.to_string(),
    )?
    .pop()
    .map(TenantRow::into_tenant)
    .transpose()
}

/// What only one kind has, as JSON.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<ProjectSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

fn details(tenant: &Tenant) -> Result<String, StoreError> {
    let details = match &tenant.kind {
        TenantKind::Project(_, settings) => Details {
            settings: Some(settings.clone()),
            email: None,
        },
        TenantKind::User(_, email) => Details {
            settings: None,
            email: email
                .as_ref()
                .map(|email| kept(email.as_str()).into_owned()),
        },
        TenantKind::Organization(_) | TenantKind::Application(..) => Details::default(),
    };
    serde_json::to_string(&details).map_err(|error| StoreError::Failed(Box::new(error)))
}

#[derive(sqlx::FromRow)]
struct TenantRow {
    id: String,
    kind: String,
    organization_id: String,
    project_id: Option<String>,
    name: String,
    details: String,
    created_at: i64,
    archived_at: Option<i64>,
}

impl TenantRow {
    fn into_tenant(self) -> Result<Tenant, StoreError> {
        let row = Reader {
            table: "tenants",
            id: &self.id,
        };
        let word = TenantWord::ALL
            .into_iter()
            .find(|word| word.as_str() == self.kind);
        let word = row.some("kind", word)?;
        let details: Details = row.json("details", &self.details)?;
        let kind = match row.some("id", word.parse_id(&self.id).ok())? {
            TenantId::Organization(id) => TenantKind::Organization(id),
            TenantId::Project(id) => TenantKind::Project(id, details.settings.unwrap_or_default()),
            TenantId::Application(id) => {
                let project = row.some("project_id", self.project_id.as_deref())?;
                TenantKind::Application(id, row.parse("project_id", project)?)
            }
            TenantId::User(id) => {
                let email = details.email.as_deref();
                TenantKind::User(id, row.optional("details", email, Reader::parse::<Email>)?)
            }
        };
        Ok(Tenant {
            kind,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            name: row.parse("name", &self.name)?,
            created_at: row.time("created_at", self.created_at)?,
            archived_at: row.optional("archived_at", self.archived_at, Reader::time)?,
        })
    }
}
