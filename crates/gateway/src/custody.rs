//! Custody of reasoning state, for clients that leave it out of what they send back.
//!
//! Anthropic signs thoughts, Gemini signs tool calls, OpenAI encrypts thoughts, and each wants them back with
//! the results of the tools; many clients of other formats keep only what their own format knows. So the
//! state of every turn that calls tools is kept for a while under the ids of its calls, and put back where a
//! later request of the same caller brings these calls without it, or with pieces of it: some clients keep
//! the last of a stream's pieces of a field that they do not know.
//!
//! It stands in memory, and a loop of the server's brings it into the store, so that a restart keeps it and
//! other replicas find it. What memory does not know is looked up there once, before a request is prepared
//! that brings calls without state. It is not journaled: when the store cannot keep up, the newest is lost
//! there, and counted.
//!
//! Read `turn` for what is kept and how it is put back, `restore` for when, `reader` for how it is read
//! along, `seal` for who can open it, `shelf` for what stands in memory, and `steer` for where a conversation goes
//! whose state is kept.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::caller::Caller;
use domain::chat::Part;
use domain::clock::{Clock, Moment};
use domain::custody::{CustodyStore, KeptTurn, Place};
use domain::entropy::Entropy;
use domain::secret::Secret;
use domain::store_error::StoreError;
use jiff::{SignedDuration, Timestamp};
use memchr::memmem::Finder;
use providers::dialect::Format;

use crate::routes::ResolvedTarget;
use crate::waiting::{Backlog, Waiting};

mod issuer;
mod reader;
mod restore;
mod seal;
mod shelf;
mod steer;
mod turn;

pub(crate) use reader::Reader;
pub(crate) use restore::{Restored, lacks_thoughts};

use issuer::Issuer;
use seal::Root;
use shelf::{Shelf, Shelved};
use turn::Turn;

/// The most state of one answer that is kept, in bytes: more than the longest thoughts of any model.
const MAX_STATE: usize = 4 * 1024 * 1024;
/// What a turn takes for each of its places while it waits for the store, in bytes, about.
const PLACE_BYTES: usize = 32;

/// Bounds of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustodyRules {
    /// How long the state of a turn is kept after it came or was last put back; the store may let it go
    /// when half of that has passed since it was last put back.
    pub ttl: Duration,
    /// The most that stands in memory, in bytes; beyond it, what was not needed for longest goes first.
    pub max_bytes: usize,
}

/// Keeps the reasoning state of turns that called tools, encrypted and for each caller apart.
pub struct Custody {
    ttl: Duration,
    root: Root,
    shelf: Mutex<Shelf>,
    /// On its way to the store.
    waiting: Waiting<KeptTurn>,
    store: Arc<dyn CustodyStore>,
    /// Until when the store is not asked, because it did not answer.
    rests_until: Mutex<Moment>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Custody {
    /// A custody with nothing in memory, whose keys are derived from the installation's `secret`: of what is
    /// in `store` it finds what was kept under the same.
    pub fn new(
        rules: CustodyRules,
        secret: &Secret<Vec<u8>>,
        store: Arc<dyn CustodyStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            ttl: rules.ttl,
            root: Root::new(secret),
            shelf: Mutex::new(Shelf::new(rules.max_bytes)),
            waiting: Waiting::new(|turn| turn.sealed.len() + turn.places.len() * PLACE_BYTES),
            store,
            rests_until: Mutex::new(Moment::at(Duration::ZERO)),
            clock,
            entropy,
        }
    }

    /// What keeps the state of one call's answer.
    pub(crate) fn keeper(
        self: &Arc<Self>,
        caller: &Caller,
        target: &Arc<ResolvedTarget>,
        format: Format,
    ) -> Keeper {
        Keeper {
            custody: Arc::clone(self),
            caller: caller.clone(),
            target: Arc::clone(target),
            format,
        }
    }

    /// How many turns never came into the store because it could not keep up.
    pub fn lost(&self) -> u64 {
        self.waiting.lost()
    }

    fn keep(&self, caller: &Caller, turn: &Turn) {
        let Some(keys) = self.root.keys_of(caller) else {
            return;
        };
        let places = turn.places(&keys);
        let sealed = keys.seal(turn, &*self.entropy).map(Bytes::from);
        let Some(sealed) = sealed.filter(|sealed| sealed.len() <= MAX_STATE && !places.is_empty())
        else {
            return;
        };
        let now = self.clock.moment();
        let until = now.after(self.ttl);
        let shelved = Shelved::turn(sealed.clone(), places.clone(), until, until);
        self.shelf().put(shelved, now);
        self.store_later(caller, turn, places, sealed);
    }

    fn store_later(&self, caller: &Caller, turn: &Turn, places: Vec<Place>, sealed: Bytes) {
        let ttl = SignedDuration::try_from(self.ttl).unwrap_or(SignedDuration::MAX);
        let now = self.clock.now();
        self.waiting.put(KeptTurn {
            places,
            organization_id: caller.organization_id(),
            project_id: caller.project_id(),
            key_id: caller.key_id(),
            provider: turn.issuer.provider.clone(),
            sealed,
            keep_until: now.saturating_add(ttl).unwrap_or(Timestamp::MAX),
        });
    }

    /// Notes that there is no state to these calls, so that it is not looked for.
    fn keep_nothing(&self, caller: &Caller, content: &[Part]) {
        let Some(keys) = self.root.keys_of(caller) else {
            return;
        };
        let places = turn::call_ids(content).map(|id| keys.place(id)).collect();
        let now = self.clock.moment();
        let shelved = Shelved::nothing(places, now.after(self.ttl));
        self.shelf().put(shelved, now);
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backlog for Custody {
    async fn arrived(&self) {
        self.waiting.arrived().await;
    }

    async fn write(&self, limit: usize) -> Result<usize, StoreError> {
        let batch = self.waiting.first(limit);
        if !batch.is_empty() {
            self.store.keep_turns(&batch).await?;
        }
        Ok(self.waiting.take(batch.len()).len())
    }
}

/// Keeps the state of one call's answer. Cheap to make and to clone: most answers have nothing to keep.
#[derive(Clone)]
pub(crate) struct Keeper {
    custody: Arc<Custody>,
    caller: Caller,
    target: Arc<ResolvedTarget>,
    format: Format,
}

impl Keeper {
    /// Keeps the state of one answer, where it called tools and there is any.
    pub(crate) fn keep(&self, content: &[Part]) {
        if turn::call_ids(content).next().is_none() {
            return;
        }
        if turn::has_state(content) {
            let turn = Turn::of(content, Issuer::of(&self.target, self.format));
            self.custody.keep(&self.caller, &turn);
        } else if issuer::holds_state(&self.target, self.format) {
            self.custody.keep_nothing(&self.caller, content);
        }
    }

    /// Keeps the state of a whole answer that passes verbatim, which `decode` reads only where it may hold
    /// any.
    pub(crate) fn keep_unread(
        &self,
        body: &[u8],
        decode: impl FnOnce() -> Option<domain::chat::ChatResponse>,
    ) {
        /// What stands in the name of every field that holds reasoning state, in any format.
        static MARKS: LazyLock<[Finder<'static>; 3]> =
            LazyLock::new(|| ["ignature", "encrypted", "redacted"].map(Finder::new));
        let may_hold_state = MARKS.iter().any(|mark| mark.find(body).is_some());
        if !may_hold_state {
            return;
        }
        for choice in decode().into_iter().flat_map(|answer| answer.choices) {
            self.keep(&choice.content);
        }
    }

    /// Reads along with a streamed answer.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
