//! Renders a whole answer, and problems as the vendor's error object.
//! <https://docs.cohere.com/reference/chat#response>

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatResponse, Choice, Finish, FinishReason, Part, Reasoning, Text, ToolCall};
use domain::problem::Problem;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::billing::Shown;
use super::{FORMAT, citation, logprobs};
use crate::face::Rendering;
use crate::openai::render::append;

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    native_finish_reason: &'a str,
    message: Message<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Shown>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunkline: Option<&'a Value>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    content: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    tool_plan: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    citations: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    provider_content: Vec<Foreign<'a>>,
}

/// A block of the content.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
    },
    Thinking {
        thinking: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        redacted: Option<&'a str>,
    },
    #[serde(untagged)]
    Raw(&'a RawValue),
}

/// A tool call, as answers and the beginnings of calls in streams show it.
#[derive(Serialize)]
pub(super) struct Call<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) function: CalledFunction<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_content: Option<ExtraContent<'a>>,
}

#[derive(Serialize)]
pub(super) struct CalledFunction<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}

/// Where Gemini's signature over a call stands on every face that has no place of its own for it.
#[derive(Serialize)]
pub(super) struct ExtraContent<'a> {
    google: Google<'a>,
}

#[derive(Serialize)]
struct Google<'a> {
    thought_signature: &'a str,
}

impl<'a> ExtraContent<'a> {
    pub(super) fn signed(thought_signature: &'a str) -> Self {
        Self {
            google: Google { thought_signature },
        }
    }
}

/// One item of `provider_content`: what only another provider's format knows.
#[derive(Serialize)]
pub(super) struct Foreign<'a> {
    pub(super) format: &'static str,
    pub(super) raw: &'a RawValue,
}

/// Renders a whole answer; Cohere's answers have one choice.
pub(super) fn answer(
    response: &ChatResponse,
    rendering: &Rendering,
    report: Option<&Value>,
) -> Bytes {
    let choice = response.choices.first();
    let id = response.id.as_deref().filter(|id| !id.is_empty());
    let answer = Answer {
        id: id.unwrap_or(&rendering.id),
        finish_reason: choice.map_or("ERROR", |choice| finish_word(&choice.finish)),
        native_finish_reason: choice.map_or("", |choice| foreign_word(&choice.finish)),
        message: message(choice),
        usage: response.usage.as_ref().map(Shown::from),
        logprobs: choice
            .and_then(|choice| choice.logprobs.as_deref())
            .map(logprobs::shown)
            .unwrap_or_default(),
        trunkline: report,
    };
    let mut out = BytesMut::with_capacity(1024);
    append(&answer, &mut out);
    out.freeze()
}

fn message(choice: Option<&Choice>) -> Message<'_> {
    let mut message = Message {
        role: "assistant",
        content: Vec::new(),
        tool_plan: String::new(),
        tool_calls: Vec::new(),
        citations: Vec::new(),
        provider_content: Vec::new(),
    };
    let parts = choice.map_or(&[][..], |choice| &choice.content);
    let is_call = |part: &Part| matches!(part, Part::ToolCall(_));
    let last_call = parts.iter().rposition(is_call).unwrap_or(0);
    for (place, part) in parts.iter().enumerate() {
        match part {
            // What is said before tools are called is the plan, where Cohere's clients look for it.
            Part::Text(text) if place < last_call && text.signature.is_none() => {
                message.tool_plan.push_str(&text.text);
                let citations = text.annotations.iter().map(citation::shown);
                message.citations.extend(citations);
            }
            Part::Text(text) => {
                message.content.extend(text_block(text));
                let citations = text.annotations.iter().map(citation::shown);
                message.citations.extend(citations);
            }
            Part::Refusal(text) => message.content.push(Block::Text {
                text: text.into(),
                signature: None,
            }),
            Part::Reasoning(reasoning) => message.content.push(thought(reasoning)),
            Part::ToolCall(call) => message.tool_calls.push(call.into()),
            Part::Unknown { format, raw } if *format == FORMAT => {
                message.content.push(Block::Raw(raw));
            }
            Part::Unknown { format, raw } => {
                message.provider_content.push(Foreign { format, raw });
            }
            // No provider answers with media in a chat of this domain; what it sent is kept as unknown.
            Part::Image(_) | Part::Document(_) | Part::Audio(_) => {}
        }
    }
    message
}

fn text_block(text: &Text) -> Option<Block<'_>> {
    let is_empty = text.text.is_empty() && text.signature.is_none();
    (!is_empty).then_some(Block::Text {
        text: Cow::Borrowed(&text.text),
        signature: text.signature.as_deref(),
    })
}

fn thought(reasoning: &Reasoning) -> Block<'_> {
    Block::Thinking {
        thinking: reasoning.text.as_deref().unwrap_or_default(),
        signature: reasoning.signature.as_deref(),
        redacted: reasoning.redacted.as_deref(),
    }
}

impl<'a> From<&'a ToolCall> for Call<'a> {
    fn from(call: &'a ToolCall) -> Self {
        let is_empty = call.arguments.trim().is_empty();
        Self {
            id: &call.id,
            kind: "function",
            function: CalledFunction {
                name: &call.name,
                arguments: if is_empty { "{}" } else { &call.arguments },
            },
            extra_content: call.signature.as_deref().map(ExtraContent::signed),
        }
    }
}

/// The vendor's word for the end. It has none for an answer that a policy stopped: that is an error, and
/// `native_finish_reason` says which.
pub(super) fn finish_word(finish: &Finish) -> &'static str {
    match finish.reason {
        FinishReason::Stop if finish.stop_sequence.is_some() => "STOP_SEQUENCE",
        FinishReason::Stop if finish.native == "STOP_SEQUENCE" => "STOP_SEQUENCE",
        FinishReason::Stop | FinishReason::Pause => "COMPLETE",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ToolCalls => "TOOL_CALL",
        FinishReason::Error if finish.native == "TIMEOUT" => "TIMEOUT",
        FinishReason::Error | FinishReason::ContentFilter => "ERROR",
    }
}

/// The provider's own word, where it is another one; empty otherwise.
pub(super) fn foreign_word(finish: &Finish) -> &str {
    if finish.native == finish_word(finish) {
        ""
    } else {
        &finish.native
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    id: &'a str,
    message: &'a str,
}

/// Renders a problem as the vendor's error object. <https://docs.cohere.com/reference/errors>
pub(crate) fn problem_body(problem: &Problem, request_id: &str) -> Bytes {
    if let Some(verbatim) = &problem.verbatim {
        return verbatim.clone();
    }
    let body = ErrorBody {
        id: request_id,
        message: &problem.detail,
    };
    let mut out = BytesMut::with_capacity(256);
    append(&body, &mut out);
    out.freeze()
}
