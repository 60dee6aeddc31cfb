//! The rules between messages: who begins, that roles alternate, and that every tool use is answered by the next message.

use std::collections::HashSet;

use super::content::{Block, Reader};
use crate::bedrock::invalid;
use crate::node::Node;
use crate::prompt::ToolResult;
use crate::vendor::Failure;

/// What the conversation gives to the answer.
#[derive(Default)]
pub(super) struct Turns {
    /// The last user message that has text.
    pub(super) said: String,
    /// The tool results at its end.
    pub(super) results: Vec<ToolResult>,
    pub(super) count: usize,
    /// Whether tools are used or answered anywhere.
    pub(super) speaks_of_tools: bool,
    /// Whether the turn that the last tool results answer began without reasoning.
    pub(super) calls_without_reasoning: bool,
}

pub(super) fn read(messages: Option<&Node<'_, '_>>, reader: &mut Reader) -> Result<Turns, Failure> {
    let mut turns = Turns::default();
    let mut called: Vec<(&str, &str)> = Vec::new();
    let mut began_with_reasoning = false;
    let mut before = "assistant";
    let given = messages.into_iter().flat_map(Node::items);
    for (index, message) in given.enumerate() {
        let role = super::content::text_of(&message, "role");
        if role == "system" {
            if !reader.takes_system_messages {
                return Err(invalid(
                    "This model doesn't support the system role in messages. Use the system field and try again.",
                ));
            }
            reader.prefix.frame();
            blocks(&message, role, reader)?;
            continue;
        }
        if turns.count == 0 && role != "user" {
            return Err(invalid(
                "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
            ));
        }
        if role == before {
            return Err(invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and \
                 assistant roles and try again.",
            ));
        }
        before = role;
        reader.prefix.frame();
        let blocks = blocks(&message, role, reader)?;
        turns.results = results(index, &blocks, &called)?;
        turns.calls_without_reasoning = !turns.results.is_empty() && !began_with_reasoning;
        turns.speaks_of_tools |= blocks
            .iter()
            .any(|block| matches!(block, Block::ToolUse { .. } | Block::ToolResult { .. }));
        let has_document = blocks.contains(&Block::Document);
        let words: Vec<&str> = blocks
            .iter()
            .filter_map(|block| match block {
                Block::Text(words) => Some(*words),
                _ => None,
            })
            .collect();
        if has_document && words.is_empty() {
            return Err(invalid(
                "The content field in the Message object must contain a text block when it contains a document. Add a text block and try again.",
            ));
        }
        if role == "user" && !words.is_empty() {
            turns.said = words.join("\n");
        }
        called = uses(index, &blocks)?;
        began_with_reasoning = matches!(blocks.first(), Some(Block::Reasoning));
        turns.count += 1;
    }
    if turns.count == 0 {
        return Err(invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        ));
    }
    if let Some((id, _)) = called.first() {
        return Err(unanswered(turns.count, id));
    }
    Ok(turns)
}

fn blocks<'v>(
    message: &Node<'v, '_>,
    role: &str,
    reader: &mut Reader,
) -> Result<Vec<Block<'v>>, Failure> {
    let Some(content) = message.get("content") else {
        return Ok(Vec::new());
    };
    let blocks: Result<Vec<Block<'v>>, Failure> = content
        .items()
        .map(|block| reader.block(&block, role))
        .collect();
    let blocks = blocks?;
    if blocks.is_empty() {
        return Err(invalid(format!(
            "The content field in the Message object at {} is empty. Add a ContentBlock object to the content field and try again.",
            message.dotted()
        )));
    }
    Ok(blocks)
}

fn uses<'v>(index: usize, blocks: &[Block<'v>]) -> Result<Vec<(&'v str, &'v str)>, Failure> {
    let mut seen = HashSet::new();
    let mut uses = Vec::new();
    for block in blocks {
        if let Block::ToolUse { id, name } = block {
            if !seen.insert(id) {
                return Err(invalid(format!(
                    "The toolUse blocks at messages.{index}.content contain duplicate Ids: {id}"
                )));
            }
            uses.push((*id, *name));
        }
    }
    Ok(uses)
}

fn results(
    index: usize,
    blocks: &[Block<'_>],
    called: &[(&str, &str)],
) -> Result<Vec<ToolResult>, Failure> {
    let mut seen = HashSet::new();
    let mut results = Vec::new();
    for block in blocks {
        let Block::ToolResult { id, text } = block else {
            continue;
        };
        if !seen.insert(*id) {
            return Err(invalid(format!(
                "The toolResult blocks at messages.{index}.content contain duplicate Ids: {id}"
            )));
        }
        let Some((_, name)) = called.iter().find(|(known, _)| known == id) else {
            return Err(invalid(format!(
                "The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of previous turn."
            )));
        };
        results.push(ToolResult {
            name: (*name).to_owned(),
            text: text.clone(),
        });
    }
    match called.iter().find(|(id, _)| !seen.contains(id)) {
        Some((id, _)) => Err(unanswered(index, id)),
        None => Ok(results),
    }
}

fn unanswered(index: usize, id: &str) -> Failure {
    invalid(format!(
        "Expected toolResult blocks at messages.{index}.content for the following Ids: {id}"
    ))
}
