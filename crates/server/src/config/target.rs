//! The targets of a route: where each leads, and whom it is for.

use std::sync::Arc;

use domain::name::ModelName;
use domain::region::Region;
use gateway::routes::condition::Condition;
use gateway::routes::rollout::Percent;
use gateway::routes::{Lead, RouteMember, RouteTarget};
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::node::Kind;
use super::problem::Complaint;
use super::scalar::{Misfit, Scalar};

impl Section for RouteMember {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let model: Option<RouteTarget> = fields.optional(
            "model",
            "openai/gpt-5.4-nano",
            "The provider's name under `providers`, a `/`, and the model as that provider calls \
             it.",
        );
        let route: Option<ModelName> = fields.optional(
            "route",
            "fast",
            "Instead of `model`: another name under `models`, whose targets are tried in its own \
             order.",
        );
        let class: Option<Word> = fields.optional(
            "equivalents",
            "small",
            "Instead of `model`: a name under `equivalents`, all of whose models are targets.",
        );
        let floor: Option<Quality> = fields.or(
            "min_quality",
            "0",
            "Of `equivalents`, the least quality that is good enough.",
        );
        let weight: Option<Weight> = fields.or(
            "weight",
            "1",
            "How often it is meant in proportion to the others; 0 only where the others fail.",
        );
        let priority: Option<Priority> = fields.optional(
            "priority",
            "1",
            "Targets with a lower number are tried before all with a higher one.",
        );
        let region = fields.optional(
            "region",
            "eu",
            "Where it lies, where that is not its provider's `region`.",
        );
        let when = fields.optional(
            "when",
            "\"metadata.tier == 'gold'\"",
            "Which requests it is for: a condition in CEL.",
        );
        let rollout = fields.optional(
            "rollout",
            "10%",
            "The share of the callers that it is for, always the same ones, who all go there \
             first. Several such targets share the callers between them.",
        );
        let variant: Option<Word> = fields.optional(
            "variant",
            "new-prompt",
            "What it is called in a comparison; it is recorded with every call.",
        );
        let quality: Option<Quality> =
            fields.optional("quality", "0.8", "How good it is, 0 to 1, for `balanced`.");
        let lead = lead(fields, model, route, class, floor);
        Some(Self {
            weight: weight?.0,
            priority: priority.map(|priority| priority.0),
            region,
            when,
            rollout,
            variant: variant.map(|variant| variant.0),
            quality: quality.map(|quality| quality.0),
            ..Self::to(lead?)
        })
    }
}

/// Where a target leads: in exactly one of three ways.
fn lead(
    fields: &mut impl Fields,
    model: Option<RouteTarget>,
    route: Option<ModelName>,
    class: Option<Word>,
    floor: Option<Quality>,
) -> Option<Lead> {
    let given = ["model", "route", "equivalents"].map(|key| (key, fields.is_given(key)));
    let mut given = given.into_iter().filter(|(_, is_given)| *is_given);
    match (given.next(), given.next()) {
        (None, _) => {
            let complaint = Complaint::new("`model` is missing");
            fields.refuse(
                "model",
                complaint.suggest("add it, as in `model: openai/gpt-5.4-nano`"),
            );
            return None;
        }
        (Some((first, _)), Some((second, _))) => {
            let complaint = Complaint::new(format!("`{first}` stands here too"));
            fields.refuse(second, complaint.suggest("keep one of them"));
            return None;
        }
        (Some(_), None) => {}
    }
    if fields.is_given("min_quality") && !fields.is_given("equivalents") {
        let complaint = Complaint::new("it counts with `equivalents` only");
        fields.refuse("min_quality", complaint.suggest("remove it"));
    }
    let of_class = || {
        Some(Lead::Equivalents {
            class: class?.0,
            floor: floor?.0,
        })
    };
    model
        .map(Lead::Model)
        .or_else(|| route.map(Lead::Route))
        .or_else(of_class)
}

/// A name that operators choose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word(pub(super) Arc<str>);

impl Word {
    const MAX: usize = 64;
}

impl Scalar for Word {
    const EXPECTED: &'static str = "a name of 1 to 64 letters, digits, `-`, `_` and `.`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || text.len() > Self::MAX || !text.bytes().all(is_allowed) {
            return Err(Misfit::default());
        }
        Ok(Self(text.into()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" })
    }
}

/// 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quality(pub(super) f64);

impl Scalar for Quality {
    const EXPECTED: &'static str = "a number from 0 to 1";
    const ACCEPTS: &'static [Kind] = &[Kind::Integer, Kind::Decimal];

    fn parse(text: &str) -> Result<Self, Misfit> {
        let number: f64 = text.parse().map_err(|_| Misfit::default())?;
        let is_in_bounds = (0.0..=1.0).contains(&number);
        is_in_bounds
            .then_some(Self(number))
            .ok_or_else(Misfit::default)
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// How much one of several counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

impl Share {
    const MOST: f64 = 1_000.0;
}

impl Scalar for Share {
    const EXPECTED: &'static str = "a number from 0 to 1000";
    const ACCEPTS: &'static [Kind] = &[Kind::Integer, Kind::Decimal];

    fn parse(text: &str) -> Result<Self, Misfit> {
        let number: f64 = text.parse().map_err(|_| Misfit::default())?;
        let is_in_bounds = (0.0..=Self::MOST).contains(&number);
        is_in_bounds
            .then_some(Self(number))
            .ok_or_else(Misfit::default)
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": Self::MOST })
    }
}

struct Weight(u32);

impl Weight {
    const MOST: u32 = 1_000_000;
}

impl Scalar for Weight {
    const EXPECTED: &'static str = "a whole number from 0 to 1000000";
    const ACCEPTS: &'static [Kind] = &[Kind::Integer];

    fn parse(text: &str) -> Result<Self, Misfit> {
        let number: u32 = text.parse().map_err(|_| Misfit::default())?;
        (number <= Self::MOST)
            .then_some(Self(number))
            .ok_or_else(Misfit::default)
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": Self::MOST })
    }
}

struct Priority(u32);

impl Scalar for Priority {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";
    const ACCEPTS: &'static [Kind] = &[Kind::Integer];

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map(Self).map_err(|_| Misfit::default())
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
    }
}

impl Scalar for Region {
    const EXPECTED: &'static str = "a region such as `eu` or `us-east-1`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| Misfit::default())
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[a-z0-9-]{1,32}$" })
    }
}

impl Scalar for Condition {
    const EXPECTED: &'static str = "a condition such as `metadata.tier == 'gold'`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        Self::parse(text).map_err(|invalid| Misfit {
            reason: Some(invalid.problem),
            suggestion: invalid.remedy,
        })
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": 1000 })
    }
}

impl Scalar for Percent {
    const EXPECTED: &'static str = "a share such as `10%` or `0.5%`";
    const ACCEPTS: &'static [Kind] = &[Kind::Text];

    fn parse(text: &str) -> Result<Self, Misfit> {
        let Some(number) = text.strip_suffix('%') else {
            return Err(Misfit::suggest(format!("write `{text}%`")));
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > 2 {
            return Err(Misfit::default());
        }
        let read = |text: &str| text.parse::<u16>().map_err(|_| Misfit::default());
        let hundredths = match part.len() {
            1 => read(part)? * 10,
            _ => read(part)?,
        };
        let whole = read(whole)?.checked_mul(100).ok_or_else(Misfit::default)?;
        let hundredths = whole.checked_add(hundredths).ok_or_else(Misfit::default)?;
        Self::of_hundredths(hundredths).map_err(|_| Misfit::because("it is more than all"))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,2})?%$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_in_per_cent() {
        let hundredths = |text| Percent::parse(text).map(Percent::hundredths);
        assert_eq!(hundredths("10%"), Ok(1_000));
        assert_eq!(hundredths("0.5%"), Ok(50));
        assert_eq!(hundredths("12.34%"), Ok(1_234));
        assert_eq!(hundredths("0.05%"), Ok(5));
        assert_eq!(hundredths("100%"), Ok(10_000));
        for text in [
            "100.01%", "%", "-1%", "1.234%", "999%", "1.%", "99999%", "10",
        ] {
            assert!(hundredths(text).is_err(), "{text}");
        }
    }
}
