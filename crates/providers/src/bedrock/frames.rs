//! A stream of Bedrock's: messages of an event stream, or what came in their place.

use bytes::Bytes;
use domain::provider_error::{Cause, ProviderError, Retry};

use super::error;
use crate::dialect::{DecodeError, End};
use crate::failure;
use crate::framing::event_stream::{EventStreamDecoder, EventStreamError, Message};

/// How much of a body that is no event stream is kept, in bytes, to be read as an error.
const MAX_PREAMBLE: usize = 64 * 1024;

/// One step of the stream.
#[derive(Debug)]
pub(super) enum Frame {
    /// Something happened.
    Event {
        /// What.
        name: String,
        /// JSON.
        payload: Bytes,
    },
    /// The provider failed; nothing follows.
    Failure(ProviderError),
}

/// Reads the steps of a stream.
#[derive(Debug, Default)]
pub(super) struct Frames {
    decoder: EventStreamDecoder,
    body: Body,
}

#[derive(Debug, Default)]
enum Body {
    /// No byte came.
    #[default]
    Empty,
    /// Messages come.
    Messages,
    /// What comes is text: JSON or the page of a proxy. It is kept to be read as an error.
    Text(Vec<u8>),
}

impl Frames {
    /// Takes the next bytes; [`Frames::next_frame`] then gives the steps that are complete.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if let (Body::Empty, Some(first)) = (&self.body, bytes.first()) {
            // The first byte is the highest of a length that is at most 16 MiB.
            self.body = if *first <= 1 {
                Body::Messages
            } else {
                Body::Text(Vec::new())
            };
        }
        match &mut self.body {
            Body::Empty => {}
            Body::Messages => self.decoder.push(bytes),
            Body::Text(text) => {
                let room = MAX_PREAMBLE.saturating_sub(text.len());
                text.extend(bytes.iter().take(room));
            }
        }
    }

    /// The next step.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        let message = self.decoder.next_message().map_err(unframed)?;
        Ok(message.map(frame))
    }

    /// Says that no more bytes come, although the answer is not complete.
    pub(super) fn interrupted(&self, end: End) -> DecodeError {
        if let Body::Text(text) = &self.body {
            let failure = error::in_success(text).unwrap_or_else(|| {
                let sentence = failure::sentence(text);
                ProviderError::new(Cause::Server, sentence).with_retry(Retry::Now)
            });
            return DecodeError::Provider(failure);
        }
        if end == End::Clean
            && let Err(problem) = self.decoder.finish()
        {
            return unframed(problem);
        }
        let sentence = "the provider's stream ended before the answer did";
        let failure = ProviderError::new(Cause::Interrupted, sentence);
        DecodeError::Provider(failure.with_retry(Retry::Now))
    }
}

/// What a message says: `:message-type` tells events from failures that the service describes
/// (`exception`) and those that it does not (`error`).
fn frame(message: Message) -> Frame {
    let text = |name: &str| message.text(name).unwrap_or_default();
    match message.text(":message-type") {
        Some("exception") => {
            Frame::Failure(error::in_stream(text(":exception-type"), &message.payload))
        }
        Some("error") => Frame::Failure(error::in_stream(
            text(":error-code"),
            text(":error-message").as_bytes(),
        )),
        _ => Frame::Event {
            name: text(":event-type").to_owned(),
            payload: message.payload,
        },
    }
}

fn unframed(problem: EventStreamError) -> DecodeError {
    DecodeError::Malformed(problem.to_string())
}
