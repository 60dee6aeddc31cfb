//! Reads a stream of text completions.

use domain::chat::ChatEvent;
use domain::provider_error::{Cause, ProviderError, Retry};
use serde_json::value::RawValue;

use super::super::envelope::MAX_CHOICES;
use super::super::fields::Fields;
use super::super::{error, usage};
use super::{decode, logprobs};
use crate::dialect::{DecodeError, End, StreamDecoder};
use crate::framing::sse::{MAX_EVENT, SseDecoder, SseError};
use crate::unfold::unfold;

/// Reads one stream.
#[derive(Default)]
pub(super) struct TextDecoder {
    sse: SseDecoder,
    state: State,
    whole: Vec<u8>,
    started: bool,
    /// The choices that came, and whether they are finished.
    choices: Vec<(u32, bool)>,
}

#[derive(Default, PartialEq)]
enum State {
    /// Nothing came but white space.
    #[default]
    Blank,
    /// Events come.
    Open,
    /// The host ignored that a stream was asked for, or answers an error: one JSON object comes.
    Whole,
    /// `[DONE]` came.
    Done,
    /// The provider sent an error.
    Failed,
}

impl TextDecoder {
    fn read(&mut self, data: &str, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let data = data.trim_ascii();
        if data.is_empty() || matches!(self.state, State::Done | State::Failed) {
            return Ok(());
        }
        if data == "[DONE]" {
            self.state = State::Done;
            return Ok(());
        }
        let chunk = Fields::read_body(data).map_err(|_| not_a_chunk());
        let Ok(mut chunk) = chunk else {
            let error = error::of_frame(data).ok_or_else(not_a_chunk)?;
            self.fail(error, events);
            return Ok(());
        };
        let choices = chunk.list("choices")?;
        if (chunk.look("error").is_some() || choices.is_none())
            && let Some(error) = error::of_frame(data)
        {
            self.fail(error, events);
            return Ok(());
        }
        if !self.started {
            self.started = true;
            events.push(ChatEvent::Start {
                id: chunk.text("id")?.filter(|id| !id.is_empty()),
                model: chunk.text("model")?.filter(|model| !model.is_empty()),
            });
        }
        for (path, raw) in choices.unwrap_or_default() {
            self.choice(Fields::read(raw, path)?, events)?;
        }
        let native: Option<&RawValue> = chunk.take("usage");
        // A usage that contradicts itself is as good as none: the ledger estimates and says so.
        if let Some(native) = native
            && let Ok(Some(usage)) = usage::read(native.get().as_bytes())
        {
            events.push(ChatEvent::Usage(usage));
        }
        Ok(())
    }

    fn fail(&mut self, error: ProviderError, events: &mut Vec<ChatEvent>) {
        self.state = State::Failed;
        events.push(ChatEvent::Error(error));
    }

    fn choice(
        &mut self,
        mut fields: Fields<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let choice = fields.integer("index", "an integer")?.unwrap_or(0);
        let place = match self.choices.iter().position(|(index, _)| *index == choice) {
            Some(place) => place,
            None if choice >= MAX_CHOICES => {
                return Err(DecodeError::Malformed(format!(
                    "a chunk is of choice {choice}; no answer has so many"
                )));
            }
            None => {
                self.choices.push((choice, false));
                self.choices.len() - 1
            }
        };
        let text = fields.text("text")?.filter(|text| !text.is_empty());
        events.extend(text.map(|text| ChatEvent::Text { choice, text }));
        let told = fields.take("logprobs").and_then(logprobs::by_token);
        events.extend(told.map(|raw| ChatEvent::Logprobs { choice, raw }));
        let finish = decode::end(&mut fields)?;
        if let Some((_, finished)) = self.choices.get_mut(place)
            && !finish.native.is_empty()
            && !*finished
        {
            *finished = true;
            events.push(ChatEvent::Finish { choice, finish });
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|(_, finished)| *finished)
    }
}

fn not_a_chunk() -> DecodeError {
    DecodeError::Malformed("an event of the stream is not a chunk".to_owned())
}

fn no_event(error: SseError) -> DecodeError {
    DecodeError::Malformed(error.to_string())
}

impl StreamDecoder for TextDecoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.state == State::Blank {
            self.state = match bytes.trim_ascii_start().first() {
                None => State::Blank,
                Some(b'{') => State::Whole,
                Some(_) => State::Open,
            };
        }
        match self.state {
            State::Done | State::Failed => return Ok(()),
            State::Whole if self.whole.len() + bytes.len() > MAX_EVENT => {
                return Err(no_event(SseError::TooLarge));
            }
            State::Whole => {
                self.whole.extend_from_slice(bytes);
                return Ok(());
            }
            State::Blank | State::Open => self.sse.push(bytes),
        }
        while let Some(event) = self.sse.next_event().map_err(no_event)? {
            self.read(&event.data, events)?;
        }
        Ok(())
    }

    fn finish(&mut self, _: End, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.state == State::Whole {
            unfold(decode::response(&self.whole)?, events);
            return Ok(());
        }
        // What was cut in the middle of an event is no chunk; whether that matters is decided below.
        let rest = self.sse.finish().unwrap_or(None);
        let was_cut = rest.is_some_and(|event| self.read(&event.data, events).is_err());
        if matches!(self.state, State::Done | State::Failed) || self.is_complete() {
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
