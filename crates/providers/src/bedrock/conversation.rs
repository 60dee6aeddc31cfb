//! The conversation as a whole: what Converse demands of its turns.

use std::borrow::Cow;
use std::collections::HashMap;

use domain::chat::Conversion;

use super::wire::{Block, Message, Role};

/// What is said where the provider demands a user's words and the caller has none.
const FILLER: &str = "Continue.";

/// The conversation, ready to be sent.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) turns: Vec<Message<'a>>,
    /// The target's names of the tools that were called.
    pub(super) called: Vec<String>,
}

impl Conversation<'_> {
    /// Whether the turn in progress called tools and does not begin with the thoughts that led to it.
    /// Claude's manual thinking cannot go on from there.
    pub(super) fn thoughts_lost(&self) -> bool {
        let mut turns = self.turns.iter().rev();
        let answers_calls = turns
            .find(|turn| turn.role != Role::System)
            .and_then(|turn| turn.content.first())
            .is_some_and(|block| matches!(block, Block::ToolResult { .. }));
        let first = turns.next().and_then(|turn| turn.content.first());
        answers_calls && !matches!(first, Some(Block::ReasoningContent(_)))
    }

    /// Whether tools are spoken of, in which case the provider demands that they are declared.
    pub(super) fn speaks_of_tools(&self) -> bool {
        let mut blocks = self.turns.iter().flat_map(|turn| &turn.content);
        blocks.any(|block| matches!(block, Block::ToolUse { .. } | Block::ToolResult { .. }))
    }

    /// Makes every turn as the provider demands it; inserts nothing where it does not.
    pub(super) fn complete(&mut self, takes_prefill: bool, report: &mut Conversion) {
        for index in 1..self.turns.len() {
            results_first(&mut self.turns, index);
        }
        for turn in &mut self.turns {
            words_beside_documents(turn, report);
        }
        begin(&mut self.turns, report);
        end(&mut self.turns, takes_prefill, report);
    }
}

/// Puts a user turn's tool results first, in the order of the calls before it: the provider refuses
/// anything between a call and its result. A breakpoint stays behind the last of them.
fn results_first(turns: &mut [Message<'_>], index: usize) {
    let Some((before, [turn, ..])) = turns.split_at_mut_checked(index) else {
        return;
    };
    let calls: HashMap<&str, usize> = before
        .last()
        .into_iter()
        .flat_map(|turn| &turn.content)
        .enumerate()
        .filter_map(|(place, block)| match block {
            Block::ToolUse { tool_use_id, .. } => Some((tool_use_id.as_str(), place)),
            _ => None,
        })
        .collect();
    if turn.role == Role::User && !calls.is_empty() {
        turn.content.sort_by_key(|block| match block {
            Block::ToolResult { tool_use_id, .. } => calls
                .get(tool_use_id.as_str())
                .copied()
                .unwrap_or(usize::MAX - 1),
            _ => usize::MAX,
        });
    }
}

/// A turn with a document must have words, too.
fn words_beside_documents(turn: &mut Message<'_>, report: &mut Conversion) {
    let has = |wanted: fn(&Block<'_>) -> bool| turn.content.iter().any(wanted);
    if has(|block| matches!(block, Block::Document(_)))
        && !has(|block| matches!(block, Block::Text(_)))
    {
        report.change(
            "messages",
            "the provider demands words beside a document: the text \"Continue.\" was put there",
        );
        turn.content.push(Block::Text(Cow::Borrowed(FILLER)));
    }
}

fn filler() -> Message<'static> {
    Message {
        role: Role::User,
        content: vec![Block::Text(Cow::Borrowed(FILLER))],
    }
}

fn begin(turns: &mut Vec<Message<'_>>, report: &mut Conversion) {
    if turns.first().is_none_or(|turn| turn.role != Role::User) {
        report.change(
            "messages",
            "the provider demands that the user speaks first: a turn that says \"Continue.\" was put there",
        );
        turns.insert(0, filler());
    }
}

/// Words of the assistant's at the end are to be continued, by models that do that.
fn end(turns: &mut Vec<Message<'_>>, takes_prefill: bool, report: &mut Conversion) {
    let Some(Block::Text(text)) = turns
        .last_mut()
        .filter(|turn| turn.role == Role::Assistant)
        .and_then(|turn| turn.content.last_mut())
    else {
        return;
    };
    if !takes_prefill {
        report.change(
            "messages",
            "this model does not continue an assistant's message: a user's turn that says \"Continue.\" was added",
        );
        turns.push(filler());
    } else if text.ends_with(char::is_whitespace) {
        report.change(
            "messages",
            "the white space at the end of the last message was left off, because the provider refuses it",
        );
        *text = Cow::Owned(text.trim_end().to_owned());
    }
}
