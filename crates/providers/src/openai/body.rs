//! The body of an answer that was asked for as a stream, in any of OpenAI's formats: its events, or one JSON
//! object where the host ignored the wish or answers an error.

use domain::chat::{ChatEvent, ChatResponse};
use domain::provider_error::{Cause, ProviderError, Retry};

use crate::dialect::{DecodeError, End, StreamDecoder};
use crate::framing::sse::{MAX_EVENT, SseDecoder, SseError};
use crate::unfold::unfold;

/// What one format says in its events.
pub(super) trait Events: Send {
    /// Reads the data of one event.
    fn read(&mut self, data: &str, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError>;

    /// Reads the object that came in place of events.
    fn whole(&self, body: &[u8]) -> Result<ChatResponse, DecodeError>;

    /// Whether the answer's own end, or the provider's error, was read: what follows does not matter.
    fn is_over(&self) -> bool;

    /// Whether the stream may end here although its own end did not come.
    fn is_complete(&self) -> bool {
        false
    }
}

/// Reads one body.
pub(super) struct Body<E> {
    sse: SseDecoder,
    opening: Opening,
    whole: Vec<u8>,
    events: E,
}

/// What the body turned out to be.
#[derive(PartialEq)]
enum Opening {
    /// Nothing came but white space.
    Blank,
    /// Events come.
    Events,
    /// One JSON object comes.
    Object,
}

impl<E: Events> Body<E> {
    pub(super) fn of(events: E) -> Self {
        Self {
            sse: SseDecoder::default(),
            opening: Opening::Blank,
            whole: Vec::new(),
            events,
        }
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if self.whole.len() + bytes.len() > MAX_EVENT {
            return Err(no_event(SseError::TooLarge));
        }
        self.whole.extend_from_slice(bytes);
        Ok(())
    }
}

fn no_event(error: SseError) -> DecodeError {
    DecodeError::Malformed(error.to_string())
}

impl<E: Events> StreamDecoder for Body<E> {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.opening == Opening::Blank {
            self.opening = match bytes.trim_ascii_start().first() {
                None => Opening::Blank,
                Some(b'{') => Opening::Object,
                Some(_) => Opening::Events,
            };
        }
        if self.opening == Opening::Object {
            return self.hold(bytes);
        }
        if self.events.is_over() {
            return Ok(());
        }
        if let Some(data) = self.sse.only_event(bytes) {
            return self.events.read(data, events);
        }
        self.sse.push(bytes);
        while let Some(event) = self.sse.next_event().map_err(no_event)? {
            self.events.read(&event.data, events)?;
        }
        Ok(())
    }

    fn finish(&mut self, _: End, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.opening == Opening::Object {
            unfold(self.events.whole(&self.whole)?, events);
            return Ok(());
        }
        // What was cut in the middle of an event is no event; whether that matters is decided below.
        let rest = self.sse.finish().unwrap_or(None);
        let was_cut = rest.is_some_and(|event| self.events.read(&event.data, events).is_err());
        if self.events.is_over() || self.events.is_complete() {
            return Ok(());
        }
        let place = if was_cut {
            "in the middle of an event"
        } else {
            "before the answer was complete"
        };
        let error = ProviderError::new(
            Cause::Interrupted,
            format!("the provider's stream ended {place}"),
        );
        Err(error.with_retry(Retry::Now).into())
    }
}
