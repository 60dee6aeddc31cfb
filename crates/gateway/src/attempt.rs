//! Sending: one attempt after another, at one candidate after another, until a provider answers.

use std::sync::Arc;
use std::time::Duration;

use domain::call::AttemptReason;
use domain::clock::Moment;
use domain::egress::EgressBody;
use domain::provider_error::ProviderError;
use futures_util::future::BoxFuture;
use http::response::Parts;

use crate::chat::{ChatError, Gateway};
use crate::health::KeyNumber;
use crate::ledger::{JournalError, OpenCall};
use crate::routes::{Plan, ResolvedTarget};
use crate::within::within;

mod agenda;
mod answer;
mod chat;
mod courier;
mod failure;
mod hedge;
mod retry;

use agenda::{Agenda, Next};
pub(crate) use answer::{Answered, Begun, JSON, MAX_PREFACE, Whole};
pub(crate) use chat::{Again, ChatErrand, ReadyChat};
pub(crate) use courier::Courier;
pub(crate) use failure::{
    broken, is_json, read_whole, successful, timed_out, unreachable, with_status,
};

/// What is asked of one candidate after another.
pub(crate) trait Errand: Send + Sync {
    /// What is sent to one candidate, and how its answer is read.
    type Ready: Send + Sync;
    /// An answer that has begun well.
    type Answer: Send;

    /// Whether two candidates may be asked at the same time.
    const IS_HEDGED: bool = false;

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
        door: Door<'_>,
        ready: &Self::Ready,
        deadline: Moment,
    ) -> impl Future<Output = Result<(u16, Self::Answer), ProviderError>> + Send;
}

/// A target, and the key that it is asked with.
#[derive(Clone, Copy)]
pub(crate) struct Door<'t> {
    pub(crate) target: &'t ResolvedTarget,
    pub(crate) key: KeyNumber,
    /// Whether it matters what it says of its rate limit: somebody else could be asked.
    pub(crate) is_watched: bool,
}

impl<'t> Door<'t> {
    /// The target with the key whose turn it is.
    pub(crate) fn next(plan: &Plan, target: &'t ResolvedTarget, now: Moment) -> Self {
        let rotation = target.provider.rotation.as_ref();
        let key = rotation.and_then(|rotation| target.health.key(rotation.turns(), now));
        Self {
            target,
            key: key.unwrap_or(KeyNumber::FIRST),
            is_watched: plan.candidates.len() > 1 || rotation.is_some(),
        }
    }

    /// The target with the key that it is asked with first.
    pub(crate) fn of(target: &'t ResolvedTarget) -> Self {
        Self {
            target,
            key: KeyNumber::FIRST,
            is_watched: false,
        }
    }
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

    /// How many keys its target has.
    fn keys(&self) -> usize {
        let rotation = self.target().provider.rotation.as_ref();
        rotation.map_or(1, |rotation| rotation.len())
    }

    /// Whether its target has a key that is good.
    fn has_another_key(&self, now: Moment) -> bool {
        self.keys() > 1 && self.target().health.has_key(now)
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
        let has_others = way.plan.candidates.len() > 1;
        if has_others && !way.target().health.is_available(self.clock.moment()) {
            return Box::pin(self.go_on(way, Vec::new(), call)).await;
        }
        if let Some(hedge) = way
            .plan
            .hedge
            .as_deref()
            .filter(|_| E::IS_HEDGED && has_others)
        {
            return Box::pin(self.attempt_hedged(way, hedge, call)).await;
        }
        match self.ask(way, AttemptReason::First, call).await? {
            Ok(answer) => Ok(answer),
            // Most calls are answered at once. What follows a failure is on the heap: there it does not make
            // every call's story larger.
            Err(failure) => Box::pin(self.go_on(way, vec![failure], call)).await,
        }
    }

    /// Asks the candidate whose turn it is once.
    async fn ask<E: Errand>(
        &self,
        way: &Way<'_, E>,
        reason: AttemptReason,
        call: &mut OpenCall,
    ) -> Result<Result<E::Answer, Failure>, JournalError> {
        let door = self.set_out(way.plan, way.target(), reason, call).await?;
        let deadline = call.received().after(way.plan.timeouts.total);
        let left = deadline.since(self.clock.moment());
        let bound = left.min(way.errand.patience(way.plan));
        let exchange = way.errand.exchange(self, door, &way.ready, deadline);
        let answered = within(&*self.clock, bound, exchange).await;
        let answered = answered.unwrap_or_else(|| Err(timed_out(bound)));
        Ok(self
            .note(door, answered, call)
            .map_err(|error| way.failed(error)))
    }

    /// Chooses the key, takes a place with the target, and writes down that it is about to be asked.
    async fn set_out<'t>(
        &self,
        plan: &Plan,
        target: &'t ResolvedTarget,
        reason: AttemptReason,
        call: &mut OpenCall,
    ) -> Result<Door<'t>, JournalError> {
        let now = self.clock.moment();
        let door = Door::next(plan, target, now);
        let flight = target.health.board(now);
        let provider = target.provider.name.clone();
        call.dispatch(provider, &target.model, reason).await?;
        call.board(flight);
        Ok(door)
    }

    /// Notes how an attempt went.
    fn note<A>(
        &self,
        door: Door<'_>,
        answered: Result<(u16, A), ProviderError>,
        call: &mut OpenCall,
    ) -> Result<A, ProviderError> {
        match answered {
            Ok((status, answer)) => {
                call.attempt_answered(Some(status), None);
                Ok(answer)
            }
            Err(error) => {
                let now = self.clock.moment();
                door.target.health.note_failure(door.key, &error, now);
                call.attempt_answered(error.status, Some(error.cause));
                Err(error)
            }
        }
    }

    /// Goes on after the first failures, or where the first candidate is known not to answer: to the same
    /// candidate, with another key or where it turned the call away, or to the next.
    async fn go_on<E: Errand>(
        &self,
        way: &mut Way<'_, E>,
        mut failures: Vec<Failure>,
        call: &mut OpenCall,
    ) -> Result<E::Answer, AttemptError> {
        let mut agenda = Agenda::new(&way.plan.candidates, way.plan.retries);
        // Those before the first that was asked do not take the request.
        (0..way.at).for_each(|index| agenda.leave_out(index));
        let mut told: Option<Failure> = None;
        let mut keys_changed = 0;
        loop {
            let now = self.clock.moment();
            let mut has_another_key = false;
            for failure in failures.drain(..) {
                if failure.at == way.at && failure.is_of_key() && way.has_another_key(now) {
                    has_another_key = true;
                } else {
                    agenda.note(failure.at, &failure.error, now, &*self.entropy);
                }
                told = Some(match told.take() {
                    Some(earlier) => earlier.or_rather(failure),
                    None => failure,
                });
            }
            keys_changed += usize::from(has_another_key);
            let reason = if has_another_key && keys_changed < way.keys() {
                Some(AttemptReason::Key)
            } else {
                self.next_candidate(way, &mut agenda, call).await
            };
            let Some(reason) = reason else {
                let timed_out = || way.failed(timed_out(way.plan.timeouts.total));
                return Err(told.unwrap_or_else(timed_out).into());
            };
            match self.ask(way, reason, call).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failures.push(failure),
                // A call that was sent before has failed of what it failed of then.
                Err(error) => return Err(told.map_or(error.into(), AttemptError::from)),
            }
        }
    }

    /// Turns to the candidate whose turn is next, when it has come; answers why it is asked, or `None` when
    /// nobody is left.
    async fn next_candidate<E: Errand>(
        &self,
        way: &mut Way<'_, E>,
        agenda: &mut Agenda<'_>,
        call: &mut OpenCall,
    ) -> Option<AttemptReason> {
        let deadline = call.received().after(way.plan.timeouts.total);
        loop {
            let index = match agenda.next(self.clock.moment(), deadline) {
                Next::Nobody => return None,
                Next::Wait(pause) => {
                    self.clock.sleep(pause).await;
                    call.paused(pause);
                    continue;
                }
                Next::Ask(index) => index,
            };
            if index != way.at
                && let Err(error) = self.turn_to(way, index, call).await
            {
                skipped(call, way, index, &error);
                agenda.leave_out(index);
                continue;
            }
            return Some(match agenda.has_asked(index) {
                true => AttemptReason::Retry,
                false if call.attempts() == 0 => AttemptReason::First,
                false => AttemptReason::Fallback,
            });
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
    /// Whether another key of the same provider may do better.
    fn is_of_key(&self) -> bool {
        use domain::provider_error::Cause::{
            Authentication, Permission, QuotaExhausted, RateLimited,
        };
        matches!(
            self.error.cause,
            Authentication | Permission | QuotaExhausted | RateLimited
        )
    }

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
