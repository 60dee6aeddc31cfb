//! Asking a second candidate while the first has not answered. Whoever answers first is told; the other is given
//! up, and what it has taken is estimated.

use std::pin::{Pin, pin};
use std::time::Duration;

use domain::call::AttemptReason;
use domain::clock::Moment;
use domain::provider_error::ProviderError;
use futures_util::future::{Either, select};

use super::{AttemptError, Door, Errand, Failure, Way, timed_out};
use crate::chat::Gateway;
use crate::ledger::{JournalError, OpenCall};
use crate::routes::hedge::Hedge;
use crate::routes::{Standing, When};
use crate::within::within;

/// What a candidate answers, and its status code.
type Answer<E> = Result<(u16, <E as Errand>::Answer), ProviderError>;

/// What came of two attempts.
struct Raced<E: Errand> {
    /// An answer, or the failures in the order in which they came.
    answered: Result<E::Answer, Vec<Failure>>,
    /// The second candidate, where it was the one that was heard last.
    turned: Option<Second<E>>,
}

/// The second candidate, and what it is sent.
struct Second<E: Errand> {
    index: usize,
    ready: E::Ready,
}

impl Gateway {
    /// Sends the request as [`Gateway::attempt`] does, and asks a second candidate when the first takes long.
    pub(super) async fn attempt_hedged<E: Errand>(
        &self,
        way: &mut Way<'_, E>,
        hedge: &Hedge,
        call: &mut OpenCall,
    ) -> Result<E::Answer, AttemptError> {
        let Some(delay) = hedge.delay(&way.target().health, call.is_streamed()) else {
            return match self.ask(way, AttemptReason::First, call).await? {
                Ok(answer) => Ok(answer),
                Err(failure) => self.go_on(way, vec![failure], call).await,
            };
        };
        let Raced { answered, turned } = self.race(way, hedge, delay, call).await?;
        if let Some(Second { index, ready }) = turned {
            way.at = index;
            way.ready = ready;
        }
        match answered {
            Ok(answer) => Ok(answer),
            Err(failures) => self.go_on(way, failures, call).await,
        }
    }

    async fn race<E: Errand>(
        &self,
        way: &Way<'_, E>,
        hedge: &Hedge,
        delay: Duration,
        call: &mut OpenCall,
    ) -> Result<Raced<E>, JournalError> {
        let reason = AttemptReason::First;
        let door = self.set_out(way.plan, way.target(), reason, call).await?;
        let mut first = pin!(self.answer_in_time(way, door, &way.ready, call.received()));
        if let Either::Left((answered, _)) = select(first.as_mut(), self.clock.sleep(delay)).await {
            let answered = self.note(door, answered, call);
            return Ok(Raced::alone(answered.map_err(|error| way.failed(error))));
        }
        let other = match select(first.as_mut(), pin!(self.second(way, hedge, call))).await {
            Either::Left((answered, _)) => Err(answered),
            Either::Right((Some(second), _)) => Ok(second),
            Either::Right((None, _)) => Err(first.as_mut().await),
        };
        let (other, second) = match other {
            Ok(second) => second,
            Err(answered) => {
                let answered = self.note(door, answered, call);
                return Ok(Raced::alone(answered.map_err(|error| way.failed(error))));
            }
        };
        let (answered, turns) = self.both(way, (door, first), (other, &second), call).await;
        call.conclude_rival();
        Ok(Raced {
            answered,
            turned: turns.then_some(second),
        })
    }

    /// Waits for either of two attempts to answer, or for both to fail; answers also whether it was the second
    /// that was heard last.
    async fn both<E: Errand>(
        &self,
        way: &Way<'_, E>,
        (door, mut first): (Door<'_>, Pin<&mut impl Future<Output = Answer<E>>>),
        (other, second): (Door<'_>, &Second<E>),
        call: &mut OpenCall,
    ) -> (Result<E::Answer, Vec<Failure>>, bool) {
        let received = call.received();
        let mut asked = pin!(self.answer_in_time(way, other, &second.ready, received));
        let of_second = |error| Failure {
            error,
            at: second.index,
            same_format: E::is_verbatim(&second.ready),
        };
        match select(first.as_mut(), asked.as_mut()).await {
            Either::Left((answered, _)) => match self.note(door, answered, call) {
                Ok(answer) => (Ok(answer), false),
                Err(error) => {
                    call.swap_legs();
                    let failed = way.failed(error);
                    let answered = self.note(other, asked.await, call);
                    let both = |error| vec![failed, of_second(error)];
                    (answered.map_err(both), true)
                }
            },
            Either::Right((answered, _)) => {
                call.swap_legs();
                match self.note(other, answered, call) {
                    Ok(answer) => (Ok(answer), true),
                    Err(error) => {
                        call.swap_legs();
                        let failed = of_second(error);
                        let answered = self.note(door, first.await, call);
                        let both = |error| vec![failed, way.failed(error)];
                        (answered.map_err(both), false)
                    }
                }
            }
        }
    }

    /// Makes the second candidate ready and writes down that it is about to be asked; `None` where there is none
    /// that may be.
    async fn second<'w, E: Errand>(
        &self,
        way: &'w Way<'_, E>,
        hedge: &Hedge,
        call: &mut OpenCall,
    ) -> Option<(Door<'w>, Second<E>)> {
        let plan = way.plan;
        let now = self.clock.moment();
        let (index, candidate) = plan.candidates.iter().enumerate().find(|(index, it)| {
            let is_for_all = matches!(
                it.standing,
                Standing::Primary | Standing::Fallback(When::Always)
            );
            *index != way.at && is_for_all && it.target.health.is_available(now)
        })?;
        let target = &candidate.target;
        if !hedge.permits(call.expected_cost(target)) {
            return None;
        }
        let prepared = way.errand.prepare(self, target, plan.strict).await;
        let ready = prepared.ok().flatten()?;
        call.provide_for(target).ok()?;
        let door = Door::next(plan, target, now);
        // What cannot be written down is not sent: the first goes on alone.
        let flight = target.health.board(now);
        call.dispatch_rival(target, flight).await.ok()?;
        Some((door, Second { index, ready }))
    }

    /// What a candidate answers within the time that it has.
    async fn answer_in_time<E: Errand>(
        &self,
        way: &Way<'_, E>,
        door: Door<'_>,
        ready: &E::Ready,
        received: Moment,
    ) -> Result<(u16, E::Answer), ProviderError> {
        let deadline = received.after(way.plan.timeouts.total);
        let left = deadline.since(self.clock.moment());
        let bound = left.min(way.errand.patience(way.plan));
        let exchange = way.errand.exchange(self, door, ready, deadline);
        let answered = within(&*self.clock, bound, exchange).await;
        answered.unwrap_or_else(|| Err(timed_out(bound)))
    }
}

impl<E: Errand> Raced<E> {
    /// What came of the first attempt, where there was no second.
    fn alone(answered: Result<E::Answer, Failure>) -> Self {
        Self {
            answered: answered.map_err(|failure| vec![failure]),
            turned: None,
        }
    }
}
