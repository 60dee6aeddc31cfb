//! Reads the tools and the choice among them.
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview>

use domain::chat::{Tool, ToolChoice};
use serde_json::value::RawValue;

use super::super::FORMAT;
use super::content::cache_control;
use super::parse::Kept;
use crate::face::InvalidRequest;
use crate::openai::fields::Fields;

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
    if let Some(kind) = fields.text("type")?.filter(|kind| kind != "custom") {
        return Ok(Tool::Hosted {
            format: FORMAT,
            kind,
            raw: raw.to_owned(),
        });
    }
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
