//! The rules of tools and of the choice between them.
//! See <https://docs.cohere.com/docs/tool-use-overview>.

use super::check::{boolean, invalid, list, object, one_of, required, text, wrong_type};
use super::model::Class;
use crate::node::Node;
use crate::prompt::{Choice, Tool};
use crate::tokens;
use crate::vendor::Failure;

/// What a request says about tools.
pub(super) struct Tools {
    pub(super) list: Vec<Tool>,
    pub(super) choice: Choice,
    pub(super) tokens: u64,
}

pub(super) fn read(root: &Node<'_, '_>, class: Class) -> Result<Tools, Failure> {
    let mut tools = Tools {
        list: Vec::new(),
        choice: Choice::None,
        tokens: 0,
    };
    if let Some(given) = root.present("tools") {
        list(&given)?;
        for tool in given.items() {
            tools.tokens += tokens::of_text(&tool.value.to_string());
            tools.list.push(one(&tool)?);
        }
    }
    if !tools.list.is_empty() {
        if !class.takes_tools() {
            return Err(invalid("tools are not supported with this model"));
        }
        tools.choice = Choice::Auto(Vec::new());
    }
    if let Some(strict) = root.present("strict_tools")
        && boolean(&strict)?
        && tools.list.is_empty()
    {
        return Err(invalid("strict_tools requires tools to be specified"));
    }
    if let Some(choice) = root.present("tool_choice") {
        let choice = one_of(&choice, &["REQUIRED", "NONE"])?;
        if tools.list.is_empty() {
            return Err(invalid("tool_choice requires tools to be specified"));
        }
        tools.choice = match choice {
            "REQUIRED" => Choice::Required(Vec::new()),
            _ => Choice::None,
        };
    }
    Ok(tools)
}

fn one(tool: &Node<'_, '_>) -> Result<Tool, Failure> {
    object(tool, &["type", "function"])?;
    one_of(&required(tool, "type")?, &["function"])?;
    let function = required(tool, "function")?;
    object(&function, &["name", "description", "parameters"])?;
    let place = required(&function, "name")?;
    let name = text(&place)?;
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        && !name.is_empty();
    if !is_name {
        return Err(invalid(format!(
            "{} may only contain letters, digits, underscores and hyphens",
            place.bracketed()
        )));
    }
    if let Some(description) = function.present("description") {
        text(&description)?;
    }
    let parameters = required(&function, "parameters")?;
    if !parameters.value.is_object() {
        return Err(wrong_type(&parameters, "object"));
    }
    if parameters.value["type"] != "object" {
        return Err(invalid(format!(
            "{} must be a JSON schema of type object",
            parameters.bracketed()
        )));
    }
    Ok(Tool {
        name: name.to_owned(),
        schema: parameters.value.clone(),
    })
}
