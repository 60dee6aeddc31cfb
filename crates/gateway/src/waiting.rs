//! What waits in memory for the store: in order, and within a bound.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::store_error::StoreError;
use tokio::sync::Notify;

/// The most that waits for the store, in bytes.
const MAX_WAITING: usize = 64 * 1024 * 1024;

/// Brings into the store what waits for it. A loop of the server's runs it.
#[async_trait]
pub trait Backlog: Send + Sync {
    /// Waits until there is something to write.
    async fn arrived(&self);

    /// Brings at most `limit` items into the store; answers how many. After a failure they wait on.
    async fn write(&self, limit: usize) -> Result<usize, StoreError>;
}

/// What waits for the store. What does not fit is lost, and counted.
pub(crate) struct Waiting<T> {
    length: fn(&T) -> usize,
    queue: Mutex<Queue<T>>,
    arrived: Notify,
    lost: AtomicU64,
}

struct Queue<T> {
    items: VecDeque<T>,
    bytes: usize,
}

impl<T> Waiting<T> {
    /// Nothing waits. `length` says how many bytes an item takes.
    pub(crate) fn new(length: fn(&T) -> usize) -> Self {
        Self {
            length,
            queue: Mutex::new(Queue {
                items: VecDeque::new(),
                bytes: 0,
            }),
            arrived: Notify::new(),
            lost: AtomicU64::new(0),
        }
    }

    /// Takes an item in, where there is room.
    pub(crate) fn put(&self, item: T) {
        let length = (self.length)(&item);
        {
            let mut queue = self.queue();
            if queue.bytes + length > MAX_WAITING {
                self.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            queue.bytes += length;
            queue.items.push_back(item);
        }
        self.arrived.notify_one();
    }

    /// Waits until something is put in; at once, when that was since the last time.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes out the first items, at most `limit`.
    pub(crate) fn take(&self, limit: usize) -> Vec<T> {
        let mut queue = self.queue();
        let count = queue.items.len().min(limit);
        let taken: Vec<T> = queue.items.drain(..count).collect();
        let bytes = taken.iter().map(self.length).sum();
        queue.bytes = queue.bytes.saturating_sub(bytes);
        taken
    }

    /// The first items, at most `limit`. They wait on until they are taken out.
    pub(crate) fn first(&self, limit: usize) -> Vec<T>
    where
        T: Clone,
    {
        self.queue().items.iter().take(limit).cloned().collect()
    }

    /// How many were lost because the store could not keep up.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_lost_and_counted() {
        let waiting = Waiting::new(Vec::len);
        waiting.put(vec![0; MAX_WAITING]);
        waiting.put(vec![1]);
        assert_eq!(waiting.lost(), 1);
        assert_eq!(waiting.take(10).len(), 1);
        waiting.put(vec![1]);
        assert_eq!(waiting.take(10), [[1]]);
        assert_eq!(waiting.lost(), 1);
    }

    #[test]
    fn what_is_only_looked_at_waits_on() {
        let waiting = Waiting::new(Vec::len);
        (1..=3).for_each(|number| waiting.put(vec![number]));
        assert_eq!(waiting.first(2), [[1], [2]]);
        assert_eq!(waiting.take(2), [[1], [2]]);
        assert_eq!(waiting.take(2), [[3]]);
        assert!(waiting.first(1).is_empty());
    }
}
