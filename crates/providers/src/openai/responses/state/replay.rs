//! An answer that is kept, told as the stream that it could have come in
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>). Each text comes in one piece.

use bytes::Bytes;
use serde_json::{Value, json};

/// The events of an answer that is over, numbered from 0, of which those after the number `after` are
/// wanted; `None` where the answer cannot be read. Whoever has seen more events than there are, because
/// the answer came in smaller pieces then, gets the last one, which holds all of it.
pub fn replayed(answer: &[u8], after: Option<u64>) -> Option<Vec<Bytes>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let mut told = Told::default();
    let begun = begun(&answer)?;
    told.event("response.created", json!({ "response": begun }));
    told.event("response.in_progress", json!({ "response": begun }));
    for (place, item) in answer["output"].as_array()?.iter().enumerate() {
        told.item(place, item);
    }
    let last = match answer["status"].as_str() {
        Some("completed") => "response.completed",
        Some("failed") => "response.failed",
        _ => "response.incomplete",
    };
    let Some(after) = after else {
        told.event(last, json!({ "response": answer }));
        return Some(told.events);
    };
    let seen = usize::try_from(after)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    if seen > told.events.len() {
        told.first = after.saturating_add(1);
        told.events.clear();
        told.event(last, json!({ "response": answer }));
        return Some(told.events);
    }
    told.event(last, json!({ "response": answer }));
    told.events.drain(..seen);
    Some(told.events)
}

/// The answer as it was when it began.
fn begun(answer: &Value) -> Option<Value> {
    let mut begun = answer.as_object()?.clone();
    begun.shift_remove("completed_at");
    begun.shift_remove("trunkline");
    for (name, value) in [
        ("status", json!("in_progress")),
        ("output", json!([])),
        ("usage", Value::Null),
        ("error", Value::Null),
        ("incomplete_details", Value::Null),
    ] {
        begun.insert(name.to_owned(), value);
    }
    Some(begun.into())
}

#[derive(Default)]
struct Told {
    events: Vec<Bytes>,
    /// The number of the first event.
    first: u64,
}

/// A part of an item, on its way.
struct Part<'a> {
    item: &'a Value,
    place: usize,
    /// What its number is called.
    index: &'static str,
    number: usize,
}

impl Told {
    fn event(&mut self, kind: &str, fields: Value) {
        let number = self.first.saturating_add(self.events.len() as u64);
        let mut event = json!({ "type": kind, "sequence_number": number });
        if let (Some(event), Value::Object(fields)) = (event.as_object_mut(), fields) {
            event.extend(fields);
        }
        let written = format!("event: {kind}\ndata: {event}\n\n");
        self.events.push(written.into());
    }

    /// An event about a part.
    fn part(&mut self, kind: &str, part: &Part<'_>, fields: Value) {
        let mut about = json!({ "item_id": part.item["id"], "output_index": part.place });
        if let (Some(about), Value::Object(fields)) = (about.as_object_mut(), fields) {
            about.insert(part.index.to_owned(), part.number.into());
            about.extend(fields);
        }
        self.event(kind, about);
    }

    fn item(&mut self, place: usize, item: &Value) {
        let mut added = item.clone();
        if added["status"].is_string() {
            added["status"] = json!("in_progress");
        }
        let kind = item["type"].as_str().unwrap_or_default();
        match kind {
            "message" => added["content"] = json!([]),
            "reasoning" => {
                added["summary"] = json!([]);
                if added["content"].is_array() {
                    added["content"] = json!([]);
                }
            }
            "function_call" => added["arguments"] = json!(""),
            "custom_tool_call" => added["input"] = json!(""),
            _ => {}
        }
        self.event(
            "response.output_item.added",
            json!({ "output_index": place, "item": added }),
        );
        match kind {
            "message" => self.contents(place, item),
            "reasoning" => self.thought(place, item),
            "function_call" => self.call(place, item, "function_call_arguments", "arguments"),
            "custom_tool_call" => self.call(place, item, "custom_tool_call_input", "input"),
            _ => {}
        }
        self.event(
            "response.output_item.done",
            json!({ "output_index": place, "item": item }),
        );
    }

    fn contents(&mut self, place: usize, item: &Value) {
        let contents = item["content"].as_array().map_or(&[][..], Vec::as_slice);
        for (number, content) in contents.iter().enumerate() {
            let part = Part {
                item,
                place,
                index: "content_index",
                number,
            };
            let (kind, field) = match content["type"].as_str() {
                Some("refusal") => ("refusal", "refusal"),
                _ => ("output_text", "text"),
            };
            let mut empty = content.clone();
            empty[field] = json!("");
            if kind == "output_text" {
                empty["annotations"] = json!([]);
                empty["logprobs"] = json!([]);
            }
            self.part(
                "response.content_part.added",
                &part,
                json!({ "part": empty }),
            );
            let logprobs = || match kind {
                "output_text" => {
                    json!({ "logprobs": content.get("logprobs").cloned().unwrap_or_else(|| json!([])) })
                }
                _ => json!({}),
            };
            let words = &content[field];
            if words.as_str().is_some_and(|words| !words.is_empty()) {
                let delta = merged(json!({ "delta": words }), logprobs());
                self.part(&format!("response.{kind}.delta"), &part, delta);
            }
            let annotations = content["annotations"].as_array();
            for (index, annotation) in annotations.into_iter().flatten().enumerate() {
                let fields = json!({ "annotation_index": index, "annotation": annotation });
                self.part("response.output_text.annotation.added", &part, fields);
            }
            let done = merged(json!({ field: words }), logprobs());
            self.part(&format!("response.{kind}.done"), &part, done);
            self.part(
                "response.content_part.done",
                &part,
                json!({ "part": content }),
            );
        }
    }

    fn thought(&mut self, place: usize, item: &Value) {
        const KIND: &str = "response.reasoning_summary";
        for (number, summary) in item["summary"].as_array().into_iter().flatten().enumerate() {
            let part = Part {
                item,
                place,
                index: "summary_index",
                number,
            };
            let mut empty = summary.clone();
            empty["text"] = json!("");
            self.part(
                &format!("{KIND}_part.added"),
                &part,
                json!({ "part": empty }),
            );
            let text = &summary["text"];
            self.part(
                &format!("{KIND}_text.delta"),
                &part,
                json!({ "delta": text }),
            );
            self.part(&format!("{KIND}_text.done"), &part, json!({ "text": text }));
            self.part(
                &format!("{KIND}_part.done"),
                &part,
                json!({ "part": summary }),
            );
        }
        for (number, content) in item["content"].as_array().into_iter().flatten().enumerate() {
            let part = Part {
                item,
                place,
                index: "content_index",
                number,
            };
            let text = &content["text"];
            self.part(
                "response.reasoning_text.delta",
                &part,
                json!({ "delta": text }),
            );
            self.part(
                "response.reasoning_text.done",
                &part,
                json!({ "text": text }),
            );
        }
    }

    fn call(&mut self, place: usize, item: &Value, kind: &str, field: &str) {
        let about = json!({ "item_id": item["id"], "output_index": place });
        let delta = merged(about.clone(), json!({ "delta": item[field] }));
        self.event(&format!("response.{kind}.delta"), delta);
        let done = merged(about, json!({ field: item[field] }));
        self.event(&format!("response.{kind}.done"), done);
    }
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}
