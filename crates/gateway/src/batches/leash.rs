//! Holding a batch, and hearing that it is to stop.

use domain::batch::{Batch, Hold};
use domain::id::{BatchId, KeyId};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{Batches, HEARTBEAT, LEASE, Unfinished, after};

/// Between whoever holds a batch and the work on it: says whether it is to stop.
pub(super) struct Leash(watch::Sender<Stop>);

/// Whether the work on a batch is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It goes on.
    No,
    /// Its owner wants it, since this time.
    Cancelled(Timestamp),
    /// Its owner's key is no longer good.
    KeyGone,
    /// Its time has passed.
    Expired,
}

impl Leash {
    pub(super) fn new(batch: &Batch) -> Self {
        let stop = match batch.cancelling_at {
            Some(at) => Stop::Cancelled(at),
            None => Stop::No,
        };
        Self(watch::Sender::new(stop))
    }

    /// Whether, and why, the work is to stop.
    pub(super) fn stop(&self) -> Stop {
        *self.0.borrow()
    }

    /// Completes when the work is to stop; at once when it already is.
    pub(super) async fn stopped(&self) {
        let mut stop = self.0.subscribe();
        // The sender lives as long as this.
        let stopped = stop.wait_for(|stop| *stop != Stop::No).await.map(|_| ());
        drop(stopped);
    }

    /// The first reason counts.
    fn pull(&self, reason: Stop) {
        self.0.send_if_modified(|stop| {
            let is_first = *stop == Stop::No;
            if is_first {
                *stop = reason;
            }
            is_first
        });
    }
}

impl Batches {
    /// Holds a batch for as long as this is polled, and pulls the leash when it is to stop. Completes when
    /// the batch is no longer held: then nothing more may be done for it.
    pub(super) async fn hold(
        &self,
        id: BatchId,
        key: KeyId,
        expires_at: Timestamp,
        leash: &Leash,
    ) -> Unfinished {
        let clock = &self.parts.clock;
        let mut until = after(clock.now(), LEASE);
        loop {
            let now = clock.now();
            if self.caller(key).is_none() {
                leash.pull(Stop::KeyGone);
            }
            if expires_at <= now {
                leash.pull(Stop::Expired);
            }
            let next = after(now, LEASE);
            match self
                .parts
                .store
                .hold_batch(id, self.parts.replica, next)
                .await
            {
                Ok(Hold::Lost) => return Unfinished::Lost,
                Ok(Hold::Held { cancelling_at }) => {
                    until = next;
                    if let Some(at) = cancelling_at {
                        leash.pull(Stop::Cancelled(at));
                    }
                }
                Err(error) => {
                    // The work stops before anybody else may take it up.
                    let margin = after(clock.now(), HEARTBEAT.try_into().unwrap_or(LEASE));
                    if until <= margin {
                        return Unfinished::Store(error);
                    }
                }
            }
            tokio::select! {
                () = clock.sleep(HEARTBEAT) => {}
                () = self.wishes.notified() => {}
            }
        }
    }
}
