//! Reads the tools and the choice among them.
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview>

use domain::chat::{Tool, ToolChoice};
use serde_json::value::RawValue;

use super::super::FORMAT;
use super::client_tools;
use super::content::cache_control;
use super::parse::Kept;
use crate::face::InvalidRequest;
use crate::openai::fields::{self, Fields};

/// Whether and which tools are called.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) choice: Option<ToolChoice>,
    pub(super) parallel: Option<bool>,
}

/// Reads every tool.
pub(super) fn tools(fields: &mut Fields<'_>, kept: &mut Kept) -> Result<Vec<Tool>, InvalidRequest> {
    fields
        .list("tools")?
        .unwrap_or_default()
        .into_iter()
        .map(|(path, raw)| tool(path, raw, kept))
        .collect()
}

/// A tool of the caller's, or one of the vendor's own: those have a type that ends in a date.
fn tool(path: String, raw: &RawValue, kept: &mut Kept) -> Result<Tool, InvalidRequest> {
    let mut fields = Fields::read(raw, path)?;
    let own = fields
        .look("type")
        .map(|raw| fields::text(raw, || fields.path_of("type")));
    if let Some(kind) = own.transpose()?.filter(|kind| kind != "custom") {
        return of_vendor(&kind, fields, raw, kept);
    }
    fields.take("type");
    let parameters = fields
        .raw_object("input_schema")?
        .ok_or_else(|| fields.missing("input_schema", "a JSON Schema"))?;
    let tool = Tool::Function {
        name: fields.required_text("name")?,
        description: fields.text("description")?,
        parameters: Some(parameters),
        strict: fields.flag("strict")?,
        cache: cache_control(&mut fields, kept)?,
    };
    fields.keep_rest(&mut kept.extensions);
    Ok(tool)
}

/// One of the vendor's own tools: run by the vendor, or described by it and run by the caller. The type of the
/// latter is kept, so that its loss is reported.
fn of_vendor(
    kind: &str,
    mut fields: Fields<'_>,
    raw: &RawValue,
    kept: &mut Kept,
) -> Result<Tool, InvalidRequest> {
    let kind = undated(kind);
    let Some(described) = client_tools::described(kind) else {
        return Ok(Tool::Hosted {
            format: FORMAT,
            kind: kind.to_owned(),
            raw: raw.to_owned(),
        });
    };
    let tool = Tool::Function {
        name: fields.required_text("name")?,
        description: Some(described.description.to_owned()),
        parameters: RawValue::from_string(described.schema.to_owned()).ok(),
        strict: fields.flag("strict")?,
        cache: cache_control(&mut fields, kept)?,
    };
    fields.keep_rest(&mut kept.extensions);
    Ok(tool)
}

/// A type without the date that it ends in: other vendors know a search by `web_search`, too.
fn undated(kind: &str) -> &str {
    match kind.rsplit_once('_') {
        Some((name, date)) if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) => {
            name
        }
        _ => kind,
    }
}

/// Reads the choice.
pub(super) fn choice(fields: &mut Fields<'_>, kept: &mut Kept) -> Result<Choice, InvalidRequest> {
    let Some(mut choice) = fields.object("tool_choice")? else {
        return Ok(Choice::default());
    };
    let chosen = match choice.required_text("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.required_text("name")?),
        other => {
            let known = "`auto`, `any`, `tool` and `none`";
            return Err(choice.unknown_word("type", other, known));
        }
    };
    let disabled = choice.flag("disable_parallel_tool_use")?;
    kept.paths.insert(
        "parallel_tool_calls",
        "tool_choice.disable_parallel_tool_use",
    );
    choice.keep_rest(&mut kept.extensions);
    Ok(Choice {
        choice: Some(chosen),
        parallel: disabled.map(|disabled| !disabled),
    })
}
