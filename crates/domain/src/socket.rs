//! The socket port: conversations of messages in both directions (WebSocket, RFC 6455), with callers and
//! with providers.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Sink, Stream};

use crate::egress::{EgressBody, EgressError, Outbound};

/// One message. What the protocol needs beside (answers to pings) is the socket's own affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// Asks the other end to show that it is there; carries nothing.
    Ping,
    /// The other end closes the conversation, or is told that it is closed; nothing follows.
    Close(Closing),
}

/// Why a conversation is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// What the code says (RFC 6455, section 7.4.1).
    pub code: u16,
    /// The same in words, at most 123 bytes.
    pub reason: String,
}

impl Closing {
    /// The purpose is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The server stops.
    pub const GOING_AWAY: u16 = 1001;
    /// A message is of a kind that is not taken.
    pub const UNSUPPORTED: u16 = 1003;
    /// The other end gave no code; never sent.
    pub const NO_STATUS: u16 = 1005;
    /// The caller may not go on.
    pub const POLICY: u16 = 1008;
    /// A message is too large.
    pub const TOO_LARGE: u16 = 1009;
    /// What was asked for cannot be done, because something failed.
    pub const FAILED: u16 = 1011;

    /// A closing with these words.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    /// Whether the conversation simply is over.
    pub fn is_orderly(&self) -> bool {
        matches!(self.code, Self::NORMAL | Self::GOING_AWAY | Self::NO_STATUS)
    }

    /// Whether the code may stand in a message; some only say what a connection did.
    pub fn may_be_sent(&self) -> bool {
        matches!(self.code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// Why no more messages come or go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// The other end sent a message that is larger than is taken.
    #[error("a message is larger than {max} bytes")]
    TooLarge {
        /// How many bytes are taken.
        max: usize,
    },
    /// The connection broke, or the other end does not keep to the protocol.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Messages as they come; it ends with a [`Message::Close`], an error, or the end of the connection.
pub type Incoming = Pin<Box<dyn Stream<Item = Result<Message, SocketError>> + Send>>;

/// Takes messages at the pace at which the other end does.
pub type Outgoing = Pin<Box<dyn Sink<Message, Error = SocketError> + Send>>;

/// A conversation. Dropping it breaks it off.
pub struct Socket {
    /// What the other end says.
    pub incoming: Incoming,
    /// What it is told.
    pub outgoing: Outgoing,
}

/// How a provider answers who wants a conversation.
pub enum Connected {
    /// It begins.
    Socket(Socket),
    /// It does not; the answer says why.
    Refused(http::Response<EgressBody>),
}

/// Opens conversations with providers, under the same rules as [`Egress`](crate::egress::Egress).
#[async_trait]
pub trait SocketEgress: Send + Sync {
    /// Asks for a conversation, in which the provider's messages have at most `max_message` bytes. The
    /// request is a `GET` of an `http` or `https` URI, without the fields of the handshake but for the
    /// protocols that are offered (`Sec-WebSocket-Protocol`).
    ///
    /// Dropping the future before it completes cancels the handshake.
    async fn connect(
        &self,
        outbound: Outbound,
        max_message: usize,
    ) -> Result<Connected, EgressError>;
}
