//! What a batch that is handed over holds of the budgets: what all its lines may cost, until they have ended.

use domain::batch::{Batch, Handover, LineFault};
use domain::caller::Caller;

use super::Batches;
use crate::chat::Gateway;
use crate::limits::{Admission, Destination, Outlay};

/// What a batch holds, part by part; nothing for those that have ended.
pub(super) struct Held(Vec<Option<Admission>>);

impl Held {
    /// Gives back what is held for parts that have ended.
    pub(super) fn keep_only(&mut self, parts: &[Handover]) {
        for (held, part) in self.0.iter_mut().zip(parts) {
            if part.has_ended() {
                *held = None;
            }
        }
    }
}

impl Batches {
    /// Sets aside what the lines may cost at the price for batches. The budgets must have room for all of
    /// them, even for a batch that is alone, since nobody can stop what a provider has been given; and that is
    /// held in any case. Where replicas share the budgets, it waits until this one has a share that is large
    /// enough.
    pub(super) async fn set_aside(
        &self,
        gateway: &Gateway,
        batch: &Batch,
        caller: &Caller,
    ) -> Result<Held, LineFault> {
        if let Some(held) = self.locked_held().remove(&batch.id) {
            return Ok(held);
        }
        let parts = &batch.details.handovers;
        if parts.iter().any(|part| part.number > 0) {
            return Ok(self.hold_parts(gateway, parts, caller));
        }
        let now = self.parts.clock.now();
        let mut held = Vec::with_capacity(parts.len());
        for part in parts {
            let mut admission = gateway.limits.admit_settled(caller, None, now);
            let outlay = Outlay::exactly(part.reserved);
            let reserved = admission.reserve_when_shared(destination(part), outlay);
            reserved.await.map_err(|reached| {
                let cost = part.reserved;
                LineFault::of_batch(
                    "budget_exhausted",
                    format!(
                        "The requests for {} may cost ${cost}, and {reached}.",
                        part.model
                    ),
                )
            })?;
            held.push(Some(admission));
        }
        Ok(Held(held))
    }

    /// Holds what batches may cost that were handed over before this process began, until somebody goes on
    /// with them.
    pub(super) fn hold_open(&self, gateway: &Gateway, batch: &Batch) {
        let parts = &batch.details.handovers;
        let is_handed_over = parts.iter().any(|part| part.number > 0);
        let holder = (self.parts.holder)(batch.key_id).filter(|_| is_handed_over);
        if let Some(caller) = holder {
            let held = self.hold_parts(gateway, parts, &caller);
            self.locked_held().insert(batch.id, held);
        }
    }

    fn hold_parts(&self, gateway: &Gateway, parts: &[Handover], caller: &Caller) -> Held {
        let now = self.parts.clock.now();
        let held = parts.iter().map(|part| {
            let mut admission = gateway.limits.admit_settled(caller, None, now);
            admission.hold(destination(part), part.reserved);
            (!part.has_ended()).then_some(admission)
        });
        Held(held.collect())
    }
}

fn destination(part: &Handover) -> Destination<'_> {
    Destination {
        provider: &part.provider,
        model: &part.model,
    }
}
