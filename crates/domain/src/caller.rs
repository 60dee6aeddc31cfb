//! Who is asking.

use std::sync::Arc;

use jiff::Timestamp;

use crate::id::{ApplicationId, KeyId, OrganizationId, ProjectId, UserId};
use crate::key::{Role, VirtualKey};
use crate::tenant::ProjectSettings;

/// Someone who has proved who they are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    key: Arc<VirtualKey>,
    /// The project's own settings; `None` where it has none, as most have.
    settings: Option<Arc<ProjectSettings>>,
    is_archived: bool,
}

/// Whose something is that is kept: nobody else may know that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// The key that it was made with.
    pub key_id: KeyId,
}

impl Caller {
    /// The caller who holds `key`; whoever makes one has verified the key at `now`.
    pub fn holding(key: Arc<VirtualKey>) -> Self {
        Self {
            key,
            settings: None,
            is_archived: false,
        }
    }

    /// The caller with what their tenants say: the project's own settings, and whether one of them is out
    /// of service.
    #[must_use]
    pub fn of_project(self, settings: Option<Arc<ProjectSettings>>, is_archived: bool) -> Self {
        Self {
            settings,
            is_archived,
            ..self
        }
    }

    /// What the project decides for its own calls; `None` leaves everything to the configuration.
    pub fn settings(&self) -> Option<&ProjectSettings> {
        self.settings.as_deref()
    }

    /// Stands for whoever held a key that is no longer known, so that what it began can be recorded. It
    /// cannot be shown, permits nothing and is no longer good at `now`.
    pub fn departed(owner: Owner, now: Timestamp) -> Self {
        let Owner {
            key_id,
            organization_id,
            project_id,
        } = owner;
        Self::holding(Arc::new(VirtualKey {
            revoked_at: Some(now),
            ..VirtualKey::without_text(key_id, organization_id, project_id, now)
        }))
    }

    /// The key that was shown.
    pub fn key(&self) -> &Arc<VirtualKey> {
        &self.key
    }

    /// The key's identifier.
    pub fn key_id(&self) -> KeyId {
        self.key.id
    }

    /// The tenant.
    pub fn organization_id(&self) -> OrganizationId {
        self.key.organization_id
    }

    /// The tenant's project.
    pub fn project_id(&self) -> ProjectId {
        self.key.project_id
    }

    /// The project's application that calls, if its key was made for one.
    pub fn application_id(&self) -> Option<ApplicationId> {
        self.key.application_id
    }

    /// The organisation's user who calls, if their key was made for one.
    pub fn user_id(&self) -> Option<UserId> {
        self.key.user_id
    }

    /// Whose the things are that the caller makes.
    pub fn owner(&self) -> Owner {
        Owner {
            organization_id: self.organization_id(),
            project_id: self.project_id(),
            key_id: self.key_id(),
        }
    }

    /// Whether the caller may administer the whole installation: an administrator of the organisation that
    /// exists from the first start.
    pub fn is_operator(&self) -> bool {
        self.is_admin() && self.organization_id() == OrganizationId::DEFAULT
    }

    /// Whether the caller may administer their organisation and see all of its calls.
    pub fn is_admin(&self) -> bool {
        self.key.role == Role::Admin
    }

    /// Whether the caller may ask for this model, under the name they use for it.
    pub fn may_use(&self, model: &str) -> bool {
        self.key.models.iter().any(|pattern| pattern.matches(model))
    }

    /// Whether the caller may ask for every model of every provider.
    pub fn may_use_every_model(&self) -> bool {
        let mut patterns = self.key.models.iter();
        patterns.any(|pattern| pattern.as_str() == "*")
    }

    /// Whether the key is still good at `now`, and its tenants in service; a call that was admitted may end later.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.key.is_valid_at(now) && !self.is_archived
    }
}
