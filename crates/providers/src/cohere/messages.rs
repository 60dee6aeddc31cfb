//! The conversation in Cohere's words. <https://docs.cohere.com/reference/chat#request.body.messages>

use std::borrow::Cow;

use domain::chat::{
    ChatRequest, Conversion, Media, Message, Part, Reasoning, Text, ToolCall, ToolResult,
};

use super::encode::reasons;
use super::wire::{self, Block};
use super::{FORMAT, citation, media};
use crate::dialect::{Refusal, Target};
use crate::tool_names::ToolNames;

/// The messages, and the documents that stand beside them.
#[derive(Default)]
pub(super) struct Conversation<'a> {
    pub(super) messages: Vec<wire::Message<'a>>,
    pub(super) documents: Vec<wire::Document<'a>>,
}

/// Translates the messages; `instruction` is ours and stands behind the caller's own.
pub(super) fn translate<'a>(
    request: &'a ChatRequest,
    instruction: Option<String>,
    target: &Target<'_>,
    names: &'a ToolNames,
    report: &mut Conversion,
) -> Result<Conversation<'a>, Refusal> {
    let mut builder = Builder {
        conversation: Conversation::default(),
        system: Vec::new(),
        pictures: Vec::new(),
        thinks: reasons(target),
        sees: target.capabilities.images != Some(false),
        names,
        report,
    };
    for (index, message) in request.messages.iter().enumerate() {
        builder.message(index, message)?;
    }
    builder.show_pictures();
    let mut system = builder.system;
    let mut conversation = builder.conversation;
    system.extend(instruction.map(|text| Block::Text { text: text.into() }));
    if !system.is_empty() {
        let content = system.into();
        conversation
            .messages
            .insert(0, wire::Message::System { content });
    }
    if conversation.messages.is_empty() {
        return Err(Refusal::of(
            "messages",
            "Nothing is left of the messages that the target could answer.",
        ));
    }
    report.carry("messages");
    Ok(conversation)
}

struct Builder<'a, 'b> {
    conversation: Conversation<'a>,
    /// The instructions before everything else, which Cohere takes in one message only.
    system: Vec<Block<'a>>,
    /// Pictures that tools gave, which wait until all of their results are there.
    pictures: Vec<Block<'a>>,
    thinks: bool,
    sees: bool,
    names: &'a ToolNames,
    report: &'b mut Conversion,
}

impl<'a> Builder<'a, '_> {
    fn message(&mut self, index: usize, message: &'a Message) -> Result<(), Refusal> {
        let path = format!("messages[{index}]");
        if !matches!(message, Message::Tool(_)) {
            self.show_pictures();
        }
        match message {
            Message::System(content) | Message::Developer(content) => self.system(&path, content),
            Message::User { content, name } => {
                self.report_name(&path, name.as_deref());
                let blocks = self.user(&path, content)?;
                self.push_user(path, blocks);
            }
            Message::Assistant { content, name } => {
                self.report_name(&path, name.as_deref());
                self.assistant(&path, content);
            }
            Message::Tool(result) => self.tool_result(&path, result)?,
        }
        Ok(())
    }

    /// "system turn must be the first in the list": later instructions keep their place in the user's
    /// turn, marked as what they are.
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
        if self.conversation.messages.is_empty() {
            self.system.extend(blocks);
            return;
        }
        self.report.change(
            path.to_owned(),
            "sent in its place as the user's text, because the provider takes system messages only at the front",
        );
        let marked = blocks.into_iter().map(marked).collect();
        self.push_user(path.to_owned(), marked);
    }

    fn push_user(&mut self, path: String, blocks: Vec<Block<'a>>) {
        if blocks.is_empty() {
            self.report
                .drop(path, "the provider takes no message without content");
            return;
        }
        let content = blocks.into();
        self.conversation
            .messages
            .push(wire::Message::User { content });
    }

    fn user(&mut self, path: &str, content: &'a [Part]) -> Result<Vec<Block<'a>>, Refusal> {
        let mut blocks = Vec::new();
        let mut documents = Vec::new();
        for (place, part) in content.iter().enumerate() {
            let path = format!("{path}.content[{place}]");
            match part {
                Part::Text(text) => blocks.extend(self.text(&path, text)),
                Part::Refusal(text) => blocks.extend(plain(text)),
                Part::Image(image) => blocks.push(self.image(&path, image)?),
                Part::Document(document) => {
                    let document = media::document(&path, document, self.report)?;
                    documents.push((path, document));
                }
                Part::Audio(_) => {
                    let detail = "Cohere models do not hear audio. Send a transcript instead.";
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
        self.place_documents(documents, &mut blocks);
        Ok(blocks)
    }

    /// Documents stand beside the messages, unless they are all that a message says.
    fn place_documents(
        &mut self,
        documents: Vec<(String, wire::Document<'a>)>,
        blocks: &mut Vec<Block<'a>>,
    ) {
        let is_all = blocks.is_empty();
        for (path, document) in documents {
            if is_all {
                self.report
                    .change(path, "the document's words are sent as the message's text");
                blocks.push(media::as_text(document));
            } else {
                self.report
                    .change(path, "sent in `documents`, beside the messages");
                self.conversation.documents.push(document);
            }
        }
    }

    /// Words before calls are what Cohere calls the plan.
    fn assistant(&mut self, path: &str, content: &'a [Part]) {
        let has_calls = content.iter().any(|part| matches!(part, Part::ToolCall(_)));
        let mut blocks = Vec::new();
        let mut plan: Option<String> = None;
        let mut tool_calls = Vec::new();
        let mut citations = Vec::new();
        for part in content {
            match part {
                Part::Text(text) if has_calls => {
                    self.report_text(&format!("{path}.content"), text);
                    plan.get_or_insert_default().push_str(&text.text);
                }
                Part::Text(text) => {
                    blocks.extend(self.text(&format!("{path}.content"), text));
                    citations.extend(self.citations(path, text));
                }
                Part::Refusal(text) => {
                    self.report
                        .change(format!("{path}.refusal"), "sent as text");
                    blocks.extend(plain(text));
                }
                Part::Reasoning(reasoning) => blocks.extend(self.reasoning(path, reasoning)),
                Part::ToolCall(call) => {
                    let path = format!("{path}.tool_calls[{}]", tool_calls.len());
                    tool_calls.push(self.tool_call(&path, call));
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
        let plan = plan.filter(|plan| !plan.is_empty());
        if blocks.is_empty() && plan.is_none() && tool_calls.is_empty() {
            self.report.drop(
                path.to_owned(),
                "the provider takes no message without content",
            );
            return;
        }
        self.conversation.messages.push(wire::Message::Assistant {
            content: (!blocks.is_empty()).then(|| blocks.into()),
            tool_plan: plan,
            tool_calls,
            citations,
        });
    }

    fn text(&mut self, path: &str, text: &'a Text) -> Option<Block<'a>> {
        self.report_text(path, text);
        plain(&text.text)
    }

    fn report_text(&mut self, path: &str, text: &Text) {
        if text.signature.is_some() {
            self.report_signature(path);
        }
        if text.cache.is_some() {
            media::report_cache(path, self.report);
        }
    }

    /// Citations of Cohere's own go back as they came.
    fn citations(&mut self, path: &str, text: &Text) -> Vec<serde_json::Value> {
        let own: Vec<_> = text
            .annotations
            .iter()
            .filter_map(citation::native)
            .collect();
        if own.len() < text.annotations.len() {
            self.report.drop(
                format!("{path}.annotations"),
                "the provider takes back only citations of its own",
            );
        }
        own
    }

    /// Cohere's thoughts bear no signature, so that those of any model may go back as words.
    fn reasoning(&mut self, path: &str, reasoning: &'a Reasoning) -> Option<Block<'a>> {
        let field = format!("{path}.reasoning_content");
        if !self.thinks {
            self.report.drop(field, "this model does not reason");
            return None;
        }
        let Some(thinking) = reasoning.text.as_deref().filter(|text| !text.is_empty()) else {
            self.report
                .drop(field, "the thoughts are sealed by another provider");
            return None;
        };
        if reasoning.signature.is_some() {
            self.report.change(
                field,
                "sent without its signature, which is another provider's",
            );
        }
        Some(Block::Thinking { thinking })
    }

    fn tool_call(&mut self, path: &str, call: &'a ToolCall) -> wire::ToolCall<'a> {
        if call.signature.is_some() {
            self.report_signature(path);
        }
        if call.cache.is_some() {
            media::report_cache(path, self.report);
        }
        let is_empty = call.arguments.trim().is_empty();
        wire::ToolCall {
            id: &call.id,
            kind: "function",
            function: wire::CalledFunction {
                name: self.names.target(&call.name),
                arguments: Cow::Borrowed(if is_empty { "{}" } else { &call.arguments }),
            },
        }
    }

    fn tool_result(&mut self, path: &str, result: &'a ToolResult) -> Result<(), Refusal> {
        if result.cache.is_some() {
            media::report_cache(path, self.report);
        }
        let mut blocks = Vec::new();
        if result.is_error {
            self.report.change(
                path.to_owned(),
                "that the tool failed is said in words before its result",
            );
            blocks.push(Block::Text {
                text: "The tool failed:".into(),
            });
        }
        for (place, part) in result.content.iter().enumerate() {
            let path = format!("{path}.content[{place}]");
            match part {
                Part::Text(text) => blocks.extend(self.text(&path, text)),
                Part::Refusal(text) => blocks.extend(plain(text)),
                Part::Document(document) => blocks.push(Block::Document {
                    document: media::document(&path, document, self.report)?,
                }),
                Part::Image(image) => {
                    let block = self.image(&path, image)?;
                    self.report.change(
                        path,
                        "sent in a user's message behind the results, because the provider's tools give no pictures",
                    );
                    self.pictures.push(block);
                }
                Part::Unknown { format, raw } if *format == FORMAT => blocks.push(Block::Raw(raw)),
                Part::Unknown { .. } => self.report.drop(
                    path,
                    "only another format knows this piece of a tool's result",
                ),
                Part::Audio(_) => {
                    let detail = "The target takes texts, documents and pictures from a tool.";
                    return Err(Refusal::of(path, detail));
                }
                Part::Reasoning(_) | Part::ToolCall(_) => self
                    .report
                    .drop(path, "only the assistant thinks and calls tools"),
            }
        }
        if blocks.is_empty() {
            // A tool that said nothing still answered.
            let follows = !self.pictures.is_empty();
            let text = if follows { "The result follows." } else { "" };
            blocks.push(Block::Text { text: text.into() });
        }
        self.conversation.messages.push(wire::Message::Tool {
            tool_call_id: &result.call_id,
            content: blocks.into(),
        });
        Ok(())
    }

    fn show_pictures(&mut self) {
        let pictures = std::mem::take(&mut self.pictures);
        if !pictures.is_empty() {
            self.conversation.messages.push(wire::Message::User {
                content: wire::Content::Blocks(pictures),
            });
        }
    }

    fn image(&mut self, path: &str, image: &'a Media) -> Result<Block<'a>, Refusal> {
        if !self.sees {
            return Err(Refusal::of(path, "The target model does not see images."));
        }
        media::image(path, image, self.report)
    }

    fn report_name(&mut self, path: &str, name: Option<&str>) {
        if name.is_some() {
            let reason = "the provider's messages bear no names";
            self.report.drop(format!("{path}.name"), reason);
        }
    }

    fn report_signature(&mut self, path: &str) {
        let reason = "the signature is another provider's";
        self.report.drop(format!("{path}.extra_content"), reason);
    }
}

fn plain(text: &str) -> Option<Block<'_>> {
    (!text.is_empty()).then_some(Block::Text { text: text.into() })
}

/// Says in the text that the operator is speaking, not the user.
fn marked(block: Block<'_>) -> Block<'_> {
    match block {
        Block::Text { text } => Block::Text {
            text: format!("<system>\n{text}\n</system>").into(),
        },
        other => other,
    }
}
