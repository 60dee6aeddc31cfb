//! Issues, rotates and revokes keys.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::Clock;
use domain::entropy::Entropy;
use domain::id::KeyId;
use domain::key::{
    AddressRange, Budget, KeyRevision, KeyStore, ModelPattern, Origin, PreviousHash, Rate, Role,
    Rotation, VirtualKey,
};
use domain::limit::Priority;
use domain::money::Cost;
use domain::secret::Secret;
use domain::store_error::StoreError;
use jiff::{SignedDuration, Timestamp};

use crate::ring::KeyRing;
use crate::tenants::{Placement, Reach};
use crate::text;

/// The longest time that an old text stays good after a rotation.
pub const MAX_GRACE: Duration = Duration::from_hours(30 * 24);

/// What a new key is to permit.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What people call it: 1–128 characters.
    pub name: String,
    /// Whom it is made for.
    pub placement: Placement,
    /// What its holder may do beside calling models.
    pub role: Role,
    /// The models that may be asked for.
    pub models: Vec<ModelPattern>,
    /// The addresses that it may be used from; empty permits all.
    pub addresses: Vec<AddressRange>,
    /// How much it may ask for at a time.
    pub rate: Rate,
    /// How much its calls count where they wait.
    pub priority: Priority,
    /// Money per period.
    pub budget: Option<Budget>,
    /// From when on it is no longer good.
    pub expires_at: Option<Timestamp>,
}

/// Why a key is not issued, rotated or revoked.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The name is empty or too long.
    #[error("a key's name has 1 to 128 characters and no control characters")]
    Name,
    /// The grace period is longer than [`MAX_GRACE`].
    #[error("the grace period is at most 30 days")]
    Grace,
    /// The expiry lies in the past.
    #[error("the key would have expired already")]
    Expiry,
    /// Requests or tokens per minute, or calls at the same time, are zero, which would permit nothing.
    #[error(
        "requests and tokens per minute, and calls at the same time, are at least 1; left out, they are without \
         bound"
    )]
    Rate,
    /// Calls cannot wait so, or for nothing.
    #[error(
        "calls wait where requests, tokens or calls at the same time are bounded, at most 10 minutes, and at \
         least one may wait"
    )]
    Queue,
    /// The budget is less than nothing.
    #[error("a budget is not negative")]
    Budget,
    /// There is no such key, or it is revoked.
    #[error("there is no active key {0}")]
    NoSuchKey(KeyId),
    /// Someone else rotated the key at the same moment: its text is theirs, and good.
    #[error("key {0} was rotated at the same moment")]
    RotatedMeanwhile(KeyId),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Issues, rotates and revokes the keys of the store. What it does takes effect in its own ring at once;
/// other processes follow by [`Desk::follow`].
pub struct Desk {
    store: Arc<dyn KeyStore>,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Desk {
    /// A desk over a store and the ring that it keeps current.
    pub fn new(
        store: Arc<dyn KeyStore>,
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

    /// Makes a key. Its text is answered this once and kept nowhere.
    pub async fn issue(&self, new: NewKey) -> Result<(VirtualKey, Secret<String>), DeskError> {
        let now = self.clock.now();
        let length = new.name.chars().count();
        if length == 0 || length > 128 || new.name.chars().any(char::is_control) {
            return Err(DeskError::Name);
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(DeskError::Expiry);
        }
        let Rate {
            rpm,
            tpm,
            concurrency,
            queue,
        } = new.rate;
        if rpm == Some(0) || tpm == Some(0) || concurrency == Some(0) {
            return Err(DeskError::Rate);
        }
        if queue.is_some_and(|queue| new.rate.is_unbounded() || !queue.is_possible()) {
            return Err(DeskError::Queue);
        }
        if new.budget.is_some_and(|budget| budget.limit < Cost::ZERO) {
            return Err(DeskError::Budget);
        }
        let text = text::generate(&*self.entropy);
        let (prefix, last_four) = text::shown(&text);
        let key = VirtualKey {
            id: KeyId::new(now, &*self.entropy),
            name: new.name,
            organization_id: new.placement.organization_id,
            project_id: new.placement.project_id,
            application_id: new.placement.application_id,
            user_id: new.placement.user_id,
            role: new.role,
            hash: self.ring.hasher().hash(text.reveal()),
            previous: None,
            prefix,
            last_four,
            models: new.models,
            addresses: new.addresses,
            rate: new.rate,
            priority: new.priority,
            budget: new.budget,
            origin: Origin::Store,
            created_at: now,
            rotated_at: None,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        self.store.add_key(&key).await?;
        self.ring.update([key.clone()]);
        Ok((key, text))
    }

    /// Gives a key a new text; the old one stays good for `grace`.
    pub async fn rotate(
        &self,
        reach: Reach,
        id: KeyId,
        grace: Duration,
    ) -> Result<(VirtualKey, Secret<String>), DeskError> {
        if grace > MAX_GRACE {
            return Err(DeskError::Grace);
        }
        let now = self.clock.now();
        let old = self.find(reach, id).await?;
        let text = text::generate(&*self.entropy);
        let (prefix, last_four) = text::shown(&text);
        let grace = SignedDuration::try_from(grace).unwrap_or(SignedDuration::ZERO);
        let until = now.saturating_add(grace).unwrap_or(now);
        let rotation = Rotation {
            hash: self.ring.hasher().hash(text.reveal()),
            prefix,
            last_four,
            previous: PreviousHash {
                hash: old.hash,
                until,
            },
            at: now,
        };
        let Some(key) = self.store.rotate_key(id, &rotation).await? else {
            return Err(self.why_not_rotated(&old).await?);
        };
        self.ring.update([key.clone()]);
        Ok((key, text))
    }

    /// A key within reach.
    async fn find(&self, reach: Reach, id: KeyId) -> Result<VirtualKey, DeskError> {
        let key = self.store.key(id).await?;
        key.filter(|key| reach.covers(key.organization_id))
            .ok_or(DeskError::NoSuchKey(id))
    }

    async fn why_not_rotated(&self, old: &VirtualKey) -> Result<DeskError, StoreError> {
        let known = self.store.key(old.id).await?;
        let is_active = |key: &VirtualKey| key.revoked_at.is_none_or(|at| at > self.clock.now());
        let is_other = |key: &VirtualKey| is_active(key) && key.hash != old.hash;
        Ok(if known.as_ref().is_some_and(is_other) {
            DeskError::RotatedMeanwhile(old.id)
        } else {
            DeskError::NoSuchKey(old.id)
        })
    }

    /// Ends a key now. Calls that it has begun go on.
    pub async fn revoke(&self, reach: Reach, id: KeyId) -> Result<VirtualKey, DeskError> {
        self.find(reach, id).await?;
        let now = self.clock.now();
        let key = self
            .store
            .revoke_key(id, now)
            .await?
            .ok_or(DeskError::NoSuchKey(id))?;
        self.ring.update([key.clone()]);
        Ok(key)
    }

    /// The keys of the store within reach, newest first: at most `limit`, made before the key `before`.
    pub async fn list(
        &self,
        reach: Reach,
        before: Option<KeyId>,
        limit: u32,
    ) -> Result<Vec<VirtualKey>, DeskError> {
        Ok(self
            .store
            .list_keys(reach.organization(), before, limit)
            .await?)
    }

    /// Takes in what other processes changed since `revision`, and answers how far it has followed.
    pub async fn follow(&self, revision: KeyRevision) -> Result<KeyRevision, StoreError> {
        let (changed, followed) = self.store.keys_changed_since(revision).await?;
        if !changed.is_empty() {
            self.ring.update(changed);
        }
        Ok(followed)
    }
}

#[cfg(test)]
mod tests;
