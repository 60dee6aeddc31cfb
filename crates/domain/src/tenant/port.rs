//! Where tenants are kept.

use async_trait::async_trait;

use super::{Tenant, TenantChange, TenantId, TenantWord};
use crate::id::{OrganizationId, ProjectId};
use crate::store_error::StoreError;

/// How far a reader has followed the changes of the tenants; 0 is the beginning.
pub type TenantRevision = i64;

/// Which tenants are wanted; `None` leaves a field open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantFilter {
    /// Of this kind.
    pub word: TenantWord,
    /// Of this organisation.
    pub organization_id: Option<OrganizationId>,
    /// Of this project.
    pub project_id: Option<ProjectId>,
    /// Only those that are out of service, or only those that are not.
    pub archived: Option<bool>,
}

/// Keeps tenants. Every method is one transaction.
#[async_trait]
pub trait TenantStore: Send + Sync {
    /// Adds a tenant. Whoever adds one has seen that what stands above it is there: nothing is ever
    /// removed.
    async fn add_tenant(&self, tenant: &Tenant) -> Result<(), StoreError>;

    /// Changes a tenant and answers it as it is then; `None` when there is none of that identifier.
    async fn change_tenant(
        &self,
        id: TenantId,
        change: &TenantChange,
    ) -> Result<Option<Tenant>, StoreError>;

    /// One tenant; `None` when there is none of that identifier.
    async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>, StoreError>;

    /// At most `limit` tenants that pass `filter`, newest first, that come after `before` in that order.
    async fn list_tenants(
        &self,
        filter: &TenantFilter,
        before: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>, StoreError>;

    /// The tenants that were added or changed after `revision`, oldest change first, and the revision
    /// that the reader has followed to when it has read them.
    async fn tenants_changed_since(
        &self,
        revision: TenantRevision,
    ) -> Result<(Vec<Tenant>, TenantRevision), StoreError>;
}
