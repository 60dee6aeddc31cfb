//! `models.NAME.hedge`: when a second target is asked while the first has not answered.

use domain::money::Cost;
use gateway::routes::hedge::{Delay, HedgeRules};
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::ratio::Ratio;
use super::scalar::{Misfit, Scalar};

impl Section for HedgeRules {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let after = fields.required(
            "after",
            "2s",
            "How long the first target may take until its first content: a time, or `p95`, longer than \
             about 95 of 100 calls to it take.",
        );
        let max_cost: Option<Cost> = fields.optional(
            "max_cost_usd",
            "0.01",
            "What the second may cost at most, as it is estimated, in US dollars; left out, without \
             bound.",
        );
        let max_ratio: Option<Ratio> = fields.or(
            "max_ratio",
            "0.1",
            "The part of the route's calls that may have a second.",
        );
        Some(Self {
            after: after?,
            max_cost,
            max_ratio: max_ratio?.0,
        })
    }
}

impl Scalar for Delay {
    const EXPECTED: &'static str = "a duration such as `2s`, or `p95`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text {
            "p95" => Ok(Self::P95),
            text => Scalar::parse(text).map(Self::Fixed),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [{ "const": "p95" }, <std::time::Duration as Scalar>::schema()] })
    }
}
