//! What was asked of the endpoints that are no chats, in order of arrival, so that tests can hold a ledger against it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// How many calls are remembered; older ones are forgotten first.
const KEPT: usize = 20_000;

/// One call as the simulated provider saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SimTask {
    /// Order of arrival, from zero, without holes.
    pub sequence: u64,
    /// What the vendor's request id field said, where it has one; unique in this process.
    pub request_id: String,
    /// The vendor: `openai`, `gemini`, `stability` and so on.
    pub vendor: &'static str,
    /// The model asked for; empty until the request was understood, and where the vendor has none.
    pub model: String,
    /// The path asked for, without its query.
    pub path: String,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// The status answered; `None` while no head was sent.
    pub status: Option<u16>,
    /// What a successful answer cost; `None` for a failure.
    pub usage: Option<SimTaskUsage>,
    /// Whether the answer was handed over to its end; a caller that hangs up leaves it `false`.
    pub completed: bool,
    /// The beginning of the caller's words.
    pub prompt: String,
    /// The caller's `x-client-request-id`, if it sent one.
    pub client_request_id: Option<String>,
}

/// What one call used, by the vendor's own measure; the other counts are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SimTaskUsage {
    /// Tokens that went in.
    pub input_tokens: u64,
    /// Tokens that came out.
    pub output_tokens: u64,
    /// Pictures that were made.
    pub images: u64,
    /// Characters that were read aloud.
    pub characters: u64,
    /// Length of the sound that was heard, in milliseconds.
    pub milliseconds: u64,
    /// Searches of a reranker.
    pub search_units: u64,
}

/// The bounded record.
#[derive(Debug, Default)]
pub(crate) struct TaskRecord(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    /// The sequence of the oldest call still kept.
    first: u64,
    calls: VecDeque<(SimTask, Arc<AtomicBool>)>,
}

impl TaskRecord {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a new call; gives back its place in the order.
    pub(crate) fn open(&self, call: impl FnOnce(u64) -> SimTask) -> u64 {
        let mut ring = self.lock();
        let sequence = ring.first + ring.calls.len() as u64;
        ring.calls.push_back((call(sequence), Arc::default()));
        if ring.calls.len() > KEPT {
            ring.calls.pop_front();
            ring.first += 1;
        }
        sequence
    }

    /// Changes a call, if it is still remembered.
    pub(crate) fn note(&self, sequence: u64, change: impl FnOnce(&mut SimTask)) {
        self.entry(sequence, |(task, _)| change(task));
    }

    /// Takes what tells whether the answer was handed over.
    pub(crate) fn watch(&self, sequence: u64, done: Arc<AtomicBool>) {
        self.entry(sequence, |(_, watched)| *watched = done);
    }

    fn entry(&self, sequence: u64, change: impl FnOnce(&mut (SimTask, Arc<AtomicBool>))) {
        let mut ring = self.lock();
        let place = sequence.checked_sub(ring.first);
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| ring.calls.get_mut(place)) {
            change(entry);
        }
    }

    /// The calls numbered `since` and above, oldest first.
    pub(crate) fn since(&self, since: u64) -> Vec<SimTask> {
        let ring = self.lock();
        let skipped = usize::try_from(since.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        let kept = ring.calls.iter().skip(skipped);
        kept.map(|(task, done)| SimTask {
            completed: done.load(Ordering::Acquire),
            ..task.clone()
        })
        .collect()
    }

    /// Forgets every call; the numbers go on.
    pub(crate) fn clear(&self) {
        let mut ring = self.lock();
        ring.first += ring.calls.len() as u64;
        ring.calls.clear();
    }
}
