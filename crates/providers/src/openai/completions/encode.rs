//! Writes a request from the domain.

use domain::chat::{ChatRequest, Conversion, Effort, Message, OutputFormat, Part};
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::request_body::plain;
use super::super::wire::{Extra, Leftovers};
use super::FORMAT;
use crate::dialect::{Refusal, Target};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
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
    logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions<'a>>,
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
pub(super) fn body(
    request: &ChatRequest,
    target: &Target<'_>,
) -> Result<(Vec<u8>, Conversion), Refusal> {
    let prompt = prompt(&request.messages)?;
    if !request.tools.is_empty() {
        let detail =
            "The model completes prompts and calls no tools; leave them out or ask another model.";
        return Err(Refusal::of("tools", detail));
    }
    let mut report = Conversion::default();
    let mut leftovers = Leftovers::taken_by(request, |format, _, _| format == FORMAT);
    lose(request, &mut report);
    let sampling = &request.sampling;
    let body = Body {
        model: target.model,
        prompt,
        max_tokens: request.max_output_tokens,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        seed: sampling.seed,
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        logit_bias: sampling.logit_bias.as_deref(),
        stop: &request.stop,
        n: (request.choices != 1).then_some(request.choices),
        logprobs: request.logprobs.map(|wanted| wanted.alternatives),
        user: request.user.as_deref(),
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
    Ok((serde_json::to_vec(&body).unwrap_or_default(), report))
}

/// What one person says in plain text.
fn prompt(messages: &[Message]) -> Result<&str, Refusal> {
    if let [Message::User { content, .. }] = messages
        && let [Part::Text(text)] = content.as_slice()
    {
        return Ok(&text.text);
    }
    Err(Refusal::of(
        "messages",
        "The model completes one prompt of plain text and does not chat; send a single user message, or ask another model.",
    ))
}

fn lose(request: &ChatRequest, report: &mut Conversion) {
    let reasons = request.reasoning.budget_tokens.is_some()
        || request
            .reasoning
            .effort
            .is_some_and(|effort| effort != Effort::None);
    for (field, is_asked) in [
        ("reasoning_effort", reasons),
        (
            "response_format",
            !matches!(request.output, OutputFormat::Text),
        ),
        ("service_tier", request.service_tier.is_some()),
    ] {
        if is_asked {
            report.drop(field, "the target's format has no such parameter");
        }
    }
}

/// Every field that is in the body and was in the request arrived.
fn carry(body: &Body<'_>, request: &ChatRequest, report: &mut Conversion) {
    let present = [
        ("model", true),
        ("messages", true),
        ("max_completion_tokens", body.max_tokens.is_some()),
        ("temperature", body.temperature.is_some()),
        ("top_p", body.top_p.is_some()),
        ("top_k", body.top_k.is_some()),
        ("seed", body.seed.is_some()),
        ("frequency_penalty", body.frequency_penalty.is_some()),
        ("presence_penalty", body.presence_penalty.is_some()),
        ("logit_bias", body.logit_bias.is_some()),
        ("stop", !body.stop.is_empty()),
        ("n", body.n.is_some()),
        ("logprobs", body.logprobs.is_some()),
        ("user", body.user.is_some()),
        ("stream", body.stream.is_some()),
        ("stream_options", request.stream_usage),
    ];
    for (field, _) in present.into_iter().filter(|(_, is_present)| *is_present) {
        report.carry(field);
    }
    for (name, _) in &body.extra.0 {
        report.carry((*name).to_owned());
    }
}
