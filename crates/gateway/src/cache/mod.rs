//! The cache: answers that are kept to be given again.
//!
//! An answer is found by a key (`question`) that has everything in it which decides on the answer, first in
//! the memory of this process, then where replicas share theirs. Requests that are the same and under way at
//! the same time are sent once (`flight`). What is found goes back in the caller's own format, whole or as
//! a stream (`replay`); what is not found is heard on its way back and kept (`record`).
//!
//! Where semantic answers are wanted, a request that is not the same is compared with those that are known. What was
//! asked often can be asked again before anybody does ([`warm`]).
//!
//! Where it is not configured, nothing here runs.

mod canonical;
mod control;
mod entry;
mod flight;
mod forget;
mod question;
mod record;
mod replay;
mod rules;
mod semantic;
mod vectors;
pub mod warm;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::cache::{CacheKey, SharedCache};
use domain::caller::Caller;
use domain::clock::Clock;
use domain::fleet::SharedStateError;
use domain::id::RequestId;
use jiff::Timestamp;
use providers::dialect::Format;
use providers::face::{Envelope, InvalidRequest};
use quick_cache::Weighter;
use serde::Serialize;
use tokio::sync::mpsc;

pub use forget::Evicted;
pub(crate) use record::Recorder;
pub(crate) use replay::Found;
pub use rules::{CacheRules, CacheScope, Caching};
pub use semantic::{Embedding, Semantic, SemanticMode, SemanticRules, SemanticStats};

use self::control::Control;
use self::entry::{Entry, Form};
use self::flight::{Flights, Joined, Lead};
use self::question::{Alike, Asking};
use self::semantic::{Asker, Compared, Place};
use self::vectors::OnBehalf;
use crate::chat::{Gateway, Inbound};
use crate::routes::Plan;
use crate::within::within;

/// What one answer takes on average, from which the number of entries is estimated, in bytes.
const USUAL_ENTRY: u64 = 8 * 1024;
/// How many calls are remembered with what answered them, so that a caller's feedback finds it.
const REMEMBERED: usize = 10_000;

/// Keeps answers, where it is wanted.
pub struct Cache {
    rules: CacheRules,
    clock: Arc<dyn Clock>,
    memory: quick_cache::sync::Cache<CacheKey, Arc<Entry>, ByWeight>,
    shared: Option<Arc<dyn SharedCache>>,
    flights: Arc<Flights>,
    /// Finds answers to what means the same; `None` where nothing but the same is looked for.
    semantic: Option<Semantic>,
    /// What answered each of the latest calls.
    answered_by: quick_cache::sync::Cache<RequestId, CacheKey>,
    work: mpsc::Sender<CacheWork>,
    counts: Counts,
}

/// What is left to do after an answer was kept. A loop of the server's does it: [`Cache::finish`].
pub struct CacheWork(Work);

enum Work {
    /// Let other replicas have an answer.
    Share(CacheKey, Arc<Entry>),
    /// Compare what would have been served with the real answer.
    Judge(Box<Judgement>),
    /// Have what was asked found without looking at all of it.
    Arrange(Place),
}

/// What would have been served and the real answer, both in the words of a format, and to whom.
struct Judgement {
    would_serve: Arc<Entry>,
    real: Arc<Entry>,
    format: Format,
    caller: Caller,
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<CacheKey, Arc<Entry>> for ByWeight {
    fn weight(&self, _: &CacheKey, entry: &Arc<Entry>) -> u64 {
        entry.weight()
    }
}

/// What happened so far.
#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    shared_hits: AtomicU64,
    shared_failures: AtomicU64,
    followed: AtomicU64,
    stored: AtomicU64,
    refused: AtomicU64,
    work_lost: AtomicU64,
    saved_nano_usd: AtomicU64,
}

/// What happened since the process began, and what is kept now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Answers in the memory of this process.
    pub entries: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// What they may take, in bytes.
    pub max_bytes: u64,
    /// Calls that were answered because the same had been asked before.
    pub hits: u64,
    /// Calls that the cache had no answer for.
    pub misses: u64,
    /// How many of the hits another replica's answer was taken for.
    pub shared_hits: u64,
    /// How often the shared cache failed, or did not answer in time.
    pub shared_failures: u64,
    /// Calls that waited for the answer to the same one.
    pub followed: u64,
    /// Answers that were kept.
    pub stored: u64,
    /// Answers that were not kept: too large, cut off, refused, or calling tools.
    pub refused: u64,
    /// Answers that could not be shared because too many waited for that.
    pub work_lost: u64,
    /// What the calls would have cost that the cache answered, in nano-dollars.
    pub saved_nano_usd: u64,
    /// Of answers to what means the same; `None` where none are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semantic: Option<SemanticStats>,
}

/// What the cache says to a request.
pub(crate) enum Looked {
    /// It was not asked.
    Bypassed,
    /// It has no answer. Where the answer may be kept, this hears it.
    Missed(Option<Box<Recorder>>),
    /// It has one.
    Found(Found),
}

impl Cache {
    /// A cache that begins empty, and the other end of what it leaves to do, of which at most `waiting` wait.
    pub fn new(
        rules: CacheRules,
        shared: Option<Arc<dyn SharedCache>>,
        clock: Arc<dyn Clock>,
        waiting: usize,
    ) -> (Self, mpsc::Receiver<CacheWork>) {
        let (work, queue) = mpsc::channel(waiting);
        let entries = usize::try_from(rules.max_bytes / USUAL_ENTRY).unwrap_or(usize::MAX);
        let memory = quick_cache::sync::Cache::with_weighter(
            entries.clamp(64, 4 << 20),
            rules.max_bytes,
            ByWeight,
        );
        let cache = Self {
            clock,
            memory,
            shared,
            flights: Arc::default(),
            semantic: None,
            answered_by: quick_cache::sync::Cache::new(REMEMBERED),
            work,
            counts: Counts::default(),
            rules,
        };
        (cache, queue)
    }

    /// The same cache, which also answers what means the same.
    #[must_use]
    pub fn comparing(self, semantic: Option<Semantic>) -> Self {
        Self { semantic, ..self }
    }

    /// Does what was left to do, and asks for vectors through `gateway` where a provider makes them.
    pub async fn finish(&self, work: CacheWork, gateway: &Gateway) {
        match work.0 {
            Work::Share(key, entry) => self.share(&key, &entry).await,
            Work::Judge(judgement) => self.judge(&judgement, gateway).await,
            Work::Arrange(place) => {
                if let Some(semantic) = &self.semantic {
                    semantic.arrange(&place);
                }
            }
        }
    }

    async fn judge(&self, judgement: &Judgement, gateway: &Gateway) {
        let words = |entry| replay::words(entry, judgement.format);
        let (would_serve, real) = (words(&judgement.would_serve), words(&judgement.real));
        if let (Some(semantic), Some(would_serve), Some(real)) = (&self.semantic, would_serve, real)
        {
            let asker = Asker {
                caller: &judgement.caller,
                asks: &OnBehalf {
                    gateway,
                    caller: &judgement.caller,
                    call: judgement.real.about.origin,
                },
            };
            semantic.judge(&asker, &would_serve, &real).await;
        }
    }

    /// What happened so far, and what is kept now.
    pub fn stats(&self) -> CacheStats {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        CacheStats {
            entries: self.memory.len() as u64,
            bytes: self.memory.weight(),
            max_bytes: self.rules.max_bytes,
            hits: of(&counts.hits),
            misses: of(&counts.misses),
            shared_hits: of(&counts.shared_hits),
            shared_failures: of(&counts.shared_failures),
            followed: of(&counts.followed),
            stored: of(&counts.stored),
            refused: of(&counts.refused),
            work_lost: of(&counts.work_lost),
            saved_nano_usd: of(&counts.saved_nano_usd),
            semantic: self.semantic.as_ref().map(Semantic::stats),
        }
    }

    /// Looks for the answer to a chat.
    pub(crate) async fn look_up_chat(
        self: &Arc<Self>,
        gateway: &Gateway,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
        plan: &Plan,
        rendering: impl Fn() -> providers::face::Rendering,
    ) -> Result<Looked, InvalidRequest> {
        let face = inbound.face;
        if !self.takes_chat(caller, plan, inbound, envelope) {
            return Ok(Looked::Bypassed);
        }
        let control = Control::read(&inbound.asked.headers)?;
        if control.is_closed() {
            return Ok(Looked::Bypassed);
        }
        let reframes = face.reframes();
        let asking = Asking {
            caller,
            scope: self.rules.scope,
            api: question::api(inbound.face_name, &inbound.asked, reframes),
            fields: &face.forwarded(&inbound.asked),
            plan,
        };
        let format = face.format();
        let Some(question) = asking.question(
            &inbound.body,
            question::aside(format),
            self.semantic.is_some().then_some(format),
        ) else {
            return Ok(Looked::Bypassed);
        };
        let form = Form::of(envelope.stream, envelope.stream_usage);
        let (entry, lead) = self.find(&question.key, &control).await;
        if let Some(entry) = entry
            && let Some(found) = Found::new(&entry, form, face, &rendering)
        {
            return Ok(self.found(question.key, found, inbound.request_id));
        }
        let (alike, compared) = match question.alike {
            Some(alike) if control.serves && control.takes_alike => {
                let asks = OnBehalf {
                    gateway,
                    caller,
                    call: inbound.request_id,
                };
                let asker = Asker {
                    caller,
                    asks: &asks,
                };
                self.find_alike(&asker, &alike, &control, plan).await
            }
            _ => (None, None),
        };
        if let Some((key, entry)) = alike
            && let Some(found) = Found::new(&entry, form, face, &rendering)
        {
            if let Some(semantic) = &self.semantic {
                semantic.hit();
            }
            return Ok(self.found(key, found.by_meaning(), inbound.request_id));
        }
        let key = question.key;
        Ok(self.missed(
            key,
            lead,
            &control,
            plan,
            form,
            compared.map(|it| (it, format)),
        ))
    }

    /// Looks for an answer that is always whole and in the words of `api`.
    pub(crate) async fn look_up_task<A: ?Sized>(
        self: &Arc<Self>,
        caller: &Caller,
        inbound: &Inbound<A>,
        plan: &Plan,
    ) -> Result<Looked, InvalidRequest> {
        if !self.serves(caller, plan) || inbound.report.any() {
            return Ok(Looked::Bypassed);
        }
        let control = Control::read(&inbound.asked.headers)?;
        if control.is_closed() {
            return Ok(Looked::Bypassed);
        }
        let asking = Asking {
            caller,
            scope: self.rules.scope,
            api: inbound.face_name.as_str(),
            fields: &http::HeaderMap::new(),
            plan,
        };
        let aside = question::ASIDE_OF_TASKS;
        let Some(question) = asking.question(&inbound.body, aside, None) else {
            return Ok(Looked::Bypassed);
        };
        let (entry, lead) = self.find(&question.key, &control).await;
        if let Some(entry) = entry {
            let found = Found::whole(&entry);
            return Ok(self.found(question.key, found, inbound.request_id));
        }
        Ok(self.missed(question.key, lead, &control, plan, Form::Whole, None))
    }

    /// Whether the cache has anything to do with a chat, as far as that does not depend on what it says of it.
    fn takes_chat(
        &self,
        caller: &Caller,
        plan: &Plan,
        inbound: &Inbound,
        envelope: &Envelope,
    ) -> bool {
        let is_settled = || is_settled_by_temperature(&inbound.body, inbound.face.format());
        self.serves(caller, plan)
            && !inbound.report.any()
            && envelope.choices <= 1
            && (self.rules.sampled || is_settled())
    }

    fn serves(&self, caller: &Caller, plan: &Plan) -> bool {
        plan.caching.enabled
            && self
                .rules
                .keys
                .iter()
                .any(|pattern| pattern.matches(&caller.key().name))
    }

    /// The answer of this key, if there is one by the time that the same request under way has one; or else
    /// the lead among those that ask the same.
    async fn find(
        self: &Arc<Self>,
        key: &CacheKey,
        control: &Control,
    ) -> (Option<Arc<Entry>>, Option<Lead>) {
        if !control.serves {
            return (None, None);
        }
        if let Some(entry) = self.remembered(key, control.max_age) {
            return (Some(entry), None);
        }
        if self.rules.follow.is_zero() {
            return (self.shared(key, control.max_age).await, None);
        }
        match self.flights.join(*key) {
            Joined::Leads(lead) => match self.shared(key, control.max_age).await {
                Some(entry) => (Some(entry), None),
                None => (None, Some(lead)),
            },
            Joined::Follows(follow) => {
                self.counts.followed.fetch_add(1, Ordering::Relaxed);
                within(&*self.clock, self.rules.follow, follow.landed()).await;
                (self.remembered(key, control.max_age), None)
            }
        }
    }

    /// The answer to what means the same, and what is to be noted of this request.
    async fn find_alike(
        &self,
        asker: &Asker<'_>,
        alike: &Alike,
        control: &Control,
        plan: &Plan,
    ) -> (Option<(CacheKey, Arc<Entry>)>, Option<Compared>) {
        let Some(semantic) = &self.semantic else {
            return (None, None);
        };
        let now = self.clock.now();
        let threshold = plan.caching.threshold;
        let compared = semantic.compare(asker, alike, threshold, now);
        let (near, compared) = match within(&*self.clock, semantic.rules.wait, compared).await {
            Some(Some(compared)) => compared,
            Some(None) => return (None, None),
            None => {
                semantic.has_no_vector();
                return (None, None);
            }
        };
        let Some(key) = near else {
            return (None, Some(compared));
        };
        let entry = match self.remembered(&key, control.max_age) {
            Some(entry) => Some(entry),
            None => self.shared(&key, control.max_age).await,
        };
        (entry.map(|entry| (key, entry)), Some(compared))
    }

    fn remembered(&self, key: &CacheKey, max_age: Option<Duration>) -> Option<Arc<Entry>> {
        let entry = self.memory.get(key)?;
        let now = self.clock.now();
        if now >= entry.about.expires_at {
            self.memory.remove(key);
        }
        entry.is_fresh(now, max_age).then_some(entry)
    }

    /// What another replica has shared; it is remembered here as well.
    async fn shared(&self, key: &CacheKey, max_age: Option<Duration>) -> Option<Arc<Entry>> {
        let shared = self.shared.as_ref()?;
        let bytes = self.heard(shared.get(key).await)??;
        let entry = Arc::new(Entry::from_bytes(&bytes)?);
        if !entry.is_fresh(self.clock.now(), max_age) {
            return None;
        }
        self.counts.shared_hits.fetch_add(1, Ordering::Relaxed);
        self.memory.insert(*key, Arc::clone(&entry));
        Some(entry)
    }

    async fn share(&self, key: &CacheKey, entry: &Entry) {
        let Some(shared) = &self.shared else {
            return;
        };
        let left = entry.about.expires_at.duration_since(self.clock.now());
        let Ok(ttl) = Duration::try_from(left) else {
            return;
        };
        if let Some(bytes) = entry.to_bytes() {
            self.heard(shared.put(key, bytes, ttl).await);
        }
    }

    /// What the shared cache says; `None` where it does not.
    fn heard<T>(&self, answer: Result<T, SharedStateError>) -> Option<T> {
        answer
            .inspect_err(|error| {
                self.counts.shared_failures.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "the shared cache did not answer");
            })
            .ok()
    }

    fn found(&self, key: CacheKey, found: Found, request: RequestId) -> Looked {
        self.counts.hits.fetch_add(1, Ordering::Relaxed);
        if let Some(cost) = found.saved() {
            let nano = u64::try_from(cost.nano_dollars()).unwrap_or(0);
            self.counts
                .saved_nano_usd
                .fetch_add(nano, Ordering::Relaxed);
        }
        self.answered_by.insert(request, key);
        Looked::Found(found)
    }

    fn missed(
        self: &Arc<Self>,
        key: CacheKey,
        lead: Option<Lead>,
        control: &Control,
        plan: &Plan,
        form: Form,
        compared: Option<(Compared, Format)>,
    ) -> Looked {
        self.counts.misses.fetch_add(1, Ordering::Relaxed);
        let ttl = control.ttl.or(plan.caching.ttl).unwrap_or(self.rules.ttl);
        let recorder = control.keeps.then(|| {
            let ttl = ttl.min(self.rules.max_ttl);
            Box::new(Recorder::new(self, key, lead, ttl, form, compared, plan))
        });
        Looked::Missed(recorder)
    }

    /// Keeps an answer, and notes what it answers.
    fn keep(&self, key: CacheKey, entry: Entry, compared: Option<(Compared, Format)>) {
        self.counts.stored.fetch_add(1, Ordering::Relaxed);
        self.answered_by.insert(entry.about.origin, key);
        let entry = Arc::new(entry);
        self.memory.insert(key, Arc::clone(&entry));
        if let (Some(semantic), Some((compared, format))) = (&self.semantic, compared) {
            let mut compared = compared;
            if let Some((key, caller)) = compared.would_serve.take()
                && let Some(would_serve) = self.memory.get(&key)
            {
                self.leave(Work::Judge(Box::new(Judgement {
                    would_serve,
                    real: Arc::clone(&entry),
                    format,
                    caller,
                })));
            }
            let (made_at, expires_at) = (entry.about.made_at, entry.about.expires_at);
            if let Some(place) = semantic.note(compared, key, expires_at, made_at) {
                // Where there is no room for it, the next one that is noted there does it.
                self.work.try_send(CacheWork(Work::Arrange(place))).ok();
            }
        }
        if self.shared.is_some() {
            self.leave(Work::Share(key, entry));
        }
    }

    fn leave(&self, work: Work) {
        if self.work.try_send(CacheWork(work)).is_err() {
            self.counts.work_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn refuse(&self) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether the request sets the temperature to zero.
fn is_settled_by_temperature(body: &Bytes, format: Format) -> bool {
    let Some(node) = canonical::Node::read(body) else {
        return false;
    };
    let sampling = match format {
        Format::Gemini => node.member("generationConfig"),
        Format::BedrockConverse => node.member("inferenceConfig"),
        _ => Some(&node),
    };
    sampling.and_then(|it| it.member("temperature")) == Some(&canonical::Node::Whole(0))
}

/// Until when something of `now` is kept.
fn after(now: Timestamp, ttl: Duration) -> Timestamp {
    let ttl = jiff::SignedDuration::try_from(ttl).unwrap_or(jiff::SignedDuration::MAX);
    now.saturating_add(ttl).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
