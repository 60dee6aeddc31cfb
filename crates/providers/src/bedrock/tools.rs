//! Tools and the choice among them.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/tool-use-inference-call.html>

use std::borrow::Cow;

use domain::chat::{ChatRequest, Conversion, Tool, ToolChoice};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::encode::Facts;
use super::model::Family;
use super::wire;
use super::{FORMAT, cache};
use crate::anthropic::tools::{ToolNames, input_schema, is_allowed};

/// The longest name of a tool, in bytes.
const MAX_NAME: usize = 64;

/// Tools in the target's words.
#[derive(Debug, Default)]
pub(super) struct Tools<'a> {
    pub(super) declared: Vec<wire::Tool<'a>>,
    pub(super) choice: Option<wire::ToolChoice>,
    /// Claude's own tool choice in place of Converse's, for what that cannot say.
    pub(super) native_choice: Option<Box<RawValue>>,
    /// Whether some tool must be called.
    pub(super) is_forced: bool,
}

/// Gives the names that need no change first, so that no other takes them.
pub(super) fn reserve_names(request: &ChatRequest, names: &mut ToolNames) {
    for tool in &request.tools {
        if let Tool::Function { name, .. } = tool
            && name.len() <= MAX_NAME
            && name.chars().all(is_allowed)
        {
            names.target(name);
        }
    }
}

/// Translates the tools and the choice among them. `called` names the tools that the conversation speaks
/// of: Converse demands that every one of them is declared.
pub(super) fn translate<'a>(
    request: &'a ChatRequest,
    facts: &Facts<'_>,
    called: Option<Vec<String>>,
    names: &mut ToolNames,
    report: &mut Conversion,
) -> Tools<'a> {
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    let mut tools = Vec::new();
    if request.tool_choice == Some(ToolChoice::None) && called.is_none() {
        if !request.tools.is_empty() {
            report.change(
                "tools",
                "left out, because `tool_choice` forbids them and the target has no such word",
            );
            report.carry("tool_choice");
        }
        return Tools::default();
    }
    for (index, tool) in request.tools.iter().enumerate() {
        let path = format!("tools[{index}]");
        match tool {
            Tool::Function { name, .. }
                if allowed.is_some_and(|allowed| !allowed.contains(name)) =>
            {
                report.change(path, "left out, because `tool_choice` does not allow it");
            }
            Tool::Function { .. } => function(tool, &path, facts, names, report, &mut tools),
            Tool::Hosted { format, raw, .. } if *format == FORMAT => {
                tools.push(wire::Tool::Raw(raw));
            }
            Tool::Hosted { kind, .. }
                if kind.starts_with("web_search") && facts.family.searches_the_web() =>
            {
                report.change(path, "sent as the provider's own web search");
                tools.push(web_search());
            }
            Tool::Hosted { kind, .. } => {
                report.drop(path, format!("the target has no tool of type {kind:?}"));
            }
        }
    }
    if !request.tools.is_empty() {
        report.carry("tools");
    }
    if request.extensions.contains_key("web_search_options") {
        if facts.family.searches_the_web() {
            report.change(
                "web_search_options",
                "sent as the provider's own web search, which has no settings",
            );
            tools.push(web_search());
        } else {
            report.drop("web_search_options", "this model does not search the web");
        }
    }
    if let Some(called) = called {
        declare(called, &mut tools, report);
    }
    let choice = choice(request, facts, names, !tools.is_empty(), report);
    let native_choice = one_at_a_time(request, facts, choice.as_ref(), !tools.is_empty(), report);
    Tools {
        declared: tools,
        is_forced: choice.as_ref().is_some_and(wire::ToolChoice::forces),
        // Two choices that are said at once are refused as contradicting each other.
        choice: choice.filter(|_| native_choice.is_none()),
        native_choice,
    }
}

fn function<'a>(
    tool: &'a Tool,
    path: &str,
    facts: &Facts<'_>,
    names: &mut ToolNames,
    report: &mut Conversion,
    tools: &mut Vec<wire::Tool<'a>>,
) {
    let Tool::Function {
        name,
        description,
        parameters,
        strict,
        cache,
    } = tool
    else {
        return;
    };
    let target = names.target(name);
    if target != *name {
        report.change(
            format!("{path}.function.name"),
            format!("sent as {target:?}; given back as it was"),
        );
    }
    let enforces = facts.takes_schemas;
    let (input_schema, is_strict) =
        input_schema(parameters.as_deref(), *strict, enforces, path, report);
    tools.push(wire::Tool::Function {
        name: target,
        description: description.as_deref().filter(|text| !text.is_empty()),
        input_schema: wire::Json { json: input_schema },
        strict: is_strict,
    });
    if let Some(cache) = cache {
        let path = format!("{path}.cache_control");
        if facts.family.caches_tools() {
            let point = cache::point(*cache, facts.family, path, report);
            tools.extend(point.map(wire::Tool::CachePoint));
        } else {
            report.drop(path, "this model takes no cache breakpoints among tools");
        }
    }
}

/// Amazon's web search for its own models
/// (<https://docs.aws.amazon.com/nova/latest/nova2-userguide/web-grounding.html>).
fn web_search() -> wire::Tool<'static> {
    wire::Tool::Hosted {
        name: "nova_grounding",
    }
}

/// Declares the tools that the conversation speaks of and the request does not, with any arguments.
fn declare(called: Vec<String>, tools: &mut Vec<wire::Tool<'_>>, report: &mut Conversion) {
    let mut is_missing = false;
    for name in called {
        let is_declared = tools.iter().any(|tool| match tool {
            wire::Tool::Function { name: declared, .. } => *declared == name,
            wire::Tool::Hosted { .. } | wire::Tool::CachePoint(_) | wire::Tool::Raw(_) => false,
        });
        if !is_declared {
            is_missing = true;
            tools.push(wire::Tool::Function {
                name,
                description: None,
                input_schema: wire::Json {
                    json: Cow::Owned(to_raw_value(&json!({"type": "object"})).unwrap_or_default()),
                },
                strict: false,
            });
        }
    }
    if is_missing {
        report.change(
            "tools",
            "the provider demands that tools are declared which the conversation speaks of: they were added",
        );
    }
}

fn choice(
    request: &ChatRequest,
    facts: &Facts<'_>,
    names: &mut ToolNames,
    has_tools: bool,
    report: &mut Conversion,
) -> Option<wire::ToolChoice> {
    const FIELD: &str = "tool_choice";
    let choice = request.tool_choice.as_ref()?;
    if !has_tools {
        match choice {
            ToolChoice::None | ToolChoice::Auto => report.carry(FIELD),
            _ => report.drop(FIELD, "there is no tool to choose"),
        }
        return None;
    }
    let forces = matches!(
        choice,
        ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. }
    );
    if forces && !facts.takes_forced_tools {
        report.drop(
            FIELD,
            "this model cannot be made to call a tool; it calls one when it sees fit",
        );
        return Some(wire::ToolChoice::Auto {});
    }
    match choice {
        ToolChoice::Allowed { .. } => {
            report.change(FIELD, "kept by sending the allowed tools only");
        }
        ToolChoice::None => report.drop(
            FIELD,
            "the target cannot be told to call no tool when the conversation speaks of tools",
        ),
        _ => report.carry(FIELD),
    }
    Some(match choice {
        ToolChoice::Auto
        | ToolChoice::None
        | ToolChoice::Allowed {
            required: false, ..
        } => wire::ToolChoice::Auto {},
        ToolChoice::Required | ToolChoice::Allowed { required: true, .. } => {
            wire::ToolChoice::Any {}
        }
        ToolChoice::Named(name) => wire::ToolChoice::Tool {
            name: names.target(name),
        },
    })
}

/// Converse has no word for one call at a time; Claude's own tool choice has, and passes beside it.
fn one_at_a_time(
    request: &ChatRequest,
    facts: &Facts<'_>,
    choice: Option<&wire::ToolChoice>,
    has_tools: bool,
    report: &mut Conversion,
) -> Option<Box<RawValue>> {
    const FIELD: &str = "parallel_tool_calls";
    match request.parallel_tool_calls {
        None => None,
        Some(true) => {
            report.carry(FIELD);
            None
        }
        Some(false) if !has_tools => {
            report.carry(FIELD);
            None
        }
        Some(false) if facts.family != Family::Claude => {
            report.drop(FIELD, "the provider has no such parameter");
            None
        }
        Some(false) => {
            report.carry(FIELD);
            let mut native = match choice {
                None | Some(wire::ToolChoice::Auto {}) => json!({"type": "auto"}),
                Some(wire::ToolChoice::Any {}) => json!({"type": "any"}),
                Some(wire::ToolChoice::Tool { name }) => json!({"type": "tool", "name": name}),
            };
            if let Some(native) = native.as_object_mut() {
                native.insert("disable_parallel_tool_use".to_owned(), true.into());
            }
            to_raw_value(&native).ok()
        }
    }
}
