//! From a choice to a plan.

use std::sync::Arc;

use domain::caller::Caller;
use domain::clock::Moment;
use domain::name::ModelName;

use super::affinity::Affinity;
use super::choice::{Choice, Observation, Surroundings};
use super::plan::{Candidate, Candidates, Plan, Routed};
use super::question::Question;
use super::reason::{LeftOut, Why};
use super::wishes::Wishes;
use super::{Known, ResolvedTarget, Routes};

/// What is known around a request that goes through a choice.
pub struct Circumstances<'a> {
    /// What is remembered of where requests went.
    pub affinity: &'a Affinity,
    /// What was seen of a target lately; of a stream, until its first byte.
    pub observe: &'a (dyn Fn(&ResolvedTarget, bool, Moment) -> Observation + Sync),
    /// Now.
    pub moment: Moment,
    /// How much calls of the caller's for the name usually put out, in tokens.
    pub usual_output: &'a (dyn Fn() -> Option<u64> + Sync),
    /// What the caller wishes.
    pub wishes: &'a Wishes,
}

/// What came of a choice.
pub struct Chosen {
    /// Where the request goes.
    pub plan: Result<Plan, NoTarget>,
    /// How many conditions could not be evaluated.
    pub failed_conditions: u64,
}

/// No target of the name is for this request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no target of model {model} is for this request")]
pub struct NoTarget {
    /// The name that was asked for.
    pub model: ModelName,
    /// Why each target is left out: sentences.
    pub reasons: Vec<String>,
}

impl Routes {
    /// Whether it depends on the request where it goes.
    pub fn has_choice(&self, known: &Known, caller: &Caller) -> bool {
        known.roster.is_some() || self.policy.residency.concerns(caller)
    }

    /// Where a request for a known name goes.
    pub fn choose(
        &self,
        known: Known,
        question: &Question<'_>,
        circumstances: &Circumstances<'_>,
    ) -> Chosen {
        let Some(roster) = &known.roster else {
            return Chosen {
                plan: self.direct(known.plan, question, circumstances),
                failed_conditions: 0,
            };
        };
        let choice = roster.choose(question, &self.surroundings(circumstances, false));
        let failed = |it: &&LeftOut<'_>| matches!(it.why, Why::ConditionFailed(_));
        let failed_conditions = choice.left_out.iter().filter(failed).count() as u64;
        let candidates = choice.placed.iter().map(|placed| Candidate {
            target: Arc::clone(placed.target),
            standing: placed.standing,
        });
        let plan = match Candidates::of(candidates) {
            Some(candidates) => Ok(Plan {
                candidates,
                routed: routed(&choice),
                ..known.plan
            }),
            None => Err(NoTarget {
                model: question.model.clone(),
                reasons: choice.left_out.iter().map(ToString::to_string).collect(),
            }),
        };
        Chosen {
            plan,
            failed_conditions,
        }
    }

    pub(super) fn surroundings<'a>(
        &'a self,
        circumstances: &Circumstances<'a>,
        in_full: bool,
    ) -> Surroundings<'a> {
        Surroundings {
            flags: &self.policy.flags,
            affinity: circumstances.affinity,
            residency: &self.policy.residency,
            observe: circumstances.observe,
            moment: circumstances.moment,
            usual_output: circumstances.usual_output,
            wishes: circumstances.wishes,
            in_full,
        }
    }

    /// Where a request goes whose name leads to one target: there, or first to the same model of the provider
    /// that the caller prefers, and afterwards to that of others that the caller names, where they are known to
    /// have it.
    pub(super) fn direct(
        &self,
        plan: Plan,
        question: &Question<'_>,
        circumstances: &Circumstances<'_>,
    ) -> Result<Plan, NoTarget> {
        let own = Arc::clone(plan.target());
        let wishes = circumstances.wishes;
        let at = |name: &String| {
            let is_other = plan.route.is_none() && *name != own.provider.name.as_str();
            let provider = self.providers.get(name.as_str()).filter(|_| is_other)?;
            let target = self.target(provider, &own.model)?;
            target.facts.is_some().then_some(target)
        };
        let preferred = wishes.provider.as_ref().and_then(at);
        let others = wishes.order.iter();
        let others = others.filter(|name| wishes.provider.as_ref() != Some(*name));
        let others: Vec<_> = others.filter_map(at).collect();
        let targets = preferred.into_iter().chain([own]).chain(others);
        let residency = &self.policy.residency;
        let permitted = targets.filter(|it| residency.permits(question.caller, it.region.as_ref()));
        match Candidates::of(permitted.map(Candidate::primary)) {
            Some(candidates) => Ok(Plan { candidates, ..plan }),
            None => Err(self.outside(question.caller, question.model, plan.target())),
        }
    }

    /// Says that a target lies outside of the regions that a caller is held to.
    pub(crate) fn outside(
        &self,
        caller: &Caller,
        model: &ModelName,
        target: &ResolvedTarget,
    ) -> NoTarget {
        let promised = self.policy.residency.of(caller).into_iter();
        let regions: Vec<String> = promised.map(|regions| listed(&regions)).collect();
        let lies = match &target.region {
            Some(region) => format!("lies in region '{region}'"),
            None => "has no `region` in the configuration".to_owned(),
        };
        NoTarget {
            model: model.clone(),
            reasons: vec![format!(
                "'{}/{}' {lies}, and the caller's data stays in {}.",
                target.provider.name,
                target.model,
                regions.join(" and "),
            )],
        }
    }
}

fn listed(regions: &[&str]) -> String {
    format!("'{}'", regions.join("' or '"))
}

fn routed(choice: &Choice<'_>) -> Option<Box<Routed>> {
    let variant = choice.variant();
    let has_memory = variant.is_some() || !choice.trace.is_empty();
    has_memory.then(|| {
        Box::new(Routed {
            trace: choice.trace,
            variant: variant.cloned(),
        })
    })
}
