//! From a choice to a plan.

use std::sync::Arc;

use domain::caller::Caller;
use domain::clock::Moment;
use domain::name::ModelName;
use domain::region::Region;

use super::affinity::Affinity;
use super::choice::{Choice, Observation, Surroundings, Why};
use super::plan::{Candidate, Candidates, Plan, Routed};
use super::question::Question;
use super::{Known, ResolvedTarget, Routes};

/// What is known around a request that goes through a choice.
pub struct Circumstances<'a> {
    /// What is remembered of where requests went.
    pub affinity: &'a Affinity,
    /// What was seen of a target lately; of a stream, until its first byte.
    pub observe: &'a (dyn Fn(&ResolvedTarget, bool, Moment) -> Observation + Sync),
    /// Now.
    pub moment: Moment,
    /// The provider that the caller wants to be tried first.
    pub preferred: Option<&'a str>,
    /// How much speed counts against cost, where the caller says so.
    pub performance: Option<f64>,
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
    pub fn has_choice(&self, known: &Known) -> bool {
        known.roster.is_some() || !self.policy.residency.is_empty()
    }

    /// Whether a caller's data may go to `region`.
    pub(crate) fn may_go_to(&self, caller: &Caller, region: Option<&Region>) -> bool {
        self.policy.residency.permits(caller, region)
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
        let failed = |it: &&super::choice::LeftOut<'_>| matches!(it.why, Why::ConditionFailed(_));
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
            expected_output: None,
            preferred: circumstances.preferred,
            performance: circumstances.performance,
            in_full,
        }
    }

    /// Where a request goes whose name leads to one target: there, or first to the same model of the provider
    /// that the caller prefers, where that is known to have it.
    pub(super) fn direct(
        &self,
        plan: Plan,
        question: &Question<'_>,
        circumstances: &Circumstances<'_>,
    ) -> Result<Plan, NoTarget> {
        let own = Arc::clone(plan.target());
        let preferred = circumstances.preferred.filter(|_| plan.route.is_none());
        let preferred = preferred
            .filter(|name| *name != own.provider.name.as_str())
            .and_then(|name| self.target(self.providers.get(name)?, &own.model))
            .filter(|target| target.facts.is_some());
        let targets = preferred.into_iter().chain([own]);
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
        let regions: Vec<String> = self
            .policy
            .residency
            .of(caller)
            .into_iter()
            .map(listed)
            .collect();
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

fn listed(regions: &[domain::region::Region]) -> String {
    let names: Vec<&str> = regions.iter().map(domain::region::Region::as_str).collect();
    format!("'{}'", names.join("' or '"))
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
