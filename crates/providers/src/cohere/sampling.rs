//! Sampling parameters within Cohere's bounds. <https://docs.cohere.com/reference/chat#request.body.p>

use domain::chat::{ChatRequest, Conversion};

use super::wire;

/// The most tokens that `k` may name.
const MAX_K: u64 = 500;

/// Why a value of more than 1 is another.
const TOO_HIGH: &str = "lowered to 1, the most that the provider takes";

/// Translates the sampling parameters.
pub(super) fn translate(request: &ChatRequest, report: &mut Conversion) -> wire::Sampling {
    let asked = &request.sampling;
    let temperature = asked
        .temperature
        .map(|temperature| bounded_temperature(temperature, report));
    if asked.logit_bias.is_some() {
        report.drop("logit_bias", "the provider has no such parameter");
    }
    let frequency_penalty = penalty("frequency_penalty", asked.frequency_penalty, report);
    let wants_both =
        frequency_penalty.is_some() && asked.presence_penalty.is_some_and(|value| value != 0.0);
    let presence_penalty = if wants_both {
        report.drop(
            "presence_penalty",
            "the provider takes either `frequency_penalty` or `presence_penalty`",
        );
        None
    } else {
        penalty("presence_penalty", asked.presence_penalty, report)
    };
    wire::Sampling {
        temperature,
        p: asked.top_p.map(|p| bounded_p(p, report)),
        k: asked.top_k.map(|k| bounded_k(k, report)),
        seed: asked.seed.and_then(|seed| natural(seed, report)),
        frequency_penalty,
        presence_penalty,
    }
}

/// <https://docs.cohere.com/docs/temperature>: from 0 to 1.
fn bounded_temperature(value: f64, report: &mut Conversion) -> f64 {
    if value > 1.0 {
        report.change("temperature", TOO_HIGH);
    } else {
        report.carry("temperature");
    }
    value.min(1.0)
}

fn bounded_p(value: f64, report: &mut Conversion) -> f64 {
    let bounded = value.clamp(0.01, 0.99);
    if (bounded - value).abs() > f64::EPSILON {
        report.change(
            "top_p",
            format!("sent as {bounded}, the nearest that the provider takes"),
        );
    } else {
        report.carry("top_p");
    }
    bounded
}

fn bounded_k(value: u64, report: &mut Conversion) -> u64 {
    if value > MAX_K {
        report.change("top_k", "lowered to 500, the most that the provider takes");
    } else {
        report.carry("top_k");
    }
    value.min(MAX_K)
}

fn natural(seed: i64, report: &mut Conversion) -> Option<i64> {
    if seed < 0 {
        report.drop("seed", "the provider takes no negative seed");
        return None;
    }
    report.carry("seed");
    Some(seed)
}

/// Cohere's penalties go from 0 to 1. A penalty of zero is the same as none.
fn penalty(field: &'static str, value: Option<f64>, report: &mut Conversion) -> Option<f64> {
    let value = value?;
    if value < 0.0 {
        report.drop(field, "the provider takes no negative penalty");
        return None;
    }
    if value == 0.0 {
        report.carry(field);
        return None;
    }
    if value > 1.0 {
        report.change(field, TOO_HIGH);
        return Some(1.0);
    }
    report.carry(field);
    Some(value)
}
