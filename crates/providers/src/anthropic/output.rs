//! A wanted form of answer in Anthropic's words.
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>

use std::borrow::Cow;

use domain::chat::{ChatRequest, Conversion, OutputFormat, ToolChoice};
use serde_json::value::RawValue;

use super::model::Model;
use super::tools::{self, ToolNames, Tools};
use super::{reasoning, schema, wire};

/// How a wanted form of answer is sent.
#[derive(Debug, Default)]
pub(super) struct Output<'a> {
    pub(super) format: Option<wire::OutputFormat<'a>>,
    pub(super) answer_tool: Option<String>,
    pub(super) instruction: Option<wire::Block<'a>>,
}

/// What becomes of a wanted form of answer, here and at Bedrock.
pub(crate) enum Wanted<'a> {
    /// There is none.
    Nothing,
    /// The model is asked for it in these words.
    Asked(String),
    /// The provider enforces it.
    Enforced {
        name: &'a str,
        description: Option<&'a str>,
        schema: Box<RawValue>,
    },
    /// A tool that the model is made to call takes the answer.
    ByTool {
        name: &'a str,
        description: &'a str,
        schema: &'a RawValue,
    },
}

/// A JSON schema is enforced by the provider where it `takes_schemas`; else by a tool that the model is made to
/// call, unless it `can_force` none or another tool is forced, which excludes that; else by request.
pub(crate) fn wanted<'a>(
    request: &'a ChatRequest,
    takes_schemas: bool,
    can_force: bool,
    report: &mut Conversion,
) -> Wanted<'a> {
    const FIELD: &str = "response_format";
    let (name, description, json_schema) = match &request.output {
        OutputFormat::Text => return Wanted::Nothing,
        OutputFormat::JsonObject => {
            report.change(
                FIELD,
                "asked for in the system message, because the provider enforces JSON by schema only",
            );
            return Wanted::Asked("Answer with one JSON object and nothing else.".to_owned());
        }
        OutputFormat::JsonSchema {
            name,
            description,
            schema,
            ..
        } => (name, description.as_deref(), schema),
    };
    if takes_schemas {
        let path = "response_format.json_schema.schema";
        match schema::normalise(json_schema) {
            Ok(normalised) => {
                tools::report_schema(path, &normalised, report);
                report.carry(FIELD);
                return Wanted::Enforced {
                    name,
                    description,
                    schema: normalised.schema,
                };
            }
            Err(problem) => {
                report.change(path, format!("the provider cannot enforce it: {problem}"));
            }
        }
    }
    let forces_another = matches!(
        request.tool_choice,
        Some(ToolChoice::Named(_) | ToolChoice::Required | ToolChoice::Allowed { .. })
    );
    if !can_force || forces_another {
        report.drop(
            "response_format.json_schema",
            "not enforced: the model is asked for it in the system message",
        );
        return Wanted::Asked(format!(
            "Answer with JSON that is valid against this JSON Schema, and nothing else:\n{json_schema}"
        ));
    }
    report.change(
        FIELD,
        "enforced by a tool that the model must call; its arguments are the answer",
    );
    Wanted::ByTool {
        name,
        description: description
            .unwrap_or("Gives the final answer. Call it once, when no other tool is needed."),
        schema: json_schema,
    }
}

/// Puts the wanted form of answer among the tools, or says where else it goes.
pub(super) fn plan<'a>(
    request: &'a ChatRequest,
    model: &Model<'_>,
    tools: &mut Tools<'a>,
    names: &mut ToolNames,
    report: &mut Conversion,
) -> Output<'a> {
    let can_force = model.takes_forced_tools() && !reasoning::is_wanted(&request.reasoning, model);
    match wanted(request, model.takes_output_format(), can_force, report) {
        Wanted::Nothing => Output::default(),
        Wanted::Asked(words) => Output {
            instruction: Some(wire::Block::Text {
                text: Cow::Owned(words),
                cache_control: None,
            }),
            ..Output::default()
        },
        Wanted::Enforced { schema, .. } => Output {
            format: Some(wire::OutputFormat {
                schema: Cow::Owned(schema),
            }),
            ..Output::default()
        },
        Wanted::ByTool {
            name,
            description,
            schema,
        } => {
            let answer_tool = names.unused(name);
            let only = tools.tools.is_empty() || request.tool_choice == Some(ToolChoice::None);
            tools.choice = Some(if only {
                wire::ToolChoice::Tool {
                    name: Cow::Owned(answer_tool.clone()),
                    disable_parallel_tool_use: true,
                }
            } else {
                wire::ToolChoice::Any {
                    disable_parallel_tool_use: request.parallel_tool_calls == Some(false),
                }
            });
            tools.tools.push(wire::Tool::Function {
                name: answer_tool.clone(),
                description: Some(description),
                input_schema: Cow::Borrowed(schema),
                strict: false,
                cache_control: None,
            });
            Output {
                answer_tool: Some(answer_tool),
                ..Output::default()
            }
        }
    }
}
