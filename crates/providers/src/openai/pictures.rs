//! Pictures that a model made in a chat. OpenAI's chats have none; where answers show them,
//! OpenRouter and LiteLLM do, and their clients look: `message.images`, `delta.images`
//! (<https://openrouter.ai/docs/features/multimodal/image-generation>).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::Format;

/// One item of `images`.
#[derive(Serialize)]
pub(super) struct Picture {
    #[serde(rename = "type")]
    kind: &'static str,
    image_url: Address,
    index: usize,
}

#[derive(Serialize)]
struct Address {
    url: String,
}

impl Picture {
    /// The picture in a part that only the provider's `format` knows, as the `index`th of its answer; `None` where
    /// there is none.
    pub(super) fn of(format: &str, raw: &RawValue, index: usize) -> Option<Self> {
        if format != Format::Gemini.as_str() {
            return None;
        }
        let part: Shown<'_> = serde_json::from_str(raw.get()).ok()?;
        let Inline { mime_type, data } = part.inline_data?;
        mime_type.starts_with("image/").then(|| Self {
            kind: "image_url",
            image_url: Address {
                url: format!("data:{mime_type};base64,{data}"),
            },
            index,
        })
    }
}

/// A part of Gemini's (<https://ai.google.dev/api/caching#Part>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(borrow)]
    inline_data: Option<Inline<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inline<'a> {
    #[serde(borrow)]
    mime_type: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: Format, part: &str) -> Option<String> {
        let raw: &RawValue = serde_json::from_str(part).unwrap();
        let picture = Picture::of(format.as_str(), raw, 1)?;
        serde_json::to_string(&picture).ok()
    }

    #[test]
    fn a_picture_of_geminis_is_shown_and_nothing_else() {
        let picture =
            r#"{"inlineData":{"mimeType":"image/png","data":"iVBO"},"thoughtSignature":"s"}"#;
        let expected =
            r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"},"index":1}"#;
        assert_eq!(shown(Format::Gemini, picture).as_deref(), Some(expected));
        assert_eq!(shown(Format::AnthropicMessages, picture), None);
        let sound = r#"{"inlineData":{"mimeType":"audio/wav","data":"UklG"}}"#;
        assert_eq!(shown(Format::Gemini, sound), None);
        let code = r#"{"executableCode":{"language":"PYTHON","code":"1"}}"#;
        assert_eq!(shown(Format::Gemini, code), None);
    }
}
