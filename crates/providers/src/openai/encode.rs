//! Writes a request from the domain: for callers of other formats, where a guard edited what an OpenAI
//! caller sent, and where a host does not take what OpenAI takes.

use domain::chat::{ChatRequest, Conversion, Logprobs, OutputFormat};

use super::call_ids::CallIds;
use super::parse::FORMAT;
use super::request_body::{Body, StreamOptions, WireFormat, WireSchema};
use super::wire::Leftovers;
use super::{encode_message, encode_reasoning, encode_tools, model, render};
use crate::dialect::{Refusal, Target};
use crate::hosts::{OutputBound, Quirks, SchemaSupport};
use crate::outgoing;

/// Writes the body and reports.
pub(super) fn body(
    request: &ChatRequest,
    target: &Target<'_>,
) -> Result<(Vec<u8>, Conversion), Refusal> {
    let quirks = target.host.quirks;
    if quirks.one_choice && request.choices > 1 {
        let detail = "The host gives one answer per request. Leave out `n`, or send the request once \
                      for each answer wanted.";
        return Err(Refusal::of("n", detail));
    }
    let mut report = Conversion::default();
    let sampling = &request.sampling;
    let takes_sampling = model::takes_sampling(target.model, target.capabilities);
    let mut leftovers = Leftovers::of(request);
    let mut drawn = |field: &'static str, value: Option<f64>| {
        let value = value?;
        // The default is not refused.
        if takes_sampling || (value - 1.0).abs() < f64::EPSILON {
            report.carry(field);
            return Some(value);
        }
        report.drop(field, "the model refuses sampling parameters");
        None
    };
    let temperature = drawn("temperature", sampling.temperature);
    let top_p = drawn("top_p", sampling.top_p);
    let (frequency_penalty, presence_penalty) = penalties(request, takes_sampling, &mut report);
    let (max_tokens, max_completion_tokens) = bounds(request, target);
    let reasoning = encode_reasoning::reasoning(request, target, &mut leftovers, &mut report);
    let (response_format, instruction) = output(request, quirks, &mut leftovers, &mut report);
    let ids = call_ids(request, quirks);
    let mut messages: Vec<_> = instruction
        .as_deref()
        .map(encode_message::instruction)
        .into_iter()
        .collect();
    messages.extend(encode_message::messages(
        &request.messages,
        quirks,
        &ids,
        &mut leftovers,
        &mut report,
    ));
    if ids.has_changed() {
        let reason = "ids of tool calls are written in the host's form: nine letters and digits";
        report.change("messages", reason);
    }
    let mut extra = leftovers.at("");
    if let Some(verbosity) = leftovers.take("text.verbosity") {
        extra.0.push(("verbosity", verbosity));
    }
    let choice = request.tool_choice.as_ref();
    let mut body = Body {
        model: target.model,
        messages,
        tools: encode_tools::tools(request, quirks, &mut leftovers, &mut report),
        tool_choice: choice.map(|it| encode_tools::tool_choice(it, quirks, &mut report)),
        parallel_tool_calls: request.parallel_tool_calls,
        max_tokens,
        max_completion_tokens,
        temperature,
        top_p,
        top_k: sampling.top_k,
        seed: sampling.seed.filter(|_| !quirks.random_seed),
        random_seed: sampling.seed.filter(|_| quirks.random_seed),
        frequency_penalty,
        presence_penalty,
        logit_bias: sampling.logit_bias.as_deref(),
        stop: stop(request, target.model, &mut report),
        n: (request.choices != 1).then_some(request.choices),
        response_format,
        reasoning_effort: reasoning.effort,
        reasoning: reasoning.object,
        thinking: reasoning.thinking,
        enable_thinking: reasoning.enable_thinking,
        thinking_budget: reasoning.thinking_budget,
        logprobs: request.logprobs.map(|_| true),
        top_logprobs: request
            .logprobs
            .map(|Logprobs { alternatives }| alternatives)
            .filter(|alternatives| *alternatives > 0),
        user: request.user.as_deref(),
        service_tier: request.service_tier.and_then(render::tier_word),
        stream: request.stream.then_some(true),
        stream_options: (request.stream && quirks.stream_options).then(|| StreamOptions {
            // The ledger needs it; the caller is shown it only when it asked.
            include_usage: true,
            extra: leftovers.at("stream_options"),
        }),
        extra,
    };
    if quirks.output_bound != OutputBound::ByModel && body.take_extra("max_tokens") {
        report.change(
            "max_tokens",
            "the host takes one bound; the newer one holds",
        );
    }
    body.carry(request, &mut report);
    body.withhold(quirks.refused, &mut report);
    for path in leftovers.lost() {
        report.drop(path.to_owned(), "the target's format has no place for it");
    }
    // Keys are strings and memory grows: serialisation has no way to fail.
    let bytes = outgoing::json(&body, request).unwrap_or_default();
    Ok((bytes, report))
}

/// The penalties of frequency and of presence, where the model takes them; no penalty is not refused.
fn penalties(
    request: &ChatRequest,
    takes_sampling: bool,
    report: &mut Conversion,
) -> (Option<f64>, Option<f64>) {
    let mut taken = |field: &'static str, value: Option<f64>| {
        let value = value?;
        if takes_sampling || value.abs() < f64::EPSILON {
            return Some(value);
        }
        report.drop(field, "the model refuses sampling parameters");
        None
    };
    let sampling = &request.sampling;
    (
        taken("frequency_penalty", sampling.frequency_penalty),
        taken("presence_penalty", sampling.presence_penalty),
    )
}

/// The texts at which the output ends; the format takes four
/// (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-stop>). Who speaks it has
/// counted, and may mean a host that takes more.
fn stop<'a>(request: &'a ChatRequest, model: &str, report: &mut Conversion) -> &'a [String] {
    const MOST: usize = 4;
    if !request.stop.is_empty() && !model::takes_stop(model) {
        report.drop("stop", "the model refuses texts at which the output ends");
        return &[];
    }
    if request.format.starts_with(FORMAT) {
        return &request.stop;
    }
    for index in MOST..request.stop.len() {
        let reason = "the target's format takes four texts at which the output ends";
        report.drop(format!("stop[{index}]"), reason);
    }
    request.stop.get(..MOST).unwrap_or(&request.stop)
}

/// Reasoning models take only the newer name, many hosts know only the older one. Who sent both gets both.
fn bounds(request: &ChatRequest, target: &Target<'_>) -> (Option<u64>, Option<u64>) {
    let bound = request.max_output_tokens;
    let newer = match target.host.quirks.output_bound {
        OutputBound::MaxTokens => false,
        OutputBound::MaxCompletionTokens => true,
        OutputBound::ByModel => {
            model::reasons(target.model, target.capabilities)
                || request.extensions.contains_key("max_tokens")
        }
    };
    if newer { (None, bound) } else { (bound, None) }
}

/// The names of tool calls at a host that takes its own form only.
fn call_ids<'a>(request: &'a ChatRequest, quirks: &Quirks) -> CallIds<'a> {
    if quirks.short_call_ids {
        CallIds::of(&request.messages)
    } else {
        CallIds::default()
    }
}

/// What the answer must look like: the field, or the instruction to the model where the host does not see
/// to it, or both where it sees to a part.
fn output<'a>(
    request: &'a ChatRequest,
    quirks: &Quirks,
    leftovers: &mut Leftovers<'a>,
    report: &mut Conversion,
) -> (Option<WireFormat<'a>>, Option<String>) {
    let mut instruct = |reason: &'static str, instruction: String| {
        report.change("response_format", reason);
        Some(instruction)
    };
    let takes_object = matches!(
        quirks.schemas,
        SchemaSupport::Native | SchemaSupport::ObjectOnly
    );
    match &request.output {
        OutputFormat::Text => (None, None),
        OutputFormat::JsonObject if takes_object => {
            (Some(format_of("json_object", leftovers)), None)
        }
        OutputFormat::JsonObject => {
            let instruction = "Answer with one JSON object and nothing else.".to_owned();
            let reason = "asked for in a system message, because the host does not enforce it";
            (None, instruct(reason, instruction))
        }
        OutputFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => match quirks.schemas {
            SchemaSupport::Native | SchemaSupport::SchemaOnly => {
                let schema = WireSchema {
                    name,
                    description: description.as_deref(),
                    schema,
                    strict: *strict,
                    extra: leftovers.at("response_format.json_schema"),
                };
                let format = WireFormat {
                    json_schema: Some(schema),
                    ..format_of("json_schema", leftovers)
                };
                (Some(format), None)
            }
            SchemaSupport::ObjectOnly | SchemaSupport::None => {
                let instruction = format!(
                    "Answer with JSON that is valid against this JSON Schema, and nothing else:\n{schema}"
                );
                let reason =
                    "the schema is in a system message, because the host does not enforce one";
                let format = takes_object.then(|| format_of("json_object", leftovers));
                (format, instruct(reason, instruction))
            }
        },
    }
}

fn format_of<'a>(kind: &'static str, leftovers: &mut Leftovers<'a>) -> WireFormat<'a> {
    WireFormat {
        kind,
        json_schema: None,
        extra: leftovers.at("response_format"),
    }
}
