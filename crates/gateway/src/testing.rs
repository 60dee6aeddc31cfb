//! What tests are made of: a clock that is moved by hand, a provider that follows a script, a store in
//! memory, and a gateway between them.

use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use domain::call::{Attempt, AttemptReason, CacheOutcome, Call, CallState, Face, Operation};
use domain::caller::Caller;
use domain::egress::Reach;
use domain::entropy::Entropy;
use domain::id::{KeyId, OrganizationId, ProjectId, ReplicaId, RequestId};
use domain::key::{Budget, ModelPattern, Rate, VirtualKey};
use domain::limit::Priority;
use domain::money::Cost;
use domain::name::ProviderName;
use domain::usage::Usage;
use jiff::Timestamp;

use providers::host::Host;
use providers::kind::ProviderKind;

use crate::limits::{Destination, Expectation, Outlay};
use crate::prompt_cache::PromptCaching;
use crate::routes::{HangUp, Provider};

mod batches;
mod clock;
mod files;
mod line;
mod memory;
mod provider;
mod schedules;
mod stage;

pub(crate) use batches::KeptBatches;
pub(crate) use clock::{BEGINNING, Hand};
pub(crate) use files::{Records, Shelf};
pub(crate) use line::{FarEnd, Lines, line};
pub(crate) use memory::Memory;
pub(crate) use provider::{Act, Script, Step, piece};
pub(crate) use schedules::try_schedules;
pub(crate) use stage::{ANSWER, CUSTODY, Heard, Keys, Rules, Stage, collect, target};

/// Polls as a runtime would: again for as long as it says that it can go on.
pub(crate) fn poll<T>(mut future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() || !woken.0.swap(false, Ordering::Relaxed) {
            return polled;
        }
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
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

/// Runs a future that waits for nothing but the store in memory.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    run(&Hand::default(), future)
}

/// OpenAI as a configured provider.
pub(crate) fn provider_of_openai() -> Provider {
    Provider {
        name: "openai".parse().unwrap(),
        kind: ProviderKind::Openai,
        base_url: ProviderKind::Openai.default_base_url().to_owned(),
        credential: None,
        rotation: None,
        host: Host::NONE,
        reach: Reach::Public,
        hang_up: HangUp::default(),
        prompt_cache: PromptCaching::default(),
        region: None,
    }
}

/// A settled call of OpenAI's, of an identifier of its own.
pub(crate) fn call() -> Call {
    let caller = caller(Rate::default(), None);
    Call {
        request_id: request_id(),
        client_request_id: None,
        batch_id: None,
        started_at: Timestamp::UNIX_EPOCH,
        ended_at: Timestamp::UNIX_EPOCH,
        state: CallState::Settled,
        end_reason: None,
        operation: Operation::Chat,
        face: Face::OpenaiChat,
        streamed: false,
        provider: Some("openai".parse().unwrap()),
        request_model: "openai/gpt-4.1".parse().unwrap(),
        response_model: None,
        route: None,
        key_id: KeyId::new(Timestamp::UNIX_EPOCH, &Zeros),
        organization_id: caller.organization_id(),
        project_id: caller.project_id(),
        application_id: None,
        user_id: None,
        status: Some(200),
        error_type: None,
        finish_reason: Some("stop".to_owned()),
        attempts: vec![Attempt {
            latency_ms: Some(1),
            status: Some(200),
            ..Attempt::new(
                1,
                "openai".parse().unwrap(),
                "gpt-4.1".to_owned(),
                AttemptReason::First,
                Timestamp::UNIX_EPOCH,
            )
        }],
        usage: Usage::default(),
        cost_usd: None,
        price_source: None,
        cache: CacheOutcome::Bypass,
        variant: None,
        shadow_of: None,
        saved_usd: None,
        latency_ms: 1,
        time_to_first_token_ms: None,
        overhead_us: 1,
    }
}

/// Entropy that is all zeros: the shortest jitter.
pub(crate) struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Entropy that never repeats itself.
#[derive(Default)]
pub(crate) struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        Numbered(self.0.fetch_add(1, Ordering::Relaxed)).fill(bytes);
    }
}

struct Numbered(u64);

impl Entropy for Numbered {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
        bytes
            .iter_mut()
            .zip(self.0.to_be_bytes())
            .for_each(|(to, from)| *to = from);
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

/// What a call is expected to take: so much input, and so much output at most.
pub(crate) fn expecting(input_tokens: u64, max_output_tokens: Option<u64>) -> Expectation<'static> {
    Expectation {
        route: None,
        input_tokens,
        max_output_tokens,
        priority: Priority::Normal,
        is_within_call: false,
    }
}

/// A target that no test is about.
pub(crate) fn somewhere(provider: &ProviderName) -> Destination<'_> {
    Destination {
        provider,
        model: "some",
    }
}

/// What usually costs so much, and may cost nothing.
pub(crate) fn usually(cost: Cost) -> Outlay {
    Outlay {
        usual: cost,
        least: Cost::ZERO,
    }
}

/// The provider of a target that no test is about.
pub(crate) fn someone() -> ProviderName {
    "sim".parse().unwrap()
}

/// A caller of a key of its own.
pub(crate) fn caller(rate: Rate, budget: Option<Budget>) -> Caller {
    let id = KeyId::new(Timestamp::UNIX_EPOCH, &Numbered(next_number()));
    let (organization, project) = (OrganizationId::DEFAULT, ProjectId::DEFAULT);
    Caller::holding(Arc::new(VirtualKey {
        name: "test".to_owned(),
        models: vec![ModelPattern::new("*")],
        rate,
        budget,
        ..VirtualKey::without_text(id, organization, project, Timestamp::UNIX_EPOCH)
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
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
