//! Streamed answers: server-sent events (`alt=sse`), or the chunks of a JSON array.

use domain::chat::ChatEvent;

use super::decode::{Assembler, Ended};
use super::objects::{self, Objects, ObjectsError};
use crate::dialect::{DecodeError, End, StreamDecoder};
use crate::exchange::Exchange;
use crate::framing::sse::{SseDecoder, SseError, SseEvent};

/// Decodes one stream.
pub(super) struct Decoder {
    framing: Framing,
    assembler: Assembler,
}

enum Framing {
    /// Nothing but white space has come.
    Unknown(SseDecoder),
    Events(SseDecoder),
    Objects(Objects),
}

impl Decoder {
    pub(super) fn new(exchange: &Exchange) -> Self {
        Self {
            framing: Framing::Unknown(SseDecoder::default()),
            assembler: Assembler::new(exchange),
        }
    }

    /// The first byte that is neither white space nor part of a byte order mark tells.
    fn recognise(&mut self, bytes: &[u8]) {
        let Framing::Unknown(events) = &mut self.framing else {
            return;
        };
        match bytes.iter().find(|byte| !objects::is_between(**byte)) {
            None => {}
            Some(b'[' | b'{') => self.framing = Framing::Objects(Objects::default()),
            Some(_) => self.framing = Framing::Events(std::mem::take(events)),
        }
    }

    fn event(
        assembler: &mut Assembler,
        event: &SseEvent,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        // `[DONE]` is OpenAI's; proxies add it.
        if assembler.has_failed() || event.data.is_empty() || event.data == "[DONE]" {
            return Ok(());
        }
        assembler.chunk(event.data.as_bytes(), events)
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        self.recognise(bytes);
        let assembler = &mut self.assembler;
        match &mut self.framing {
            Framing::Unknown(framing) | Framing::Events(framing) => {
                framing.push(bytes);
                while let Some(event) = framing.next_event()? {
                    Self::event(assembler, &event, events)?;
                }
                Ok(())
            }
            Framing::Objects(objects) => objects.push(bytes, |object| {
                if assembler.has_failed() {
                    return Ok(());
                }
                assembler.chunk(object, events)
            }),
        }
    }

    fn finish(&mut self, _end: End, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if let Framing::Unknown(framing) | Framing::Events(framing) = &mut self.framing
            && let Some(event) = framing.finish()?
        {
            Self::event(&mut self.assembler, &event, events)?;
        }
        self.assembler.finish(Ended::Stream, events)
    }
}

impl From<SseError> for DecodeError {
    fn from(error: SseError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<ObjectsError> for DecodeError {
    fn from(error: ObjectsError) -> Self {
        Self::Malformed(error.to_string())
    }
}
