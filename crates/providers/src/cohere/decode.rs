//! A whole answer in the domain's words. <https://docs.cohere.com/reference/chat>

use domain::chat::{ChatResponse, Choice, Finish, FinishReason, Part, Reasoning, Text, ToolCall};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{FORMAT, billing, citation, error, logprobs};
use crate::answer::AnswerFields;
use crate::dialect::DecodeError;
use crate::exchange::Exchange;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Message {
    #[serde(deserialize_with = "nullable")]
    content: Vec<Box<RawValue>>,
    tool_plan: Option<String>,
    #[serde(deserialize_with = "nullable")]
    tool_calls: Vec<Call>,
    #[serde(deserialize_with = "nullable")]
    citations: Vec<Value>,
}

#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) function: Option<CalledFunction>,
}

#[derive(Deserialize, Default)]
pub(super) struct CalledFunction {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) arguments: Option<String>,
}

/// A block of the content; what is not known has none of these fields.
#[derive(Deserialize)]
pub(super) struct Block {
    #[serde(rename = "type", default)]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) thinking: Option<String>,
}

/// A list that may be `null`.
fn nullable<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Translates a whole answer.
pub(super) fn response(exchange: &Exchange, body: &[u8]) -> Result<ChatResponse, DecodeError> {
    let mut fields = AnswerFields::read(body)?;
    if fields.look("finish_reason").is_none()
        && let Some(error) = error::in_success(body)
    {
        return Err(DecodeError::Provider(error));
    }
    let Some(message) = fields.take::<Message>("message")? else {
        return Err(DecodeError::Malformed(
            "the answer has no `message`".to_owned(),
        ));
    };
    let native: String = fields.take("finish_reason")?.unwrap_or_default();
    let items: Vec<logprobs::Item> = fields.take("logprobs")?.unwrap_or_default();
    let usage = match fields.take_raw("usage") {
        Some(raw) => billing::read(raw.get().as_bytes())?,
        None => None,
    };
    let id = fields.take("id")?;
    Ok(ChatResponse {
        id,
        model: None,
        choices: vec![Choice {
            index: 0,
            content: parts(exchange, message)?,
            finish: finish(&native),
            logprobs: logprobs::translate(&items),
        }],
        usage,
        service_tier: None,
        extensions: fields.rest(),
    })
}

fn parts(exchange: &Exchange, message: Message) -> Result<Vec<Part>, DecodeError> {
    let mut parts = Vec::new();
    // Where the text of each block begins, in characters of all of the text.
    let mut offsets = Vec::new();
    let mut characters = 0_u64;
    for raw in message.content {
        offsets.push(characters);
        let block: Block = serde_json::from_str(raw.get()).map_err(|problem| {
            DecodeError::Malformed(format!("a content block is not readable: {problem}"))
        })?;
        parts.push(match (block.kind.as_deref(), block.text, block.thinking) {
            (Some("text") | None, Some(text), _) => {
                characters = characters.saturating_add(length(&text));
                Part::Text(text.into())
            }
            (Some("thinking"), _, Some(thinking)) => Part::Reasoning(Reasoning {
                text: Some(thinking).filter(|text| !text.is_empty()),
                ..Reasoning::default()
            }),
            _ => Part::Unknown {
                format: FORMAT,
                raw,
            },
        });
    }
    cite(&message.citations, &offsets, &mut parts);
    let plan = message.tool_plan.filter(|plan| !plan.is_empty());
    parts.extend(plan.map(|plan| Part::Text(plan.into())));
    let calls = message.tool_calls.into_iter().enumerate();
    parts.extend(calls.map(|(place, call)| tool_call(exchange, place, call)));
    Ok(parts)
}

fn length(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// Citations belong to the last text, as OpenAI has them.
fn cite(citations: &[Value], offsets: &[u64], parts: &mut Vec<Part>) {
    if citations.is_empty() {
        return;
    }
    let annotations = citations.iter().flat_map(|cited| {
        let block = cited.get("content_index").and_then(Value::as_u64);
        let block = block.and_then(|block| usize::try_from(block).ok());
        let offset = block.and_then(|block| offsets.get(block)).copied();
        citation::annotations(cited, offset.unwrap_or(0))
    });
    let last = parts.iter_mut().rev().find_map(|part| match part {
        Part::Text(text) => Some(text),
        _ => None,
    });
    match last {
        Some(text) => text.annotations.extend(annotations),
        None => parts.push(Part::Text(Text {
            annotations: annotations.collect(),
            ..Text::default()
        })),
    }
}

fn tool_call(exchange: &Exchange, place: usize, call: Call) -> Part {
    let function = call.function.unwrap_or_default();
    let name = function.name.unwrap_or_default();
    Part::ToolCall(ToolCall {
        id: call
            .id
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| format!("call_{place}")),
        name: exchange.tool_name(&name).to_owned(),
        arguments: arguments(function.arguments.unwrap_or_default()),
        ..ToolCall::default()
    })
}

/// Models write `null` where a function takes nothing.
pub(super) fn arguments(arguments: String) -> String {
    if arguments.trim() == "null" {
        "{}".to_owned()
    } else {
        arguments
    }
}

/// Why the answer ended. <https://docs.cohere.com/reference/chat#response.body.finish_reason>
pub(super) fn finish(native: &str) -> Finish {
    let reason = match native {
        "MAX_TOKENS" => FinishReason::Length,
        "TOOL_CALL" => FinishReason::ToolCalls,
        "ERROR" | "TIMEOUT" | "" => FinishReason::Error,
        // `COMPLETE`, `STOP_SEQUENCE`, and whatever will be added: the answer is complete.
        _ => FinishReason::Stop,
    };
    Finish {
        reason,
        native: native.to_owned(),
        stop_sequence: None,
    }
}
