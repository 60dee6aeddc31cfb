//! Trunkline as a caller of its own: what it asks providers on nobody's behalf is limited, recorded and priced
//! as any call is, with a key of its own for each purpose.

use std::sync::Arc;

use domain::caller::Caller;
use domain::id::{KeyId, OrganizationId, ProjectId};
use domain::key::{Budget, ModelPattern, VirtualKey};
use jiff::Timestamp;

use crate::routes::hash::StableHash;

/// The key of a purpose: the same at every start and on every replica, so that its calls and its spend stay
/// together.
pub(crate) fn key_id(purpose: &str) -> KeyId {
    let first = StableHash::of(purpose.as_bytes());
    let second = first.and_number(1);
    let digest = (u128::from(first.bits()) << 64) | u128::from(second.bits());
    KeyId::of_configured(digest.to_be_bytes())
}

/// Trunkline, asking for a purpose within a budget. It belongs to no tenant, so that it takes of nobody's
/// limits; those of providers and models hold for it too. Nobody can show its key.
pub(crate) fn caller(purpose: &str, budget: Budget) -> Caller {
    let (organization, project) = (OrganizationId::HOUSE, ProjectId::HOUSE);
    Caller::holding(Arc::new(VirtualKey {
        name: purpose.to_owned(),
        models: vec![ModelPattern::new("*")],
        budget: Some(budget),
        ..VirtualKey::without_text(
            key_id(purpose),
            organization,
            project,
            Timestamp::UNIX_EPOCH,
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_has_always_the_same_key_and_no_other_has_it() {
        assert_eq!(key_id("shadow"), key_id("shadow"));
        assert_ne!(key_id("shadow"), key_id("canary"));
        assert_eq!(
            key_id("shadow").to_string(),
            "key_494aef9fd77682eea5528b476de300a0"
        );
    }
}
