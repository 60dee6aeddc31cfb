//! What tests are made of: a clock that is moved by hand, a provider that follows a script, a store in
//! memory, and a gateway between them.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::call::{
    Call, CallCursor, CallFilter, CallPage, CallStore, Payload, Spend,
};
use domain::caller::Caller;
use domain::clock::{Clock, Moment, Sleep};
use domain::egress::{Egress, EgressBody, EgressError, Outbound};
use domain::entropy::Entropy;
use domain::id::{KeyId, OrganizationId, ProjectId, ReplicaId, RequestId};
use domain::key::{Budget, ModelPattern, Origin, Rate, Role, VirtualKey};
use domain::store_error::StoreError;
use futures_util::Stream;
use jiff::Timestamp;

mod stage;

pub(crate) use stage::{ANSWER, Heard, Rules, Stage, collect};

/// When every test begins, in Unix seconds.
pub(crate) const BEGINNING: i64 = 1_790_000_000;

/// A clock that stands still until it is moved.
#[derive(Default)]
pub(crate) struct Hand(Arc<Mutex<Times>>);

#[derive(Default)]
struct Times {
    now: Duration,
    alarms: HashMap<u64, Duration>,
    last_alarm: u64,
}

struct Alarm {
    times: Arc<Mutex<Times>>,
    number: u64,
}

impl Hand {
    pub(crate) fn forward(&self, by: Duration) {
        self.0.lock().unwrap().now += by;
    }

    /// Moves to the next alarm; `false` when none is set.
    fn to_next_alarm(&self) -> bool {
        let mut times = self.0.lock().unwrap();
        let Some(next) = times.alarms.values().min().copied() else {
            return false;
        };
        times.now = times.now.max(next);
        true
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().now
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.elapsed()).unwrap();
        Timestamp::from_second(BEGINNING).unwrap() + elapsed
    }

    fn moment(&self) -> Moment {
        Moment::at(self.elapsed())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut times = self.0.lock().unwrap();
        times.last_alarm += 1;
        let number = times.last_alarm;
        let at = times.now + duration;
        times.alarms.insert(number, at);
        Box::pin(Alarm { times: Arc::clone(&self.0), number })
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let times = self.times.lock().unwrap();
        let is_due = times.alarms.get(&self.number).is_none_or(|at| *at <= times.now);
        if is_due { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.times.lock().unwrap().alarms.remove(&self.number);
    }
}

/// Polls once, as a runtime would.
pub(crate) fn poll<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs `future` to its end; whenever it waits, the clock moves to the next alarm.
pub(crate) fn run<T>(clock: &Hand, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        match poll(future.as_mut()) {
            Poll::Ready(value) => return value,
            Poll::Pending => assert!(clock.to_next_alarm(), "it waits for nothing"),
        }
    }
}

/// Entropy that is all zeros: the shortest jitter.
pub(crate) struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

struct Numbered(u64);

impl Entropy for Numbered {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
        bytes.iter_mut().zip(self.0.to_be_bytes()).for_each(|(to, from)| *to = from);
    }
}

fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn request_id() -> RequestId {
    RequestId::new(Timestamp::UNIX_EPOCH, &Numbered(next_number()))
}

pub(crate) fn replica() -> ReplicaId {
    ReplicaId::new(Timestamp::UNIX_EPOCH, &Numbered(next_number()))
}

/// A caller of a key of its own.
pub(crate) fn caller(rate: Rate, budget: Option<Budget>) -> Caller {
    Caller::holding(Arc::new(VirtualKey {
        id: KeyId::new(Timestamp::UNIX_EPOCH, &Numbered(next_number())),
        name: "test".to_owned(),
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        role: Role::Member,
        hash: [0; 32],
        previous: None,
        prefix: String::new(),
        last_four: String::new(),
        models: vec![ModelPattern::new("*")],
        addresses: Vec::new(),
        rate,
        budget,
        origin: Origin::Configuration,
        created_at: Timestamp::UNIX_EPOCH,
        rotated_at: None,
        expires_at: None,
        revoked_at: None,
    }))
}

/// A directory that is gone when the test is.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let name = format!("trunkline-test-{}-{}", std::process::id(), next_number());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The names of the files in it, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// What a scripted provider does with one request.
pub(crate) enum Act {
    /// No answer comes.
    Refuse(EgressError),
    /// The head never comes.
    Hang,
    /// An answer.
    Answer(u16, Vec<(&'static str, String)>, Vec<Step>),
}

/// What comes next of a scripted body.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Piece(Bytes),
    Break,
    Hang,
}

impl Act {
    pub(crate) fn whole(status: u16, body: &str) -> Self {
        let piece = Step::Piece(Bytes::copy_from_slice(body.as_bytes()));
        Self::Answer(status, vec![("content-type", "application/json".to_owned())], vec![piece])
    }

    pub(crate) fn stream(steps: impl IntoIterator<Item = Step>) -> Self {
        let headers = vec![("content-type", "text/event-stream".to_owned())];
        Self::Answer(200, headers, steps.into_iter().collect())
    }
}

pub(crate) fn piece(text: &str) -> Step {
    Step::Piece(Bytes::copy_from_slice(text.as_bytes()))
}

/// A provider that follows a script, and remembers what it was sent.
#[derive(Default)]
pub(crate) struct Script {
    acts: Mutex<VecDeque<Act>>,
    pub(crate) sent: Mutex<Vec<Outbound>>,
}

impl Script {
    pub(crate) fn of(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self { acts: Mutex::new(acts.into_iter().collect()), sent: Mutex::default() })
    }

    pub(crate) fn requests(&self) -> usize {
        self.sent.lock().unwrap().len()
    }
}

#[async_trait]
impl Egress for Script {
    async fn send(&self, outbound: Outbound) -> Result<http::Response<EgressBody>, EgressError> {
        self.sent.lock().unwrap().push(outbound);
        let act = self.acts.lock().unwrap().pop_front().expect("a request beyond the script");
        match act {
            Act::Refuse(error) => Err(error),
            Act::Hang => std::future::pending().await,
            Act::Answer(status, headers, steps) => {
                let mut response = http::Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                let body: EgressBody = Box::pin(Body(steps.into()));
                Ok(response.body(body).unwrap())
            }
        }
    }
}

struct Body(VecDeque<Step>);

impl Stream for Body {
    type Item = Result<Bytes, EgressError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.front() {
            Some(Step::Hang) => Poll::Pending,
            _ => Poll::Ready(self.0.pop_front().map(|step| match step {
                Step::Piece(bytes) => Ok(bytes),
                Step::Break | Step::Hang => Err(EgressError::Broken("reset".to_owned())),
            })),
        }
    }
}

/// A store in memory.
#[derive(Default)]
pub(crate) struct Memory {
    calls: Mutex<HashMap<RequestId, Call>>,
    pub(crate) is_down: AtomicBool,
}

impl Memory {
    pub(crate) fn calls(&self) -> HashMap<RequestId, Call> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl CallStore for Memory {
    async fn record_calls(&self, calls: &[Call]) -> Result<(), StoreError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it is down".into()));
        }
        let mut known = self.calls.lock().unwrap();
        for call in calls {
            known.entry(call.request_id).or_insert_with(|| call.clone());
        }
        Ok(())
    }

    async fn list_calls(
        &self,
        _: &CallFilter,
        _: Option<CallCursor>,
        _: u32,
    ) -> Result<CallPage, StoreError> {
        Ok(CallPage { calls: self.calls().into_values().collect(), next: None })
    }

    async fn call(&self, id: RequestId) -> Result<Option<Call>, StoreError> {
        Ok(self.calls().remove(&id))
    }

    async fn spend_by_key(&self, _: Timestamp) -> Result<Vec<Spend>, StoreError> {
        Ok(Vec::new())
    }

    async fn keep_payloads(&self, _: &[Payload]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn payload(&self, _: RequestId) -> Result<Option<Payload>, StoreError> {
        Ok(None)
    }

    async fn drop_expired_payloads(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}
