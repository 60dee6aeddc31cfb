//! Writes tools and the choice among them.

use domain::chat::{ChatRequest, Conversion, Tool, ToolChoice};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::strictness;
use super::super::wire::{Extra, Leftovers};
use super::words::FORMAT;
use super::{encode_items, parse_tools};

/// A tool.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WireTool<'a> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        parameters: Option<&'a RawValue>,
        strict: bool,
        #[serde(flatten)]
        extra: Extra<'a>,
    },
    Custom {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(flatten)]
        extra: Extra<'a>,
    },
    Hosted(&'a RawValue),
    Search(Value),
}

/// Writes every tool that the format knows.
pub(super) fn tools<'a>(
    request: &'a ChatRequest,
    leftovers: &mut Leftovers<'a>,
    report: &mut Conversion,
) -> Vec<WireTool<'a>> {
    let mut tools = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let path = format!("tools[{index}]");
        match tool {
            Tool::Function {
                name,
                description,
                parameters,
                strict,
                cache,
            } => {
                if cache.is_some() {
                    report.drop(
                        format!("{path}.cache_control"),
                        encode_items::NO_BREAKPOINTS,
                    );
                }
                let (description, extra) = (description.as_deref(), leftovers.at(&path));
                let parameters = parameters.as_deref();
                let strict =
                    strictness::of_tool(*strict, parameters, request.format, &path, report);
                tools.push(if parse_tools::is_custom(parameters) {
                    WireTool::Custom {
                        kind: "custom",
                        name,
                        description,
                        extra,
                    }
                } else {
                    WireTool::Function {
                        kind: "function",
                        name,
                        description,
                        parameters,
                        // Left out, it would be true, which others do not mean by leaving it out.
                        strict: strict.unwrap_or(false),
                        extra,
                    }
                });
            }
            Tool::Hosted { format, raw, .. } if *format == FORMAT => {
                tools.push(WireTool::Hosted(raw));
            }
            Tool::Hosted { kind, .. } if kind.starts_with("web_search") => {
                report.change(path, "sent as the provider's own web search");
                tools.push(WireTool::Search(json!({"type": "web_search"})));
            }
            Tool::Hosted { format, kind, .. } => {
                report.drop(path, format!("only {format} runs the tool `{kind}`"));
            }
        }
    }
    if let Some(options) = request.extensions.get("web_search_options") {
        report.change(
            "web_search_options",
            "sent as the provider's own web search, which the model uses when it sees fit",
        );
        tools.push(WireTool::Search(search(options)));
    }
    tools
}

/// Chat completions nest the place of the person one level deeper.
fn search(options: &RawValue) -> Value {
    let options: Value = serde_json::from_str(options.get()).unwrap_or_default();
    let mut tool = json!({"type": "web_search"});
    if let Some(size) = options.get("search_context_size") {
        tool["search_context_size"] = size.clone();
    }
    if let Some(Value::Object(place)) = options.get("user_location") {
        let mut place = place.clone();
        if let Some(Value::Object(inner)) = place.remove("approximate") {
            place.extend(inner);
        }
        tool["user_location"] = place.into();
    }
    tool
}

/// Writes the choice.
pub(super) fn tool_choice(choice: &ToolChoice, request: &ChatRequest) -> Value {
    let named = |name: &str| {
        let kind = if encode_items::is_custom(request, name) {
            "custom"
        } else {
            "function"
        };
        json!({"type": kind, "name": name})
    };
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => named(name),
        ToolChoice::Allowed { names, required } => json!({
            "type": "allowed_tools",
            "mode": if *required { "required" } else { "auto" },
            "tools": names.iter().map(|name| named(name)).collect::<Vec<_>>(),
        }),
    }
}
