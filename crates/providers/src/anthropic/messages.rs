//! The conversation in Anthropic's words: system blocks apart, then turns that alternate between user
//! and assistant.

use std::borrow::Cow;

use domain::chat::{Conversion, Message, Part, Reasoning, Text, ToolCall, ToolResult};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::call_ids::CallIds;
use super::conversation::Conversation;
use super::model::Model;
use super::tools::ToolNames;
use super::wire::{self, Block, Role};
use super::{FORMAT, media};
use crate::dialect::Refusal;

/// Translates the messages.
pub(super) fn translate<'a>(
    messages: &'a [Message],
    model: &Model<'_>,
    names: &mut ToolNames,
    report: &mut Conversion,
) -> Result<Conversation<'a>, Refusal> {
    let mut builder = Builder {
        conversation: Conversation::default(),
        waiting: Vec::new(),
        ids: CallIds::default(),
        model,
        names,
        report,
    };
    for (index, message) in messages.iter().enumerate() {
        builder.message(index, message)?;
    }
    builder.place_waiting();
    let mut conversation = builder.conversation;
    conversation.complete(model, report);
    report.carry("messages");
    Ok(conversation)
}

struct Builder<'a, 'b> {
    conversation: Conversation<'a>,
    /// System blocks from between the messages, which may stand only behind a user's turn.
    waiting: Vec<Block<'a>>,
    ids: CallIds<'a>,
    model: &'b Model<'b>,
    names: &'b mut ToolNames,
    report: &'b mut Conversion,
}

impl<'a> Builder<'a, '_> {
    fn message(&mut self, index: usize, message: &'a Message) -> Result<(), Refusal> {
        let path = format!("messages[{index}]");
        match message {
            Message::System(content) | Message::Developer(content) => self.system(&path, content),
            Message::User { content, name } => {
                self.report_name(&path, name.as_deref());
                let blocks = self.user_blocks(&path, content)?;
                if !self.waiting.is_empty() {
                    self.report.change(
                        path.clone(),
                        "the system message before it is sent behind it, where the provider takes one",
                    );
                }
                self.push(Role::User, &path, blocks);
            }
            Message::Assistant { content, name } => {
                self.report_name(&path, name.as_deref());
                let blocks = self.assistant_blocks(&path, content);
                self.place_waiting();
                self.push(Role::Assistant, &path, blocks);
            }
            Message::Tool(result) => {
                let block = self.tool_result(&path, result)?;
                self.push(Role::User, &path, vec![block]);
            }
        }
        Ok(())
    }

    /// Leading instructions become system blocks. Later ones keep their place, so that the cached
    /// prefix before them stays valid: as a system message where the model takes one, else in the
    /// user's turn.
    fn system(&mut self, path: &str, content: &'a [Part]) {
        let mut blocks = Vec::new();
        for (place, part) in content.iter().enumerate() {
            let path = format!("{path}.content[{place}]");
            match part {
                Part::Text(text) => blocks.extend(self.text(&path, text)),
                _ => self
                    .report
                    .drop(path, "the provider's system messages hold text only"),
            }
        }
        if self.conversation.turns.is_empty() {
            self.conversation.system.extend(blocks);
        } else if self.model.takes_system_between_messages() {
            self.waiting.extend(blocks);
        } else if !blocks.is_empty() {
            self.report.change(
                path.to_owned(),
                "sent in its place as the user's text, because this model takes system messages only at the front",
            );
            let blocks = blocks.into_iter().map(marked).collect();
            self.push(Role::User, path, blocks);
        }
    }

    /// Puts the waiting system blocks behind the user's turn that was just completed.
    fn place_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let blocks = std::mem::take(&mut self.waiting);
        let last = self.conversation.turns.last().map(|turn| turn.role);
        let turn = if last == Some(Role::User) {
            wire::Message {
                role: Role::System,
                content: blocks,
            }
        } else {
            self.report.change(
                "messages",
                "a system message behind an assistant's is sent as the user's text, as the provider demands",
            );
            wire::Message {
                role: Role::User,
                content: blocks.into_iter().map(marked).collect(),
            }
        };
        self.conversation.turns.push(turn);
    }

    fn push(&mut self, role: Role, path: &str, blocks: Vec<Block<'a>>) {
        if blocks.is_empty() {
            self.report.drop(
                path.to_owned(),
                "the provider takes no message without content",
            );
            return;
        }
        match self.conversation.turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.extend(blocks),
            _ => self.conversation.turns.push(wire::Message {
                role,
                content: blocks,
            }),
        }
    }

    fn user_blocks(&mut self, path: &str, content: &'a [Part]) -> Result<Vec<Block<'a>>, Refusal> {
        let mut blocks = Vec::new();
        for (place, part) in content.iter().enumerate() {
            let path = format!("{path}.content[{place}]");
            match part {
                Part::Text(text) => blocks.extend(self.text(&path, text)),
                Part::Refusal(text) => blocks.extend(plain(text)),
                Part::Image(_) if !self.model.sees_images() => {
                    return Err(Refusal::of(path, "The target model does not see images."));
                }
                Part::Image(image) => blocks.push(media::image(image, &path, self.report)?),
                Part::Document(_) if !self.model.reads_documents() => {
                    let detail = "The target model does not read documents.";
                    return Err(Refusal::of(path, detail));
                }
                Part::Document(document) => {
                    blocks.push(media::document(document, &path, self.report)?);
                }
                Part::Audio(_) => {
                    let detail = "Claude models do not hear audio. Send a transcript instead.";
                    return Err(Refusal::of(path, detail));
                }
                Part::Unknown { format, raw } if *format == FORMAT => blocks.push(Block::Raw(raw)),
                Part::Unknown { .. } => {
                    let detail = "The target knows no content of this type.";
                    return Err(Refusal::of(path, detail));
                }
                Part::Reasoning(_) | Part::ToolCall(_) => self
                    .report
                    .drop(path, "only the assistant thinks and calls tools"),
            }
        }
        Ok(blocks)
    }

    fn assistant_blocks(&mut self, path: &str, content: &'a [Part]) -> Vec<Block<'a>> {
        let mut calls = 0;
        let mut blocks = Vec::new();
        for part in thoughts_first(content) {
            match part {
                Part::Text(text) => {
                    if !text.annotations.is_empty() {
                        self.report.drop(
                            format!("{path}.annotations"),
                            "the provider takes citations back only with the documents they cite",
                        );
                    }
                    blocks.extend(self.text(&format!("{path}.content"), text));
                }
                Part::Refusal(text) => {
                    self.report
                        .change(format!("{path}.refusal"), "sent as text");
                    blocks.extend(plain(text));
                }
                Part::Reasoning(reasoning) => blocks.extend(self.reasoning(path, reasoning)),
                Part::ToolCall(call) => {
                    blocks.push(self.tool_call(&format!("{path}.tool_calls[{calls}]"), call));
                    calls += 1;
                }
                Part::Unknown { format, raw } if *format == FORMAT => blocks.push(Block::Raw(raw)),
                Part::Image(_) | Part::Document(_) | Part::Audio(_) | Part::Unknown { .. } => {
                    self.report.drop(
                        format!("{path}.content"),
                        "the provider takes text, thoughts and tool calls from an assistant",
                    );
                }
            }
        }
        blocks
    }

    fn text(&mut self, path: &str, text: &'a Text) -> Option<Block<'a>> {
        if text.signature.is_some() {
            self.report_signature(path);
        }
        if !text.text.trim().is_empty() {
            return Some(Block::Text {
                text: Cow::Borrowed(&text.text),
                cache_control: text.cache.map(Into::into),
            });
        }
        if !text.text.is_empty() || text.cache.is_some() {
            self.report
                .drop(path.to_owned(), "the provider refuses blank text");
        }
        None
    }

    /// Thoughts go back byte for byte; without the provider's signature they would be refused.
    fn reasoning(&mut self, path: &str, reasoning: &'a Reasoning) -> Option<Block<'a>> {
        if let Some(data) = &reasoning.redacted {
            if !is_own_data(data) {
                self.report.drop(
                    format!("{path}.reasoning_details"),
                    "the provider takes back only thoughts that it encrypted itself",
                );
                return None;
            }
            return Some(Block::RedactedThinking { data });
        }
        let Some(signature) = &reasoning.signature else {
            self.report.drop(
                format!("{path}.reasoning_content"),
                "the provider takes back only thoughts that bear its signature",
            );
            return None;
        };
        Some(Block::Thinking {
            thinking: reasoning.text.as_deref().unwrap_or_default(),
            signature,
        })
    }

    fn tool_call(&mut self, path: &str, call: &'a ToolCall) -> Block<'a> {
        if call.signature.is_some() {
            self.report_signature(path);
        }
        let id = self.ids.assign(&call.id);
        if id != call.id {
            self.report.change(
                format!("{path}.id"),
                format!("sent as {id:?}, in which the provider's rule for ids is kept"),
            );
        }
        let (input, is_wrapped) = input(&call.arguments);
        if is_wrapped {
            self.report.change(
                format!("{path}.function.arguments"),
                "not a JSON object; sent as the text of one",
            );
        }
        Block::ToolUse {
            id,
            name: self.names.target(&call.name),
            input,
            cache_control: call.cache.map(Into::into),
        }
    }

    fn tool_result(&mut self, path: &str, result: &'a ToolResult) -> Result<Block<'a>, Refusal> {
        Ok(Block::ToolResult {
            tool_use_id: self.ids.current(&result.call_id),
            content: self.user_blocks(path, &result.content)?,
            is_error: result.is_error,
            cache_control: result.cache.map(Into::into),
        })
    }

    fn report_name(&mut self, path: &str, name: Option<&str>) {
        if name.is_some() {
            self.report.drop(
                format!("{path}.name"),
                "the provider's messages bear no names",
            );
        }
    }

    fn report_signature(&mut self, path: &str) {
        self.report.drop(
            format!("{path}.extra_content"),
            "the signature is another provider's",
        );
    }
}

/// Whether encrypted thoughts are Anthropic's. Its data is base64; that of others is marked with who made
/// it before a colon, but for OpenAI's tokens, which begin alike.
pub(crate) fn is_own_data(data: &str) -> bool {
    !data.contains(':') && !data.starts_with("gAAAA")
}

/// The thoughts of a message before the rest, unless it begins with thoughts: then their places are
/// the provider's own (it thinks between tool calls, too).
pub(crate) fn thoughts_first(content: &[Part]) -> impl Iterator<Item = &Part> {
    let is_thought = |part: &&Part| matches!(part, Part::Reasoning(_));
    let in_order = content.first().as_ref().is_some_and(is_thought);
    let first = content
        .iter()
        .filter(move |part| !in_order && is_thought(part));
    let rest = content
        .iter()
        .filter(move |part| in_order || !is_thought(part));
    first.chain(rest)
}

fn plain(text: &str) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text {
        text: Cow::Borrowed(text),
        cache_control: None,
    })
}

/// Says in the text that the operator is speaking, not the user.
fn marked(block: Block<'_>) -> Block<'_> {
    match block {
        Block::Text {
            text,
            cache_control,
        } => Block::Text {
            text: Cow::Owned(format!("<system>\n{text}\n</system>")),
            cache_control,
        },
        other => other,
    }
}

/// A tool call's arguments as the object that the provider wants; whether they had to be wrapped.
pub(crate) fn input(arguments: &str) -> (Cow<'_, RawValue>, bool) {
    let arguments = arguments.trim();
    if arguments.is_empty() {
        return (Cow::Owned(object(&json!({}))), false);
    }
    match serde_json::from_str::<&RawValue>(arguments) {
        Ok(raw) if raw.get().starts_with('{') => (Cow::Borrowed(raw), false),
        _ => (Cow::Owned(object(&json!({"arguments": arguments}))), true),
    }
}

fn object(value: &serde_json::Value) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_default()
}
