//! Letting a call in: how much it counts where calls wait, what it is expected to cost, and what is set aside for
//! it.

use domain::caller::Caller;
use domain::limit::Priority;
use domain::usage::{ServiceTier, Usage};
use http::HeaderMap;
use jiff::Timestamp;

use crate::catalog::{ModelFacts, Priced, price};
use crate::chat::ChatError;
use crate::limits::{Admission, Outlay};
use crate::routes::{Plan, ResolvedTarget};

/// The header field in which a caller says how much a call counts where calls wait.
const PRIORITY_FIELD: &str = "x-trunkline-priority";

/// What was set aside for a call.
pub(crate) struct Admitted {
    pub(crate) admission: Admission,
    pub(crate) estimate: Usage,
    /// What the estimate would cost; `None` when no price is known.
    pub(crate) priced: Option<Priced>,
}

impl Admitted {
    /// Counted in, with nothing set aside: nobody is to be paid.
    pub(crate) fn at_no_price((admission, estimate): (Admission, Usage)) -> Self {
        Self {
            admission,
            estimate,
            priced: None,
        }
    }
}

/// How much the call counts where calls wait: as its key does, unless it says itself that it counts less. One of
/// an administrator may also say more.
pub(crate) fn priority_of(caller: &Caller, headers: &HeaderMap) -> Priority {
    let of_key = caller.key().priority;
    let said = headers.get(PRIORITY_FIELD);
    match said.and_then(|word| Priority::from_word(word.to_str().ok()?)) {
        None => of_key,
        Some(said) if caller.is_admin() => said,
        Some(said) => said.min(of_key),
    }
}

/// What a call would cost that nobody has answered yet; `None` when no price is known.
pub(crate) fn expected_price(
    facts: Option<&ModelFacts>,
    usage: &Usage,
    now: Timestamp,
) -> Option<Priced> {
    price(facts?, usage, ServiceTier::Standard, now).ok()
}

/// Sets aside of every limit what the call is expected to take: of the first candidate that has room, which is
/// then the first of the plan. Where none has, it is waited for where the limits say so.
pub(crate) async fn set_aside(
    mut admission: Admission,
    plan: &mut Plan,
    estimate: Usage,
    now: Timestamp,
) -> Result<Admitted, ChatError> {
    let count = plan.candidates.len();
    for at in 0..count.saturating_sub(1) {
        let target = &plan.candidates.at(at).target;
        let (priced, outlay) = expected_cost(&admission, target, estimate, now)?;
        let reserved = admission.reserve_when_shared(target.destination(), outlay);
        match reserved.await {
            Err(reached) if reached.is_of_target => {}
            Err(reached) => return Err(reached.into()),
            Ok(()) => {
                plan.candidates.begin_at(at);
                return Ok(Admitted {
                    admission,
                    estimate,
                    priced,
                });
            }
        }
    }
    let last = &plan.candidates.at(count.saturating_sub(1)).target;
    let (priced, outlay) = expected_cost(&admission, last, estimate, now)?;
    admission
        .reserve_in_turn(last.destination(), outlay)
        .await?;
    plan.candidates.begin_at(count.saturating_sub(1));
    Ok(Admitted {
        admission,
        estimate,
        priced,
    })
}

/// Sets aside what a call is expected to take of one target, as far as that is not set aside already.
pub(crate) fn top_up(
    admission: &mut Admission,
    target: &ResolvedTarget,
    estimate: Usage,
    now: Timestamp,
) -> Result<Option<Priced>, ChatError> {
    let (priced, outlay) = expected_cost(admission, target, estimate, now)?;
    admission.reserve(target.destination(), outlay)?;
    Ok(priced)
}

/// What the call would cost at a target. Where a budget holds and no price is known, it could not.
fn expected_cost(
    admission: &Admission,
    target: &ResolvedTarget,
    estimate: Usage,
    now: Timestamp,
) -> Result<(Option<Priced>, Outlay), ChatError> {
    let priced = expected_price(target.facts.as_deref(), &estimate, now);
    let takes_something = estimate != Usage::default();
    if priced.is_none() && takes_something && admission.has_budget_at(target.destination()) {
        return Err(ChatError::Unpriced {
            provider: target.provider.name.clone(),
            model: target.model.clone(),
        });
    }
    let outlay = priced
        .as_ref()
        .map_or_else(Outlay::default, |priced| Outlay {
            usual: priced.total,
            least: priced.without_output(),
        });
    Ok((priced, outlay))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::key::{Rate, Role, VirtualKey};
    use http::HeaderValue;

    use super::*;

    fn counting(of_key: Priority, role: Role, said: Option<&str>) -> &'static str {
        let key = crate::testing::caller(Rate::default(), None);
        let caller = Caller::holding(Arc::new(VirtualKey {
            priority: of_key,
            role,
            ..VirtualKey::clone(key.key())
        }));
        let mut headers = HeaderMap::new();
        if let Some(said) = said {
            headers.insert(PRIORITY_FIELD, HeaderValue::from_str(said).unwrap());
        }
        priority_of(&caller, &headers).as_str()
    }

    #[test]
    fn a_call_counts_as_its_key_does_unless_it_says_less() {
        let member = |of_key, said| counting(of_key, Role::Member, said);
        assert_eq!(member(Priority::Low, None), "low");
        assert_eq!(member(Priority::Low, Some("high")), "low");
        assert_eq!(member(Priority::Normal, Some("high")), "normal");
        assert_eq!(member(Priority::Normal, Some("low")), "low");
        assert_eq!(member(Priority::High, None), "high");
        assert_eq!(member(Priority::High, Some("normal")), "normal");
        assert_eq!(member(Priority::High, Some("urgent")), "high");
        let admin = |of_key, said| counting(of_key, Role::Admin, said);
        assert_eq!(admin(Priority::Low, None), "low");
        assert_eq!(admin(Priority::Low, Some("high")), "high");
    }
}
