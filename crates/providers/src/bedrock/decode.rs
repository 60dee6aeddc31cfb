//! A whole answer in the domain's words.

use domain::chat::{
    ChatResponse, Choice, Extensions, Finish, FinishReason, Part, Reasoning, Text, ToolCall,
};
use domain::usage::ServiceTier;
use serde_json::Value;
use serde_json::value::RawValue;

use super::extras::STOP_SEQUENCE;
use super::{FORMAT, citation, error, usage, wire};
use crate::answer::AnswerFields;
use crate::dialect::DecodeError;
use crate::exchange::Exchange;

/// Where a model's own fields stand, of the answer and of the stream's last step.
const MODEL_FIELDS: &str = "additionalModelResponseFields";

/// Translates a whole answer.
pub(super) fn response(exchange: &Exchange, body: &[u8]) -> Result<ChatResponse, DecodeError> {
    let mut fields = AnswerFields::read(body)?;
    let Some(output) = fields.take::<wire::Output>("output")? else {
        return Err(match error::in_success(body) {
            Some(failure) => DecodeError::Provider(failure),
            None => DecodeError::Malformed("the answer has no `output`".to_owned()),
        });
    };
    let native: Option<String> = fields.take("stopReason")?;
    let own = fields
        .take_raw(MODEL_FIELDS)
        .map_or_else(ModelFields::default, ModelFields::of);
    let usage = fields
        .take_raw("usage")
        .map(|raw| usage::read(raw.get().as_bytes()))
        .transpose()?;
    let service_tier = fields.look("serviceTier").and_then(tier);
    if service_tier.is_some() {
        fields.take_raw("serviceTier");
    }
    let model = fields.look("trace").and_then(routed_model);
    let mut extensions = fields.rest();
    if let Some(rest) = own.rest {
        extensions.insert(MODEL_FIELDS.to_owned(), rest);
    }

    let mut content = Vec::new();
    let mut characters = 0;
    for raw in output.message.content {
        parts(exchange, raw, &mut characters, &mut content)?;
    }
    let answered_by_tool = exchange.is_answer_only(&content);
    let native = native.unwrap_or_default();
    let finish = finish(native, own.stop_sequence, answered_by_tool);
    let content = content.into_iter().map(|part| exchange.answered(part));
    Ok(ChatResponse {
        id: None,
        model,
        choices: vec![Choice {
            index: 0,
            content: content.collect(),
            finish,
            logprobs: None,
        }],
        usage,
        service_tier,
        extensions,
    })
}

/// The class of service that was given, where it is one that the domain knows.
pub(super) fn tier(raw: &RawValue) -> Option<ServiceTier> {
    let tier: wire::Tagged = serde_json::from_str(raw.get()).ok()?;
    tier_of(&tier.kind)
}

/// The class of service by Bedrock's word.
pub(super) fn tier_of(word: &str) -> Option<ServiceTier> {
    match word {
        "default" => Some(ServiceTier::Standard),
        "priority" => Some(ServiceTier::Priority),
        "flex" => Some(ServiceTier::Flex),
        _ => None,
    }
}

/// The model that a prompt router chose.
pub(super) fn routed_model(trace: &RawValue) -> Option<String> {
    let trace: Value = serde_json::from_str(trace.get()).ok()?;
    let model = trace.pointer("/promptRouter/invokedModelId")?;
    model.as_str().map(str::to_owned)
}

/// What a model's own fields of an answer hold.
#[derive(Debug, Default)]
pub(super) struct ModelFields {
    /// The stop text that was met.
    pub(super) stop_sequence: Option<String>,
    /// The other fields, where there are any.
    pub(super) rest: Option<Box<RawValue>>,
}

impl ModelFields {
    pub(super) fn of(raw: &RawValue) -> Self {
        let mut own: Extensions = serde_json::from_str(raw.get()).unwrap_or_default();
        let sequence = own.remove(STOP_SEQUENCE);
        let is_empty = own.values().all(|value| value.get() == "null");
        Self {
            stop_sequence: sequence.and_then(|raw| serde_json::from_str(raw.get()).ok()?),
            rest: if is_empty {
                None
            } else {
                serde_json::value::to_raw_value(&own).ok()
            },
        }
    }
}

/// One content block. What is not known, or not as documented, is kept as it is.
fn parts(
    exchange: &Exchange,
    raw: Box<RawValue>,
    characters: &mut usize,
    content: &mut Vec<Part>,
) -> Result<(), DecodeError> {
    let block: Result<wire::AnsweredBlock, _> = serde_json::from_str(raw.get());
    match block {
        Ok(wire::AnsweredBlock {
            text: Some(text), ..
        }) => {
            *characters += text.chars().count();
            content.push(Part::Text(Text::from(text)));
        }
        Ok(wire::AnsweredBlock {
            tool_use: Some(tool_use @ wire::ToolUse { kind: None, .. }),
            ..
        }) => content.push(tool_call(exchange, tool_use)),
        Ok(wire::AnsweredBlock {
            reasoning_content: Some(reasoning),
            ..
        }) => content.extend(thoughts(reasoning)),
        Ok(wire::AnsweredBlock {
            citations_content: Some(cited),
            ..
        }) => content.push(cited_text(cited, characters)),
        Err(problem) if !raw.get().starts_with('{') => {
            return Err(DecodeError::Malformed(format!(
                "a content block is not readable: {problem}"
            )));
        }
        Ok(_) | Err(_) => content.push(Part::Unknown {
            format: FORMAT,
            raw,
        }),
    }
    Ok(())
}

fn tool_call(exchange: &Exchange, tool_use: wire::ToolUse) -> Part {
    Part::ToolCall(ToolCall {
        id: tool_use.id,
        name: exchange.tool_name(&tool_use.name).to_owned(),
        arguments: tool_use
            .input
            .filter(|input| input.get() != "null")
            .map_or_else(|| "{}".to_owned(), |input| input.get().to_owned()),
        ..ToolCall::default()
    })
}

fn thoughts(reasoning: wire::ReasoningContent) -> Vec<Part> {
    let present = |text: String| (!text.is_empty()).then_some(text);
    let told = reasoning.reasoning_text.map(|told| Reasoning {
        text: present(told.text),
        signature: told.signature.and_then(present),
        redacted: None,
    });
    let hidden = reasoning.redacted_content.map(|data| Reasoning {
        redacted: Some(data),
        ..Reasoning::default()
    });
    told.into_iter()
        .chain(hidden)
        .map(Part::Reasoning)
        .collect()
}

fn cited_text(cited: wire::CitationsContent, characters: &mut usize) -> Part {
    let start = *characters;
    let text: String = cited.content.into_iter().map(|piece| piece.text).collect();
    *characters += text.chars().count();
    let annotations = cited
        .citations
        .iter()
        .map(|citation| citation::annotation(citation, start, *characters));
    Part::Text(Text {
        annotations: annotations.collect(),
        text,
        ..Text::default()
    })
}

/// Why the answer ended. `answered_by_tool` says that its only tool call was the structured answer.
pub(super) fn finish(
    native: String,
    stop_sequence: Option<String>,
    answered_by_tool: bool,
) -> Finish {
    let reason = match native.as_str() {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" if !answered_by_tool => FinishReason::ToolCalls,
        "guardrail_intervened" | "content_filtered" | "refusal" => FinishReason::ContentFilter,
        "malformed_model_output" | "malformed_tool_use" | "" => FinishReason::Error,
        // `end_turn`, `stop_sequence`, and whatever will be added: the answer is complete.
        _ => FinishReason::Stop,
    };
    Finish {
        reason,
        native,
        stop_sequence,
    }
}
