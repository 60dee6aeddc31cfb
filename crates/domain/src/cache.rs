//! Answers that are kept to be given again: how they are found, and the port to where replicas share them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::fleet::SharedStateError;
use crate::id::{OrganizationId, ProjectId};

/// Finds an answer that is kept. The tenant is part of it, so that nothing can be found for another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// SHA-256 of all else that decides on the answer.
    pub digest: [u8; 32],
}

impl fmt::Display for CacheKey {
    /// Tenant, project and digest, with `:` between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.organization_id, self.project_id)?;
        self.digest
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose answers are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheTenant {
    /// The tenant; `None` means all.
    pub organization_id: Option<OrganizationId>,
    /// The tenant's project; `None` means all.
    pub project_id: Option<ProjectId>,
}

impl CacheTenant {
    /// Whether the answer of `key` is meant.
    pub fn has(&self, key: &CacheKey) -> bool {
        self.organization_id
            .is_none_or(|id| id == key.organization_id)
            && self.project_id.is_none_or(|id| id == key.project_id)
    }
}

/// Where replicas share their answers. Whoever finds no answer in time goes on without: a look-up is never
/// waited for longer than the few milliseconds that it is worth.
#[async_trait]
pub trait SharedCache: Send + Sync {
    /// What is kept under `key`; `None` when nothing is.
    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>, SharedStateError>;

    /// Keeps `value` under `key` for `ttl`, in the place of what was there.
    async fn put(
        &self,
        key: &CacheKey,
        value: Bytes,
        ttl: Duration,
    ) -> Result<(), SharedStateError>;

    /// Forgets what is kept under `key`.
    async fn remove(&self, key: &CacheKey) -> Result<(), SharedStateError>;

    /// Forgets what is kept for `tenant`; answers how much. It looks at every key that is kept.
    async fn purge(&self, tenant: CacheTenant) -> Result<u64, SharedStateError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_its_own_keys_only() {
        let key = CacheKey {
            organization_id: OrganizationId::DEFAULT,
            project_id: ProjectId::DEFAULT,
            digest: [0xab; 32],
        };
        let other = "org_00000000000000000000000000000009".parse().unwrap();
        let of = |organization_id| CacheTenant {
            organization_id,
            project_id: None,
        };
        assert!(CacheTenant::default().has(&key));
        assert!(of(Some(OrganizationId::DEFAULT)).has(&key));
        assert!(!of(Some(other)).has(&key));
        assert!(
            key.to_string()
                .ends_with(":abababababababababababababababababababababababababababababababab")
        );
    }
}
