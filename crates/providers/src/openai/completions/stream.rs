//! Reads a stream of text completions.

use domain::chat::{ChatEvent, ChatResponse};
use domain::provider_error::ProviderError;
use serde_json::value::RawValue;

use super::super::body::Events;
use super::super::envelope::MAX_CHOICES;
use super::super::fields::Fields;
use super::super::{error, usage};
use super::{decode, logprobs};
use crate::dialect::DecodeError;

/// Reads one stream.
#[derive(Default)]
pub(super) struct TextDecoder {
    /// The terminal event or an error came.
    is_over: bool,
    started: bool,
    /// The choices that came, and whether they are finished.
    choices: Vec<(u32, bool)>,
}

impl TextDecoder {
    fn fail(&mut self, error: ProviderError, events: &mut Vec<ChatEvent>) {
        self.is_over = true;
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
}

fn not_a_chunk() -> DecodeError {
    DecodeError::Malformed("an event of the stream is not a chunk".to_owned())
}

impl Events for TextDecoder {
    fn read(&mut self, data: &str, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let data = data.trim_ascii();
        if data.is_empty() || self.is_over {
            return Ok(());
        }
        if data == "[DONE]" {
            self.is_over = true;
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

    fn whole(&self, body: &[u8]) -> Result<ChatResponse, DecodeError> {
        decode::response(body)
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn is_complete(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|(_, finished)| *finished)
    }
}
