//! A domain request as Cohere's body. <https://docs.cohere.com/reference/chat>

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::chat::{ChatRequest, Conversion, Effort, Message, OutputFormat, Part};
use domain::model::ReasoningControl;
use domain::usage::ServiceTier;
use serde_json::value::RawValue;

use super::{FORMAT, messages, sampling, tools, wire};
use crate::dialect::{Refusal, Target};
use crate::exchange::Exchange;
use crate::outgoing;
use crate::tool_names::{NameForm, ToolNames};

/// The names that Cohere takes (<https://docs.cohere.com/v1/reference/chat#request.body.tools.name>).
const NAMES: NameForm = NameForm {
    longest: usize::MAX,
    also: "",
};
/// The most texts at which the output may end.
const MAX_STOPS: usize = 5;

/// Fields that bear Cohere's own names and pass as they are.
const NATIVE: [&str; 4] = ["citation_options", "documents", "priority", "safety_mode"];

/// A translated body.
pub(super) struct Body {
    pub(super) json: Bytes,
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
    let mut report = Conversion::default();
    report.carry("model");
    let names = ToolNames::of(request, &NAMES, &mut report);
    let tools = tools::functions(request, &names, &mut report);
    let tool_choice = tools::choice(request, !tools.is_empty(), &mut report);
    let strict_tools = tools::strictness(request, &mut report);
    let native = native(request, &mut report);
    let has_documents = native.contains_key("documents");
    let (response_format, instruction) = output(
        request,
        !tools.is_empty() || has_documents || shows_documents(request),
        &mut report,
    );
    let conversation = messages::translate(request, instruction, target, &names, &mut report)?;
    if has_documents && !conversation.documents.is_empty() {
        let detail = "Documents are either in `documents` or in the messages, not in both.";
        return Err(Refusal::of("documents", detail));
    }
    report_rest(request, &mut report);
    let body = wire::Request {
        model: target.model,
        messages: conversation.messages,
        tools,
        tool_choice,
        strict_tools,
        documents: conversation.documents,
        response_format,
        max_tokens: request
            .max_output_tokens
            .inspect(|_| report.carry("max_completion_tokens")),
        stop_sequences: stop_sequences(request, &mut report),
        sampling: sampling::translate(request, &mut report),
        logprobs: logprobs(request, &mut report),
        thinking: thinking(request, target, &mut report),
        stream: request.stream,
        native,
    };
    let json = outgoing::json(&body, request).map_err(|error| Refusal {
        detail: format!("The request cannot be written as JSON: {error}."),
        param: None,
    })?;
    Ok(Body {
        json: Bytes::from(json),
        report,
        exchange: Exchange {
            tool_names: names.into_callers(),
            streamed: request.stream,
            model: target.model.to_owned(),
            ..Exchange::default()
        },
    })
}

/// Whether a user's message holds a document, which goes beside the messages.
fn shows_documents(request: &ChatRequest) -> bool {
    let of_users = request.messages.iter().filter_map(|message| match message {
        Message::User { content, .. } => Some(content),
        _ => None,
    });
    of_users
        .flatten()
        .any(|part| matches!(part, Part::Document(_)))
}

/// The form of the answer, or the instruction that asks for it where the provider does not take one.
fn output<'a>(
    request: &'a ChatRequest,
    is_excluded: bool,
    report: &mut Conversion,
) -> (Option<wire::ResponseFormat<'a>>, Option<String>) {
    const FIELD: &str = "response_format";
    let json_schema = match &request.output {
        OutputFormat::Text => return (None, None),
        OutputFormat::JsonObject => None,
        OutputFormat::JsonSchema { schema, .. } => Some(&**schema),
    };
    if !is_excluded {
        report.carry(FIELD);
        let format = wire::ResponseFormat {
            kind: "json_object",
            json_schema,
        };
        return (Some(format), None);
    }
    report.drop(
        FIELD,
        "not enforced beside tools or documents: the model is asked for it in the system message",
    );
    let instruction = match json_schema {
        Some(schema) => format!(
            "Answer with JSON that is valid against this JSON Schema, and nothing else:\n{schema}"
        ),
        None => "Answer with one JSON object and nothing else.".to_owned(),
    };
    (None, Some(instruction))
}

fn stop_sequences<'a>(request: &'a ChatRequest, report: &mut Conversion) -> Vec<&'a str> {
    let mut kept = Vec::new();
    for (index, stop) in request.stop.iter().enumerate() {
        if stop.is_empty() {
            report.drop(format!("stop[{index}]"), "an empty text stops nothing");
        } else if kept.len() == MAX_STOPS {
            report.drop(
                format!("stop[{index}]"),
                "the provider takes at most 5 texts to stop at",
            );
        } else {
            kept.push(stop.as_str());
        }
    }
    if !kept.is_empty() {
        report.carry("stop");
    }
    kept
}

fn logprobs(request: &ChatRequest, report: &mut Conversion) -> Option<bool> {
    let asked = request.logprobs?;
    report.carry("logprobs");
    if asked.alternatives > 0 {
        report.drop(
            "top_logprobs",
            "the provider tells only of the tokens that it chose",
        );
    }
    Some(true)
}

/// How much to think. <https://docs.cohere.com/docs/reasoning>
fn thinking(
    request: &ChatRequest,
    target: &Target<'_>,
    report: &mut Conversion,
) -> Option<wire::Thinking> {
    const EFFORT: &str = "reasoning_effort";
    const BUDGET: &str = "reasoning.max_tokens";
    let asked = &request.reasoning;
    let field = if asked.effort.is_some() {
        EFFORT
    } else {
        BUDGET
    };
    if asked.include_thoughts == Some(false) {
        report.drop(
            "include_reasoning",
            "the provider always shows the thoughts",
        );
    }
    let wants_thoughts = asked.include_thoughts == Some(true);
    if asked.effort.is_none() && asked.budget_tokens.is_none() && !wants_thoughts {
        return None;
    }
    if !reasons(target) {
        match asked.effort {
            Some(Effort::None) => report.carry(field),
            _ if wants_thoughts && asked.effort.is_none() && asked.budget_tokens.is_none() => {
                report.drop("include_reasoning", "this model does not reason");
            }
            _ => report.drop(field, "this model does not reason"),
        }
        return None;
    }
    let token_budget = match (asked.effort, asked.budget_tokens) {
        (Some(Effort::None), _) => {
            report.carry(EFFORT);
            return Some(wire::Thinking::Disabled);
        }
        (effort, Some(budget)) => {
            if effort.is_some() {
                report.drop(EFFORT, "the budget in tokens is the more exact of the two");
            }
            report.carry(BUDGET);
            Some(budget)
        }
        (Some(effort), None) => {
            let budget = budget_for(effort);
            match budget {
                Some(budget) => report.change(
                    EFFORT,
                    format!("sent as a thinking budget of {budget} tokens"),
                ),
                None => report.change(EFFORT, "sent as thinking without a bound"),
            }
            budget
        }
        (None, None) => None,
    };
    Some(wire::Thinking::Enabled { token_budget })
}

/// What the catalog says; else what the name says, where it is one that is known not to reason.
pub(super) fn reasons(target: &Target<'_>) -> bool {
    match target.capabilities.reasoning {
        Some(control) => control != ReasoningControl::None,
        None => !["command-r", "command-light", "command-a-03-2025", "c4ai-"]
            .iter()
            .any(|family| target.model.starts_with(family)),
    }
}

fn budget_for(effort: Effort) -> Option<u64> {
    match effort {
        Effort::None | Effort::Minimal => Some(1_024),
        Effort::Low => Some(2_048),
        Effort::Medium => Some(8_192),
        Effort::High | Effort::ExtraHigh | Effort::Max => None,
    }
}

/// Passes what is in Cohere's own words, and says what is lost of the rest.
fn native<'a>(
    request: &'a ChatRequest,
    report: &mut Conversion,
) -> BTreeMap<&'a str, &'a RawValue> {
    let mut native = BTreeMap::new();
    for (name, value) in &request.extensions {
        if value.get() == "null" {
            continue;
        }
        // What only this format knows goes back into it; inside of objects it has no place any more.
        let is_own = request.format == FORMAT && !name.contains(['.', '[']);
        if is_own || NATIVE.contains(&name.as_str()) {
            report.carry(name.clone());
            native.insert(name.as_str(), &**value);
        } else if name == "store" && value.get() == "false" {
            report.carry("store");
        } else {
            report.drop(name.clone(), "the provider has no such parameter");
        }
    }
    native
}

fn report_rest(request: &ChatRequest, report: &mut Conversion) {
    if request.user.is_some() {
        report.drop("user", "the provider does not ask who is speaking");
    }
    match request.service_tier {
        None => {}
        Some(ServiceTier::Standard) => report.carry("service_tier"),
        Some(tier) => report.drop("service_tier", format!("the provider has no tier {tier}")),
    }
    if request.stream {
        report.carry("stream");
    }
    if request.stream_usage {
        report.carry("stream_options");
    }
}
