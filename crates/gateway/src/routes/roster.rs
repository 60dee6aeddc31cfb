//! The targets of a route as the configuration has them: whom each is for, and what is known of it.

use std::fmt;
use std::sync::Arc;

use domain::name::ModelName;
use domain::region::{self, Region};

use crate::prompt_cache::PromptCaching;

use super::choice::id_of;
use super::condition::Condition;
use super::fallback::When;
use super::hash::StableHash;
use super::plan::{Candidate, Standing};
use super::rollout::Percent;
use super::strategy::Strategy;
use super::{Lead, ResolvedTarget, Route, RouteMember, RouteTarget, Routes};

/// How many routes may lead through one another.
pub const MAX_DEPTH: usize = 4;

/// A route with its targets resolved.
#[derive(Debug)]
pub(super) struct Roster {
    /// The route's name.
    pub(super) name: Arc<str>,
    /// By what its targets are ordered.
    pub(super) strategy: Strategy,
    /// What keeps requests together, the first that a request has.
    pub(super) sticky: Vec<Sticky>,
    /// Where its requests may go; empty for everywhere.
    pub(super) regions: Vec<Region>,
    /// Where they go.
    pub(super) members: Vec<Member>,
    /// Where they go when nobody of these answers.
    pub(super) fallbacks: Vec<(When, Member)>,
}

/// A target of a route.
#[derive(Debug)]
pub(super) struct Member {
    /// Where it leads.
    pub(super) leads: Leads,
    /// By which chance and memory know it.
    pub(super) id: StableHash,
    /// Members of a lower tier are tried before all of a higher one.
    pub(super) tier: u32,
    /// How often it is meant in proportion to the others.
    pub(super) weight: u32,
    /// Which requests it is for; all where there is no condition.
    pub(super) when: Option<Condition>,
    /// The share of the callers that it is for, who all go there first; everybody where there is none.
    pub(super) rollout: Option<Percent>,
    /// What it is called in a comparison.
    pub(super) variant: Option<Arc<str>>,
    /// How good it is, 0 to 1, as the configuration has it.
    pub(super) quality: Option<f64>,
}

/// Where a target leads.
pub(super) enum Leads {
    /// To a model of a provider.
    To(Arc<ResolvedTarget>),
    /// To the targets of another route.
    Through(Arc<Roster>),
}

/// What keeps the requests of a route together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sticky {
    /// The session that the request names.
    Session,
    /// The caller's user, as the request names one.
    User,
    /// The caller's key.
    Key,
    /// How the prompt begins, so that it comes to where it is in the prompt cache.
    Prefix,
}

impl Sticky {
    /// The word used in the configuration and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::User => "user",
            Self::Key => "key",
            Self::Prefix => "prefix",
        }
    }
}

impl Roster {
    /// Whether every request goes the same way.
    pub(super) fn is_plain(&self) -> bool {
        let is_bound = !self.regions.is_empty();
        match (self.members.as_slice(), self.fallbacks.as_slice()) {
            ([only], []) => !is_bound && only.is_plain(),
            _ => false,
        }
    }

    /// Every target that lies where the route's requests may go, as the configuration lists them: primaries
    /// first, those that are not for everybody after those that are.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        self.list(&mut candidates);
        candidates.sort_by_key(|candidate| candidate.standing != Standing::Primary);
        candidates
    }

    fn list(&self, candidates: &mut Vec<Candidate>) {
        let is_for_some = |member: &Member| member.when.is_some() || member.rollout.is_some();
        let (some, all): (Vec<_>, Vec<_>) =
            self.members.iter().partition(|member| is_for_some(member));
        let primaries = all.into_iter().chain(some).map(|member| (None, member));
        let fallbacks = self.fallbacks.iter();
        let fallbacks = fallbacks.map(|(when, member)| (Some(*when), member));
        for (when, member) in primaries.chain(fallbacks) {
            let mut listed = Vec::new();
            match &member.leads {
                Leads::To(target) => listed.push(Candidate::primary(Arc::clone(target))),
                Leads::Through(roster) => roster.list(&mut listed),
            }
            listed.retain(|it| region::permits(&self.regions, it.target.region.as_ref()));
            if let Some(when) = when {
                let standing = Standing::Fallback(when);
                for candidate in &mut listed {
                    candidate.standing = standing;
                }
            }
            candidates.append(&mut listed);
        }
    }
}

impl Routes {
    /// A route with its targets resolved, as far as they are served. `depth` is how many routes lead to it.
    pub(super) fn roster(&self, name: &ModelName, route: &Route, depth: usize) -> Roster {
        let members = route.targets.iter();
        let prompt_cache = route.caching.prompt;
        let members = members
            .flat_map(|member| self.members(member, prompt_cache, depth))
            .collect();
        let fallbacks = route.fallback.iter().flat_map(|fallback| {
            let member = RouteMember::from(fallback.target.clone());
            let members = self.members(&member, prompt_cache, depth);
            members.into_iter().map(|member| (fallback.when, member))
        });
        Roster {
            name: name.as_str().into(),
            strategy: route.sharing.strategy,
            sticky: route.sharing.sticky.clone(),
            regions: route.sharing.regions.clone(),
            members,
            fallbacks: fallbacks.collect(),
        }
    }

    /// What a configured member stands for; nobody where it is not served.
    fn members(
        &self,
        member: &RouteMember,
        prompt_cache: Option<PromptCaching>,
        depth: usize,
    ) -> Vec<Member> {
        match &member.lead {
            Lead::Model(named) => {
                let member = self.member(member, named, prompt_cache);
                member.into_iter().collect()
            }
            Lead::Equivalents { class, floor } => {
                let class = self.policy.equivalents.get(&**class).into_iter().flatten();
                let good_enough = class.filter(|it| it.quality >= *floor);
                let members = good_enough.filter_map(|it| {
                    let member = self.member(member, &it.target, prompt_cache)?;
                    let quality = Some(it.quality);
                    Some(Member { quality, ..member })
                });
                members.collect()
            }
            Lead::Route(name) => {
                // That no route leads to itself is checked with the configuration.
                let Some(route) = self.by_name.get(name).filter(|_| depth < MAX_DEPTH) else {
                    return Vec::new();
                };
                let roster = self.roster(name, route, depth + 1);
                let id = StableHash::of(name.as_str().as_bytes());
                vec![Member::of(member, Leads::Through(Arc::new(roster)), id)]
            }
        }
    }

    fn member(
        &self,
        member: &RouteMember,
        named: &RouteTarget,
        prompt_cache: Option<PromptCaching>,
    ) -> Option<Member> {
        let mut target = self.target(self.providers.get(&named.provider)?, &named.model)?;
        if let Some(target) = Arc::get_mut(&mut target) {
            if let Some(region) = &member.region {
                target.region = Some(region.clone());
            }
            target.prompt_cache = prompt_cache.unwrap_or(target.prompt_cache);
        }
        let id = id_of(&target);
        Some(Member::of(member, Leads::To(target), id))
    }
}

impl Member {
    fn of(member: &RouteMember, leads: Leads, id: StableHash) -> Self {
        Self {
            leads,
            id,
            tier: member.priority.unwrap_or_default(),
            weight: member.weight,
            when: member.when.clone(),
            rollout: member.rollout,
            variant: member.variant.clone(),
            quality: member.quality,
        }
    }

    /// Whether every request goes there in the same way.
    fn is_plain(&self) -> bool {
        let is_for_all = self.when.is_none() && self.rollout.is_none() && self.variant.is_none();
        is_for_all && matches!(self.leads, Leads::To(_))
    }

    /// What it is called: `provider/model`, or the name of a route.
    pub(super) fn name(&self) -> String {
        match &self.leads {
            Leads::To(target) => format!("{}/{}", target.provider.name, target.model),
            Leads::Through(roster) => roster.name.to_string(),
        }
    }
}

impl fmt::Debug for Leads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(target) => write!(f, "{}/{}", target.provider.name, target.model),
            Self::Through(roster) => write!(f, "route {}", roster.name),
        }
    }
}
