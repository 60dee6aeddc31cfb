//! One answer while it arrives.

use std::collections::{BTreeMap, HashMap};

use domain::chat::{ChatEvent, Finish, FinishReason};
use serde_json::value::RawValue;

use super::citations::Citation;
use super::results;
use super::wire::response::{AnswerCall, AnswerPart};

/// How much text is kept to count the positions of citations in characters, in bytes.
const MAX_CITED_TEXT: usize = 1024 * 1024;

/// How many citations of one answer are kept.
const MAX_CITATIONS: usize = 1_000;

/// What was said of one candidate so far.
#[derive(Debug, Default)]
pub(super) struct Choice {
    calls: u32,
    /// Whether anything came but thoughts.
    has_content: bool,
    text: String,
    text_is_full: bool,
    citations: Vec<Citation>,
    finish: Option<Ending>,
}

/// Why an answer ended. Kept until the stream does: older models repeat it in every chunk.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// In Google's word.
    pub(super) native: String,
    /// In Google's sentence.
    pub(super) message: Option<String>,
    /// Whether the prompt was blocked, so that there is no answer, whatever the word.
    pub(super) is_block: bool,
}

/// What the parts of an answer are read with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    /// Which answer.
    pub(super) choice: u32,
    /// The caller's names of tools by Google's.
    pub(super) tool_names: &'a HashMap<String, String>,
    /// Names the calls that come without an id.
    pub(super) response_id: Option<&'a str>,
}

impl Choice {
    /// Takes one part.
    pub(super) fn part(
        &mut self,
        reading: Reading<'_>,
        raw: &RawValue,
        events: &mut Vec<ChatEvent>,
    ) {
        let part: AnswerPart<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        let signature = part.thought_signature.map(std::borrow::Cow::into_owned);
        let choice = reading.choice;
        if let Some(call) = part.function_call {
            self.call(reading, call, signature, events);
            return;
        }
        if let Some(text) = part.text {
            self.words(choice, &text, part.thought == Some(true), events);
        } else if holds_more_than_a_signature(raw) {
            self.has_content = true;
            events.push(ChatEvent::Unknown {
                choice,
                format: super::FORMAT,
                raw: raw.to_owned(),
            });
            return;
        }
        if let Some(signature) = signature {
            events.push(ChatEvent::ReasoningSignature { choice, signature });
        }
    }

    /// Notes sources; Google repeats them.
    pub(super) fn cite(&mut self, citations: impl IntoIterator<Item = Citation>) {
        for citation in citations {
            if self.citations.len() < MAX_CITATIONS && !self.citations.contains(&citation) {
                self.citations.push(citation);
            }
        }
    }

    /// Notes why it ends.
    pub(super) fn end(&mut self, ending: Ending) {
        self.finish = Some(ending);
    }

    /// Whether it is known why it ends.
    pub(super) fn has_ended(&self) -> bool {
        self.finish.is_some()
    }

    /// Tells what was kept for the end.
    pub(super) fn finish(self, choice: u32, events: &mut Vec<ChatEvent>) {
        events.extend(self.citations.iter().map(|citation| ChatEvent::Annotation {
            choice,
            annotation: citation.annotation(&self.text),
        }));
        let Ending {
            native,
            message,
            is_block,
        } = self.finish.unwrap_or_default();
        let reason = if is_block {
            FinishReason::ContentFilter
        } else {
            finish_reason(&native, self.calls > 0)
        };
        if reason == FinishReason::ContentFilter && !self.has_content {
            let text = match message {
                Some(message) if !message.is_empty() => message,
                _ if is_block => format!("Google blocked the prompt: {native}."),
                _ => format!("Google stopped the answer: {native}."),
            };
            events.push(ChatEvent::Refusal { choice, text });
        }
        events.push(ChatEvent::Finish {
            choice,
            finish: Finish {
                reason,
                native,
                stop_sequence: None,
            },
        });
    }

    fn words(&mut self, choice: u32, text: &str, is_thought: bool, events: &mut Vec<ChatEvent>) {
        if text.is_empty() {
            return;
        }
        if is_thought {
            let text = text.to_owned();
            events.push(ChatEvent::Reasoning { choice, text });
            return;
        }
        self.has_content = true;
        self.text_is_full |= self.text.len() + text.len() > MAX_CITED_TEXT;
        if !self.text_is_full {
            self.text.push_str(text);
        }
        let text = text.to_owned();
        events.push(ChatEvent::Text { choice, text });
    }

    /// A call comes whole.
    fn call(
        &mut self,
        reading: Reading<'_>,
        wire: AnswerCall<'_>,
        signature: Option<String>,
        events: &mut Vec<ChatEvent>,
    ) {
        let (choice, call) = (reading.choice, self.calls);
        self.calls += 1;
        self.has_content = true;
        let name = wire.name.unwrap_or_default();
        let name = reading
            .tool_names
            .get(name.as_ref())
            .map_or_else(|| name.as_ref(), String::as_str);
        let id = match wire.id {
            Some(id) if !id.is_empty() => id.into_owned(),
            _ => results::made_up_id(reading.response_id, choice, call),
        };
        let arguments = wire.args.map(RawValue::get).filter(|args| *args != "null");
        events.push(ChatEvent::ToolCallStart {
            choice,
            call,
            id,
            name: name.to_owned(),
            signature,
        });
        events.push(ChatEvent::ToolCallArguments {
            choice,
            call,
            fragment: on_one_line(arguments.unwrap_or("{}")),
        });
        events.push(ChatEvent::ToolCallEnd { choice, call });
    }
}

/// Whether a part without words has anything to be kept.
fn holds_more_than_a_signature(raw: &RawValue) -> bool {
    let fields = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get());
    fields.map_or(true, |fields| {
        fields
            .keys()
            .any(|field| !matches!(field.as_str(), "thoughtSignature" | "thought"))
    })
}

/// Google breaks the lines of a whole answer, callers those of their requests, and with them those of
/// arguments, which are text to the other side: white space outside of strings goes. Arguments on one line stay as they are.
pub(in crate::gemini) fn on_one_line(json: &str) -> String {
    if !json.contains(['\n', '\r']) {
        return json.to_owned();
    }
    let mut in_string = false;
    let mut after_backslash = false;
    let keep = |character: &char| {
        let is_kept = in_string || !character.is_ascii_whitespace();
        match character {
            _ if after_backslash => after_backslash = false,
            '\\' => after_backslash = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        is_kept
    };
    json.chars().filter(keep).collect()
}

/// <https://ai.google.dev/api/generate-content#FinishReason>. A word that is not known ends an answer that is there, so it counts as a stop.
fn finish_reason(native: &str, has_calls: bool) -> FinishReason {
    match native {
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => FinishReason::ContentFilter,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE"
        | "IMAGE_OTHER"
        | "NO_IMAGE"
        | "OTHER" => FinishReason::Error,
        "CONTINUATION" => FinishReason::Pause,
        _ if has_calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_outside_of_strings_goes() {
        for (json, expected) in [
            (
                "{\n  \"a b\": \"c \\\" d\",\r\n\t\"e\": 1\n}",
                "{\"a b\":\"c \\\" d\",\"e\":1}",
            ),
            ("{\"a\":\r1}", "{\"a\":1}"),
            ("{\"a\": 1}", "{\"a\": 1}"),
        ] {
            assert_eq!(on_one_line(json), expected);
        }
    }
}
