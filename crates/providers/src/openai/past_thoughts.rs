//! Writes the thoughts of earlier turns, as the host wants them back.

use domain::chat::{Conversion, Part};
use serde::Serialize;

use super::encode_message::WireMessage;
use super::think;
use super::wire::{reasoning_content, reasoning_details, thoughts};
use crate::hosts::{PastThoughts, Quirks};

/// A piece of thought among the parts of a message.
#[derive(Serialize)]
pub(super) struct Thinking {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
}

/// Writes the thoughts among `parts` into the message at `path`.
pub(super) fn write<'a>(
    message: &mut WireMessage<'a>,
    parts: &'a [Part],
    quirks: &Quirks,
    path: &str,
    report: &mut Conversion,
) {
    let text = reasoning_content(parts);
    let is_sealed =
        thoughts(parts).any(|thought| thought.signature.is_some() || thought.redacted.is_some());
    // The plain text says all there is when nothing is sealed.
    let keeps_seals = match quirks.past_thoughts {
        PastThoughts::ReasoningContent | PastThoughts::ReasoningContentAlways => {
            message.reasoning_content = text;
            quirks.additions
        }
        PastThoughts::ReasoningDetails => {
            if !is_sealed {
                message.reasoning = text;
            }
            true
        }
        PastThoughts::Reasoning => {
            message.reasoning = text;
            false
        }
        PastThoughts::ThinkingParts => {
            if let Some(text) = text {
                let kind = "text";
                message.begin_with_thinking(vec![Thinking { kind, text }]);
            }
            false
        }
        PastThoughts::Tags => {
            if let Some(thoughts) = text {
                message.begin_with_tagged(|text| think::tagged(&thoughts, text));
            }
            false
        }
        PastThoughts::Refused => {
            if text.is_some() || is_sealed {
                let reason = "the host takes no thoughts of earlier turns back";
                report.drop(format!("{path}.reasoning_content"), reason);
            }
            return;
        }
    };
    if is_sealed && keeps_seals {
        message.reasoning_details = reasoning_details(parts);
    } else if is_sealed {
        let reason =
            "the host takes thoughts as text, without signatures and without what is encrypted";
        report.drop(format!("{path}.reasoning_details"), reason);
    }
    if quirks.past_thoughts == PastThoughts::ReasoningContentAlways {
        // The host refuses a turn whose thoughts are empty as one without thoughts.
        message
            .reasoning_content
            .get_or_insert_with(|| " ".to_owned());
    }
}
