//! Writes a request from the domain. Nothing is left with the provider: the conversation is ours to keep.

use std::borrow::Cow;

use domain::chat::{ChatRequest, Conversion, Effort, OutputFormat, Part, ReasoningRequest};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::encode_reasoning::effort_of_budget;
use super::super::model;
use super::super::render::tier_word;
use super::super::request_body::plain;
use super::super::wire::{Extra, Leftovers};
use super::encode_tools::WireTool;
use super::wire::WireItem;
use super::words::{self, FORMAT};
use super::{encode_items, encode_tools};
use crate::dialect::{Format, Refusal, Target};
use crate::outgoing;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: Vec<WireItem<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<WireReasoning<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Extra::is_empty")]
    stream_options: Extra<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct WireText<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<WireFormat<'a>>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct WireFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct WireReasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// The format has no part for audio (<https://platform.openai.com/docs/api-reference/responses/create>).
const HEARS_NOTHING: &str = "OpenAI's Responses API hears no audio. Send a transcript, or ask a model that answers chat completions.";

/// Where the first recording stands.
fn audio(request: &ChatRequest) -> Option<String> {
    request
        .messages
        .iter()
        .enumerate()
        .find_map(|(message, it)| {
            let is_audio = |part: &Part| matches!(part, Part::Audio(_));
            let part = it.content().iter().position(is_audio)?;
            Some(format!("messages[{message}].content[{part}]"))
        })
}

/// Writes the body and reports.
pub(super) fn body(
    request: &ChatRequest,
    target: &Target<'_>,
) -> Result<(Vec<u8>, Conversion), Refusal> {
    if request.choices > 1 {
        return Err(Refusal::of(
            "n",
            "The target gives one answer to a request; ask for one, or ask several times.",
        ));
    }
    if let Some(path) = audio(request) {
        return Err(Refusal::of(path, HEARS_NOTHING));
    }
    let mut report = Conversion::default();
    let mut leftovers = Leftovers::taken_by(request, takes);
    let takes_sampling = model::takes_sampling(target.model, target.capabilities);
    let mut drawn = |field: &'static str, value: Option<f64>| {
        let value = value?;
        // The default is not refused.
        if takes_sampling || (value - 1.0).abs() < f64::EPSILON {
            return Some(value);
        }
        report.drop(field, "the model refuses sampling parameters");
        None
    };
    let temperature = drawn("temperature", request.sampling.temperature);
    let top_p = drawn("top_p", request.sampling.top_p);
    lose_sampling(request, &mut report);
    let reasons = model::reasons(target.model, target.capabilities);
    let conversation = encode_items::conversation(request, &mut leftovers, &mut report);
    let tools = encode_tools::tools(request, &mut leftovers, &mut report);
    let reasoning = reasoning(request, target, &mut leftovers, &mut report);
    let text = text(request, &mut leftovers);
    let stream_options = leftovers.at("stream_options");
    let mut extra = leftovers.at("");
    let include = include(request, reasons, &mut extra);
    let is_kept = extra.0.iter().any(|(name, _)| *name == "store");
    let body = Body {
        model: target.model,
        instructions: conversation.instructions,
        input: conversation.input,
        tools,
        tool_choice: request
            .tool_choice
            .as_ref()
            .map(|choice| encode_tools::tool_choice(choice, request)),
        parallel_tool_calls: request.parallel_tool_calls,
        max_output_tokens: request.max_output_tokens,
        temperature,
        top_p,
        text,
        reasoning,
        include,
        top_logprobs: request
            .logprobs
            .map(|wanted| wanted.alternatives)
            .filter(|alternatives| *alternatives > 0),
        user: request.user.as_deref(),
        service_tier: request.service_tier.and_then(tier_word),
        stream: request.stream.then_some(true),
        stream_options,
        store: (!is_kept).then_some(false),
        extra,
    };
    carry(&body, request, &mut report);
    for path in leftovers.lost() {
        if !SPOKEN_OF.contains(&path) {
            report.drop(path.to_owned(), "the target's format has no place for it");
        }
    }
    // Keys are strings and memory grows: serialisation has no way to fail.
    Ok((outgoing::json(&body, request).unwrap_or_default(), report))
}

/// Extensions that are written in another place than their own.
const SPOKEN_OF: [&str; 1] = ["web_search_options"];

/// Which extensions of another format are written under their own names.
fn takes(format: &str, path: &str, name: &str) -> bool {
    format == FORMAT
        || (format == Format::OpenaiChat.as_str()
            && path.is_empty()
            && (words::is_shared(name) || name == "store"))
}

fn lose_sampling(request: &ChatRequest, report: &mut Conversion) {
    let sampling = &request.sampling;
    for (field, is_asked) in [
        ("top_k", sampling.top_k.is_some()),
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("stop", !request.stop.is_empty()),
    ] {
        if is_asked {
            report.drop(field, "the target's format has no such parameter");
        }
    }
}

fn text<'a>(request: &'a ChatRequest, leftovers: &mut Leftovers<'a>) -> Option<WireText<'a>> {
    let format = match &request.output {
        OutputFormat::Text => None,
        OutputFormat::JsonObject => Some(WireFormat {
            kind: "json_object",
            name: None,
            description: None,
            schema: None,
            strict: None,
            extra: leftovers.at("text.format"),
        }),
        OutputFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => Some(WireFormat {
            kind: "json_schema",
            name: Some(name),
            description: description.as_deref(),
            schema: Some(schema),
            strict: *strict,
            extra: leftovers.at("text.format"),
        }),
    };
    let mut extra = leftovers.at("text");
    if let Some(verbosity) = leftovers.take("verbosity") {
        extra.0.push(("verbosity", verbosity));
    }
    (format.is_some() || !extra.is_empty()).then_some(WireText { format, extra })
}

fn reasoning<'a>(
    request: &'a ChatRequest,
    target: &Target<'_>,
    leftovers: &mut Leftovers<'a>,
    report: &mut Conversion,
) -> Option<WireReasoning<'a>> {
    let ReasoningRequest {
        effort,
        budget_tokens,
        include_thoughts,
    } = request.reasoning;
    if model::never_reasons(target.model, target.capabilities) {
        if effort.is_some_and(|effort| effort != Effort::None) || budget_tokens.is_some() {
            report.drop("reasoning_effort", "the model does not reason");
        }
        return None;
    }
    let effort = match (effort, budget_tokens) {
        (Some(effort), budget) => {
            if budget.is_some() {
                report.drop(
                    "reasoning.max_tokens",
                    "the target takes an effort and no budget; the effort was sent",
                );
            }
            report.carry("reasoning_effort");
            Some(word(effort))
        }
        (None, Some(budget)) => {
            let word = effort_of_budget(budget);
            report.change(
                "reasoning.max_tokens",
                format!("the target takes an effort and no budget; sent as `{word}`"),
            );
            Some(word)
        }
        (None, None) => None,
    };
    let extra = leftovers.at("reasoning");
    let says_how = extra.0.iter().any(|(name, _)| name.ends_with("summary"));
    let summary = (include_thoughts == Some(true) && !says_how).then_some("auto");
    if include_thoughts.is_some() {
        report.carry("include_reasoning");
    }
    let says_more = effort.is_some() || summary.is_some() || !extra.is_empty();
    says_more.then_some(WireReasoning {
        effort,
        summary,
        extra,
    })
}

fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::ExtraHigh => "xhigh",
        Effort::Max => "max",
    }
}

/// What the answer is to hold beside the rest. Encrypted thoughts are what keeps a conversation whole that
/// the provider does not keep; models that do not reason refuse to be asked for them.
fn include<'a>(request: &ChatRequest, reasons: bool, extra: &mut Extra<'a>) -> Vec<Cow<'a, str>> {
    let mut include = Vec::new();
    if reasons {
        include.push(Cow::Borrowed("reasoning.encrypted_content"));
    }
    if request.logprobs.is_some() {
        include.push(Cow::Borrowed("message.output_text.logprobs"));
    }
    if let Some(place) = extra.0.iter().position(|(name, _)| *name == "include") {
        let (_, raw) = extra.0.remove(place);
        let others: Vec<String> = serde_json::from_str(raw.get()).unwrap_or_default();
        include.extend(others.into_iter().map(Cow::Owned));
    }
    include
}

/// Every field that is in the body and was in the request arrived.
fn carry(body: &Body<'_>, request: &ChatRequest, report: &mut Conversion) {
    let present = [
        ("model", true),
        ("messages", true),
        ("tools", !body.tools.is_empty() && !request.tools.is_empty()),
        ("tool_choice", body.tool_choice.is_some()),
        ("parallel_tool_calls", body.parallel_tool_calls.is_some()),
        ("max_completion_tokens", body.max_output_tokens.is_some()),
        ("temperature", body.temperature.is_some()),
        ("top_p", body.top_p.is_some()),
        (
            "response_format",
            body.text.as_ref().is_some_and(|text| text.format.is_some()),
        ),
        ("verbosity", request.extensions.contains_key("verbosity")),
        ("logprobs", request.logprobs.is_some()),
        ("top_logprobs", body.top_logprobs.is_some()),
        ("user", body.user.is_some()),
        ("service_tier", body.service_tier.is_some()),
        ("stream", body.stream.is_some()),
        ("stream_options", request.stream && request.stream_usage),
    ];
    for (field, _) in present.into_iter().filter(|(_, is_present)| *is_present) {
        report.carry(field);
    }
    for (name, _) in &body.extra.0 {
        report.carry(Cow::Owned((*name).to_owned()));
    }
}
