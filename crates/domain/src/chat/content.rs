//! The pieces that messages and answers are made of.

use bytestring::ByteString;
use serde_json::value::RawValue;

/// One piece of content, in its place among the others.
#[derive(Debug, Clone)]
pub enum Part {
    /// Words.
    Text(Text),
    /// A picture.
    Image(Media),
    /// A document, such as a PDF.
    Document(Media),
    /// A recording.
    Audio(Media),
    /// The model's words of refusal.
    Refusal(String),
    /// What the model thought before it answered.
    Reasoning(Reasoning),
    /// The model wants a tool to be called.
    ToolCall(ToolCall),
    /// Something that only `format` knows; kept, and passed on to the same format.
    Unknown {
        /// The wire format that it came in.
        format: &'static str,
        /// The JSON as it was written.
        raw: Box<RawValue>,
    },
}

/// Words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// The words.
    pub text: String,
    /// The prompt-cache breakpoint that stands after them.
    pub cache: Option<CacheControl>,
    /// The provider's signature over this part (Gemini's `thoughtSignature` on a text part).
    pub signature: Option<String>,
    /// Citations and annotations as the provider wrote them.
    pub annotations: Vec<Annotation>,
}

/// A citation of a source, as a JSON object in OpenAI's `annotations` shape.
pub type Annotation = serde_json::Value;

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

/// A picture, document or recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where its bytes are.
    pub source: Source,
    /// The name of the file, where the caller gave one.
    pub name: Option<String>,
    /// How closely to look (OpenAI's `detail`, Gemini's `mediaResolution`), in the caller's word.
    pub detail: Option<String>,
    /// The prompt-cache breakpoint that stands after it.
    pub cache: Option<CacheControl>,
}

/// Where the bytes of a [`Media`] are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the request.
    Inline {
        /// The media type (RFC 9110 §8.3.1), such as `image/png`.
        media_type: String,
        /// The bytes in standard base64 with padding (RFC 4648 §4); mostly a part of the caller's own
        /// body, which is shared and not copied.
        base64: ByteString,
    },
    /// On the web, for the provider to fetch.
    Url {
        /// An absolute URL.
        url: String,
        /// The media type, where the caller said it.
        media_type: Option<String>,
    },
    /// In the provider's own file store.
    File(String),
    /// Plain text given in place of a file.
    Text(String),
}

/// A prompt-cache breakpoint: what stands before it may be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheControl {
    /// Kept for five minutes.
    FiveMinutes,
    /// Kept for an hour.
    OneHour,
}

/// What the model thought. At least one field is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// The thoughts, or their summary, in words.
    pub text: Option<String>,
    /// The provider's signature, without which the thoughts are not accepted back.
    pub signature: Option<String>,
    /// Thoughts that the provider shows only encrypted.
    pub redacted: Option<String>,
}

/// The model wants a tool to be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Names this call in its result; unique in the conversation.
    pub id: String,
    /// The tool's name, in the caller's words.
    pub name: String,
    /// The arguments as JSON text, exactly as the model wrote them; may not be valid JSON.
    pub arguments: String,
    /// The provider's signature over this call (Gemini's `thoughtSignature`).
    pub signature: Option<String>,
    /// The prompt-cache breakpoint that stands after it.
    pub cache: Option<CacheControl>,
}

/// What a tool answered.
#[derive(Debug, Clone)]
pub struct ToolResult {
    /// The id of the [`ToolCall`] that it answers.
    pub call_id: String,
    /// The tool's name, where the format gives it.
    pub name: Option<String>,
    /// What it answered: text, images, documents.
    pub content: Vec<Part>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// The prompt-cache breakpoint that stands after it.
    pub cache: Option<CacheControl>,
}
