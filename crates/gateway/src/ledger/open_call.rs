//! A call that has begun and not ended.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use domain::call::{
    Attempt, AttemptReason, CacheOutcome, Call, CallState, EndReason, Face, Operation,
};
use domain::caller::Caller;
use domain::clock::Moment;
use domain::id::{BatchId, RequestId};
use domain::money::Cost;
use domain::name::{ModelName, ProviderName};
use domain::provider_error::{Cause, ProviderError};
use domain::usage::{ServiceTier, Usage};
use jiff::Timestamp;
use providers::tap::Observed;

use super::journal::Ticket;
use super::record::{self, Dispatch, Intent};
use super::{JournalError, Ledger};
use crate::admit::{expected_price, top_up};
use crate::catalog::{ModelFacts, PriceVersion, Priced, price};
use crate::chat::ChatError;
use crate::health::Flight;
use crate::limits::{Admission, Standing};
use crate::routes::ResolvedTarget;

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

/// How a call ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The caller got the whole answer.
    Answered,
    /// The caller went away.
    CallerGone,
    /// The provider failed or refused before it answered.
    Failed(ProviderError),
    /// The provider failed in the middle of its answer.
    Broke(ProviderError),
    /// Every provider failed before it answered, and the caller got the safe reply of the route.
    SafeReply(ProviderError),
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

/// What is particular of one attempt while two are under way.
struct Leg {
    place: usize,
    sent: Option<Moment>,
    flight: Option<(Moment, Flight)>,
    facts: Option<Arc<ModelFacts>>,
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

    /// Does the same for a second target while the first has not answered: the attempt under way stays the one
    /// that is told, unless [`OpenCall::swap_legs`] says otherwise.
    pub(crate) async fn dispatch_rival(
        &mut self,
        target: &ResolvedTarget,
        flight: Flight,
    ) -> Result<(), JournalError> {
        let provider = target.provider.name.clone();
        let reason = AttemptReason::Hedge;
        let place = self.announce(provider, &target.model, reason).await?;
        self.rival = Some(Box::new(Leg {
            place,
            sent: Some(self.ledger.clock.moment()),
            flight: Some((self.ledger.clock.moment(), flight)),
            facts: target.facts.clone(),
        }));
        Ok(())
    }

    /// Writes down that another target is about to go on with the answer of the one under way, which broke off: it
    /// may be asked when this returns. What the other has taken is billed.
    pub(crate) async fn dispatch_continuation(
        &mut self,
        target: &ResolvedTarget,
        broke: &ProviderError,
    ) -> Result<(), JournalError> {
        let provider = target.provider.name.clone();
        let reason = AttemptReason::Continuation;
        let place = self.announce(provider, &target.model, reason).await?;
        let now = self.ledger.clock.moment();
        let told = self.attempts.get_mut(self.told);
        // One that did not begin to go on has its failure already.
        if told.is_some_and(|it| it.error_type.is_none()) {
            self.bill(self.told, self.usage());
            if let Some(told) = self.attempts.get_mut(self.told) {
                told.error_type = Some(broke.cause);
            }
            self.land(&Ending::Broke(broke.clone()), now);
        }
        self.observe(Observed::default());
        self.facts.clone_from(&target.facts);
        self.told = place;
        self.sent = Some(now);
        Ok(())
    }

    /// What other attempts took than the one under way.
    pub(crate) fn taken_by_others(&self) -> Usage {
        self.others().map(|(usage, _)| usage).unwrap_or_default()
    }

    /// Lets the second attempt be the one that is told, and the first the second.
    pub(crate) fn swap_legs(&mut self) {
        if let Some(rival) = &mut self.rival {
            std::mem::swap(&mut self.told, &mut rival.place);
            std::mem::swap(&mut self.sent, &mut rival.sent);
            std::mem::swap(&mut self.flight, &mut rival.flight);
            std::mem::swap(&mut self.facts, &mut rival.facts);
            self.priced = None;
        }
    }

    /// Notes that the second attempt is over: given up where it had not failed, and then estimated to have taken
    /// what it was asked.
    pub(crate) fn conclude_rival(&mut self) {
        self.swap_legs();
        let now = self.ledger.clock.moment();
        if let Some(sent) = self.sent.take() {
            self.flight = None;
            if let Some(attempt) = self.attempts.get_mut(self.told) {
                attempt.latency_ms = Some(milliseconds(now.since(sent)));
                attempt.cancelled = true;
            }
            self.bill(self.told, Usage::text(self.intent.estimate.input_tokens, 0));
        }
        self.swap_legs();
        self.rival = None;
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

    /// Notes what one attempt took, or is estimated to have taken.
    fn bill(&mut self, place: usize, usage: Usage) {
        let cost = self.price(&usage).map(|priced| priced.total);
        if let Some(attempt) = self.attempts.get_mut(place) {
            attempt.usage = Some(usage);
            attempt.cost_usd = cost;
        }
    }

    /// What other attempts took than the one that the caller is told of.
    fn others(&self) -> Option<(Usage, Cost)> {
        let others = self.attempts.iter().enumerate();
        let others = others.filter(|(place, _)| *place != self.told);
        let mut billed = others.filter_map(|(_, it)| Some((it.usage?, it.cost_usd)));
        let (usage, cost) = billed.next()?;
        Some(billed.fold(
            (usage, cost.unwrap_or_default()),
            |(usage, sum), (more, cost)| {
                let sum = sum.saturating_add(cost.unwrap_or_default());
                (usage.saturating_add(more), sum)
            },
        ))
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

    /// Ends the call; when it returns, the end is in the kernel.
    pub fn end(mut self: Box<Self>, ending: &Ending) {
        self.end_once(ending);
        self.ledger.write_ends();
    }

    /// Ends the call, after whoever else is ready has had one turn to join the write; when it returns, the
    /// end is in the kernel. When it is dropped before that, the end is written soon afterwards
    /// ([`Ledger::write_ends`]).
    pub async fn end_with_others(mut self: Box<Self>, ending: &Ending) {
        self.end_once(ending);
        one_turn().await;
        self.ledger.write_ends();
    }

    fn end_once(&mut self, ending: &Ending) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        if let Err(error) = self.conclude_announcement() {
            tracing::error!(request_id = %self.intent.request_id, %error, "an attempt could not be journaled");
        }
        if self.segments.is_empty() && self.answered_for.is_none() {
            return;
        }
        if self.rival.is_some() {
            self.conclude_rival();
        }
        let now = self.ledger.clock.moment();
        if self.sent.is_some() {
            // Nothing is said of its target by a caller who goes away.
            self.flight = None;
            self.attempt_answered(None, None);
        }
        self.land(ending, now);
        let (state, end_reason) = self.verdict(ending);
        let usage = if state == CallState::Failed {
            self.observed.usage.unwrap_or_default()
        } else {
            self.usage()
        };
        self.cost();
        let priced = self.priced.take();
        let mut call = self.call(ending, state, end_reason, usage, priced.as_ref(), now);
        self.add_others(&mut call);
        let usage = call.usage;
        if let Some(admission) = self.admission.take() {
            let cost = call.cost_usd.unwrap_or(Cost::ZERO);
            let taken = if self.cache.is_hit() {
                Usage::default()
            } else {
                usage
            };
            admission.settle(taken.input_tokens, taken.output_tokens, cost);
        }
        let segments = std::mem::take(&mut self.segments);
        self.ledger.end(segments, call, self.traceparent.as_deref());
    }

    /// Says how the answer ended to the health of its target.
    fn land(&mut self, ending: &Ending, now: Moment) {
        if let Some((sent, mut flight)) = self.flight.take() {
            match ending {
                Ending::Answered if self.intent.streamed => flight.ended(sent, now),
                Ending::Broke(error) => flight.failed(error.cause, now),
                Ending::Answered
                | Ending::CallerGone
                | Ending::Failed(_)
                | Ending::SafeReply(_) => {}
            }
        }
    }

    /// Adds to a call what it took beside the attempt that the caller is told of. Then each attempt says what
    /// it took.
    fn add_others(&mut self, call: &mut Call) {
        self.attempts = std::mem::take(&mut call.attempts);
        if let Some((usage, cost)) = self.others() {
            if let Some(told) = self.attempts.get_mut(self.told) {
                told.usage = Some(call.usage);
                told.cost_usd = call.cost_usd;
            }
            call.usage = call.usage.saturating_add(usage);
            call.cost_usd = Some(cost.saturating_add(call.cost_usd.unwrap_or_default()));
            if matches!(call.state, CallState::Settled | CallState::Failed) {
                call.state = CallState::Estimated;
                call.end_reason.get_or_insert(EndReason::OtherAttempt);
            }
        } else if let Some(told) = self.attempts.get_mut(self.told) {
            // The call's own usage is the attempt's.
            told.usage = None;
            told.cost_usd = None;
        }
        call.attempts = std::mem::take(&mut self.attempts);
    }

    fn verdict(&self, ending: &Ending) -> (CallState, Option<EndReason>) {
        let knows_usage = self.observed.usage.is_some();
        let has_finished = self.observed.finish.is_some();
        match ending {
            Ending::Answered if self.is_unmetered => {
                (CallState::Estimated, Some(EndReason::Unmetered))
            }
            Ending::Answered if knows_usage => (CallState::Settled, None),
            Ending::Answered => (CallState::Estimated, Some(EndReason::NoUsage)),
            Ending::CallerGone if self.is_drained && !(knows_usage && has_finished) => {
                (CallState::Estimated, Some(EndReason::CallerGone))
            }
            // The caller has all there was to know: some clients do not wait for a stream's terminator.
            Ending::CallerGone if !self.is_drained && knows_usage && has_finished => {
                (CallState::Settled, Some(EndReason::CallerGone))
            }
            Ending::CallerGone => (CallState::Cancelled, Some(EndReason::CallerGone)),
            Ending::Failed(_) => (self.failed_state(), Some(EndReason::ProviderError)),
            Ending::SafeReply(_) => (self.failed_state(), Some(EndReason::SafeReply)),
            Ending::Broke(_) if has_finished && knows_usage => {
                (CallState::Settled, Some(EndReason::ProviderBroke))
            }
            Ending::Broke(_) if self.observed.has_content || knows_usage => {
                (CallState::Estimated, Some(EndReason::ProviderBroke))
            }
            Ending::Broke(_) => (CallState::Failed, Some(EndReason::ProviderBroke)),
        }
    }

    /// How a call ends that no provider answered.
    fn failed_state(&self) -> CallState {
        if self.is_outcome_unknown() {
            CallState::Estimated
        } else {
            CallState::Failed
        }
    }

    /// What the call took so far: what the provider says. Of an answer that is not complete it may not
    /// have said all: then at least the output that was seen counts, at four bytes a token. Where it
    /// says nothing, the input counts as it was estimated before it was sent, unless the provider turned
    /// the call away or it never left. Of what is not a chat, and of what nothing ever came back, the whole
    /// estimate counts then.
    fn usage(&self) -> Usage {
        let output_seen = self.observed.output_bytes.div_ceil(4);
        let is_turned_away = self
            .attempts
            .get(self.told)
            .is_none_or(|last| last.error_type.is_some() && !self.is_outcome_unknown());
        match self.observed.usage {
            Some(usage) if self.observed.finish.is_some() => usage,
            Some(usage) => Usage {
                output_tokens: usage.output_tokens.max(output_seen),
                ..usage
            },
            None if is_turned_away => Usage::default(),
            None if self.is_outcome_unknown() => self.intent.estimate,
            None if self.says_words(output_seen) => {
                Usage::text(self.intent.estimate.input_tokens, output_seen)
            }
            None => self.intent.estimate,
        }
    }

    /// Whether the provider may have done the work, and charge for it, although no answer came: it did not
    /// come in time, or the connection broke before there was one.
    fn is_outcome_unknown(&self) -> bool {
        self.attempts.get(self.told).is_some_and(|last| {
            let has_failed = last
                .status
                .is_some_and(|status| !(200..300).contains(&status));
            let is_lost = matches!(last.error_type, Some(Cause::Timeout | Cause::Interrupted));
            is_lost && !has_failed
        })
    }

    /// Whether what was seen of the answer tells its output, four bytes a token.
    fn says_words(&self, output_seen: u64) -> bool {
        match self.intent.operation {
            Operation::Chat => true,
            Operation::PassThrough => output_seen > 0,
            _ => false,
        }
    }

    fn price(&self, usage: &Usage) -> Option<Priced> {
        let tier = self.observed.service_tier.unwrap_or(ServiceTier::Standard);
        let facts = self.facts.as_deref()?;
        price(facts, usage, tier, self.intent.started_at).ok()
    }

    fn call(
        &mut self,
        ending: &Ending,
        state: CallState,
        end_reason: Option<EndReason>,
        usage: Usage,
        priced: Option<&Priced>,
        now: Moment,
    ) -> Call {
        let error = match ending {
            Ending::Answered | Ending::CallerGone => None,
            Ending::Failed(error) | Ending::Broke(error) | Ending::SafeReply(error) => {
                Some(error.cause.as_str().to_owned())
            }
        };
        let attempts = std::mem::take(&mut self.attempts);
        // A call that failed took nothing, whether its model has a price or not.
        let cost_usd = match state {
            _ if self.cache.is_hit() => Some(Cost::ZERO),
            CallState::Failed if self.observed.usage.is_none() => Some(Cost::ZERO),
            // So did one of which the provider says that it took nothing.
            CallState::Settled if usage == Usage::default() => Some(Cost::ZERO),
            _ => priced.map(|priced| priced.total),
        };
        // Most often the text is there already.
        let price_source = if priced.map(edition) == self.estimated_with {
            self.intent.price_source.take()
        } else {
            priced.map(Priced::source)
        };
        let first_content = self.first_content;
        let overhead = first_content.unwrap_or(now).since(self.received);
        Call {
            request_id: self.intent.request_id,
            client_request_id: self.intent.client_request_id.take(),
            batch_id: self.intent.batch_id,
            started_at: self.intent.started_at,
            ended_at: self.ledger.clock.now(),
            state,
            end_reason,
            operation: self.intent.operation,
            face: self.intent.face,
            streamed: self.intent.streamed,
            provider: attempts
                .get(self.told)
                .map(|attempt| attempt.provider.clone())
                .or_else(|| self.answered_for.take()),
            request_model: self.intent.request_model.clone(),
            response_model: self.observed.response_model.take(),
            route: self.intent.route.take(),
            variant: self.intent.variant.take(),
            shadow_of: self.intent.shadow_of,
            key_id: self.intent.key_id,
            organization_id: self.intent.organization_id,
            project_id: self.intent.project_id,
            application_id: self.intent.application_id,
            user_id: self.intent.user_id,
            status: self.status,
            error_type: error,
            finish_reason: self
                .observed
                .finish
                .as_ref()
                .map(|finish| finish.reason.as_str().to_owned()),
            attempts,
            usage,
            cost_usd,
            price_source,
            cache: self.cache,
            saved_usd: self.saved,
            latency_ms: milliseconds(now.since(self.received)),
            time_to_first_token_ms: first_content
                .map(|first| milliseconds(first.since(self.received))),
            overhead_us: u64::try_from(overhead.saturating_sub(self.waited).as_micros())
                .unwrap_or(u64::MAX),
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end_once(&Ending::CallerGone);
            self.ledger.write_ends();
        }
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
