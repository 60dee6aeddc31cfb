//! Batches in memory, held by whoever claims them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use domain::batch::{Batch, BatchCursor, BatchFace, BatchState, BatchStore, EndedLine, Hold};
use domain::id::{BatchId, KeyId, ReplicaId};
use domain::store_error::StoreError;
use jiff::Timestamp;

/// Batches in memory.
#[derive(Default)]
pub(crate) struct KeptBatches(Mutex<BTreeMap<BatchId, Kept>>);

struct Kept {
    batch: Batch,
    holder: Option<ReplicaId>,
    lines: BTreeMap<u32, EndedLine>,
}

impl KeptBatches {
    /// The one batch that there is.
    pub(crate) fn only(&self) -> Batch {
        let kept = self.0.lock().unwrap();
        assert_eq!(kept.len(), 1);
        kept.values().next().unwrap().batch.clone()
    }

    /// Somebody else takes every batch over.
    pub(crate) fn steal(&self, thief: ReplicaId) {
        for kept in self.0.lock().unwrap().values_mut() {
            kept.holder = Some(thief);
        }
    }
}

#[async_trait]
impl BatchStore for KeptBatches {
    async fn add_batch(&self, batch: &Batch, max_open: u32) -> Result<bool, StoreError> {
        let mut all = self.0.lock().unwrap();
        if all.len() >= max_open as usize {
            return Ok(false);
        }
        let kept = Kept {
            batch: batch.clone(),
            holder: None,
            lines: BTreeMap::new(),
        };
        all.insert(batch.id, kept);
        Ok(true)
    }

    async fn batch(&self, id: BatchId, owner: KeyId) -> Result<Option<Batch>, StoreError> {
        let found = self
            .0
            .lock()
            .unwrap()
            .get(&id)
            .map(|kept| kept.batch.clone());
        Ok(found.filter(|batch| batch.key_id == owner))
    }

    async fn list_batches(
        &self,
        _: KeyId,
        _: BatchFace,
        _: Option<BatchCursor>,
        _: u32,
    ) -> Result<Vec<Batch>, StoreError> {
        let kept = self.0.lock().unwrap();
        Ok(kept.values().rev().map(|kept| kept.batch.clone()).collect())
    }

    async fn cancel_batch(
        &self,
        id: BatchId,
        owner: KeyId,
        at: Timestamp,
    ) -> Result<Option<Batch>, StoreError> {
        if let Some(kept) = self.0.lock().unwrap().get_mut(&id) {
            kept.batch.cancelling_at.get_or_insert(at);
        }
        self.batch(id, owner).await
    }

    async fn delete_batch(&self, id: BatchId, _: KeyId) -> Result<bool, StoreError> {
        Ok(self.0.lock().unwrap().remove(&id).is_some())
    }

    async fn claim_batch(
        &self,
        holder: ReplicaId,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<Option<Batch>, StoreError> {
        let mut all = self.0.lock().unwrap();
        let free = all
            .values_mut()
            .find(|kept| kept.holder.is_none() && !kept.batch.has_ended());
        Ok(free.map(|kept| {
            kept.holder = Some(holder);
            kept.batch.clone()
        }))
    }

    async fn batches_in_progress(
        &self,
        last: Option<BatchId>,
        limit: u32,
    ) -> Result<Vec<Batch>, StoreError> {
        let all = self.0.lock().unwrap();
        let batches = all.values().map(|kept| kept.batch.clone());
        let open = batches.filter(|batch| batch.state == BatchState::InProgress);
        let rest = open.filter(|batch| last.is_none_or(|last| last < batch.id));
        Ok(rest.take(limit as usize).collect())
    }

    async fn hold_batch(
        &self,
        id: BatchId,
        holder: ReplicaId,
        _: Timestamp,
    ) -> Result<Hold, StoreError> {
        let all = self.0.lock().unwrap();
        let held = all.get(&id).filter(|kept| kept.holder == Some(holder));
        Ok(held.map_or(Hold::Lost, |kept| Hold::Held {
            cancelling_at: kept.batch.cancelling_at,
        }))
    }

    async fn save_batch(&self, batch: &Batch, holder: ReplicaId) -> Result<bool, StoreError> {
        let mut all = self.0.lock().unwrap();
        let held = all
            .get_mut(&batch.id)
            .filter(|kept| kept.holder == Some(holder));
        let is_held = held.is_some();
        if let Some(kept) = held {
            kept.batch.state = batch.state;
            kept.batch.details.clone_from(&batch.details);
            if batch.has_ended() {
                kept.holder = None;
            }
        }
        Ok(is_held)
    }

    async fn save_before_asking(
        &self,
        batch: &Batch,
        holder: ReplicaId,
    ) -> Result<bool, StoreError> {
        self.save_batch(batch, holder).await
    }

    async fn release_batch(&self, id: BatchId, holder: ReplicaId) -> Result<(), StoreError> {
        let mut all = self.0.lock().unwrap();
        if let Some(kept) = all.get_mut(&id).filter(|kept| kept.holder == Some(holder)) {
            kept.holder = None;
        }
        Ok(())
    }

    async fn end_lines(
        &self,
        batch: &Batch,
        holder: ReplicaId,
        lines: &[EndedLine],
    ) -> Result<bool, StoreError> {
        let mut all = self.0.lock().unwrap();
        let held = all
            .get_mut(&batch.id)
            .filter(|kept| kept.holder == Some(holder));
        let Some(kept) = held else {
            return Ok(false);
        };
        for line in lines {
            if kept.lines.contains_key(&line.number) {
                continue;
            }
            kept.lines.insert(line.number, line.clone());
            if line.is_good() {
                kept.batch.ended.succeeded += 1;
            } else {
                kept.batch.ended.failed += 1;
            }
        }
        Ok(true)
    }

    async fn ended_numbers(&self, id: BatchId) -> Result<Vec<u32>, StoreError> {
        let all = self.0.lock().unwrap();
        let lines = all
            .get(&id)
            .map(|kept| kept.lines.keys().copied().collect());
        Ok(lines.unwrap_or_default())
    }

    async fn ended_lines(
        &self,
        id: BatchId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<EndedLine>, StoreError> {
        let all = self.0.lock().unwrap();
        let lines = all.get(&id).map(|kept| {
            let rest = kept.lines.range(after + 1..).map(|(_, line)| line.clone());
            rest.take(limit as usize).collect()
        });
        Ok(lines.unwrap_or_default())
    }

    async fn drop_old_batches(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}
