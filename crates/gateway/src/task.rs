//! The life of a task, which is everything that is not a chat: the same story as a chat's, with one request
//! and most often one whole answer.

use bytes::Bytes;
use domain::caller::Caller;
use domain::clock::Moment;
use domain::egress::{EgressBody, Reach};
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use http::response::Parts;
use jiff::Timestamp;
use providers::tap::Observed;
use providers::task::{Task, TaskAnswer, TaskEnvelope, TaskReader, TaskStep};

use crate::attempt::{Answered, AttemptError, Errand, Whole, read_whole, with_status};
use crate::chat::{Admitted, ChatError, Gateway, Inbound, failed, set_aside, whole};
use crate::files::Delivery;
use crate::limits::Expectation;
use crate::pipeline::{Pipeline, provider_error};
use crate::reply::{Passed, Reply};
use crate::routes::Plan;

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
        let plan = self.routes().plan(&envelope.model)?;
        let admitted = self.admit_estimate(caller, envelope.estimate, inbound.started_at, &plan)?;
        let target = plan.target.target();
        let kind = plan.target.kind;
        // What needs no provider may need a while, such as counting a long text.
        let answered = tokio::task::block_in_place(|| {
            task.answer(&inbound.asked, &inbound.body, kind, &target)
        })?;
        if let Some(answer) = answered {
            return self
                .answer_here(caller, inbound, envelope, &plan, admitted, answer)
                .await;
        }
        let mut prepared = task.prepare(&inbound.asked, &inbound.body, kind, &target)?;
        let report = prepared.report.take();
        if plan.strict
            && let Some(report) = report.as_ref().filter(|report| !report.is_lossless())
        {
            return Err(ChatError::WouldDrop(report.clone()));
        }
        let delivery = Delivery::of(
            &self.files,
            task.operation(),
            caller,
            &inbound.asked.headers,
        );
        if let Some(delivery) = &delivery {
            prepared.reader = delivery.reader(prepared.reader);
        }
        let wanted = inbound.report;
        let listener = self.listen(caller, &inbound);
        let operation = task.operation();
        let streamed = envelope.stream;
        let model = envelope.model;
        let opening = inbound.opening(operation, streamed, model, caller, &plan, admitted);
        let mut call = self.ledger.open(opening)?;
        match self
            .attempt(&plan, Errand::Task(&prepared), &mut call)
            .await
        {
            Ok(answered) => {
                call.answer_with(http::StatusCode::OK);
                Ok(match answered {
                    Answered::Stream(begun) => {
                        let passed = Passed {
                            same_format: report.is_none(),
                            conversion: report.unwrap_or_default(),
                        };
                        self.stream(begun, &plan, passed, wanted, call, listener)
                    }
                    Answered::Whole(answer) => {
                        call.observe(answer.observed);
                        let (body, url) = match &delivery {
                            Some(delivery) => {
                                let kind = &answer.content_type;
                                delivery.give_out(&self.files, kind, answer.body).await
                            }
                            None => (answer.body, None),
                        };
                        whole(&plan, answer.content_type, body, call, listener)
                            .await
                            .stored_at(url)
                    }
                })
            }
            Err(AttemptError::Provider(error)) => Err(failed(error, &plan, report.is_none(), call)),
            Err(error) => Err(error.into()),
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
        call.answer_for(plan.target.provider.name.clone());
        call.answer_with(http::StatusCode::OK);
        call.observe(observed(&answer));
        Ok(whole(plan, answer.content_type, answer.body, call, listener).await)
    }

    /// Counts in what is estimated to take so much, and sets aside what that costs.
    pub(crate) fn admit_estimate(
        &self,
        caller: &Caller,
        estimate: Usage,
        started_at: Timestamp,
        plan: &Plan,
    ) -> Result<Admitted, ChatError> {
        let expected = Expectation {
            input_tokens: estimate.input_tokens,
            max_output_tokens: Some(estimate.output_tokens),
        };
        let admission = self.limits.admit(caller, expected)?;
        set_aside(admission, plan, estimate, started_at)
    }

    /// Reads the answer to a task, asking again for as long as the provider is still at it.
    pub(crate) async fn task(
        &self,
        plan: &Plan,
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
                TaskStep::Done(answer) => {
                    return Ok(Answered::Whole(Box::new(Whole {
                        observed: observed(&answer),
                        content_type: answer.content_type,
                        body: answer.body,
                        response: None,
                    })));
                }
                TaskStep::Again {
                    request,
                    after,
                    reader,
                } => {
                    let left = deadline.since(self.clock.moment());
                    self.clock.sleep(after.min(left)).await;
                    (head, body) = self.ask_again(plan, request).await?;
                    next = Some(reader);
                }
            }
        }
        let what = format!("The provider has not finished after {MAX_STEPS} questions.");
        Err(ProviderError::new(Cause::Timeout, what))
    }

    /// Asks where the provider's answer said. Its own addresses see the credential; any other is asked
    /// without, and must be a public one.
    async fn ask_again(
        &self,
        plan: &Plan,
        request: http::Request<Bytes>,
    ) -> Result<(Parts, EgressBody), ProviderError> {
        let target = &plan.target;
        let answered = if target.kind.owns(&target.base_url, request.uri()) {
            let request = self.authorized(request, plan).await?;
            self.send(request, target.provider.reach()).await?
        } else {
            self.send(request, Reach::Public).await?
        };
        self.successful_task(plan, answered).await
    }
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
