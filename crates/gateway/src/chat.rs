//! The life of a chat request, top to bottom.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use domain::call::Operation;
use domain::caller::Caller;
use domain::chat::Conversion;
use domain::clock::{Clock, Moment};
use domain::egress::Egress;
use domain::entropy::Entropy;
use domain::id::{BatchId, RequestId};
use domain::name::{ModelName, ProviderName};
use domain::response::KeptResponse;
use domain::socket::SocketEgress;
use domain::store_error::StoreError;
use domain::tokenizer::Tokenizers;
use domain::usage::Usage;
use http::HeaderValue;
use jiff::Timestamp;
use providers::dialect::Refusal;
use providers::face::{Asked, Envelope, Face, InvalidRequest, Rendering};
use providers::kind::ProviderKind;
use providers::lift;
use serde_json::json;

use crate::admit::{Admitted, priority_of, set_aside};
use crate::attempt::{
    Again, Answered, AttemptError, Begun, ChatErrand, Courier, Errand, Failure, ReadyChat, Way,
};
use crate::cache::{Cache, Looked};
use crate::continuation::{self, Continuation};
use crate::custody::Custody;
use crate::drain::Drains;
use crate::estimate;
use crate::files::{FileError, Files};
use crate::ledger::{Ending, JournalError, Ledger, OpenCall, Opening};
use crate::limits::{Admission, Expectation, LimitReached, Limits};
use crate::media::MediaRules;
use crate::payload::{Listener, Payloads};
use crate::plan::Routing;
use crate::prepare::Prepared;
use crate::problem::provider_problem;
use crate::prompt_cache::PromptCache;
use crate::realtime::SocketRules;
use crate::reply::{Passed, Reply, ReplyFacts, ReplyStream};
use crate::responses::{Jobs, Responses};
use crate::routes::{NoTarget, Plan, ResolvedTarget, Routes, Timeouts, UnknownModel, Wishes};
use crate::safe_reply::may_stand_in_for;
use crate::shadow::Shadows;

/// Bounds that hold for every call.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The largest whole answer that is taken from a provider, in bytes.
    pub max_response: usize,
    /// The most messages of one request.
    pub max_messages: usize,
    /// Bounds on fetching what a target cannot fetch.
    pub media: MediaRules,
    /// Bounds on conversations over sockets.
    pub sockets: SocketRules,
    /// By what the tokens of which models are counted, where their provider cannot be asked.
    pub tokenizers: Tokenizers,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_response: 64 * 1024 * 1024,
            max_messages: 10_000,
            media: MediaRules::default(),
            sockets: SocketRules::default(),
            tokenizers: Tokenizers::default(),
        }
    }
}

/// What a gateway is made of.
pub struct Parts {
    /// Which target serves which name; replaced by a reload.
    pub routes: Arc<Routes>,
    /// Where calls are written down.
    pub ledger: Arc<Ledger>,
    /// What callers may use up.
    pub limits: Arc<Limits>,
    /// Where answers go whose callers went away.
    pub drains: Drains,
    /// Keeps what was said, where it is wanted.
    pub payloads: Arc<Payloads>,
    /// Keeps answers that callers refer to later.
    pub responses: Arc<Responses>,
    /// Files that callers refer to, and media that is handed out.
    pub files: Arc<Files>,
    /// Where answers go that are made in the background.
    pub jobs: Jobs,
    /// Where copies of calls go that are sent elsewhere too.
    pub shadows: Shadows,
    /// Keeps the reasoning state that clients leave out; `None` keeps none.
    pub custody: Option<Arc<Custody>>,
    /// Keeps answers to be given again; `None` keeps none.
    pub cache: Option<Arc<Cache>>,
    /// How requests leave.
    pub egress: Arc<dyn Egress>,
    /// How conversations with providers begin.
    pub sockets: Arc<dyn SocketEgress>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Bounds.
    pub settings: Settings,
}

/// Takes requests, and answers them.
pub struct Gateway {
    pub(crate) responses: Arc<Responses>,
    pub(crate) jobs: Jobs,
    pub(crate) shadows: Shadows,
    pub(crate) routes: ArcSwap<Routes>,
    pub(crate) routing: Routing,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) drains: Drains,
    pub(crate) payloads: Arc<Payloads>,
    pub(crate) files: Arc<Files>,
    pub(crate) custody: Option<Arc<Custody>>,
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) prompt_cache: PromptCache,
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) sockets: Arc<dyn SocketEgress>,
    pub(crate) courier: Courier,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) settings: Settings,
}

/// A request as it arrived: a chat, or with another `Api` a [task](crate::task).
pub struct Inbound<Api: ?Sized + 'static = dyn Face> {
    /// Its identifier.
    pub request_id: RequestId,
    /// When it arrived.
    pub started_at: Timestamp,
    /// The same on the monotonic clock.
    pub received: Moment,
    /// The API that is spoken.
    pub face: &'static Api,
    /// The same as it is recorded.
    pub face_name: domain::call::Face,
    /// What it says beside its body.
    pub asked: Asked,
    /// Its body.
    pub body: Bytes,
    /// The caller's own identifier (`x-client-request-id`).
    pub client_request_id: Option<String>,
    /// The batch that it is a line of.
    pub batch_id: Option<BatchId>,
    /// The caller's trace (W3C Trace Context).
    pub traceparent: Option<String>,
    /// What the caller wants to be told beside the answer.
    pub report: ReportWanted,
    /// What the caller wishes for the choice of a target.
    pub wishes: Option<Box<Wishes>>,
}

/// What the caller wants to be told beside the answer (`x-trunkline-report`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportWanted {
    /// What it cost, line by line.
    pub cost: bool,
    /// What a translation carried, changed, dropped.
    pub conversion: bool,
}

impl ReportWanted {
    /// Whether anything is wanted.
    pub fn any(self) -> bool {
        self.cost || self.conversion
    }
}

/// Why a chat request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The request is not what the face allows.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// There are more messages than [`Settings::max_messages`].
    #[error("the request has {count} messages and at most {max} are taken")]
    TooManyMessages {
        /// How many there are.
        count: usize,
        /// How many are taken.
        max: usize,
    },
    /// No target serves the model.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// No target of the model is for this request.
    #[error(transparent)]
    NoTarget(#[from] NoTarget),
    /// The caller's key does not permit the model.
    #[error("the key does not permit model {0}")]
    ModelNotPermitted(ModelName),
    /// The caller's key does not permit requests that pass to a vendor's own API.
    #[error("the key does not permit requests that pass")]
    PassingNotPermitted,
    /// The caller's key has a budget, and what the request takes cannot be metered.
    #[error("the key has a budget and the request cannot be metered")]
    CannotBeMetered,
    /// There is no provider of this name, or none that is meant.
    #[error("no such provider")]
    UnknownProvider {
        /// What is wrong and what would be right: a sentence.
        detail: String,
    },
    /// A limit of the caller's is reached.
    #[error(transparent)]
    LimitReached(#[from] LimitReached),
    /// The caller's key has a budget, and what the model costs is not known: the budget could not hold.
    #[error("the key has a budget and model {model} of provider {provider} has no price")]
    Unpriced {
        /// The provider.
        provider: ProviderName,
        /// The model in the provider's words.
        model: String,
    },
    /// The target cannot do what is asked.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The route is strict, and the translation would drop something.
    #[error("the route is strict and the target cannot take everything")]
    WouldDrop(Conversion),
    /// What the request refers to is not kept, or is another caller's.
    #[error("what the request refers to is not kept here")]
    NotKept {
        /// What is missing: a sentence.
        detail: String,
        /// The field that refers to it.
        param: String,
    },
    /// As many answers are made in the background as there is room for.
    #[error("no more answers can be made in the background")]
    TooManyJobs,
    /// What the request refers to cannot be looked up.
    #[error("the store did not answer")]
    Store(#[from] StoreError),
    /// A file that the request refers to cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The call cannot be written down, so it was not sent.
    #[error(transparent)]
    Ledger(#[from] JournalError),
    /// Every attempt failed.
    #[error("all {attempts} attempts failed")]
    Failed {
        /// What the caller is told.
        problem: Box<domain::problem::Problem>,
        /// The provider.
        provider: ProviderName,
        /// How often it was tried.
        attempts: usize,
    },
}

impl ChatError {
    /// Whether it is about one target, so that another may take the request.
    fn is_of_target(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::WouldDrop(_))
    }
}

impl Gateway {
    /// A gateway of these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            routes: ArcSwap::new(parts.routes),
            routing: Routing::default(),
            ledger: parts.ledger,
            limits: parts.limits,
            drains: parts.drains,
            payloads: parts.payloads,
            responses: parts.responses,
            files: parts.files,
            jobs: parts.jobs,
            shadows: parts.shadows,
            custody: parts.custody,
            cache: parts.cache,
            prompt_cache: PromptCache::default(),
            courier: Courier::new(Arc::clone(&parts.egress), Arc::clone(&parts.clock)),
            egress: parts.egress,
            sockets: parts.sockets,
            clock: parts.clock,
            entropy: parts.entropy,
            settings: parts.settings,
        }
    }

    /// The routes in force.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Puts other routes in force. Calls that have begun go on as they were planned.
    pub fn replace_routes(&self, routes: Arc<Routes>) {
        routes.health().forget_keys();
        self.routes.store(routes);
        self.courier.forget_credentials();
    }

    /// Answers a chat request. One that is to be answered in the background is queued.
    ///
    /// Dropping the future cancels the call: the provider sees the caller go, and the ledger records it.
    pub async fn chat(&self, caller: &Caller, inbound: Inbound) -> Result<Reply, ChatError> {
        match self.open(caller, inbound).await? {
            Opened::Answered(reply) => Ok(*reply),
            Opened::Call(open, None) => self.answer(open).await,
            // Seldom: on the heap it does not make every call's story larger.
            Opened::Call(open, Some(begun)) => Box::pin(self.queue(open, *begun)).await,
        }
    }

    /// Opens the call of a chat request, so that all that is left to do is to send it, unless the cache
    /// answers it.
    async fn open(&self, caller: &Caller, mut inbound: Inbound) -> Result<Opened, ChatError> {
        inbound.body = inbound.face.read(inbound.body)?;
        let mut envelope = lift::envelope(inbound.face, &inbound.asked, &inbound.body)?;
        self.check(caller, &envelope)?;
        let mut plan = self.plan_chat(caller, &inbound, &envelope)?;
        let recalled = self
            .recall(caller, &mut inbound, &mut envelope, &mut plan)
            .await?;
        self.keep_with_issuer(caller, &inbound, &mut plan).await;
        let counted_in = self.admit(caller, &inbound, &envelope).await?;
        // After the estimate, which would take the bytes of a file for words.
        self.attach_files(caller, &mut inbound, &mut envelope, &plan)
            .await?;
        let looked = match &self.cache {
            Some(cache) if !recalled.background => {
                let (asked, estimate) = (&recalled.asked, &counted_in.1);
                let rendering = || rendering(&inbound, asked, &envelope, plan.target(), estimate);
                let looked =
                    cache.look_up_chat(self, caller, &inbound, &envelope, &plan, rendering);
                // Large and not always needed: on the heap it does not make every call's story larger.
                Box::pin(looked).await?
            }
            _ => Looked::Bypassed,
        };
        let is_miss = matches!(looked, Looked::Missed(_));
        let recorder = match looked {
            Looked::Bypassed => None,
            Looked::Missed(recorder) => recorder,
            Looked::Found(found) => {
                inbound.body = recalled.asked;
                let listener = self.listen(caller, &inbound);
                let listener = self.payloads.remember(listener, recalled.memory);
                let admitted = Admitted::at_no_price(counted_in);
                let (model, operation) = (envelope.model, Operation::Chat);
                let reply = self.replay(
                    found, operation, caller, inbound, model, &plan, admitted, listener,
                );
                return Ok(Opened::Answered(Box::new(Box::pin(reply).await?)));
            }
        };
        let (admission, estimate) = counted_in;
        let admitted = set_aside(admission, &mut plan, estimate, inbound.started_at).await?;
        let (at, prepared) = self
            .prepare_first(caller, &inbound, &envelope, &plan)
            .await?;
        let again = (plan.candidates.len() > 1).then(|| {
            Box::new(Again {
                caller: caller.clone(),
                inbound: inbound.clone(),
                envelope: envelope.clone(),
                asked: recalled.asked.clone(),
                estimated_input_tokens: admitted.estimate.input_tokens,
            })
        });
        let errand = ChatErrand {
            is_continued: envelope.stream && continuation::is_wanted(&plan, &inbound),
            face: inbound.face,
            streamed: envelope.stream,
            choices: envelope.choices,
            report: inbound.report,
            again,
        };
        let ready = self.ready(
            prepared,
            caller,
            &inbound,
            &envelope,
            &plan.candidates.at(at).target,
            admitted.estimate.input_tokens,
            recalled.asked.clone(),
        );
        let copy = self.copy(&plan, caller, &inbound, &envelope, &recalled, &admitted);
        inbound.body = recalled.asked;
        let listener = self.listen(caller, &inbound);
        let (begun, memory) = match recalled.memory {
            Some(memory) if recalled.background => (memory.begun(&ready.rendering), None),
            memory => (None, memory),
        };
        let listener = self.payloads.remember(listener, memory);
        let listener = self.payloads.record(listener, recorder);
        let (streamed, model) = (envelope.stream, envelope.model);
        let opening = inbound.opening(Operation::Chat, streamed, model, caller, &plan, admitted);
        let mut call = self.ledger.open(opening)?;
        self.offer_copy(copy);
        if is_miss {
            call.missed_cache();
        }
        if at > 0 {
            call.turn_to(&plan.candidates.at(at).target)?;
        }
        let open = Box::new(OpenChat {
            errand,
            plan,
            at,
            ready,
            call,
            listener,
        });
        Ok(Opened::Call(open, begun.map(Box::new)))
    }

    /// Makes a chat ready for the first candidate that takes it, and says which that is.
    async fn prepare_first(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
        plan: &Plan,
    ) -> Result<(usize, Prepared), ChatError> {
        let (target, strict) = (plan.target(), plan.strict);
        match self
            .prepare(caller, inbound, envelope, target, strict)
            .await
        {
            Ok(prepared) => Ok((0, prepared)),
            Err(error) if error.is_of_target() && plan.candidates.len() > 1 => {
                Box::pin(self.prepare_other(caller, inbound, envelope, plan, error)).await
            }
            Err(error) => Err(error),
        }
    }

    /// The same of the candidates after the first, which refused. What the first said is told where no other
    /// takes it.
    async fn prepare_other(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
        plan: &Plan,
        refused: ChatError,
    ) -> Result<(usize, Prepared), ChatError> {
        for (at, candidate) in plan.candidates.iter().enumerate().skip(1) {
            let (target, strict) = (&candidate.target, plan.strict);
            match self
                .prepare(caller, inbound, envelope, target, strict)
                .await
            {
                Ok(prepared) => return Ok((at, prepared)),
                Err(error) if error.is_of_target() => {}
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    /// A chat that is prepared for a target, with what it takes to read the answer.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a chat is made of, put together in two places"
    )]
    pub(crate) fn ready(
        &self,
        prepared: Prepared,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
        target: &Arc<ResolvedTarget>,
        estimated_input_tokens: u64,
        asked: Bytes,
    ) -> ReadyChat {
        let format = prepared.dialect.format();
        let custody = self.custody.as_ref();
        ReadyChat {
            prepared,
            rendering: Rendering {
                id: inbound.request_id.to_string(),
                created: inbound.started_at,
                model: target.model.clone(),
                stream_usage: envelope.stream_usage,
                estimated_input_tokens,
                asked,
            },
            keeper: custody.map(|custody| custody.keeper(caller, target, format)),
        }
    }

    /// Sends a chat that was opened, and answers it.
    pub(crate) async fn answer(&self, open: Box<OpenChat>) -> Result<Reply, ChatError> {
        let OpenChat {
            errand,
            plan,
            at,
            ready,
            mut call,
            listener,
        } = *open;
        let mut way = Way {
            plan: &plan,
            errand,
            at,
            ready,
        };
        match self.attempt(&mut way, &mut call).await {
            Ok(answered) => {
                self.remember_answer(way.plan, way.target());
                Ok(self.reply(answered, way, call, listener).await)
            }
            Err(AttemptError::Provider(failure)) => match way.plan.safe_reply.as_deref() {
                Some(words) if may_stand_in_for(&failure) => {
                    let reply = self.reply_safely(words, *failure, way, call, listener);
                    Ok(Box::pin(reply).await)
                }
                _ => Err(failed(*failure, &plan, call)),
            },
            Err(AttemptError::Journal(error)) => Err(error.into()),
        }
    }

    /// Refuses what is too long, or not for this caller.
    pub(crate) fn check(&self, caller: &Caller, envelope: &Envelope) -> Result<(), ChatError> {
        let max = self.settings.max_messages;
        if envelope.messages > max {
            return Err(ChatError::TooManyMessages {
                count: envelope.messages,
                max,
            });
        }
        if !caller.may_use(envelope.model.as_str()) {
            return Err(ChatError::ModelNotPermitted(envelope.model.clone()));
        }
        Ok(())
    }

    /// Counts the call in; answers also what it is expected to take.
    async fn admit(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
    ) -> Result<(Admission, Usage), ChatError> {
        let max_output_tokens = envelope
            .max_output_tokens
            .map(|tokens| tokens.saturating_mul(u64::from(envelope.choices)));
        let model = Some(&envelope.model);
        self.count_in(caller, inbound, model, max_output_tokens)
            .await
    }

    /// Counts in what is a chat and need not have an envelope, and sets aside what it may cost.
    pub(crate) async fn admit_chat(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        route: Option<&ModelName>,
        max_output_tokens: Option<u64>,
        plan: &mut Plan,
    ) -> Result<Admitted, ChatError> {
        let counted_in = self.count_in(caller, inbound, route, max_output_tokens);
        let (admission, estimate) = counted_in.await?;
        set_aside(admission, plan, estimate, inbound.started_at).await
    }

    async fn count_in(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        route: Option<&ModelName>,
        max_output_tokens: Option<u64>,
    ) -> Result<(Admission, Usage), ChatError> {
        let input_tokens = estimate::input_tokens(&inbound.body);
        let expected = Expectation {
            route,
            input_tokens,
            max_output_tokens,
            priority: priority_of(caller, &inbound.asked.headers),
            is_within_call: false,
        };
        let admission = self.limits.admit(caller, expected).await?;
        let estimate = Usage::text(input_tokens, admission.expected_output_tokens());
        Ok((admission, estimate))
    }

    /// Begins to keep what is said, where it is wanted.
    pub(crate) fn listen<Api: ?Sized>(
        &self,
        caller: &Caller,
        inbound: &Inbound<Api>,
    ) -> Option<Listener> {
        let Inbound {
            request_id,
            body,
            started_at,
            ..
        } = inbound;
        self.payloads.listen(caller, *request_id, body, *started_at)
    }

    async fn reply(
        &self,
        answered: Answered,
        way: Way<'_, ChatErrand>,
        mut call: Box<OpenCall>,
        mut listener: Option<Listener>,
    ) -> Reply {
        call.answer_with(http::StatusCode::OK);
        let target = Arc::clone(way.target());
        if let Some(listener) = &mut listener {
            let is_verbatim = ChatErrand::is_verbatim(&way.ready);
            listener.answered_by(&target.provider.name, is_verbatim);
        }
        let (face, report) = (way.errand.face, way.errand.report);
        let passed = way.ready.prepared.passage.into_passed();
        match answered {
            Answered::Whole(answer) => {
                call.observe(answer.observed);
                let report = report_of(report, &passed.conversion, &mut call);
                let body = match (answer.response, &report) {
                    (None, None) => answer.body,
                    (None, Some(report)) => face.attach_report(answer.body, report),
                    (Some(response), report) => {
                        face.render(&response, &way.ready.rendering, report.as_ref())
                    }
                };
                whole(&target, answer.content_type, body, call, listener).await
            }
            Answered::Stream(mut begun) => {
                let timeouts = &way.plan.timeouts;
                if let Some(again) = way.errand.again.filter(|_| way.errand.is_continued) {
                    let (courier, plan) = (self.courier.clone(), way.plan.clone());
                    let continuation = Continuation::new(courier, plan, again, way.at);
                    begun.continuation = Some(Box::new(continuation));
                }
                self.stream(begun, timeouts, &target, passed, report, call, listener)
            }
        }
    }

    /// Hands a stream to the caller.
    #[expect(clippy::too_many_arguments, reason = "what a stream is made of")]
    pub(crate) fn stream(
        &self,
        begun: Begun,
        timeouts: &Timeouts,
        target: &ResolvedTarget,
        passed: Passed,
        report: ReportWanted,
        mut call: Box<OpenCall>,
        listener: Option<Listener>,
    ) -> Reply {
        call.first_content();
        let facts = facts(target, &call);
        let content_type = begun.content_type.clone();
        let mut listener = listener;
        if let Some(listener) = &mut listener {
            listener.content_type(&content_type);
        }
        let clock = Arc::clone(&self.clock);
        let drains = self.drains.clone();
        let stream = ReplyStream::new(
            begun, call, timeouts, target, passed, report, clock, drains, listener,
        );
        Reply::Stream {
            facts,
            content_type,
            stream: Box::new(stream),
        }
    }
}

/// Ends a call with an answer that is whole.
pub(crate) async fn whole(
    target: &ResolvedTarget,
    content_type: HeaderValue,
    body: Bytes,
    mut call: Box<OpenCall>,
    listener: Option<Listener>,
) -> Reply {
    let facts = ReplyFacts {
        cost: call.total_cost(),
        ..facts(target, &call)
    };
    if let Some(mut listener) = listener {
        listener.content_type(&content_type);
        listener.conclude(&mut call, [&body]);
        listener.hear(&body);
    }
    call.end_with_others(&Ending::Answered).await;
    Reply::Whole {
        facts,
        content_type,
        body,
    }
}

/// What became of a chat request that was opened.
enum Opened {
    /// The cache has answered it.
    Answered(Box<Reply>),
    /// It is ready to be sent; and what is kept of its answer at once, where that is made in the background.
    Call(Box<OpenChat>, Option<Box<KeptResponse>>),
}

/// A chat that is ready to be sent, on the heap since it is handed on. Dropping it gives back what was set aside.
pub(crate) struct OpenChat {
    errand: ChatErrand,
    plan: Plan,
    /// The candidate that it is ready for.
    at: usize,
    ready: ReadyChat,
    call: Box<OpenCall>,
    listener: Option<Listener>,
}

impl OpenChat {
    /// A chat that is ready for the first candidate of its plan, and whose answer nobody listens to.
    pub(crate) fn new(
        errand: ChatErrand,
        plan: Plan,
        ready: ReadyChat,
        call: Box<OpenCall>,
    ) -> Box<Self> {
        Box::new(Self {
            errand,
            plan,
            at: 0,
            ready,
            call,
            listener: None,
        })
    }

    /// Whether a streamed answer is wanted.
    pub(crate) fn is_streamed(&self) -> bool {
        self.errand.streamed
    }

    /// What is said of its answer by now.
    pub(crate) fn facts(&self) -> ReplyFacts {
        facts(&self.plan.candidates.at(self.at).target, &self.call)
    }
}

/// The report that the caller wants, as it goes into the answer's `trunkline` field.
pub(crate) fn report_of(
    wanted: ReportWanted,
    conversion: &Conversion,
    call: &mut OpenCall,
) -> Option<serde_json::Value> {
    if !wanted.any() {
        return None;
    }
    let mut report = serde_json::Map::new();
    if wanted.cost {
        report.insert("cost".to_owned(), json!(call.cost()));
    }
    if wanted.conversion {
        report.insert("conversion".to_owned(), json!(conversion));
    }
    Some(report.into())
}

impl Clone for Inbound {
    fn clone(&self) -> Self {
        Self {
            request_id: self.request_id,
            started_at: self.started_at,
            received: self.received,
            face: self.face,
            face_name: self.face_name,
            asked: self.asked.clone(),
            body: self.body.clone(),
            client_request_id: self.client_request_id.clone(),
            batch_id: self.batch_id,
            traceparent: self.traceparent.clone(),
            report: self.report,
            wishes: self.wishes.clone(),
        }
    }
}

fn rendering(
    inbound: &Inbound,
    asked: &Bytes,
    envelope: &Envelope,
    target: &ResolvedTarget,
    estimate: &Usage,
) -> Rendering {
    Rendering {
        id: inbound.request_id.to_string(),
        created: inbound.started_at,
        model: target.model.clone(),
        stream_usage: envelope.stream_usage,
        estimated_input_tokens: estimate.input_tokens,
        asked: asked.clone(),
    }
}

impl<Api: ?Sized> Inbound<Api> {
    /// What the ledger is told when the call is opened.
    pub(crate) fn opening(
        self,
        operation: Operation,
        streamed: bool,
        request_model: ModelName,
        caller: &Caller,
        plan: &Plan,
        admitted: Admitted,
    ) -> Opening {
        Opening {
            request_id: self.request_id,
            client_request_id: self.client_request_id,
            batch_id: self.batch_id,
            started_at: self.started_at,
            received: self.received,
            operation,
            face: self.face_name,
            streamed,
            request_model,
            route: plan.route.clone(),
            variant: plan.variant(),
            shadow_of: None,
            caller: caller.clone(),
            estimate: admitted.estimate,
            priced: admitted.priced,
            facts: plan.target().facts.clone(),
            admission: admitted.admission,
            traceparent: self.traceparent,
        }
    }
}

pub(crate) fn facts(target: &ResolvedTarget, call: &OpenCall) -> ReplyFacts {
    ReplyFacts {
        provider: target.provider.name.clone(),
        model: target.model.clone(),
        is_simulated: target.provider.kind == ProviderKind::Sim,
        is_safe_reply: false,
        media_url: None,
        attempts: call.attempts(),
        cost: None,
        overhead: call.overhead(),
        cache: call.cache(),
        age: None,
        standing: call.standing(),
    }
}

/// Ends a call whose every attempt failed.
pub(crate) fn failed(failure: Failure, plan: &Plan, mut call: Box<OpenCall>) -> ChatError {
    let Failure {
        error,
        at,
        same_format,
    } = failure;
    let provider = plan.candidates.at(at).target.provider.name.clone();
    let problem = provider_problem(&error, &provider, same_format);
    let attempts = call.attempts();
    call.answer_with(problem.status());
    call.end(&Ending::Failed(error));
    ChatError::Failed {
        problem: Box::new(problem),
        provider,
        attempts,
    }
}

#[cfg(test)]
mod endings;
#[cfg(test)]
mod tests;
