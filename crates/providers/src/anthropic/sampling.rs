//! Sampling parameters in Anthropic's words.

use domain::chat::{ChatRequest, Conversion};

use super::model::Model;

/// The sampling parameters that the target takes.
#[derive(Debug, Default)]
pub(crate) struct Sampling {
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<u64>,
}

/// Translates the sampling parameters; `is_thinking` says that the model will think, which restricts
/// them.
pub(crate) fn translate(
    request: &ChatRequest,
    model: &Model<'_>,
    is_thinking: bool,
    report: &mut Conversion,
) -> Sampling {
    let asked = &request.sampling;
    report_unknown_sampling(request, report);
    if !model.takes_sampling() {
        let reason = "this model takes no sampling parameters";
        let fields = [
            ("temperature", asked.temperature.is_some()),
            ("top_p", asked.top_p.is_some()),
            ("top_k", asked.top_k.is_some()),
        ];
        for (field, _) in fields.into_iter().filter(|(_, is_asked)| *is_asked) {
            report.drop(field, reason);
        }
        return Sampling::default();
    }
    let temperature = asked
        .temperature
        .and_then(|value| temperature(value, is_thinking, report));
    let top_p = asked.top_p.and_then(|value| {
        if is_thinking && value < 0.95 {
            report.drop("top_p", "must be at least 0.95 when the model thinks");
            return None;
        }
        if temperature.is_some() && !model.takes_both_samplings() {
            report.drop("top_p", "this model takes either `temperature` or `top_p`");
            return None;
        }
        report.carry("top_p");
        Some(value)
    });
    let top_k = asked.top_k.and_then(|value| {
        if is_thinking {
            report.drop("top_k", "not taken when the model thinks");
            return None;
        }
        report.carry("top_k");
        Some(value)
    });
    Sampling {
        temperature,
        top_p,
        top_k,
    }
}

fn temperature(value: f64, is_thinking: bool, report: &mut Conversion) -> Option<f64> {
    const FIELD: &str = "temperature";
    if is_thinking && (value - 1.0).abs() > f64::EPSILON {
        report.drop(FIELD, "must be 1 when the model thinks");
        return None;
    }
    if value > 1.0 {
        report.change(FIELD, "lowered to 1, the most that the provider takes");
        return Some(1.0);
    }
    report.carry(FIELD);
    Some(value)
}

/// What Anthropic has no parameter for. A penalty of zero is the same as none.
pub(crate) fn report_unknown_sampling(request: &ChatRequest, report: &mut Conversion) {
    let asked = &request.sampling;
    let penalties = [
        ("frequency_penalty", asked.frequency_penalty),
        ("presence_penalty", asked.presence_penalty),
    ];
    for (field, penalty) in penalties {
        match penalty {
            Some(0.0) => report.carry(field),
            Some(_) => report.drop(field, "the provider has no such parameter"),
            None => {}
        }
    }
    let absent = [
        ("seed", asked.seed.is_some()),
        ("logit_bias", asked.logit_bias.is_some()),
        ("logprobs", request.logprobs.is_some()),
        (
            "top_logprobs",
            request.logprobs.is_some_and(|asked| asked.alternatives > 0),
        ),
    ];
    for (field, _) in absent.into_iter().filter(|(_, is_asked)| *is_asked) {
        report.drop(field, "the provider has no such parameter");
    }
}
