//! Re-rating: what calls cost by the prices that are known now.
//!
//! A price may become known, or be corrected, after calls were made. Their rows stay as they are; what they
//! cost more or less is written down as [adjustments](domain::adjustment), which count wherever the calls
//! count. Doing it again changes nothing.

use std::collections::{BTreeMap, HashMap};

use domain::adjustment::{Adjusted, Adjustment, AdjustmentReason, AdjustmentStore};
use domain::call::{Attempt, Call, CallCursor, CallFilter, CallState, CallStore, EndReason};
use domain::id::RequestId;
use domain::money::Cost;
use domain::store_error::StoreError;
use domain::usage::{ServiceTier, Usage};
use jiff::Timestamp;

use crate::catalog::{Priced, price, tier_of};
use crate::routes::Routes;

/// Calls that are looked at together.
const BATCH: u32 = 500;

/// What a call costs by the prices that are known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recomputed {
    /// How much.
    pub cost: Cost,
    /// Where the price comes from; `None` where none was needed, since the call took nothing.
    pub source: Option<String>,
}

/// Why what a call costs cannot be computed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotComputable {
    /// No price is known for its model.
    #[error("no price is known for its model")]
    Unpriced,
    /// Several models took part in its answer, and none says what it took.
    #[error("several models took part in its answer")]
    Mixed,
    /// Nothing is known of what it took.
    #[error("nothing is known of what it took")]
    Unmetered,
}

/// What a call costs by what `routes` knows of prices: the same arithmetic as when it ended.
pub fn recompute(routes: &Routes, call: &Call) -> Result<Recomputed, NotComputable> {
    let took_nothing = call.usage == Usage::default()
        && matches!(call.state, CallState::Failed | CallState::Settled);
    if call.cache.is_hit() || took_nothing {
        return Ok(Recomputed {
            cost: Cost::ZERO,
            source: None,
        });
    }
    if call.end_reason == Some(EndReason::Unmetered) {
        return Err(NotComputable::Unmetered);
    }
    let tier = tier_of(call.price_source.as_deref().unwrap_or_default());
    let parts = call
        .attempts
        .iter()
        .filter(|attempt| attempt.usage.is_some());
    let last = call.attempts.last().ok_or(NotComputable::Unpriced)?;
    // Where several were billed, each says what it took; otherwise the call's usage is that of the one.
    if parts.clone().next().is_none() {
        let answered = |attempt: &&Attempt| attempt.error_type.is_none();
        let is_other =
            |other: &Attempt| (&other.provider, &other.model) != (&last.provider, &last.model);
        if call.attempts.iter().filter(answered).any(is_other) {
            return Err(NotComputable::Mixed);
        }
        let priced = priced(routes, call, last, &call.usage, tier)?;
        return Ok(Recomputed {
            cost: priced.total,
            source: Some(priced.source()),
        });
    }
    let mut sum = Recomputed {
        cost: Cost::ZERO,
        source: None,
    };
    for attempt in parts {
        let usage = attempt.usage.unwrap_or_default();
        let priced = priced(routes, call, attempt, &usage, tier)?;
        sum.cost = sum.cost.saturating_add(priced.total);
        // The call names the price of the one whose answer it tells, and where that is unknown the last one's.
        sum.source = Some(priced.source());
    }
    Ok(sum)
}

/// What one attempt costs by what is known now.
fn priced(
    routes: &Routes,
    call: &Call,
    attempt: &Attempt,
    usage: &Usage,
    tier: ServiceTier,
) -> Result<Priced, NotComputable> {
    let provider = routes.provider(attempt.provider.as_str());
    let facts = provider.and_then(|provider| routes.facts(provider, &attempt.model));
    let facts = facts.ok_or(NotComputable::Unpriced)?;
    price(&facts, usage, tier, call.started_at).map_err(|_| NotComputable::Unpriced)
}

/// Which calls are to be re-rated, and by whom.
#[derive(Debug, Clone)]
pub struct Rerating {
    /// The calls.
    pub filter: CallFilter,
    /// Only those that this model answered, in the provider's words.
    pub model: Option<String>,
    /// Only compute, write nothing.
    pub is_dry: bool,
    /// Who wants it: a key's identifier, or `command line`.
    pub made_by: String,
    /// When.
    pub now: Timestamp,
}

/// What re-rating came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rerated {
    /// Calls that were looked at.
    pub calls: u64,
    /// Those that cost something else now.
    pub adjusted: u64,
    /// Those of which it cannot be said what they cost.
    pub not_computable: u64,
    /// What all of them cost more now, or less.
    pub amount: Cost,
    /// The same for every model, by `provider/model`.
    pub models: BTreeMap<String, RatedModel>,
    /// Where to go on; `None` at the end.
    pub next: Option<CallCursor>,
}

/// What re-rating one model's calls came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RatedModel {
    /// Calls that cost something else now.
    pub adjusted: u64,
    /// What they cost more now, or less.
    pub amount: Cost,
}

/// Re-rates at most about `limit` calls, newest first, from `after` on, and tells `progress` now and then how
/// far it is. What was written stays when it is broken off; doing it again does the rest.
pub async fn rerate<S: CallStore + AdjustmentStore + ?Sized>(
    store: &S,
    routes: &Routes,
    rerating: &Rerating,
    after: Option<CallCursor>,
    limit: u64,
    mut progress: impl FnMut(&Rerated),
) -> Result<Rerated, StoreError> {
    let mut rerated = Rerated {
        next: after,
        ..Rerated::default()
    };
    while rerated.calls < limit {
        let page = store
            .list_calls(&rerating.filter, rerated.next, BATCH)
            .await?;
        rerated.next = page.next;
        let wanted: Vec<&Call> = page
            .calls
            .iter()
            .filter(|call| rerating.wants(call))
            .collect();
        let ids: Vec<RequestId> = wanted.iter().map(|call| call.request_id).collect();
        let adjusted: HashMap<RequestId, Adjusted> = store
            .adjusted(&ids)
            .await?
            .into_iter()
            .map(|adjusted| (adjusted.request_id, adjusted))
            .collect();
        let mut adjustments = Vec::new();
        rerated.calls += wanted.len() as u64;
        for call in wanted {
            match recompute(routes, call) {
                Ok(now) => {
                    adjustments.extend(rerating.adjustment(
                        call,
                        adjusted.get(&call.request_id),
                        now,
                    ));
                }
                Err(_) => rerated.not_computable += 1,
            }
            if let Some(last) = adjustments.last()
                && last.request_id == call.request_id
            {
                rerated.count(call, last.amount);
            }
        }
        if !rerating.is_dry && !adjustments.is_empty() {
            store.add_adjustments(&adjustments).await?;
        }
        progress(&rerated);
        if rerated.next.is_none() {
            break;
        }
    }
    Ok(rerated)
}

impl Rerating {
    fn wants(&self, call: &Call) -> bool {
        self.model.as_ref().is_none_or(|model| {
            let last = call.attempts.last();
            last.is_some_and(|attempt| attempt.model == *model)
        })
    }

    /// What brings the call to what it costs now; `None` where it costs that already. A call whose cost was
    /// unknown and is nothing is adjusted by nothing, so that it is known.
    fn adjustment(
        &self,
        call: &Call,
        before: Option<&Adjusted>,
        now: Recomputed,
    ) -> Option<Adjustment> {
        let was_known = call.cost_usd.is_some() || before.is_some();
        let adjusted = before.map_or(Cost::ZERO, |before| before.amount);
        let cost = call.cost_usd.unwrap_or_default().saturating_add(adjusted);
        let amount = now.cost.saturating_sub(cost);
        if amount == Cost::ZERO && was_known {
            return None;
        }
        let old_price_source = match before {
            Some(before) => before.price_source.clone(),
            None => call.price_source.clone(),
        };
        Some(Adjustment {
            request_id: call.request_id,
            number: before.map_or(1, |before| before.last_number.saturating_add(1)),
            organization_id: call.organization_id,
            project_id: call.project_id,
            application_id: call.application_id,
            user_id: call.user_id,
            key_id: call.key_id,
            started_at: call.started_at,
            amount,
            reason: AdjustmentReason::Rerated,
            old_price_source,
            new_price_source: now.source,
            made_at: self.now,
            made_by: self.made_by.clone(),
        })
    }
}

impl Rerated {
    fn count(&mut self, call: &Call, amount: Cost) {
        self.adjusted += 1;
        self.amount = self.amount.saturating_add(amount);
        let name = call.attempts.last().map_or_else(
            || call.request_model.to_string(),
            |attempt| format!("{}/{}", attempt.provider, attempt.model),
        );
        let model = self.models.entry(name).or_default();
        model.adjusted += 1;
        model.amount = model.amount.saturating_add(amount);
    }
}

#[cfg(test)]
mod tests;
