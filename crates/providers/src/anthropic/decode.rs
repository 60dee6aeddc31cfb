//! A whole answer in the domain's words.

use std::borrow::Cow;

use domain::chat::{ChatResponse, Choice, Finish, FinishReason, Part, Reasoning, Text, ToolCall};
use serde_json::value::RawValue;

use super::usage::NativeUsage;
use super::{FORMAT, citation, error, wire};
use crate::answer::AnswerFields;
use crate::dialect::DecodeError;
use crate::exchange::Exchange;

/// Said where the model refused and gave no explanation, so that the caller sees a refusal and not an
/// empty answer.
const UNEXPLAINED_REFUSAL: &str = "The model declined to answer.";

/// Translates a whole answer.
pub(super) fn response(exchange: &Exchange, body: &[u8]) -> Result<ChatResponse, DecodeError> {
    let mut fields = AnswerFields::read(body)?;
    let kind: Option<Cow<'_, str>> = fields.take("type")?;
    if kind.as_deref() == Some("error") {
        return Err(DecodeError::Provider(error::in_success(body)));
    }
    let Some(blocks) = fields.take::<Vec<&RawValue>>("content")? else {
        return Err(DecodeError::Malformed(
            "the answer has no `content`".to_owned(),
        ));
    };
    let stop = wire::Stop {
        reason: fields.take("stop_reason")?,
        sequence: fields.take("stop_sequence")?,
        details: fields.take("stop_details")?,
    };
    let usage = fields
        .take_raw("usage")
        .map(|raw| NativeUsage::parse(raw.get().as_bytes()))
        .transpose()?
        .unwrap_or_default();
    let id = fields.take("id")?;
    let model = fields.take("model")?;
    fields.take_raw("role");

    let mut content = Vec::with_capacity(blocks.len());
    let mut characters = 0;
    for raw in blocks {
        content.push(part(exchange, raw, &mut characters)?);
    }
    let answered_by_tool = exchange.is_answer_only(&content);
    let finish = finish(&stop, answered_by_tool);
    content.extend(refusal(&stop).map(Part::Refusal));
    let content = content.into_iter().map(|part| exchange.answered(part));
    Ok(ChatResponse {
        id,
        model,
        choices: vec![Choice {
            index: 0,
            content: content.collect(),
            finish,
            logprobs: None,
        }],
        usage: usage.meters()?,
        service_tier: usage.service_tier(),
        extensions: fields.rest(),
    })
}

/// One content block. What is not known, or not as documented, is kept as it is.
fn part(exchange: &Exchange, raw: &RawValue, characters: &mut usize) -> Result<Part, DecodeError> {
    let kind: wire::Tagged<'_> = serde_json::from_str(raw.get()).map_err(|problem| {
        DecodeError::Malformed(format!("a content block is not readable: {problem}"))
    })?;
    let part = match &*kind.kind {
        "text" => serde_json::from_str(raw.get())
            .ok()
            .map(|block| text(block, characters)),
        "thinking" => serde_json::from_str(raw.get()).ok().map(thinking),
        "redacted_thinking" => serde_json::from_str(raw.get())
            .ok()
            .map(|block: wire::RedactedThinkingBlock| redacted(block.data)),
        "tool_use" => serde_json::from_str(raw.get())
            .ok()
            .map(|block| tool_call(exchange, block)),
        _ => None,
    };
    Ok(part.unwrap_or(Part::Unknown {
        format: FORMAT,
        raw: raw.to_owned(),
    }))
}

fn text(block: wire::TextBlock, characters: &mut usize) -> Part {
    let start = *characters;
    *characters += block.text.chars().count();
    let citations = block.citations.unwrap_or_default();
    let annotations = citations
        .iter()
        .map(|cited| citation::annotation(cited, start, *characters));
    Part::Text(Text {
        text: block.text,
        annotations: annotations.collect(),
        ..Text::default()
    })
}

fn thinking(block: wire::ThinkingBlock) -> Part {
    let present = |text: String| (!text.is_empty()).then_some(text);
    Part::Reasoning(Reasoning {
        text: present(block.thinking),
        signature: present(block.signature),
        redacted: None,
    })
}

fn redacted(data: String) -> Part {
    Part::Reasoning(Reasoning {
        redacted: Some(data),
        ..Reasoning::default()
    })
}

fn tool_call(exchange: &Exchange, block: wire::ToolUseBlock) -> Part {
    Part::ToolCall(ToolCall {
        id: block.id,
        name: exchange.tool_name(&block.name).to_owned(),
        arguments: block
            .input
            .map_or_else(|| "{}".to_owned(), |input| input.get().to_owned()),
        ..ToolCall::default()
    })
}

/// Why the answer ended. `answered_by_tool` says that its only tool call was the structured answer.
/// <https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>
pub(super) fn finish(stop: &wire::Stop, answered_by_tool: bool) -> Finish {
    let native = stop.reason.as_deref().unwrap_or_default();
    let reason = match native {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" if !answered_by_tool => FinishReason::ToolCalls,
        "pause_turn" => FinishReason::Pause,
        "refusal" => FinishReason::ContentFilter,
        "" => FinishReason::Error,
        // `end_turn`, `stop_sequence`, and whatever will be added: the answer is complete.
        _ => FinishReason::Stop,
    };
    Finish {
        reason,
        native: native.to_owned(),
        stop_sequence: stop.sequence.clone(),
    }
}

/// The words of a refusal, where there is one.
pub(super) fn refusal(stop: &wire::Stop) -> Option<String> {
    if stop.reason.as_deref() != Some("refusal") {
        return None;
    }
    let explanation = stop
        .details
        .as_ref()
        .and_then(|details| details.explanation.clone())
        .filter(|explanation| !explanation.is_empty());
    Some(explanation.unwrap_or_else(|| UNEXPLAINED_REFUSAL.to_owned()))
}
