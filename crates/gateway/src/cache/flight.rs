//! Requests that are the same and under way at the same time: one goes, the others wait for its answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::cache::CacheKey;
use tokio::sync::watch;

/// The requests that are under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<CacheKey, watch::Receiver<()>>>);

/// Whether a request goes itself.
pub(super) enum Joined {
    /// It goes, and the others wait for it.
    Leads(Lead),
    /// The same is under way.
    Follows(Follow),
}

/// Others wait until this is dropped: when the answer is kept, and also when there is none.
pub(super) struct Lead {
    flights: Arc<Flights>,
    key: CacheKey,
    _landed: watch::Sender<()>,
}

/// Waits for the one that leads.
pub(super) struct Follow(watch::Receiver<()>);

impl Flights {
    /// Joins the requests of this key.
    pub(super) fn join(self: &Arc<Self>, key: CacheKey) -> Joined {
        match self.all().entry(key) {
            Entry::Occupied(entry) => Joined::Follows(Follow(entry.get().clone())),
            Entry::Vacant(entry) => {
                let (landed, follow) = watch::channel(());
                entry.insert(follow);
                Joined::Leads(Lead {
                    flights: Arc::clone(self),
                    key,
                    _landed: landed,
                })
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<CacheKey, watch::Receiver<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follow {
    /// Waits until the one that leads has an answer, or will have none.
    pub(super) async fn landed(mut self) {
        // Nothing is ever sent: the end of the sender is what is waited for.
        while self.0.changed().await.is_ok() {}
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.flights.all().remove(&self.key);
    }
}
