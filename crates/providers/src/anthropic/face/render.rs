//! Renders a whole answer as a message.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatResponse, Choice, Finish, FinishReason, Part, Reasoning};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::FORMAT;
use super::blocks::{self, Block, Foreign, Stop};
use super::custody;
use super::usage::Shown;
use crate::face::Rendering;
use crate::openai::render::append;

/// The fields that are written by name.
const OWN: [&str; 12] = [
    "content",
    "id",
    "model",
    "native_stop_reason",
    "provider_content",
    "role",
    "stop_details",
    "stop_reason",
    "stop_sequence",
    "trunkline",
    "type",
    "usage",
];

#[derive(Serialize)]
struct Message<'a> {
    id: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    #[serde(flatten)]
    stop: Stop<'a>,
    usage: Shown,
    #[serde(flatten)]
    rest: BTreeMap<&'a str, &'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    provider_content: Vec<Foreign<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunkline: Option<&'a Value>,
}

/// Renders a whole answer. The format has one choice; more cannot be asked for.
pub(super) fn message(
    response: &ChatResponse,
    rendering: &Rendering,
    report: Option<&Value>,
) -> Bytes {
    let unanswered = Choice {
        index: 0,
        content: Vec::new(),
        finish: Finish {
            reason: FinishReason::Error,
            native: String::new(),
            stop_sequence: None,
        },
        logprobs: None,
    };
    let choice = response.choices.first().unwrap_or(&unanswered);
    let (content, provider_content) = content(&choice.content);
    let has_refused = choice
        .content
        .iter()
        .any(|part| matches!(part, Part::Refusal(_)));
    let usage = match &response.usage {
        Some(usage) => Shown::counted(usage, response.service_tier),
        None => Shown::estimated(
            rendering.estimated_input_tokens,
            crate::tap::Observed::of(response).output_bytes.div_ceil(4),
        ),
    };
    let message = Message {
        id: identifier(response.id.as_deref(), rendering),
        kind: "message",
        role: "assistant",
        model: response.model.as_deref().unwrap_or(&rendering.model),
        content,
        stop: Stop::of(&choice.finish, has_refused),
        usage,
        rest: rest(response),
        provider_content,
        trunkline: report,
    };
    let mut out = BytesMut::with_capacity(1024);
    append(&message, &mut out);
    out.freeze()
}

/// Clients know an answer by this prefix; the provider's own identifier stays readable in it.
pub(super) fn identifier<'a>(provided: Option<&'a str>, rendering: &'a Rendering) -> Cow<'a, str> {
    match provided.filter(|id| !id.is_empty()) {
        Some(id) if id.starts_with("msg_") => Cow::Borrowed(id),
        Some(id) => Cow::Owned(format!("msg_{id}")),
        None => {
            let id = rendering.id.as_str();
            Cow::Owned(format!("msg_{}", id.strip_prefix("req_").unwrap_or(id)))
        }
    }
}

/// What the provider says beside, by names that the format does not use.
fn rest(response: &ChatResponse) -> BTreeMap<&str, &RawValue> {
    let named = response.extensions.iter();
    named
        .map(|(name, raw)| (name.as_str(), &**raw))
        .filter(|(name, _)| !name.contains(['.', '[']) && !OWN.contains(name))
        .collect()
}

/// The blocks, and what has no place among them.
fn content(parts: &[Part]) -> (Vec<Block<'_>>, Vec<Foreign<'_>>) {
    let mut blocks = Vec::with_capacity(parts.len());
    let mut foreign = Vec::new();
    let mut said = String::new();
    for (place, part) in parts.iter().enumerate() {
        match part {
            Part::Text(text) => {
                said.push_str(&text.text);
                let mut citations = Vec::new();
                for annotation in &text.annotations {
                    match blocks::citation(annotation, &said) {
                        Some(citation) => citations.push(citation),
                        None => foreign.push(Foreign::citation(annotation)),
                    }
                }
                let is_empty = text.text.is_empty() && citations.is_empty();
                if !(is_empty && text.signature.is_some()) {
                    blocks.push(Block::Text {
                        text: &text.text,
                        citations,
                    });
                }
                let is_last = place + 1 == parts.len();
                let signature = text.signature.as_deref().filter(|_| !is_last);
                let data = signature.map(custody::of_text);
                blocks.extend(data.map(|data| Block::RedactedThinking { data: data.into() }));
            }
            Part::Refusal(text) => blocks.push(Block::Text {
                text,
                citations: Vec::new(),
            }),
            Part::Reasoning(reasoning) => blocks.extend(thoughts(reasoning)),
            Part::ToolCall(call) => {
                let signature = call.signature.as_deref();
                let data = signature.map(|signature| custody::of_call(&call.id, signature));
                blocks.extend(data.map(|data| Block::RedactedThinking { data: data.into() }));
                blocks.push(Block::ToolUse {
                    id: &call.id,
                    name: &call.name,
                    input: blocks::input(&call.arguments),
                });
            }
            Part::Unknown { format, raw } if *format == FORMAT => blocks.push(Block::Raw(raw)),
            Part::Unknown { format, raw } => foreign.push(Foreign {
                format,
                raw: Cow::Borrowed(raw),
            }),
            // No provider answers with media in a chat of this domain; what it sent is kept as unknown.
            Part::Image(_) | Part::Document(_) | Part::Audio(_) => {}
        }
    }
    if blocks.is_empty() {
        blocks.push(Block::Text {
            text: "",
            citations: Vec::new(),
        });
    }
    (blocks, foreign)
}

/// Thoughts in words, with their signature if they bear one, and what is encrypted of them.
fn thoughts(reasoning: &Reasoning) -> impl Iterator<Item = Block<'_>> {
    let Reasoning {
        text,
        signature,
        redacted,
    } = reasoning;
    let words = (text.is_some() || signature.is_some()).then(|| Block::Thinking {
        thinking: text.as_deref().unwrap_or_default(),
        signature: signature.as_deref().unwrap_or_default(),
    });
    let encrypted = redacted.as_deref().map(|data| Block::RedactedThinking {
        data: Cow::Borrowed(data),
    });
    words.into_iter().chain(encrypted)
}
