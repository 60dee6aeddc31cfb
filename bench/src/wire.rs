//! What crosses the wire: the chat request that is sent, and the answers that the mock provider gives.
//!
//! The load speaks OpenAI's format; the mock speaks [every format](Format) that Trunkline is asked to
//! translate to, and says the same words in each. Everything is fixed, so that a proxy that loses or
//! alters something is a failure, not a good figure.

pub mod anthropic;
pub mod gemini;
pub mod openai;
pub mod picture;
pub mod words;

use bytes::Bytes;
use memchr::memmem;

/// Before the number in a request's words by which the load generator sets the mock's pace.
const PACE_MARK: &str = "chunk-every-ms=";
/// Before the number by which it has the mock wait before an answer that comes whole.
const DELAY_MARK: &str = "answer-after-ms=";

/// Stands where a number goes that no two requests share; as long as the number is.
pub(crate) const NUMBER_MARK: &str = "number-of-a-request-";

/// Stands where two words go that no two requests share; as long as they are.
pub(crate) const WORDS_MARK: &str = "wordsof-a request-xyz";

/// The two words of a request, by its number: letters alone, since a number would make it another question.
pub(crate) fn two_words(number: u64) -> String {
    let digits = format!("{:010}", number % 10_000_000_000);
    let word = |first: u8| -> String {
        let letters = digits.bytes();
        letters
            .map(|digit| char::from(first + digit.saturating_sub(b'0')))
            .collect()
    };
    format!("{} {}", word(b'a'), word(b'h'))
}

/// The format that the provider speaks. The load always speaks OpenAI's, so that any other one has to be
/// translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenAI's chat completions: nothing is to be translated.
    Openai,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's `generateContent`.
    Gemini,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Openai, Self::Anthropic, Self::Gemini];

    /// The model that a request names to be answered in this format; Trunkline has a route of this name.
    pub fn model(self) -> &'static str {
        match self {
            Self::Openai => "gpt-4o-mini",
            Self::Anthropic => "claude-haiku-4-5",
            Self::Gemini => "gemini-2.5-flash",
        }
    }

    /// The `kind` of a provider that speaks it, in Trunkline's configuration.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// The path that goes into the `base_url` of such a provider.
    pub fn base_path(self) -> &'static str {
        match self {
            Self::Openai => "/v1",
            Self::Anthropic | Self::Gemini => "",
        }
    }

    /// The format that is spoken at a path.
    pub fn at(path: &str) -> Option<Self> {
        match path {
            openai::PATH => Some(Self::Openai),
            anthropic::PATH => Some(Self::Anthropic),
            other if other.starts_with(gemini::PATH) => Some(Self::Gemini),
            _ => None,
        }
    }
}

/// How the answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One JSON object.
    Whole,
    /// One JSON object after so many milliseconds.
    Delayed(u64),
    /// A stream whose chunks follow each other as fast as they are taken.
    Stream,
    /// A stream with a chunk every so many milliseconds.
    Paced(u64),
}

impl Shape {
    /// Whether the answer is a stream.
    pub fn is_streamed(self) -> bool {
        matches!(self, Self::Stream | Self::Paced(_))
    }
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A conversation of about 1 KB.
    Words,
    /// The same, with a number that no two requests share.
    Numbered,
    /// The same, with two words that no two requests share.
    Reworded,
    /// The same, and a picture of [`picture::LENGTH`] characters of base64.
    Picture,
}

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The format that the provider speaks.
    pub format: Format,
    /// How the answer is wanted.
    pub shape: Shape,
    /// What is asked about.
    pub content: Content,
}

impl Ask {
    /// Asks in words.
    pub fn in_words(format: Format, shape: Shape) -> Self {
        Self {
            format,
            shape,
            content: Content::Words,
        }
    }

    /// Asks about a picture.
    pub fn about_a_picture(format: Format, shape: Shape) -> Self {
        Self {
            format,
            shape,
            content: Content::Picture,
        }
    }

    /// The body of the request, in OpenAI's format.
    pub fn body(self) -> Bytes {
        openai::request_body(self)
    }
}

/// What the mock reads of a request. It searches instead of parsing: its own cost must be small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// How the answer is wanted.
    pub shape: Shape,
    /// Whether a stream is to end with a chunk for the usage; only OpenAI has to be asked for it.
    pub usage: bool,
}

impl Wanted {
    /// Reads a request in `format` that was sent to `path`.
    pub fn read(format: Format, path: &str, body: &[u8]) -> Self {
        let is_streamed = match format {
            Format::Openai | Format::Anthropic => memmem::find(body, br#""stream":true"#).is_some(),
            Format::Gemini => path.ends_with(gemini::STREAM_VERB),
        };
        let shape = if is_streamed {
            marked(body, PACE_MARK).map_or(Shape::Stream, Shape::Paced)
        } else {
            marked(body, DELAY_MARK).map_or(Shape::Whole, Shape::Delayed)
        };
        Self {
            shape,
            usage: memmem::find(body, br#""include_usage":true"#).is_some(),
        }
    }
}

/// The number behind a mark.
fn marked(body: &[u8], mark: &str) -> Option<u64> {
    let at = memmem::find(body, mark.as_bytes())?;
    let behind = body.get(at + mark.len()..)?;
    let digits = behind.iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mock_reads_the_shape_that_was_written() {
        for shape in [
            Shape::Whole,
            Shape::Delayed(20),
            Shape::Stream,
            Shape::Paced(1),
            Shape::Paced(2_000),
        ] {
            let body = Ask::in_words(Format::Openai, shape).body();
            let wanted = Wanted::read(Format::Openai, openai::PATH, &body);
            assert_eq!(wanted.shape, shape);
            assert!(!wanted.usage);
        }
    }

    #[test]
    fn gemini_says_in_its_path_that_a_stream_is_wanted() {
        let read = |path: &str| Wanted::read(Format::Gemini, path, b"{}").shape;
        assert_eq!(read("/v1beta/models/m:generateContent"), Shape::Whole);
        assert_eq!(
            read("/v1beta/models/m:streamGenerateContent"),
            Shape::Stream
        );
    }

    #[test]
    fn usage_is_seen_only_when_asked_for() {
        let asking = br#"{"stream":true,"stream_options":{"include_usage":true}}"#;
        assert!(Wanted::read(Format::Openai, openai::PATH, asking).usage);
    }

    #[test]
    fn a_format_is_known_by_its_path() {
        for (path, format) in [
            ("/v1/chat/completions", Some(Format::Openai)),
            ("/v1/messages", Some(Format::Anthropic)),
            (
                "/v1beta/models/gemini-2.5-flash:generateContent",
                Some(Format::Gemini),
            ),
            ("/v1/messages/batches", None),
        ] {
            assert_eq!(Format::at(path), format, "{path}");
        }
    }
}
