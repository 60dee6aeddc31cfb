//! The keeping of other providers' sealed thoughts by Gemini clients.
//!
//! Anthropic signs its thoughts and OpenAI encrypts them, and both want them back as they were. A Gemini
//! client keeps nothing of that kind but `thoughtSignature`, which it treats as bytes: it decodes the
//! base64 and may send it back in the other alphabet. So a seal travels inside a signature of our own, as
//! JSON, and comes out byte for byte. It stands on the thought that it seals and again on the call that
//! follows, because clients that leave thoughts out of their history keep the signatures of calls.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::chat::Reasoning;
use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::gemini::contents::NO_SIGNATURE;
use crate::openai::media::standard_base64;

/// How every signature of ours begins, in either alphabet: `{"trunkline"` in base64.
const MARK: &str = "eyJ0cnVua2xpbmUi";

/// More thoughts than any signature of ours holds.
pub(super) const MAX_THOUGHTS: usize = 256;

/// What a signature of ours holds.
#[derive(Serialize, Deserialize)]
struct Seal<'a> {
    /// The version of this shape.
    trunkline: u8,
    #[serde(borrow)]
    thoughts: Vec<Sealed<'a>>,
}

/// One thought, with its words where they may be lost.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    redacted: Option<Cow<'a, str>>,
}

/// Thoughts as a `thoughtSignature`.
pub(super) fn seal<'a>(thoughts: impl IntoIterator<Item = &'a Reasoning>) -> String {
    let sealed = |thought: &'a Reasoning| Sealed {
        text: thought.text.as_deref().map(Cow::Borrowed),
        signature: thought.signature.as_deref().map(Cow::Borrowed),
        redacted: thought.redacted.as_deref().map(Cow::Borrowed),
    };
    let seal = Seal {
        trunkline: 1,
        thoughts: thoughts.into_iter().map(sealed).collect(),
    };
    // Keys are strings and memory grows: serialisation has no way to fail.
    STANDARD.encode(serde_json::to_vec(&seal).unwrap_or_default())
}

/// The seal of one thought whose words stand beside it.
pub(super) fn seal_of(signature: Option<&str>, redacted: Option<&str>) -> String {
    seal([&Reasoning {
        text: None,
        signature: signature.map(str::to_owned),
        redacted: redacted.map(str::to_owned),
    }])
}

/// The thoughts in a `thoughtSignature`; `None` for a signature that is Google's.
pub(super) fn open(signature: &str) -> Option<Vec<Reasoning>> {
    if !signature.starts_with(MARK) {
        return None;
    }
    let standard = standard_base64(signature, "").ok()?;
    let json = STANDARD.decode(standard).ok()?;
    let seal: Seal<'_> = serde_json::from_slice(&json).ok()?;
    if seal.thoughts.len() > MAX_THOUGHTS {
        return None;
    }
    let thought = |sealed: Sealed<'_>| Reasoning {
        text: sealed.text.map(Cow::into_owned),
        signature: sealed.signature.map(Cow::into_owned),
        redacted: sealed.redacted.map(Cow::into_owned),
    };
    Some(seal.thoughts.into_iter().map(thought).collect())
}

/// The body as Google takes it: our own signatures, which it would refuse, give way to its word for
/// histories that its models did not make. `None` where there are none of ours.
pub(super) fn without_seals(body: &[u8]) -> Option<Vec<u8>> {
    let mut places = memmem::find_iter(body, MARK).peekable();
    places.peek()?;
    let mut out = Vec::with_capacity(body.len());
    let mut copied = 0;
    for start in places {
        let length = body
            .get(start..)
            .and_then(|rest| rest.iter().position(|byte| !is_base64(*byte)));
        let end = start + length.unwrap_or(0);
        if start < copied || !is_signature(body.get(..start).unwrap_or_default()) {
            continue;
        }
        out.extend_from_slice(body.get(copied..start).unwrap_or_default());
        out.extend_from_slice(NO_SIGNATURE.as_bytes());
        copied = end;
    }
    out.extend_from_slice(body.get(copied..).unwrap_or_default());
    Some(out)
}

/// Whether what stands before a value says that it is a signature; the same letters in a text are a text.
fn is_signature(before: &[u8]) -> bool {
    let name = before
        .strip_suffix(b"\"")
        .and_then(|before| before.trim_ascii_end().strip_suffix(b":"))
        .unwrap_or_default()
        .trim_ascii_end();
    name.ends_with(b"\"thoughtSignature\"") || name.ends_with(b"\"thought_signature\"")
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thought() -> Reasoning {
        Reasoning {
            text: Some("Zuerst \"prüfen\"…".to_owned()),
            signature: Some("EqQB+/9=".to_owned()),
            redacted: None,
        }
    }

    #[test]
    fn thoughts_come_back_as_they_were_from_either_alphabet() {
        let sealed = seal([
            &thought(),
            &Reasoning {
                redacted: Some("gAAA-_?>~~~".to_owned()),
                ..Reasoning::default()
            },
        ]);
        let url_safe = sealed.replace('+', "-").replace('/', "_");
        for signature in [
            sealed.as_str(),
            url_safe.as_str(),
            url_safe.trim_end_matches('='),
        ] {
            let opened = open(signature).unwrap();
            assert_eq!(opened.first(), Some(&thought()), "{signature}");
            assert_eq!(opened.len(), 2);
        }
    }

    #[test]
    fn a_signature_of_google_is_left_alone() {
        for signature in [
            "",
            "CiQB0e2Kbw==",
            "skip_thought_signature_validator",
            "eyJ0cnVua2xpbmUi!",
        ] {
            assert_eq!(open(signature), None, "{signature}");
        }
    }

    #[test]
    fn google_is_not_shown_our_signatures() {
        let sealed = seal_of(Some("sig"), None);
        let body = format!(
            r#"{{"contents":[{{"parts":[{{"text":"{sealed}"}},{{"thoughtSignature" : "{sealed}","text":""}}]}}]}}"#
        );
        let cleaned = String::from_utf8(without_seals(body.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            cleaned,
            format!(
                r#"{{"contents":[{{"parts":[{{"text":"{sealed}"}},{{"thoughtSignature" : "{NO_SIGNATURE}","text":""}}]}}]}}"#
            )
        );
        assert_eq!(without_seals(br#"{"contents":[]}"#), None);
    }
}
