//! The rules of content blocks.
//! See <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>.

use serde_json::Value;

use super::model::Family;
use crate::anthropic::signature;
use crate::bedrock::invalid;
use crate::cache::{Life, MarkedPrefix};
use crate::media;
use crate::node::Node;
use crate::tokens;
use crate::vendor::Failure;

/// What a block means for the rules between messages and for the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block<'v> {
    Text(&'v str),
    Reasoning,
    ToolUse { id: &'v str, name: &'v str },
    ToolResult { id: &'v str, text: String },
    Document,
    Other,
}

/// Reads blocks, counting their tokens and cache points on the way.
pub(super) struct Reader {
    pub(super) prefix: MarkedPrefix,
    pub(super) family: Family,
    /// Whether the model takes instructions between messages.
    pub(super) takes_system_messages: bool,
    pub(super) seed: u64,
}

impl Reader {
    pub(super) fn words(&mut self, words: &str) {
        self.prefix.block(words, tokens::of_text(words));
    }

    /// One block of a message of this role. The shape is known to be right.
    pub(super) fn block<'v>(
        &mut self,
        block: &Node<'v, '_>,
        role: &str,
    ) -> Result<Block<'v>, Failure> {
        let Some((kind, inner)) = only(block) else {
            return Ok(Block::Other);
        };
        self.stands(kind, role, block)?;
        Ok(match kind {
            "text" => {
                let words = inner.text().unwrap_or_default();
                if words.trim().is_empty() {
                    return Err(invalid(format!(
                        "The text field in the ContentBlock object at {} is blank. Add text to the text field, and try again.",
                        block.dotted()
                    )));
                }
                self.words(words);
                Block::Text(words)
            }
            "toolUse" => {
                let (id, name) = (text_of(&inner, "toolUseId"), text_of(&inner, "name"));
                let input = inner.get("input").map(|input| input.value.to_string());
                self.words(&format!("{name}{}", input.unwrap_or_default()));
                if !inner.value["input"].is_object() {
                    return Err(invalid(format!(
                        "The format of the value at {}.toolUse.input is invalid. Provide a json object for the field and try again.",
                        block.dotted()
                    )));
                }
                if text_of(&inner, "type") == "server_tool_use" {
                    // What Bedrock runs itself it has answered itself.
                    return Ok(Block::Other);
                }
                Block::ToolUse { id, name }
            }
            "toolResult" => self.tool_result(&inner)?,
            "image" => {
                self.image(&inner)?;
                Block::Other
            }
            "document" => {
                self.document(&inner)?;
                Block::Document
            }
            "reasoningContent" => {
                self.reasoning(block, &inner)?;
                Block::Reasoning
            }
            "cachePoint" => {
                self.cache_point(&inner)?;
                Block::Other
            }
            _ => {
                self.words(&inner.value.to_string());
                Block::Other
            }
        })
    }

    /// Which blocks a role may say, and a model takes.
    fn stands(&self, kind: &str, role: &str, block: &Node<'_, '_>) -> Result<(), Failure> {
        let only_for = match kind {
            "toolUse" | "reasoningContent" => Some("assistant"),
            "toolResult" | "image" | "document" | "video" | "audio" => Some("user"),
            _ => None,
        };
        if let Some(expected) = only_for.filter(|expected| *expected != role) {
            return Err(invalid(format!(
                "The {kind} field at {} can't be used in a message with the {role} role. Use it in a message with the {expected} role, \
                 and try again.",
                block.dotted()
            )));
        }
        let is_refused = match kind {
            "image" | "document" | "video" | "audio" => !self.family.takes_media(),
            "cachePoint" => !self.family.takes_cache_points(),
            "reasoningContent" => matches!(self.family, Family::Open | Family::Nova),
            _ => false,
        };
        if is_refused {
            return Err(invalid(format!(
                "This model doesn't support the {kind} field. Remove {kind} and try again."
            )));
        }
        Ok(())
    }

    fn tool_result<'v>(&mut self, result: &Node<'v, '_>) -> Result<Block<'v>, Failure> {
        let mut said = String::new();
        let content = result.get("content");
        for part in content.iter().flat_map(Node::items) {
            let Some((kind, inner)) = only(&part) else {
                continue;
            };
            match kind {
                "text" => {
                    let words = inner.text().unwrap_or_default();
                    self.words(words);
                    said.push_str(words);
                }
                "json" => {
                    let words = inner.value.to_string();
                    self.words(&words);
                    said.push_str(&words);
                }
                "image" => self.image(&inner)?,
                "document" => self.document(&inner)?,
                _ => self.words(&inner.value.to_string()),
            }
        }
        Ok(Block::ToolResult {
            id: text_of(result, "toolUseId"),
            text: said,
        })
    }

    fn image(&mut self, image: &Node<'_, '_>) -> Result<(), Failure> {
        let Some(data) = bytes_of(image) else {
            self.prefix.block(&image.value.to_string(), tokens::IMAGE);
            return Ok(());
        };
        let bytes = media::decode_standard(data).unwrap_or_default();
        let declared = format!("image/{}", text_of(image, "format"));
        match media::image_type(&bytes) {
            Some(found) if found == declared => {}
            Some(_) => {
                let sentence = format!(
                    "The model returned the following errors: {}: Image does not match the provided media type {declared}",
                    image.dotted()
                );
                return Err(invalid(sentence));
            }
            None => {
                return Err(invalid(
                    "The model returned the following errors: Could not process image",
                ));
            }
        }
        self.prefix.block(data, tokens::IMAGE);
        Ok(())
    }

    fn document(&mut self, document: &Node<'_, '_>) -> Result<(), Failure> {
        let name = text_of(document, "name");
        let is_neutral = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || " -()[]".contains(letter));
        if !is_neutral || name.contains("  ") {
            return Err(invalid(
                "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square \
                 brackets. The name can't contain more than one consecutive whitespace character.",
            ));
        }
        if let Some(data) = bytes_of(document) {
            let bytes = media::decode_standard(data).unwrap_or_default();
            if text_of(document, "format") == "pdf" && !media::is_pdf(&bytes) {
                return Err(invalid(
                    "The model returned the following errors: The PDF specified was not valid.",
                ));
            }
            self.prefix.block(data, tokens::of_document(bytes.len()));
        } else {
            self.words(&document.value["source"].to_string());
        }
        Ok(())
    }

    fn reasoning(&mut self, block: &Node<'_, '_>, reasoning: &Node<'_, '_>) -> Result<(), Failure> {
        if self.family != Family::Claude {
            self.words(&reasoning.value.to_string());
            return Ok(());
        }
        let is_ours = match only(reasoning) {
            Some(("reasoningText", inner)) => {
                let thought = text_of(&inner, "text");
                self.words(thought);
                text_of(&inner, "signature") == signature::sign(self.seed, thought)
            }
            Some((_, data)) => {
                let data = data.text().unwrap_or_default();
                self.words(data);
                signature::is_redacted(self.seed, data)
            }
            None => false,
        };
        if is_ours {
            return Ok(());
        }
        Err(invalid(format!(
            "The model returned the following errors: {}: Invalid `signature` in `thinking` block",
            block.dotted()
        )))
    }

    /// Marks what comes before as worth to be cached.
    pub(super) fn cache_point(&mut self, point: &Node<'_, '_>) -> Result<(), Failure> {
        let life = match text_of(point, "ttl") {
            "1h" => Life::OneHour,
            _ => Life::FiveMinutes,
        };
        self.prefix.mark(life);
        if self.prefix.marks() > 4 {
            return Err(invalid(
                "The model returned the following errors: A maximum of 4 blocks with cache_control may be provided.",
            ));
        }
        Ok(())
    }
}

/// The one member of a union.
pub(super) fn only<'v, 's>(union: &'s Node<'v, '_>) -> Option<(&'v str, Node<'v, 's>)> {
    union.members().find(|(_, member)| !member.value.is_null())
}

/// The text of a member, or an empty one.
pub(super) fn text_of<'v>(node: &Node<'v, '_>, key: &str) -> &'v str {
    node.value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn bytes_of<'v>(node: &Node<'v, '_>) -> Option<&'v str> {
    node.value.get("source")?.get("bytes")?.as_str()
}
