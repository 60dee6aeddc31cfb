//! How an answer is made: sampling, bounds and shape
//! (<https://ai.google.dev/api/generate-content#generationconfig>).

use domain::chat::{ChatRequest, Conversion, OutputFormat};
use serde_json::Value;
use serde_json::value::RawValue;

use super::model::{Generation, Model};
use super::tools::simplified;
use super::wire::request::GenerationConfig;
use crate::dialect::{Refusal, Target};

/// The most answers that Gemini gives at once
/// (<https://ai.google.dev/api/generate-content#generationconfig>).
pub(super) const MAX_CANDIDATES: u32 = 8;

/// The most stop texts that Gemini takes.
const MAX_STOPS: usize = 5;

/// Translates what the caller said of it.
pub(super) fn encode<'a>(
    request: &'a ChatRequest,
    target: &Target<'_>,
    model: Model,
    has_tools: bool,
    report: &mut Conversion,
) -> Result<GenerationConfig<'a>, Refusal> {
    let mut config = GenerationConfig {
        candidate_count: candidates(request, report)?,
        max_output_tokens: max_output_tokens(request, target, report),
        stop_sequences: stops(request, report),
        ..GenerationConfig::default()
    };
    sampling(request, target, &mut config, report);
    if let Some(logprobs) = request.logprobs {
        config.response_logprobs = Some(true);
        config.logprobs = (logprobs.alternatives > 0).then_some(logprobs.alternatives);
        report.carry("logprobs");
        if logprobs.alternatives > 0 {
            report.carry("top_logprobs");
        }
    }
    output(request, model, has_tools, &mut config, report)?;
    Ok(config)
}

fn candidates(request: &ChatRequest, report: &mut Conversion) -> Result<Option<u32>, Refusal> {
    match request.choices {
        0 | 1 => Ok(None),
        count if count <= MAX_CANDIDATES => {
            report.carry("n");
            Ok(Some(count))
        }
        count => Err(Refusal::of(
            "n",
            format!("Gemini gives at most {MAX_CANDIDATES} answers to one request, not {count}"),
        )),
    }
}

fn max_output_tokens(
    request: &ChatRequest,
    target: &Target<'_>,
    report: &mut Conversion,
) -> Option<u64> {
    let wanted = request.max_output_tokens?;
    match target.capabilities.max_output_tokens {
        Some(most) if wanted > most => {
            report.change(
                "max_completion_tokens",
                format!("the model writes at most {most} tokens"),
            );
            Some(most)
        }
        _ => {
            report.carry("max_completion_tokens");
            Some(wanted)
        }
    }
}

fn stops<'a>(request: &'a ChatRequest, report: &mut Conversion) -> Vec<&'a str> {
    let mut stops: Vec<&str> = request.stop.iter().map(String::as_str).collect();
    if stops.is_empty() {
        return stops;
    }
    stops.retain(|stop| !stop.is_empty());
    if stops.len() < request.stop.len() {
        report.drop("stop", "Gemini takes no empty stop text");
    }
    if stops.len() > MAX_STOPS {
        stops.truncate(MAX_STOPS);
        report.drop(
            "stop",
            format!("Gemini takes {MAX_STOPS} stop texts; the others are left out"),
        );
    }
    report.carry("stop");
    stops
}

fn sampling(
    request: &ChatRequest,
    target: &Target<'_>,
    config: &mut GenerationConfig<'_>,
    report: &mut Conversion,
) {
    let sampling = &request.sampling;
    let is_taken = target.capabilities.sampling != Some(false);
    let mut note = |field: &'static str, is_said: bool| {
        if is_said && is_taken {
            report.carry(field);
        } else if is_said {
            report.drop(field, "this model draws its tokens as it sees fit");
        }
        is_said && is_taken
    };
    if note("temperature", sampling.temperature.is_some()) {
        config.temperature = sampling.temperature;
    }
    if note("top_p", sampling.top_p.is_some()) {
        config.top_p = sampling.top_p;
    }
    if note("top_k", sampling.top_k.is_some()) {
        config.top_k = sampling.top_k;
    }
    for (field, value, slot) in [
        (
            "frequency_penalty",
            sampling.frequency_penalty,
            &mut config.frequency_penalty,
        ),
        (
            "presence_penalty",
            sampling.presence_penalty,
            &mut config.presence_penalty,
        ),
    ] {
        if value.is_some() {
            *slot = value;
            report.carry(field);
        }
    }
    if let Some(seed) = sampling.seed {
        config.seed = Some(short_seed(seed, report));
    }
    if sampling.logit_bias.is_some() {
        report.drop(
            "logit_bias",
            "Gemini cannot be told how likely a token is to be",
        );
    }
}

/// Gemini's seeds have 32 bits. A longer one is folded, so that the same seed still repeats a draw.
fn short_seed(seed: i64, report: &mut Conversion) -> i32 {
    if let Ok(seed) = i32::try_from(seed) {
        report.carry("seed");
        return seed;
    }
    let folded = seed.rem_euclid(i64::from(i32::MAX));
    report.change("seed", format!("folded into 31 bits: {folded}"));
    i32::try_from(folded).unwrap_or_default()
}

fn output(
    request: &ChatRequest,
    model: Model,
    has_tools: bool,
    config: &mut GenerationConfig<'_>,
    report: &mut Conversion,
) -> Result<(), Refusal> {
    if matches!(request.output, OutputFormat::Text) {
        return Ok(());
    }
    if has_tools && model.generation < Generation::Levels {
        return Err(Refusal::of(
            "response_format",
            "this model cannot call tools and answer in JSON in one request; \
             leave either out, or ask a Gemini 3 model",
        ));
    }
    config.response_mime_type = Some("application/json");
    if let OutputFormat::JsonSchema {
        name,
        description,
        schema,
        strict,
    } = &request.output
    {
        let field = "response_format.json_schema.schema";
        let title = (model.generation > Generation::Early).then_some(name.as_str());
        let described = with_title(schema, title, description.as_deref()).map_err(|error| {
            Refusal::of(field, format!("the schema is not valid JSON: {error}"))
        })?;
        let reason = if model.generation == Generation::Early {
            config.response_schema = simplified(described.get(), field, report)?;
            "not sent: it names the schema and asks nothing of the model"
        } else {
            config.response_json_schema = Some(described);
            "sent as the schema's title"
        };
        report.change("response_format.json_schema.name", reason);
        if *strict == Some(false) {
            let reason = "Gemini follows a schema or is not given one";
            report.change("response_format.json_schema.strict", reason);
        }
    }
    report.carry("response_format");
    Ok(())
}

/// The schema with its name and description inside, where it has no title and description of its own.
fn with_title(
    schema: &RawValue,
    title: Option<&str>,
    description: Option<&str>,
) -> serde_json::Result<Box<RawValue>> {
    let mut schema: Value = serde_json::from_str(schema.get())?;
    if let Some(object) = schema.as_object_mut() {
        for (keyword, text) in [("title", title), ("description", description)] {
            if let Some(text) = text {
                object.entry(keyword).or_insert_with(|| Value::from(text));
            }
        }
    }
    serde_json::value::to_raw_value(&schema)
}

/// OpenAI's `modalities`: the kinds of output that are wanted.
pub(super) fn modalities(
    raw: &RawValue,
    config: &mut GenerationConfig<'_>,
    report: &mut Conversion,
) {
    match serde_json::from_str::<Vec<String>>(raw.get()) {
        Ok(modalities) => {
            let modalities = modalities.iter().map(|word| word.to_ascii_uppercase());
            config.response_modalities = Some(modalities.collect());
            report.carry("modalities");
        }
        Err(_) => report.drop("modalities", "it is not a list of words"),
    }
}
