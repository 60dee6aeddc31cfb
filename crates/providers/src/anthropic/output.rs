//! A wanted form of answer in Anthropic's words.
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>

use std::borrow::Cow;

use domain::chat::{ChatRequest, Conversion, OutputFormat, ToolChoice};

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

/// A JSON schema is enforced by the provider where it can; else by a tool that the model is made to
/// call, unless thoughts are wanted or another tool is forced, which exclude that; else by request.
pub(super) fn plan<'a>(
    request: &'a ChatRequest,
    model: &Model<'_>,
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
    if model.takes_output_format() {
        match schema::normalise(json_schema) {
            Ok(normalised) => {
                let path = "response_format.json_schema.schema";
                tools::report_schema(path, &normalised, report);
                report.carry(FIELD);
                return Output {
                    format: Some(wire::OutputFormat {
                        schema: Cow::Owned(normalised.schema),
                    }),
                    ..Output::default()
                };
            }
            Err(problem) => report.change(
                "response_format.json_schema.schema",
                format!("the provider cannot enforce it: {problem}"),
            ),
        }
    }
    let can_force = model.takes_forced_tools()
        && !reasoning::is_wanted(&request.reasoning, model)
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
        description: Some(
            description
                .as_deref()
                .unwrap_or("Gives the final answer. Call it once, when no other tool is needed."),
        ),
        input_schema: Cow::Borrowed(json_schema),
        strict: false,
        cache_control: None,
    });
    Output {
        answer_tool: Some(answer_tool),
        ..Output::default()
    }
}

fn instructed(instruction: String) -> Output<'static> {
    Output {
        instruction: Some(wire::Block::Text {
            text: Cow::Owned(instruction),
            cache_control: None,
        }),
        ..Output::default()
    }
}
