//! The rules of functions, of the choice between them, and of Google's schema dialect.
//! See <https://ai.google.dev/gemini-api/docs/function-calling>.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::check::{bad, field, plain, snake_path, text_of};
use super::model::Class;
use super::shape::listed;
use crate::node::Node;
use crate::prompt::{Choice, Tool};
use crate::tokens;
use crate::vendor::Failure;

/// What a request says about functions.
pub(super) struct Tools {
    pub(super) list: Vec<Tool>,
    pub(super) choice: Choice,
    pub(super) tokens: u64,
}

pub(super) fn read(root: &Node<'_, '_>, class: Class) -> Result<Tools, Failure> {
    let mut tools = Tools {
        list: Vec::new(),
        choice: Choice::Auto(Vec::new()),
        tokens: 0,
    };
    let mut names = HashSet::new();
    let mut has_search = false;
    if let Some(given) = field(root, "tools") {
        for tool in listed(&given) {
            has_search = has_search
                || ["google_search", "google_search_retrieval"]
                    .iter()
                    .any(|name| field(&tool, name).is_some());
            let Some(declarations) = field(&tool, "function_declarations") else {
                continue;
            };
            for declaration in listed(&declarations) {
                tools.tokens += tokens::of_text(&declaration.value.to_string());
                let declared = declared(&declaration)?;
                if !names.insert(declared.name.clone()) {
                    return Err(plain(format!(
                        "Duplicate function declaration found: {}",
                        declared.name
                    )));
                }
                tools.list.push(declared);
            }
        }
    }
    if has_search && !tools.list.is_empty() && !class.joins_search_and_functions() {
        return Err(plain(
            "Tool use with function calling is unsupported by the model.",
        ));
    }
    calling_config(root, &mut tools)?;
    Ok(tools)
}

fn declared(declaration: &Node<'_, '_>) -> Result<Tool, Failure> {
    let name = text_of(declaration, "name");
    if !is_function_name(name) {
        let problem = "[FIELD_INVALID] Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), \
            underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64.";
        return Err(plain(format!(
            "* GenerateContentRequest.{}.name: {problem}\n",
            snake_path(declaration)
        )));
    }
    let name = name.to_owned();
    match (
        field(declaration, "parameters"),
        field(declaration, "parameters_json_schema"),
    ) {
        (Some(_), Some(second)) => Err(bad(
            &second,
            "only one of parameters and parameters_json_schema may be set.",
        )),
        (Some(schema), None) => {
            if !text_of(&schema, "type").eq_ignore_ascii_case("object") {
                return Err(plain(format!(
                    "`{name}` functionDeclaration `parameters.type` schema should be of type OBJECT."
                )));
            }
            openapi(&schema)?;
            Ok(Tool {
                name,
                schema: schema.value.clone(),
            })
        }
        (None, Some(schema)) if schema.value.is_object() => Ok(Tool {
            name,
            schema: schema.value.clone(),
        }),
        (None, Some(schema)) => Err(bad(&schema, "must be a JSON Schema object.")),
        (None, None) => Ok(Tool {
            name,
            schema: json!({"type": "object", "properties": {}}),
        }),
    }
}

fn is_function_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(is_part)
}

fn calling_config(root: &Node<'_, '_>, tools: &mut Tools) -> Result<(), Failure> {
    let Some(config) = field(root, "tool_config") else {
        return Ok(());
    };
    let Some(config) = field(&config, "function_calling_config") else {
        return Ok(());
    };
    let mode = text_of(&config, "mode").to_ascii_uppercase();
    let allowed: Vec<String> = field(&config, "allowed_function_names")
        .map(|names| {
            listed(&names)
                .iter()
                .filter_map(|name| name.text().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default();
    if !allowed.is_empty() && !matches!(mode.as_str(), "ANY" | "VALIDATED") {
        return Err(plain(
            "Allowed function names should be set only when function calling mode is ANY or VALIDATED.",
        ));
    }
    if matches!(mode.as_str(), "ANY" | "VALIDATED") && tools.list.is_empty() {
        return Err(plain(
            "Function calling config is set without function_declarations.",
        ));
    }
    if let Some(unknown) = allowed
        .iter()
        .find(|name| !tools.list.iter().any(|tool| tool.name == **name))
    {
        return Err(plain(format!(
            "* GenerateContentRequest.tool_config.function_calling_config.allowed_function_names: function {unknown} is not declared in tools.\n"
        )));
    }
    tools.choice = match mode.as_str() {
        "NONE" => Choice::None,
        "ANY" => Choice::Required(allowed),
        _ => Choice::Auto(allowed),
    };
    Ok(())
}

/// The rules of meaning in Google's schema dialect; its shape was checked before.
pub(super) fn openapi(schema: &Node<'_, '_>) -> Result<(), Failure> {
    let kind = text_of(schema, "type").to_ascii_uppercase();
    let properties = field(schema, "properties");
    let refuse = |below: &str, problem: &str| {
        Err(plain(format!(
            "* GenerateContentRequest.{}{below}: {problem}\n",
            snake_path(schema)
        )))
    };
    if kind == "OBJECT"
        && properties.is_some_and(|properties| properties.members().next().is_none())
    {
        return refuse(".properties", "should be non-empty for OBJECT type");
    }
    if properties.is_some() && kind != "OBJECT" {
        return refuse(".properties", "only allowed for OBJECT type");
    }
    if kind == "ARRAY" && field(schema, "items").is_none() {
        return refuse(".items", "missing field.");
    }
    if kind != "ARRAY" && field(schema, "items").is_some() {
        return refuse(".items", "field predicate failed: $type == Type.ARRAY");
    }
    if let Some(values) = field(schema, "enum") {
        if kind != "STRING" {
            return refuse(".enum", "only allowed for STRING type");
        }
        if let Some(place) = listed(&values)
            .iter()
            .position(|value| value.text() == Some(""))
        {
            return refuse(&format!(".enum[{place}]"), "cannot be empty");
        }
    }
    if kind.is_empty() && field(schema, "any_of").is_none() {
        return refuse(".type", "must be specified");
    }
    if let Some(format) = field(schema, "format") {
        let format = format.text().unwrap_or_default();
        let allowed: &[&str] = match kind.as_str() {
            "STRING" => &["enum", "date-time"],
            "NUMBER" => &["float", "double"],
            "INTEGER" => &["int32", "int64"],
            _ => {
                return refuse(
                    ".format",
                    "only allowed for STRING, NUMBER and INTEGER types",
                );
            }
        };
        if !allowed.contains(&format) {
            let listed: Vec<String> = allowed.iter().map(|format| format!("'{format}'")).collect();
            return refuse(
                ".format",
                &format!(
                    "only {} are supported for {kind} type",
                    listed.join(" and ")
                ),
            );
        }
    }
    if let Some(required) = field(schema, "required") {
        for (place, name) in listed(&required).iter().enumerate() {
            let name = name.text().unwrap_or_default();
            if properties.is_none_or(|properties| properties.get(name).is_none()) {
                return refuse(&format!(".required[{place}]"), "property is not defined");
            }
        }
    }
    if let Some(properties) = properties {
        for (_, property) in properties.members() {
            openapi(&property)?;
        }
    }
    if let Some(items) = field(schema, "items") {
        openapi(&items)?;
    }
    if let Some(branches) = field(schema, "any_of") {
        for branch in listed(&branches) {
            openapi(&branch)?;
        }
    }
    Ok(())
}

/// The schema an answer is held to, in either dialect.
pub(super) fn response_schema(config: &Node<'_, '_>) -> Result<Option<Value>, Failure> {
    match (
        field(config, "response_schema"),
        field(config, "response_json_schema"),
    ) {
        (Some(_), Some(second)) => Err(bad(
            &second,
            "only one of response_schema and response_json_schema may be set.",
        )),
        (Some(schema), None) => {
            openapi(&schema)?;
            Ok(Some(schema.value.clone()))
        }
        (None, Some(schema)) if schema.value.is_object() => Ok(Some(schema.value.clone())),
        (None, Some(schema)) => Err(bad(&schema, "must be a JSON Schema object.")),
        (None, None) => Ok(None),
    }
}
