//! What Gemini's `generateContent` answers where it was asked for pictures, sound or a transcript
//! (<https://ai.google.dev/api/generate-content#GenerateContentResponse>).

use std::borrow::Cow;

use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::{DecodeError, Dialect};
use crate::gemini::Gemini;

/// An answer, borrowed from its body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Generated<'a> {
    #[serde(default, borrow)]
    candidates: Vec<Candidate<'a>>,
    #[serde(borrow)]
    prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(borrow)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    model_version: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    finish_message: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct Content<'a> {
    #[serde(default, borrow)]
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    inline_data: Option<Blob<'a>>,
    #[serde(default)]
    thought: bool,
}

/// Bytes of a picture or of sound.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blob<'a> {
    /// What they are.
    #[serde(borrow)]
    pub(crate) mime_type: Cow<'a, str>,
    /// In base64.
    #[serde(borrow)]
    pub(crate) data: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback<'a> {
    #[serde(borrow)]
    block_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    block_reason_message: Option<Cow<'a, str>>,
}

impl<'a> Generated<'a> {
    /// Reads an answer.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(body)
            .map_err(|error| DecodeError::Malformed(format!("the answer cannot be read: {error}")))
    }

    /// The pictures and sounds, in their order; what the model only thought of is not among them.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Blob<'a>> {
        self.parts().filter_map(|part| part.inline_data.as_ref())
    }

    /// Everything that was said.
    pub(crate) fn text(&self) -> String {
        self.parts()
            .filter_map(|part| part.text.as_deref())
            .collect()
    }

    fn parts(&self) -> impl Iterator<Item = &Part<'a>> {
        self.candidates
            .iter()
            .filter_map(|candidate| candidate.content.as_ref())
            .flat_map(|content| &content.parts)
            .filter(|part| !part.thought)
    }

    /// What it took, where it says so.
    pub(crate) fn usage(&self) -> Result<Option<Usage>, DecodeError> {
        self.usage_metadata
            .map(|native| Gemini.usage(native.get().as_bytes()))
            .transpose()
    }

    /// The model that answered.
    pub(crate) fn model(&self) -> Option<String> {
        self.model_version.as_deref().map(str::to_owned)
    }

    /// Why there is nothing of what was asked for.
    pub(crate) fn nothing(&self, what: &str) -> DecodeError {
        let block = self.prompt_feedback.as_ref().and_then(|feedback| {
            Some((
                feedback.block_reason.as_deref()?,
                feedback.block_reason_message.as_deref(),
            ))
        });
        let finish = self.candidates.first().and_then(|candidate| {
            Some((
                candidate.finish_reason.as_deref()?,
                candidate.finish_message.as_deref(),
            ))
        });
        let Some((reason, message)) = block.or(finish) else {
            return DecodeError::Malformed(format!("the answer holds no {what}"));
        };
        let is_policy = block.is_some()
            || reason.contains("SAFETY")
            || reason.contains("PROHIBITED")
            || matches!(
                reason,
                "BLOCKLIST" | "SPII" | "RECITATION" | "IMAGE_RECITATION"
            );
        let cause = if is_policy {
            Cause::ContentPolicy
        } else {
            Cause::Server
        };
        let message = message.map_or_else(
            || format!("Gemini made no {what}: it ended with {reason}"),
            crate::failure::clean,
        );
        DecodeError::Provider(ProviderError {
            native_type: Some(reason.to_owned()),
            ..ProviderError::new(cause, message).with_retry(crate::failure::retry_of(cause, None))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(body: &str) -> Option<Cause> {
        match Generated::read(body.as_bytes()).unwrap().nothing("picture") {
            DecodeError::Provider(error) => Some(error.cause),
            DecodeError::Malformed(_) => None,
        }
    }

    #[test]
    fn a_refusal_is_told_from_a_failure_and_from_nonsense() {
        for (body, expected) in [
            (
                r#"{"promptFeedback":{"blockReason":"OTHER"}}"#,
                Some(Cause::ContentPolicy),
            ),
            (
                r#"{"candidates":[{"finishReason":"IMAGE_SAFETY"}]}"#,
                Some(Cause::ContentPolicy),
            ),
            (
                r#"{"candidates":[{"finishReason":"NO_IMAGE"}]}"#,
                Some(Cause::Server),
            ),
            ("{}", None),
        ] {
            assert_eq!(cause(body), expected, "{body}");
        }
    }

    #[test]
    fn thoughts_are_no_part_of_what_was_made() {
        let body = br#"{"candidates":[{"content":{"parts":[
            {"thought":true,"inlineData":{"mimeType":"image/png","data":"AA=="}},
            {"text":"Here."},{"inlineData":{"mimeType":"image/png","data":"AQ=="}}]}}]}"#;
        let generated = Generated::read(body).unwrap();
        let data: Vec<&str> = generated.blobs().map(|blob| blob.data.as_ref()).collect();
        assert_eq!((data, generated.text()), (vec!["AQ=="], "Here.".to_owned()));
    }
}
