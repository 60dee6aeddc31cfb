//! Responses that are kept, and the calls that ask for them again.
//! See <https://platform.openai.com/docs/api-reference/responses/get>.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::Method;
use http::request::Parts;
use serde_json::{Value, json};

use super::super::check::{INVALID, plain};
use super::events;
use super::items::kept;
use super::reply::{Progress, is_background, response};
use crate::frames::Frames;
use crate::route::query;
use crate::vendor::{Failure, Reply};

/// How many responses are kept; older ones are forgotten first.
const KEPT: usize = 2_000;
/// How many bytes of JSON they may have together.
const BYTES: usize = 64 * 1024 * 1024;

/// What a caller asks of a kept response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredCall {
    Get(String),
    Delete(String),
    Cancel(String),
    InputItems(String),
}

impl StoredCall {
    /// The call that a path below `/v1/responses/` stands for; `None` for a path that has none.
    pub(crate) fn of(method: &Method, rest: &str) -> Option<Self> {
        match (method, rest.split_once('/')) {
            (&Method::GET, None) => Some(Self::Get(rest.to_owned())),
            (&Method::DELETE, None) => Some(Self::Delete(rest.to_owned())),
            (&Method::POST, Some((id, "cancel"))) => Some(Self::Cancel(id.to_owned())),
            (&Method::GET, Some((id, "input_items"))) => Some(Self::InputItems(id.to_owned())),
            _ => None,
        }
    }
}

/// The kept responses. Bounded in number and size.
#[derive(Debug, Default)]
pub(crate) struct Stored(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    responses: HashMap<String, Kept>,
    order: VecDeque<String>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// The response as it ended.
    ended: Value,
    /// The response before it ran, if it runs in the background and nobody listens.
    queued: Option<Value>,
    /// What was sent, if it runs in the background and was streamed.
    events: Option<Vec<Bytes>>,
    /// Everything that was said before the answer; what earlier responses keep is shared with them.
    input: Vec<Arc<Value>>,
    output: Vec<Arc<Value>>,
    /// The size of what is this response's own.
    bytes: usize,
    /// How often it was looked at: one in the background makes a step each time.
    looks: u32,
    is_cancelled: bool,
}

impl Kept {
    fn now(&self) -> Value {
        let Some(queued) = &self.queued else {
            return self.ended.clone();
        };
        let status = match (self.is_cancelled, self.looks) {
            (true, _) => "cancelled",
            (false, 0) => "queued",
            (false, 1) => "in_progress",
            (false, _) => return self.ended.clone(),
        };
        let mut response = queued.clone();
        if let Some(response) = response.as_object_mut() {
            response.insert("status".to_owned(), json!(status));
        }
        response
    }

    /// What was sent after the event of this number.
    fn events_after(&self, head: &Parts) -> Result<VecDeque<Bytes>, Failure> {
        let Some(events) = &self.events else {
            let sentence = "This response cannot be streamed: it was not created with both 'stream' and 'background'.";
            return Err(plain(sentence).at("stream"));
        };
        let seen = match query(head, "starting_after").map(str::parse::<usize>) {
            None => 0,
            Some(Ok(last)) => last.saturating_add(1),
            Some(Err(_)) => {
                let sentence =
                    "Invalid 'starting_after': expected the sequence number of an event.";
                return Err(plain(sentence).at("starting_after").code("invalid_value"));
            }
        };
        Ok(events.iter().skip(seen).cloned().collect())
    }
}

/// What is told of a kept response.
pub(crate) enum Told {
    Once(Value),
    /// The events of a stream, from some point on.
    Again(VecDeque<Bytes>),
}

impl Stored {
    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the response that a reply gives, unless the caller does not want that.
    pub(super) fn keep(&self, reply: &Reply<'_>) {
        if reply.asked["store"] == false {
            return;
        }
        let previous = reply.asked["previous_response_id"].as_str();
        let mut input = previous
            .and_then(|id| self.conversation(id))
            .unwrap_or_default();
        let own = reply.response_id.trim_start_matches("resp_");
        let mut bytes = 0;
        for (number, mut item) in kept(reply.asked.get("input")).into_iter().enumerate() {
            if let Some(item) = item.as_object_mut() {
                complete(item, own, number);
            }
            bytes += item.to_string().len();
            input.push(Arc::new(item));
        }
        let ended = response(reply, Progress::Ended);
        bytes += ended.to_string().len();
        let output = ended["output"].as_array().into_iter().flatten();
        let output = output.cloned().map(Arc::new).collect();
        let (queued, events) = match (is_background(reply), reply.prompt.stream) {
            (false, _) => (None, None),
            (true, None) => (Some(response(reply, Progress::Queued)), None),
            (true, Some(framing)) => {
                let mut frames = Frames::new(framing, false);
                events::stream(reply, &mut frames);
                (None, Some(frames.into_pieces().into()))
            }
        };
        let kept = Kept {
            ended,
            queued,
            events,
            input,
            output,
            bytes,
            ..Kept::default()
        };
        self.lock().shelve(reply.response_id, kept);
    }

    /// Everything said up to the end of a response.
    pub(super) fn conversation(&self, id: &str) -> Option<Vec<Arc<Value>>> {
        let shelf = self.lock();
        let kept = shelf.responses.get(id)?;
        Some(kept.input.iter().chain(&kept.output).cloned().collect())
    }

    /// A kept item of some answer or input.
    pub(super) fn item(&self, id: &str) -> Option<Arc<Value>> {
        let shelf = self.lock();
        shelf
            .responses
            .values()
            .flat_map(|kept| kept.output.iter().chain(&kept.input))
            .find(|item| item["id"] == id)
            .cloned()
    }

    /// The reasoning item that stands before a kept call in the same answer.
    pub(super) fn reasoning_before(&self, id: &str) -> Option<String> {
        let shelf = self.lock();
        let items = shelf
            .responses
            .values()
            .map(|kept| &kept.output)
            .find(|items| items.iter().any(|item| item["id"] == id))?;
        let reasoning = items.iter().find(|item| item["type"] == "reasoning")?;
        reasoning["id"].as_str().map(str::to_owned)
    }

    /// Answers a call about a kept response.
    pub(crate) fn answer(&self, head: &Parts, call: &StoredCall) -> Result<Told, Failure> {
        let (StoredCall::Get(id)
        | StoredCall::Delete(id)
        | StoredCall::Cancel(id)
        | StoredCall::InputItems(id)) = call;
        if !id.starts_with("resp_") {
            let sentence =
                format!("Invalid 'response_id': '{id}'. Expected an ID that begins with 'resp'.");
            return Err(plain(sentence).at("response_id").code("invalid_value"));
        }
        let mut shelf = self.lock();
        let Some(kept) = shelf.responses.get_mut(id) else {
            let sentence = format!("Response with id '{id}' not found.");
            return Err(Failure::new(404, INVALID, sentence));
        };
        match call {
            StoredCall::Get(_) if query(head, "stream") == Some("true") => {
                return kept.events_after(head).map(Told::Again);
            }
            StoredCall::Get(_) => {
                kept.looks = kept.looks.saturating_add(1);
                Ok(kept.now())
            }
            StoredCall::Delete(_) => {
                shelf.forget(id);
                Ok(json!({"id": id, "object": "response", "deleted": true}))
            }
            StoredCall::Cancel(_) if kept.queued.is_none() && kept.events.is_none() => {
                Err(plain("Cannot cancel a synchronous response."))
            }
            StoredCall::Cancel(_) => {
                if kept.looks < 2 {
                    kept.is_cancelled = true;
                }
                Ok(kept.now())
            }
            StoredCall::InputItems(_) => page(&kept.input, head),
        }
        .map(Told::Once)
    }
}

impl Shelf {
    /// Puts a response away, and forgets the oldest where there are too many.
    fn shelve(&mut self, id: &str, kept: Kept) {
        self.bytes += kept.bytes;
        self.order.push_back(id.to_owned());
        self.responses.insert(id.to_owned(), kept);
        while self.order.len() > KEPT || self.bytes > BYTES {
            let Some(oldest) = self.order.front().cloned() else {
                break;
            };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, id: &str) {
        if let Some(kept) = self.responses.remove(id) {
            self.bytes = self.bytes.saturating_sub(kept.bytes);
            self.order.retain(|known| known != id);
        }
    }
}

/// Gives an item what the caller may leave out.
fn complete(item: &mut serde_json::Map<String, Value>, own: &str, number: usize) {
    let kind = item
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("message");
    let kind = kind.to_owned();
    let prefix = match kind.as_str() {
        "message" => "msg",
        "function_call" => "fc",
        "function_call_output" => "fco",
        "custom_tool_call" => "ctc",
        "custom_tool_call_output" => "ctco",
        "reasoning" => "rs",
        _ => "item",
    };
    if let Some(Value::String(words)) = item.get("content") {
        let part = if item.get("role") == Some(&json!("assistant")) {
            json!({"type": "output_text", "text": words, "annotations": [], "logprobs": []})
        } else {
            json!({"type": "input_text", "text": words})
        };
        item.insert("content".to_owned(), json!([part]));
    }
    item.entry("type").or_insert_with(|| json!(kind));
    item.entry("id")
        .or_insert_with(|| json!(format!("{prefix}_{own}in{number:02x}")));
    if kind != "reasoning" && kind != "item_reference" {
        item.entry("status").or_insert_with(|| json!("completed"));
    }
}

/// A page of items: newest first unless asked otherwise.
fn page(items: &[Arc<Value>], head: &Parts) -> Result<Value, Failure> {
    let limit = match query(head, "limit").map(str::parse::<usize>) {
        None => 20,
        Some(Ok(limit @ 1..=100)) => limit,
        Some(_) => {
            let sentence = "Invalid 'limit': expected an integer between 1 and 100.";
            return Err(plain(sentence).at("limit").code("invalid_value"));
        }
    };
    let mut ordered: Vec<&Value> = items.iter().map(Arc::as_ref).collect();
    match query(head, "order") {
        Some("asc") => {}
        None | Some("desc") => ordered.reverse(),
        Some(other) => {
            let sentence =
                format!("Invalid value: '{other}'. Supported values are: 'asc' and 'desc'.");
            return Err(plain(sentence).at("order").code("invalid_value"));
        }
    }
    if let Some(after) = query(head, "after") {
        let place = ordered.iter().position(|item| item["id"] == after);
        ordered.drain(..place.map_or(ordered.len(), |place| place + 1));
    }
    let has_more = ordered.len() > limit;
    ordered.truncate(limit);
    Ok(json!({
        "object": "list",
        "data": ordered,
        "first_id": ordered.first().map(|item| &item["id"]),
        "last_id": ordered.last().map(|item| &item["id"]),
        "has_more": has_more,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize) -> Kept {
        Kept {
            bytes,
            ..Kept::default()
        }
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many_or_they_are_too_big() {
        let mut shelf = Shelf::default();
        for number in 0..=KEPT {
            shelf.shelve(&format!("resp_{number}"), of(1));
        }
        assert_eq!((shelf.responses.len(), shelf.bytes), (KEPT, KEPT));
        assert!(!shelf.responses.contains_key("resp_0"));
        shelf.shelve("resp_big", of(BYTES - 10));
        assert_eq!(shelf.responses.len(), 11);
        assert!(shelf.responses.contains_key("resp_big"));
        shelf.shelve("resp_bigger", of(BYTES + 1));
        assert_eq!((shelf.responses.len(), shelf.bytes), (0, 0));
    }
}
