//! Makes, shows and changes organisations, projects, applications and users.
//!
//! An administrator of the organisation that exists from the first start administers the installation;
//! one of another organisation administers that one only, and does not learn what others have.

use std::sync::Arc;

use domain::caller::Caller;
use domain::clock::Clock;
use domain::entropy::Entropy;
use domain::id::{ApplicationId, OrganizationId, ProjectId, UserId};
use domain::store_error::StoreError;
use domain::tenant::{
    Email, ProjectSettings, Tenant, TenantChange, TenantFilter, TenantId, TenantKind, TenantName,
    TenantRevision, TenantStore,
};

use crate::ring::KeyRing;

/// How far an administrator reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everything: an operator, or whoever can run the command on the machine.
    Installation,
    /// One organisation.
    Organization(OrganizationId),
}

/// A tenant that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTenant {
    /// What people call it.
    pub name: TenantName,
    /// What it is to be.
    pub kind: NewTenantKind,
}

/// What a new tenant is to be. Where no organisation or project is named, it is the administrator's own.
#[derive(Debug, Clone, PartialEq)]
pub enum NewTenantKind {
    /// An organisation.
    Organization,
    /// A project of this organisation.
    Project(Option<OrganizationId>, ProjectSettings),
    /// An application of this project.
    Application(Option<ProjectId>),
    /// A user of this organisation.
    User(Option<OrganizationId>, Option<Email>),
}

/// Whom a key is to be made for, as it is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holder {
    /// The project; where none is named, that of the application, or else the administrator's own.
    pub project_id: Option<ProjectId>,
    /// An application of the project.
    pub application_id: Option<ApplicationId>,
    /// A user of the project's organisation.
    pub user_id: Option<UserId>,
}

/// Whom a key is to be made for, once it is known that they belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// The project's application.
    pub application_id: Option<ApplicationId>,
    /// The organisation's user.
    pub user_id: Option<UserId>,
}

impl Placement {
    /// Where everything belongs that nobody placed elsewhere.
    pub const DEFAULT: Self = Self {
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        application_id: None,
        user_id: None,
    };
}

/// Why a tenant is not made, shown or changed.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// There is none, or none that this administrator may know of.
    #[error("there is no {word} {0}", word = .0.word().as_str())]
    Unknown(TenantId),
    /// What it would belong to is out of service.
    #[error("{word} {0} is archived", word = .0.word().as_str())]
    Archived(TenantId),
    /// The application belongs to another project, or the user to another organisation.
    #[error("{word} {0} does not belong to {above} {1}", word = .0.word().as_str(), above = .1.word().as_str())]
    Elsewhere(TenantId, TenantId),
    /// Only an operator makes organisations.
    #[error("only an administrator of the default organization makes organizations")]
    OperatorsOnly,
    /// What exists from the first start always stays in service.
    #[error("the default organization and the default project cannot be archived")]
    AlwaysThere,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes, shows and changes tenants. What it does takes effect in its own ring at once; other processes
/// follow by [`TenantDesk::follow`].
pub struct TenantDesk {
    store: Arc<dyn TenantStore>,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Reach {
    /// How far an administrator reaches; `None` of a caller who is none.
    pub fn of(caller: &Caller) -> Option<Self> {
        if caller.is_operator() {
            Some(Self::Installation)
        } else if caller.is_admin() {
            Some(Self::Organization(caller.organization_id()))
        } else {
            None
        }
    }

    /// Whether what belongs to `organization` is within reach.
    pub fn covers(self, organization: OrganizationId) -> bool {
        self.organization().is_none_or(|own| own == organization)
    }

    /// The only organisation within reach; `None` where all are.
    pub fn organization(self) -> Option<OrganizationId> {
        match self {
            Self::Installation => None,
            Self::Organization(id) => Some(id),
        }
    }
}

impl TenantDesk {
    /// A desk over a store and the ring that it keeps current.
    pub fn new(
        store: Arc<dyn TenantStore>,
        ring: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            store,
            ring,
            clock,
            entropy,
        }
    }

    /// Makes a tenant. `own` is the administrator's project, for an application that names none.
    pub async fn create(
        &self,
        reach: Reach,
        own: ProjectId,
        new: NewTenant,
    ) -> Result<Tenant, TenantError> {
        let now = self.clock.now();
        let entropy = &*self.entropy;
        let own_organization = reach.organization().unwrap_or(OrganizationId::DEFAULT);
        let (kind, organization_id) = match new.kind {
            NewTenantKind::Organization => {
                if reach != Reach::Installation {
                    return Err(TenantError::OperatorsOnly);
                }
                let id = OrganizationId::new(now, entropy);
                (TenantKind::Organization(id), id)
            }
            NewTenantKind::Project(organization, settings) => {
                let above = TenantId::Organization(organization.unwrap_or(own_organization));
                let organization = self.in_service(reach, above).await?;
                let id = ProjectId::new(now, entropy);
                (
                    TenantKind::Project(id, settings),
                    organization.organization_id,
                )
            }
            NewTenantKind::Application(project) => {
                let project_id = project.unwrap_or(own);
                let above = TenantId::Project(project_id);
                let project = self.in_service(reach, above).await?;
                let id = ApplicationId::new(now, entropy);
                (
                    TenantKind::Application(id, project_id),
                    project.organization_id,
                )
            }
            NewTenantKind::User(organization, email) => {
                let above = TenantId::Organization(organization.unwrap_or(own_organization));
                let organization = self.in_service(reach, above).await?;
                let id = UserId::new(now, entropy);
                (TenantKind::User(id, email), organization.organization_id)
            }
        };
        let tenant = Tenant {
            kind,
            organization_id,
            name: new.name,
            created_at: now,
            archived_at: None,
        };
        self.store.add_tenant(&tenant).await?;
        self.ring.update_tenants([tenant.clone()]);
        Ok(tenant)
    }

    /// One tenant.
    pub async fn find(&self, reach: Reach, id: TenantId) -> Result<Tenant, TenantError> {
        let tenant = self.store.tenant(id).await?;
        tenant
            .filter(|tenant| reach.covers(tenant.organization_id))
            .ok_or(TenantError::Unknown(id))
    }

    /// At most `limit` tenants within reach that pass `filter`, newest first, after `before`.
    pub async fn list(
        &self,
        reach: Reach,
        filter: TenantFilter,
        before: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>, TenantError> {
        if filter.organization_id.is_some_and(|id| !reach.covers(id)) {
            return Ok(Vec::new());
        }
        let filter = TenantFilter {
            organization_id: filter.organization_id.or(reach.organization()),
            ..filter
        };
        Ok(self.store.list_tenants(&filter, before, limit).await?)
    }

    /// Changes a tenant, and answers it as it is then.
    pub async fn change(
        &self,
        reach: Reach,
        id: TenantId,
        change: &TenantChange,
    ) -> Result<Tenant, TenantError> {
        if matches!(change.archived_at, Some(Some(_))) && id.is_default() {
            return Err(TenantError::AlwaysThere);
        }
        self.find(reach, id).await?;
        let changed = self.store.change_tenant(id, change).await?;
        let tenant = changed.ok_or(TenantError::Unknown(id))?;
        self.ring.update_tenants([tenant.clone()]);
        Ok(tenant)
    }

    /// Takes a tenant out of service: from now on, nothing that belongs to it is admitted. Calls that have
    /// begun go on.
    pub async fn archive(&self, reach: Reach, id: TenantId) -> Result<Tenant, TenantError> {
        let change = TenantChange {
            archived_at: Some(Some(self.clock.now())),
            ..TenantChange::default()
        };
        self.change(reach, id, &change).await
    }

    /// Where a key for `holder` belongs; `own` is the administrator's project, for a holder that names none.
    pub async fn place(
        &self,
        reach: Reach,
        own: ProjectId,
        holder: Holder,
    ) -> Result<Placement, TenantError> {
        let application = match holder.application_id {
            Some(id) => Some(self.in_service(reach, TenantId::Application(id)).await?),
            None => None,
        };
        let of_application = application.as_ref().and_then(Tenant::project_id);
        let project_id = holder.project_id.or(of_application).unwrap_or(own);
        let project_tenant = TenantId::Project(project_id);
        let project = self.in_service(reach, project_tenant).await?;
        if let (Some(application), Some(of_application)) = (&application, of_application)
            && of_application != project_id
        {
            return Err(TenantError::Elsewhere(application.id(), project_tenant));
        }
        let organization = TenantId::Organization(project.organization_id);
        self.in_service(reach, organization).await?;
        if let Some(id) = holder.user_id {
            let user = self.in_service(reach, TenantId::User(id)).await?;
            if user.organization_id != project.organization_id {
                return Err(TenantError::Elsewhere(user.id(), organization));
            }
        }
        Ok(Placement {
            organization_id: project.organization_id,
            project_id,
            application_id: holder.application_id,
            user_id: holder.user_id,
        })
    }

    /// Takes in what other processes changed since `revision`, and answers how far it has followed.
    pub async fn follow(&self, revision: TenantRevision) -> Result<TenantRevision, StoreError> {
        let (changed, followed) = self.store.tenants_changed_since(revision).await?;
        if !changed.is_empty() {
            self.ring.update_tenants(changed);
        }
        Ok(followed)
    }

    async fn in_service(&self, reach: Reach, id: TenantId) -> Result<Tenant, TenantError> {
        let tenant = self.find(reach, id).await?;
        if tenant.is_archived_at(self.clock.now()) {
            return Err(TenantError::Archived(id));
        }
        Ok(tenant)
    }
}

#[cfg(test)]
mod tests;
