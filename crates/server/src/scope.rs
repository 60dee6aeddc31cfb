//! Whether there is whom a limit names: one of somebody whom there is not would limit nothing, silently.

use domain::key::KeyStore;
use domain::limit::{Limit, Part, Scope};
use domain::store_error::StoreError;
use domain::tenant::{TenantId, TenantStore};
use identity::ring::KeyRing;
use store::Store;

use crate::telemetry::Causes;

/// Whom a limit names and whom neither the configuration nor the store knows.
#[derive(Debug, thiserror::Error)]
#[error("there is no {part} {id}")]
pub struct Nobody {
    /// The part of the scope that names them.
    pub part: &'static str,
    id: String,
}

/// The first part of `scope` that names an organisation, project, user, application or key that there is not.
/// Whoever is archived, and a key that is revoked, is still there.
pub async fn nobody(
    scope: &Scope,
    ring: &KeyRing,
    store: &Store,
) -> Result<Option<Nobody>, StoreError> {
    let tenants = [
        (
            "organization",
            only(&scope.organization).map(TenantId::Organization),
        ),
        ("project", only(&scope.project).map(TenantId::Project)),
        ("user", only(&scope.user).map(TenantId::User)),
        (
            "application",
            only(&scope.application).map(TenantId::Application),
        ),
    ];
    for (part, tenant) in tenants {
        if let Some(id) = tenant
            && store.tenant(id).await?.is_none()
        {
            let id = id.to_string();
            return Ok(Some(Nobody { part, id }));
        }
    }
    if let Some(key) = only(&scope.key)
        && ring.holder(key).is_none()
        && store.key(key).await?.is_none()
    {
        let (part, id) = ("key", key.to_string());
        return Ok(Some(Nobody { part, id }));
    }
    Ok(None)
}

/// Says in the log which limits of the configuration name somebody whom there is not: whoever reads the file
/// cannot know.
pub async fn warn_of_nobody(configured: &[Limit], ring: &KeyRing, store: &Store) {
    for limit in configured {
        match nobody(&limit.scope, ring, store).await {
            Ok(None) => {}
            Ok(Some(nobody)) => tracing::warn!(
                limit = limit.name,
                "a limit of the configuration limits nothing: {nobody}"
            ),
            Err(error) => {
                tracing::warn!(
                    error = %Causes(&error),
                    "whether there is whom the limits of the configuration name is not known"
                );
                return;
            }
        }
    }
}

fn only<T: Copy>(part: &Part<T>) -> Option<T> {
    match part {
        Part::Only(only) => Some(*only),
        Part::Any | Part::Each => None,
    }
}
