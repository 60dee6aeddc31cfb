//! The state of other providers' models in the one place that clients of this format give back untouched:
//! the `encrypted_content` of reasoning items.
//!
//! Anthropic signs thoughts, Gemini signs calls and texts, and both send blocks that nobody else knows;
//! without them, the next turn is refused or worse. What a caller gets is an envelope, `trunkline.1.` and
//! base64url of a small JSON object. It hides nothing and proves nothing: what is inside is sealed by the
//! provider that made it, and checked there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::chat::Reasoning;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::Format;

/// What every envelope of this version begins with.
const ENVELOPE: &str = "trunkline.1.";

/// What marks OpenAI's own encrypted thoughts where the domain keeps only a text.
const OPENAI: &str = "openai:";

/// What OpenAI's encrypted thoughts begin with, as hosts hand them on that resell its models.
const OPENAI_TOKEN: &str = "gAAAA";

/// What an envelope holds.
#[derive(Debug, Clone)]
pub(super) enum Sealed {
    /// A thought, whole.
    Thought(Reasoning),
    /// The signature over the call of this id.
    Call {
        /// The call's id.
        id: String,
        /// The signature.
        signature: String,
    },
    /// The signature over the text before.
    Text {
        /// The signature.
        signature: String,
    },
    /// A block that only its format knows.
    Block {
        /// The format.
        format: &'static str,
        /// The block.
        raw: Box<RawValue>,
    },
}

#[derive(Serialize, Deserialize, Default)]
struct Letter<'a> {
    of: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<Box<RawValue>>,
}

/// What stands in `encrypted_content` for `sealed`. OpenAI's own encrypted thoughts stand there as they are.
pub(super) fn seal(sealed: &Sealed) -> String {
    let letter = match sealed {
        Sealed::Thought(Reasoning {
            signature: None,
            redacted: Some(data),
            ..
        }) if own(data).is_some() => return own(data).unwrap_or_default().to_owned(),
        Sealed::Thought(thought) => Letter {
            of: "thought",
            text: thought.text.clone(),
            signature: thought.signature.clone(),
            redacted: thought.redacted.clone(),
            ..Letter::default()
        },
        Sealed::Call { id, signature } => Letter {
            of: "call",
            id: Some(id.clone()),
            signature: Some(signature.clone()),
            ..Letter::default()
        },
        Sealed::Text { signature } => Letter {
            of: "text",
            signature: Some(signature.clone()),
            ..Letter::default()
        },
        Sealed::Block { format, raw } => Letter {
            of: "block",
            format: Some((*format).to_owned()),
            raw: Some(raw.clone()),
            ..Letter::default()
        },
    };
    // Keys are strings and memory grows: serialisation has no way to fail.
    let json = serde_json::to_vec(&letter).unwrap_or_default();
    format!("{ENVELOPE}{}", URL_SAFE_NO_PAD.encode(json))
}

/// Opens an envelope. `None` when `encrypted_content` is no envelope of ours, or a broken one.
pub(super) fn open(encrypted_content: &str) -> Option<Sealed> {
    let json = encrypted_content.strip_prefix(ENVELOPE)?;
    let json = URL_SAFE_NO_PAD.decode(json).ok()?;
    let json = String::from_utf8(json).ok()?;
    let letter: Letter<'_> = serde_json::from_str(&json).ok()?;
    Some(match letter.of {
        "thought" => Sealed::Thought(Reasoning {
            text: letter.text,
            signature: letter.signature,
            redacted: letter.redacted,
        }),
        "call" => Sealed::Call {
            id: letter.id?,
            signature: letter.signature?,
        },
        "text" => Sealed::Text {
            signature: letter.signature?,
        },
        "block" => Sealed::Block {
            format: format_of(&letter.format?)?,
            raw: letter.raw?,
        },
        _ => return None,
    })
}

/// Whether a body may hold an envelope of ours.
pub(super) fn may_hold_envelopes(body: &[u8]) -> bool {
    memchr::memmem::find(body, ENVELOPE.as_bytes()).is_some()
}

/// Whether `encrypted_content` is an envelope of ours, which OpenAI itself would refuse.
pub(super) fn is_envelope(encrypted_content: &str) -> bool {
    encrypted_content.starts_with(ENVELOPE)
}

/// How the domain keeps OpenAI's encrypted thoughts.
pub(super) fn mark(encrypted_content: &str) -> String {
    format!("{OPENAI}{encrypted_content}")
}

/// OpenAI's encrypted thoughts as OpenAI wrote them; `None` when they are another provider's.
pub(super) fn own(redacted: &str) -> Option<&str> {
    let is_token = redacted.starts_with(OPENAI_TOKEN);
    redacted
        .strip_prefix(OPENAI)
        .or(is_token.then_some(redacted))
}

fn format_of(word: &str) -> Option<&'static str> {
    const FORMATS: [Format; 7] = [
        Format::OpenaiChat,
        Format::OpenaiResponses,
        Format::OpenaiCompletions,
        Format::AnthropicMessages,
        Format::Gemini,
        Format::CohereChat,
        Format::BedrockConverse,
    ];
    let mut known = FORMATS.into_iter().map(Format::as_str);
    known.find(|format| *format == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(sealed: &Sealed) -> String {
        format!("{:?}", open(&seal(sealed)).unwrap())
    }

    #[test]
    fn what_is_sealed_comes_out_as_it_was() {
        let raw = RawValue::from_string(r#"{"type":"server_tool_use","n":1e400}"#.to_owned());
        for sealed in [
            Sealed::Thought(Reasoning {
                text: Some("Hm \"ü\"\n".to_owned()),
                signature: Some("c2ln".to_owned()),
                redacted: None,
            }),
            Sealed::Thought(Reasoning {
                redacted: Some("ErUB".to_owned()),
                ..Reasoning::default()
            }),
            Sealed::Call {
                id: "call_1".to_owned(),
                signature: "c2ln".to_owned(),
            },
            Sealed::Text {
                signature: "c2ln".to_owned(),
            },
            Sealed::Block {
                format: "anthropic",
                raw: raw.unwrap(),
            },
        ] {
            assert_eq!(opened(&sealed), format!("{sealed:?}"));
        }
    }

    #[test]
    fn openais_own_thoughts_need_no_envelope() {
        let sealed = Sealed::Thought(Reasoning {
            text: Some("A summary.".to_owned()),
            redacted: Some(mark("gAAAAABx")),
            signature: None,
        });
        assert_eq!(seal(&sealed), "gAAAAABx");
    }

    #[test]
    fn what_is_no_envelope_of_ours_is_not_opened() {
        for text in [
            "",
            "gAAAAABx",
            "trunkline.1.",
            "trunkline.1.%%%",
            "trunkline.1.e30",
            "trunkline.2.e30",
            "trunkline.1.eyJvZiI6ImNhbGwifQ",
        ] {
            assert!(open(text).is_none(), "{text}");
        }
    }
}
