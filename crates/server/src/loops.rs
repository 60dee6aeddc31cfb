//! What happens in the background, each in a loop of its own.

use std::sync::Arc;
use std::time::Duration;

use domain::batch::BatchStore;
use domain::breaker::{BreakerTurn, SharedBreakers};
use domain::call::CallStore;
use domain::client_secret::ClientSecretStore;
use domain::clock::Moment;
use domain::custody::CustodyStore;
use domain::event::EventStore;
use domain::fleet::ReplicaStore;
use domain::id::ReplicaId;
use domain::key::KeyRevision;
use domain::response::ResponseStore;
use domain::spend::SpendStore;
use domain::store_error::StoreError;
use domain::tenant::TenantRevision;
use fleet::{Breakers, Counters};
use gateway::cache::Cache;
use gateway::ledger::{Batch, Receipt};
use gateway::waiting::Backlog;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use crate::app::{App, Queues, Shared};
use crate::tasks::{Stop, Tasks};
use crate::telemetry::Causes;

mod alarms;
mod health;
mod queues;
mod replicas;

pub use replicas::{Adoption, adopt_journals};

/// Calls that are recorded together.
const BATCH: usize = 2_000;
/// Payloads that are kept together.
const PAYLOADS: usize = 50;
/// Answers, or turns with reasoning state, that are kept together.
const BACKLOG: usize = 50;
/// How long the end of a call waits whose answer was dropped before it was written.
const END_PATIENCE: Duration = Duration::from_millis(5);
/// How long calls are gathered before they are recorded.
const GATHER: Duration = Duration::from_millis(50);
/// How often the store is brought to its disk, so that the journal may go.
const RELEASE_PAUSE: Duration = Duration::from_secs(1);
/// How long the store is left alone after it failed.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// How often keys and tenants that other processes changed are looked for. A revocation takes effect within
/// a second.
const KEYS_PAUSE: Duration = Duration::from_millis(500);
/// How often replicas tell each other which targets fail.
const BREAKERS_PAUSE: Duration = Duration::from_secs(1);
/// By how much replicas step back that try whether a target is well, one after another, and how many such steps there
/// are.
const STAGGER: Duration = Duration::from_secs(2);
const STAGGERS: u32 = 8;
/// What is kept to be told while it cannot be told.
const MAX_UNTOLD: usize = 4096;
/// How often metrics are tidied up.
const UPKEEP_PAUSE: Duration = Duration::from_secs(5);
/// For how long replicas are kept that are not heard of any more.
const SILENT_REPLICAS: SignedDuration = SignedDuration::from_hours(24);
/// How often partitions are made and payloads whose time has passed are deleted.
const HOUSEKEEPING_PAUSE: Duration = Duration::from_mins(10);
/// Payloads, kept answers, batches, or places of reasoning state that are deleted together.
const EXPIRED: u32 = 1_000;
/// How often files are looked for whose time has passed.
const FILES_PAUSE: Duration = Duration::from_mins(1);
/// How often batches are looked for that other processes made or left.
const BATCHES_PAUSE: Duration = Duration::from_secs(1);
/// Batches that are worked on at the same time. Most of them wait for a provider, or for their lines' turn.
const BATCHES: usize = 256;
/// Files that are removed together.
const ENDED_FILES: u32 = 100;

/// How often it is looked which answers were cancelled elsewhere that are made here.
const CANCELLED_PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked which answers other replicas forget.
const FORGOTTEN_PAUSE: Duration = Duration::from_secs(1);
/// How long events are kept.
const EVENTS: SignedDuration = SignedDuration::from_hours(24 * 365);
/// How long what was spent is kept by the hour; by the month it is kept for good.
const SPEND_HOURS: SignedDuration = SignedDuration::from_hours(24 * 35);

/// Starts every loop.
pub fn start(app: &Shared, queues: Queues, tasks: &Arc<Tasks>, sync: Option<Duration>) {
    let stop = || tasks.stop_signal();
    tasks.start(write_ends(Arc::clone(app), stop()));
    tasks.start(record_calls(Arc::clone(app), stop()));
    let responses: Arc<dyn Backlog> = app.responses.clone();
    tasks.start(write_backlog(responses, "answers", stop()));
    if let Some(custody) = app.custody.clone() {
        tasks.start(write_backlog(custody, "reasoning state", stop()));
    }
    tasks.start(follow_keys(Arc::clone(app), stop()));
    if let Some(shared) = &app.shared {
        let counters = Counters::new(shared, Arc::clone(&app.clock));
        tasks.start(replicas::exchange_shares(Arc::clone(app), counters, stop()));
    }
    tasks.start(replicas::follow_replicas(Arc::clone(app), stop()));
    if let Some(shared) = &app.shared {
        let breakers = Breakers::new(shared);
        tasks.start(share_breakers(Arc::clone(app), breakers, stop()));
    }
    tasks.start(follow_limits(Arc::clone(app), stop()));
    tasks.start(tidy_metrics(Arc::clone(app), stop()));
    tasks.start(alarms::tell_of_alerts(
        Arc::clone(app),
        queues.alerts,
        stop(),
    ));
    let unread = queues.unread_writes;
    tasks.start(alarms::tell_of_unread_writes(
        Arc::clone(app),
        unread,
        stop(),
    ));
    tasks.start(keep_house(Arc::clone(app), stop()));
    tasks.start(remove_ended_files(Arc::clone(app), stop()));
    tasks.start(work_on_batches(Arc::clone(app), Arc::clone(tasks), stop()));
    let tasks_of = || Arc::clone(tasks);
    tasks.start(queues::drain(Arc::clone(app), queues.drains, tasks_of()));
    tasks.start(queues::make_answers(
        Arc::clone(app),
        queues.jobs,
        tasks_of(),
    ));
    tasks.start(follow_cancelled(Arc::clone(app), stop()));
    tasks.start(queues::send_copies(
        Arc::clone(app),
        queues.copies,
        tasks_of(),
    ));
    tasks.start(health::probe_providers(Arc::clone(app), stop()));
    tasks.start(health::send_canaries(Arc::clone(app), stop()));
    if let Some(cache) = app.cache.clone().filter(|_| app.shared.is_some()) {
        tasks.start(follow_forgotten(cache, stop()));
    }
    if let Some(work) = queues.cache_work {
        tasks.start(queues::finish_cache_work(Arc::clone(app), work, tasks_of()));
    }
    if let Some(period) = sync {
        tasks.start(sync_journal(Arc::clone(app), period, stop()));
    }
}

/// Brings the ends of calls into the journal that nobody was left to write.
async fn write_ends(app: Shared, mut stop: Stop) {
    let mut goes_on = true;
    while goes_on {
        tokio::select! {
            () = app.ledger.ends_wait() => goes_on = stop.pause(END_PATIENCE).await,
            () = stop.requested() => goes_on = false,
        }
        app.ledger.write_ends();
    }
}

/// Tells the other replicas which targets fail, and hears it from them. Nobody waits for it: while nothing is
/// shared, each goes by what it sees itself.
async fn share_breakers(app: Shared, breakers: Breakers, mut stop: Stop) {
    let mut untold: Vec<BreakerTurn> = Vec::new();
    let stagger = stagger(app.replicas.id());
    while stop.pause(BREAKERS_PAUSE).await {
        let routes = app.gateway.routes();
        let health = routes.health();
        untold.extend(health.turns(app.clock.moment()));
        // The last word on a target is the one that counts.
        let first = untold.len().saturating_sub(MAX_UNTOLD);
        untold.drain(..first);
        let heard = match breakers.tell(&untold).await {
            Ok(()) => {
                untold.clear();
                breakers.hear().await
            }
            Err(error) => Err(error),
        };
        match heard {
            Ok(turns) => health.hear(&turns, stagger, app.clock.moment()),
            Err(error) => tracing::debug!(%error, "breakers are not shared for now"),
        }
    }
}

/// By how much a replica steps back where several might try at once: another time at most others.
fn stagger(replica: ReplicaId) -> Duration {
    let sum = replica.to_string().bytes().map(u32::from).sum::<u32>();
    STAGGER * (sum % STAGGERS)
}

/// Brings ended calls into the store. Ends when it is time to stop and everything is recorded; what is
/// not stays in the journal for the next start.
async fn record_calls(app: Shared, mut stop: Stop) {
    let ledger = Arc::clone(&app.ledger);
    let mut recorder = Recorder::new(app);
    let mut is_stopping = false;
    loop {
        if is_stopping {
            ledger.write_ends();
        }
        let handover = ledger.handover().await;
        match ledger.take_batch(BATCH) {
            Ok(batch) if !batch.is_empty() => {
                let is_full = batch.calls().len() >= BATCH;
                if !recorder.record(batch, &mut stop).await {
                    return;
                }
                drop(handover);
                // What came meanwhile is few: on its own it would cost the store as much as many.
                if !is_full && !is_stopping {
                    is_stopping = !stop.pause(GATHER).await;
                }
            }
            Ok(_) if is_stopping => return recorder.release().await,
            Ok(_) => {
                drop(handover);
                tokio::select! {
                    () = ledger.calls_ended() => {
                        is_stopping = !stop.pause(GATHER).await;
                    }
                    () = tokio::time::sleep(RELEASE_PAUSE), if recorder.holds_receipts() => {}
                    () = stop.requested() => is_stopping = true,
                }
            }
            Err(error) => {
                drop(handover);
                tracing::error!(%error, "the journal cannot be read back");
                if !stop.pause(STORE_PAUSE).await {
                    return;
                }
            }
        }
        recorder.keep_payloads().await;
        if recorder.is_release_due() {
            recorder.release().await;
        }
    }
}

/// Writes calls to the store, and lets the journal go once the store has them on its disk.
struct Recorder {
    app: Shared,
    receipts: Vec<Receipt>,
    released: Moment,
}

impl Recorder {
    fn new(app: Shared) -> Self {
        let released = app.clock.moment();
        Self {
            app,
            receipts: Vec::new(),
            released,
        }
    }

    /// Records a batch, however long the store takes; answers whether it did before it was time to
    /// stop.
    async fn record(&mut self, batch: Batch, stop: &mut Stop) -> bool {
        let mut has_failed = false;
        while !batch.calls().is_empty() {
            let Err(error) = self.app.store.record_calls(batch.calls()).await else {
                break;
            };
            if !std::mem::replace(&mut has_failed, true) {
                tracing::error!(
                    error = %Causes(&error),
                    "calls cannot be recorded; the journal keeps them until they are"
                );
            }
            if !stop.pause(STORE_PAUSE).await {
                return false;
            }
        }
        if has_failed {
            tracing::info!("calls are recorded again");
        }
        self.receipts.push(self.app.ledger.recorded(batch));
        true
    }

    /// Writes down what was said, where it is kept. What the store does not take is lost.
    async fn keep_payloads(&mut self) {
        loop {
            let batch = self.app.payloads.take_batch(PAYLOADS);
            if batch.is_empty() {
                return;
            }
            if let Err(error) = self.app.store.keep_payloads(&batch).await {
                let error = Causes(&error);
                tracing::error!(%error, count = batch.len(), "payloads could not be kept");
                return;
            }
        }
    }

    fn holds_receipts(&self) -> bool {
        !self.receipts.is_empty()
    }

    fn is_release_due(&self) -> bool {
        let waited = self.app.clock.moment().since(self.released);
        self.holds_receipts() && waited >= RELEASE_PAUSE
    }

    async fn release(&mut self) {
        self.released = self.app.clock.moment();
        if !self.holds_receipts() {
            return;
        }
        if let Err(error) = self.app.store.make_durable().await {
            let error = Causes(&error);
            tracing::debug!(%error, "the store is not yet on its disk; the journal stays");
            return;
        }
        if let Err(error) = self.app.ledger.release(&std::mem::take(&mut self.receipts)) {
            tracing::warn!(%error, "a journal segment could not be deleted");
        }
    }
}

/// Brings into the store what waits for it, and waits on while it fails. Ends when it is time to stop and
/// everything is written, or the store fails then.
async fn write_backlog(backlog: Arc<dyn Backlog>, what: &'static str, mut stop: Stop) {
    let mut is_stopping = false;
    let mut has_failed = false;
    loop {
        match backlog.write(BACKLOG).await {
            Ok(0) if is_stopping => return,
            Ok(0) => {
                tokio::select! {
                    () = backlog.arrived() => {}
                    () = stop.requested() => is_stopping = true,
                }
            }
            Ok(_) => has_failed = false,
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::error!(error = %Causes(&error), "{what} cannot be kept for now");
                }
                if is_stopping {
                    return;
                }
                is_stopping = !stop.pause(STORE_PAUSE).await;
            }
        }
    }
}

async fn follow_keys(app: Shared, mut stop: Stop) {
    let mut revisions = (0, 0);
    let mut has_failed = false;
    loop {
        match follow(&app, revisions).await {
            Ok(followed) => {
                revisions = followed;
                has_failed = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(
                        error = %Causes(&error),
                        "changes of keys and tenants cannot be followed; what is known stays as it is"
                    );
                }
            }
        }
        if !stop.pause(KEYS_PAUSE).await {
            return;
        }
    }
}

async fn follow(
    app: &App,
    (tenants, keys): (TenantRevision, KeyRevision),
) -> Result<(TenantRevision, KeyRevision), StoreError> {
    let tenants = app.tenants.follow(tenants).await?;
    Ok((tenants, app.desk.follow(keys).await?))
}

/// Follows limits that other processes changed, and what calls are found to have cost.
async fn follow_limits(app: Shared, mut stop: Stop) {
    let mut has_failed = false;
    let replica = app.shared.as_ref().map(|_| app.replicas.id());
    while stop.pause(KEYS_PAUSE).await {
        let mut followed = app.limit_desk.follow().await;
        if followed.is_ok() {
            followed = app.limit_desk.follow_corrections(replica).await;
        }
        match followed {
            Ok(()) => has_failed = false,
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(
                        error = %Causes(&error),
                        "changes of limits, and of what calls cost, cannot be followed; what is known stays as it is"
                    );
                }
            }
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
        let unread = app.prompt_watch.sweep(app.clock.now());
        app.telemetry.unread(unread);
    }
}

async fn keep_house(app: Shared, mut stop: Stop) {
    loop {
        if let Err(error) = tidy_store(&app).await {
            tracing::warn!(
                error = %Causes(&error),
                "housekeeping failed"
            );
        }
        if !stop.pause(HOUSEKEEPING_PAUSE).await {
            return;
        }
    }
}

/// Makes the partitions to come, and deletes everything whose time has passed, a little at a time.
async fn tidy_store(app: &Shared) -> Result<(), StoreError> {
    let (store, now) = (&app.store, app.clock.now());
    app.limits.tidy();
    store.prepare_partitions(now).await?;
    let all = u64::from(EXPIRED);
    let long_ago = now.checked_sub(SILENT_REPLICAS).unwrap_or(Timestamp::MIN);
    store.drop_silent_replicas(long_ago).await?;
    while store.drop_expired_payloads(now, EXPIRED).await? == all {}
    while store.drop_expired_responses(now, EXPIRED).await? == all {}
    while store.drop_expired_turns(now, EXPIRED).await? == all {}
    while store.drop_expired_client_secrets(now, EXPIRED).await? == all {}
    store.drop_hours_before(hours_since(now), EXPIRED).await?;
    let events = now.checked_sub(EVENTS).unwrap_or(Timestamp::MIN);
    while store.drop_events_before(events, EXPIRED).await? == all {}
    let keep = SignedDuration::try_from(app.batches.rules().keep).unwrap_or(SignedDuration::MAX);
    let before = now.checked_sub(keep).unwrap_or(Timestamp::MIN);
    while store.drop_old_batches(before, EXPIRED).await? == all {}
    Ok(())
}

/// From when on what was spent is kept by the hour.
pub fn hours_since(now: Timestamp) -> Timestamp {
    now.checked_sub(SPEND_HOURS).unwrap_or(Timestamp::MIN)
}

/// Removes files whose time has passed, page by page.
async fn remove_ended_files(app: Shared, mut stop: Stop) {
    loop {
        app.uploads.tidy(app.clock.moment());
        let removed = match app.files.remove_ended(ENDED_FILES).await {
            Ok(removed) => removed,
            Err(error) => {
                tracing::warn!(
                    error = %Causes(&error),
                    "files whose time has passed cannot be removed; it is tried again"
                );
                0
            }
        };
        // A full page: there may be more.
        let pause = if removed == ENDED_FILES as usize {
            STORE_PAUSE
        } else {
            FILES_PAUSE
        };
        if !stop.pause(pause).await {
            return;
        }
    }
}

/// Works on batches until it is time to stop; then lines that were asked are waited for, and no other is.
async fn work_on_batches(app: Shared, tasks: Arc<Tasks>, mut stop: Stop) {
    let room = Arc::new(Semaphore::new(BATCHES));
    let mut has_failed = false;
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match app.batches.claim().await {
            Ok(Some(batch)) => {
                let app = Arc::clone(&app);
                tasks.start(async move {
                    let id = batch.id;
                    // The story of a batch is long: on the heap it stays where it is.
                    let worked = Box::pin(app.batches.work(&app.gateway, batch)).await;
                    if let Err(unfinished) = worked {
                        tracing::warn!(batch_id = %id, error = %Causes(&unfinished), "the work on a batch was left");
                    }
                    drop(place);
                });
                has_failed = false;
                continue;
            }
            Ok(None) => has_failed = false,
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(error = %Causes(&error), "batches cannot be looked for");
                }
            }
        }
        drop(place);
        tokio::select! {
            () = app.batches.arrived() => {}
            goes_on = stop.pause(BATCHES_PAUSE) => if !goes_on {
                return app.batches.halt();
            },
        }
    }
}

/// Ends answers that are made here and that somebody cancelled at another replica.
async fn follow_cancelled(app: Shared, mut stop: Stop) {
    while stop.pause(CANCELLED_PAUSE).await {
        if let Err(error) = app.gateway.follow_cancelled().await {
            tracing::debug!(%error, "what was cancelled elsewhere is not known for now");
        }
    }
}

/// Forgets answers that other replicas were told to forget.
async fn follow_forgotten(cache: Arc<Cache>, mut stop: Stop) {
    let mut mark = None;
    // At once: what others are told from now on concerns what is kept here.
    let mut goes_on = true;
    while goes_on {
        match cache.follow(mark.as_ref()).await {
            Ok(followed) => mark = followed,
            Err(error) => tracing::debug!(%error, "what others forget is not known for now"),
        }
        goes_on = stop.pause(FORGOTTEN_PAUSE).await;
    }
}
