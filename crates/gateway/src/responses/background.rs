//! Answers that are made while nobody waits for them (`background`): queued, made by a loop of the server's,
//! and looked at, followed or cancelled in the meantime.
//!
//! Such an answer is in the store before its caller learns of it, and replaced there when it is over. If this
//! process ends before, the ledger has its call; whoever looks at the answer then is told that it failed.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::caller::Caller;
use domain::id::KeyId;
use domain::problem::{Problem, ProblemKind};
use domain::response::{KeptResponse, ResponseId};
use domain::store_error::StoreError;
use futures_util::{Stream, StreamExt, stream};
use http::HeaderValue;
use providers::openai::responses::state::background::{self, Event, EventReader};
use tokio::sync::{mpsc, watch};

use crate::chat::{ChatError, Gateway, OpenChat};
use crate::reply::{Reply, ReplyStream};

/// The most of one answer's events that is held for those who follow it, in bytes. What comes after it is
/// told by the last event, which holds the whole answer and is always held.
const MAX_EVENTS: usize = 16 * 1024 * 1024;

/// The events of an answer, as they come.
pub type Events = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// The bounded queue of answers that are to be made, and those that are being made.
#[derive(Clone)]
pub struct Jobs {
    queue: mpsc::Sender<Job>,
    running: Arc<Mutex<HashMap<ResponseId, Arc<Running>>>>,
}

/// An answer that is to be made. Dropping it cancels its call.
pub struct Job {
    open: Box<OpenChat>,
    running: Arc<Running>,
    jobs: Jobs,
}

/// An answer that is to be made or being made.
pub(crate) struct Running {
    /// What is kept of it so far.
    kept: KeptResponse,
    is_streamed: bool,
    state: watch::Sender<State>,
    events: Mutex<Log>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    phase: Phase,
    /// Why it is to stop before its end.
    stop: Option<Stop>,
    /// How many events there are.
    events: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Queued,
    Begun,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Cancelled,
    /// It was deleted, or ended elsewhere: nothing of it is kept here.
    Forgotten,
}

#[derive(Default)]
struct Log {
    events: Vec<Bytes>,
    bytes: usize,
}

/// How an answer ended.
enum Outcome {
    /// With this.
    Made(Bytes),
    Cancelled,
    /// Not.
    Failed(Problem),
}

impl Jobs {
    /// A queue of at most `capacity` answers, and its other end, which `server` reads.
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Job>) {
        let (queue, jobs) = mpsc::channel(capacity);
        let running = Arc::default();
        (Self { queue, running }, jobs)
    }

    /// An answer of the caller's that is being made here.
    pub(super) fn of(&self, caller: &Caller, id: &ResponseId) -> Option<Arc<Running>> {
        let running = self.locked().get(id).cloned();
        running.filter(|running| running.owner() == caller.key_id())
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<ResponseId, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// Queues a chat that was opened, and answers what is known of its answer by now; a stream follows it.
    pub(crate) async fn queue(
        &self,
        open: Box<OpenChat>,
        kept: KeptResponse,
    ) -> Result<Reply, ChatError> {
        let (is_streamed, facts) = (open.is_streamed(), open.facts());
        // A place first: what is kept and never made would have to be told as failed.
        let place = self.jobs.queue.clone().try_reserve_owned();
        let place = place.map_err(|_| ChatError::TooManyJobs)?;
        self.responses.begin(&kept).await?;
        let running = Arc::new(Running::new(kept, is_streamed));
        let id = running.kept.id.clone();
        self.jobs.locked().insert(id, Arc::clone(&running));
        let body = running.kept.answer.clone();
        place.send(Job {
            open,
            running: Arc::clone(&running),
            jobs: self.jobs.clone(),
        });
        Ok(if is_streamed {
            Reply::Stream {
                facts,
                content_type: HeaderValue::from_static("text/event-stream; charset=utf-8"),
                stream: Box::new(ReplyStream::following(
                    follow(running, None),
                    self.drains.clone(),
                )),
            }
        } else {
            Reply::Whole {
                facts,
                content_type: HeaderValue::from_static("application/json"),
                body,
            }
        })
    }

    /// Makes an answer. Dropping the future cancels its call, and leaves the answer as it is.
    pub async fn make(&self, job: Job) {
        let Job {
            open,
            running,
            jobs,
        } = job;
        running.note(|state| state.phase = Phase::Begun);
        let cancelled = running.until(|state| state.stop.is_some());
        let outcome = tokio::select! {
            biased;
            () = cancelled => Outcome::Cancelled,
            outcome = self.outcome(open, &running) => outcome,
        };
        let created = &running.kept.answer;
        let answer = match outcome {
            Outcome::Made(answer) => background::own(&answer, running.kept.id.as_str()),
            Outcome::Cancelled => background::cancelled(created),
            Outcome::Failed(problem) => background::failed(created, &problem),
        };
        if running.state.borrow().stop != Some(Stop::Forgotten) {
            self.responses.conclude(&running.kept, answer);
        }
        jobs.locked().remove(&running.kept.id);
        running.note(|state| state.phase = Phase::Over);
    }

    /// Has answers end that are made here and that somebody cancelled or deleted at another replica. What stands
    /// in the store then stays. Called again and again.
    pub async fn follow_cancelled(&self) -> Result<(), StoreError> {
        let made: Vec<Arc<Running>> = self.jobs.locked().values().map(Arc::clone).collect();
        let ids: Vec<ResponseId> = made.iter().map(|running| running.kept.id.clone()).collect();
        let wanted = self.responses.unreplaced(&ids).await?;
        let wanted: HashSet<ResponseId> = wanted.into_iter().collect();
        for running in made {
            if !wanted.contains(&running.kept.id) {
                running.forget();
            }
        }
        Ok(())
    }

    async fn outcome(&self, open: Box<OpenChat>, running: &Running) -> Outcome {
        match Box::pin(self.answer(open)).await {
            Ok(Reply::Whole { body, .. }) => Outcome::Made(body),
            Ok(Reply::Stream { stream, .. }) => running.hear(stream).await,
            Err(ChatError::Failed { problem, .. }) => Outcome::Failed(*problem),
            Err(error) => {
                Outcome::Failed(Problem::new(ProblemKind::Unavailable, error.to_string()))
            }
        }
    }
}

impl Running {
    fn new(kept: KeptResponse, is_streamed: bool) -> Self {
        Self {
            kept,
            is_streamed,
            state: watch::Sender::new(State {
                phase: Phase::Queued,
                stop: None,
                events: 0,
            }),
            events: Mutex::default(),
        }
    }

    fn owner(&self) -> KeyId {
        self.kept.key_id
    }

    /// What is known of the answer by now.
    pub(super) fn answer(&self) -> Bytes {
        if self.state.borrow().phase >= Phase::Begun {
            background::in_progress(&self.kept.answer)
        } else {
            self.kept.answer.clone()
        }
    }

    /// Whether it was to be streamed, so that there are events to follow.
    pub(super) fn is_streamed(&self) -> bool {
        self.is_streamed
    }

    /// Has it end.
    pub(super) fn cancel(&self) {
        self.note(|state| {
            state.stop.get_or_insert(Stop::Cancelled);
        });
    }

    /// Has nothing kept of it.
    pub(super) fn forget(&self) {
        self.note(|state| state.stop = Some(Stop::Forgotten));
    }

    /// Waits until the answer is what it is.
    pub(super) async fn over(&self) {
        self.until(|state| state.phase == Phase::Over).await;
    }

    fn note(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    async fn until(&self, is_so: impl FnMut(&State) -> bool) {
        // The sender is here, so that waiting ends only when it is so.
        let waited = self.state.subscribe().wait_for(is_so).await.map(|_| ());
        drop(waited);
    }

    /// Hears the stream of an answer to its end, for those who follow it.
    async fn hear(&self, mut stream: Box<ReplyStream>) -> Outcome {
        let mut reader = EventReader::new(self.kept.id.as_str());
        while let Some(piece) = stream.next().await {
            for event in reader.push(&piece) {
                self.log(event);
            }
        }
        match reader.finish() {
            Ok(answer) => Outcome::Made(answer),
            Err(problem) => Outcome::Failed(Problem::new(
                ProblemKind::ProviderFailed,
                problem.unwrap_or_else(|| "The provider's answer broke off.".to_owned()),
            )),
        }
    }

    fn log(&self, event: Event) {
        let mut log = self.logged();
        log.bytes += event.bytes.len();
        if log.bytes <= MAX_EVENTS || event.is_last {
            log.events.push(event.bytes);
            let events = log.events.len();
            self.note(|state| state.events = events);
        }
    }

    fn logged(&self) -> MutexGuard<'_, Log> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event of this number, once it is there; `None` when none will be.
    async fn event(&self, number: usize) -> Option<Bytes> {
        self.until(|state| state.phase == Phase::Over || state.events > number)
            .await;
        self.logged().events.get(number).cloned()
    }
}

/// The events of an answer that is being made, as they come, from the one after the number `after` on.
pub(super) fn follow(running: Arc<Running>, after: Option<u64>) -> Events {
    let seen = |after: u64| {
        usize::try_from(after)
            .unwrap_or(usize::MAX)
            .saturating_add(1)
    };
    let first = after.map_or(0, seen);
    Box::pin(stream::unfold(
        (running, first),
        |(running, number)| async move {
            let event = running.event(number).await?;
            Some((event, (running, number + 1)))
        },
    ))
}
