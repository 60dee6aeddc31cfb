//! A domain request as Anthropic's body.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use domain::chat::{ChatRequest, Conversion};
use domain::usage::ServiceTier;
use http::header::HeaderValue;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::model::Model;
use super::reasoning::{self, Bounds};
use super::tools::{self, ToolNames};
use super::{cache, messages, output, sampling, wire};
use crate::dialect::{Refusal, Target};
use crate::exchange::Exchange;
use crate::outgoing;

/// Above this bound on the output, in tokens, an answer that is not streamed may outlast the
/// connection: the official clients refuse it, reckoning with an hour for 128,000 tokens and ten minutes
/// of patience. The gateway then asks for a stream and collects it.
const MAX_UNSTREAMED: u64 = 21_333;

/// The longest `metadata.user_id`, in characters.
const MAX_USER_ID: usize = 256;

/// Fields that bear Anthropic's own names and pass as they are.
const NATIVE: [&str; 4] = ["cache_control", "container", "inference_geo", "speed"];

/// Fields that other functions of this file and of `tools.rs` speak of.
const SPOKEN_OF: [&str; 5] = [
    BETAS,
    super::betas::FIELD,
    SAFETY_IDENTIFIER,
    "service_tier",
    "web_search_options",
];

/// OpenAI's newer name for who is speaking, beside `user`
/// (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-safety_identifier>).
const SAFETY_IDENTIFIER: &str = "safety_identifier";

/// Where a body names the beta features that it uses, as it does on platforms that take no such header.
const BETAS: &str = "anthropic_beta";

/// A translated body.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) json: Bytes,
    /// The `anthropic-beta` field that goes with it.
    pub(super) betas: Option<HeaderValue>,
    /// Whether it has one of the fields that only the older version of the API knows.
    pub(super) samples: bool,
    pub(super) report: Conversion,
    pub(super) exchange: Exchange,
}

/// Translates a request.
pub(super) fn body(request: &ChatRequest, target: &Target<'_>) -> Result<Body, Refusal> {
    if request.choices > 1 {
        let detail = "The target gives one answer per request. Leave out `n`, or send the request \
                      once for each answer wanted.";
        return Err(Refusal::of("n", detail));
    }
    let model = Model::of(target);
    let mut report = Conversion::default();
    let mut names = ToolNames::default();
    report.carry("model");

    let max_tokens = max_tokens(request, &model, &mut report);
    let mut tools = tools::translate(request, &model, &mut names, &mut report);
    let mut conversation = messages::translate(&request.messages, &model, &mut names, &mut report)?;
    let output = output::plan(request, &model, &mut tools, &mut names, &mut report);
    conversation.system.extend(output.instruction);
    let bounds = Bounds {
        max_tokens,
        forced_tool: tools.is_forced(),
        thoughts_lost: conversation.thoughts_lost(),
    };
    let plan = reasoning::plan(&request.reasoning, &model, bounds, &mut report)?;
    let sampling = sampling::translate(request, &model, plan.is_thinking(&model), &mut report);
    let streamed = request.stream || max_tokens > MAX_UNSTREAMED;
    report_stream(request, &mut report);

    let mut body = wire::Request {
        model: target.model,
        max_tokens,
        system: conversation.system,
        messages: conversation.turns,
        tools: tools.tools,
        tool_choice: tools.choice,
        thinking: plan.thinking,
        output_config: wire::OutputConfig {
            effort: plan.effort,
            format: output.format,
        },
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        stop_sequences: outgoing::stop_sequences(request, &mut report),
        metadata: metadata(request, &mut report),
        service_tier: service_tier(request, &mut report),
        stream: streamed,
        native: extensions(request, &mut report),
    };
    cache::limit_breakpoints(&mut body, &mut report);
    let samples = body.temperature.is_some() || body.top_p.is_some() || body.top_k.is_some();
    let json = outgoing::json(&body, request).map_err(|error| Refusal {
        detail: format!("The request cannot be written as JSON: {error}"),
        param: None,
    })?;
    Ok(Body {
        json: Bytes::from(json),
        betas: betas(request, &mut report),
        samples,
        report,
        exchange: Exchange {
            tool_names: names.renamed(),
            answer_tool: output.answer_tool,
            streamed,
            model: target.model.to_owned(),
            ..Exchange::default()
        },
    })
}

fn max_tokens(request: &ChatRequest, model: &Model<'_>, report: &mut Conversion) -> u64 {
    const FIELD: &str = "max_completion_tokens";
    let Some(wanted) = request.max_output_tokens else {
        return model.default_max_output();
    };
    match model.max_output() {
        Some(most) if wanted > most => {
            report.change(
                FIELD,
                format!("lowered to {most}, the most that this model writes"),
            );
            most
        }
        _ => {
            report.carry(FIELD);
            wanted
        }
    }
}

/// Beta features that the caller asks for, as the header field that Anthropic itself wants.
/// <https://platform.claude.com/docs/en/api/beta-headers>
fn betas(request: &ChatRequest, report: &mut Conversion) -> Option<HeaderValue> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Betas {
        One(String),
        Several(Vec<String>),
    }
    let (name, raw) = [BETAS, super::betas::FIELD]
        .into_iter()
        .find_map(|name| Some((name, request.extensions.get(name)?)))?;
    let betas = match serde_json::from_str(raw.get()) {
        Ok(Betas::One(beta)) => beta,
        Ok(Betas::Several(betas)) => betas.join(","),
        Err(_) => String::new(),
    };
    match HeaderValue::try_from(betas) {
        Ok(field) if !field.is_empty() => {
            report.carry(name);
            Some(field)
        }
        _ => {
            report.drop(name, "not a name or a list of names");
            None
        }
    }
}

fn report_stream(request: &ChatRequest, report: &mut Conversion) {
    if request.stream {
        report.carry("stream");
    }
    if request.stream_usage {
        report.carry("stream_options");
    }
}

/// Who is speaking. The provider takes one identifier; the newer of OpenAI's two goes before the older.
fn metadata<'a>(request: &'a ChatRequest, report: &mut Conversion) -> Option<wire::Metadata<'a>> {
    let newer = request
        .extensions
        .get(SAFETY_IDENTIFIER)
        .filter(|raw| raw.get() != "null");
    let newer = newer.map(|raw| serde_json::from_str::<String>(raw.get()));
    let (field, user_id) = match (newer, &request.user) {
        (Some(Ok(identifier)), user) => {
            if user.is_some() {
                report.drop("user", "`safety_identifier`, which says the same, was sent");
            }
            (SAFETY_IDENTIFIER, Cow::Owned(identifier))
        }
        (Some(Err(_)), _) => {
            report.drop(SAFETY_IDENTIFIER, "not a text");
            return None;
        }
        (None, Some(user)) => ("user", Cow::Borrowed(user.as_str())),
        (None, None) => return None,
    };
    if user_id.chars().count() > MAX_USER_ID {
        report.drop(
            field,
            "longer than the 256 characters that the provider takes",
        );
        return None;
    }
    report.carry(field);
    Some(wire::Metadata { user_id })
}

/// Anthropic's `auto` uses the priority capacity that the account has; `standard_only` never does.
/// <https://platform.claude.com/docs/en/api/service-tiers>
fn service_tier(request: &ChatRequest, report: &mut Conversion) -> Option<&'static str> {
    const FIELD: &str = "service_tier";
    if let Some(word) = request.extensions.get(FIELD) {
        if word.get() == "\"auto\"" {
            report.carry(FIELD);
            return Some("auto");
        }
        report.drop(FIELD, format!("the provider has no tier {word}"));
    }
    match request.service_tier? {
        ServiceTier::Standard => {
            report.carry(FIELD);
            Some("standard_only")
        }
        ServiceTier::Priority => {
            report.change(
                FIELD,
                "sent as `auto`: priority capacity is used where the account has it",
            );
            Some("auto")
        }
        tier @ (ServiceTier::Flex | ServiceTier::Batch) => {
            report.drop(
                FIELD,
                format!("the provider has no tier {tier} for single requests"),
            );
            None
        }
    }
}

/// Whether an extension is a field of the body itself.
fn is_top_level(name: &str) -> bool {
    !name.contains(['.', '[']) && name != super::betas::FIELD
}

/// Passes what is in Anthropic's own words, and says what is lost of the rest.
fn extensions<'a>(
    request: &'a ChatRequest,
    report: &mut Conversion,
) -> BTreeMap<&'a str, &'a RawValue> {
    let mut native = BTreeMap::new();
    let is_own = request.format == super::FORMAT;
    for (name, value) in &request.extensions {
        let is_native = NATIVE.contains(&name.as_str()) || (is_own && is_top_level(name));
        if is_native {
            report.carry(name.clone());
            native.insert(name.as_str(), &**value);
        } else if name == "prompt_cache_key" {
            report.drop(
                "prompt_cache_key",
                "the provider caches by `cache_control` only",
            );
        } else if name == "store" && value.get() == "false" {
            report.carry("store");
        } else if value.get() != "null" && !SPOKEN_OF.contains(&name.as_str()) {
            let reason = if is_own {
                "not kept where a request of this format is written anew"
            } else {
                "the provider has no such parameter"
            };
            report.drop(name.clone(), reason);
        }
    }
    native
}
