//! How a call ends: what became of it, what it took and cost, and the record of it.

use domain::call::{Call, CallState, EndReason, Operation};
use domain::clock::Moment;
use domain::money::Cost;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::{ServiceTier, Usage};

use super::{OpenCall, edition, milliseconds, one_turn};
use crate::catalog::{Priced, price};
use crate::limits::Destination;

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

impl OpenCall {
    /// Ends the call; when it returns, the end is in the kernel.
    pub fn end(mut self: Box<Self>, ending: &Ending) {
        self.end_once(ending);
        self.ledger.write_ends();
    }

    /// Ends the call, after whoever else is ready has had one turn to join the write; when it returns, the
    /// end is in the kernel. When it is dropped before that, the end is written soon afterwards
    /// ([`Ledger::write_ends`](crate::ledger::Ledger::write_ends)).
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
        let mut counted_in = 0;
        if let Some(admission) = self.admission.take() {
            let cost = call.cost_usd.unwrap_or(Cost::ZERO);
            let taken = if self.cache.is_hit() {
                Usage::default()
            } else {
                usage
            };
            let (provider, model) = call.answered_by();
            let target = provider.map(|provider| Destination { provider, model });
            counted_in = admission.settle_at(target, taken.input_tokens, taken.output_tokens, cost);
        }
        let segments = std::mem::take(&mut self.segments);
        let traceparent = self.traceparent.as_deref();
        self.ledger.end(segments, call, counted_in, traceparent);
    }

    /// Says how the answer ended to the health of its target.
    pub(super) fn land(&mut self, ending: &Ending, now: Moment) {
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
    pub(super) fn usage(&self) -> Usage {
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
    pub(super) fn is_outcome_unknown(&self) -> bool {
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

    pub(super) fn price(&self, usage: &Usage) -> Option<Priced> {
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
