//! The processes that serve this installation: this one says that it lives, and knows who else does.

use std::net::SocketAddr;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::{fs, io};

use domain::fleet::{ALIVE, Replica, ReplicaStore};
use domain::id::ReplicaId;
use domain::store_error::StoreError;
use jiff::{SignedDuration, Timestamp};
use store::Store;

/// This process among those that serve the same store.
pub struct Replicas {
    id: ReplicaId,
    started_at: Timestamp,
    is_sharing: bool,
    address: OnceLock<String>,
    store: Store,
    /// Who lived when it was looked last, the oldest first.
    alive: RwLock<Vec<Replica>>,
}

impl Replicas {
    /// This process, as nobody knows it yet. `is_sharing` says whether it shares what limits count.
    pub fn new(id: ReplicaId, started_at: Timestamp, is_sharing: bool, store: Store) -> Self {
        Self {
            id,
            started_at,
            is_sharing,
            address: OnceLock::new(),
            store,
            alive: RwLock::default(),
        }
    }

    /// Which one this is.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// Says where it listens. Until then it is not seen.
    pub fn listens_at(&self, address: SocketAddr) {
        let machine = machine_name().unwrap_or_default();
        // It listens at one address, and says so once.
        let _first = self
            .address
            .set(format!("{machine} {address}").trim().to_owned());
    }

    /// Says that it lives, and looks who else does. When the store does not answer, those are taken to live
    /// who lived before.
    pub async fn beat(&self, now: Timestamp) -> Result<(), StoreError> {
        let replica = Replica {
            id: self.id,
            started_at: self.started_at,
            seen_at: now,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: self.address.get().cloned().unwrap_or_default(),
            is_sharing: self.is_sharing,
        };
        let alive = self.store.beat(&replica, alive_since(now)).await?;
        *self.alive.write().unwrap_or_else(PoisonError::into_inner) = alive;
        Ok(())
    }

    /// Says that it has ended.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.store.forget_replica(self.id).await
    }

    /// How many live, this one included.
    pub fn count(&self) -> u32 {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        u32::try_from(alive.len()).unwrap_or(u32::MAX).max(1)
    }

    /// A replica that came before this one and that it does not share what limits count with: each would
    /// count for itself, and limits hold for none.
    pub fn unshared(&self) -> Option<Replica> {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        let mut earlier = alive.iter().filter(|replica| replica.id < self.id);
        earlier
            .find(|replica| !(self.is_sharing && replica.is_sharing))
            .cloned()
    }
}

/// From when on a replica must have been seen to be taken to live at `now`.
pub fn alive_since(now: Timestamp) -> Timestamp {
    let alive = SignedDuration::try_from(ALIVE).unwrap_or(SignedDuration::MAX);
    now.checked_sub(alive).unwrap_or(Timestamp::MIN)
}

/// The name of this machine, or of its container, where the system tells it.
fn machine_name() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/hostname")?
        .trim()
        .to_owned())
}
