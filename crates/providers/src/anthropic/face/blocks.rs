//! What answers are made of, on the way out: content blocks, and the events of a stream.
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use domain::chat::{Annotation, Finish, FinishReason};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::usage::Shown;
use crate::dialect::Format;
use crate::openai::render::append;

/// What keeps an idle stream open, as the vendor sends it.
pub(super) const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// A content block: whole, or as a stream opens it.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<Value>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: Cow<'a, str>,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Cow<'a, RawValue>,
    },
    /// A block that came from this format, as it came.
    #[serde(untagged)]
    Raw(&'a RawValue),
}

/// A step of a content block.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
    #[serde(rename = "citations_delta")]
    Citation { citation: Value },
}

/// An event of a stream.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    MessageStart {
        message: Started<'a>,
    },
    ContentBlockStart {
        index: u32,
        content_block: Block<'a>,
    },
    ContentBlockDelta {
        index: u32,
        delta: Delta<'a>,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: Stop<'a>,
        usage: Shown,
        #[serde(skip_serializing_if = "<[Foreign<'_>]>::is_empty")]
        provider_content: &'a [Foreign<'a>],
        #[serde(skip_serializing_if = "Option::is_none")]
        trunkline: Option<&'a Value>,
    },
    MessageStop,
}

/// The message as a stream begins it.
#[derive(Serialize)]
pub(super) struct Started<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: [(); 0],
    pub(super) stop_reason: (),
    pub(super) stop_sequence: (),
    pub(super) usage: Shown,
}

/// Why an answer ended.
#[derive(Serialize)]
pub(super) struct Stop<'a> {
    #[serde(rename = "stop_reason")]
    reason: &'static str,
    #[serde(rename = "stop_sequence")]
    sequence: Option<&'a str>,
    #[serde(rename = "stop_details", skip_serializing_if = "Option::is_none")]
    details: Option<StopDetails>,
    /// An extension: the provider's own word, where this format has none that is as good.
    #[serde(rename = "native_stop_reason", skip_serializing_if = "Option::is_none")]
    native: Option<&'a str>,
}

/// What the vendor says beside a refusal.
#[derive(Serialize)]
pub(super) struct StopDetails {
    #[serde(rename = "type")]
    kind: &'static str,
    category: (),
    explanation: (),
}

/// Something that only the provider's format knows: an item of `provider_content`, an extension.
#[derive(Serialize)]
pub(super) struct Foreign<'a> {
    pub(super) format: &'static str,
    pub(super) raw: Cow<'a, RawValue>,
}

impl Foreign<'_> {
    /// A citation that this format has no word for; the domain's are in OpenAI's.
    pub(super) fn citation(annotation: &Annotation) -> Self {
        Self {
            format: Format::OpenaiChat.as_str(),
            raw: Cow::Owned(to_raw_value(annotation).unwrap_or_default()),
        }
    }
}

impl Event<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }

    /// Appends the event.
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.put_slice(b"event: ");
        out.put_slice(self.name().as_bytes());
        out.put_slice(b"\ndata: ");
        append(self, out);
        out.put_slice(b"\n\n");
    }
}

impl<'a> Stop<'a> {
    /// The vendor's word for a reason (<https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>).
    /// `has_refused` says that the model's words are a refusal. An answer that the provider could not
    /// finish has no word here; it ends the turn, and the provider's own word stands beside.
    pub(super) fn of(finish: &'a Finish, has_refused: bool) -> Self {
        let native = finish.native.as_str();
        let reason = match finish.reason {
            FinishReason::Stop if has_refused => "refusal",
            FinishReason::Stop if finish.stop_sequence.is_some() => "stop_sequence",
            FinishReason::Stop | FinishReason::Error => "end_turn",
            FinishReason::Length if native == "model_context_window_exceeded" => {
                "model_context_window_exceeded"
            }
            FinishReason::Length => "max_tokens",
            FinishReason::ToolCalls => "tool_use",
            FinishReason::ContentFilter => "refusal",
            FinishReason::Pause => "pause_turn",
        };
        let is_lost = finish.reason == FinishReason::Error && !native.is_empty();
        Self {
            reason,
            sequence: finish
                .stop_sequence
                .as_deref()
                .filter(|_| reason == "stop_sequence"),
            details: (reason == "refusal").then_some(StopDetails {
                kind: "refusal",
                category: (),
                explanation: (),
            }),
            native: is_lost.then_some(native),
        }
    }
}

/// The input of a tool call as the object that it must be; what is none is kept as text inside one.
pub(super) fn input(arguments: &str) -> Cow<'_, RawValue> {
    super::super::messages::input(arguments).0
}

/// The empty input with which a stream opens a call.
pub(super) fn no_input() -> Cow<'static, RawValue> {
    Cow::Owned(to_raw_value(&json!({})).unwrap_or_default())
}

/// A citation in the vendor's words. Its own come back as they were but for the place in the answer, which the
/// block tells; a web page is cited as a search result of the vendor's, with the words of `text`, the answer
/// so far, that the citation is over. `None` where the vendor has no such citation: its clients know no others.
pub(super) fn citation(annotation: &Annotation, text: &str) -> Option<Value> {
    const OWN: [&str; 5] = [
        "char_location",
        "content_block_location",
        "page_location",
        "search_result_location",
        "web_search_result_location",
    ];
    let kind = annotation.get("type")?.as_str()?;
    let fields = annotation.get(kind)?.as_object()?;
    if kind == "url_citation" {
        let place = |name: &str| {
            let place = fields.get(name)?.as_u64()?;
            usize::try_from(place).ok()
        };
        let cited = place("start_index").zip(place("end_index"));
        let cited = cited.map(|(start, end)| {
            let words = text.chars().skip(start);
            words.take(end.saturating_sub(start)).collect::<String>()
        });
        return Some(json!({
            "type": "web_search_result_location",
            "cited_text": cited.unwrap_or_default(),
            "url": fields.get("url")?,
            "title": fields.get("title"),
            "encrypted_index": "",
        }));
    }
    if !OWN.contains(&kind) {
        return None;
    }
    let mut citation = serde_json::Map::new();
    citation.insert("type".to_owned(), Value::from(kind));
    let own = fields
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "start_index" | "end_index"));
    citation.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    Some(Value::Object(citation))
}
