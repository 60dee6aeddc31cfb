//! What was said in calls, kept only where the operator wants it, and apart from the ledger.
//!
//! Unlike calls, payloads are not journaled: when the store cannot keep up, the newest are lost, and
//! counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::call::Payload;
use domain::caller::Caller;
use domain::id::RequestId;
use jiff::{SignedDuration, Timestamp};

use crate::responses::Memory;

/// The most of an answer that is kept, in bytes. A request is bounded by `server.max_body`.
const MAX_RESPONSE: usize = 4 * 1024 * 1024;
/// The most that waits for the store, in bytes.
const MAX_WAITING: usize = 64 * 1024 * 1024;

/// Keeps what was said, where it is wanted.
pub struct Payloads {
    /// How long it is kept; `None` keeps nothing.
    retention: Option<Duration>,
    waiting: Mutex<Waiting>,
    lost: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    payloads: VecDeque<Payload>,
    bytes: usize,
}

impl Payloads {
    /// Keeps what is said for `retention`; `None` keeps nothing.
    pub fn new(retention: Option<Duration>) -> Self {
        Self {
            retention,
            waiting: Mutex::default(),
            lost: AtomicU64::new(0),
        }
    }

    /// At most `limit` payloads for the store.
    pub fn take_batch(&self, limit: usize) -> Vec<Payload> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.payloads.len().min(limit);
        let batch: Vec<Payload> = waiting.payloads.drain(..count).collect();
        waiting.bytes = waiting.bytes.saturating_sub(batch.iter().map(length).sum());
        batch
    }

    /// How many were lost because the store could not keep up.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Begins to listen to a call; `None` where nothing is kept.
    pub(crate) fn listen(
        self: &Arc<Self>,
        caller: &Caller,
        request_id: RequestId,
        request: &Bytes,
        now: Timestamp,
    ) -> Option<Listener> {
        let retention = SignedDuration::try_from(self.retention?).ok()?;
        Some(Listener {
            payloads: Arc::clone(self),
            memory: None,
            heard: Some(Payload {
                request_id,
                organization_id: caller.organization_id(),
                project_id: caller.project_id(),
                request: request.to_vec(),
                response: Vec::new(),
                keep_until: now.saturating_add(retention).unwrap_or(Timestamp::MAX),
            }),
        })
    }

    /// Has an answer that callers may refer to heard as well.
    pub(crate) fn remember(
        self: &Arc<Self>,
        listener: Option<Listener>,
        memory: Option<Memory>,
    ) -> Option<Listener> {
        let mut listener = listener.or_else(|| {
            memory.is_some().then(|| Listener {
                payloads: Arc::clone(self),
                heard: None,
                memory: None,
            })
        })?;
        listener.memory = memory;
        Some(listener)
    }

    fn put(&self, payload: Payload) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes + length(&payload) > MAX_WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes += length(&payload);
        waiting.payloads.push_back(payload);
    }
}

/// Listens to one call. What it heard is kept when it is dropped, however the call ends.
pub(crate) struct Listener {
    payloads: Arc<Payloads>,
    heard: Option<Payload>,
    memory: Option<Memory>,
}

impl Listener {
    /// Hears a piece of the answer.
    pub(crate) fn hear(&mut self, piece: &[u8]) {
        self.memory = self.memory.take().and_then(|memory| memory.hear(piece));
        if let Some(heard) = &mut self.heard {
            let room = MAX_RESPONSE.saturating_sub(heard.response.len());
            heard
                .response
                .extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(heard) = self.heard.take() {
            self.payloads.put(heard);
        }
    }
}

fn length(payload: &Payload) -> usize {
    payload.request.len() + payload.response.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(bytes: usize) -> Payload {
        Payload {
            request_id: RequestId::NONE,
            organization_id: domain::id::OrganizationId::DEFAULT,
            project_id: domain::id::ProjectId::DEFAULT,
            request: vec![b'x'; bytes],
            response: Vec::new(),
            keep_until: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_does_not_fit_is_lost_and_counted() {
        let payloads = Payloads::new(Some(Duration::from_secs(1)));
        payloads.put(payload(MAX_WAITING));
        payloads.put(payload(1));
        assert_eq!(payloads.lost(), 1);
        assert_eq!(payloads.take_batch(10).len(), 1);
        payloads.put(payload(1));
        assert_eq!(payloads.take_batch(10).len(), 1);
        assert_eq!(payloads.lost(), 1);
    }
}
