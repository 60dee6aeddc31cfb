//! From the provider's stream to the caller's.

use bytes::{Bytes, BytesMut};
use domain::chat::ChatEvent;
use domain::problem::Problem;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use providers::dialect::{DecodeError, Dialect, End, Reframer, StreamDecoder};
use providers::exchange::Exchange;
use providers::face::{Face, Rendering, StreamEncoder, StreamRelay};
use providers::tap::{Observed, Tap};
use providers::task::TaskStream;
use serde_json::Value;

use crate::custody::Reader;
use crate::prepare::Passage;

mod said;

use said::Said;

/// Turns pieces of the provider's stream into pieces of the caller's, and reads along.
pub(crate) enum Pipeline {
    /// The bytes pass; a tap reads along.
    Verbatim {
        face: &'static dyn Face,
        tap: Box<Tap>,
        /// Keeps the reasoning state.
        reader: Option<Reader>,
        relay: Option<Box<dyn StreamRelay>>,
        /// Makes the format's own bytes of the host's; the tap reads the host's.
        reframer: Option<Box<dyn Reframer>>,
        /// Names the request in an error.
        request_id: String,
        /// What the tap could not read. The bytes pass all the same.
        unreadable: Option<ProviderError>,
    },
    /// Events are decoded and rendered anew.
    Translated {
        decoder: Box<dyn StreamDecoder>,
        encoder: Box<dyn StreamEncoder>,
        events: Vec<ChatEvent>,
        observed: Box<Observed>,
        /// Keeps the reasoning state.
        reader: Option<Reader>,
        /// What was said, where another target may go on with it.
        said: Option<Box<Said>>,
    },
    /// The answer to a task, which knows itself how it passes.
    Task {
        stream: Box<dyn TaskStream>,
        error: Option<ProviderError>,
    },
}

impl Pipeline {
    pub(crate) fn of_task(stream: Box<dyn TaskStream>) -> Self {
        Self::Task {
            stream,
            error: None,
        }
    }

    /// A stream of the format's own bytes, which pass while a tap reads along. Problems are told in the
    /// words of `face`.
    pub(crate) fn of_native(
        face: &'static dyn Face,
        dialect: &dyn Dialect,
        exchange: &Exchange,
        request_id: String,
    ) -> Self {
        Self::Verbatim {
            face,
            tap: Box::new(Tap::new(dialect.decoder(exchange))),
            reader: None,
            relay: None,
            reframer: None,
            request_id,
            unreadable: None,
        }
    }

    pub(crate) fn new(
        face: &'static dyn Face,
        dialect: &dyn Dialect,
        passage: &Passage,
        rendering: &Rendering,
        reports: bool,
        reader: Option<Reader>,
    ) -> Self {
        let decoder = dialect.decoder(passage.exchange());
        match passage {
            Passage::Verbatim { withhold_usage, .. } => Self::Verbatim {
                face,
                tap: Box::new(Tap::new(decoder)),
                reader,
                relay: (*withhold_usage || reports || face.reframes())
                    .then(|| face.relay(*withhold_usage)),
                reframer: dialect.reframer(),
                request_id: rendering.id.clone(),
                unreadable: None,
            },
            Passage::Translated { .. } => Self::Translated {
                decoder,
                encoder: face.encoder(rendering),
                events: Vec::new(),
                observed: Box::default(),
                reader,
                said: None,
            },
        }
    }

    /// A stream that is rendered anew, whatever format it comes in, and that another target may go on with.
    pub(crate) fn continued(
        decoder: Box<dyn StreamDecoder>,
        encoder: Box<dyn StreamEncoder>,
        reader: Option<Reader>,
    ) -> Self {
        Self::Translated {
            decoder,
            encoder,
            events: Vec::new(),
            observed: Box::default(),
            reader,
            said: Some(Box::default()),
        }
    }

    /// All that was said, where another target could go on with it.
    pub(crate) fn to_be_continued(&self) -> Option<&str> {
        match self {
            Self::Translated { said, .. } => said.as_ref()?.to_be_continued(),
            Self::Verbatim { .. } | Self::Task { .. } => None,
        }
    }

    /// Lets another target go on, after others have taken so much; appends to `out` what the caller gets of what
    /// it has said by now. Answers after how many characters it goes on.
    pub(crate) fn go_on(
        &mut self,
        leg: Box<dyn StreamDecoder>,
        said_by_now: Vec<ChatEvent>,
        before: Usage,
        out: &mut Vec<Bytes>,
    ) -> Result<usize, ProviderError> {
        let Self::Translated {
            decoder,
            encoder,
            events,
            observed,
            reader,
            said,
        } = self
        else {
            return Ok(0);
        };
        *decoder = leg;
        *events = said_by_now;
        **observed = Observed::default();
        *reader = None;
        let characters = said.as_ref().map_or(0, |said| said.characters());
        if let Some(said) = said {
            said.join(before);
        }
        render(events, observed, &mut **encoder, said, out).map(|()| characters)
    }

    /// Takes a piece of the provider's stream and appends to `out` what the caller gets for it.
    pub(crate) fn push(&mut self, piece: Bytes, out: &mut Vec<Bytes>) -> Result<(), ProviderError> {
        match self {
            Self::Verbatim {
                tap,
                reader,
                relay,
                reframer,
                unreadable,
                ..
            } => {
                if unreadable.is_none() {
                    let read = tap.push_with(&piece, &mut |event| read_along(reader, event));
                    *unreadable = read.err().map(provider_error);
                }
                let piece = match reframer {
                    None => piece,
                    Some(reframer) => {
                        let mut bytes = BytesMut::new();
                        reframer.push(&piece, &mut bytes).map_err(provider_error)?;
                        bytes.freeze()
                    }
                };
                match relay {
                    Some(relay) if relay.passes(&piece) => out.push(piece),
                    Some(relay) => append(out, |bytes| relay.push(&piece, bytes)),
                    None if piece.is_empty() => {}
                    None => out.push(piece),
                }
                Ok(())
            }
            Self::Translated {
                decoder,
                encoder,
                events,
                observed,
                reader,
                said,
            } => {
                let decoded = decoder.push(&piece, events);
                for event in events.iter() {
                    read_along(reader, event);
                }
                let rendered = render(events, observed, &mut **encoder, said, out);
                decoded.map_err(provider_error)?;
                rendered
            }
            Self::Task { stream, error } => keep(error, stream.push(&piece, out)),
        }
    }

    /// Says that the provider's stream is over.
    pub(crate) fn finish(&mut self, end: End, out: &mut Vec<Bytes>) -> Result<(), ProviderError> {
        match self {
            Self::Verbatim {
                tap,
                reader,
                unreadable,
                ..
            } => {
                if unreadable.is_none() {
                    let read = tap.finish_with(end, &mut |event| read_along(reader, event));
                    *unreadable = read.err().map(provider_error);
                }
                match (unreadable.clone(), &tap.observed().error) {
                    (Some(error), _) => Err(error),
                    (None, Some(error)) => Err(error.clone()),
                    (None, None) => Ok(()),
                }
            }
            Self::Translated {
                decoder,
                encoder,
                events,
                observed,
                reader,
                said,
            } => {
                let decoded = decoder.finish(end, events);
                for event in events.iter() {
                    read_along(reader, event);
                }
                let rendered = render(events, observed, &mut **encoder, said, out);
                decoded.map_err(provider_error)?;
                rendered
            }
            Self::Task { stream, error } => keep(error, stream.finish(end, out)),
        }
    }

    /// Writes the end of a stream that went well.
    pub(crate) fn close(&mut self, report: Option<&Value>, out: &mut Vec<Bytes>) {
        match self {
            Self::Verbatim { relay, .. } => {
                if let Some(relay) = relay {
                    append(out, |bytes| relay.finish(report, bytes));
                }
            }
            Self::Translated { encoder, .. } => append(out, |bytes| encoder.finish(report, bytes)),
            // A task's stream has written its end by itself.
            Self::Task { .. } => {}
        }
    }

    /// Writes a problem at the end of a stream that did not go well. Where the provider's own error
    /// frame has passed already, nothing is added. Answers whether the caller is told: a format may have no
    /// way to say it.
    pub(crate) fn fail(&mut self, problem: &Problem, out: &mut Vec<Bytes>) -> bool {
        match self {
            Self::Verbatim {
                face,
                tap,
                relay,
                request_id,
                ..
            } => {
                let has_passed = tap.observed().error.is_some();
                let error = (!has_passed).then(|| face.stream_error(problem, request_id));
                match (relay, error) {
                    (Some(relay), Some(error)) => append(out, |bytes| relay.fail(&error, bytes)),
                    (Some(relay), None) => append(out, |bytes| relay.finish(None, bytes)),
                    (None, error) => out.extend(error),
                }
            }
            Self::Translated { encoder, .. } => append(out, |bytes| encoder.fail(problem, bytes)),
            Self::Task { stream, .. } => {
                let before = out.len();
                stream.fail(problem, out);
                return out.len() > before;
            }
        }
        true
    }

    /// What was read so far.
    pub(crate) fn observed(&self) -> &Observed {
        match self {
            Self::Verbatim { tap, .. } => tap.observed(),
            Self::Translated { observed, .. } => observed,
            Self::Task { stream, .. } => stream.observed(),
        }
    }

    /// What the stream cannot recover from, if it is known already.
    pub(crate) fn error(&self) -> Option<&ProviderError> {
        match self {
            Self::Verbatim {
                tap, unreadable, ..
            } => unreadable.as_ref().or(tap.observed().error.as_ref()),
            Self::Translated { observed, .. } => observed.error.as_ref(),
            Self::Task { error, .. } => error.as_ref(),
        }
    }
}

fn read_along(reader: &mut Option<Reader>, event: &ChatEvent) {
    if let Some(reader) = reader {
        reader.note(event);
    }
}

/// Keeps what a task's stream could not read.
fn keep(
    kept: &mut Option<ProviderError>,
    result: Result<(), DecodeError>,
) -> Result<(), ProviderError> {
    result.map_err(|error| {
        let error = provider_error(error);
        kept.get_or_insert(error).clone()
    })
}

fn render(
    events: &mut Vec<ChatEvent>,
    observed: &mut Observed,
    encoder: &mut dyn StreamEncoder,
    said: &mut Option<Box<Said>>,
    out: &mut Vec<Bytes>,
) -> Result<(), ProviderError> {
    if events.is_empty() {
        return Ok(());
    }
    let mut result = Ok(());
    append(out, |bytes| {
        for event in events.drain(..) {
            observed.note(&event);
            if let ChatEvent::Error(error) = event {
                result = Err(error);
                break;
            }
            match said {
                None => encoder.push(&event, bytes),
                Some(said) => {
                    if let Some(event) = said.pass(event) {
                        encoder.push(&event, bytes);
                    }
                }
            }
        }
    });
    events.clear();
    result
}

fn append(out: &mut Vec<Bytes>, write: impl FnOnce(&mut BytesMut)) {
    let mut bytes = BytesMut::new();
    write(&mut bytes);
    if !bytes.is_empty() {
        out.push(bytes.freeze());
    }
}

/// What the provider sent is an error of its own, or not what its format allows.
pub(crate) fn provider_error(error: DecodeError) -> ProviderError {
    match error {
        DecodeError::Provider(error) => error,
        DecodeError::Malformed(what) => ProviderError::new(
            Cause::Malformed,
            format!("The provider's answer is not what its format allows: {what}."),
        ),
    }
}

#[cfg(test)]
mod tests;
