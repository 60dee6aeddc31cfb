//! A transcript, whoever wrote it down.

use super::segments;

/// What was said.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Transcript {
    /// All of it.
    pub(super) text: String,
    /// The language that was heard, in the provider's words (`en`, `eng`, `en-US`).
    pub(super) language: Option<String>,
    /// How long the recording lasts, in seconds.
    pub(super) duration: Option<f64>,
    /// When each word was said, where the provider tells.
    pub(super) words: Vec<Word>,
    /// When each sentence or so was said, where the provider tells.
    pub(super) segments: Vec<Segment>,
}

/// One word.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Word {
    /// As it is written, punctuation included.
    pub(super) text: String,
    /// When it begins, in seconds.
    pub(super) start: f64,
    /// When it ends, in seconds.
    pub(super) end: f64,
    /// Who says it, counted from zero in the order in which they speak.
    pub(super) speaker: Option<usize>,
    /// The logarithm of the probability that it is right.
    pub(super) log_probability: Option<f64>,
}

/// A sentence or so of one speaker.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Segment {
    pub(super) text: String,
    /// When it begins, in seconds.
    pub(super) start: f64,
    /// When it ends, in seconds.
    pub(super) end: f64,
    /// Who says it, counted from zero in the order in which they speak.
    pub(super) speaker: Option<usize>,
    /// The mean of its words' logarithms.
    pub(super) log_probability: Option<f64>,
}

impl Transcript {
    /// The segments: the provider's, or made of the words, or all in one.
    pub(super) fn segments(&self) -> Vec<Segment> {
        if !self.segments.is_empty() {
            return self.segments.clone();
        }
        if !self.words.is_empty() {
            return segments::of_words(&self.words);
        }
        if self.text.is_empty() {
            return Vec::new();
        }
        vec![Segment {
            text: self.text.clone(),
            end: self.seconds(),
            ..Segment::default()
        }]
    }

    /// How long the recording lasts: as told, or until the last word.
    pub(super) fn seconds(&self) -> f64 {
        let last = self.words.last().map(|word| word.end);
        let last = last.or(self.segments.last().map(|segment| segment.end));
        self.duration.or(last).unwrap_or(0.0)
    }
}
