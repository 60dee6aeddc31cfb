//! What a request is expected to take and to cost.

use domain::money::Cost;
use domain::usage::{ServiceTier, Usage};
use jiff::Timestamp;

use super::ResolvedTarget;
use super::question::Question;
use crate::catalog::price;

/// The output that is expected where neither the caller nor experience says, in tokens.
const EXPECTED_OUTPUT: u64 = 500;

/// What a request is expected to take.
pub(super) fn expected_usage(
    question: &Question<'_>,
    usual_output: &dyn Fn() -> Option<u64>,
    cached_tokens: u64,
) -> Usage {
    let output = expected_output(question, usual_output);
    Usage {
        cached_input_tokens: cached_tokens.min(question.input_tokens()),
        ..Usage::text(question.input_tokens(), output)
    }
}

/// How much a request is expected to put out, in tokens: what such calls of the caller's usually do, and no
/// more than the caller's own bound.
pub(super) fn expected_output(
    question: &Question<'_>,
    usual_output: &dyn Fn() -> Option<u64>,
) -> u64 {
    let usual = question.usual_output(usual_output);
    let usual = usual.unwrap_or(EXPECTED_OUTPUT);
    question
        .max_output_tokens
        .map_or(usual, |most| most.min(usual))
}

/// What so much costs at a target; `None` where no price is known.
pub(super) fn cost_at(target: &ResolvedTarget, usage: &Usage, now: Timestamp) -> Option<Cost> {
    let facts = target.facts.as_deref()?;
    let priced = price(facts, usage, ServiceTier::Standard, now).ok()?;
    Some(priced.total)
}
