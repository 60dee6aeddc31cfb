//! A wanted form of answer in Converse's words.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>

use std::borrow::Cow;

use domain::chat::{ChatRequest, Conversion, OutputFormat, ToolChoice};

use super::encode::Facts;
use super::tools::Tools;
use super::wire;
use crate::anthropic::schema;
use crate::anthropic::tools::{ToolNames, report_schema};

/// How a wanted form of answer is sent.
#[derive(Debug, Default)]
pub(super) struct Output<'a> {
    pub(super) format: Option<wire::TextFormat<'a>>,
    pub(super) answer_tool: Option<String>,
    pub(super) instruction: Option<wire::Block<'a>>,
}

/// A JSON schema is enforced by the provider where it can; else by a tool that the model is made to
/// call, unless thoughts are wanted or another tool is forced, which exclude that; else by request.
pub(super) fn plan<'a>(
    request: &'a ChatRequest,
    facts: &Facts<'_>,
    tools: &mut Tools<'a>,
    names: &mut ToolNames,
    report: &mut Conversion,
) -> Output<'a> {
    const FIELD: &str = "response_format";
    let (name, description, json_schema) = match &request.output {
        OutputFormat::Text => return Output::default(),
        OutputFormat::JsonObject => {
            report.change(
                FIELD,
                "asked for in the system message, because the provider enforces JSON by schema only",
            );
            return instructed("Answer with one JSON object and nothing else.".to_owned());
        }
        OutputFormat::JsonSchema {
            name,
            description,
            schema,
            ..
        } => (name, description, schema),
    };
    if facts.takes_schemas {
        match schema::normalise(json_schema) {
            Ok(normalised) => {
                let path = "response_format.json_schema.schema";
                report_schema(path, &normalised, report);
                report.carry(FIELD);
                let schema = wire::JsonSchema {
                    schema: normalised.schema.get().to_owned(),
                    name,
                    description: description.as_deref(),
                };
                return Output {
                    format: Some(wire::TextFormat::by_schema(schema)),
                    ..Output::default()
                };
            }
            Err(problem) => report.change(
                "response_format.json_schema.schema",
                format!("the provider cannot enforce it: {problem}"),
            ),
        }
    }
    let can_force = facts.takes_forced_tools
        && !facts.will_think
        && !matches!(
            request.tool_choice,
            Some(ToolChoice::Named(_) | ToolChoice::Required | ToolChoice::Allowed { .. })
        );
    if !can_force {
        report.drop(
            "response_format.json_schema",
            "not enforced: the model is asked for it in the system message",
        );
        return instructed(format!(
            "Answer with JSON that is valid against this JSON Schema, and nothing else:\n{json_schema}"
        ));
    }
    report.change(
        FIELD,
        "enforced by a tool that the model must call; its arguments are the answer",
    );
    let answer_tool = names.unused(name);
    let only = tools.declared.is_empty() || request.tool_choice == Some(ToolChoice::None);
    tools.choice = Some(if only {
        wire::ToolChoice::Tool {
            name: answer_tool.clone(),
        }
    } else {
        wire::ToolChoice::Any {}
    });
    tools.native_choice = None;
    tools.is_forced = true;
    tools.declared.push(wire::Tool::Function {
        name: answer_tool.clone(),
        description: Some(
            description
                .as_deref()
                .unwrap_or("Gives the final answer. Call it once, when no other tool is needed."),
        ),
        input_schema: wire::Json {
            json: Cow::Borrowed(json_schema),
        },
        strict: false,
    });
    Output {
        answer_tool: Some(answer_tool),
        ..Output::default()
    }
}

fn instructed(instruction: String) -> Output<'static> {
    Output {
        instruction: Some(wire::Block::Text(Cow::Owned(instruction))),
        ..Output::default()
    }
}
