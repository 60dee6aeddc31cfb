//! What tools answered, matched to the calls that they answer.
//!
//! Calls of older models have no id. They are given one that this module knows again, and their results
//! go back without it: Google then matches them by their order.

use std::collections::{HashMap, VecDeque};

use domain::chat::{Conversion, Message, Part, ToolCall, ToolResult};
use serde::Serialize;
use serde_json::value::RawValue;

use super::wire::request::{FunctionResponse, KnownPart, Part as WirePart};
use crate::dialect::Refusal;
use crate::tool_names::ToolNames;

/// How the ids begin that are made up here.
const MADE_UP: &str = "call_gemini_";

/// An id for a call that came without one: the same for the same answer, and unlike any other of the
/// conversation as long as the provider names its answers.
pub(super) fn made_up_id(response_id: Option<&str>, choice: u32, call: u32) -> String {
    match response_id {
        Some(response) => format!("{MADE_UP}{response}_{choice}_{call}"),
        None => format!("{MADE_UP}{choice}_{call}"),
    }
}

/// The id as Google knows it; `None` for one that was made up.
pub(super) fn wire_id(id: &str) -> Option<&str> {
    (!id.is_empty() && !id.starts_with(MADE_UP)).then_some(id)
}

/// One result with its place and the call that it answers.
pub(super) struct Answer<'a> {
    pub(super) message: usize,
    pub(super) result: &'a ToolResult,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
}

/// The results that follow each other from `first` on.
pub(super) fn group(messages: &[Message], first: usize) -> Vec<(usize, &ToolResult)> {
    messages
        .iter()
        .enumerate()
        .skip(first)
        .map_while(|(index, message)| match message {
            Message::Tool(result) => Some((index, result)),
            _ => None,
        })
        .collect()
}

/// Matches a group to the calls before it: by id, else by name, else by position. Refuses a result that
/// answers nothing.
pub(super) fn in_order_of_calls<'a>(
    messages: &'a [Message],
    group: &[(usize, &'a ToolResult)],
    report: &mut Conversion,
) -> Result<Vec<Answer<'a>>, Refusal> {
    let first = group.first().map_or(0, |(index, _)| *index);
    let calls = open_calls(messages, first);
    let mut slots = Slots::of(&calls);
    let mut unmatched = Vec::new();
    for &(message, result) in group {
        match slots.by_id(&result.call_id) {
            Some((slot, call)) => *slot = Some(answer(message, result, call)),
            None => unmatched.push((message, result)),
        }
    }
    if unmatched.is_empty() {
        return Ok(slots.answers.into_iter().flatten().collect());
    }
    let earlier = earlier_calls(messages, first, calls.len());
    let mut late = Vec::new();
    for (message, result) in unmatched {
        let field = format!("messages[{message}].tool_call_id");
        if let Some(call) = earlier.get(result.call_id.as_str()) {
            late.push(answer(message, result, call));
        } else if let Some((slot, call)) = slots.by_name(result.name.as_deref()) {
            *slot = Some(answer(message, result, call));
            report.change(field, "no call has this id; matched by name and position");
        } else {
            let detail = format!(
                "the result for {:?} answers no call of the assistant's message before it",
                result.call_id
            );
            return Err(Refusal::of(field, detail));
        }
    }
    Ok(slots.answers.into_iter().flatten().chain(late).collect())
}

fn answer<'a>(message: usize, result: &'a ToolResult, call: &'a ToolCall) -> Answer<'a> {
    Answer {
        message,
        result,
        id: &call.id,
        name: &call.name,
    }
}

/// The answers to the calls of one turn, in the order of the calls.
struct Slots<'a, 'c> {
    calls: &'c [&'a ToolCall],
    answers: Vec<Option<Answer<'a>>>,
    /// Where the calls of each id stand that no answer was found for by its id.
    places: HashMap<&'a str, VecDeque<usize>>,
}

impl<'a, 'c> Slots<'a, 'c> {
    fn of(calls: &'c [&'a ToolCall]) -> Self {
        let mut places: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (place, call) in calls.iter().enumerate() {
            places.entry(&call.id).or_default().push_back(place);
        }
        Self {
            calls,
            answers: calls.iter().map(|_| None).collect(),
            places,
        }
    }

    /// The next call of this id.
    fn by_id(&mut self, id: &str) -> Option<(&mut Option<Answer<'a>>, &'a ToolCall)> {
        let place = self.places.get_mut(id)?.pop_front()?;
        Some((self.answers.get_mut(place)?, self.calls.get(place)?))
    }

    /// The first call that is still open and has this name; of any name where none is given.
    fn by_name(&mut self, name: Option<&str>) -> Option<(&mut Option<Answer<'a>>, &'a ToolCall)> {
        let mut slots = self.answers.iter_mut().zip(self.calls);
        let (slot, call) = slots
            .find(|(answer, call)| answer.is_none() && name.is_none_or(|name| name == call.name))?;
        Some((slot, call))
    }
}

/// The calls of the assistant's messages right before `index`.
fn open_calls(messages: &[Message], index: usize) -> Vec<&ToolCall> {
    let before = messages.get(..index).unwrap_or_default();
    let start = before
        .iter()
        .rposition(|message| !matches!(message, Message::Assistant { .. }))
        .map_or(0, |last_other| last_other + 1);
    before
        .get(start..)
        .unwrap_or_default()
        .iter()
        .flat_map(calls)
        .collect()
}

/// The calls of earlier turns by id, whose results may come late; the last `open` calls before `index` are
/// those of the turn itself.
fn earlier_calls(messages: &[Message], index: usize, open: usize) -> HashMap<&str, &ToolCall> {
    let before = messages.get(..index).unwrap_or_default();
    let all: Vec<&ToolCall> = before.iter().flat_map(calls).collect();
    let earlier = all
        .get(..all.len().saturating_sub(open))
        .unwrap_or_default();
    earlier
        .iter()
        .map(|call| (call.id.as_str(), *call))
        .collect()
}

fn calls(message: &Message) -> impl Iterator<Item = &ToolCall> {
    message.content().iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    })
}

/// The result as a part.
pub(super) fn part<'a>(
    answer: &Answer<'a>,
    names: &'a ToolNames,
    parts: Vec<WirePart<'a>>,
) -> Result<WirePart<'a>, Refusal> {
    let response = response(answer.result).map_err(|_| {
        let field = format!("messages[{}].content", answer.message);
        Refusal::of(field, "the result cannot be written as JSON")
    })?;
    Ok(WirePart::from(KnownPart {
        function_response: Some(FunctionResponse {
            id: wire_id(answer.id),
            name: names.target(answer.name),
            response,
            parts,
        }),
        ..KnownPart::default()
    }))
}

/// An object goes as it is. Anything else goes inside one under `output` or, where the tool failed,
/// `error`, the names that Google looks for (<https://ai.google.dev/api/caching#FunctionResponse>).
fn response(result: &ToolResult) -> serde_json::Result<Box<RawValue>> {
    let texts: Vec<&str> = result
        .content
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(text.text.as_str()),
            _ => None,
        })
        .collect();
    let text = texts.join("\n");
    let key = if result.is_error { "error" } else { "output" };
    // Google reads `$ref` in a result as a reference to one of its parts and refuses what it does not
    // find; as text it is left alone.
    let is_safe = !text.contains("$ref") && !text.contains("\\u");
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(raw) if is_safe && raw.get().starts_with('{') && !result.is_error => Ok(raw.to_owned()),
        Ok(raw) if is_safe && raw.get().starts_with('[') => object_of(key, raw),
        _ => object_of(key, &text),
    }
}

/// `{key: value}`.
pub(super) fn object_of<T: Serialize + ?Sized>(
    key: &str,
    value: &T,
) -> serde_json::Result<Box<RawValue>> {
    let value = serde_json::to_string(value)?;
    RawValue::from_string(format!("{{{}:{value}}}", serde_json::to_string(key)?))
}

#[cfg(test)]
mod tests {
    use domain::chat::Text;

    use super::*;

    fn result(text: &str) -> ToolResult {
        ToolResult {
            call_id: "x".to_owned(),
            name: None,
            content: vec![Part::Text(Text::from(text))],
            is_error: false,
            cache: None,
        }
    }

    #[test]
    fn results_become_objects() {
        for (text, expected) in [
            (
                r#"{"big": 12345678901234567890}"#,
                r#"{"big": 12345678901234567890}"#,
            ),
            ("[1, 2]", r#"{"output":[1, 2]}"#),
            ("sunny", r#"{"output":"sunny"}"#),
            ("7", r#"{"output":"7"}"#),
            ("", r#"{"output":""}"#),
            (
                r##"{"$ref":"#/x"}"##,
                r##"{"output":"{\"$ref\":\"#/x\"}"}"##,
            ),
            (
                r#"{"\u0024ref":"x"}"#,
                r#"{"output":"{\"\\u0024ref\":\"x\"}"}"#,
            ),
        ] {
            assert_eq!(response(&result(text)).unwrap().get(), expected);
        }
    }

    #[test]
    fn a_failure_is_told_as_one() {
        let failed = ToolResult {
            is_error: true,
            ..result(r#"{"code": 5}"#)
        };
        assert_eq!(
            response(&failed).unwrap().get(),
            r#"{"error":"{\"code\": 5}"}"#
        );
    }

    #[test]
    fn made_up_ids_do_not_reach_google() {
        assert_eq!(wire_id(&made_up_id(Some("r-1"), 0, 2)), None);
        assert_eq!(wire_id("call_abc"), Some("call_abc"));
    }
}
