//! What a call's answer must be given back in: the caller's words.

use std::collections::HashMap;

use domain::chat::{Part, Text};

/// Remembers what a translation renamed and how it asked, so that the answer can be given back in the
/// caller's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The caller's tool names by the target's, where they differ.
    pub tool_names: HashMap<String, String>,
    /// The tool that was made up to carry a structured answer; its arguments are the answer's text.
    pub answer_tool: Option<String>,
    /// Whether the provider was asked for a stream, which may be so although the caller was not.
    pub streamed: bool,
    /// The model in the provider's words.
    pub model: String,
    /// Whether thoughts may stand at the beginning of the text, between `<think>` and `</think>`.
    pub thinks_in_tags: bool,
}

impl Exchange {
    /// The tool's name in the caller's words.
    pub fn tool_name<'a>(&'a self, target_name: &'a str) -> &'a str {
        self.tool_names
            .get(target_name)
            .map_or(target_name, String::as_str)
    }

    /// Whether the model called the tool that carries the structured answer and no other.
    pub(crate) fn is_answer_only(&self, content: &[Part]) -> bool {
        let mut calls = content.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        });
        let mut called = false;
        let only = calls.all(|call| {
            called = true;
            self.answer_tool.as_deref() == Some(call.name.as_str())
        });
        called && only
    }

    /// The part as it is meant: the arguments of the tool that carries the structured answer are the answer's
    /// text.
    pub(crate) fn answered(&self, part: Part) -> Part {
        match part {
            Part::ToolCall(call) if self.answer_tool.as_deref() == Some(call.name.as_str()) => {
                Part::Text(Text::from(call.arguments))
            }
            other => other,
        }
    }
}
