//! Tools and the choice among them. <https://docs.cohere.com/docs/tool-use-overview>

use std::borrow::Cow;

use domain::chat::{ChatRequest, Conversion, Tool, ToolChoice};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::wire;
use crate::tool_names::ToolNames;

/// The functions that may be called. Cohere cannot be told which one to call, but it calls no other than
/// it is shown.
pub(super) fn functions<'a>(
    request: &'a ChatRequest,
    names: &'a ToolNames,
    report: &mut Conversion,
) -> Vec<wire::Tool<'a>> {
    let only: Option<&[String]> = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        Some(ToolChoice::Named(name)) => Some(std::slice::from_ref(name)),
        _ => None,
    };
    let mut tools = Vec::new();
    for (index, tool) in request.tools.iter().enumerate() {
        let path = format!("tools[{index}]");
        match tool {
            Tool::Function { name, .. } if only.is_some_and(|only| !only.contains(name)) => {
                report.change(path, "left out, because `tool_choice` does not allow it");
            }
            Tool::Function {
                name,
                description,
                parameters,
                cache,
                ..
            } => {
                if cache.is_some() {
                    report.drop(
                        format!("{path}.cache_control"),
                        "Cohere caches what repeats by itself and takes no breakpoints",
                    );
                }
                tools.push(wire::Tool {
                    kind: "function",
                    function: wire::Function {
                        name: names.target(name),
                        description: description.as_deref(),
                        parameters: parameters
                            .as_deref()
                            .map_or_else(|| Cow::Owned(no_parameters()), Cow::Borrowed),
                    },
                });
            }
            Tool::Hosted { kind, .. } => {
                report.drop(path, format!("the target has no tool of type {kind:?}"));
            }
        }
    }
    if !request.tools.is_empty() {
        report.carry("tools");
    }
    tools
}

fn no_parameters() -> Box<RawValue> {
    to_raw_value(&json!({"type": "object", "properties": {}})).unwrap_or_default()
}

/// Whether tools are called, in Cohere's word.
pub(super) fn choice(
    request: &ChatRequest,
    has_tools: bool,
    report: &mut Conversion,
) -> Option<&'static str> {
    const FIELD: &str = "tool_choice";
    match request.parallel_tool_calls {
        Some(false) => report.drop(
            "parallel_tool_calls",
            "the provider cannot be told to call one tool at a time",
        ),
        Some(true) => report.carry("parallel_tool_calls"),
        None => {}
    }
    let choice = request.tool_choice.as_ref()?;
    if !has_tools {
        match choice {
            ToolChoice::None | ToolChoice::Auto => report.carry(FIELD),
            _ => report.drop(FIELD, "there is no tool to choose"),
        }
        return None;
    }
    let word = match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("NONE"),
        ToolChoice::Required => Some("REQUIRED"),
        ToolChoice::Named(_) | ToolChoice::Allowed { .. } => {
            report.change(FIELD, "kept by sending the allowed tools only");
            let optional = matches!(
                choice,
                ToolChoice::Allowed {
                    required: false,
                    ..
                }
            );
            return (!optional).then_some("REQUIRED");
        }
    };
    report.carry(FIELD);
    word
}

/// Cohere enforces the schemas of all tools or of none.
pub(super) fn strictness(request: &ChatRequest, report: &mut Conversion) -> Option<bool> {
    let functions = request
        .tools
        .iter()
        .enumerate()
        .filter_map(|(index, tool)| {
            let Tool::Function { strict, .. } = tool else {
                return None;
            };
            Some((index, *strict == Some(true)))
        });
    let (strict, loose): (Vec<_>, Vec<_>) = functions.partition(|(_, is_strict)| *is_strict);
    if strict.is_empty() {
        return None;
    }
    if loose.is_empty() {
        return Some(true);
    }
    for (index, _) in strict {
        report.drop(
            format!("tools[{index}].function.strict"),
            "the provider enforces the schemas of all tools or of none, and others are not strict",
        );
    }
    None
}
