//! The life of a chat request, top to bottom.

mod error;
mod inbound;
mod parts;

use std::sync::Arc;

use bytes::Bytes;
use domain::call::Operation;
use domain::caller::Caller;
use domain::chat::Conversion;
use domain::name::ModelName;
use domain::response::KeptResponse;
use domain::usage::Usage;
use http::HeaderValue;
use providers::face::{Envelope, Rendering};
use providers::kind::ProviderKind;
use providers::lift;
use serde_json::json;

use crate::admit::{Admitted, priority_of, set_aside};
use crate::attempt::{
    Again, Answered, AttemptError, Begun, ChatErrand, Errand, Failure, ReadyChat, Way,
};
use crate::cache::Looked;
use crate::continuation::{self, Continuation};
use crate::estimate;
use crate::ledger::{Ending, OpenCall};
use crate::limits::{Admission, Expectation};
use crate::payload::Listener;
use crate::prepare::Prepared;
use crate::problem::provider_problem;
use crate::reply::{Passed, Reply, ReplyFacts, ReplyStream};
use crate::routes::{Plan, ResolvedTarget, Timeouts};
use crate::safe_reply::may_stand_in_for;

pub use error::ChatError;
pub use inbound::{Inbound, ReportWanted};
pub use parts::{Gateway, Parts, Settings};

impl Gateway {
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
