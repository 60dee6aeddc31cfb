//! A chat request as `generateContent` takes it
//! (<https://ai.google.dev/api/generate-content#request-body>).

use std::collections::BTreeMap;

use domain::chat::{ChatRequest, Conversion, ReasoningRequest};
use domain::usage::ServiceTier;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;

use super::FORMAT;
use super::model::Model;
use super::tools;
use super::wire::request::{Request, ThinkingConfig};
use super::{config, contents, thinking};
use crate::dialect::{Refusal, Target};
use crate::exchange::Exchange;
use crate::outgoing;
use crate::tool_names::{NameForm, ToolNames};

/// The names that every model takes (<https://ai.google.dev/api/caching#FunctionDeclaration>).
const NAMES: NameForm = NameForm {
    longest: 64,
    also: ".:-",
};

/// Where Vertex AI is told how soon to serve a request, which the Gemini API reads in the body
/// (<https://docs.cloud.google.com/vertex-ai/generative-ai/docs/flex-paygo>).
const SHARED_REQUEST_TYPE: HeaderName =
    HeaderName::from_static("x-vertex-ai-llm-shared-request-type");

/// Whose service a body is for. They share the format but for a few fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// The Gemini API.
    GeminiApi,
    /// Vertex AI.
    VertexAi,
}

/// The body, what was done to the request, and what the answer's translation must remember.
pub(super) struct Body {
    pub(super) json: Vec<u8>,
    /// What is said beside it.
    pub(super) fields: HeaderMap,
    pub(super) report: Conversion,
    pub(super) exchange: Exchange,
}

/// Translates a request.
pub(super) fn body(
    request: &ChatRequest,
    target: &Target<'_>,
    service: Service,
) -> Result<Body, Refusal> {
    let model = Model::of(target.model, target.capabilities);
    let mut report = Conversion::default();
    report.carry("model");
    let names = ToolNames::of(request, &NAMES, &mut report);
    let conversation = contents::encode(request, target, model, &names, &mut report)?;
    let tools = if target.capabilities.tools == Some(false) {
        for (field, is_said) in [
            ("tools", !request.tools.is_empty()),
            ("tool_choice", request.tool_choice.is_some()),
        ] {
            if is_said {
                report.drop(field, "this model calls no tools");
            }
        }
        tools::Encoded::default()
    } else {
        tools::encode(request, model, &names, &mut report)?
    };
    let mut generation_config =
        config::encode(request, target, model, !tools.tools.is_empty(), &mut report)?;
    if !request
        .extensions
        .contains_key("generationConfig.mediaResolution")
    {
        generation_config.media_resolution = conversation.resolution.word();
    }
    let tier = service_tier(request, service, &mut report);
    let mut body = Request {
        contents: conversation.contents,
        system_instruction: conversation.system,
        tools: tools.tools,
        tool_config: tools.config,
        generation_config,
        safety_settings: None,
        cached_content: None,
        service_tier: tier.filter(|_| service == Service::GeminiApi),
        extra: BTreeMap::new(),
    };
    rest(request, &mut report);
    extensions(request, &mut body, &mut report)?;
    if service == Service::GeminiApi && body.extra.remove("labels").is_some() {
        // https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/add-labels-to-api-calls
        report.carried.retain(|carried| carried != "labels");
        report.drop(
            "labels",
            "the Gemini API refuses labels; Vertex AI takes them",
        );
    }
    if body.generation_config.thinking_config.is_none() {
        body.generation_config.thinking_config =
            thinking::encode(request, model, &mut report).map(ThinkingConfig::Translated);
    } else if request.reasoning != ReasoningRequest::default() {
        let reason = "Google's own words for it, which the request has as well, go before";
        report.change("reasoning_effort", reason);
    }
    let json = outgoing::json(&body, request).map_err(|error| {
        Refusal::of(
            "messages",
            format!("the request cannot be written: {error}"),
        )
    })?;
    drop(body);
    let exchange = Exchange {
        tool_names: names.into_callers(),
        streamed: request.stream,
        model: target.model.to_owned(),
        ..Exchange::default()
    };
    let mut fields = HeaderMap::new();
    if let Some(tier) = tier.filter(|_| service == Service::VertexAi) {
        fields.insert(SHARED_REQUEST_TYPE, HeaderValue::from_static(tier));
    }
    Ok(Body {
        json,
        fields,
        report,
        exchange,
    })
}

/// <https://ai.google.dev/gemini-api/docs/flex-inference>
fn service_tier(
    request: &ChatRequest,
    service: Service,
    report: &mut Conversion,
) -> Option<&'static str> {
    match request.service_tier? {
        ServiceTier::Batch => {
            report.drop("service_tier", "Gemini takes batches by another interface");
            None
        }
        // What is not said is standard there, and has no word.
        ServiceTier::Standard if service == Service::VertexAi => {
            report.carry("service_tier");
            None
        }
        tier => {
            report.carry("service_tier");
            Some(tier.as_str())
        }
    }
}

/// What Gemini has no field for, or says in another way.
fn rest(request: &ChatRequest, report: &mut Conversion) {
    match request.parallel_tool_calls {
        Some(true) => report.carry("parallel_tool_calls"),
        Some(false) => report.drop(
            "parallel_tool_calls",
            "Gemini cannot be kept from calling several tools at once",
        ),
        None => {}
    }
    if request.user.is_some() {
        report.drop(
            "user",
            "Gemini takes no identifier of the person who speaks",
        );
    }
    if request.stream {
        report.carry("stream");
    }
    if request.stream_usage {
        report.carry("stream_options");
    }
}

/// Fields that are not OpenAI's but Google's: by the names under which Google's own OpenAI-compatible
/// endpoint takes them (`extra_body.google`, <https://ai.google.dev/gemini-api/docs/openai#extra-body>),
/// or by their own at the top. What is written in Google's words goes on as it was written.
fn extensions<'a>(
    request: &'a ChatRequest,
    body: &mut Request<'a>,
    report: &mut Conversion,
) -> Result<(), Refusal> {
    for (field, raw) in &request.extensions {
        // `null` says nothing that could be lost.
        if raw.get() == "null" {
            continue;
        }
        if request.format == FORMAT {
            own(field, raw, body, report);
            continue;
        }
        match field.as_str() {
            // The tools have taken it.
            "web_search_options" => {}
            "modalities" => config::modalities(raw, &mut body.generation_config, report),
            "extra_body" => {
                for (name, raw) in members(field, raw)? {
                    let field = format!("extra_body.{name}");
                    if name == "google" {
                        google(&field, &raw, body, report)?;
                    } else {
                        report.drop(field, NO_SUCH_FIELD);
                    }
                }
            }
            "google" => google(field, raw, body, report)?,
            name => {
                if !setting(name, name, raw, body, report) {
                    report.drop(field.clone(), NO_SUCH_FIELD);
                }
            }
        }
    }
    Ok(())
}

/// A field that came in this format goes back where it stood, unless it stood in what was taken apart.
fn own<'a>(field: &'a str, raw: &'a RawValue, body: &mut Request<'a>, report: &mut Conversion) {
    let is_name = |name: &&str| !name.contains(['.', '[']);
    let (config, tools) = (&mut body.generation_config, &mut body.tool_config);
    let inside = [
        ("generationConfig.thinkingConfig.", None),
        ("generationConfig.", Some(&mut config.extra)),
        ("toolConfig.functionCallingConfig.", None),
        ("toolConfig.", Some(&mut tools.extra)),
        ("", Some(&mut body.extra)),
    ];
    for (place, extra) in inside {
        let Some(name) = field.strip_prefix(place) else {
            continue;
        };
        match (extra, is_name(&name)) {
            (Some(extra), true) => {
                extra.insert(name, raw);
                report.carry(field.to_owned());
            }
            (None, true) if SAID_ELSEWHERE.contains(&name) => report.carry(field.to_owned()),
            _ => report.drop(
                field.to_owned(),
                "the request was written anew, and this has no place in it",
            ),
        }
        return;
    }
}

/// What `thinking` and `tools` read of the caller's own fields.
const SAID_ELSEWHERE: [&str; 2] = ["mode", "thinkingBudget"];

const NO_SUCH_FIELD: &str = "Gemini has no such field";

fn google(
    path: &str,
    raw: &RawValue,
    body: &mut Request<'_>,
    report: &mut Conversion,
) -> Result<(), Refusal> {
    for (name, raw) in members(path, raw)? {
        let field = format!("{path}.{name}");
        if !setting(&name, &field, &raw, body, report) {
            report.drop(field, NO_SUCH_FIELD);
        }
    }
    Ok(())
}

/// Takes one of Google's own fields; whether it is one.
fn setting(
    name: &str,
    field: &str,
    raw: &RawValue,
    body: &mut Request<'_>,
    report: &mut Conversion,
) -> bool {
    match name {
        "safety_settings" | "safetySettings" => body.safety_settings = Some(raw.to_owned()),
        "cached_content" | "cachedContent" => body.cached_content = Some(raw.to_owned()),
        "thinking_config" | "thinkingConfig" => {
            body.generation_config.thinking_config = Some(ThinkingConfig::Raw(raw.to_owned()));
        }
        _ => return false,
    }
    report.carry(field.to_owned());
    true
}

/// The members of an object, in their order.
fn members(field: &str, raw: &RawValue) -> Result<Vec<(String, Box<RawValue>)>, Refusal> {
    let members: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(raw.get())
            .map_err(|_| Refusal::of(field, format!("{field} must be an object")))?;
    Ok(members.into_iter().collect())
}
