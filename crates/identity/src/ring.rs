//! Recognises callers in memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use domain::caller::Caller;
use domain::id::KeyId;
use domain::key::{KeyHash, Origin, Rate, Role, VirtualKey};
use jiff::Timestamp;

use crate::text::Hasher;

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
    by_hash: HashMap<KeyHash, KeyId>,
    by_id: HashMap<KeyId, Arc<VirtualKey>>,
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
            if known.is_some_and(|known| age(known) > age(&key)) {
                continue;
            }
            keys.remove(key.id);
            keys.add(key);
        }
    }

    /// Replaces the keys that the configuration names by `configured`.
    pub fn replace_configured(&self, configured: impl IntoIterator<Item = VirtualKey>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let is_configured = |key: &Arc<VirtualKey>| key.origin == Origin::Configuration;
        let old: Vec<KeyId> = keys
            .by_id
            .values()
            .filter(|key| is_configured(key))
            .map(|key| key.id)
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
            .filter(|key| key.origin == Origin::Configuration)
            .cloned()
            .collect();
        configured.sort_by(|a, b| a.name.cmp(&b.name));
        configured
    }

    /// Who holds a key, whether it is still good or not: for what goes on without its caller.
    pub fn holder(&self, id: KeyId) -> Option<Caller> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.by_id.get(&id).map(Arc::clone).map(Caller::holding)
    }

    /// Whether the store has a key, good at `now`, whose holder may administer.
    pub fn has_stored_admin(&self, now: Timestamp) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.by_id.values().any(|key| {
            key.role == Role::Admin && key.origin == Origin::Store && key.is_valid_at(now)
        })
    }

    /// Whether a key that is good at `now` may do so much and no more.
    pub fn limits_anyone(&self, now: Timestamp) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.by_id.values().any(|key| {
            let is_limited = key.budget.is_some() || key.rate != Rate::default();
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
        let hash = self.hasher.hash(text);
        let key = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            let id = keys.by_hash.get(&hash).ok_or(Unrecognised::Unknown)?;
            Arc::clone(keys.by_id.get(id).ok_or(Unrecognised::Unknown)?)
        };
        if key.hash != hash && key.previous.is_none_or(|previous| previous.until <= now) {
            return Err(Unrecognised::Revoked);
        }
        if_good(key, address, now)
    }

    /// Whoever acts for the key `id` from `address` at `now`, having shown something else than its text.
    pub fn recognise_delegate(
        &self,
        id: KeyId,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Caller, Unrecognised> {
        let key = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(keys.by_id.get(&id).ok_or(Unrecognised::Unknown)?)
        };
        if_good(key, address, now)
    }
}

/// The holder of a key, if it is good from `address` at `now`.
fn if_good(key: Arc<VirtualKey>, address: IpAddr, now: Timestamp) -> Result<Caller, Unrecognised> {
    if key.revoked_at.is_some_and(|at| at <= now) {
        return Err(Unrecognised::Revoked);
    }
    if key.expires_at.is_some_and(|at| at <= now) {
        return Err(Unrecognised::Expired);
    }
    if !key.addresses.is_empty() && !key.addresses.iter().any(|range| range.contains(address)) {
        return Err(Unrecognised::Address(address));
    }
    Ok(Caller::holding(key))
}

/// Orders the states of one key: it is rotated again and again, and revoked last.
fn age(key: &VirtualKey) -> (bool, Option<Timestamp>) {
    (key.revoked_at.is_some(), key.rotated_at)
}

impl Keys {
    fn add(&mut self, key: VirtualKey) {
        self.by_hash.insert(key.hash, key.id);
        if let Some(previous) = key.previous {
            self.by_hash.insert(previous.hash, key.id);
        }
        self.by_id.insert(key.id, Arc::new(key));
    }

    fn remove(&mut self, id: KeyId) {
        if let Some(key) = self.by_id.remove(&id) {
            self.by_hash.remove(&key.hash);
            if let Some(previous) = key.previous {
                self.by_hash.remove(&previous.hash);
            }
        }
    }
}

#[cfg(test)]
mod tests;
