//! A call that has begun and not ended.

mod ending;
mod legs;

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use domain::call::{Attempt, AttemptReason, CacheOutcome, Face, Operation};
use domain::caller::Caller;
use domain::clock::Moment;
use domain::id::{BatchId, RequestId};
use domain::money::Cost;
use domain::name::{ModelName, ProviderName};
use domain::provider_error::Cause;
use domain::usage::{ServiceTier, Usage};
use jiff::Timestamp;
use providers::tap::Observed;

use super::journal::Ticket;
use super::record::{self, Dispatch, Intent};
use super::{JournalError, Ledger};
use crate::admit::{expected_price, top_up};
use crate::catalog::{ModelFacts, PriceVersion, Priced};
use crate::chat::ChatError;
use crate::health::Flight;
use crate::limits::{Admission, Standing};
use crate::routes::ResolvedTarget;
pub use ending::Ending;
use legs::Leg;

/// What is known of a call when it is opened.
pub struct Opening {
    /// Its identifier.
    pub request_id: RequestId,
    /// The caller's own identifier.
    pub client_request_id: Option<String>,
    /// The batch that it is a line of.
    pub batch_id: Option<BatchId>,
    /// When it arrived.
    pub started_at: Timestamp,
    /// The same on the monotonic clock.
    pub received: Moment,
    /// What is asked for.
    pub operation: Operation,
    /// The API that is spoken.
    pub face: Face,
    /// Whether the answer is to be streamed.
    pub streamed: bool,
    /// The model's name as the caller wrote it.
    pub request_model: ModelName,
    /// The configured route.
    pub route: Option<String>,
    /// What the target is called in a comparison that the call is meant for.
    pub variant: Option<String>,
    /// The call that it is a copy of.
    pub shadow_of: Option<RequestId>,
    /// Who asks.
    pub caller: Caller,
    /// What the call is expected to take.
    pub estimate: Usage,
    /// What that would cost; `None` when no price is known.
    pub priced: Option<Priced>,
    /// What is known of the model, prices among it.
    pub facts: Option<Arc<ModelFacts>>,
    /// What the call holds of the caller's limits.
    pub admission: Admission,
    /// The caller's trace (W3C Trace Context).
    pub traceparent: Option<String>,
}

/// A call that has begun and not ended. It ends exactly once: by [`OpenCall::end`], or, when it is
/// dropped, as cancelled by a caller who went away.
pub struct OpenCall {
    ledger: Arc<Ledger>,
    intent: Intent,
    /// The segments that hold the call's records, one for each dispatch.
    segments: Vec<u64>,
    received: Moment,
    facts: Option<Arc<ModelFacts>>,
    /// Which price the estimate was made with.
    estimated_with: Option<Edition>,
    admission: Option<Admission>,
    traceparent: Option<String>,
    attempts: Vec<Attempt>,
    /// An attempt that is being written down and not yet sent.
    announced: Option<Ticket>,
    /// The attempt whose answer or failure the caller is told, by its place.
    told: usize,
    /// When the attempt under way was sent.
    sent: Option<Moment>,
    /// When the last attempt was sent, and its place with the target.
    flight: Option<(Moment, Flight)>,
    /// A second attempt under way.
    rival: Option<Box<Leg>>,
    /// How long providers were waited for.
    waited: Duration,
    first_content: Option<Moment>,
    /// What the answer said so far.
    observed: Observed,
    /// What that costs, where it was asked for.
    priced: Option<Priced>,
    status: Option<u16>,
    /// Nobody is asked: the call is recorded for this provider although it was never sent.
    answered_for: Option<ProviderName>,
    /// What the cache said.
    cache: CacheOutcome,
    /// What the answer would have cost, where the cache gave it.
    saved: Option<Cost>,
    /// The caller went away, and the provider goes on: its answer is read to the end.
    is_drained: bool,
    /// Nothing is known of what it takes.
    is_unmetered: bool,
    has_ended: bool,
}

impl OpenCall {
    pub(super) fn new(ledger: Arc<Ledger>, opening: Opening) -> Self {
        let intent = Intent {
            request_id: opening.request_id,
            client_request_id: opening.client_request_id,
            batch_id: opening.batch_id,
            started_at: opening.started_at,
            operation: opening.operation,
            face: opening.face,
            streamed: opening.streamed,
            request_model: opening.request_model,
            route: opening.route,
            variant: opening.variant,
            shadow_of: opening.shadow_of,
            key_id: opening.caller.key_id(),
            organization_id: opening.caller.organization_id(),
            project_id: opening.caller.project_id(),
            application_id: opening.caller.application_id(),
            user_id: opening.caller.user_id(),
            estimate: opening.estimate,
            estimated_cost: opening.priced.as_ref().map(|priced| priced.total),
            price_source: opening.priced.as_ref().map(Priced::source),
        };
        Self {
            ledger,
            intent,
            // One for what begins it, one for its end.
            segments: Vec::with_capacity(2),
            received: opening.received,
            facts: opening.facts,
            estimated_with: opening.priced.as_ref().map(edition),
            admission: Some(opening.admission),
            traceparent: opening.traceparent,
            // Most calls are sent once.
            attempts: Vec::with_capacity(1),
            announced: None,
            told: 0,
            sent: None,
            flight: None,
            rival: None,
            waited: Duration::ZERO,
            first_content: None,
            observed: Observed::default(),
            priced: None,
            status: None,
            answered_for: None,
            cache: CacheOutcome::Bypass,
            saved: None,
            is_drained: false,
            is_unmetered: false,
            has_ended: false,
        }
    }

    /// The call's identifier.
    pub fn request_id(&self) -> RequestId {
        self.intent.request_id
    }

    /// Writes down that the call is about to be sent to `provider`; it may be sent when this returns.
    /// Others who are about to send have one turn to join the write.
    ///
    /// When it is dropped before that, the call was not sent, and its end says so.
    pub async fn dispatch(
        &mut self,
        provider: ProviderName,
        model: &str,
        reason: AttemptReason,
    ) -> Result<(), JournalError> {
        self.told = self.announce(provider, model, reason).await?;
        self.sent = Some(self.ledger.clock.moment());
        Ok(())
    }

    /// What the call would cost at a target, as it is estimated; `None` when no price is known.
    pub(crate) fn expected_cost(&self, target: &ResolvedTarget) -> Option<Cost> {
        let (estimate, started_at) = (&self.intent.estimate, self.intent.started_at);
        let priced = expected_price(target.facts.as_deref(), estimate, started_at);
        priced.map(|priced| priced.total)
    }

    /// Sets aside what the call may take more at a target.
    pub(crate) fn provide_for(&mut self, target: &ResolvedTarget) -> Result<(), ChatError> {
        let (estimate, started_at) = (self.intent.estimate, self.intent.started_at);
        if let Some(admission) = &mut self.admission {
            top_up(admission, target, estimate, started_at)?;
        }
        Ok(())
    }

    /// Whether a streamed answer is wanted.
    pub(crate) fn is_streamed(&self) -> bool {
        self.intent.streamed
    }

    /// Writes an attempt down; answers its place among the others.
    async fn announce(
        &mut self,
        provider: ProviderName,
        model: &str,
        reason: AttemptReason,
    ) -> Result<usize, JournalError> {
        // One that was not waited for is in the journal all the same.
        self.conclude_announcement()?;
        let number = u32::try_from(self.attempts.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let now = self.ledger.clock.now();
        let attempt = Attempt::new(number, provider, model.to_owned(), reason, now);
        let dispatch = Dispatch {
            request_id: self.intent.request_id,
            attempt,
        };
        let ticket = domain::json::in_scratch(|lines| {
            if self.attempts.is_empty() {
                record::write_intent(&self.intent, lines);
            }
            record::write_attempt(&dispatch, lines);
            self.ledger.journal.join(lines, 1)
        });
        self.announced = Some(ticket);
        one_turn().await;
        self.conclude_announcement()?;
        self.ledger
            .dispatched
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.attempts.push(dispatch.attempt);
        Ok(self.attempts.len() - 1)
    }

    /// Holds the place with its target of the attempt that was dispatched last.
    pub(crate) fn board(&mut self, flight: Flight) {
        self.flight = self.sent.map(|sent| (sent, flight));
    }

    /// Sees to it that what was announced is in the kernel.
    fn conclude_announcement(&mut self) -> Result<(), JournalError> {
        if let Some(ticket) = self.announced.take() {
            let position = self.ledger.journal.complete(&ticket)?;
            self.segments.push(position.segment);
        }
        Ok(())
    }

    /// Notes how the attempt under way went so far: the provider's status, or the failure.
    pub fn attempt_answered(&mut self, status: Option<u16>, failure: Option<Cause>) {
        let now = self.ledger.clock.moment();
        let took = self.sent.take().map(|sent| now.since(sent));
        self.waited += took.unwrap_or_default();
        if let Some(attempt) = self.attempts.get_mut(self.told) {
            attempt.latency_ms = took.map(milliseconds);
            attempt.status = status;
            attempt.error_type = failure;
        }
        let is_streamed = self.intent.streamed;
        match (&mut self.flight, failure) {
            (Some((_, flight)), Some(cause)) => flight.failed(cause, now),
            (Some((sent, flight)), None) if is_streamed => flight.began(*sent, now),
            (Some((sent, flight)), None) => flight.answered(*sent, now),
            (None, _) => {}
        }
        if failure.is_some() {
            self.flight = None;
            if self.is_outcome_unknown() {
                self.bill(self.told, self.intent.estimate);
            }
        }
    }

    /// What the call costs so far, every attempt counted; `None` when no price is known.
    pub fn total_cost(&mut self) -> Option<Cost> {
        let told = self.cost().map(|priced| priced.total);
        match self.others() {
            Some((_, others)) => Some(others.saturating_add(told.unwrap_or_default())),
            None => told,
        }
    }

    /// Notes that the provider was left alone for `pause` before it is tried again.
    pub fn paused(&mut self, pause: Duration) {
        self.waited += pause;
    }

    /// Notes that the call goes to another target than before, and sets aside what it may take more there.
    pub(crate) fn turn_to(&mut self, target: &ResolvedTarget) -> Result<(), ChatError> {
        self.provide_for(target)?;
        self.facts.clone_from(&target.facts);
        self.priced = None;
        Ok(())
    }

    /// What is left of the caller's rates; `None` where there are none, or when the call has ended.
    pub fn standing(&self) -> Option<Standing> {
        self.admission.as_ref().and_then(Admission::standing)
    }

    /// When the call arrived.
    pub fn received(&self) -> Moment {
        self.received
    }

    /// Notes that the first content of a stream is on its way to the caller.
    pub fn first_content(&mut self) {
        self.first_content.get_or_insert(self.ledger.clock.moment());
    }

    /// Notes that the call is answered here, in the place of `provider`, without being sent to anyone.
    pub fn answer_for(&mut self, provider: ProviderName) {
        self.answered_for = Some(provider);
    }

    /// Notes that the cache was asked and had no answer.
    pub fn missed_cache(&mut self) {
        self.cache = CacheOutcome::Miss;
    }

    /// Notes that the cache gives the answer of `provider`, which had cost `saved`: the call takes nothing.
    pub fn answer_from_cache(
        &mut self,
        outcome: CacheOutcome,
        provider: ProviderName,
        saved: Option<Cost>,
    ) {
        self.cache = outcome;
        self.saved = saved;
        self.answered_for = Some(provider);
    }

    /// What the cache said.
    pub fn cache(&self) -> CacheOutcome {
        self.cache
    }

    /// What is asked for.
    pub fn operation(&self) -> Operation {
        self.intent.operation
    }

    /// What the answer says so far.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Who was asked last, and the model in their words; `None` where nobody was.
    pub fn asked(&self) -> Option<(&ProviderName, &str)> {
        let last = self.attempts.last()?;
        Some((&last.provider, &last.model))
    }

    /// Notes that the answer is to be read to its end although the caller went away: the provider goes on,
    /// and charges, whether or not that succeeds.
    pub fn drain(&mut self) {
        self.is_drained = true;
    }

    /// Notes that nothing is known of what the call takes: it is recorded without usage and cost, and
    /// marked.
    pub fn is_unmetered(&mut self) {
        self.is_unmetered = true;
    }

    /// Notes the status code that the caller sees.
    pub fn answer_with(&mut self, status: http::StatusCode) {
        self.status = Some(status.as_u16());
    }

    /// Notes what the answer says so far.
    pub fn observe(&mut self, observed: Observed) {
        self.observed = observed;
        self.priced = None;
    }

    /// How many times the call was sent.
    pub fn attempts(&self) -> usize {
        self.attempts.len()
    }

    /// What this process itself has taken so far, without the time that providers were waited for.
    pub fn overhead(&self) -> Duration {
        let now = self.ledger.clock.moment();
        let end = self.first_content.unwrap_or(now);
        end.since(self.received).saturating_sub(self.waited)
    }

    /// What the usage so far costs, as it would be recorded now; `None` when no price is known.
    pub fn cost(&mut self) -> Option<&Priced> {
        // What the cache answers was paid for by another call.
        if self.cache.is_hit() {
            return None;
        }
        if self.priced.is_none() {
            self.priced = self.price(&self.usage());
        }
        self.priced.as_ref()
    }
}

/// Who says what something costs, since when, and for which tier: what [`Priced::source`] writes.
type Edition = (&'static str, PriceVersion, ServiceTier);

fn edition(priced: &Priced) -> Edition {
    (
        priced.price_source,
        priced.price_version,
        priced.asked_tier(),
    )
}

/// Lets whoever else is ready run before it goes on.
async fn one_turn() {
    let mut has_waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
