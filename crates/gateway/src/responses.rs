//! Answers that are kept for callers who continue them (`previous_response_id`, references to items).
//!
//! They are written by a loop of the server's, never on the way of a call; until then they are found in
//! memory. They are not journaled: when the store cannot keep up, the newest are lost, and counted.

mod background;
mod kept;
mod memory;
mod recall;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::call::CallStore;
use domain::caller::Caller;
use domain::id::KeyId;
use domain::response::{KeptResponse, ResponseId, ResponseStore};
use domain::store_error::StoreError;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

pub use background::{Events, Job, Jobs};
pub(crate) use memory::Memory;
pub(crate) use recall::Recalled;

use crate::waiting::Backlog;

/// The most that waits for the store, in bytes.
const MAX_WAITING: usize = 64 * 1024 * 1024;

/// Keeps answers, where it is wanted.
pub struct Responses {
    /// How long they are kept; `None` keeps nothing.
    retention: Option<Duration>,
    store: Arc<dyn ResponseStore>,
    /// Where it is found whether the call of an answer has ended.
    calls: Arc<dyn CallStore>,
    waiting: Mutex<Waiting>,
    arrived: Notify,
    lost: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<ResponseId>,
    kept: HashMap<ResponseId, KeptResponse>,
    /// What stands in the store in the place of those that were made in the background.
    places: HashMap<ResponseId, Bytes>,
    /// Those that were deleted since the last batch was taken.
    deleted: HashSet<ResponseId>,
    bytes: usize,
}

impl Responses {
    /// Keeps answers for `retention` in `store`; `None` keeps nothing. `calls` are those of the ledger.
    pub fn new(
        retention: Option<Duration>,
        store: Arc<dyn ResponseStore>,
        calls: Arc<dyn CallStore>,
    ) -> Self {
        Self {
            retention,
            store,
            calls,
            waiting: Mutex::default(),
            arrived: Notify::new(),
            lost: AtomicU64::new(0),
        }
    }

    /// How many were lost because the store could not keep up.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// An answer of the caller's; `None` when there is none, whoever's it may be.
    pub async fn find(
        &self,
        caller: &Caller,
        id: &ResponseId,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>, StoreError> {
        let owner = caller.key_id();
        if let Some(response) = self.waiting().kept.get(id) {
            let is_found = response.key_id == owner && response.keep_until > now;
            return Ok(is_found.then(|| response.clone()));
        }
        self.store.response(id, owner, now).await
    }

    /// Forgets an answer of the caller's; answers whether there was one.
    pub async fn delete(&self, caller: &Caller, id: &ResponseId) -> Result<bool, StoreError> {
        let owner = caller.key_id();
        let was_waiting = self.waiting().delete(id, owner);
        Ok(self.store.delete_response(id, owner).await? || was_waiting)
    }

    /// Until when an answer of now is kept; `None` keeps nothing.
    fn keep_until(&self, now: Timestamp) -> Option<Timestamp> {
        let retention = SignedDuration::try_from(self.retention?).ok()?;
        Some(now.saturating_add(retention).unwrap_or(Timestamp::MAX))
    }

    /// Keeps an answer that is still to be made, before anybody learns of it.
    async fn begin(&self, response: &KeptResponse) -> Result<(), StoreError> {
        self.store
            .keep_responses(std::slice::from_ref(response))
            .await
    }

    /// Which of these answers nobody has ended or deleted.
    async fn unreplaced(&self, ids: &[ResponseId]) -> Result<Vec<ResponseId>, StoreError> {
        match ids {
            [] => Ok(Vec::new()),
            ids => self.store.unreplaced(ids).await,
        }
    }

    /// Puts an answer in the place of what was kept while it was made.
    fn conclude(&self, begun: &KeptResponse, answer: Bytes) {
        let place = begun.answer.clone();
        let response = KeptResponse {
            answer,
            ..begun.clone()
        };
        self.put_at(response, Some(place));
    }

    fn put(&self, response: KeptResponse) {
        self.put_at(response, None);
    }

    fn put_at(&self, response: KeptResponse, place: Option<Bytes>) {
        if self.waiting().put(response, place) {
            self.arrived.notify_one();
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backlog for Responses {
    async fn arrived(&self) {
        self.arrived.notified().await;
    }

    async fn write(&self, limit: usize) -> Result<usize, StoreError> {
        let (new, made) = self.waiting().first(limit);
        if !new.is_empty() {
            self.store.keep_responses(&new).await?;
        }
        for (response, place) in &made {
            let KeptResponse {
                id, key_id, answer, ..
            } = response;
            self.store
                .replace_answer(id, *key_id, place, answer)
                .await?;
        }
        let mut batch = new;
        batch.extend(made.into_iter().map(|(response, _)| response));
        let deleted = self.waiting().written(&batch);
        let deleted = batch
            .iter()
            .filter(|response| deleted.contains(&response.id));
        for response in deleted {
            self.store
                .delete_response(&response.id, response.key_id)
                .await?;
        }
        Ok(batch.len())
    }
}

impl Waiting {
    /// Takes an answer in; answers whether there was room. The first under an identifier stays.
    fn put(&mut self, response: KeptResponse, place: Option<Bytes>) -> bool {
        let length = length(&response);
        if self.bytes + length > MAX_WAITING {
            return false;
        }
        if !self.kept.contains_key(&response.id) {
            self.bytes += length;
            self.order.push_back(response.id.clone());
            self.places
                .extend(place.map(|place| (response.id.clone(), place)));
            self.kept.insert(response.id.clone(), response);
        }
        true
    }

    /// At most `limit` answers for the store: those that are new to it, and those that take the place of
    /// what it has.
    fn first(&self, limit: usize) -> (Vec<KeptResponse>, Vec<(KeptResponse, Bytes)>) {
        let (mut new, mut made) = (Vec::new(), Vec::new());
        let ids = self.order.iter().take(limit);
        for response in ids.filter_map(|id| self.kept.get(id)) {
            match self.places.get(&response.id) {
                Some(place) => made.push((response.clone(), place.clone())),
                None => new.push(response.clone()),
            }
        }
        (new, made)
    }

    /// Lets go of answers that the store has; answers which were deleted meanwhile.
    fn written(&mut self, batch: &[KeptResponse]) -> HashSet<ResponseId> {
        for response in batch {
            self.remove(&response.id);
        }
        std::mem::take(&mut self.deleted)
    }

    fn delete(&mut self, id: &ResponseId, owner: KeyId) -> bool {
        if self.kept.get(id).is_none_or(|kept| kept.key_id != owner) {
            return false;
        }
        self.remove(id);
        // It may be on its way to the store: the writer deletes it again.
        self.deleted.insert(id.clone());
        true
    }

    fn remove(&mut self, id: &ResponseId) {
        self.places.remove(id);
        if let Some(response) = self.kept.remove(id) {
            self.bytes = self.bytes.saturating_sub(length(&response));
            self.order.retain(|other| other != id);
        }
    }
}

fn length(response: &KeptResponse) -> usize {
    response.input.len() + response.answer.len()
}

#[cfg(test)]
mod tests;
