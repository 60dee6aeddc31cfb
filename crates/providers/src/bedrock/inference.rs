//! The bound on the output, stop texts and sampling in Converse's words.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InferenceConfiguration.html>

use domain::chat::{ChatRequest, Conversion};
use serde::Serialize;
use serde_json::json;

use super::encode::Facts;
use super::extras::Fields;
use super::model::Family;
use super::wire::InferenceConfig;
use crate::anthropic::model::Model;
use crate::anthropic::sampling::{report_unknown_sampling, translate as for_claude};
use crate::outgoing;

/// The bound on the output and the texts at which it ends.
pub(super) fn limits<'a>(
    request: &'a ChatRequest,
    facts: &Facts<'_>,
    report: &mut Conversion,
) -> InferenceConfig<'a> {
    InferenceConfig {
        max_tokens: max_tokens(request, facts, report),
        stop_sequences: outgoing::stop_sequences(request, report),
        ..InferenceConfig::default()
    }
}

fn max_tokens(request: &ChatRequest, facts: &Facts<'_>, report: &mut Conversion) -> Option<u64> {
    const FIELD: &str = "max_completion_tokens";
    let wanted = request.max_output_tokens?;
    let by_name = || facts.claude.as_ref().and_then(Model::max_output);
    match facts.capabilities.max_output_tokens.or_else(by_name) {
        Some(most) if wanted > most => {
            report.change(
                FIELD,
                format!("lowered to {most}, the most that this model writes"),
            );
            Some(most)
        }
        _ => {
            report.carry(FIELD);
            Some(wanted)
        }
    }
}

/// How the next token is drawn. Some models take `top_k` under a name of their own.
pub(super) fn sampling(
    request: &ChatRequest,
    facts: &Facts<'_>,
    is_thinking: bool,
    inference: &mut InferenceConfig<'_>,
    fields: &mut Fields,
    report: &mut Conversion,
) {
    if let Some(model) = &facts.claude {
        let sampling = for_claude(request, model, is_thinking, report);
        inference.temperature = sampling.temperature;
        inference.top_p = sampling.top_p;
        if let Some(top_k) = sampling.top_k {
            insert("top_k", top_k, fields);
        }
        return;
    }
    report_unknown_sampling(request, report);
    let asked = &request.sampling;
    if facts.capabilities.sampling == Some(false) {
        let fields = [
            ("temperature", asked.temperature.is_some()),
            ("top_p", asked.top_p.is_some()),
            ("top_k", asked.top_k.is_some()),
        ];
        for (field, _) in fields.into_iter().filter(|(_, is_asked)| *is_asked) {
            report.drop(field, "this model takes no sampling parameters");
        }
        return;
    }
    inference.temperature = asked.temperature.map(|value| temperature(value, report));
    inference.top_p = asked.top_p.inspect(|_| report.carry("top_p"));
    if let Some(top_k) = asked.top_k {
        match facts.family {
            Family::Nova | Family::Nova2 | Family::NovaPremier => {
                insert("inferenceConfig", json!({"topK": top_k}), fields);
                report.carry("top_k");
            }
            Family::Mistral => {
                insert("top_k", top_k, fields);
                report.carry("top_k");
            }
            Family::Claude | Family::OpenAi | Family::Other | Family::Unknown => report.drop(
                "top_k",
                "not known under which name this model takes it; `additionalModelRequestFields` passes as written",
            ),
        }
    }
}

fn temperature(value: f64, report: &mut Conversion) -> f64 {
    const FIELD: &str = "temperature";
    if value > 1.0 {
        report.change(FIELD, "lowered to 1, the most that the provider takes");
        return 1.0;
    }
    report.carry(FIELD);
    value
}

/// Puts a field beside those that Converse knows.
pub(super) fn insert(name: &str, value: impl Serialize, fields: &mut Fields) {
    if let Ok(value) = serde_json::value::to_raw_value(&value) {
        fields.insert(name.to_owned(), value);
    }
}
