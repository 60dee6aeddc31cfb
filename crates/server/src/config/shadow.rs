//! `models.NAME.shadow`: which calls are copied to another target.

use domain::key::Budget;
use gateway::routes::RouteTarget;
use gateway::routes::rollout::Percent;
use gateway::routes::shadow::ShadowRules;

use super::fields::{Fields, Section};

impl Section for ShadowRules {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let target: Option<RouteTarget> = fields.required(
            "model",
            "anthropic/claude-haiku-4-5",
            "Where the copies go: the provider's name under `providers`, a `/`, and the model.",
        );
        let share: Option<Percent> = fields.or(
            "share",
            "100%",
            "How many of the calls are copied, chosen by their identifiers.",
        );
        let budget: Option<Budget> = fields.section(
            "budget",
            "What the copies may cost together; no limit of a caller's is charged.",
        );
        Some(Self {
            target: target?,
            share: share?,
            budget: budget?,
        })
    }
}
