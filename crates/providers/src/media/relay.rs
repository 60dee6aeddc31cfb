//! Answers that pass as they come, and the reading along that tells what they took.

use std::time::Duration;

use bytes::Bytes;
use domain::problem::Problem;
use domain::usage::Usage;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http::response::Parts;

use super::media_type;
use crate::dialect::{DecodeError, End};
use crate::face::Face;
use crate::framing::sse::{SseDecoder, SseError};
use crate::openai::OpenaiChat;
use crate::openai::error;
use crate::tap::Observed;
use crate::task::{TaskAnswer, TaskReader, TaskStep, TaskStream};

/// How an answer in the caller's own format is read along.
#[derive(Clone, Copy)]
pub(crate) struct Relay {
    /// What a whole answer took, where it says so.
    pub(crate) whole: fn(&Parts, &[u8]) -> Result<Option<Usage>, DecodeError>,
    /// What one event of a stream says that the answer took.
    pub(crate) event: fn(&str) -> Result<Option<Usage>, DecodeError>,
    /// Whether an answer that is no stream of events passes piece by piece too: sound is played as it comes.
    pub(crate) by_pieces: bool,
}

impl TaskReader for Relay {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let usage = (self.whole)(head, &body)?;
        Ok(TaskStep::Done(TaskAnswer {
            body,
            content_type: content_type(head),
            usage,
            response_model: None,
        }))
    }

    fn stream(&self, head: &Parts) -> Option<Box<dyn TaskStream>> {
        let passed = Pieces {
            content_type: content_type(head),
            observed: Observed::default(),
        };
        match media_type(head).as_str() {
            "text/event-stream" => Some(Box::new(Events {
                passed,
                decoder: SseDecoder::default(),
                event: self.event,
            })),
            // An error inside of a success is small, and must be read before it is believed.
            "application/json" => None,
            _ if self.by_pieces => Some(Box::new(passed)),
            _ => None,
        }
    }
}

/// The media type of an answer as the provider wrote it.
pub(crate) fn content_type(head: &Parts) -> HeaderValue {
    head.headers
        .get(CONTENT_TYPE)
        .cloned()
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// Bytes that pass untouched and unread: sound.
pub(crate) struct Pieces {
    content_type: HeaderValue,
    observed: Observed,
}

impl Pieces {
    /// Bytes of this media type.
    pub(crate) fn of(content_type: HeaderValue) -> Self {
        Self {
            content_type,
            observed: Observed::default(),
        }
    }
}

impl TaskStream for Pieces {
    fn content_type(&self) -> HeaderValue {
        self.content_type.clone()
    }

    fn push(&mut self, piece: &Bytes, out: &mut Vec<Bytes>) -> Result<(), DecodeError> {
        self.observed.has_content |= !piece.is_empty();
        out.push(piece.clone());
        Ok(())
    }

    fn finish(&mut self, end: End, _: &mut Vec<Bytes>) -> Result<(), DecodeError> {
        if end == End::Broken {
            return Err(DecodeError::Malformed(
                "the recording broke off before its end".to_owned(),
            ));
        }
        Ok(())
    }

    /// Sound has no words for it; the connection has to break.
    fn fail(&mut self, _: &Problem, _: &mut Vec<Bytes>) {}

    fn observed(&self) -> &Observed {
        &self.observed
    }
}

/// A stream of events in OpenAI's manner that passes untouched, while its usage is read.
struct Events {
    passed: Pieces,
    decoder: SseDecoder,
    event: fn(&str) -> Result<Option<Usage>, DecodeError>,
}

impl Events {
    fn read(&mut self, data: &str) -> Result<(), DecodeError> {
        if let Some(error) = error_in(data) {
            self.passed.observed.error = Some(error);
        }
        if let Some(usage) = (self.event)(data)? {
            self.passed.observed.usage = Some(usage);
        }
        Ok(())
    }
}

impl TaskStream for Events {
    fn content_type(&self) -> HeaderValue {
        self.passed.content_type()
    }

    fn push(&mut self, piece: &Bytes, out: &mut Vec<Bytes>) -> Result<(), DecodeError> {
        self.decoder.push(piece);
        while let Some(event) = self.decoder.next_event().map_err(unreadable)? {
            self.read(&event.data)?;
        }
        self.passed.push(piece, out)
    }

    fn finish(&mut self, end: End, out: &mut Vec<Bytes>) -> Result<(), DecodeError> {
        if let Some(event) = self.decoder.finish().map_err(unreadable)? {
            self.read(&event.data)?;
        }
        // What took something has said so in its last event; a break after that loses nothing.
        if self.passed.observed.usage.is_some() {
            return Ok(());
        }
        self.passed.finish(end, out)
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<Bytes>) {
        out.push(event_of_problem(problem));
    }

    fn observed(&self) -> &Observed {
        self.passed.observed()
    }
}

/// A problem as an event of OpenAI's streams.
pub(crate) fn event_of_problem(problem: &Problem) -> Bytes {
    let id = problem
        .request_id
        .map_or_else(String::new, |id| id.to_string());
    OpenaiChat.stream_error(problem, &id)
}

/// The error that stands in a successful answer or event of OpenAI's format. Only what names one near its
/// beginning is looked at: pictures are long.
pub(crate) fn error_in(json: &str) -> Option<domain::provider_error::ProviderError> {
    let start = json.get(..json.floor_char_boundary(512))?;
    if !start.contains("\"error\"") {
        return None;
    }
    error::of_frame(json)
}

/// Refuses an error that came with a successful status.
pub(crate) fn no_error_in(body: &[u8]) -> Result<(), DecodeError> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Ok(());
    }
    match std::str::from_utf8(body).ok().and_then(error_in) {
        Some(error) => Err(DecodeError::Provider(error)),
        None => Ok(()),
    }
}

fn unreadable(error: SseError) -> DecodeError {
    DecodeError::Malformed(error.to_string())
}

/// How long to wait before the result of a job is asked for again: soon at first, since most take seconds.
pub(crate) fn pause(asked_before: u32) -> Duration {
    Duration::from_millis(500 * u64::from(asked_before + 1)).min(Duration::from_secs(3))
}

/// A bound on how often a result is asked for, so that a job that never ends does end: a quarter of an hour
/// at three seconds each. The route's own time limit is usually shorter.
pub(crate) const MAX_LOOKS: u32 = 300;
