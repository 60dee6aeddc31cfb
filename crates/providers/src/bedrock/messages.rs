//! The conversation in Converse's words: system blocks apart, then turns that alternate between user and
//! assistant.

use std::borrow::Cow;

use domain::chat::{
    CacheControl, Conversion, Extensions, Message, Part, Reasoning, Text, ToolCall, ToolResult,
};
use domain::model::Capabilities;
use serde_json::value::RawValue;

use super::conversation::Conversation;
use super::media::{self, DocumentNames};
use super::model::Family;
use super::wire::{self, Block, Role};
use super::{FORMAT, cache};
use crate::anthropic::call_ids::CallIds;
use crate::anthropic::messages::{input, thoughts_first};
use crate::anthropic::tools::ToolNames;
use crate::dialect::Refusal;

/// The longest id of a tool call, in bytes.
const MAX_CALL_ID: usize = 64;

/// What the translation of the messages needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) family: Family,
    pub(super) capabilities: &'a Capabilities,
    /// Whether a system message may stand between other messages.
    pub(super) takes_system_between_messages: bool,
    /// Whether the conversation may end with words of the assistant's, to be continued.
    pub(super) takes_prefill: bool,
}

/// Translates the messages.
pub(super) fn translate<'a>(
    messages: &'a [Message],
    setting: Setting<'_>,
    names: &mut ToolNames,
    report: &mut Conversion,
) -> Result<Conversation<'a>, Refusal> {
    let mut builder = Builder {
        conversation: Conversation::default(),
        ids: CallIds::at_most(MAX_CALL_ID),
        documents: DocumentNames::default(),
        setting,
        names,
        report,
    };
    for (index, message) in messages.iter().enumerate() {
        builder.message(index, message)?;
    }
    let mut conversation = builder.conversation;
    conversation.complete(setting.takes_prefill, report);
    report.carry("messages");
    Ok(conversation)
}

struct Builder<'a, 'b> {
    conversation: Conversation<'a>,
    ids: CallIds<'a>,
    documents: DocumentNames,
    setting: Setting<'b>,
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
                self.push(Role::User, &path, blocks);
            }
            Message::Assistant { content, name } => {
                self.report_name(&path, name.as_deref());
                let blocks = self.assistant_blocks(&path, content);
                self.push(Role::Assistant, &path, blocks);
            }
            Message::Tool(result) => {
                let blocks = self.tool_result(&path, result)?;
                self.push(Role::User, &path, blocks);
            }
        }
        Ok(())
    }

    /// Leading instructions become system blocks. Later ones keep their place, so that the cached
    /// prefix before them stays valid: as a system message where the model takes one, else in the
    /// user's turn.
    fn system(&mut self, path: &str, content: &'a [Part]) {
        let leads = self.conversation.turns.is_empty();
        let stays = self.setting.takes_system_between_messages;
        let mut blocks = Vec::new();
        for (place, part) in content.iter().enumerate() {
            let path = format!("{path}.content[{place}]");
            match part {
                Part::Text(text) => self.text(&path, text, &mut blocks),
                Part::Unknown { format, raw } if *format == FORMAT => blocks.push(Block::Raw(raw)),
                _ => self
                    .report
                    .drop(path, "the provider's system messages hold text only"),
            }
        }
        if leads {
            self.conversation.system.extend(blocks);
        } else if stays {
            self.push(Role::System, path, blocks);
        } else if !blocks.is_empty() {
            self.report.change(
                path.to_owned(),
                "sent in its place as the user's text, because this model takes system messages only at the front",
            );
            let blocks = blocks.into_iter().map(marked).collect();
            self.push(Role::User, path, blocks);
        }
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
                Part::Text(text) => self.text(&path, text, &mut blocks),
                Part::Refusal(text) => blocks.extend(plain(text)),
                Part::Image(_) if self.setting.capabilities.images == Some(false) => {
                    return Err(Refusal::of(path, "The target model does not see images."));
                }
                Part::Image(image) => {
                    blocks.push(media::image(image, &path, self.report)?);
                    self.cache(&path, image.cache, &mut blocks);
                }
                Part::Document(_) if self.setting.capabilities.documents == Some(false) => {
                    let detail = "The target model does not read documents.";
                    return Err(Refusal::of(path, detail));
                }
                Part::Document(document) => {
                    let documents = &mut self.documents;
                    blocks.push(media::document(document, documents, &path, self.report)?);
                    self.cache(&path, document.cache, &mut blocks);
                }
                Part::Audio(_) if !self.hears() => {
                    let detail = "The target model does not hear audio. Send a transcript instead.";
                    return Err(Refusal::of(path, detail));
                }
                Part::Audio(audio) => {
                    blocks.push(media::audio(audio, &path)?);
                    self.cache(&path, audio.cache, &mut blocks);
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

    fn hears(&self) -> bool {
        let by_name = self.setting.family != Family::Claude;
        self.setting.capabilities.audio.unwrap_or(by_name)
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
                    self.text(&format!("{path}.content"), text, &mut blocks);
                }
                Part::Refusal(text) => {
                    self.report
                        .change(format!("{path}.refusal"), "sent as text");
                    blocks.extend(plain(text));
                }
                Part::Reasoning(reasoning) => blocks.extend(self.reasoning(path, reasoning)),
                Part::ToolCall(call) => {
                    let path = format!("{path}.tool_calls[{calls}]");
                    calls += 1;
                    blocks.push(self.tool_call(&path, call));
                    self.cache(&path, call.cache, &mut blocks);
                }
                Part::Unknown { format, raw } if *format == FORMAT && is_content(raw) => {
                    blocks.push(Block::Raw(raw));
                }
                Part::Unknown { format, .. } if *format == FORMAT => self.report.drop(
                    format!("{path}.provider_content"),
                    "a remark of the provider's about its answer, which it does not take back",
                ),
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

    fn text(&mut self, path: &str, text: &'a Text, blocks: &mut Vec<Block<'a>>) {
        if text.signature.is_some() {
            self.report_signature(path);
        }
        if !text.text.trim().is_empty() {
            blocks.push(Block::Text(Cow::Borrowed(&text.text)));
            self.cache(path, text.cache, blocks);
        } else if !text.text.is_empty() || text.cache.is_some() {
            self.report
                .drop(path.to_owned(), "the provider refuses blank text");
        }
    }

    /// A breakpoint is a block of its own, behind the one that it belongs to.
    fn cache(&mut self, path: &str, cache: Option<CacheControl>, blocks: &mut Vec<Block<'a>>) {
        if let Some(cache) = cache {
            let path = format!("{path}.cache_control");
            let point = cache::point(cache, self.setting.family, path, self.report);
            blocks.extend(point.map(Block::CachePoint));
        }
    }

    /// Thoughts go back byte for byte; without the provider's signature they would be refused.
    fn reasoning(&mut self, path: &str, reasoning: &'a Reasoning) -> Option<Block<'a>> {
        if !self.setting.family.takes_thoughts_back() {
            let reason = "this model takes no thoughts of earlier turns back";
            self.report
                .drop(format!("{path}.reasoning_content"), reason);
            return None;
        }
        let content = match (&reasoning.redacted, &reasoning.signature) {
            (Some(data), _) => wire::Reasoning::RedactedContent(data),
            (None, Some(signature)) => wire::Reasoning::ReasoningText {
                text: reasoning.text.as_deref().unwrap_or_default(),
                signature,
            },
            (None, None) => {
                self.report.drop(
                    format!("{path}.reasoning_content"),
                    "the provider takes back only thoughts that bear its signature",
                );
                return None;
            }
        };
        Some(Block::ReasoningContent(content))
    }

    fn tool_call(&mut self, path: &str, call: &'a ToolCall) -> Block<'a> {
        if call.signature.is_some() {
            self.report_signature(path);
        }
        let tool_use_id = self.ids.assign(&call.id);
        if tool_use_id != call.id {
            self.report.change(
                format!("{path}.id"),
                format!("sent as {tool_use_id:?}, in which the provider's rule for ids is kept"),
            );
        }
        let (input, is_wrapped) = input(&call.arguments);
        if is_wrapped {
            self.report.change(
                format!("{path}.function.arguments"),
                "not a JSON object; sent as the text of one",
            );
        }
        let name = self.names.target(&call.name);
        self.conversation.called.push(name.clone());
        Block::ToolUse {
            tool_use_id,
            name,
            input,
        }
    }

    /// A tool's answer holds no cache breakpoints and no recordings; breakpoints move behind it.
    fn tool_result(
        &mut self,
        path: &str,
        result: &'a ToolResult,
    ) -> Result<Vec<Block<'a>>, Refusal> {
        let blocks = self.user_blocks(path, &result.content)?;
        let (mut points, mut content): (Vec<_>, Vec<_>) = blocks
            .into_iter()
            .partition(|block| matches!(block, Block::CachePoint(_)));
        if content.iter().any(|block| matches!(block, Block::Audio(_))) {
            let detail = "The target takes no audio from a tool. Send a transcript instead.";
            return Err(Refusal::of(format!("{path}.content"), detail));
        }
        if content.is_empty() {
            self.report.change(
                format!("{path}.content"),
                "empty; sent as \"(no output)\", because the provider refuses blank text",
            );
            content.push(Block::Text(Cow::Borrowed("(no output)")));
        }
        self.cache(path, result.cache, &mut points);
        let mut blocks = vec![Block::ToolResult {
            tool_use_id: self.ids.current(&result.call_id),
            content,
            status: result.is_error.then_some("error"),
        }];
        blocks.extend(points.pop());
        Ok(blocks)
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

/// Whether something that came from Converse was content, and not a remark about the answer that stood in
/// its stream.
fn is_content(raw: &RawValue) -> bool {
    const REMARKS: [&str; 6] = [
        "additionalModelResponseFields",
        "contentBlockDelta",
        "contentBlockStart",
        "messageStart",
        "messageStop",
        "metadata",
    ];
    let fields: Result<Extensions, _> = serde_json::from_str(raw.get());
    fields.is_ok_and(|fields| !REMARKS.iter().any(|remark| fields.contains_key(*remark)))
}

fn plain(text: &str) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text(Cow::Borrowed(text)))
}

/// Says in the text that the operator is speaking, not the user.
fn marked(block: Block<'_>) -> Block<'_> {
    match block {
        Block::Text(text) => Block::Text(Cow::Owned(format!("<system>\n{text}\n</system>"))),
        other => other,
    }
}
