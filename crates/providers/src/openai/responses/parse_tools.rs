//! Reads tools and the choice among them.

use domain::chat::{Extensions, Tool, ToolChoice};
use serde_json::json;
use serde_json::value::RawValue;

use super::super::fields::{self, Fields, Kind};
use super::words::FORMAT;
use crate::face::InvalidRequest;

/// The only parameter of a function that stands for a custom tool.
pub(super) const INPUT: &str = "input";

/// What that parameter says of itself; it tells such a function from others.
const INPUT_TEXT: &str = "The input of the tool, as plain text and not as JSON.";

/// Reads the tools.
pub(super) fn tools(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Vec<Tool>, InvalidRequest> {
    fields
        .list("tools")?
        .unwrap_or_default()
        .into_iter()
        .map(|(path, raw)| tool(path, raw, extensions))
        .collect()
}

fn tool(path: String, raw: &RawValue, extensions: &mut Extensions) -> Result<Tool, InvalidRequest> {
    let mut fields = Fields::read(raw, path)?;
    let tool = match fields.required_text("type")?.as_str() {
        "function" => Tool::Function {
            name: fields.required_text("name")?,
            description: fields.text("description")?,
            parameters: fields.raw_object("parameters")?,
            strict: fields.flag("strict")?,
            cache: None,
        },
        "custom" => custom(&mut fields, extensions)?,
        kind => {
            return Ok(Tool::Hosted {
                format: FORMAT,
                kind: kind.to_owned(),
                raw: raw.to_owned(),
            });
        }
    };
    for switch in ["async", "defer_loading"] {
        if fields.look(switch).is_some_and(|raw| raw.get() == "false") {
            fields.take(switch);
        }
    }
    fields.keep_rest(extensions);
    Ok(tool)
}

/// A custom tool takes a text; everyone else's tools take JSON. It becomes a function of one text, and
/// calls of it are given back as calls of the custom tool. A grammar is told to the model and no more.
fn custom(fields: &mut Fields<'_>, extensions: &mut Extensions) -> Result<Tool, InvalidRequest> {
    let name = fields.required_text("name")?;
    let description = fields.text("description")?;
    let mut told = INPUT_TEXT.to_owned();
    let raw_format = fields.look("format");
    if let Some(mut format) = fields.object("format")?
        && format.text("type")?.as_deref() == Some("grammar")
    {
        let syntax = format.required_text("syntax")?;
        let definition = format.required_text("definition")?;
        told = format!("{told} It must follow this {syntax} grammar:\n{definition}");
        if let Some(raw) = raw_format {
            extensions.insert(fields.path_of("format"), raw.to_owned());
        }
    }
    let schema = json!({
        "type": "object",
        "properties": { INPUT: { "type": "string", "description": told } },
        "required": [INPUT],
        "additionalProperties": false,
    });
    Ok(Tool::Function {
        name,
        description,
        parameters: serde_json::value::to_raw_value(&schema).ok(),
        strict: None,
        cache: None,
    })
}

/// Whether a function of this schema stands for a custom tool.
pub(super) fn is_custom(parameters: Option<&RawValue>) -> bool {
    // Few schemas are parsed: the sentence is not anybody's.
    parameters
        .map(RawValue::get)
        .filter(|schema| schema.contains(INPUT_TEXT))
        .and_then(|schema| serde_json::from_str::<serde_json::Value>(schema).ok())
        .and_then(|schema| {
            let told = schema.get("properties")?.get(INPUT)?.get("description")?;
            Some(told.as_str()?.starts_with(INPUT_TEXT))
        })
        .unwrap_or(false)
}

/// The arguments of a function that stands for a custom tool.
pub(super) fn arguments_of(input: &str) -> String {
    json!({ INPUT: input }).to_string()
}

/// The input of a custom tool out of such arguments; a model that wrote none of that wrote the input.
pub(super) fn input_of(arguments: &str) -> String {
    serde_json::from_str::<serde_json::Value>(arguments)
        .ok()
        .and_then(|arguments| Some(arguments.get(INPUT)?.as_str()?.to_owned()))
        .unwrap_or_else(|| arguments.to_owned())
}

/// Reads the choice among the tools.
pub(super) fn tool_choice(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Option<ToolChoice>, InvalidRequest> {
    const KNOWN: &str = "`auto`, `none`, `required` and an object with a `type`";
    let Some(raw) = fields.take("tool_choice") else {
        return Ok(None);
    };
    if Kind::of(raw.get()) == Some(Kind::Text) {
        let word = fields::text(raw, || "tool_choice".to_owned())?;
        return match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Required)),
            other => Err(fields.unknown_word("tool_choice", other, KNOWN)),
        };
    }
    let mut choice = Fields::read(raw, "tool_choice".to_owned())?;
    match choice.required_text("type")?.as_str() {
        "function" | "custom" => {
            let name = choice.required_text("name")?;
            choice.keep_rest(extensions);
            Ok(Some(ToolChoice::Named(name)))
        }
        "allowed_tools" => allowed_tools(choice, extensions).map(Some),
        // A choice of a hosted tool means something to this format only.
        _ => {
            fields.put_back("tool_choice", raw);
            Ok(None)
        }
    }
}

fn allowed_tools(
    mut choice: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<ToolChoice, InvalidRequest> {
    let required = match choice.required_text("mode")?.as_str() {
        "auto" => false,
        "required" => true,
        other => return Err(choice.unknown_word("mode", other, "`auto` and `required`")),
    };
    let tools = choice
        .list("tools")?
        .ok_or_else(|| choice.missing("tools", "an array of tools"))?;
    let mut names = Vec::with_capacity(tools.len());
    for (path, raw) in tools {
        let mut tool = Fields::read(raw, path)?;
        match tool.required_text("type")?.as_str() {
            "function" | "custom" => names.push(tool.required_text("name")?),
            _ => {
                extensions.insert(tool.path().to_owned(), raw.to_owned());
            }
        }
    }
    choice.keep_rest(extensions);
    Ok(ToolChoice::Allowed { names, required })
}
