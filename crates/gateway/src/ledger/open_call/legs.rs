//! Attempts beside the one that the caller is told of: a second one while the first is under way, and one that goes
//! on with what the first began.

use std::sync::Arc;

use domain::call::AttemptReason;
use domain::clock::Moment;
use domain::money::Cost;
use domain::provider_error::ProviderError;
use domain::usage::Usage;
use providers::tap::Observed;

use super::{Ending, OpenCall, milliseconds};
use crate::catalog::ModelFacts;
use crate::health::Flight;
use crate::ledger::JournalError;
use crate::routes::ResolvedTarget;

/// What is particular of one attempt while two are under way.
pub(super) struct Leg {
    place: usize,
    sent: Option<Moment>,
    flight: Option<(Moment, Flight)>,
    facts: Option<Arc<ModelFacts>>,
}

impl OpenCall {
    /// Does what [`OpenCall::dispatch`] does for a second target while the first has not answered: the attempt under
    /// way stays the one that is told, unless [`OpenCall::swap_legs`] says otherwise.
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

    /// Notes what one attempt took, or is estimated to have taken.
    pub(super) fn bill(&mut self, place: usize, usage: Usage) {
        let cost = self.price(&usage).map(|priced| priced.total);
        if let Some(attempt) = self.attempts.get_mut(place) {
            attempt.usage = Some(usage);
            attempt.cost_usd = cost;
        }
    }

    /// What other attempts took than the one that the caller is told of.
    pub(super) fn others(&self) -> Option<(Usage, Cost)> {
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
}
