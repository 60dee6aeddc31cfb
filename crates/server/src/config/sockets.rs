//! `sockets`: what bounds conversations over WebSocket.

use std::time::Duration;

use gateway::realtime::SocketRules;

use super::fields::{Fields, Section};
use super::size::ByteSize;

/// What bounds conversations over WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sockets {
    max_message: ByteSize,
    idle: Duration,
    length: Duration,
}

impl Sockets {
    /// The bounds.
    pub fn rules(&self) -> SocketRules {
        SocketRules {
            max_message: self.max_message.as_usize(),
            idle: self.idle,
            length: self.length,
        }
    }
}

impl Section for Sockets {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let max_message = fields.or(
            "max_message",
            "16MiB",
            "The largest message, of callers and of providers; a larger one ends the conversation.",
        );
        let idle = fields.or(
            "idle",
            "15m",
            "How long nobody may say anything before the conversation is closed.",
        );
        let length = fields.or(
            "length",
            "1h",
            "How long a conversation may last before it is closed.",
        );
        Some(Self {
            max_message: max_message?,
            idle: idle?,
            length: length?,
        })
    }
}
