//! The rules of tools, of the choice between them, and of schemas that output is held to.
//! See <https://docs.claude.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations>.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::check::{bad, boolean, dictionary, list, object, plain, required, tag, text};
use super::content::{Reader, tool_name};
use crate::node::{Node, Step};
use crate::prompt::{Choice, Tool};
use crate::tokens;
use crate::vendor::Failure;

/// What a request says about tools.
pub(super) struct Tools {
    pub(super) list: Vec<Tool>,
    pub(super) choice: Choice,
    pub(super) parallel: bool,
}

const CUSTOM: [&str; 10] = [
    "type",
    "name",
    "description",
    "input_schema",
    "cache_control",
    "strict",
    "input_examples",
    "eager_input_streaming",
    "defer_loading",
    "allowed_callers",
];
/// Tools that the vendor runs or defines; their types end in a date.
const DEFINED: [&str; 9] = [
    "bash_",
    "text_editor_",
    "web_search_",
    "web_fetch_",
    "code_execution_",
    "computer_",
    "memory_",
    "tool_search_tool_",
    "browser_",
];

pub(super) fn read(root: &Node<'_, '_>, reader: &mut Reader) -> Result<Tools, Failure> {
    let mut tools = Tools {
        list: Vec::new(),
        choice: Choice::None,
        parallel: true,
    };
    if let Some(given) = root.get("tools") {
        list(&given)?;
        let mut names = HashSet::new();
        for tool in given.items() {
            let words = tool.value.to_string();
            reader.prefix.block(&words, tokens::of_text(&words));
            if let Some(tool) = one(&tool)? {
                tools.list.push(tool);
            }
            reader.mark(&tool)?;
            if let Some(name) = tool.get("name").and_then(|name| name.text())
                && !names.insert(name)
            {
                return Err(plain("tools: Tool names must be unique."));
            }
        }
        if !tools.list.is_empty() {
            tools.choice = Choice::Auto(Vec::new());
        }
    }
    if let Some(choice) = root.get("tool_choice") {
        tool_choice(&choice, &mut tools, root.get("tools").is_some())?;
    }
    Ok(tools)
}

/// A custom tool; `None` for one that the vendor defines.
fn one(tool: &Node<'_, '_>) -> Result<Option<Tool>, Failure> {
    if !tool.value.is_object() {
        return Err(bad(
            tool,
            "Input should be a valid dictionary or object to extract fields from",
        ));
    }
    if let Some(kind) = tool
        .present("type")
        .and_then(|kind| kind.text())
        .filter(|kind| *kind != "custom")
    {
        if DEFINED.iter().any(|beginning| kind.starts_with(beginning)) {
            return Ok(None);
        }
        return Err(bad(
            tool,
            &format!(
                "Input tag '{kind}' found using 'type' does not match any of the expected tags: 'custom', 'bash_20250124', 'web_search_20250305'"
            ),
        ));
    }
    let place = format!("{}.custom", tool.dotted());
    let in_custom = |failure: Failure| Failure {
        message: failure.message.replacen(&tool.dotted(), &place, 1),
        ..failure
    };
    object(tool, &CUSTOM).map_err(in_custom)?;
    let name = required(tool, "name")
        .and_then(|name| tool_name(&name))
        .map_err(in_custom)?
        .to_owned();
    if let Some(description) = tool.get("description") {
        text(&description).map_err(in_custom)?;
    }
    let schema = required(tool, "input_schema").map_err(in_custom)?;
    dictionary(&schema).map_err(in_custom)?;
    match schema.get("type") {
        None => return Err(plain(format!("{place}.input_schema.type: Field required"))),
        Some(kind) if kind.text() != Some("object") => {
            return Err(plain(format!(
                "{place}.input_schema.type: Input should be 'object'"
            )));
        }
        Some(_) => {}
    }
    if let Some(key) = ["oneOf", "allOf", "anyOf"]
        .iter()
        .find(|key| schema.get(key).is_some())
    {
        return Err(plain(format!(
            "{place}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level (found {key})"
        )));
    }
    let strict = tool
        .get("strict")
        .map(|strict| boolean(&strict))
        .transpose()
        .map_err(in_custom)?
        .unwrap_or(false);
    if strict && let Some(problem) = limitation(&schema) {
        return Err(plain(format!("{place}: {problem}")));
    }
    Ok(Some(Tool {
        name,
        schema: schema.value.clone(),
    }))
}

fn tool_choice(choice: &Node<'_, '_>, tools: &mut Tools, has_tools: bool) -> Result<(), Failure> {
    let kind = tag(choice, &["any", "auto", "none", "tool"])?;
    let known: &[&str] = match kind {
        "none" => &["type"],
        "tool" => &["type", "name", "disable_parallel_tool_use"],
        _ => &["type", "disable_parallel_tool_use"],
    };
    object(choice, known)?;
    if !has_tools {
        return Err(plain(
            "tool_choice: tool_choice may only be specified while providing tools",
        ));
    }
    if let Some(disable) = choice.get("disable_parallel_tool_use") {
        tools.parallel = !boolean(&disable)?;
    }
    tools.choice = match kind {
        "none" => Choice::None,
        "auto" => Choice::Auto(Vec::new()),
        "any" => Choice::Required(Vec::new()),
        _ => {
            let wanted = required(choice, "name")?;
            let wanted = text(&wanted)?;
            if !tools.list.iter().any(|tool| tool.name == wanted) {
                return Err(plain(format!(
                    "tool_choice.name: Tool '{wanted}' not found in provided tools"
                )));
            }
            Choice::Required(vec![wanted.to_owned()])
        }
    };
    Ok(())
}

/// The schema of `output_config.format`.
pub(super) fn output_schema(format: &Node<'_, '_>) -> Result<Value, Failure> {
    object(format, &["type", "schema"])?;
    tag(format, &["json_schema"])?;
    let schema = required(format, "schema")?;
    dictionary(&schema)?;
    match limitation(&schema) {
        None => Ok(schema.value.clone()),
        Some(problem) => Err(bad(&schema, &problem)),
    }
}

/// Keywords that schemas held to strictly may not use, by the type they stand with.
const UNSUPPORTED: [(&str, &[&str]); 5] = [
    ("string", &["minLength", "maxLength"]),
    (
        "integer",
        &[
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
        ],
    ),
    (
        "number",
        &[
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
        ],
    ),
    ("array", &["maxItems", "uniqueItems", "contains"]),
    (
        "object",
        &["minProperties", "maxProperties", "patternProperties"],
    ),
];
const UNSUPPORTED_ANYWHERE: [&str; 5] = [
    "oneOf",
    "not",
    "if",
    "dependentRequired",
    "dependentSchemas",
];

/// The first thing in a schema that structured output does not support.
fn limitation(schema: &Node<'_, '_>) -> Option<String> {
    let object = schema.value.as_object()?;
    if let Some(keyword) = UNSUPPORTED_ANYWHERE
        .iter()
        .find(|keyword| object.contains_key(**keyword))
    {
        return Some(format!("Schema keyword '{keyword}' is not supported"));
    }
    let kinds: Vec<&str> = match object.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if kinds.contains(&"object") && object.get("additionalProperties") != Some(&json!(false)) {
        return Some(
            "For 'object' type, 'additionalProperties' must be explicitly set to false".to_owned(),
        );
    }
    for (kind, keywords) in UNSUPPORTED.iter().filter(|(kind, _)| kinds.contains(kind)) {
        let mut found: Vec<&str> = keywords
            .iter()
            .copied()
            .filter(|keyword| object.contains_key(*keyword))
            .collect();
        if !found.is_empty() {
            found.sort_unstable();
            return Some(format!(
                "For '{kind}' type, properties {} are not supported",
                found.join(", ")
            ));
        }
    }
    if object
        .get("minItems")
        .is_some_and(|least| !matches!(least.as_u64(), Some(0 | 1)))
    {
        return Some(
            "For 'array' type, 'minItems' values other than 0 or 1 are not supported".to_owned(),
        );
    }
    if let Some(target) = object.get("$ref").and_then(Value::as_str) {
        if !target.starts_with('#') {
            return Some(format!("External $ref '{target}' is not supported"));
        }
        if is_inside(schema, target) {
            return Some("Recursive schemas are not supported".to_owned());
        }
    }
    inside(schema, limitation)
}

/// Whether a reference points to a schema that it stands in.
fn is_inside(schema: &Node<'_, '_>, target: &str) -> bool {
    if target == "#" {
        return true;
    }
    let Some(name) = target.rsplit('/').next() else {
        return false;
    };
    let steps = schema.steps();
    steps.windows(2).any(|pair| matches!(pair, [Step::Key("$defs" | "definitions"), Step::Key(found)] if *found == name))
}

fn inside(schema: &Node<'_, '_>, check: fn(&Node<'_, '_>) -> Option<String>) -> Option<String> {
    for key in ["properties", "$defs", "definitions"] {
        if let Some(group) = schema.get(key)
            && let Some(problem) = group.members().find_map(|(_, part)| check(&part))
        {
            return Some(problem);
        }
    }
    for key in ["anyOf", "allOf", "prefixItems"] {
        if let Some(group) = schema.get(key)
            && let Some(problem) = group.items().find_map(|part| check(&part))
        {
            return Some(problem);
        }
    }
    schema.get("items").and_then(|items| check(&items))
}
