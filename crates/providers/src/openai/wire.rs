//! What requests and answers have in common on the way out: calls, thoughts, and fields of others.

use std::collections::BTreeSet;
use std::ops::Bound;

use domain::chat::{ChatRequest, Extensions, Part, Reasoning, Text, ToolCall};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::parse::FORMAT;
use super::{annotations, responses};

/// A tool call, or a piece of one in a stream.
#[derive(Serialize, Default)]
pub(super) struct WireCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    pub(super) function: WireFunction<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_content: Option<ExtraContent<'a>>,
}

/// The function that is called.
#[derive(Serialize, Default)]
pub(super) struct WireFunction<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
}

impl<'a> From<&'a ToolCall> for WireCall<'a> {
    fn from(call: &'a ToolCall) -> Self {
        Self {
            index: None,
            id: Some(&call.id),
            kind: Some("function"),
            function: WireFunction {
                name: Some(&call.name),
                arguments: Some(whole_arguments(&call.arguments)),
            },
            extra_content: call.signature.as_deref().map(ExtraContent::signed),
        }
    }
}

/// Clients parse the arguments; a call without any must say so in JSON.
fn whole_arguments(arguments: &str) -> &str {
    if arguments.trim().is_empty() {
        "{}"
    } else {
        arguments
    }
}

/// Where Google's OpenAI-compatible endpoint puts what only Gemini knows
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
#[derive(Serialize)]
pub(super) struct ExtraContent<'a> {
    google: Google<'a>,
}

#[derive(Serialize)]
struct Google<'a> {
    thought_signature: &'a str,
}

impl<'a> ExtraContent<'a> {
    pub(super) fn signed(thought_signature: &'a str) -> Self {
        Self {
            google: Google { thought_signature },
        }
    }
}

/// One item of `reasoning_details`
/// (<https://openrouter.ai/docs/use-cases/reasoning-tokens#reasoning_details-array-structure>).
#[derive(Serialize)]
pub(super) struct Detail<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    index: usize,
}

impl<'a> Detail<'a> {
    pub(super) fn encrypted(index: usize, data: &'a str) -> Self {
        Self {
            kind: "reasoning.encrypted",
            text: None,
            signature: None,
            data: Some(data),
            index,
        }
    }

    pub(super) fn readable(
        index: usize,
        text: Option<&'a str>,
        signature: Option<&'a str>,
    ) -> Self {
        Self {
            kind: "reasoning.text",
            text,
            signature,
            data: None,
            index,
        }
    }

    fn of((index, reasoning): (usize, &'a Reasoning)) -> Self {
        match &reasoning.redacted {
            Some(data) => Self::encrypted(index, data),
            None => Self::readable(
                index,
                reasoning.text.as_deref(),
                reasoning.signature.as_deref(),
            ),
        }
    }
}

/// The thoughts among the parts.
pub(super) fn thoughts(parts: &[Part]) -> impl Iterator<Item = &Reasoning> {
    parts.iter().filter_map(|part| match part {
        Part::Reasoning(reasoning) => Some(reasoning),
        _ => None,
    })
}

/// The texts among the parts.
pub(super) fn texts(parts: &[Part]) -> impl Iterator<Item = &Text> {
    parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text),
        _ => None,
    })
}

/// The texts of refusal among the parts.
pub(super) fn refusals(parts: &[Part]) -> impl Iterator<Item = &str> {
    parts.iter().filter_map(|part| match part {
        Part::Refusal(text) => Some(text.as_str()),
        _ => None,
    })
}

/// The thoughts as plain text; `None` when nothing can be read.
pub(super) fn reasoning_content(parts: &[Part]) -> Option<String> {
    let text: String = thoughts(parts)
        .filter_map(|reasoning| reasoning.text.as_deref())
        .collect();
    (!text.is_empty()).then_some(text)
}

/// The thoughts with their signatures.
pub(super) fn reasoning_details(parts: &[Part]) -> Vec<Detail<'_>> {
    thoughts(parts).enumerate().map(Detail::of).collect()
}

/// Fields that are written as they came, beside those that are known.
#[derive(Default)]
pub(super) struct Extra<'a>(pub(super) Vec<(&'a str, &'a RawValue)>);

impl<'a> Extra<'a> {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields of the object at `path`; at the top, `path` is empty.
    pub(super) fn at(extensions: &'a Extensions, path: &str) -> Self {
        let is_name = |name: &str| !name.is_empty() && !name.contains(['.', '[']);
        if path.is_empty() {
            let all = extensions.iter();
            return Self(
                all.filter(|(name, _)| is_name(name))
                    .map(|(name, raw)| (name.as_str(), &**raw))
                    .collect(),
            );
        }
        let inside = extensions
            .range::<str, _>((Bound::Included(path), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(path));
        let named = inside.filter_map(|(key, raw)| {
            let name = key.strip_prefix(path)?.strip_prefix('.')?;
            is_name(name).then_some((name, &**raw))
        });
        Self(named.collect())
    }
}

/// The fields of a message that are written by name.
const MESSAGE_FIELDS: [&str; 10] = [
    "annotations",
    "content",
    "extra_content",
    annotations::NATIVE,
    "provider_content",
    "reasoning_content",
    "reasoning_details",
    "refusal",
    "role",
    "tool_calls",
];

impl<'a> Extra<'a> {
    /// Adds fields to those of a message, unless one of them is there already: a name comes once.
    pub(super) fn add(&mut self, fields: &[(&'a str, &'a RawValue)]) -> bool {
        let is_free = |name: &str| {
            !MESSAGE_FIELDS.contains(&name) && self.0.iter().all(|(other, _)| *other != name)
        };
        let all_free = fields.iter().all(|(name, _)| is_free(name));
        if all_free {
            self.0.extend(fields);
        }
        all_free
    }
}

/// The unknown fields of a request while it is written: which of them found their place.
pub(super) struct Leftovers<'a> {
    extensions: &'a Extensions,
    format: &'static str,
    takes: Takes,
    placed: BTreeSet<String>,
}

/// Whether a field of the format (first) that stands in the object at the path (second) under the name
/// (third) has its place there in what is written too.
type Takes = fn(&str, &str, &str) -> bool;

impl<'a> Leftovers<'a> {
    /// Of a request that is written as chat completions; the words of other formats have no place there.
    pub(super) fn of(request: &'a ChatRequest) -> Self {
        Self::taken_by(request, |format, path, name| {
            if format == responses::words::FORMAT {
                path.is_empty() && responses::words::is_shared(name)
            } else {
                // Completions are chat completions but for the prompt.
                format.starts_with(FORMAT)
            }
        })
    }

    /// Of a request that is written as something that takes what `takes` says.
    pub(super) fn taken_by(request: &'a ChatRequest, takes: Takes) -> Self {
        Self {
            extensions: &request.extensions,
            format: request.format,
            takes,
            placed: BTreeSet::new(),
        }
    }

    /// The fields of the object at `path`, which is being written.
    pub(super) fn at(&mut self, path: &str) -> Extra<'a> {
        let mut extra = Extra::at(self.extensions, path);
        extra
            .0
            .retain(|(name, _)| (self.takes)(self.format, path, name));
        for (name, _) in &extra.0 {
            let key = if path.is_empty() {
                (*name).to_owned()
            } else {
                format!("{path}.{name}")
            };
            self.placed.insert(key);
        }
        extra
    }

    /// Takes a field that is written in another place than its own.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a RawValue> {
        let raw = self.extensions.get(key)?;
        self.placed.insert(key.to_owned());
        Some(&**raw)
    }

    /// The fields whose object was not written.
    pub(super) fn lost(self) -> impl Iterator<Item = &'a str> {
        let placed = self.placed;
        self.extensions
            .keys()
            .map(String::as_str)
            .filter(move |key| !placed.contains(*key))
    }
}

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, raw) in &self.0 {
            map.serialize_entry(name, raw)?;
        }
        map.end()
    }
}
