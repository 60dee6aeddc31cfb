//! Reads messages: the results of tools stand for themselves, and what travelled in the caller's hands for
//! other providers goes back to its place.

use std::collections::HashMap;

use domain::chat::{Message, Part, Reasoning, Text};
use serde_json::value::RawValue;

use super::content::{Block, Placed, blocks, texts};
use super::custody::{self, Sealed};
use super::parse::Kept;
use crate::face::InvalidRequest;
use crate::openai::fields::Fields;

/// The messages so far, as the domain has them: the results of tools stand for themselves.
#[derive(Default)]
pub(super) struct Conversation {
    pub(super) messages: Vec<Message>,
}

impl Conversation {
    /// Reads one message.
    pub(super) fn read(
        &mut self,
        mut fields: Fields<'_>,
        kept: &mut Kept,
    ) -> Result<(), InvalidRequest> {
        let role = fields.required_text("role")?;
        let Some(content) = fields.take("content") else {
            return Err(fields.missing("content", "a string or an array of blocks"));
        };
        let path = fields.path().to_owned();
        match role.as_str() {
            "user" => self.user(&path, content, kept)?,
            "assistant" => self.assistant(&path, content, kept)?,
            "system" => {
                let parts = texts(content, &fields.path_of("content"), kept)?;
                self.push(&path, Message::System(parts), kept);
            }
            other => {
                let known = "`user`, `assistant` and `system`";
                return Err(fields.unknown_word("role", other, known));
            }
        }
        fields.keep_rest(&mut kept.extensions);
        Ok(())
    }

    /// The domain's path of the message that comes next.
    fn next(&self) -> String {
        format!("messages[{}]", self.messages.len())
    }

    fn push(&mut self, path: &str, message: Message, kept: &mut Kept) {
        let ours = self.next();
        if ours != path {
            kept.paths.insert(ours, path);
        }
        self.messages.push(message);
    }

    /// The results of tools come first: the vendor takes nothing before them.
    fn user(
        &mut self,
        path: &str,
        content: &RawValue,
        kept: &mut Kept,
    ) -> Result<(), InvalidRequest> {
        let mut placed = Vec::new();
        let mut has_results = false;
        for (path, block) in blocks(content, path, kept)? {
            match block {
                Block::Parts(parts) => placed.extend(parts),
                Block::Result(result) => {
                    has_results = true;
                    self.push(&path, Message::Tool(result), kept);
                }
            }
        }
        if placed.is_empty() && has_results {
            return Ok(());
        }
        let content = self.settle(path, placed, kept);
        let name = None;
        self.push(path, Message::User { content, name }, kept);
        Ok(())
    }

    fn assistant(
        &mut self,
        path: &str,
        content: &RawValue,
        kept: &mut Kept,
    ) -> Result<(), InvalidRequest> {
        let mut placed = Vec::new();
        for (path, block) in blocks(content, path, kept)? {
            match block {
                Block::Parts(parts) => placed.extend(parts),
                Block::Result(_) => {
                    let detail = format!(
                        "`{path}` is a `tool_result`, which belongs into a message of the user."
                    );
                    return Err(InvalidRequest::of(path, detail));
                }
            }
        }
        restore(&mut placed);
        let ours = self.next();
        let mut calls = 0;
        let mut has_thoughts = false;
        for (path, part) in &placed {
            match part {
                Part::ToolCall(_) => {
                    kept.paths
                        .insert(format!("{ours}.tool_calls[{calls}]"), path.clone());
                    calls += 1;
                }
                Part::Reasoning(_) if !has_thoughts => {
                    has_thoughts = true;
                    for name in ["reasoning_content", "reasoning_details"] {
                        kept.paths.insert(format!("{ours}.{name}"), path.clone());
                    }
                }
                _ => {}
            }
        }
        let content = self.settle(path, placed, kept);
        let name = None;
        self.push(path, Message::Assistant { content, name }, kept);
        Ok(())
    }

    /// Notes where the parts of the next message came from, where that is not their own place.
    fn settle(&self, path: &str, placed: Vec<Placed>, kept: &mut Kept) -> Vec<Part> {
        let ours = self.next();
        let mut parts = Vec::with_capacity(placed.len());
        for (place, (from, part)) in placed.into_iter().enumerate() {
            // Most parts stand where they stood, and then the message's own path says enough.
            let expected = from
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix(".content["))
                .and_then(|rest| rest.strip_suffix(']'))
                .is_some_and(|index| index.parse() == Ok(place));
            if !expected && from != path {
                kept.paths.insert(format!("{ours}.content[{place}]"), from);
            }
            parts.push(part);
        }
        parts
    }
}

/// Gives the signatures that travelled in blocks of our own back to the calls and texts that they are over.
fn restore(placed: &mut Vec<Placed>) {
    let mut of_calls: HashMap<String, String> = HashMap::new();
    let mut restored: Vec<Placed> = Vec::with_capacity(placed.len());
    for (path, part) in placed.drain(..) {
        let sealed = match &part {
            Part::Reasoning(Reasoning {
                redacted: Some(data),
                ..
            }) => custody::read(data),
            _ => None,
        };
        match sealed {
            None => restored.push((path, part)),
            Some(Sealed::Call { id, signature }) => {
                of_calls.insert(id.to_owned(), signature.to_owned());
            }
            Some(Sealed::Text { signature }) => {
                let signature = Some(signature.to_owned());
                if let Some((_, Part::Text(text))) = restored.last_mut() {
                    text.signature = signature;
                } else {
                    let text = Text {
                        signature,
                        ..Text::default()
                    };
                    restored.push((path, Part::Text(text)));
                }
            }
        }
    }
    for (_, part) in &mut restored {
        if let Part::ToolCall(call) = part {
            call.signature = of_calls.remove(&call.id);
        }
    }
    *placed = restored;
}
