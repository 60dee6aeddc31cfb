//! Cohere's events as they are written. <https://docs.cohere.com/v2/docs/streaming>

use bytes::{BufMut, BytesMut};
use domain::problem::Problem;
use serde::Serialize;
use serde_json::Value;

use super::billing::Shown;
use super::render::Foreign;
use crate::openai::render::append;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Thinking,
}

impl Kind {
    /// The name of the type, and of the field with the words.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Thinking => "thinking",
        }
    }
}

#[derive(Serialize)]
struct ContentStep<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
    delta: Delta<ContentMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a Value>,
}

#[derive(Serialize)]
struct Delta<T> {
    message: T,
}

#[derive(Serialize)]
struct ContentMessage<'a> {
    content: Piece<'a>,
}

/// A piece of a block.
#[derive(Serialize, Default)]
pub(super) struct Piece<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redacted: Option<&'a str>,
}

impl<'a> Piece<'a> {
    /// Words of a block of this kind. Clients read the field in every step, be it empty.
    pub(super) fn of(kind: Kind, words: &'a str) -> Self {
        match kind {
            Kind::Text => Self {
                text: Some(words),
                ..Self::default()
            },
            Kind::Thinking => Self {
                thinking: Some(words),
                ..Self::default()
            },
        }
    }
}

#[derive(Serialize)]
struct CallStep<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
    delta: Delta<CallMessage<'a>>,
}

#[derive(Serialize)]
struct CallMessage<'a> {
    tool_calls: CallPiece<'a>,
}

#[derive(Serialize)]
struct CallPiece<'a> {
    function: Arguments<'a>,
}

#[derive(Serialize)]
struct Arguments<'a> {
    arguments: &'a str,
}

#[derive(Serialize)]
pub(super) struct MessageEnd<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) delta: EndDelta<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trunkline: Option<&'a Value>,
}

#[derive(Serialize)]
pub(super) struct EndDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
    pub(super) finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) native_finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Shown>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) provider_content: Vec<Foreign<'a>>,
}

/// Appends a step of the block that is open.
pub(super) fn write_content(
    index: u32,
    content: Piece<'_>,
    logprobs: Option<&Value>,
    out: &mut BytesMut,
) {
    let step = ContentStep {
        kind: "content-delta",
        index,
        delta: Delta {
            message: ContentMessage { content },
        },
        logprobs,
    };
    write("content-delta", &step, out);
}

/// Appends a piece of a call's arguments.
pub(super) fn write_arguments(index: u32, arguments: &str, out: &mut BytesMut) {
    let function = Arguments { arguments };
    let step = CallStep {
        kind: "tool-call-delta",
        index,
        delta: Delta {
            message: CallMessage {
                tool_calls: CallPiece { function },
            },
        },
    };
    write("tool-call-delta", &step, out);
}

/// Appends one event.
pub(super) fn write(name: &str, data: &impl Serialize, out: &mut BytesMut) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    append(data, out);
    out.put_slice(b"\n\n");
}

/// Appends the event that tells a problem; nothing follows it.
pub(super) fn write_problem(problem: &Problem, out: &mut BytesMut) {
    let end = MessageEnd {
        kind: "message-end",
        delta: EndDelta {
            error: Some(&problem.detail),
            finish_reason: "ERROR",
            native_finish_reason: None,
            usage: None,
            provider_content: Vec::new(),
        },
        trunkline: None,
    };
    write("message-end", &end, out);
}
