//! Writes tools and the choice among them.

use domain::chat::{ChatRequest, Conversion, Tool, ToolChoice};
use serde::Serialize;
use serde_json::value::RawValue;

use super::encode_message::{Ephemeral, NO_BREAKPOINTS, ephemeral};
use super::parse::FORMAT;
use super::strictness;
use super::wire::{Extra, Leftovers};
use crate::hosts::{ForcedCalls, Quirks};

/// A tool.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WireTool<'a> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        function: WireFunction<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Ephemeral>,
        #[serde(flatten)]
        extra: Extra<'a>,
    },
    Hosted(&'a RawValue),
}

#[derive(Serialize)]
pub(super) struct WireFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// The choice among them.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WireChoice<'a> {
    Word(&'static str),
    Named {
        #[serde(rename = "type")]
        kind: &'static str,
        function: Named<'a>,
    },
    Allowed {
        #[serde(rename = "type")]
        kind: &'static str,
        allowed_tools: Allowed<'a>,
    },
}

#[derive(Serialize)]
pub(super) struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
pub(super) struct Allowed<'a> {
    mode: &'static str,
    tools: Vec<AllowedTool<'a>>,
}

#[derive(Serialize)]
pub(super) struct AllowedTool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Named<'a>,
}

/// Writes every tool that the format knows.
pub(super) fn tools<'a>(
    request: &'a ChatRequest,
    quirks: &Quirks,
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
                if cache.is_some() && !quirks.additions {
                    report.drop(format!("{path}.cache_control"), NO_BREAKPOINTS);
                }
                let parameters = parameters.as_deref();
                let strict =
                    strictness::of_tool(*strict, parameters, request.format, &path, report);
                tools.push(WireTool::Function {
                    kind: "function",
                    function: WireFunction {
                        name,
                        description: description.as_deref(),
                        parameters,
                        strict,
                        extra: leftovers.at(&format!("{path}.function")),
                    },
                    cache_control: cache.filter(|_| quirks.additions).map(ephemeral),
                    extra: leftovers.at(&path),
                });
            }
            Tool::Hosted { format, raw, .. } if *format == FORMAT => {
                tools.push(WireTool::Hosted(raw));
            }
            Tool::Hosted { format, kind, .. } => {
                report.drop(path, format!("only {format} runs the tool `{kind}`"));
            }
        }
    }
    tools
}

/// Writes the choice, or what of it the host knows.
pub(super) fn tool_choice<'a>(
    choice: &'a ToolChoice,
    quirks: &Quirks,
    report: &mut Conversion,
) -> WireChoice<'a> {
    match (choice, quirks.forced_calls) {
        (ToolChoice::Auto, _) => WireChoice::Word("auto"),
        (ToolChoice::None, _) => WireChoice::Word("none"),
        (ToolChoice::Required, ForcedCalls::Word(word)) => WireChoice::Word(word),
        (ToolChoice::Required, ForcedCalls::ByName | ForcedCalls::Never)
        | (ToolChoice::Named(_), ForcedCalls::Never) => {
            let reason = "the host cannot be made to call a tool; the model decides";
            report.drop("tool_choice", reason);
            WireChoice::Word("auto")
        }
        (ToolChoice::Named(name), _) => WireChoice::Named {
            kind: "function",
            function: Named { name },
        },
        (ToolChoice::Allowed { names, required }, _) => WireChoice::Allowed {
            kind: "allowed_tools",
            allowed_tools: Allowed {
                mode: if *required { "required" } else { "auto" },
                tools: names
                    .iter()
                    .map(|name| AllowedTool {
                        kind: "function",
                        function: Named { name },
                    })
                    .collect(),
            },
        },
    }
}
