//! The events of a streamed response.
//! See <https://platform.openai.com/docs/api-reference/responses-streaming>.

use serde_json::{Value, json};

use super::super::reply::free_text;
use super::reply::{Item, Progress, is_background, items, response, status};
use crate::answer::{fragments, pieces};
use crate::digest::{Digest, Draws};
use crate::frames::Frames;
use crate::vendor::Reply;

/// A streamed piece is about one word.
const PIECE: usize = 4;

pub(super) fn stream(reply: &Reply<'_>, frames: &mut Frames) {
    let hides_lengths = reply.asked["stream_options"]["include_obfuscation"] != false;
    let mut writer = Writer {
        frames,
        padding: hides_lengths.then(|| Draws::new(Digest::new(reply.seed))),
    };
    if is_background(reply) {
        let queued = response(reply, Progress::Queued);
        writer.event("response.created", json!({"response": queued}));
        writer.event("response.queued", json!({"response": queued}));
    } else {
        let begun = response(reply, Progress::Running);
        writer.event("response.created", json!({"response": begun}));
    }
    let running = response(reply, Progress::Running);
    writer.event("response.in_progress", json!({"response": running}));
    for (index, item) in items(reply).iter().enumerate() {
        writer.event(
            "response.output_item.added",
            json!({"output_index": index, "item": item.begun(reply)}),
        );
        writer.inside(reply, index, item);
        writer.event(
            "response.output_item.done",
            json!({"output_index": index, "item": item.done(reply)}),
        );
    }
    let name = format!("response.{}", status(reply));
    let ended = response(reply, Progress::Ended);
    writer.event(&name, json!({"response": ended}));
}

struct Writer<'a> {
    frames: &'a mut Frames,
    /// Makes the text that hides how long each piece is, unless the caller wants none.
    padding: Option<Draws>,
}

impl Writer<'_> {
    /// What happens between the beginning and the end of an item.
    fn inside(&mut self, reply: &Reply<'_>, index: usize, item: &Item<'_>) {
        let id = item.id();
        match item {
            Item::Reasoning { summary: None, .. } => {}
            Item::Search { .. } => {
                for step in ["in_progress", "searching", "completed"] {
                    let name = format!("response.web_search_call.{step}");
                    self.event(&name, json!({"item_id": id, "output_index": index}));
                }
            }
            Item::Reasoning {
                summary: Some(text),
                ..
            } => {
                let at = json!({"item_id": id, "output_index": index, "summary_index": 0});
                let part = |text: &str| json!({"type": "summary_text", "text": text});
                let name = |rest: &str| format!("response.reasoning_summary_{rest}");
                self.event(&name("part.added"), with(&at, "part", part("")));
                for piece in pieces(text, None, PIECE) {
                    self.delta(&name("text.delta"), &at, piece);
                }
                self.event(&name("text.done"), with(&at, "text", json!(text)));
                self.event(&name("part.done"), with(&at, "part", part(text)));
            }
            Item::Message {
                text, is_refusal, ..
            } => {
                let at = json!({"item_id": id, "output_index": index, "content_index": 0});
                self.event(
                    "response.content_part.added",
                    with(&at, "part", item.part(false)),
                );
                let (kind, key) = if *is_refusal {
                    ("refusal", "refusal")
                } else {
                    ("output_text", "text")
                };
                let at_text = if *is_refusal {
                    at.clone()
                } else {
                    with(&at, "logprobs", json!([]))
                };
                if !text.is_empty() {
                    for piece in pieces(text, reply.directive.chunks, PIECE) {
                        self.delta(&format!("response.{kind}.delta"), &at_text, piece);
                    }
                }
                if let Some(annotation) = item.annotation() {
                    let at = with(&at, "annotation_index", json!(0));
                    self.event(
                        "response.output_text.annotation.added",
                        with(&at, "annotation", annotation),
                    );
                }
                self.event(
                    &format!("response.{kind}.done"),
                    with(&at_text, key, json!(text)),
                );
                self.event(
                    "response.content_part.done",
                    with(&at, "part", item.part(true)),
                );
            }
            Item::Call {
                call, is_custom, ..
            } => {
                let at = json!({"item_id": id, "output_index": index});
                let (kind, key, said) = if *is_custom {
                    ("custom_tool_call_input", "input", free_text(call))
                } else {
                    (
                        "function_call_arguments",
                        "arguments",
                        call.arguments.clone(),
                    )
                };
                for fragment in fragments(&said, call.hash) {
                    self.delta(&format!("response.{kind}.delta"), &at, fragment);
                }
                self.event(
                    &format!("response.{kind}.done"),
                    with(&at, key, json!(said)),
                );
            }
        }
    }

    fn delta(&mut self, name: &str, at: &Value, piece: &str) {
        let mut data = with(at, "delta", json!(piece));
        if let Some(draws) = &mut self.padding {
            let length = usize::try_from(draws.below(16)).unwrap_or(0);
            let padding = format!("{:016x}", draws.next());
            let padding = padding.get(..length).unwrap_or_default();
            data = with(&data, "obfuscation", json!(padding));
        }
        self.event(name, data);
    }

    /// An event; its name and its number stand in its data as well.
    fn event(&mut self, name: &str, rest: Value) {
        let mut data = json!({"type": name, "sequence_number": self.frames.count()});
        if let (Some(data), Value::Object(rest)) = (data.as_object_mut(), rest) {
            data.extend(rest);
        }
        self.frames.event(Some(name), &data);
    }
}

fn with(base: &Value, key: &str, value: Value) -> Value {
    let mut merged = base.clone();
    if let Some(merged) = merged.as_object_mut() {
        merged.insert(key.to_owned(), value);
    }
    merged
}
