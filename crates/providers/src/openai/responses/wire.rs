//! The items of a request as serde structs.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::wire::Extra;

/// One item.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WireItem<'a> {
    Known(KnownItem<'a>),
    Raw(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum KnownItem<'a> {
    Message {
        role: &'static str,
        content: Content<'a>,
        #[serde(flatten)]
        extra: Extra<'a>,
    },
    Reasoning {
        summary: Vec<Summary<'a>>,
        encrypted_content: &'a str,
    },
    FunctionCall {
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
        #[serde(flatten)]
        extra: Extra<'a>,
    },
    CustomToolCall {
        call_id: &'a str,
        name: &'a str,
        input: String,
        #[serde(flatten)]
        extra: Extra<'a>,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: Content<'a>,
        #[serde(flatten)]
        extra: Extra<'a>,
    },
    CustomToolCallOutput {
        call_id: &'a str,
        output: Content<'a>,
        #[serde(flatten)]
        extra: Extra<'a>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Summary<'a> {
    SummaryText { text: &'a str },
}

/// One plain text is written as a string.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<WirePart<'a>>),
}

impl Content<'_> {
    /// Whether no part is left.
    pub(super) fn says_nothing(&self) -> bool {
        matches!(self, Self::Parts(parts) if parts.is_empty())
    }

    /// Puts a word before all others.
    pub(super) fn begin_with_word(&mut self, word: &'static str) {
        match self {
            Self::Text(text) => *text = Cow::Owned(format!("{word} {text}")),
            Self::Parts(parts) if parts.is_empty() => *self = Self::Text(Cow::Borrowed(word)),
            Self::Parts(parts) => {
                let first = KnownPart::InputText {
                    text: word,
                    prompt_cache_breakpoint: None,
                };
                parts.insert(0, WirePart::Known(first));
            }
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WirePart<'a> {
    Known(KnownPart<'a>),
    Raw(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum KnownPart<'a> {
    InputText {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_breakpoint: Option<Breakpoint<'a>>,
    },
    OutputText {
        text: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        annotations: Vec<Value>,
    },
    Refusal {
        refusal: &'a str,
    },
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_breakpoint: Option<Breakpoint<'a>>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_breakpoint: Option<Breakpoint<'a>>,
    },
}

/// A prompt-cache breakpoint.
#[derive(Serialize)]
pub(super) struct Breakpoint<'a> {
    pub(super) mode: &'static str,
    #[serde(flatten)]
    pub(super) extra: Extra<'a>,
}
