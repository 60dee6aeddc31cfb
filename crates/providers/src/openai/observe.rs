//! Reads of a whole answer what the ledger wants to know, and skips the rest: of an answer that passes
//! verbatim, nothing else is needed.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::usage::Native;
use super::{decode, finish};
use crate::dialect::DecodeError;
use crate::exchange::Exchange;
use crate::tap::Observed;

/// What is read of a whole answer.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    service_tier: Option<Cow<'a, str>>,
    usage: Option<Native>,
    #[serde(borrow, deserialize_with = "first")]
    choices: Choice<'a>,
}

/// The first choice; why the others ended is not recorded.
#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    native_finish_reason: Option<Cow<'a, str>>,
    message: Option<Message>,
    stop_sequence: Option<IgnoredAny>,
    stop_reason: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default, deserialize_with = "is_filled")]
    tool_calls: bool,
}

/// Reads a body of a successful answer. What is not plain is decoded in full, which also says what is
/// wrong with it.
pub(super) fn observed(exchange: &Exchange, body: &[u8]) -> Result<Observed, DecodeError> {
    match plainly(body) {
        Some(observed) => Ok(observed),
        None => decode::response(exchange, body).map(|response| Observed::of(&response)),
    }
}

fn plainly(body: &[u8]) -> Option<Observed> {
    let text = std::str::from_utf8(body).ok()?;
    let answer: Answer<'_> = serde_json::from_str(text).ok()?;
    let choice = answer.choices;
    if choice.stop_sequence.is_some() || choice.stop_reason.is_some() {
        return None;
    }
    let has_calls = choice.message.is_some_and(|message| message.tool_calls);
    let reason = choice.finish_reason.unwrap_or_default();
    let finish = finish::read(&reason, choice.native_finish_reason.as_deref(), has_calls);
    Some(Observed {
        response_model: answer.model.map(Cow::into_owned),
        // Without a usage the length of the output is wanted.
        usage: Some(answer.usage?.counted().ok()??),
        finish: Some(finish),
        service_tier: answer.service_tier.and_then(|tier| tier.parse().ok()),
        has_content: true,
        output_bytes: 0,
        error: None,
    })
}

/// Reads the first item of a list and skips the others.
fn first<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Choice<'a>, D::Error> {
    struct First;

    impl<'de> Visitor<'de> for First {
        type Value = Choice<'de>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of at least one choice")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let first = items
                .next_element()?
                .ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }

    deserializer.deserialize_seq(First)
}

/// Whether a list has items; `null` has none.
fn is_filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    struct Filled;

    impl<'de> Visitor<'de> for Filled {
        type Value = bool;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list or null")
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<bool, E> {
            Ok(false)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
            let mut is_filled = false;
            while items.next_element::<IgnoredAny>()?.is_some() {
                is_filled = true;
            }
            Ok(is_filled)
        }
    }

    deserializer.deserialize_any(Filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_full(body: &str) -> Observed {
        let response = decode::response(&Exchange::default(), body.as_bytes()).unwrap();
        Observed::of(&response)
    }

    #[test]
    fn what_is_skimmed_is_what_is_decoded() {
        for body in [
            r#"{"model":"m","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
            r#"{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"},{"index":1}],"usage":{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}},"service_tier":"flex"}"#,
            r#"{"choices":[{"message":{"tool_calls":null},"finish_reason":"length","native_finish_reason":"MAX"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#,
        ] {
            let skimmed = plainly(body.as_bytes()).unwrap();
            let full = Observed {
                output_bytes: 0,
                ..in_full(body)
            };
            assert_eq!(skimmed, full, "{body}");
        }
    }

    #[test]
    fn what_is_not_plain_is_decoded_in_full() {
        for body in [
            r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"message":{"content":"Hi"},"stop_reason":"END","finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
        ] {
            assert_eq!(plainly(body.as_bytes()), None, "{body}");
            let observed = observed(&Exchange::default(), body.as_bytes()).unwrap();
            assert_eq!(observed, in_full(body));
        }
        for body in [
            "",
            "[]",
            r#"{"choices":[]}"#,
            r#"{"error":{"message":"No."}}"#,
        ] {
            assert!(
                observed(&Exchange::default(), body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }
}
