//! The life of a task, which is everything that is not a chat: the same story as a chat's, with one request
//! and most often one whole answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::call::Operation;
use domain::caller::Caller;
use domain::clock::Moment;
use domain::egress::{EgressBody, Reach};
use domain::name::ModelName;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use futures_util::future::{self, BoxFuture};
use http::response::Parts;
use providers::face::Asked;
use providers::tap::Observed;
use providers::task::{
    PreparedTask, Task, TaskAnswer, TaskEnvelope, TaskReader, TaskStep, attach_report,
};

use crate::admit::{Admitted, priority_of, set_aside};
use crate::attempt::{
    Answered, AttemptError, Door, Errand, Way, Whole, read_whole, successful, with_status,
};
use crate::cache::{Looked, Recorder};
use crate::chat::{ChatError, Gateway, Inbound, ReportWanted, failed, report_of, whole};
use crate::files::{Delivery, Given};
use crate::ledger::OpenCall;
use crate::limits::{Admission, Expectation};
use crate::payload::Listener;
use crate::pipeline::{Pipeline, provider_error};
use crate::reply::{Passed, Reply};
use crate::routes::{Candidate, Plan, ResolvedTarget};

/// The most steps of one task: a provider that has not finished after so many questions never will.
const MAX_STEPS: usize = 1_000;

impl Gateway {
    /// Answers a task.
    ///
    /// Dropping the future cancels the call: the provider sees the caller go, and the ledger records it.
    pub async fn perform(
        &self,
        caller: &Caller,
        mut inbound: Inbound<dyn Task>,
    ) -> Result<Reply, ChatError> {
        let task = inbound.face;
        if task.continues_answers() {
            let now = inbound.started_at;
            inbound.body = self.with_references(caller, &inbound.body, now).await?;
        }
        let envelope = task.envelope(&inbound.asked, &inbound.body)?;
        if !caller.may_use(envelope.model.as_str()) {
            return Err(ChatError::ModelNotPermitted(envelope.model));
        }
        let mut plan = self.plan_task(caller, &inbound, &envelope)?;
        let (model, estimate) = (Some(&envelope.model), envelope.estimate);
        let admission = self
            .count_in_estimate(caller, &inbound, model, estimate)
            .await?;
        let looked = match &self.cache {
            Some(cache) if task.operation() == Operation::Embeddings => {
                let looked = cache.look_up_task(caller, &inbound, &plan);
                // Large and not always needed: on the heap it does not make every call's story larger.
                Box::pin(looked).await?
            }
            _ => Looked::Bypassed,
        };
        let is_miss = matches!(looked, Looked::Missed(_));
        let recorder: Option<Box<Recorder>> = match looked {
            Looked::Bypassed => None,
            Looked::Missed(recorder) => recorder,
            Looked::Found(found) => {
                let admitted = Admitted::at_no_price((admission, envelope.estimate));
                let listener = self.listen(caller, &inbound);
                let (model, operation) = (envelope.model, task.operation());
                let reply = self.replay(
                    found, operation, caller, inbound, model, &plan, admitted, listener,
                );
                return Box::pin(reply).await;
            }
        };
        let admitted = set_aside(admission, &mut plan, estimate, inbound.started_at).await?;
        let sending = SendingTask {
            operation: task.operation(),
            envelope,
            plan,
            admitted,
            recorder,
            is_miss,
        };
        self.send_task(caller, inbound, sending).await
    }

    /// Answers a task that was admitted, without looking for its answer any more.
    pub(crate) async fn send_task(
        &self,
        caller: &Caller,
        inbound: Inbound<dyn Task>,
        sending: SendingTask,
    ) -> Result<Reply, ChatError> {
        let SendingTask {
            operation,
            envelope,
            plan,
            admitted,
            recorder,
            is_miss,
        } = sending;
        let task = inbound.face;
        let target = plan.target().target();
        let kind = plan.target().kind;
        // What needs no provider may need a while, such as counting a long text.
        let answered = tokio::task::block_in_place(|| {
            task.answer(
                &inbound.asked,
                &inbound.body,
                kind,
                &target,
                &self.settings.tokenizers,
            )
        })?;
        if let Some(answer) = answered {
            return self
                .answer_here(caller, inbound, envelope, &plan, admitted, answer)
                .await;
        }
        let delivery = Delivery::of(
            &self.files,
            task.operation(),
            caller,
            &inbound.asked.headers,
        );
        let (asked, body) = (&inbound.asked, &inbound.body);
        let (at, ready) = prepare_first(task, asked, body, &plan, delivery.as_ref())?;
        let again = (plan.candidates.len() > 1).then(|| Box::new((asked.clone(), body.clone())));
        let errand = TaskErrand {
            task,
            delivery,
            again,
        };
        let wanted = inbound.report;
        let listener = self.listen(caller, &inbound);
        let listener = self.payloads.record(listener, recorder);
        let streamed = envelope.stream;
        let model = envelope.model;
        let opening = inbound.opening(operation, streamed, model, caller, &plan, admitted);
        let mut call = self.ledger.open(opening)?;
        if is_miss {
            call.missed_cache();
        }
        if at > 0 {
            call.turn_to(&plan.candidates.at(at).target)?;
        }
        let mut way = Way {
            plan: &plan,
            errand,
            at,
            ready,
        };
        match self.attempt(&mut way, &mut call).await {
            Ok(answered) => {
                call.answer_with(http::StatusCode::OK);
                Ok(self.hand_out(answered, way, wanted, call, listener).await)
            }
            Err(AttemptError::Provider(failure)) => Err(failed(*failure, &plan, call)),
            Err(AttemptError::Journal(error)) => Err(error.into()),
        }
    }

    /// Hands the answer to a task to the caller.
    async fn hand_out(
        &self,
        answered: Answered,
        way: Way<'_, TaskErrand>,
        wanted: ReportWanted,
        mut call: Box<OpenCall>,
        listener: Option<Listener>,
    ) -> Reply {
        let target = Arc::clone(way.target());
        match answered {
            Answered::Stream(begun) => {
                let report = way.ready.report;
                let passed = Passed {
                    same_format: report.is_none(),
                    conversion: report.unwrap_or_default(),
                };
                let timeouts = &way.plan.timeouts;
                self.stream(begun, timeouts, &target, passed, wanted, call, listener)
            }
            Answered::Whole(answer) => {
                call.observe(answer.observed);
                let given = match &way.errand.delivery {
                    Some(delivery) => {
                        let kind = &answer.content_type;
                        delivery.give_out(&self.files, kind, answer.body).await
                    }
                    None => Given::as_it_is(answer.body),
                };
                let mut conversion = way.ready.report.unwrap_or_default();
                if given.is_inlined {
                    let why = "the pictures are in the answer as base64: media is not stored here";
                    conversion.change("response_format", why);
                }
                let body = match report_of(wanted, &conversion, &mut call) {
                    Some(report) => attach_report(&answer.content_type, given.body, &report),
                    None => given.body,
                };
                whole(&target, answer.content_type, body, call, listener)
                    .await
                    .stored_at(given.link)
            }
        }
    }

    /// Answers without asking a provider; the call is recorded all the same.
    async fn answer_here(
        &self,
        caller: &Caller,
        inbound: Inbound<dyn Task>,
        envelope: TaskEnvelope,
        plan: &Plan,
        admitted: Admitted,
        answer: TaskAnswer,
    ) -> Result<Reply, ChatError> {
        let operation = inbound.face.operation();
        let listener = self.listen(caller, &inbound);
        let model = envelope.model;
        let opening = inbound.opening(operation, false, model, caller, plan, admitted);
        let mut call = self.ledger.open(opening)?;
        call.answer_for(plan.target().provider.name.clone());
        call.answer_with(http::StatusCode::OK);
        call.observe(observed(&answer));
        Ok(whole(
            plan.target(),
            answer.content_type,
            answer.body,
            call,
            listener,
        )
        .await)
    }

    /// Counts in what is estimated to take so much, and sets aside what that costs.
    pub(crate) async fn admit_estimate<Api: ?Sized>(
        &self,
        caller: &Caller,
        inbound: &Inbound<Api>,
        route: Option<&ModelName>,
        estimate: Usage,
        plan: &mut Plan,
    ) -> Result<Admitted, ChatError> {
        let counted_in = self.count_in_estimate(caller, inbound, route, estimate);
        set_aside(counted_in.await?, plan, estimate, inbound.started_at).await
    }

    async fn count_in_estimate<Api: ?Sized>(
        &self,
        caller: &Caller,
        inbound: &Inbound<Api>,
        route: Option<&ModelName>,
        estimate: Usage,
    ) -> Result<Admission, ChatError> {
        let expected = Expectation {
            route,
            input_tokens: estimate.input_tokens,
            max_output_tokens: Some(estimate.output_tokens),
            priority: priority_of(caller, &inbound.asked.headers),
            is_within_call: false,
        };
        Ok(self.limits.admit(caller, expected).await?)
    }

    /// Reads the answer to a task, asking again for as long as the provider is still at it.
    pub(crate) async fn task(
        &self,
        door: Door<'_>,
        reader: &dyn TaskReader,
        mut head: Parts,
        mut body: EgressBody,
        deadline: Moment,
    ) -> Result<Answered, ProviderError> {
        if let Some(stream) = reader.stream(&head) {
            let content_type = stream.content_type();
            let pipeline = Pipeline::of_task(stream);
            return self.begun(content_type, pipeline, &head, body).await;
        }
        let mut next: Option<Box<dyn TaskReader>> = None;
        for _ in 0..MAX_STEPS {
            let whole = read_whole(body, self.settings.max_response).await?;
            let step = next.as_deref().unwrap_or(reader).read(&head, whole);
            match step.map_err(|error| with_status(provider_error(error), &head))? {
                TaskStep::Done(answer) => return Ok(answered(answer)),
                TaskStep::Again {
                    request,
                    after,
                    reader,
                } => {
                    let left = deadline.since(self.clock.moment());
                    self.clock.sleep(after.min(left)).await;
                    (head, body) = self.ask_again(door, request).await?;
                    next = Some(reader);
                }
            }
        }
        let what = format!("The provider has not finished after {MAX_STEPS} questions.");
        Err(ProviderError::new(Cause::Timeout, what))
    }

    /// What a task's reader has in place of a failure, with the status that the provider gave.
    fn instead(
        &self,
        reader: &dyn TaskReader,
        failure: ProviderError,
    ) -> Result<(u16, Answered), ProviderError> {
        let tokenizers = &self.settings.tokenizers;
        let instead = tokio::task::block_in_place(|| reader.instead(&failure, tokenizers));
        match (instead, failure.status) {
            (Some(answer), Some(status)) => Ok((status, answered(answer))),
            _ => Err(failure),
        }
    }

    /// Asks where the provider's answer said. Its own addresses see the credential; any other is asked
    /// without, and must be a public one.
    async fn ask_again(
        &self,
        door: Door<'_>,
        request: http::Request<Bytes>,
    ) -> Result<(Parts, EgressBody), ProviderError> {
        let target = door.target;
        let answered = if target.kind.owns(&target.base_url, request.uri()) {
            self.courier.ask_at(door, &request).await?
        } else {
            self.courier.send(request, Reach::Public).await?
        };
        self.successful_task(target, answered).await
    }
}

/// A task that was admitted, and with what it is sent.
pub(crate) struct SendingTask {
    /// What it is in the ledger.
    pub(crate) operation: Operation,
    pub(crate) envelope: TaskEnvelope,
    pub(crate) plan: Plan,
    pub(crate) admitted: Admitted,
    /// Keeps its answer.
    pub(crate) recorder: Option<Box<Recorder>>,
    /// Whether the cache was asked and had no answer.
    pub(crate) is_miss: bool,
}

/// A task that is asked for.
struct TaskErrand {
    task: &'static dyn Task,
    /// How its media is given out.
    delivery: Option<Delivery>,
    /// What it takes to ask another candidate than the first; `None` where there is no other.
    again: Option<Box<(Asked, Bytes)>>,
}

impl Errand for TaskErrand {
    type Ready = PreparedTask;
    type Answer = Answered;

    fn patience(&self, plan: &Plan) -> Duration {
        plan.patience()
    }

    fn is_verbatim(ready: &PreparedTask) -> bool {
        ready.report.is_none()
    }

    fn prepare<'a>(
        &'a self,
        _: &'a Gateway,
        target: &'a Arc<ResolvedTarget>,
        strict: bool,
    ) -> BoxFuture<'a, Result<Option<PreparedTask>, ChatError>> {
        let prepared = self.again.as_ref().map(|again| {
            let (asked, body) = &**again;
            prepare(
                self.task,
                asked,
                body,
                target,
                strict,
                self.delivery.as_ref(),
            )
        });
        Box::pin(future::ready(prepared.transpose()))
    }

    async fn exchange(
        &self,
        gateway: &Gateway,
        door: Door<'_>,
        ready: &PreparedTask,
        deadline: Moment,
    ) -> Result<(u16, Answered), ProviderError> {
        let answered = gateway.courier.ask_at(door, &ready.request).await?;
        let (kind, reader) = (door.target.kind, &*ready.reader);
        let read = |head: &Parts, body: &[u8]| {
            let now = gateway.clock.now();
            reader.decode_error(kind, head, body, now)
        };
        let (head, body) = match successful(answered, read).await {
            Ok(answered) => answered,
            Err(failure) => return gateway.instead(reader, failure),
        };
        let status = head.status.as_u16();
        let answered = gateway.task(door, reader, head, body, deadline);
        Ok((status, Box::pin(answered).await?))
    }
}

/// Makes a task ready for the first candidate that takes it, and says which that is. What the first says of it
/// is told where none does.
fn prepare_first(
    task: &dyn Task,
    asked: &Asked,
    body: &Bytes,
    plan: &Plan,
    delivery: Option<&Delivery>,
) -> Result<(usize, PreparedTask), ChatError> {
    let prepare = |candidate: &Candidate| {
        prepare(task, asked, body, &candidate.target, plan.strict, delivery)
    };
    prepare(plan.candidates.at(0))
        .map(|ready| (0, ready))
        .or_else(|refused| {
            let mut others = plan.candidates.iter().enumerate().skip(1);
            others
                .find_map(|(at, candidate)| Some((at, prepare(candidate).ok()?)))
                .ok_or(refused)
        })
}

fn prepare(
    task: &dyn Task,
    asked: &Asked,
    body: &Bytes,
    target: &ResolvedTarget,
    strict: bool,
    delivery: Option<&Delivery>,
) -> Result<PreparedTask, ChatError> {
    let mut prepared = task.prepare(asked, body, target.kind, &target.target())?;
    if strict && let Some(report) = prepared.report.take_if(|report| !report.is_lossless()) {
        return Err(ChatError::WouldDrop(report));
    }
    if let Some(delivery) = delivery {
        prepared.reader = delivery.reader(prepared.reader);
    }
    Ok(prepared)
}

fn answered(answer: TaskAnswer) -> Answered {
    Answered::Whole(Box::new(Whole {
        observed: observed(&answer),
        content_type: answer.content_type,
        body: answer.body,
        response: None,
    }))
}

/// What the ledger wants to know of a task's answer.
pub(crate) fn observed(answer: &TaskAnswer) -> Observed {
    Observed {
        response_model: answer.response_model.clone(),
        usage: answer.usage,
        has_content: true,
        ..Observed::default()
    }
}
