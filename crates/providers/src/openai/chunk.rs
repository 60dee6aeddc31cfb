//! A chunk of a stream as serde reads it: borrowed from the event, nothing copied that is only looked at,
//! fields of the delta that nobody knows kept as they were written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::annotations;
use super::fields::Name;

/// One chunk.
#[derive(serde::Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Name<'a>>,
    #[serde(borrow)]
    pub(super) model: Option<Name<'a>>,
    #[serde(borrow)]
    pub(super) choices: Option<Vec<ChunkChoice<'a>>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) service_tier: Option<Name<'a>>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    /// Groq's place for the usage (<https://console.groq.com/docs/api-reference#chat>).
    #[serde(borrow)]
    pub(super) x_groq: Option<Groq<'a>>,
}

impl<'a> Chunk<'a> {
    /// The string that is new, when there is one choice with one plain string in it: a piece of text, of
    /// thought, or of a call's arguments, written without escapes.
    pub(super) fn only_string(&self) -> Option<&'a str> {
        let [choice] = self.choices.as_deref()? else {
            return None;
        };
        let delta = choice.delta.as_ref()?;
        let calls = delta.tool_calls.as_deref().unwrap_or_default();
        // Empty strings beside the new one stay as they are.
        let content = match &delta.content {
            Some(Content::Text(text)) if text.is_empty() => None,
            content => content.as_ref(),
        };
        let reasoning = delta.reasoning.as_ref().filter(|text| !text.is_empty());
        match (content, reasoning, calls) {
            (Some(Content::Text(Cow::Borrowed(text))), None, [])
            | (None, Some(Cow::Borrowed(text)), []) => Some(*text),
            (None, None, [call]) => match &call.function.as_ref()?.arguments {
                Some(Name(Cow::Borrowed(text))) => Some(*text),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What Groq puts beside.
#[derive(serde::Deserialize)]
pub(super) struct Groq<'a> {
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

/// One choice of a chunk. What hosts add here repeats with every chunk (filters, token numbers) and is
/// not part of the answer.
#[derive(serde::Deserialize)]
pub(super) struct ChunkChoice<'a> {
    #[serde(default)]
    pub(super) index: u32,
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Name<'a>>,
    #[serde(borrow)]
    pub(super) native_finish_reason: Option<Name<'a>>,
    /// vLLM's stop text, or the number of the token that stopped.
    #[serde(borrow)]
    pub(super) stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) stop_sequence: Option<Name<'a>>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
    /// Moonshot's place for the usage (<https://platform.moonshot.ai/docs/api/chat>).
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

/// What is new.
#[derive(Default)]
pub(super) struct Delta<'a> {
    pub(super) content: Option<Content<'a>>,
    pub(super) refusal: Option<Cow<'a, str>>,
    /// `reasoning_content` of DeepSeek and others, `reasoning` of OpenRouter and others.
    pub(super) reasoning: Option<Cow<'a, str>>,
    pub(super) reasoning_details: Option<Vec<&'a RawValue>>,
    pub(super) tool_calls: Option<Vec<CallDelta<'a>>>,
    pub(super) annotations: Option<Vec<&'a RawValue>>,
    pub(super) native_annotations: Option<Vec<&'a RawValue>>,
    pub(super) extra_content: Option<ExtraContent<'a>>,
    /// What nobody knows and is not `null`.
    pub(super) unknown: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// The text, or the list of parts in which Mistral's reasoning models answer.
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<&'a RawValue>),
}

/// A piece of a tool call.
#[derive(serde::Deserialize)]
pub(super) struct CallDelta<'a> {
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) id: Option<Name<'a>>,
    #[serde(borrow)]
    pub(super) function: Option<FunctionDelta<'a>>,
    #[serde(borrow)]
    pub(super) extra_content: Option<ExtraContent<'a>>,
}

/// A piece of the call's function.
#[derive(serde::Deserialize)]
pub(super) struct FunctionDelta<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Name<'a>>,
    #[serde(borrow)]
    pub(super) arguments: Option<Name<'a>>,
}

/// Where Google's OpenAI-compatible endpoint puts the signature.
#[derive(serde::Deserialize)]
pub(super) struct ExtraContent<'a> {
    #[serde(borrow)]
    google: Option<Google<'a>>,
}

#[derive(serde::Deserialize)]
struct Google<'a> {
    #[serde(borrow)]
    thought_signature: Option<Name<'a>>,
}

impl<'a> ExtraContent<'a> {
    pub(super) fn signature(self) -> Option<Cow<'a, str>> {
        Some(self.google?.thought_signature?.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Delta<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DeltaVisitor)
    }
}

struct DeltaVisitor;

impl<'de> Visitor<'de> for DeltaVisitor {
    type Value = Delta<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a delta")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Delta<'de>, A::Error> {
        let mut delta = Delta::default();
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "role" => {
                    map.next_value::<IgnoredAny>()?;
                }
                "content" => delta.content = map.next_value()?,
                "refusal" => delta.refusal = text(&mut map)?,
                "reasoning_content" | "reasoning" => {
                    if let Some(text) = text(&mut map)? {
                        // Hosts that write both write the same in both.
                        delta.reasoning.get_or_insert(text);
                    }
                }
                "reasoning_details" => delta.reasoning_details = map.next_value()?,
                "tool_calls" => delta.tool_calls = map.next_value()?,
                "annotations" => delta.annotations = map.next_value()?,
                annotations::NATIVE => delta.native_annotations = map.next_value()?,
                "extra_content" => delta.extra_content = map.next_value()?,
                _ => {
                    let raw: &RawValue = map.next_value()?;
                    if raw.get() != "null" {
                        delta.unknown.push((name, raw));
                    }
                }
            }
        }
        Ok(delta)
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    let text: Option<Name<'de>> = map.next_value()?;
    Ok(text.map(|Name(text)| text))
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of parts")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut read = Vec::new();
        while let Some(part) = parts.next_element()? {
            read.push(part);
        }
        Ok(Content::Parts(read))
    }
}
