//! Recognises callers in memory.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use domain::caller::Caller;
use domain::id::KeyId;
use domain::key::{KeyHash, Origin, Role, VirtualKey};
use domain::tenant::{ProjectSettings, Tenant, TenantId};
use jiff::Timestamp;

use crate::text::{Fingerprint, Hasher};

/// Why nobody is recognised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrecognised {
    /// No key has this text.
    #[error("the API key is not known")]
    Unknown,
    /// The key was revoked, or its text was rotated and the grace period is over.
    #[error("the API key was revoked")]
    Revoked,
    /// The key's time is over.
    #[error("the API key has expired")]
    Expired,
    /// The organisation, project, application or user that the key was made for is out of service.
    #[error("{word} {0} is archived", word = .0.word().as_str())]
    Archived(TenantId),
    /// The key may not be used from this address.
    #[error("the API key may not be used from {0}")]
    Address(IpAddr),
}

/// Every key of the installation by the hash of its text. A look-up takes no round trip.
pub struct KeyRing {
    hasher: Hasher,
    keys: RwLock<Keys>,
}

#[derive(Default)]
struct Keys {
    /// The hashes of texts that were shown, so that they need not be worked out each time. Only what is some
    /// key's gets in, and all of it goes when a key does.
    shown: HashMap<Fingerprint, KeyHash>,
    by_hash: HashMap<KeyHash, KeyId>,
    by_id: HashMap<KeyId, Held>,
    tenants: HashMap<TenantId, Standing>,
}

/// What a tenant says of the keys that were made for it.
struct Standing {
    /// A project's settings, where it has any.
    settings: Option<Arc<ProjectSettings>>,
    is_archived: bool,
}

/// A key with what its tenants say, looked up when either changes and not when the key is shown.
struct Held {
    key: Arc<VirtualKey>,
    /// The project's settings, where it has any.
    settings: Option<Arc<ProjectSettings>>,
    /// Who of its tenants is out of service.
    archived: Option<TenantId>,
}

impl Held {
    fn caller(&self) -> Caller {
        Caller::holding(Arc::clone(&self.key))
            .of_project(self.settings.clone(), self.archived.is_some())
    }
}

impl KeyRing {
    /// A ring that holds no key yet.
    pub fn new(hasher: Hasher) -> Self {
        Self {
            hasher,
            keys: RwLock::default(),
        }
    }

    /// Hashes key texts as this ring does.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Takes in keys that are new or changed; they take effect at once. Changes may come in another
    /// order than they were made in: an older state of a key does not undo a newer one.
    pub fn update(&self, changed: impl IntoIterator<Item = VirtualKey>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        for key in changed {
            let known = keys.by_id.get(&key.id);
            if known.is_some_and(|known| age(&known.key) > age(&key)) {
                continue;
            }
            keys.remove(key.id);
            keys.add(key);
        }
    }

    /// Takes in tenants that are new or changed; the keys that were made for them follow at once.
    pub fn update_tenants(&self, changed: impl IntoIterator<Item = Tenant>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut ids = HashSet::new();
        for tenant in changed {
            let settings = tenant.settings().filter(|settings| !settings.is_empty());
            let standing = Standing {
                settings: settings.cloned().map(Arc::new),
                is_archived: tenant.archived_at.is_some(),
            };
            ids.insert(tenant.id());
            keys.tenants.insert(tenant.id(), standing);
        }
        keys.follow(&ids);
    }

    /// Replaces the keys that the configuration names by `configured`.
    pub fn replace_configured(&self, configured: impl IntoIterator<Item = VirtualKey>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let is_configured = |held: &&Held| held.key.origin == Origin::Configuration;
        let old: Vec<KeyId> = keys
            .by_id
            .values()
            .filter(is_configured)
            .map(|held| held.key.id)
            .collect();
        for id in old {
            keys.remove(id);
        }
        for key in configured {
            keys.add(key);
        }
    }

    /// The configured keys.
    pub fn configured(&self) -> Vec<Arc<VirtualKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut configured: Vec<_> = keys
            .by_id
            .values()
            .map(|held| &held.key)
            .filter(|key| key.origin == Origin::Configuration)
            .cloned()
            .collect();
        configured.sort_by(|a, b| a.name.cmp(&b.name));
        configured
    }

    /// Who holds a key, whether it is still good or not: for what goes on without its caller.
    pub fn holder(&self, id: KeyId) -> Option<Caller> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.by_id.get(&id).map(Held::caller)
    }

    /// Whether the store has a key, good at `now`, whose holder may administer.
    pub fn has_stored_admin(&self, now: Timestamp) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.by_id.values().map(|held| &held.key).any(|key| {
            key.role == Role::Admin && key.origin == Origin::Store && key.is_valid_at(now)
        })
    }

    /// Whether a key that is good at `now` may do so much and no more.
    pub fn limits_anyone(&self, now: Timestamp) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.by_id.values().map(|held| &held.key).any(|key| {
            let is_limited = key.budget.is_some() || !key.rate.is_unbounded();
            is_limited && key.is_valid_at(now)
        })
    }

    /// Whoever shows `text` from `address` at `now`.
    pub fn recognise(
        &self,
        text: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Caller, Unrecognised> {
        let fingerprint = self.hasher.fingerprint(text);
        let (hash, held) = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            let shown = keys.shown.get(&fingerprint).copied();
            (shown, shown.and_then(|hash| keys.show(&hash)))
        };
        let (hash, (caller, archived)) = match hash.zip(held) {
            Some(known) => known,
            None => self.get_to_know(text, fingerprint)?,
        };
        let key = caller.key();
        if key.hash != hash && key.previous.is_none_or(|previous| previous.until <= now) {
            return Err(Unrecognised::Revoked);
        }
        if_good(caller, archived, address, now)
    }

    /// Whose key's text it is that was not shown before, and its hash.
    fn get_to_know(
        &self,
        text: &str,
        fingerprint: Fingerprint,
    ) -> Result<(KeyHash, (Caller, Option<TenantId>)), Unrecognised> {
        let hash = self.hasher.hash(text);
        let is_known = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.by_hash.contains_key(&hash)
        };
        if !is_known {
            return Err(Unrecognised::Unknown);
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let held = keys.show(&hash).ok_or(Unrecognised::Unknown)?;
        keys.shown.insert(fingerprint, hash);
        Ok((hash, held))
    }

    /// Whoever acts for the key `id` from `address` at `now`, having shown something else than its text.
    pub fn recognise_delegate(
        &self,
        id: KeyId,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Caller, Unrecognised> {
        let (caller, archived) = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            let held = keys.by_id.get(&id).ok_or(Unrecognised::Unknown)?;
            (held.caller(), held.archived)
        };
        if_good(caller, archived, address, now)
    }
}

/// The holder of a key, if it is good from `address` at `now` and none of its tenants is `archived`.
fn if_good(
    caller: Caller,
    archived: Option<TenantId>,
    address: IpAddr,
    now: Timestamp,
) -> Result<Caller, Unrecognised> {
    let key = caller.key();
    if key.revoked_at.is_some_and(|at| at <= now) {
        return Err(Unrecognised::Revoked);
    }
    if key.expires_at.is_some_and(|at| at <= now) {
        return Err(Unrecognised::Expired);
    }
    if !key.addresses.is_empty() && !key.addresses.iter().any(|range| range.contains(address)) {
        return Err(Unrecognised::Address(address));
    }
    match archived {
        None => Ok(caller),
        Some(tenant) => Err(Unrecognised::Archived(tenant)),
    }
}

/// Orders the states of one key: it is rotated again and again, and revoked last.
fn age(key: &VirtualKey) -> (bool, Option<Timestamp>) {
    (key.revoked_at.is_some(), key.rotated_at)
}

impl Keys {
    /// Whose text has this hash, and who of its tenants is out of service.
    fn show(&self, hash: &KeyHash) -> Option<(Caller, Option<TenantId>)> {
        let held = self.by_id.get(self.by_hash.get(hash)?)?;
        Some((held.caller(), held.archived))
    }

    fn add(&mut self, key: VirtualKey) {
        self.by_hash.insert(key.hash, key.id);
        if let Some(previous) = key.previous {
            self.by_hash.insert(previous.hash, key.id);
        }
        let held = self.held(Arc::new(key));
        self.by_id.insert(held.key.id, held);
    }

    /// The key with what its tenants say. Of one that is not known yet nothing is said: keys and tenants
    /// are followed one after the other.
    fn held(&self, key: Arc<VirtualKey>) -> Held {
        let project = TenantId::Project(key.project_id);
        let settings = self
            .tenants
            .get(&project)
            .and_then(|standing| standing.settings.clone());
        let archived = [
            Some(TenantId::Organization(key.organization_id)),
            Some(project),
            key.application_id.map(TenantId::Application),
            key.user_id.map(TenantId::User),
        ]
        .into_iter()
        .flatten()
        .find(|id| {
            let standing = self.tenants.get(id);
            standing.is_some_and(|standing| standing.is_archived)
        });
        Held {
            key,
            settings,
            archived,
        }
    }

    /// Brings the keys up to date that were made for one of `changed`.
    fn follow(&mut self, changed: &HashSet<TenantId>) {
        let is_concerned = |key: &VirtualKey| {
            changed.contains(&TenantId::Organization(key.organization_id))
                || changed.contains(&TenantId::Project(key.project_id))
                || (key.application_id)
                    .is_some_and(|id| changed.contains(&TenantId::Application(id)))
                || (key.user_id).is_some_and(|id| changed.contains(&TenantId::User(id)))
        };
        let concerned: Vec<Arc<VirtualKey>> = self
            .by_id
            .values()
            .filter(|held| is_concerned(&held.key))
            .map(|held| Arc::clone(&held.key))
            .collect();
        for key in concerned {
            let held = self.held(key);
            self.by_id.insert(held.key.id, held);
        }
    }

    fn remove(&mut self, id: KeyId) {
        if let Some(Held { key, .. }) = self.by_id.remove(&id) {
            self.shown.clear();
            self.by_hash.remove(&key.hash);
            if let Some(previous) = key.previous {
                self.by_hash.remove(&previous.hash);
            }
        }
    }
}

#[cfg(test)]
mod tests;
