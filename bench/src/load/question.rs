//! The request that a load repeats, and how its answer is known to be right.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use memchr::memmem;

use super::Aim;
use crate::subject::CALLER_KEY;
use crate::wire::words::{ANSWER, pieces};
use crate::wire::{Format, NUMBER_MARK, Shape, WORDS_MARK, openai, two_words};

/// Writes what only the request of a number says.
type Write = fn(u64) -> String;

/// One request, to be sent as often as wanted.
pub struct Question {
    /// Where it goes.
    pub address: SocketAddr,
    /// The fields that an SDK sends, the credential among them.
    pub headers: HeaderMap,
    body: Bytes,
    /// Where that stands which no two requests share, how it is written, and the next one's number.
    own: Option<(Range<usize>, Write, AtomicU64)>,
    shape: Shape,
    expected: Expected,
}

/// What a right answer is.
enum Expected {
    /// The provider's own bytes, which are this many.
    Bytes(usize),
    /// These words in the format of the load, whatever stands around them.
    Words(String),
}

impl Question {
    /// What a load with this aim asks.
    pub fn of(aim: Aim) -> anyhow::Result<Self> {
        let address = aim.address();
        let shape = aim.ask.shape;
        let expected = match aim.ask.format {
            Format::Openai => Expected::Bytes(openai::answer_length(shape)),
            Format::Anthropic | Format::Gemini if shape.is_streamed() => {
                Expected::Words(pieces().collect())
            }
            Format::Anthropic | Format::Gemini => Expected::Words(ANSWER.to_owned()),
        };
        let body = aim.ask.body();
        let marks: [(&str, Write); 2] = [
            (NUMBER_MARK, |number| format!("{number:020}")),
            (WORDS_MARK, two_words),
        ];
        let own = marks.into_iter().find_map(|(mark, write)| {
            let at = memmem::find(&body, mark.as_bytes())?;
            Some((at..at + mark.len(), write, AtomicU64::new(first_number())))
        });
        Ok(Self {
            address,
            headers: headers(address)?,
            own,
            body,
            shape,
            expected,
        })
    }

    /// The next request's body.
    pub fn body(&self) -> Bytes {
        let Some((place, write, next)) = &self.own else {
            return self.body.clone();
        };
        let number = next.fetch_add(1, Ordering::Relaxed);
        let mut body = self.body.to_vec();
        if let Some(place) = body.get_mut(place.clone()) {
            place.copy_from_slice(write(number).as_bytes());
        }
        body.into()
    }

    /// Begins to read an answer.
    pub fn begin(&self) -> Reading<'_> {
        Reading {
            question: self,
            length: 0,
            kept: Vec::new(),
        }
    }
}

/// An answer that is being read.
pub struct Reading<'a> {
    question: &'a Question,
    length: usize,
    /// The bytes, where they have to be looked at.
    kept: Vec<u8>,
}

impl Reading<'_> {
    /// Takes the next piece.
    pub fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        if let Expected::Words(_) = self.question.expected {
            self.kept.extend_from_slice(bytes);
        }
    }

    /// Fails unless the answer is right.
    pub fn end(self) -> anyhow::Result<()> {
        match &self.question.expected {
            Expected::Bytes(length) => ensure!(
                self.length == *length,
                "the answer has {} bytes instead of {length}",
                self.length
            ),
            Expected::Words(words) => ensure!(
                openai::says(&self.kept, self.question.shape, words),
                "the answer does not say what the provider said: {}",
                String::from_utf8_lossy(&self.kept)
            ),
        }
        Ok(())
    }
}

/// Loads that follow each other go on counting: nanoseconds pass faster than requests.
fn first_number() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(0)
}

fn headers(address: SocketAddr) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::try_from(address.to_string())?);
    headers.insert(
        AUTHORIZATION,
        HeaderValue::try_from(format!("Bearer {CALLER_KEY}"))?,
    );
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("trunkline-bench"));
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Ask, Content};

    fn read(format: Format, shape: Shape, answer: &[u8]) -> anyhow::Result<()> {
        let ask = Ask::in_words(format, shape);
        let question = Question::of(Aim { port: 1, ask })?;
        let mut reading = question.begin();
        for piece in answer.chunks(100) {
            reading.push(piece);
        }
        reading.end()
    }

    #[test]
    fn what_passes_verbatim_must_have_every_byte() {
        let answer = openai::whole();
        read(Format::Openai, Shape::Whole, &answer).unwrap();
        let (_, short) = answer.split_first().unwrap();
        read(Format::Openai, Shape::Whole, short).unwrap_err();
    }

    #[test]
    fn every_request_has_a_number_or_words_of_its_own_and_is_as_long_as_the_others() {
        for content in [Content::Numbered, Content::Reworded] {
            let ask = Ask {
                content,
                ..Ask::in_words(Format::Openai, Shape::Whole)
            };
            let question = Question::of(Aim { port: 1, ask }).unwrap();
            let (one, other) = (question.body(), question.body());
            assert_ne!(one, other);
            assert_eq!((one.len(), other.len()), (ask.body().len(), one.len()));
        }
        assert_eq!(two_words(90_000_000_012), "aaaaaaaabc hhhhhhhhij");
    }

    #[test]
    fn what_is_translated_must_say_every_word() {
        // Another model and another usage: only the words and the end count.
        let stream = openai::stream(true).concat();
        read(Format::Gemini, Shape::Stream, &stream).unwrap();
        let (short, _) = stream.split_at(stream.len() - openai::TERMINATOR.len());
        read(Format::Gemini, Shape::Stream, short).unwrap_err();
        read(Format::Gemini, Shape::Whole, &stream).unwrap_err();
    }
}
