//! How sound comes back to a caller of OpenAI's API: as it is, or as events
//! (<https://platform.openai.com/docs/api-reference/audio/speech-audio-delta-event>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::problem::Problem;
use domain::usage::Usage;
use http::HeaderValue;
use http::response::Parts;
use serde_json::json;

use crate::dialect::{DecodeError, End};
use crate::media::relay::{Pieces, content_type, event_of_problem};
use crate::tap::Observed;
use crate::task::{TaskAnswer, TaskReader, TaskStep, TaskStream};

/// The media type of a stream of events.
pub(super) const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

/// Sound that a vendor sends as it is.
pub(super) struct Sound {
    /// Whether the caller gets events.
    pub(super) events: bool,
    /// What it takes by the vendor's own measure: characters.
    pub(super) usage: Usage,
    /// The media type, where the vendor's own says too little.
    pub(super) media_type: Option<&'static str>,
}

impl Sound {
    fn content_type(&self, head: &Parts) -> HeaderValue {
        self.media_type
            .map_or_else(|| content_type(head), HeaderValue::from_static)
    }
}

impl TaskReader for Sound {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let content_type = self.content_type(head);
        let usage = Some(self.usage);
        Ok(TaskStep::Done(whole(
            self.events,
            &body,
            content_type,
            usage,
        )))
    }

    fn stream(&self, head: &Parts) -> Option<Box<dyn TaskStream>> {
        let stream = SoundStream {
            pieces: Pieces::of(self.content_type(head)),
            events: self.events,
            observed: Observed {
                usage: Some(self.usage),
                ..Observed::default()
            },
            rest: Vec::new(),
        };
        Some(Box::new(stream))
    }
}

/// Sound that is there as a whole.
pub(super) fn whole(
    events: bool,
    sound: &Bytes,
    content_type: HeaderValue,
    usage: Option<Usage>,
) -> TaskAnswer {
    let (body, content_type) = if events {
        let mut body = delta(sound);
        body.extend_from_slice(&done(usage));
        (body.into(), EVENTS)
    } else {
        (sound.clone(), content_type)
    };
    TaskAnswer {
        body,
        content_type,
        usage,
        response_model: None,
    }
}

/// One piece of sound as an event.
fn delta(sound: &[u8]) -> Vec<u8> {
    let mut event = b"data: {\"type\":\"speech.audio.delta\",\"audio\":\"".to_vec();
    event.extend_from_slice(STANDARD.encode(sound).as_bytes());
    event.extend_from_slice(b"\"}\n\n");
    event
}

/// The last event, with the tokens where the vendor counts them.
fn done(usage: Option<Usage>) -> Vec<u8> {
    let event = match usage.filter(|usage| usage.total_tokens() > 0) {
        None => json!({"type": "speech.audio.done"}),
        Some(usage) => json!({
            "type": "speech.audio.done",
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "total_tokens": usage.total_tokens(),
            },
        }),
    };
    format!("data: {event}\n\n").into_bytes()
}

/// Sound that passes piece by piece.
struct SoundStream {
    pieces: Pieces,
    events: bool,
    observed: Observed,
    /// Bytes that do not fill a group of three yet: each event's base64 must stand for itself and join with
    /// the others without padding in between.
    rest: Vec<u8>,
}

impl TaskStream for SoundStream {
    fn content_type(&self) -> HeaderValue {
        if self.events {
            EVENTS
        } else {
            self.pieces.content_type()
        }
    }

    fn push(&mut self, piece: &Bytes, out: &mut Vec<Bytes>) -> Result<(), DecodeError> {
        self.observed.has_content |= !piece.is_empty();
        if !self.events {
            return self.pieces.push(piece, out);
        }
        self.rest.extend_from_slice(piece);
        let left = self.rest.split_off(self.rest.len() - self.rest.len() % 3);
        let full = std::mem::replace(&mut self.rest, left);
        if !full.is_empty() {
            out.push(delta(&full).into());
        }
        Ok(())
    }

    fn finish(&mut self, end: End, out: &mut Vec<Bytes>) -> Result<(), DecodeError> {
        self.pieces.finish(end, out)?;
        if self.events {
            if !self.rest.is_empty() {
                out.push(delta(&std::mem::take(&mut self.rest)).into());
            }
            out.push(done(None).into());
        }
        Ok(())
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<Bytes>) {
        if self.events {
            out.push(event_of_problem(problem));
        }
    }

    fn observed(&self) -> &Observed {
        &self.observed
    }
}
