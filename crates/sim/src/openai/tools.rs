//! The rules of tools, of the choice between them, and of strict schemas.
//! See <https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::check::{boolean, name, object, one_of, plain, required, short_text, sized, text};
use crate::node::Node;
use crate::prompt::{Choice, Tool};
use crate::tokens;
use crate::vendor::Failure;

/// What a request says about tools.
pub(super) struct Tools {
    pub(super) list: Vec<Tool>,
    pub(super) choice: Choice,
    pub(super) parallel: bool,
    pub(super) tokens: u64,
}

pub(super) fn read(root: &Node<'_, '_>) -> Result<Tools, Failure> {
    let mut tools = Tools {
        list: Vec::new(),
        choice: Choice::None,
        parallel: true,
        tokens: 0,
    };
    if let Some(list) = root.present("tools") {
        sized(&list, 1, 128)?;
        tools.choice = Choice::Auto(Vec::new());
        for tool in list.items() {
            tools.tokens += tokens::of_text(&tool.value.to_string());
            tools.list.push(one(&tool)?);
        }
    }
    if let Some(choice) = root.present("tool_choice") {
        tools.choice = tool_choice(&choice, &tools.list)?;
    }
    if let Some(parallel) = root.present("parallel_tool_calls") {
        if tools.list.is_empty() {
            return Err(
                plain("'parallel_tool_calls' is only allowed when 'tools' are specified.")
                    .at("parallel_tool_calls"),
            );
        }
        tools.parallel = boolean(&parallel)?;
    }
    Ok(tools)
}

fn one(tool: &Node<'_, '_>) -> Result<Tool, Failure> {
    object(tool, &["type", "function", "custom"])?;
    if one_of(&required(tool, "type")?, &["function", "custom"])? == "custom" {
        let custom = required(tool, "custom")?;
        object(&custom, &["name", "description", "format"])?;
        let name = name(&required(&custom, "name")?)?.to_owned();
        return Ok(Tool {
            name,
            schema: json!({"type": "object"}),
        });
    }
    let function = required(tool, "function")?;
    object(&function, &["name", "description", "parameters", "strict"])?;
    described_function(&function)
}

/// A function's name and the schema of its arguments.
pub(super) fn described_function(function: &Node<'_, '_>) -> Result<Tool, Failure> {
    let name = name(&required(function, "name")?)?.to_owned();
    if let Some(description) = function.present("description") {
        short_text(&description, 1024 * 1024)?;
    }
    let strict = function
        .present("strict")
        .map(|strict| boolean(&strict))
        .transpose()?
        .unwrap_or(false);
    let Some(parameters) = function.present("parameters") else {
        return Ok(Tool {
            name,
            schema: json!({"type": "object", "properties": {}}),
        });
    };
    let what = format!("function '{name}'");
    let refuse = |problem: String| {
        plain(format!("Invalid schema for {what}: {problem}"))
            .at(parameters.bracketed())
            .code("invalid_function_parameters")
    };
    if !parameters.value.is_object() {
        return Err(refuse(format!(
            "{} is not of type 'object', 'boolean'.",
            parameters.value
        )));
    }
    let kind = parameters.value.get("type").cloned().unwrap_or(Value::Null);
    if parameters
        .value
        .as_object()
        .is_some_and(|schema| !schema.is_empty())
        && kind != "object"
    {
        return Err(refuse(format!(
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{}\"'.",
            kind.as_str().unwrap_or("None")
        )));
    }
    well_formed(parameters.value, &mut Vec::new()).map_err(refuse)?;
    if strict {
        strict_schema(parameters.value).map_err(refuse)?;
    }
    Ok(Tool {
        name,
        schema: parameters.value.clone(),
    })
}

fn tool_choice(choice: &Node<'_, '_>, tools: &[Tool]) -> Result<Choice, Failure> {
    if tools.is_empty() {
        return Err(
            plain("'tool_choice' is only allowed when 'tools' are specified.").at("tool_choice"),
        );
    }
    if choice.value.is_string() {
        return Ok(match one_of(choice, &["none", "auto", "required"])? {
            "none" => Choice::None,
            "auto" => Choice::Auto(Vec::new()),
            _ => Choice::Required(Vec::new()),
        });
    }
    object(choice, &["type", "function", "custom", "allowed_tools"])?;
    match one_of(
        &required(choice, "type")?,
        &["allowed_tools", "function", "custom"],
    )? {
        "allowed_tools" => {
            let allowed = required(choice, "allowed_tools")?;
            object(&allowed, &["mode", "tools"])?;
            let mode = one_of(&required(&allowed, "mode")?, &["auto", "required"])?;
            let list = required(&allowed, "tools")?;
            sized(&list, 1, 128)?;
            let mut names = Vec::new();
            for tool in list.items() {
                let kind = one_of(&required(&tool, "type")?, &["function", "custom"])?;
                names.push(chosen(&required(&tool, kind)?, tools)?);
            }
            Ok(if mode == "auto" {
                Choice::Auto(names)
            } else {
                Choice::Required(names)
            })
        }
        kind => Ok(Choice::Required(vec![chosen(
            &required(choice, kind)?,
            tools,
        )?])),
    }
}

fn chosen(function: &Node<'_, '_>, tools: &[Tool]) -> Result<String, Failure> {
    let wanted = required(function, "name")?;
    let wanted = text(&wanted)?;
    if tools.iter().any(|tool| tool.name == wanted) {
        Ok(wanted.to_owned())
    } else {
        Err(plain(format!(
            "Tool choice 'function:{wanted}' not found in 'tools' parameter."
        ))
        .at("tool_choice"))
    }
}

/// The schema of a structured answer, which stands beside its name in `wrapper`.
pub(super) fn named_schema(
    wrapper: &Node<'_, '_>,
    what: &str,
    param: &str,
) -> Result<Value, Failure> {
    let name = name(&required(wrapper, "name")?)?;
    let strict = wrapper
        .present("strict")
        .map(|strict| boolean(&strict))
        .transpose()?
        .unwrap_or(false);
    let Some(schema) = wrapper.present("schema") else {
        return Ok(json!({"type": "object"}));
    };
    let refuse =
        |problem: String| plain(format!("Invalid schema for {what} '{name}': {problem}")).at(param);
    if !schema.value.is_object() {
        return Err(refuse(format!(
            "{} is not of type 'object', 'boolean'.",
            schema.value
        )));
    }
    well_formed(schema.value, &mut Vec::new()).map_err(refuse)?;
    if strict {
        if schema.value.get("type").and_then(Value::as_str) != Some("object") {
            let got = schema
                .value
                .get("type")
                .and_then(Value::as_str)
                .unwrap_or("None");
            return Err(refuse(format!(
                "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{got}\"'."
            )));
        }
        strict_schema(schema.value).map_err(refuse)?;
    }
    Ok(schema.value.clone())
}

const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// What any schema must fulfil: known types, and arrays that say what they hold.
fn well_formed(schema: &Value, context: &mut Vec<String>) -> Result<(), String> {
    let Some(object) = schema.as_object() else {
        return Ok(());
    };
    let types: Vec<&str> = match object.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(other) => {
            return Err(format!(
                "{other} is not valid under any of the given schemas."
            ));
        }
        None => Vec::new(),
    };
    if let Some(unknown) = types.iter().find(|name| !TYPES.contains(name)) {
        return Err(format!(
            "'{unknown}' is not valid under any of the given schemas."
        ));
    }
    if types.contains(&"array")
        && !["items", "prefixItems", "contains"]
            .iter()
            .any(|key| object.contains_key(*key))
    {
        return Err(format!(
            "In context={}, array schema missing items.",
            written(context)
        ));
    }
    walk(schema, context, &mut well_formed)
}

/// What a strict schema must fulfil beyond that.
fn strict_schema(schema: &Value) -> Result<(), String> {
    strict_part(schema, &mut Vec::new())
}

const NOT_IN_STRICT: [&str; 9] = [
    "allOf",
    "not",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
    "patternProperties",
    "unevaluatedProperties",
];

fn strict_part(schema: &Value, context: &mut Vec<String>) -> Result<(), String> {
    let Some(object) = schema.as_object() else {
        return Ok(());
    };
    if let Some(keyword) = NOT_IN_STRICT
        .iter()
        .find(|keyword| object.contains_key(**keyword))
    {
        return Err(format!(
            "In context={}, '{keyword}' is not permitted.",
            written(context)
        ));
    }
    if object.get("type").is_some_and(|kind| {
        kind == "object"
            || kind
                .as_array()
                .is_some_and(|kinds| kinds.contains(&json!("object")))
    }) {
        if object.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err(format!(
                "In context={}, 'additionalProperties' is required to be supplied and to be false.",
                written(context)
            ));
        }
        let required: HashSet<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = object.get("properties").and_then(Value::as_object);
        if let Some(left_out) = properties
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
            .find(|key| !required.contains(key.as_str()))
        {
            return Err(format!(
                "In context={}, 'required' is required to be supplied and to be an array including every key in properties. Missing '{left_out}'.",
                written(context)
            ));
        }
        if let Some(extra) = required
            .iter()
            .find(|key| !properties.is_some_and(|properties| properties.contains_key(**key)))
        {
            return Err(format!(
                "In context={}, 'required' is required to be supplied and to be an array including every key in properties. Extra required key '{extra}' supplied.",
                written(context)
            ));
        }
    }
    walk(schema, context, &mut strict_part)
}

/// Applies a check to every schema inside this one.
fn walk(
    schema: &Value,
    context: &mut Vec<String>,
    check: &mut impl FnMut(&Value, &mut Vec<String>) -> Result<(), String>,
) -> Result<(), String> {
    let mut into = |steps: &[&str], part: &Value, context: &mut Vec<String>| {
        let depth = context.len();
        context.extend(steps.iter().map(|step| (*step).to_owned()));
        let checked = check(part, context);
        context.truncate(depth);
        checked
    };
    for key in ["properties", "$defs", "definitions"] {
        for (name, part) in schema
            .get(key)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            into(&[key, name], part, context)?;
        }
    }
    if let Some(items) = schema.get("items") {
        into(&["items"], items, context)?;
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        for (index, part) in schema
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            into(&[key, &index.to_string()], part, context)?;
        }
    }
    Ok(())
}

/// A context as OpenAI writes it: a Python tuple.
fn written(context: &[String]) -> String {
    let quoted: Vec<String> = context.iter().map(|step| format!("'{step}'")).collect();
    match quoted.as_slice() {
        [one] => format!("({one},)"),
        _ => format!("({})", quoted.join(", ")),
    }
}
