//! The rules between messages: who begins, and that every tool use is answered by the next message.

use std::collections::HashSet;

use super::check::{bad, list, object, one_of, plain, required};
use super::content::{Block, Reader};
use super::model::Class;
use crate::node::Node;
use crate::prompt::ToolResult;
use crate::vendor::Failure;

/// What the conversation gives to the answer.
pub(super) struct Turns {
    /// The last user message that has text.
    pub(super) said: String,
    /// The tool results at its end.
    pub(super) results: Vec<ToolResult>,
    pub(super) count: usize,
    /// The words that are put into the assistant's mouth at its end, if any.
    pub(super) begun: String,
    /// Whether it ends with words put into the assistant's mouth.
    pub(super) is_prefilled: bool,
    /// The first block of the assistant's turn that the last tool results answer: not thinking, and what it is.
    pub(super) unthinking_call: Option<String>,
}

/// Neighbouring messages of one role, which the vendor joins.
struct Turn<'v> {
    role: &'v str,
    /// The number of the first message.
    index: usize,
    blocks: Vec<Block<'v>>,
}

pub(super) fn read(
    messages: &Node<'_, '_>,
    class: Class,
    reader: &mut Reader,
) -> Result<Turns, Failure> {
    list(messages)?;
    let count = messages.items().count();
    if count == 0 {
        return Err(plain("messages: at least one message is required"));
    }
    let mut turns: Vec<Turn<'_>> = Vec::with_capacity(count);
    for (index, message) in messages.items().enumerate() {
        object(&message, &["role", "content"])?;
        let role = role(&required(&message, "role")?, class)?;
        reader.prefix.frame();
        let blocks = reader.content(&required(&message, "content")?, role)?;
        if blocks.is_empty() && (index + 1 < count || role != "assistant") {
            return Err(plain(format!(
                "messages.{index}: all messages must have non-empty content except for the optional final assistant message"
            )));
        }
        match turns.last_mut() {
            Some(last) if last.role == role => last.blocks.extend(blocks),
            _ => turns.push(Turn {
                role,
                index,
                blocks,
            }),
        }
    }
    if turns.first().is_none_or(|first| first.role != "user") {
        return Err(plain("messages: first message must use the \"user\" role"));
    }
    tool_rules(&turns)?;
    ending(&turns, class)?;
    Ok(summary(turns, count))
}

fn role<'v>(role: &Node<'v, '_>, class: Class) -> Result<&'v str, Failure> {
    match role.text() {
        Some("system") if class.takes_system_messages() => Ok("system"),
        Some("system") => {
            let problem = "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \"system\" as an input message role.";
            Err(plain(problem))
        }
        _ => one_of(role, &["user", "assistant"]),
    }
}

fn tool_rules(turns: &[Turn<'_>]) -> Result<(), Failure> {
    let mut ever: HashSet<&str> = HashSet::new();
    // A system message between a call and its results does not part them.
    let spoken: Vec<&Turn<'_>> = turns.iter().filter(|turn| turn.role != "system").collect();
    for (place, turn) in spoken.iter().enumerate() {
        let called = place
            .checked_sub(1)
            .and_then(|before| spoken.get(before))
            .map(|before| uses(before))
            .unwrap_or_default();
        results_fit(turn, &called)?;
        let uses = uses(turn);
        for id in &uses {
            if !ever.insert(id) {
                return Err(plain(format!(
                    "messages.{}: `tool_use` ids must be unique",
                    turn.index
                )));
            }
        }
        let answered = spoken
            .get(place + 1)
            .map(|next| leading_results(next))
            .unwrap_or_default();
        let open: Vec<&str> = uses
            .into_iter()
            .filter(|id| !answered.contains(id))
            .collect();
        if !open.is_empty() {
            return Err(plain(format!(
                "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. \
                 Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
                turn.index,
                open.join(", ")
            )));
        }
    }
    Ok(())
}

fn results_fit(turn: &Turn<'_>, called: &[&str]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    for (place, block) in turn.blocks.iter().enumerate() {
        let Block::ToolResult { id, .. } = block else {
            continue;
        };
        if !called.contains(id) {
            return Err(plain(format!(
                "messages.{}.content.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. \
                 Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
                turn.index
            )));
        }
        if !seen.insert(id) {
            return Err(plain(format!(
                "messages.{}.content.{place}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id}",
                turn.index
            )));
        }
    }
    Ok(())
}

fn uses<'v>(turn: &Turn<'v>) -> Vec<&'v str> {
    turn.blocks
        .iter()
        .filter_map(|block| {
            if let Block::ToolUse { id, .. } = block {
                Some(*id)
            } else {
                None
            }
        })
        .collect()
}

/// The results that a turn begins with; after anything else they count for nothing.
fn leading_results<'v>(turn: &Turn<'v>) -> Vec<&'v str> {
    turn.blocks
        .iter()
        .map_while(|block| {
            if let Block::ToolResult { id, .. } = block {
                Some(*id)
            } else {
                None
            }
        })
        .collect()
}

fn ending(turns: &[Turn<'_>], class: Class) -> Result<(), Failure> {
    let Some(last) = turns.last().filter(|last| last.role == "assistant") else {
        return Ok(());
    };
    if !class.takes_prefill() {
        return Err(plain(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    match last.blocks.last() {
        Some(Block::Text(words)) if words.ends_with(char::is_whitespace) => Err(plain(
            "messages: final assistant content cannot end with trailing whitespace",
        )),
        Some(Block::Thinking) => Err(plain(format!(
            "messages.{}: The final block in an assistant message cannot be `thinking`.",
            last.index
        ))),
        _ => Ok(()),
    }
}

fn summary(turns: Vec<Turn<'_>>, count: usize) -> Turns {
    let prefill = turns.last().filter(|last| last.role == "assistant");
    let is_prefilled = prefill.is_some();
    let begun = prefill.and_then(words).unwrap_or_default();
    let said = turns
        .iter()
        .rev()
        .filter(|turn| turn.role == "user")
        .find_map(words)
        .unwrap_or_default();
    let mut results = Vec::new();
    let mut unthinking_call = None;
    let mut spoken = turns.into_iter().filter(|turn| turn.role != "system").rev();
    if let Some(last) = spoken.next()
        && let Some(before) = spoken.next().filter(|before| before.role == "assistant")
    {
        let name_of = |wanted: &str| {
            before.blocks.iter().find_map(|block| match block {
                Block::ToolUse { id, name } if *id == wanted => Some((*name).to_owned()),
                _ => None,
            })
        };
        for block in last.blocks {
            if let Block::ToolResult { id, text } = block {
                results.push(ToolResult {
                    name: name_of(id).unwrap_or_default(),
                    text,
                });
            }
        }
        if !results.is_empty() {
            unthinking_call = match before.blocks.first() {
                Some(Block::Text(_)) => Some("text".to_owned()),
                Some(Block::ToolUse { .. }) => Some("tool_use".to_owned()),
                _ => None,
            }
            .map(|found| {
                format!(
                    "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. When `thinking` is enabled, \
                     a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` \
                     blocks). We recommend you include thinking blocks from previous turns. To avoid this requirement, disable `thinking`.",
                    before.index
                )
            });
        }
    }
    Turns {
        said,
        results,
        count,
        begun,
        is_prefilled,
        unthinking_call,
    }
}

/// The text of a turn, if it has any.
fn words(turn: &Turn<'_>) -> Option<String> {
    let words: Vec<&str> = turn
        .blocks
        .iter()
        .filter_map(|block| {
            if let Block::Text(words) = block {
                Some(*words)
            } else {
                None
            }
        })
        .collect();
    (!words.is_empty()).then(|| words.join("\n"))
}

/// Reads the top-level system prompt.
pub(super) fn system(root: &Node<'_, '_>, reader: &mut Reader) -> Result<(), Failure> {
    let Some(system) = root.get("system") else {
        return Ok(());
    };
    if let Some(words) = system.text() {
        reader.prefix.block(words, crate::tokens::of_text(words));
        return Ok(());
    }
    if !system.value.is_array() {
        return Err(bad(&system, "Input should be a valid list"));
    }
    for block in system.items() {
        super::check::tag(&block, &["text"])?;
        reader.text(&block)?;
        reader.mark(&block)?;
    }
    Ok(())
}
