//! Sending: one attempt after another, at one candidate after another, until a provider answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::call::AttemptReason;
use domain::clock::Moment;
use domain::egress::{EgressBody, Outbound, Reach};
use domain::provider_error::ProviderError;
use futures_util::future::BoxFuture;
use http::response::Parts;

use crate::chat::{ChatError, Gateway};
use crate::ledger::{JournalError, OpenCall};
use crate::routes::{Plan, ResolvedTarget};
use crate::within::within;

mod agenda;
mod answer;
mod chat;
mod failure;
mod retry;

use agenda::{Agenda, Next};
pub(crate) use answer::{Answered, Begun, Whole};
pub(crate) use chat::{Again, ChatErrand, ReadyChat};
pub(crate) use failure::{broken, is_json, read_whole, timed_out, unreachable, with_status};
use failure::{successful, unauthorized};

/// What is asked of one candidate after another.
pub(crate) trait Errand: Send + Sync {
    /// What is sent to one candidate, and how its answer is read.
    type Ready: Send + Sync;
    /// An answer that has begun well.
    type Answer: Send;

    /// How long one attempt may take.
    fn patience(&self, plan: &Plan) -> Duration;

    /// Whether the caller speaks the candidate's own format.
    fn is_verbatim(ready: &Self::Ready) -> bool;

    /// Makes it ready for a candidate when its turn comes; `None` where there is never another than the first.
    /// Large and seldom needed: on the heap it does not make every call's story larger.
    fn prepare<'a>(
        &'a self,
        gateway: &'a Gateway,
        target: &'a Arc<ResolvedTarget>,
        strict: bool,
    ) -> BoxFuture<'a, Result<Option<Self::Ready>, ChatError>>;

    /// Asks one candidate once, until `deadline` at most; answers with the status code as well.
    fn exchange(
        &self,
        gateway: &Gateway,
        target: &ResolvedTarget,
        ready: &Self::Ready,
        deadline: Moment,
    ) -> impl Future<Output = Result<(u16, Self::Answer), ProviderError>> + Send;
}

/// A call's way through the candidates of its plan.
pub(crate) struct Way<'p, E: Errand> {
    /// Where it may go.
    pub(crate) plan: &'p Plan,
    /// What is asked.
    pub(crate) errand: E,
    /// The candidate that is asked, and of a call that is over: that was asked last.
    pub(crate) at: usize,
    /// What that is sent.
    pub(crate) ready: E::Ready,
}

impl<E: Errand> Way<'_, E> {
    /// The target that is asked, and of a call that is over: that was asked last.
    pub(crate) fn target(&self) -> &Arc<ResolvedTarget> {
        &self.plan.candidates.at(self.at).target
    }

    fn failed(&self, error: ProviderError) -> Failure {
        Failure {
            error,
            at: self.at,
            same_format: E::is_verbatim(&self.ready),
        }
    }
}

impl Gateway {
    /// Sends the request until a provider answers or there is no use in trying again. Every attempt is in the
    /// journal before it is sent.
    pub(crate) async fn attempt<E: Errand>(
        &self,
        way: &mut Way<'_, E>,
        call: &mut OpenCall,
    ) -> Result<E::Answer, AttemptError> {
        match self.ask(way, AttemptReason::First, call).await? {
            Ok(answer) => Ok(answer),
            // Most calls are answered at once. What follows a failure is on the heap: there it does not make
            // every call's story larger.
            Err(failure) => Box::pin(self.go_on(way, failure, call)).await,
        }
    }

    /// Asks the candidate whose turn it is once.
    async fn ask<E: Errand>(
        &self,
        way: &Way<'_, E>,
        reason: AttemptReason,
        call: &mut OpenCall,
    ) -> Result<Result<E::Answer, Failure>, JournalError> {
        let target = &**way.target();
        let provider = target.provider.name.clone();
        call.dispatch(provider, &target.model, reason).await?;
        let deadline = call.received().after(way.plan.timeouts.total);
        let left = deadline.since(self.clock.moment());
        let bound = left.min(way.errand.patience(way.plan));
        let exchange = way.errand.exchange(self, target, &way.ready, deadline);
        let error = match within(&*self.clock, bound, exchange).await {
            Some(Ok((status, answered))) => {
                call.attempt_answered(Some(status), None);
                return Ok(Ok(answered));
            }
            Some(Err(error)) => error,
            None => timed_out(bound),
        };
        call.attempt_answered(error.status, Some(error.cause));
        Ok(Err(way.failed(error)))
    }

    /// Goes on after the first failure: to the same candidate, where it turned the call away, or to the next.
    async fn go_on<E: Errand>(
        &self,
        way: &mut Way<'_, E>,
        failure: Failure,
        call: &mut OpenCall,
    ) -> Result<E::Answer, AttemptError> {
        let plan = way.plan;
        let deadline = call.received().after(plan.timeouts.total);
        let mut agenda = Agenda::new(&plan.candidates, plan.retries);
        // Those before the first that was asked do not take the request.
        (0..way.at).for_each(|index| agenda.leave_out(index));
        let mut told = failure;
        agenda.note(way.at, &told.error, self.clock.moment(), &*self.entropy);
        loop {
            let now = self.clock.moment();
            let reason = match agenda.next(now, deadline) {
                Next::Nobody => return Err(told.into()),
                Next::Wait(pause) => {
                    self.clock.sleep(pause).await;
                    call.paused(pause);
                    continue;
                }
                Next::Ask(index) => {
                    let has_been_asked = agenda.has_asked(index);
                    if index != way.at
                        && let Err(error) = self.turn_to(way, index, call).await
                    {
                        skipped(call, way, index, &error);
                        agenda.leave_out(index);
                        continue;
                    }
                    if has_been_asked {
                        AttemptReason::Retry
                    } else {
                        AttemptReason::Fallback
                    }
                }
            };
            match self.ask(way, reason, call).await {
                // A call that was sent before has failed of what it failed of then.
                Err(_) => return Err(told.into()),
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => {
                    agenda.note(way.at, &failure.error, self.clock.moment(), &*self.entropy);
                    told = told.or_rather(failure);
                }
            }
        }
    }

    /// Makes everything ready for another candidate: what is sent, and what is set aside for it.
    async fn turn_to<E: Errand>(
        &self,
        way: &mut Way<'_, E>,
        index: usize,
        call: &mut OpenCall,
    ) -> Result<(), ChatError> {
        let plan = way.plan;
        let target = &plan.candidates.at(index).target;
        call.turn_to(target)?;
        if let Some(ready) = way.errand.prepare(self, target, plan.strict).await? {
            way.ready = ready;
            way.at = index;
        }
        Ok(())
    }

    /// The request with the target's credential.
    pub(crate) async fn authorized(
        &self,
        mut request: http::Request<Bytes>,
        target: &ResolvedTarget,
    ) -> Result<http::Request<Bytes>, ProviderError> {
        let provider = &target.provider;
        let Some(source) = &provider.credential else {
            return Ok(request);
        };
        let fetched;
        let credential = if let Some(ready) = source.ready() {
            ready
        } else {
            let (egress, clock) = (&*self.egress, &*self.clock);
            let name = &provider.name;
            fetched = Box::pin(self.credentials.of(name, source, egress, clock)).await?;
            &fetched
        };
        let kind = target.kind;
        kind.authorize(&mut request, &target.target(), credential, self.clock.now())
            .map_err(unauthorized)?;
        Ok(request)
    }

    /// Sends one request.
    pub(crate) async fn send(
        &self,
        request: http::Request<Bytes>,
        reach: Reach,
    ) -> Result<http::Response<EgressBody>, ProviderError> {
        self.egress
            .send(Outbound { request, reach })
            .await
            .map_err(|error| unreachable(&error))
    }

    /// An answer to a task, if its status is good. Whatever was asked, a provider of one kind says in one
    /// way what went wrong.
    pub(crate) async fn successful_task(
        &self,
        target: &ResolvedTarget,
        response: http::Response<EgressBody>,
    ) -> Result<(Parts, EgressBody), ProviderError> {
        let kind = target.kind;
        let read = |head: &Parts, body: &[u8]| kind.decode_error(head, body, self.clock.now());
        successful(response, read).await
    }
}

/// Says that a candidate is not asked.
fn skipped<E: Errand>(call: &OpenCall, way: &Way<'_, E>, index: usize, error: &ChatError) {
    let target = &way.plan.candidates.at(index).target;
    tracing::debug!(
        request_id = %call.request_id(),
        provider = %target.provider.name,
        model = target.model,
        %error,
        "a candidate is skipped"
    );
}

/// A failed attempt.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What went wrong.
    pub(crate) error: ProviderError,
    /// Of which candidate.
    pub(crate) at: usize,
    /// Whether the caller speaks that candidate's format.
    pub(crate) same_format: bool,
}

impl Failure {
    /// Which of two failures the caller is told: the later one, unless it only says that a candidate that came
    /// second does not take the request.
    fn or_rather(self, later: Self) -> Self {
        use domain::provider_error::Cause::{InvalidRequest, NotFound};
        if matches!(later.error.cause, InvalidRequest | NotFound) && later.at != self.at {
            self
        } else {
            later
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum AttemptError {
    /// No provider answered; what the caller is told of it.
    Provider(Box<Failure>),
    /// The call could not be written down, so it was not sent.
    Journal(JournalError),
}

impl From<Failure> for AttemptError {
    fn from(failure: Failure) -> Self {
        Self::Provider(Box::new(failure))
    }
}

impl From<JournalError> for AttemptError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

#[cfg(test)]
mod tests;
