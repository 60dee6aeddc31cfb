//! How far one candidate of a stream is: what waits for a call to be whole, and what is kept for the end.

use std::borrow::Cow;
use std::collections::VecDeque;

use domain::chat::{Annotation, Finish, Reasoning};
use serde_json::value::RawValue;

use super::custody;

/// How much text is kept to count the positions of citations in bytes.
const MAX_CITED_TEXT: usize = 1024 * 1024;

/// How many citations of one answer are kept.
const MAX_CITATIONS: usize = 1_000;

/// A piece of an answer, as it comes.
pub(super) enum Piece<'a> {
    Text(Cow<'a, str>),
    Thought(Cow<'a, str>),
    /// Over what came before it.
    Signature(Cow<'a, str>),
    Redacted(Cow<'a, str>),
    Call(Call),
    /// Something that only the named format knows.
    Unknown(&'static str, Cow<'a, RawValue>),
}

impl Piece<'_> {
    fn into_owned(self) -> Piece<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Text(text) => Piece::Text(own(text)),
            Self::Thought(text) => Piece::Thought(own(text)),
            Self::Signature(signature) => Piece::Signature(own(signature)),
            Self::Redacted(data) => Piece::Redacted(own(data)),
            Self::Call(call) => Piece::Call(call),
            Self::Unknown(format, raw) => Piece::Unknown(format, Cow::Owned(raw.into_owned())),
        }
    }
}

/// A call while its arguments come. Gemini's calls come whole.
pub(super) struct Call {
    /// Which call of the answer.
    pub(super) number: u32,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) signature: Option<String>,
    pub(super) is_whole: bool,
}

/// What a signature that comes now is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Last {
    #[default]
    Nothing,
    Text,
    Other,
}

/// How far one candidate is.
#[derive(Default)]
pub(super) struct Progress {
    /// What waits behind a call that is not whole, the call first.
    waiting: VecDeque<Piece<'static>>,
    pub(super) last: Last,
    /// The thought whose signature may come.
    thought: String,
    /// The sealed thoughts since the last call.
    pub(super) sealed: Vec<Reasoning>,
    text: String,
    text_is_full: bool,
    annotations: Vec<Annotation>,
    pub(super) logprobs: Vec<Box<RawValue>>,
    /// The first call whose arguments are no JSON object, in words.
    pub(super) malformed: Option<String>,
    pub(super) finish: Option<Finish>,
}

impl Progress {
    /// The piece itself if it can be written now; `None` where it waits for the calls before it.
    pub(super) fn admit<'a>(&mut self, piece: Piece<'a>) -> Option<Piece<'a>> {
        let must_wait =
            !self.waiting.is_empty() || matches!(&piece, Piece::Call(call) if !call.is_whole);
        if must_wait {
            self.waiting.push_back(piece.into_owned());
            return None;
        }
        Some(piece)
    }

    /// The next piece that waits no longer.
    pub(super) fn next(&mut self) -> Option<Piece<'static>> {
        if matches!(self.waiting.front()?, Piece::Call(call) if !call.is_whole) {
            return None;
        }
        self.waiting.pop_front()
    }

    /// The call that is still coming.
    pub(super) fn call(&mut self, number: u32) -> Option<&mut Call> {
        self.waiting.iter_mut().find_map(|piece| match piece {
            Piece::Call(call) if call.number == number => Some(call),
            _ => None,
        })
    }

    /// No more pieces come: what is there of the calls is all.
    pub(super) fn end_calls(&mut self) {
        for piece in &mut self.waiting {
            if let Piece::Call(call) = piece {
                call.is_whole = true;
            }
        }
    }

    /// Notes text that is written.
    pub(super) fn note_text(&mut self, text: &str) {
        self.last = Last::Text;
        self.thought.clear();
        self.text_is_full |= self.text.len() + text.len() > MAX_CITED_TEXT;
        if !self.text_is_full {
            self.text.push_str(text);
        }
    }

    /// Notes a piece of thought that is written.
    pub(super) fn note_thought(&mut self, text: &str) {
        self.last = Last::Other;
        self.thought.push_str(text);
    }

    /// Notes the seal of the thought that was written.
    pub(super) fn note_seal(&mut self, signature: Option<&str>, redacted: Option<&str>) {
        self.last = Last::Other;
        // What is shown only encrypted has no words, and ends the thought that had.
        let words = std::mem::take(&mut self.thought);
        let text = if redacted.is_some() {
            String::new()
        } else {
            words
        };
        if self.sealed.len() >= custody::MAX_THOUGHTS {
            return;
        }
        self.sealed.push(Reasoning {
            text: (!text.is_empty()).then_some(text),
            signature: signature.map(str::to_owned),
            redacted: redacted.map(str::to_owned),
        });
    }

    /// Notes that something else is written, before which no thought stays open.
    pub(super) fn note_other(&mut self) {
        self.last = Last::Other;
        self.thought.clear();
    }

    /// Notes a source.
    pub(super) fn annotate(&mut self, annotation: &Annotation) {
        if self.annotations.len() < MAX_CITATIONS {
            self.annotations.push(annotation.clone());
        }
    }

    /// The sources and the text that they are of.
    pub(super) fn cited(&self) -> (&[Annotation], &str) {
        (&self.annotations, &self.text)
    }
}
