//! The conversation as a whole: what Anthropic demands of its turns.

use std::borrow::Cow;
use std::collections::HashMap;

use domain::chat::Conversion;

use super::model::Model;
use super::wire::{Block, Message, Role};

/// What is said where the provider demands a user's turn and the caller has none.
const FILLER: &str = "Continue.";

/// The conversation, ready to be sent.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) turns: Vec<Message<'a>>,
}

impl Conversation<'_> {
    /// Whether the turn in progress called tools and does not begin with the thoughts that led to it.
    /// Manual thinking cannot go on from there; adaptive thinking can.
    pub(super) fn thoughts_lost(&self) -> bool {
        let mut turns = self.turns.iter().rev();
        let answers_calls = turns
            .find(|turn| turn.role != Role::System)
            .and_then(|turn| turn.content.first())
            .is_some_and(|block| matches!(block, Block::ToolResult { .. }));
        let first = turns.next().and_then(|turn| turn.content.first());
        answers_calls
            && !matches!(
                first,
                Some(Block::Thinking { .. } | Block::RedactedThinking { .. })
            )
    }

    /// Puts each turn's tool results first and makes the conversation begin and end as the provider
    /// demands; inserts nothing where it does not.
    pub(super) fn complete(&mut self, model: &Model<'_>, report: &mut Conversion) {
        for index in 1..self.turns.len() {
            results_first(&mut self.turns, index);
        }
        begin(&mut self.turns, report);
        end(&mut self.turns, model, report);
    }
}

/// Puts a user turn's tool results first, in the order of the calls before it: the provider refuses
/// anything between a call and its result.
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
            Block::ToolUse { id, .. } => Some((id.as_str(), place)),
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

fn filler() -> Message<'static> {
    Message {
        role: Role::User,
        content: vec![Block::Text {
            text: Cow::Borrowed(FILLER),
            cache_control: None,
        }],
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

/// Words of the assistant's at the end are to be continued, by models that do that. What ends with a
/// block of the provider's own goes on by itself.
fn end(turns: &mut Vec<Message<'_>>, model: &Model<'_>, report: &mut Conversion) {
    let Some(Block::Text { text, .. }) = turns
        .last_mut()
        .filter(|turn| turn.role == Role::Assistant)
        .and_then(|turn| turn.content.last_mut())
    else {
        return;
    };
    if !model.takes_prefill() {
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
