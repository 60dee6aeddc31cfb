//! What happens in the background, each in a loop of its own.

use std::sync::Arc;
use std::time::Duration;

use domain::call::CallStore;
use domain::key::KeyRevision;
use gateway::drain::Drain;
use gateway::ledger::Batch;
use tokio::sync::{Semaphore, mpsc};

use crate::app::{Queues, Shared};
use crate::tasks::{Stop, Tasks};

/// Calls that are recorded together.
const BATCH: usize = 500;
/// How long calls are gathered before they are recorded.
const GATHER: Duration = Duration::from_millis(20);
/// How long the store is left alone after it failed.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// How often keys that other processes changed are looked for. A revocation takes effect within a
/// second.
const KEYS_PAUSE: Duration = Duration::from_millis(500);
/// How often metrics are tidied up.
const UPKEEP_PAUSE: Duration = Duration::from_secs(5);
/// How often partitions are made and payloads whose time has passed are deleted.
const HOUSEKEEPING_PAUSE: Duration = Duration::from_mins(10);
/// Payloads that are deleted together.
const EXPIRED_PAYLOADS: u32 = 1_000;
/// How long an answer without a caller is read.
const DRAIN_BOUND: Duration = Duration::from_mins(2);
/// Answers without a caller that are read at the same time.
const DRAINS: usize = 256;

/// Starts every loop.
pub fn start(app: &Shared, queues: Queues, tasks: &Arc<Tasks>, sync: Option<Duration>) {
    let stop = || tasks.stop_signal();
    tasks.start(record_calls(Arc::clone(app), stop()));
    tasks.start(follow_keys(Arc::clone(app), stop()));
    tasks.start(tidy_metrics(Arc::clone(app), stop()));
    tasks.start(keep_house(Arc::clone(app), stop()));
    tasks.start(drain(Arc::clone(app), queues.drains, Arc::clone(tasks), stop()));
    if let Some(period) = sync {
        tasks.start(sync_journal(Arc::clone(app), period, stop()));
    }
}

/// Brings ended calls into the store. Ends when it is time to stop and everything is recorded.
async fn record_calls(app: Shared, mut stop: Stop) {
    let mut is_stopping = false;
    loop {
        match app.ledger.take_batch(BATCH) {
            Ok(batch) if !batch.is_empty() => {
                is_stopping |= !record(&app, batch, &mut stop).await;
            }
            Ok(_) if is_stopping => return,
            Ok(_) => {
                tokio::select! {
                    () = app.ledger.call_ended() => is_stopping = !stop.pause(GATHER).await,
                    () = stop.requested() => is_stopping = true,
                }
            }
            Err(error) => {
                tracing::error!(%error, "the journal cannot be read back");
                if !stop.pause(STORE_PAUSE).await {
                    return;
                }
            }
        }
    }
}

/// Records a batch, however long the store takes; answers whether it is not yet time to stop. What is
/// not recorded when it is stays in the journal for the next start.
async fn record(app: &Shared, batch: Batch, stop: &mut Stop) -> bool {
    let mut has_failed = false;
    loop {
        if batch.calls().is_empty() {
            break;
        }
        match app.store.record_calls(batch.calls()).await {
            Ok(()) => break,
            Err(error) => {
                if !has_failed {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "calls cannot be recorded; the journal keeps them until they are"
                    );
                }
                has_failed = true;
                if !stop.pause(STORE_PAUSE).await {
                    return false;
                }
            }
        }
    }
    if has_failed {
        tracing::info!("calls are recorded again");
    }
    if let Err(error) = app.ledger.stored(batch) {
        tracing::warn!(%error, "a journal segment could not be deleted");
    }
    true
}

async fn follow_keys(app: Shared, mut stop: Stop) {
    let mut revision: KeyRevision = 0;
    let mut has_failed = false;
    loop {
        match app.desk.follow(revision).await {
            Ok(followed) => {
                revision = followed;
                has_failed = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "changes of keys cannot be followed; known keys stay as they are"
                    );
                }
            }
        }
        if !stop.pause(KEYS_PAUSE).await {
            return;
        }
    }
}

async fn sync_journal(app: Shared, period: Duration, mut stop: Stop) {
    while stop.pause(period).await {
        let ledger = Arc::clone(&app.ledger);
        let synced = tokio::task::spawn_blocking(move || ledger.sync()).await;
        if let Ok(Err(error)) = synced {
            tracing::error!(%error, "the journal cannot be brought to the disk");
        }
    }
}

async fn tidy_metrics(app: Shared, mut stop: Stop) {
    while stop.pause(UPKEEP_PAUSE).await {
        app.telemetry.upkeep();
    }
}

async fn keep_house(app: Shared, mut stop: Stop) {
    loop {
        let now = app.clock.now();
        let done = async {
            app.store.prepare_partitions(now).await?;
            app.store.drop_expired_payloads(now, EXPIRED_PAYLOADS).await
        };
        if let Err(error) = done.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "housekeeping failed");
        }
        if !stop.pause(HOUSEKEEPING_PAUSE).await {
            return;
        }
    }
}

async fn drain(app: Shared, mut drains: mpsc::Receiver<Drain>, tasks: Arc<Tasks>, mut stop: Stop) {
    let room = Arc::new(Semaphore::new(DRAINS));
    loop {
        let drain = tokio::select! {
            drain = drains.recv() => drain,
            () = stop.requested() => return,
        };
        // The semaphore is never closed.
        let (Some(drain), Ok(place)) = (drain, Arc::clone(&room).acquire_owned().await) else {
            return;
        };
        let clock = Arc::clone(&app.clock);
        tasks.start(async move {
            drain.run(clock, DRAIN_BOUND).await;
            drop(place);
        });
    }
}
