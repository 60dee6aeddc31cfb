//! Answers that are kept to be given again: how they are found, and the port to where replicas share them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::fleet::SharedStateError;
use crate::id::{OrganizationId, ProjectId, RequestId};

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

/// What is to be forgotten wherever it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// All answers of a tenant.
    Of(CacheTenant),
    /// One answer.
    Answer(CacheKey),
    /// The answer that a call of the tenant's got or gave, by whichever process knows the call.
    ToCall(CacheTenant, RequestId),
}

/// The text does not say what is to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "what is to be forgotten is tenant, project and digest or call, with `:` between them and `*` for all"
)]
pub struct InvalidForgotten;

impl Forgotten {
    /// Whether the answer of `key` is meant, as far as the key alone tells.
    pub fn has(&self, key: &CacheKey) -> bool {
        match self {
            Self::Of(tenant) => tenant.has(key),
            Self::Answer(answer) => answer == key,
            Self::ToCall(..) => false,
        }
    }
}

impl From<CacheTenant> for Forgotten {
    fn from(tenant: CacheTenant) -> Self {
        Self::Of(tenant)
    }
}

impl From<CacheKey> for Forgotten {
    fn from(key: CacheKey) -> Self {
        Self::Answer(key)
    }
}

impl fmt::Display for CacheTenant {
    /// Tenant and project, with `:` between them and `*` for all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.organization_id {
            Some(id) => write!(f, "{id}:")?,
            None => f.write_str("*:")?,
        }
        match self.project_id {
            Some(id) => write!(f, "{id}"),
            None => f.write_str("*"),
        }
    }
}

impl fmt::Display for Forgotten {
    /// Tenant, project and digest or call, with `:` between them and `*` for all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(tenant) => write!(f, "{tenant}:*"),
            Self::Answer(key) => write!(f, "{key}"),
            Self::ToCall(tenant, request) => write!(f, "{tenant}:{request}"),
        }
    }
}

impl FromStr for Forgotten {
    type Err = InvalidForgotten;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        fn part<T: FromStr>(text: Option<&str>) -> Result<Option<T>, InvalidForgotten> {
            match text {
                Some("*") => Ok(None),
                text => Ok(Some(
                    text.and_then(|text| text.parse().ok())
                        .ok_or(InvalidForgotten)?,
                )),
            }
        }
        let mut parts = text.splitn(3, ':');
        let tenant = CacheTenant {
            organization_id: part(parts.next())?,
            project_id: part(parts.next())?,
        };
        let what = parts.next().ok_or(InvalidForgotten)?;
        if what == "*" {
            return Ok(Self::Of(tenant));
        }
        if let Ok(request) = what.parse() {
            return Ok(Self::ToCall(tenant, request));
        }
        match (tenant.organization_id, tenant.project_id, digest_of(what)) {
            (Some(organization_id), Some(project_id), Some(digest)) => Ok(Self::Answer(CacheKey {
                organization_id,
                project_id,
                digest,
            })),
            _ => Err(InvalidForgotten),
        }
    }
}

fn digest_of(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// How far a process has followed what others forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgottenMark(pub String);

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

    /// Tells the other replicas what they are to forget of what they have in memory.
    async fn tell(&self, what: &Forgotten) -> Result<(), SharedStateError>;

    /// What others have told since `mark`, the oldest first, and how far that is; without a mark, only how far
    /// everybody is. Of very much only the latest is kept.
    async fn told(
        &self,
        mark: Option<&ForgottenMark>,
    ) -> Result<(Vec<Forgotten>, ForgottenMark), SharedStateError>;
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

    #[test]
    fn what_is_to_be_forgotten_is_read_as_it_is_written() {
        let key = CacheKey {
            organization_id: OrganizationId::DEFAULT,
            project_id: ProjectId::DEFAULT,
            digest: [0xab; 32],
        };
        let other = CacheKey {
            digest: [1; 32],
            ..key
        };
        let of_project = CacheTenant {
            organization_id: None,
            project_id: Some(ProjectId::DEFAULT),
        };
        for (what, has_other) in [
            (Forgotten::from(key), false),
            (Forgotten::from(of_project), true),
            (Forgotten::from(CacheTenant::default()), true),
        ] {
            assert_eq!(what.to_string().parse(), Ok(what));
            assert!(what.has(&key));
            assert_eq!(what.has(&other), has_other);
        }
        let call = "req_00000000000000000000000000000009".parse().unwrap();
        let to_call = Forgotten::ToCall(of_project, call);
        assert_eq!(to_call.to_string().parse(), Ok(to_call));
        assert!(!to_call.has(&key), "a key does not tell whom it answered");
        for text in ["", "*", "*:*", "*:*:ab", "x:*:*", "*:*:*:*", "*:*:req_1"] {
            assert_eq!(text.parse::<Forgotten>(), Err(InvalidForgotten), "{text}");
        }
    }
}
