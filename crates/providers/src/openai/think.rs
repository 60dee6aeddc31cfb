//! Thoughts that stand at the beginning of the text between `<think>` and `</think>`: so it is where a
//! server runs a model without a parser for its thoughts.

use std::collections::BTreeMap;

use domain::chat::{ChatEvent, ChatResponse, Choice, Part, Reasoning};

use crate::dialect::{DecodeError, End, StreamDecoder};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// The text of an answer with thoughts before it, as a host of this kind wants it back.
pub(super) fn tagged(thoughts: &str, text: &str) -> String {
    format!("{OPEN}\n{thoughts}\n{CLOSE}\n\n{text}")
}

/// Takes the thoughts out of the text of a whole answer.
pub(super) fn split_response(response: &mut ChatResponse) {
    for Choice { content, .. } in &mut response.choices {
        let texts = content
            .iter_mut()
            .enumerate()
            .find_map(|(place, part)| match part {
                Part::Text(text) => Some((place, text)),
                _ => None,
            });
        let Some((place, text)) = texts else {
            continue;
        };
        let mut splitter = Splitter::default();
        let (mut thoughts, mut rest) = (String::new(), String::new());
        let mut sort = |piece: Piece| match piece {
            Piece::Thought(piece) => thoughts.push_str(&piece),
            Piece::Text(piece) => rest.push_str(&piece),
        };
        splitter.push(&text.text, &mut sort);
        splitter.finish(&mut sort);
        if !thoughts.is_empty() || splitter.state == State::Inside {
            let thoughts = thoughts.trim().to_owned();
            text.text = rest;
            let is_empty = text.text.is_empty() && text.annotations.is_empty();
            if is_empty {
                content.remove(place);
            }
            if !thoughts.is_empty() {
                let reasoning = Reasoning {
                    text: Some(thoughts),
                    ..Reasoning::default()
                };
                content.insert(place, Part::Reasoning(reasoning));
            }
        } else {
            text.text = rest;
        }
    }
}

/// Reads a stream and takes the thoughts out of its texts.
pub(super) struct ThinkDecoder<D> {
    inner: D,
    /// By choice; few.
    choices: BTreeMap<u32, Splitter>,
    events: Vec<ChatEvent>,
}

impl<D: StreamDecoder> ThinkDecoder<D> {
    pub(super) fn new(inner: D) -> Self {
        Self {
            inner,
            choices: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    fn pass(&mut self, events: &mut Vec<ChatEvent>) {
        for event in std::mem::take(&mut self.events) {
            match event {
                ChatEvent::Text { choice, text } => {
                    let splitter = self.choices.entry(choice).or_default();
                    splitter.push(&text, &mut |piece| events.push(piece.event(choice)));
                }
                ChatEvent::ToolCallStart { choice, .. }
                | ChatEvent::Finish { choice, .. }
                | ChatEvent::Annotation { choice, .. }
                | ChatEvent::Refusal { choice, .. } => {
                    self.flush(choice, events);
                    events.push(event);
                }
                ChatEvent::Error(_) => {
                    self.flush_all(events);
                    events.push(event);
                }
                other => events.push(other),
            }
        }
    }

    /// What was held back because a tag might have begun there is text, or thought.
    fn flush(&mut self, choice: u32, events: &mut Vec<ChatEvent>) {
        if let Some(splitter) = self.choices.get_mut(&choice) {
            splitter.finish(&mut |piece| events.push(piece.event(choice)));
        }
    }

    fn flush_all(&mut self, events: &mut Vec<ChatEvent>) {
        for (choice, splitter) in &mut self.choices {
            splitter.finish(&mut |piece| events.push(piece.event(*choice)));
        }
    }
}

impl<D: StreamDecoder> StreamDecoder for ThinkDecoder<D> {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let result = self.inner.push(bytes, &mut self.events);
        self.pass(events);
        result
    }

    fn finish(&mut self, end: End, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let result = self.inner.finish(end, &mut self.events);
        self.pass(events);
        self.flush_all(events);
        result
    }
}

/// A piece of what the model wrote.
enum Piece {
    Thought(String),
    Text(String),
}

impl Piece {
    fn event(self, choice: u32) -> ChatEvent {
        match self {
            Self::Thought(text) => ChatEvent::Reasoning { choice, text },
            Self::Text(text) => ChatEvent::Text { choice, text },
        }
    }
}

/// Tells thoughts from text, however the text is cut.
#[derive(Default)]
struct Splitter {
    state: State,
    /// What may be the beginning of a tag, or white space around one.
    held: String,
}

#[derive(Default, PartialEq, Clone, Copy)]
enum State {
    /// Nothing came but white space, or a part of the opening tag.
    #[default]
    Before,
    /// Behind the opening tag; white space at the beginning of the thoughts is left out.
    Opened,
    /// Among the thoughts.
    Inside,
    /// Behind the closing tag; white space before the text is left out.
    Closed,
    /// The text.
    After,
}

impl Splitter {
    fn push(&mut self, text: &str, sort: &mut impl FnMut(Piece)) {
        if self.state == State::After {
            sort(Piece::Text(text.to_owned()));
            return;
        }
        self.held.push_str(text);
        while let Some(state) = self.step(sort) {
            self.state = state;
        }
    }

    /// Takes what can be told from the held text; the next state, if it changes.
    fn step(&mut self, sort: &mut impl FnMut(Piece)) -> Option<State> {
        match self.state {
            State::Before => {
                let trimmed = self.held.trim_start();
                if let Some(rest) = trimmed.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    return Some(State::Opened);
                }
                (!OPEN.starts_with(trimmed)).then_some(State::After)
            }
            State::Opened => {
                self.held = self.held.trim_start().to_owned();
                (!self.held.is_empty()).then_some(State::Inside)
            }
            State::Inside => {
                if let Some((thought, rest)) = self.held.split_once(CLOSE) {
                    give(thought.trim_end(), Piece::Thought, sort);
                    self.held = rest.to_owned();
                    return Some(State::Closed);
                }
                let keep = kept(&self.held);
                let rest = self.held.split_off(keep);
                give(&self.held, Piece::Thought, sort);
                self.held = rest;
                None
            }
            State::Closed => {
                self.held = self.held.trim_start().to_owned();
                (!self.held.is_empty()).then_some(State::After)
            }
            State::After => {
                give(&self.held, Piece::Text, sort);
                self.held.clear();
                None
            }
        }
    }

    /// Gives what was held back.
    fn finish(&mut self, sort: &mut impl FnMut(Piece)) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Inside => give(held.trim_end(), Piece::Thought, sort),
            State::Before => {
                self.state = State::After;
                give(&held, Piece::Text, sort);
            }
            State::Opened | State::Closed | State::After => {}
        }
    }
}

fn give(text: &str, piece: impl FnOnce(String) -> Piece, sort: &mut impl FnMut(Piece)) {
    if !text.is_empty() {
        sort(piece(text.to_owned()));
    }
}

/// Where the end of the text begins that may belong to the closing tag: white space, and a part of it.
fn kept(text: &str) -> usize {
    let tag = (1..CLOSE.len())
        .rev()
        .filter_map(|length| CLOSE.get(..length))
        .find(|start| text.ends_with(start))
        .map_or(0, str::len);
    let before = text.get(..text.len() - tag).unwrap_or_default();
    before.trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thoughts and the text of a text that comes in pieces.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (String, String) {
        let mut splitter = Splitter::default();
        let (mut thoughts, mut text) = (String::new(), String::new());
        let mut sort = |piece: Piece| match piece {
            Piece::Thought(piece) => thoughts.push_str(&piece),
            Piece::Text(piece) => text.push_str(&piece),
        };
        for piece in pieces {
            splitter.push(piece, &mut sort);
        }
        splitter.finish(&mut sort);
        (thoughts, text)
    }

    #[test]
    fn thoughts_are_told_from_text_however_it_is_cut() {
        for (whole, thoughts, text) in [
            ("<think>\nA < b\n\nc</think>\n\nYes.", "A < b\n\nc", "Yes."),
            ("\n<think></think>Yes. <think>", "", "Yes. <think>"),
            ("<think>\n\n</think>\n\nYes.", "", "Yes."),
            ("<think>cut off ", "cut off", ""),
            ("<think>a</thin", "a</thin", ""),
            ("<thin", "", "<thin"),
            (" <b>x</b> ", "", " <b>x</b> "),
            ("Yes. <think>no</think>", "", "Yes. <think>no</think>"),
            ("", "", ""),
            ("<think>ü\u{2003}</think>\u{2003}é", "ü", "é"),
        ] {
            let expected = (thoughts.to_owned(), text.to_owned());
            assert_eq!(split([whole]), expected, "{whole:?}");
            let characters = whole.split_inclusive(|_: char| true);
            assert_eq!(split(characters), expected, "{whole:?} by characters");
            for (at, _) in whole.char_indices() {
                let (left, right) = whole.split_at(at);
                assert_eq!(split([left, right]), expected, "{whole:?} at {at}");
            }
        }
    }

    #[test]
    fn what_is_tagged_is_told_apart_again() {
        let expected = ("I think.".to_owned(), "I say.".to_owned());
        assert_eq!(split([&*tagged("I think.", "I say.")]), expected);
    }
}
