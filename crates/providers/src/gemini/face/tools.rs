//! Reads tools and the choice among them (<https://ai.google.dev/api/caching#Tool>).

use domain::chat::{ChatRequest, Tool, ToolChoice};
use serde_json::value::{RawValue, to_raw_value};

use super::{fields, schema};
use crate::face::InvalidRequest;
use crate::gemini::FORMAT;
use crate::openai::fields::{Fields, Kind};

/// Reads `tools` and `toolConfig` into the request.
pub(super) fn read(
    request_fields: &mut Fields<'_>,
    request: &mut ChatRequest,
) -> Result<(), InvalidRequest> {
    for (path, raw) in fields::list(request_fields, "tools")? {
        let mut tool = fields::read(raw, path)?;
        for (path, raw) in fields::list(&mut tool, "functionDeclarations")? {
            note(request, &path);
            let function = function(fields::read(raw, path)?, request)?;
            request.tools.push(function);
        }
        let path = tool.path().to_owned();
        for (kind, raw) in tool.rest() {
            if raw.get() == "null" {
                continue;
            }
            note(request, &format!("{path}.{kind}"));
            request.tools.push(hosted(&kind, raw)?);
        }
    }
    if let Some(mut config) = fields::object(request_fields, "toolConfig")? {
        if let Some(calling) = fields::object(&mut config, "functionCallingConfig")? {
            request.tool_choice = choice(calling, request)?;
        }
        config.keep_rest(&mut request.extensions);
    }
    Ok(())
}

/// Notes where the next tool stands.
fn note(request: &mut ChatRequest, path: &str) {
    let index = request.tools.len();
    request.paths.insert(format!("tools[{index}]"), path);
}

fn function(
    mut declaration: Fields<'_>,
    request: &mut ChatRequest,
) -> Result<Tool, InvalidRequest> {
    let name = declaration.required_text("name")?;
    let description = declaration.text("description")?;
    let parameters = match (
        declaration.take("parametersJsonSchema"),
        declaration.take("parameters"),
    ) {
        (None, None) => None,
        (Some(raw), None) if Kind::of(raw.get()) == Some(Kind::Object) => {
            let place = format!("tools[{}].function.parameters", request.tools.len());
            let path = declaration.path_of("parametersJsonSchema");
            request.paths.insert(place, path);
            Some(raw.to_owned())
        }
        (Some(raw), None) => {
            return Err(declaration.wrong_type("parametersJsonSchema", "an object", raw.get()));
        }
        (None, Some(raw)) => Some(schema::to_json_schema(
            raw,
            &declaration.path_of("parameters"),
        )?),
        (Some(_), Some(_)) => {
            let path = declaration.path_of("parameters");
            let detail = format!("`{path}` and `parametersJsonSchema` exclude each other.");
            return Err(InvalidRequest::of(path, detail));
        }
    };
    declaration.keep_rest(&mut request.extensions);
    Ok(Tool::Function {
        name,
        description,
        parameters,
        strict: None,
        cache: None,
    })
}

/// One of Google's own tools, which stands alone in its object.
fn hosted(kind: &str, raw: &RawValue) -> Result<Tool, InvalidRequest> {
    let tool = std::collections::BTreeMap::from([(kind, raw)]);
    let raw = to_raw_value(&tool).map_err(|error| {
        InvalidRequest::of(
            "tools",
            format!("The tool `{kind}` cannot be kept: {error}."),
        )
    })?;
    Ok(Tool::Hosted {
        format: FORMAT,
        kind: kind.to_owned(),
        raw,
    })
}

/// `VALIDATED` lets the model choose, as `AUTO` does, and holds it to the schemas, for which other formats
/// have a mark on each function: the word stays where it is, to be reported or passed on.
fn choice(
    mut calling: Fields<'_>,
    request: &mut ChatRequest,
) -> Result<Option<ToolChoice>, InvalidRequest> {
    let mode = match calling.look("mode") {
        None => None,
        Some(raw) => {
            let word = crate::openai::fields::text(raw, || calling.path_of("mode"))?;
            Some(word.to_ascii_uppercase())
        }
    };
    let mut names = Vec::new();
    for (path, raw) in calling.list("allowedFunctionNames")?.unwrap_or_default() {
        names.push(crate::openai::fields::text(raw, || path.clone())?);
    }
    let choice = match mode.as_deref() {
        None if names.is_empty() => None,
        Some("MODE_UNSPECIFIED" | "AUTO") if names.is_empty() => {
            calling.take("mode");
            Some(ToolChoice::Auto)
        }
        None | Some("MODE_UNSPECIFIED" | "AUTO") => {
            let path = calling.path_of("allowedFunctionNames");
            let detail = format!("`{path}` is only allowed in the modes `ANY` and `VALIDATED`.");
            return Err(InvalidRequest::of(path, detail));
        }
        Some("NONE") => {
            calling.take("mode");
            Some(ToolChoice::None)
        }
        Some("ANY") => {
            calling.take("mode");
            Some(match names.as_slice() {
                [] => ToolChoice::Required,
                [_] => ToolChoice::Named(names.swap_remove(0)),
                _ => ToolChoice::Allowed {
                    names,
                    required: true,
                },
            })
        }
        Some("VALIDATED") if names.is_empty() => Some(ToolChoice::Auto),
        Some("VALIDATED") => Some(ToolChoice::Allowed {
            names,
            required: false,
        }),
        Some(other) => {
            let known = "`AUTO`, `ANY`, `NONE` and `VALIDATED`";
            return Err(calling.unknown_word("mode", other, known));
        }
    };
    calling.keep_rest(&mut request.extensions);
    Ok(choice)
}
