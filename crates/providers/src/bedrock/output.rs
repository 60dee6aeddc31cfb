//! A wanted form of answer in Converse's words.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>

use std::borrow::Cow;

use domain::chat::{ChatRequest, Conversion, ToolChoice};

use super::encode::Facts;
use super::tools::Tools;
use super::wire;
use crate::anthropic::output::{Wanted, wanted};
use crate::anthropic::tools::ToolNames;

/// How a wanted form of answer is sent.
#[derive(Debug, Default)]
pub(super) struct Output<'a> {
    pub(super) format: Option<wire::TextFormat<'a>>,
    pub(super) answer_tool: Option<String>,
    pub(super) instruction: Option<wire::Block<'a>>,
}

/// Puts the wanted form of answer among the tools, or says where else it goes.
pub(super) fn plan<'a>(
    request: &'a ChatRequest,
    facts: &Facts<'_>,
    tools: &mut Tools<'a>,
    names: &mut ToolNames,
    report: &mut Conversion,
) -> Output<'a> {
    let can_force = facts.takes_forced_tools && !facts.will_think;
    match wanted(request, facts.takes_schemas, can_force, report) {
        Wanted::Nothing => Output::default(),
        Wanted::Asked(words) => Output {
            instruction: Some(wire::Block::Text(Cow::Owned(words))),
            ..Output::default()
        },
        Wanted::Enforced {
            name,
            description,
            schema,
        } => {
            let schema = wire::JsonSchema {
                schema: schema.get().to_owned(),
                name,
                description,
            };
            Output {
                format: Some(wire::TextFormat::by_schema(schema)),
                ..Output::default()
            }
        }
        Wanted::ByTool {
            name,
            description,
            schema,
        } => {
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
                description: Some(description),
                input_schema: wire::Json {
                    json: Cow::Borrowed(schema),
                },
                strict: false,
            });
            Output {
                answer_tool: Some(answer_tool),
                ..Output::default()
            }
        }
    }
}
