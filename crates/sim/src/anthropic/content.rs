//! The rules of content blocks.
//! See <https://docs.claude.com/en/api/messages>.

use super::check::{
    bad, boolean, dictionary, is_word, list, object, one_of, plain, required, tag, text,
};
use super::signature;
use crate::cache::{Life, MarkedPrefix};
use crate::media;
use crate::node::Node;
use crate::tokens;
use crate::vendor::Failure;

/// What a block means for the rules between messages and for the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block<'v> {
    Text(&'v str),
    Thinking,
    ToolUse { id: &'v str, name: &'v str },
    ToolResult { id: &'v str, text: String },
    Other,
}

/// Reads blocks, counting their tokens and cache breakpoints on the way.
pub(super) struct Reader {
    pub(super) prefix: MarkedPrefix,
    pub(super) seed: u64,
}

const BLOCKS: [&str; 12] = [
    "code_execution_tool_result",
    "document",
    "image",
    "redacted_thinking",
    "search_result",
    "server_tool_use",
    "text",
    "thinking",
    "tool_result",
    "tool_use",
    "web_fetch_tool_result",
    "web_search_tool_result",
];

impl Reader {
    /// The content of a message: a text, or blocks.
    pub(super) fn content<'v>(
        &mut self,
        content: &Node<'v, '_>,
        role: &str,
    ) -> Result<Vec<Block<'v>>, Failure> {
        if let Some(words) = content.text() {
            if words.is_empty() {
                return Ok(Vec::new());
            }
            self.words(words);
            return Ok(vec![Block::Text(words)]);
        }
        list(content)?;
        content
            .items()
            .map(|block| self.block(&block, role))
            .collect()
    }

    fn block<'v>(&mut self, block: &Node<'v, '_>, role: &str) -> Result<Block<'v>, Failure> {
        let kind = tag(block, &BLOCKS)?;
        let expected = match kind {
            "tool_use"
            | "thinking"
            | "redacted_thinking"
            | "server_tool_use"
            | "web_search_tool_result" => Some("assistant"),
            "tool_result" | "image" | "document" | "search_result" => Some("user"),
            _ => None,
        };
        if let Some(expected) = expected.filter(|expected| *expected != role) {
            return Err(bad(
                block,
                &format!("`{kind}` blocks can only be in `{expected}` messages"),
            ));
        }
        let read = match kind {
            "text" => Block::Text(self.text(block)?),
            "thinking" => self.thinking(block)?,
            "redacted_thinking" => self.redacted(block)?,
            "tool_use" => self.tool_use(block)?,
            "tool_result" => self.tool_result(block)?,
            "image" => self.image(block)?,
            "document" => self.document(block)?,
            _ => {
                self.words(&block.value.to_string());
                Block::Other
            }
        };
        self.mark(block)?;
        Ok(read)
    }

    fn words(&mut self, words: &str) {
        self.prefix.block(words, tokens::of_text(words));
    }

    /// A text block; also those of `system`.
    pub(super) fn text<'v>(&mut self, block: &Node<'v, '_>) -> Result<&'v str, Failure> {
        object(block, &["type", "text", "cache_control", "citations"])?;
        let words = text(&required(block, "text")?)?;
        let place = block.dotted();
        let place = place.split('.').next().unwrap_or_default();
        if words.is_empty() {
            return Err(plain(format!(
                "{place}: text content blocks must be non-empty"
            )));
        }
        if words.trim().is_empty() {
            return Err(plain(format!(
                "{place}: text content blocks must contain non-whitespace text"
            )));
        }
        self.words(words);
        Ok(words)
    }

    fn thinking<'v>(&mut self, block: &Node<'v, '_>) -> Result<Block<'v>, Failure> {
        object(block, &["type", "thinking", "signature"])?;
        let thought = text(&required(block, "thinking")?)?;
        let signature = text(&required(block, "signature")?)?;
        if signature != signature::sign(self.seed, thought) {
            return Err(bad(block, "Invalid `signature` in `thinking` block"));
        }
        self.words(thought);
        Ok(Block::Thinking)
    }

    fn redacted<'v>(&mut self, block: &Node<'v, '_>) -> Result<Block<'v>, Failure> {
        object(block, &["type", "data"])?;
        let data = text(&required(block, "data")?)?;
        if !signature::is_redacted(self.seed, data) {
            return Err(bad(block, "Invalid `data` in `redacted_thinking` block"));
        }
        self.words(data);
        Ok(Block::Thinking)
    }

    fn tool_use<'v>(&mut self, block: &Node<'v, '_>) -> Result<Block<'v>, Failure> {
        object(
            block,
            &[
                "type",
                "id",
                "name",
                "input",
                "cache_control",
                "caller",
                "toolset_name",
            ],
        )?;
        let id = tool_id(&required(block, "id")?)?;
        let name = required(block, "name")?;
        let name = tool_name(&name)?;
        let input = required(block, "input")?;
        dictionary(&input)?;
        self.words(&format!("{name}{}", input.value));
        Ok(Block::ToolUse { id, name })
    }

    fn tool_result<'v>(&mut self, block: &Node<'v, '_>) -> Result<Block<'v>, Failure> {
        object(
            block,
            &[
                "type",
                "tool_use_id",
                "content",
                "is_error",
                "cache_control",
                "toolset_name",
            ],
        )?;
        let id = tool_id(&required(block, "tool_use_id")?)?;
        if let Some(is_error) = block.get("is_error") {
            boolean(&is_error)?;
        }
        let mut said = String::new();
        if let Some(content) = block.get("content") {
            if let Some(words) = content.text() {
                said.push_str(words);
                self.words(words);
            } else {
                list(&content)?;
                for part in content.items() {
                    match tag(
                        &part,
                        &[
                            "text",
                            "image",
                            "document",
                            "search_result",
                            "tool_reference",
                        ],
                    )? {
                        "text" => said.push_str(self.text(&part)?),
                        "image" => drop(self.image(&part)?),
                        "document" => drop(self.document(&part)?),
                        _ => self.words(&part.value.to_string()),
                    }
                    self.mark(&part)?;
                }
            }
        }
        Ok(Block::ToolResult { id, text: said })
    }

    fn image<'v>(&mut self, block: &Node<'v, '_>) -> Result<Block<'v>, Failure> {
        object(
            block,
            &["type", "source", "cache_control", "transformations"],
        )?;
        let source = required(block, "source")?;
        match tag(&source, &["base64", "file", "url"])? {
            "base64" => {
                object(&source, &["type", "media_type", "data"])?;
                let declared = required(&source, "media_type")?;
                let declared = one_of(
                    &declared,
                    &["image/jpeg", "image/png", "image/gif", "image/webp"],
                )?;
                let data = required(&source, "data")?;
                let bytes = decoded(&data)?;
                match media::image_type(&bytes) {
                    Some(found) if found == declared => {}
                    Some(found) => {
                        let problem = format!(
                            "The image was specified using the {declared} media type, but the image appears to be a {found} image"
                        );
                        return Err(plain(format!("{}.base64: {problem}", source.dotted())));
                    }
                    None => return Err(plain("Could not process image")),
                }
                self.prefix
                    .block(data.text().unwrap_or_default(), tokens::IMAGE);
            }
            "url" => {
                let url = source_url(&source)?;
                self.prefix.block(url, tokens::IMAGE);
            }
            _ => return Err(no_file(&source)),
        }
        Ok(Block::Other)
    }

    fn document<'v>(&mut self, block: &Node<'v, '_>) -> Result<Block<'v>, Failure> {
        object(
            block,
            &[
                "type",
                "source",
                "cache_control",
                "title",
                "context",
                "citations",
            ],
        )?;
        for key in ["title", "context"] {
            if let Some(node) = block.present(key) {
                text(&node)?;
            }
        }
        let source = required(block, "source")?;
        match tag(&source, &["base64", "content", "file", "text", "url"])? {
            "base64" => {
                object(&source, &["type", "media_type", "data"])?;
                one_of(&required(&source, "media_type")?, &["application/pdf"])?;
                let data = required(&source, "data")?;
                let bytes = decoded(&data)?;
                if !media::is_pdf(&bytes) {
                    return Err(plain(format!(
                        "{}.base64.data: The PDF specified was not valid.",
                        source.dotted()
                    )));
                }
                self.prefix.block(
                    data.text().unwrap_or_default(),
                    tokens::of_document(bytes.len()),
                );
            }
            "text" => {
                object(&source, &["type", "media_type", "data"])?;
                one_of(&required(&source, "media_type")?, &["text/plain"])?;
                self.words(text(&required(&source, "data")?)?);
            }
            "url" => {
                let url = source_url(&source)?;
                self.prefix.block(url, tokens::of_document(0));
            }
            "content" => {
                object(&source, &["type", "content"])?;
                let content = required(&source, "content")?;
                if let Some(words) = content.text() {
                    self.words(words);
                } else {
                    list(&content)?;
                    for part in content.items() {
                        match tag(&part, &["image", "text"])? {
                            "text" => drop(self.text(&part)?),
                            _ => drop(self.image(&part)?),
                        }
                    }
                }
            }
            _ => return Err(no_file(&source)),
        }
        Ok(Block::Other)
    }

    /// Reads a block's `cache_control`; a request has at most four.
    pub(super) fn mark(&mut self, block: &Node<'_, '_>) -> Result<(), Failure> {
        let Some(control) = block.present("cache_control") else {
            return Ok(());
        };
        object(&control, &["type", "ttl"])?;
        tag(&control, &["ephemeral"])?;
        let life = match control
            .get("ttl")
            .map(|ttl| one_of(&ttl, &["5m", "1h"]))
            .transpose()?
        {
            Some("1h") => Life::OneHour,
            _ => Life::FiveMinutes,
        };
        self.prefix.mark(life);
        Ok(())
    }
}

fn source_url<'v>(source: &Node<'v, '_>) -> Result<&'v str, Failure> {
    object(source, &["type", "url"])?;
    let url = required(source, "url")?;
    let address = text(&url)?;
    if address.starts_with("https://") {
        Ok(address)
    } else {
        Err(plain(format!(
            "{}.url: Only HTTPS URLs are supported.",
            source.dotted()
        )))
    }
}

fn no_file(source: &Node<'_, '_>) -> Failure {
    let id = source
        .get("file_id")
        .and_then(|id| id.text())
        .unwrap_or_default();
    Failure::new(404, "not_found_error", format!("File not found: {id}"))
}

fn decoded(data: &Node<'_, '_>) -> Result<Vec<u8>, Failure> {
    media::decode_standard(text(data)?)
        .filter(|bytes| !bytes.is_empty())
        .ok_or_else(|| bad(data, "invalid base64 data"))
}

fn tool_id<'v>(node: &Node<'v, '_>) -> Result<&'v str, Failure> {
    let id = text(node)?;
    if is_word(id) {
        Ok(id)
    } else {
        Err(bad(node, "String should match pattern '^[a-zA-Z0-9_-]+$'"))
    }
}

/// The name of a tool: `^[a-zA-Z0-9_-]{1,128}$`.
pub(super) fn tool_name<'v>(node: &Node<'v, '_>) -> Result<&'v str, Failure> {
    let name = text(node)?;
    if name.is_empty() {
        return Err(bad(node, "String should have at least 1 character"));
    }
    if name.len() > 128 {
        return Err(bad(node, "String should have at most 128 characters"));
    }
    if is_word(name) {
        Ok(name)
    } else {
        Err(bad(
            node,
            "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
        ))
    }
}
