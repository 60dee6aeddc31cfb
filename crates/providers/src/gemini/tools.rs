//! Tools and the choice among them (<https://ai.google.dev/gemini-api/docs/function-calling>).

use std::collections::BTreeSet;

use domain::chat::{ChatRequest, Conversion, Tool, ToolChoice};
use serde_json::{Value, json};

use super::model::{Generation, Model};
use super::schema;
use super::wire::request::{
    FunctionCallingConfig, FunctionDeclaration, Functions, Tool as WireTool, ToolConfig,
};
use crate::dialect::Refusal;
use crate::tool_names::ToolNames;

/// The tools as Google is told them.
#[derive(Default)]
pub(super) struct Encoded<'a> {
    pub(super) tools: Vec<WireTool<'a>>,
    pub(super) config: ToolConfig<'a>,
}

/// Translates the tools and the choice.
pub(super) fn encode<'a>(
    request: &'a ChatRequest,
    model: Model,
    names: &'a ToolNames,
    report: &mut Conversion,
) -> Result<Encoded<'a>, Refusal> {
    let mut functions = Vec::new();
    let mut hosted = Vec::new();
    let mut is_strict = false;
    for (index, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function { strict, cache, .. } => {
                functions.push(declaration(tool, index, model, names, report)?);
                is_strict |= *strict == Some(true);
                if cache.is_some() {
                    let field = format!("tools[{index}].cache_control");
                    report.drop(field, super::contents::NO_BREAKPOINTS);
                }
            }
            Tool::Hosted { format, raw, .. } if *format == super::FORMAT => {
                let tool = serde_json::from_str(raw.get()).unwrap_or_default();
                hosted.push((format!("tools[{index}]"), tool));
            }
            Tool::Hosted { kind, .. } => match own_tool(kind) {
                Some(own) => {
                    let field = format!("tools[{index}]");
                    let reason = format!("sent as Google's {own}, which takes no such options");
                    report.change(field.clone(), reason);
                    hosted.push((field, json!({ own: {} })));
                }
                None => report.drop(
                    format!("tools[{index}]"),
                    format!("Gemini runs no tool of type {kind:?}"),
                ),
            },
        }
    }
    if request
        .extensions
        .get("web_search_options")
        .is_some_and(|raw| raw.get() != "null")
    {
        hosted.push((
            "web_search_options".to_owned(),
            json!({ "googleSearch": {} }),
        ));
    }
    if model.generation < Generation::Levels && !functions.is_empty() {
        for (field, _) in hosted.drain(..) {
            report.drop(
                field,
                "this model does not run Google's tools beside the caller's functions",
            );
        }
    }
    for (field, _) in &hosted {
        if field == "web_search_options" {
            report.change(
                "web_search_options",
                "sent as Google Search, which takes no options",
            );
        }
    }
    let is_mixed = !functions.is_empty() && !hosted.is_empty();
    let config = ToolConfig {
        function_calling_config: choice(
            request,
            &functions,
            model,
            names,
            is_strict || is_mixed || must_validate(request),
            report,
        ),
        include_server_side_tool_invocations: is_mixed.then_some(true),
        ..ToolConfig::default()
    };
    note_strictness(request, config.function_calling_config.as_ref(), report);
    let mut tools = Vec::new();
    if !functions.is_empty() {
        tools.push(WireTool::Functions(Functions {
            function_declarations: functions,
        }));
    }
    tools.extend(hosted.into_iter().map(|(_, tool)| WireTool::Hosted(tool)));
    if !request.tools.is_empty() && !tools.is_empty() {
        report.carry("tools");
    }
    Ok(Encoded { tools, config })
}

fn declaration<'a>(
    tool: &'a Tool,
    index: usize,
    model: Model,
    names: &'a ToolNames,
    report: &mut Conversion,
) -> Result<FunctionDeclaration<'a>, Refusal> {
    let Tool::Function {
        name,
        description,
        parameters,
        ..
    } = tool
    else {
        return Err(Refusal::of(
            format!("tools[{index}]"),
            "it is not a function",
        ));
    };
    let mut declaration = FunctionDeclaration {
        name: names.target(name),
        description: description.as_deref(),
        parameters_json_schema: None,
        parameters: None,
    };
    if model.generation > Generation::Early {
        declaration.parameters_json_schema = parameters.as_deref();
    } else if let Some(parameters) = parameters {
        let field = format!("tools[{index}].function.parameters");
        declaration.parameters = simplified(parameters.get(), &field, report)?;
    }
    Ok(declaration)
}

/// A schema for a model that takes only the subset of `OpenAPI`, with what it lost in the report.
pub(super) fn simplified(
    schema: &str,
    field: &str,
    report: &mut Conversion,
) -> Result<Option<Value>, Refusal> {
    let translated = schema::to_openapi(schema, field)?;
    let listed = |keywords: &BTreeSet<String>| {
        let keywords: Vec<&str> = keywords.iter().map(String::as_str).collect();
        keywords.join(", ")
    };
    if !translated.constraints.is_empty() {
        let reason = format!(
            "this model's schemas have no {}",
            listed(&translated.constraints)
        );
        report.drop(field.to_owned(), reason);
    }
    if !translated.annotations.is_empty() {
        let reason = format!("sent without {}", listed(&translated.annotations));
        report.change(field.to_owned(), reason);
    }
    Ok(translated.schema)
}

/// Google's own tool for one of another vendor, whose names may end in a date.
fn own_tool(kind: &str) -> Option<&'static str> {
    let name = kind.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
    match name {
        "google_search" | "googleSearch" | "web_search" | "web_search_preview" => {
            Some("googleSearch")
        }
        "code_execution" | "codeExecution" | "code_interpreter" => Some("codeExecution"),
        "url_context" | "urlContext" | "web_fetch" => Some("urlContext"),
        _ => None,
    }
}

/// Whether a caller of this format asks for `VALIDATED` by its name.
fn must_validate(request: &ChatRequest) -> bool {
    let mode = "toolConfig.functionCallingConfig.mode";
    request.format == super::FORMAT && request.extensions.contains_key(mode)
}

/// `must_validate` asks for `VALIDATED` where `AUTO` would do: it is the automatic mode in which the
/// model's calls follow their schemas, and the only one beside Google's own tools.
fn choice(
    request: &ChatRequest,
    functions: &[FunctionDeclaration<'_>],
    model: Model,
    names: &ToolNames,
    must_validate: bool,
    report: &mut Conversion,
) -> Option<FunctionCallingConfig> {
    if functions.is_empty() {
        if request.tool_choice.is_some() {
            report.drop("tool_choice", "there are no functions to choose from");
        }
        return None;
    }
    let can_validate = model.generation > Generation::Early;
    let automatic = if must_validate && can_validate {
        "VALIDATED"
    } else {
        "AUTO"
    };
    let (mode, allowed): (&str, &[String]) = match &request.tool_choice {
        None if automatic == "AUTO" => return None,
        None => {
            return Some(FunctionCallingConfig {
                mode: automatic,
                allowed_function_names: Vec::new(),
            });
        }
        Some(ToolChoice::Auto) => (automatic, &[]),
        Some(ToolChoice::None) => ("NONE", &[]),
        Some(ToolChoice::Required) => ("ANY", &[]),
        Some(ToolChoice::Named(name)) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Allowed {
            names,
            required: true,
        }) => ("ANY", names),
        Some(ToolChoice::Allowed { names, .. }) if can_validate => ("VALIDATED", names),
        Some(ToolChoice::Allowed { .. }) => {
            report.drop(
                "tool_choice",
                "this model can only be limited to tools that it must call",
            );
            return None;
        }
    };
    report.carry("tool_choice");
    Some(FunctionCallingConfig {
        mode,
        allowed_function_names: allowed
            .iter()
            .map(|name| names.target(name).to_owned())
            .collect(),
    })
}

/// Calls follow their schemas for sure in every mode but `AUTO`.
fn note_strictness(
    request: &ChatRequest,
    config: Option<&FunctionCallingConfig>,
    report: &mut Conversion,
) {
    let is_followed = config.is_some_and(|config| config.mode != "AUTO");
    for (index, tool) in request.tools.iter().enumerate() {
        if let Tool::Function {
            strict: Some(true), ..
        } = tool
        {
            let field = format!("tools[{index}].function.strict");
            if is_followed {
                report.change(
                    field,
                    "sent for all functions at once, as the mode of calling",
                );
            } else {
                report.drop(field, "this model cannot be held to a function's schema");
            }
        }
    }
}
