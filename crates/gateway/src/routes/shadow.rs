//! Which calls of a route are copied to another target, beside their own way.

use std::sync::Arc;

use domain::caller::Caller;
use domain::id::RequestId;
use domain::key::Budget;
use domain::name::ModelName;
use domain::region::{self, Region};

use super::hash::StableHash;
use super::plan::{Candidate, Candidates, Plan};
use super::rollout::Percent;
use super::{ResolvedTarget, Retries, Route, RouteTarget, Routes, Timeouts};
use crate::house;

/// Which calls are copied where, as it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowRules {
    /// Where the copies go.
    pub target: RouteTarget,
    /// How many of the calls are copied.
    pub share: Percent,
    /// What the copies may cost together.
    pub budget: Budget,
}

/// The shadow of one route.
pub struct Shadow {
    route: ModelName,
    rules: ShadowRules,
    target: Arc<ResolvedTarget>,
    /// Where the route's requests may go; empty for everywhere.
    regions: Vec<Region>,
    timeouts: Timeouts,
    /// In whose name the copies are sent.
    caller: Caller,
}

impl Shadow {
    pub(super) fn new(
        name: &ModelName,
        route: &Route,
        rules: &ShadowRules,
        target: Arc<ResolvedTarget>,
    ) -> Self {
        let RouteTarget { provider, model } = &rules.target;
        // Copies to another model are another comparison, with a budget of its own.
        let purpose = format!("shadow of {name} at {provider}/{model}");
        Self {
            route: name.clone(),
            rules: rules.clone(),
            target,
            regions: route.sharing.regions.clone(),
            timeouts: route.timeouts,
            caller: house::caller(&purpose, rules.budget),
        }
    }

    /// The route.
    pub fn route(&self) -> &ModelName {
        &self.route
    }

    /// The rules that it follows.
    pub fn rules(&self) -> &ShadowRules {
        &self.rules
    }

    /// In whose name the copies are sent.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether a call is copied: the same on every replica, and for the greater share all of the smaller one's.
    pub(crate) fn takes(&self, call: RequestId) -> bool {
        let draw = StableHash::of(self.route.as_str().as_bytes()).and(&call.to_bytes());
        self.rules.share.holds(draw)
    }

    /// Whether a caller's data may go there.
    pub(crate) fn is_for(&self, caller: &Caller, routes: &Routes) -> bool {
        let region = self.target.region.as_ref();
        let residency = &routes.policy().residency;
        region::permits(&self.regions, region) && residency.permits(caller, region)
    }

    /// Where the copies go: to one target, once.
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            route: Some(self.route.as_str().to_owned()),
            timeouts: self.timeouts,
            retries: Retries {
                attempts: 1,
                ..Retries::default()
            },
            candidates: Candidates::only(Candidate::primary(Arc::clone(&self.target))),
            ..Plan::of(Arc::clone(&self.target))
        }
    }
}

impl Routes {
    /// Every shadow, by the names of the routes.
    pub fn shadows(&self) -> impl Iterator<Item = Arc<Shadow>> {
        let shadowed = self.by_name.iter();
        let shadowed = shadowed.filter(|(_, route)| route.shadow.is_some());
        shadowed.filter_map(|(name, _)| self.plan(name).ok()?.shadow)
    }
}
