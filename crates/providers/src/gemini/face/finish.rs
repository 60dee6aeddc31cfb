//! Why an answer ended, in Google's words (<https://ai.google.dev/api/generate-content#FinishReason>).

use domain::chat::{Finish, FinishReason};

/// Every word that Google has for it.
const WORDS: [&str; 22] = [
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "IMAGE_RECITATION",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "CONTINUATION",
    "MODEL_ARMOR",
    "ESCALATION",
];

/// What an ended candidate says.
pub(super) struct Ended<'a> {
    pub(super) reason: &'static str,
    pub(super) message: Option<String>,
    /// The provider's word, where it is not Google's.
    pub(super) native: Option<&'a str>,
}

/// Translates the end of a candidate. `malformed` is a call whose arguments are no JSON object: Google
/// has no place for such a call and a word for the answer that should have held it.
pub(super) fn translate<'a>(finish: &'a Finish, malformed: Option<&str>) -> Ended<'a> {
    let native = finish.native.as_str();
    let own = WORDS.into_iter().find(|word| *word == native);
    let reason = match (malformed, own) {
        // What was cut off cannot be well-formed.
        (Some(_), _) if finish.reason == FinishReason::Length => "MAX_TOKENS",
        (Some(_), _) => "MALFORMED_FUNCTION_CALL",
        (None, Some(word)) => word,
        (None, None) => word(finish.reason),
    };
    let message = match (malformed, finish.reason) {
        (Some(call), _) => Some(format!("Malformed function call: {call}")),
        (None, FinishReason::Pause) => Some(
            "The provider paused a long turn; send the conversation with this answer to go on."
                .to_owned(),
        ),
        _ => None,
    };
    Ended {
        reason,
        message,
        native: (own.is_none() && !native.is_empty()).then_some(native),
    }
}

fn word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Pause => "STOP",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ContentFilter => "SAFETY",
        FinishReason::Error => "OTHER",
    }
}
