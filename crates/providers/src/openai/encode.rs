//! Writes a request from the domain: for callers of other formats, and where a guard edited what an
//! OpenAI caller sent.

use std::borrow::Cow;

use domain::chat::{ChatRequest, Conversion, Effort, Logprobs, OutputFormat};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::encode_message::WireMessage;
use super::encode_reasoning::WireReasoning;
use super::encode_tools::{WireChoice, WireTool};
use super::wire::{Extra, Leftovers};
use super::{encode_message, encode_reasoning, encode_tools, model, render};
use crate::dialect::Target;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logit_bias: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<WireFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<WireReasoning<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions<'a>>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// Callers write `1`, not `1.0`, and get it back so.
#[expect(
    clippy::ref_option,
    reason = "serde's serialize_with passes a reference"
)]
fn plain<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let number = number.unwrap_or_default();
    match format!("{number}").parse::<i64>() {
        Ok(whole) => serializer.serialize_i64(whole),
        Err(_) => serializer.serialize_f64(number),
    }
}

#[derive(Serialize)]
struct WireFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<WireSchema<'a>>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct WireSchema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct StreamOptions<'a> {
    include_usage: bool,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// Writes the body and reports.
pub(super) fn body(request: &ChatRequest, target: &Target<'_>) -> (Vec<u8>, Conversion) {
    let mut report = Conversion::default();
    let sampling = &request.sampling;
    let takes_sampling = model::takes_sampling(target.model, target.capabilities);
    let mut leftovers = Leftovers::of(&request.extensions);
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
    let (max_tokens, max_completion_tokens) = bounds(request, target);
    let reasoning = encode_reasoning::reasoning(request, target, &mut leftovers, &mut report);
    let body = Body {
        model: target.model,
        messages: encode_message::messages(&request.messages, &mut leftovers, &mut report),
        tools: encode_tools::tools(request, &mut leftovers, &mut report),
        tool_choice: request.tool_choice.as_ref().map(encode_tools::tool_choice),
        parallel_tool_calls: request.parallel_tool_calls,
        max_tokens,
        max_completion_tokens,
        temperature,
        top_p,
        top_k: sampling.top_k,
        seed: sampling.seed,
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        logit_bias: sampling.logit_bias.as_deref(),
        stop: &request.stop,
        n: (request.choices != 1).then_some(request.choices),
        response_format: response_format(request, &mut leftovers),
        reasoning_effort: reasoning.0,
        reasoning: reasoning.1,
        logprobs: request.logprobs.map(|_| true),
        top_logprobs: request
            .logprobs
            .map(|Logprobs { alternatives }| alternatives)
            .filter(|alternatives| *alternatives > 0),
        user: request.user.as_deref(),
        service_tier: request.service_tier.map(render::tier_word),
        stream: request.stream.then_some(true),
        stream_options: request.stream.then(|| StreamOptions {
            // The ledger needs it; the caller is shown it only when it asked.
            include_usage: true,
            extra: leftovers.at("stream_options"),
        }),
        extra: leftovers.at(""),
    };
    carry(&body, request, &mut report);
    for path in leftovers.lost() {
        report.drop(path.to_owned(), "the target's format has no place for it");
    }
    // Keys are strings and memory grows: serialisation has no way to fail.
    let bytes = serde_json::to_vec(&body).unwrap_or_default();
    (bytes, report)
}

/// Reasoning models take only the newer name, many hosts know only the older one. Who sent both gets both.
fn bounds(request: &ChatRequest, target: &Target<'_>) -> (Option<u64>, Option<u64>) {
    let bound = request.max_output_tokens;
    let newer = model::reasons(target.model, target.capabilities)
        || request.extensions.contains_key("max_tokens");
    if newer { (None, bound) } else { (bound, None) }
}

fn response_format<'a>(
    request: &'a ChatRequest,
    leftovers: &mut Leftovers<'a>,
) -> Option<WireFormat<'a>> {
    let (kind, json_schema) = match &request.output {
        OutputFormat::Text => return None,
        OutputFormat::JsonObject => ("json_object", None),
        OutputFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => {
            let schema = WireSchema {
                name,
                description: description.as_deref(),
                schema,
                strict: *strict,
                extra: leftovers.at("response_format.json_schema"),
            };
            ("json_schema", Some(schema))
        }
    };
    Some(WireFormat {
        kind,
        json_schema,
        extra: leftovers.at("response_format"),
    })
}

/// Every field that is in the body and was in the request arrived.
fn carry(body: &Body<'_>, request: &ChatRequest, report: &mut Conversion) {
    let present = [
        ("model", true),
        ("messages", true),
        ("tools", !body.tools.is_empty()),
        ("tool_choice", body.tool_choice.is_some()),
        ("parallel_tool_calls", body.parallel_tool_calls.is_some()),
        ("max_tokens", body.max_tokens.is_some()),
        (
            "max_completion_tokens",
            body.max_completion_tokens.is_some(),
        ),
        ("top_k", body.top_k.is_some()),
        ("seed", body.seed.is_some()),
        ("frequency_penalty", body.frequency_penalty.is_some()),
        ("presence_penalty", body.presence_penalty.is_some()),
        ("logit_bias", body.logit_bias.is_some()),
        ("stop", !body.stop.is_empty()),
        ("n", body.n.is_some()),
        ("response_format", body.response_format.is_some()),
        (
            "reasoning_effort",
            request
                .reasoning
                .effort
                .is_some_and(|effort| effort != Effort::Max)
                && body.reasoning_effort.is_some(),
        ),
        ("reasoning", body.reasoning.is_some()),
        ("logprobs", body.logprobs.is_some()),
        ("top_logprobs", body.top_logprobs.is_some()),
        ("user", body.user.is_some()),
        ("service_tier", body.service_tier.is_some()),
        ("stream", body.stream.is_some()),
        ("stream_options", request.stream_usage),
    ];
    for (field, _) in present.into_iter().filter(|(_, is_present)| *is_present) {
        report.carry(field);
    }
    for (name, _) in &body.extra.0 {
        report.carry(Cow::Owned((*name).to_owned()));
    }
}
