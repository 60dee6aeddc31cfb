//! What the gateway leaves to be done where nobody waits for it, each kind in a queue of its own.

use std::sync::Arc;
use std::time::Duration;

use gateway::cache::CacheWork;
use gateway::drain::Drain;
use gateway::responses::Job;
use gateway::shadow::CallCopy;
use tokio::sync::{Semaphore, mpsc};

use crate::app::Shared;
use crate::tasks::Tasks;

/// How long an answer without a caller is read.
const DRAIN_BOUND: Duration = Duration::from_mins(2);
/// Answers without a caller that are read at the same time.
const DRAINS: usize = 256;
/// Answers that are made in the background at the same time.
const JOBS: usize = 256;
/// Copies of calls that are under way at the same time.
const COPIES: usize = 64;
/// What the cache leaves to do is done so many at a time.
const CACHE_WORK: usize = 16;

/// What becomes of work that is under way when it is time to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AtStop {
    /// It is finished, for as long as the process may take to end.
    Finish,
    /// It is given up: its calls end, and whoever looks for an answer later is told so.
    GiveUp,
}

/// Reads answers whose callers have gone.
pub(super) async fn drain(app: Shared, drains: mpsc::Receiver<Drain>, tasks: Arc<Tasks>) {
    let clock = Arc::clone(&app.clock);
    let work = move |drain: Drain| drain.run(Arc::clone(&clock), DRAIN_BOUND);
    work_off(drains, DRAINS, &tasks, AtStop::Finish, work).await;
}

/// Makes the answers that nobody waits for.
pub(super) async fn make_answers(app: Shared, jobs: mpsc::Receiver<Job>, tasks: Arc<Tasks>) {
    let work = move |job| {
        let app = Arc::clone(&app);
        async move { app.gateway.make(job).await }
    };
    work_off(jobs, JOBS, &tasks, AtStop::GiveUp, work).await;
}

/// Sends copies of calls.
pub(super) async fn send_copies(app: Shared, copies: mpsc::Receiver<CallCopy>, tasks: Arc<Tasks>) {
    let work = move |copy| {
        let app = Arc::clone(&app);
        async move { app.gateway.send_copy(copy).await }
    };
    work_off(copies, COPIES, &tasks, AtStop::GiveUp, work).await;
}

/// Shares with other replicas what was kept, and judges what a semantic cache would have answered.
pub(super) async fn finish_cache_work(
    app: Shared,
    queue: mpsc::Receiver<CacheWork>,
    tasks: Arc<Tasks>,
) {
    let Some(cache) = app.cache.clone() else {
        return;
    };
    let work = move |work| {
        let (app, cache) = (Arc::clone(&app), Arc::clone(&cache));
        async move { cache.finish(work, &app.gateway).await }
    };
    work_off(queue, CACHE_WORK, &tasks, AtStop::Finish, work).await;
}

/// Does what comes through a queue, so much of it at a time, until it is time to stop.
async fn work_off<T, W>(
    mut queue: mpsc::Receiver<T>,
    at_once: usize,
    tasks: &Tasks,
    at_stop: AtStop,
    work: impl Fn(T) -> W,
) where
    W: Future<Output = ()> + Send + 'static,
{
    let mut stop = tasks.stop_signal();
    let room = Arc::new(Semaphore::new(at_once));
    loop {
        let next = async {
            // The semaphore is never closed.
            let place = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((queue.recv().await?, place))
        };
        let (next, place) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => return,
            },
            () = stop.requested() => return,
        };
        let done = work(next);
        let mut stop = tasks.stop_signal();
        tasks.start(async move {
            tokio::select! {
                () = done => {}
                () = stop.requested(), if at_stop == AtStop::GiveUp => {}
            }
            drop(place);
        });
    }
}
