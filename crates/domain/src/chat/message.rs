//! The turns of a conversation.

use super::{Part, ToolResult};

/// One turn.
#[derive(Debug, Clone)]
pub enum Message {
    /// The operator's instructions (`system`).
    System(Vec<Part>),
    /// The developer's instructions (OpenAI's `developer`), which stand where `system` stood.
    Developer(Vec<Part>),
    /// The person's words.
    User {
        /// What they said.
        content: Vec<Part>,
        /// Who they are, where several people talk.
        name: Option<String>,
    },
    /// The model's words, thoughts and tool calls, in their order.
    Assistant {
        /// What it said.
        content: Vec<Part>,
        /// Who it is, where several models talk.
        name: Option<String>,
    },
    /// A tool's answer.
    Tool(ToolResult),
}

impl Message {
    /// The parts of the message.
    pub fn content(&self) -> &[Part] {
        match self {
            Self::System(content)
            | Self::Developer(content)
            | Self::User { content, .. }
            | Self::Assistant { content, .. } => content,
            Self::Tool(result) => &result.content,
        }
    }

    /// The parts of the message, to be changed.
    pub fn content_mut(&mut self) -> &mut Vec<Part> {
        match self {
            Self::System(content)
            | Self::Developer(content)
            | Self::User { content, .. }
            | Self::Assistant { content, .. } => content,
            Self::Tool(result) => &mut result.content,
        }
    }
}
