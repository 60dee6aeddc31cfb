//! Anthropic's stream in Bedrock's envelope: each message of the event stream holds one event in base64.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use domain::chat::ChatEvent;
use domain::provider_error::{Cause, ProviderError};
use serde::Deserialize;
use serde_json::json;

use super::frames::{Frame, Frames};
use crate::dialect::{DecodeError, End, Reframer, StreamDecoder};

/// What a message of the event stream holds.
enum Chunk {
    /// One of Anthropic's events, as JSON.
    Event(Vec<u8>),
    /// The provider failed; nothing follows.
    Failure(ProviderError),
}

fn chunk(frame: Frame) -> Result<Option<Chunk>, DecodeError> {
    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        bytes: std::borrow::Cow<'a, str>,
    }
    let malformed = |problem: &dyn std::fmt::Display| {
        DecodeError::Malformed(format!("an event of the stream is not readable: {problem}"))
    };
    match frame {
        Frame::Failure(error) => Ok(Some(Chunk::Failure(error))),
        Frame::Event { name, payload } if name == "chunk" => {
            let payload: Payload<'_> =
                serde_json::from_slice(&payload).map_err(|problem| malformed(&problem))?;
            let event = STANDARD
                .decode(payload.bytes.as_bytes())
                .map_err(|problem| malformed(&problem))?;
            Ok(Some(Chunk::Event(event)))
        }
        // Bedrock's own remarks have no place in Anthropic's format.
        Frame::Event { .. } => Ok(None),
    }
}

/// Writes an event as Anthropic itself frames it: its type as the event's name, its JSON as the data,
/// on as many lines as it has.
fn put_event(event: &[u8], out: &mut BytesMut) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(rename = "type", borrow, default)]
        kind: std::borrow::Cow<'a, str>,
    }
    let read: Event<'_> = serde_json::from_slice(event).map_err(|problem| {
        DecodeError::Malformed(format!("an event of the stream is not readable: {problem}"))
    })?;
    if !read.kind.is_empty() && !read.kind.contains(['\n', '\r']) {
        out.put_slice(b"event: ");
        out.put_slice(read.kind.as_bytes());
        out.put_u8(b'\n');
    }
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.put_slice(b"data: ");
        out.put_slice(line);
        out.put_u8(b'\n');
    }
    out.put_u8(b'\n');
    Ok(())
}

/// Turns Bedrock's stream into Anthropic's own.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    frames: Frames,
    is_over: bool,
}

impl Reframer for Chunks {
    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), DecodeError> {
        self.frames.push(bytes);
        while !self.is_over
            && let Some(frame) = self.frames.next_frame()?
        {
            match chunk(frame)? {
                Some(Chunk::Event(event)) => put_event(&event, out)?,
                Some(Chunk::Failure(error)) => {
                    self.is_over = true;
                    put_event(&told(&error), out)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// A failure as Anthropic tells it in a stream.
fn told(error: &ProviderError) -> Bytes {
    let kind = match error.cause {
        Cause::InvalidRequest | Cause::ContextTooLong | Cause::ContentPolicy => {
            "invalid_request_error"
        }
        Cause::TooLarge => "request_too_large",
        Cause::RateLimited | Cause::QuotaExhausted => "rate_limit_error",
        Cause::NotFound => "not_found_error",
        Cause::Timeout => "timeout_error",
        Cause::Overloaded => "overloaded_error",
        // The gateway's credential is not the caller's, whose own is fine.
        Cause::Authentication
        | Cause::Permission
        | Cause::Server
        | Cause::Unreachable
        | Cause::Interrupted
        | Cause::Malformed => "api_error",
    };
    let event = json!({"type": "error", "error": {"type": kind, "message": error.message}});
    Bytes::from(event.to_string())
}

/// Decodes Bedrock's stream with the decoder of Anthropic's own.
pub(super) struct Decoder {
    frames: Frames,
    inner: Box<dyn StreamDecoder>,
    is_over: bool,
}

impl Decoder {
    pub(super) fn new(inner: Box<dyn StreamDecoder>) -> Self {
        Self {
            frames: Frames::default(),
            inner,
            is_over: false,
        }
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        self.frames.push(bytes);
        while !self.is_over
            && let Some(frame) = self.frames.next_frame()?
        {
            match chunk(frame)? {
                Some(Chunk::Event(event)) => {
                    let mut framed = BytesMut::with_capacity(event.len() + 64);
                    put_event(&event, &mut framed)?;
                    self.inner.push(&framed, events)?;
                }
                Some(Chunk::Failure(error)) => {
                    self.is_over = true;
                    events.push(ChatEvent::Error(error));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn finish(&mut self, end: End, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        match self.inner.finish(end, events) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.frames.interrupted(end)),
        }
    }
}
