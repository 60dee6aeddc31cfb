//! What the gateway needs to keep answers for callers who refer to them later: by `previous_response_id`,
//! by references to items, and under `GET /v1/responses/{id}` and `…/input_items`
//! (<https://platform.openai.com/docs/api-reference/responses>).
//!
//! All of it works on JSON as it was written, so that nothing is lost. Where answers are kept and whose
//! they are, the gateway knows.

pub mod background;
mod replay;
#[cfg(test)]
mod tests;

pub use self::replay::replayed;

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use domain::id::RequestId;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::super::envelope::text;
use super::super::fields::{self, Fields, Kind};
use super::super::render::append;
use super::relay::terminal_answer;
use crate::face::InvalidRequest;
use crate::framing::cut::EventCutter;
use crate::splice;

/// The most items of one page (<https://platform.openai.com/docs/api-reference/responses/input-items>).
pub const MAX_PAGE: usize = 100;

/// How many items a page has when the caller does not say.
pub const DEFAULT_PAGE: usize = 20;

/// What a request wants kept, and what it refers to that was kept before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// Whether the answer is to be kept; the vendor keeps it unless told otherwise.
    pub store: bool,
    /// Whether the answer is to be made while nobody waits for it.
    pub background: bool,
    /// The answer that this request continues.
    pub previous_response_id: Option<String>,
    /// The conversation that the provider keeps.
    pub conversation: Option<String>,
    /// The items that are referred to and not sent.
    pub references: Vec<String>,
}

impl Keeping {
    /// Reads it of a request body.
    pub fn read(body: &[u8]) -> Result<Self, InvalidRequest> {
        let mut fields = Fields::read_body(text(body)?)?;
        let mut keeping = Self {
            store: fields.flag("store")?.unwrap_or(true),
            background: fields.flag("background")?.unwrap_or(false),
            previous_response_id: fields.text("previous_response_id")?,
            conversation: conversation(&mut fields)?,
            references: Vec::new(),
        };
        let listed = fields
            .look("input")
            .filter(|raw| Kind::of(raw.get()) == Some(Kind::List));
        for (path, raw) in listed.map_or(Ok(Vec::new()), |raw| fields::list(raw, "input"))? {
            let mut item = Fields::read(raw, path)?;
            if let Some(id) = reference(&mut item)? {
                keeping.references.push(id);
            }
        }
        Ok(keeping)
    }
}

/// The conversation's name, bare or in an object.
fn conversation(fields: &mut Fields<'_>) -> Result<Option<String>, InvalidRequest> {
    match fields.look("conversation").map(|raw| Kind::of(raw.get())) {
        Some(Some(Kind::Object)) => match fields.object("conversation")? {
            Some(mut conversation) => conversation.text("id"),
            None => Ok(None),
        },
        _ => fields.text("conversation"),
    }
}

/// The item that is referred to, if this is a reference and not an item.
fn reference(item: &mut Fields<'_>) -> Result<Option<String>, InvalidRequest> {
    let is_reference = match item.text("type")?.as_deref() {
        Some("item_reference") => true,
        Some(_) => false,
        None => item.look("role").is_none(),
    };
    if is_reference {
        return item.required_text("id").map(Some);
    }
    Ok(None)
}

/// The identifier that callers get for the answer to a call that was translated.
pub fn response_id(request: RequestId) -> String {
    super::items::response_id(&request.to_string())
}

/// The call that such an identifier names. Answers that passed verbatim have the provider's own.
pub fn request_of(response_id: &str) -> Option<RequestId> {
    let stem = response_id.strip_prefix("resp_")?;
    format!("req_{stem}").parse().ok()
}

/// An answer that is kept, with what was asked.
#[derive(Debug, Clone)]
pub struct StoredResponse {
    /// The items that were asked with, as the caller wrote them; what came before them is in the answer that
    /// was continued.
    pub input: Vec<Box<RawValue>>,
    /// The answer as the caller got it.
    pub answer: Box<RawValue>,
}

impl StoredResponse {
    /// What is to be kept of a request body and the body of its answer. `None` when either of them is not
    /// what it should be: then nothing was answered that could be continued.
    pub fn of(asked: &[u8], answer: &[u8]) -> Option<Self> {
        let asked = Fields::read_body(text(asked).ok()?).ok()?;
        let answer: Box<RawValue> = serde_json::from_slice(answer).ok()?;
        Some(Self {
            input: items(&asked)
                .ok()?
                .into_iter()
                .map(Cow::into_owned)
                .collect(),
            answer,
        })
    }

    /// The items of the answer, as the caller got them.
    pub fn output(&self) -> Vec<&RawValue> {
        let fields = Fields::read(&self.answer, String::new());
        let output = fields.and_then(|mut fields| fields.list("output"));
        let listed = output.ok().flatten().unwrap_or_default();
        listed.into_iter().map(|(_, raw)| raw).collect()
    }

    /// The item of this identifier, among those that were made and those that were asked with.
    pub fn item(&self, id: &str) -> Option<&RawValue> {
        let asked = self.input.iter().map(|item| &**item);
        let mut all = self.output().into_iter().chain(asked);
        all.find(|raw| identifier(raw).as_deref() == Some(id))
    }
}

/// The items of `input`; a plain text is the message that it stands for.
fn items<'a>(asked: &Fields<'a>) -> Result<Vec<Cow<'a, RawValue>>, InvalidRequest> {
    let Some(input) = asked.look("input") else {
        return Ok(Vec::new());
    };
    if Kind::of(input.get()) == Some(Kind::List) {
        let listed = fields::list(input, "input")?;
        return Ok(listed
            .into_iter()
            .map(|(_, raw)| Cow::Borrowed(raw))
            .collect());
    }
    let words = fields::text(input, || "input".to_owned())?;
    let message = json!({"type": "message", "role": "user", "content": words});
    let raw = serde_json::value::to_raw_value(&message).ok();
    Ok(raw.map(Cow::Owned).into_iter().collect())
}

fn identifier(item: &RawValue) -> Option<String> {
    let mut item = Fields::read(item, String::new()).ok()?;
    item.text("id").ok()?
}

/// The answer that made the item of this identifier, if the gateway gave it out for a translated answer.
pub fn response_of_item(id: &str) -> Option<String> {
    let (_, rest) = id.split_once('_')?;
    let (stem, _) = rest.split_once('_')?;
    let response = super::items::response_id(&format!("req_{stem}"));
    request_of(&response).map(|_| response)
}

/// The identifier of an answer.
pub fn answer_id(answer: &[u8]) -> Option<String> {
    let mut fields = Fields::read_body(text(answer).ok()?).ok()?;
    fields.text("id").ok()?
}

/// The request with the items in it that it refers to, of which `find` knows each. All other fields stay as
/// they were written.
pub fn with_items(
    body: &[u8],
    find: &dyn Fn(&str) -> Option<Box<RawValue>>,
) -> Result<Bytes, InvalidRequest> {
    rewritten(body, &[], find, &["input"])
}

/// The request with the conversation before it in place, for a target that does not keep it: the items of
/// the answers in `chain`, the oldest first, then the request's own; `previous_response_id` is gone. What is
/// referred to is looked up in the chain and by `find`. All other fields stay as they were written.
pub fn continued(
    body: &[u8],
    chain: &[StoredResponse],
    find: &dyn Fn(&str) -> Option<Box<RawValue>>,
) -> Result<Bytes, InvalidRequest> {
    rewritten(body, chain, find, &["input", "previous_response_id"])
}

/// The request with another `input`; the fields of `replaced` are gone.
fn rewritten(
    body: &[u8],
    chain: &[StoredResponse],
    find: &dyn Fn(&str) -> Option<Box<RawValue>>,
    replaced: &[&str],
) -> Result<Bytes, InvalidRequest> {
    let fields = Fields::read_body(text(body)?)?;
    let mut input: Vec<Cow<'_, RawValue>> = Vec::new();
    for stored in chain {
        input.extend(stored.input.iter().map(|item| Cow::Borrowed(&**item)));
        input.extend(stored.output().into_iter().map(Cow::Borrowed));
    }
    for (index, raw) in items(&fields)?.into_iter().enumerate() {
        let path = format!("input[{index}]");
        match reference(&mut Fields::read(&raw, path.clone())?)? {
            None => input.push(raw),
            Some(id) => {
                let kept = chain.iter().find_map(|stored| stored.item(&id));
                let found = match kept {
                    Some(item) => Some(item.to_owned()),
                    None => find(&id),
                };
                let item = found.ok_or_else(|| {
                    let detail = format!("Item with id '{id}' not found; send the item itself.");
                    InvalidRequest::of(path, detail)
                })?;
                input.push(Cow::Owned(item));
            }
        }
    }
    let mut items = BytesMut::new();
    append(&input, &mut items);
    let items = std::str::from_utf8(&items).unwrap_or("[]");
    splice::fields(body, replaced, &[("input", items)]).map_err(|refusal| InvalidRequest {
        detail: refusal.detail,
        param: refusal.param,
    })
}

/// Which page of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Whether the oldest come first; the vendor begins with the newest.
    pub ascending: bool,
    /// The item after which the page begins.
    pub after: Option<String>,
    /// How many items at most, 1 to [`MAX_PAGE`].
    pub limit: Option<usize>,
}

/// A page of the items that an answer was asked with, `chain` being the answers before it (the oldest
/// first) and then itself. Items that the caller gave no identifier get one that stays the same.
pub fn input_items(
    response_id: &str,
    chain: &[StoredResponse],
    page: &Page,
) -> Result<Bytes, InvalidRequest> {
    let limit = page.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("`limit` must be an integer from 1 to {MAX_PAGE}, not {limit}.");
        return Err(InvalidRequest::of("limit", detail));
    }
    let stem = response_id.strip_prefix("resp_").unwrap_or(response_id);
    let mut all = Vec::new();
    for (index, stored) in chain.iter().enumerate() {
        all.extend(stored.input.iter().map(|item| item.get()));
        if index + 1 < chain.len() {
            all.extend(stored.output().into_iter().map(RawValue::get));
        }
    }
    let mut listed: Vec<Value> = all
        .into_iter()
        .enumerate()
        .map(|(place, item)| listed(item, stem, place))
        .collect();
    if !page.ascending {
        listed.reverse();
    }
    if let Some(after) = &page.after {
        let place = listed.iter().position(|item| item["id"] == after.as_str());
        let Some(place) = place else {
            let detail = format!("`after` names no item of this answer: {after}.");
            return Err(InvalidRequest::of("after", detail));
        };
        listed.drain(..=place);
    }
    let has_more = listed.len() > limit;
    listed.truncate(limit);
    let name = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let body = json!({
        "object": "list",
        "first_id": name(listed.first()),
        "last_id": name(listed.last()),
        "has_more": has_more,
        "data": listed,
    });
    Ok(Bytes::from(body.to_string()))
}

/// An item with an identifier; a message also with its content as a list and its status, as clients expect.
fn listed(item: &str, stem: &str, place: usize) -> Value {
    let Ok(Value::Object(mut item)) = serde_json::from_str(item) else {
        return Value::Null;
    };
    if !item.contains_key("type") && item.contains_key("role") {
        item.insert("type".to_owned(), "message".into());
    }
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    let prefix = match kind {
        "message" => "msg",
        "reasoning" => "rs",
        "function_call" => "fc",
        "custom_tool_call" => "ctc",
        _ => "item",
    };
    if kind == "message" {
        let is_model = item.get("role").and_then(Value::as_str) == Some("assistant");
        let kind = if is_model {
            "output_text"
        } else {
            "input_text"
        };
        if let Some(Value::String(words)) = item.get("content") {
            let mut part = json!({"type": kind, "text": words});
            if is_model {
                part["annotations"] = json!([]);
            }
            item.insert("content".to_owned(), json!([part]));
        }
        item.entry("status").or_insert_with(|| "completed".into());
    }
    let mut named = Map::new();
    let id = item.shift_remove("id").filter(Value::is_string);
    let id = id.unwrap_or_else(|| format!("{prefix}_{stem}_in_{place}").into());
    named.insert("id".to_owned(), id);
    named.extend(item);
    Value::Object(named)
}

/// What is answered to `DELETE /v1/responses/{id}`.
pub fn deleted(response_id: &str) -> Bytes {
    let body = json!({"id": response_id, "object": "response", "deleted": true});
    Bytes::from(body.to_string())
}

/// Reads along with a stream for the answer that its last event holds, so that it can be kept.
#[derive(Default)]
pub struct AnswerTap {
    cutter: EventCutter,
    answer: Option<Box<RawValue>>,
}

impl AnswerTap {
    /// Takes the next bytes of the stream that the caller gets.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.answer.is_none() {
            self.cutter.push(bytes);
            while let Some(event) = self.cutter.next_event() {
                self.answer = self.answer.take().or_else(|| terminal_answer(&event));
            }
        }
    }

    /// Whether the last event has come.
    pub fn is_complete(&self) -> bool {
        self.answer.is_some()
    }

    /// The answer, if the stream came to its end.
    pub fn finish(mut self) -> Option<Box<RawValue>> {
        let rest = self.cutter.finish();
        self.answer.or_else(|| terminal_answer(&rest))
    }
}
