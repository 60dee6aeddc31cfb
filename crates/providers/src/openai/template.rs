//! The short way through a stream: from one chunk to the next, mostly one string changes.
//!
//! A chunk is some hundred bytes of which a few are new. When a chunk, read in full, made exactly one event
//! out of one of its strings, what stands before and after that string is remembered. A later chunk that
//! has the same bytes there and a string in between is the same JSON but for the string, and makes the
//! same event out of it, so that it need not be read in full.

use domain::chat::ChatEvent;
use memchr::{memchr2, memmem};

/// What stays the same from chunk to chunk.
pub(super) struct Template {
    /// Up to the string, its opening quote included.
    before: String,
    /// From the string's closing quote on; up to the padding, its opening quote included, if there is one.
    between: String,
    /// From the closing quote of the padding on.
    after: Option<String>,
    event: ChatEvent,
}

/// OpenAI pads its chunks with a random string, so that their length betrays nothing
/// (<https://platform.openai.com/docs/api-reference/chat-streaming>).
const PADDING: &str = "\"obfuscation\":\"";

impl Template {
    /// Remembers the chunk `data`, which made `event` out of its string `hole` and nothing else.
    pub(super) fn learn(data: &str, hole: &str, event: &ChatEvent) -> Option<Self> {
        // Where a host says the same thing in two places, the string that was found may be the other one.
        let (ChatEvent::Text { text: made, .. }
        | ChatEvent::Reasoning { text: made, .. }
        | ChatEvent::ToolCallArguments { fragment: made, .. }) = event
        else {
            return None;
        };
        if made != hole {
            return None;
        }
        let start = hole.as_ptr().addr().checked_sub(data.as_ptr().addr())?;
        let before = data.get(..start)?;
        let rest = data.get(start + hole.len()..)?;
        if !before.ends_with('"') || !rest.starts_with('"') {
            return None;
        }
        let (between, after) = match memmem::find(rest.as_bytes(), PADDING.as_bytes()) {
            None => (rest, None),
            Some(place) => {
                let (between, padded) = rest.split_at_checked(place + PADDING.len())?;
                let end = memchr2(b'"', b'\\', padded.as_bytes())?;
                (between, Some(padded.get(end..)?.to_owned()))
            }
        };
        Some(Self {
            before: before.to_owned(),
            between: between.to_owned(),
            after,
            event: event.clone(),
        })
    }

    /// The event of another chunk of this kind. `None` when it is of another kind, or not surely of this
    /// one: then it is to be read in full.
    pub(super) fn fill(&self, data: &str) -> Option<ChatEvent> {
        let rest = data.strip_prefix(self.before.as_str())?;
        let end = memchr2(b'"', b'\\', rest.as_bytes())?;
        let (hole, rest) = rest.split_at_checked(end)?;
        if hole.is_empty() || hole.bytes().any(|byte| byte < b' ') {
            return None;
        }
        let rest = rest.strip_prefix(self.between.as_str())?;
        match &self.after {
            None => rest.is_empty().then_some(())?,
            Some(after) => {
                let padding = rest.strip_suffix(after.as_str())?;
                let is_plain = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\');
                padding.bytes().all(is_plain).then_some(())?;
            }
        }
        let hole = hole.to_owned();
        Some(match self.event {
            ChatEvent::Text { choice, .. } => ChatEvent::Text { choice, text: hole },
            ChatEvent::Reasoning { choice, .. } => ChatEvent::Reasoning { choice, text: hole },
            ChatEvent::ToolCallArguments { choice, call, .. } => ChatEvent::ToolCallArguments {
                choice,
                call,
                fragment: hole,
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> ChatEvent {
        ChatEvent::Text {
            choice: 0,
            text: text.to_owned(),
        }
    }

    /// A template of a chunk whose string is `old`.
    fn template(chunk: &str) -> Template {
        let start = chunk.find("old").unwrap();
        let hole = chunk.get(start..start + 3).unwrap();
        Template::learn(chunk, hole, &text("old")).unwrap()
    }

    fn filled(template: &Template, chunk: &str) -> Option<String> {
        match template.fill(chunk)? {
            ChatEvent::Text { text, .. } => Some(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_chunk_that_differs_in_the_string_only_is_filled_in() {
        let template = template(r#"{"a":{"content":"old"},"b":null}"#);
        for new in ["new", "ü 😀", "}]}"] {
            let chunk = format!(r#"{{"a":{{"content":"{new}"}},"b":null}}"#);
            assert_eq!(filled(&template, &chunk).as_deref(), Some(new));
        }
    }

    #[test]
    fn whatever_is_not_surely_the_same_is_read_in_full() {
        let template = template(r#"{"a":{"content":"old"},"b":null}"#);
        for other in [
            r#"{"a":{"content":""},"b":null}"#,
            r#"{"a":{"content":"a\nb"},"b":null}"#,
            r#"{"a":{"content":"new"},"b":1}"#,
            r#"{"a":{"content":"new"},"b":null} "#,
            r#"{"a":{"content":"new","x":"y"},"b":null}"#,
            r#"{"c":{"content":"new"},"b":null}"#,
            "{\"a\":{\"content\":\"a\tb\"},\"b\":null}",
            "",
        ] {
            assert_eq!(filled(&template, other), None, "{other}");
        }
    }

    #[test]
    fn random_padding_may_differ_too() {
        let template = template(r#"{"content":"old","obfuscation":"Zk","b":null}"#);
        let padded = r#"{"content":"new","obfuscation":"8sXq1","b":null}"#;
        assert_eq!(filled(&template, padded).as_deref(), Some("new"));
        let injected = r#"{"content":"new","obfuscation":"","usage":"x","b":null}"#;
        assert_eq!(filled(&template, injected), None);
    }
}
