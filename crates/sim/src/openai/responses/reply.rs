//! Responses, whole, and the items of their output.
//! See <https://platform.openai.com/docs/api-reference/responses/object>.

use serde_json::{Map, Value, json};

use super::super::reply::free_text;
use super::sealed;
use super::tools::{is_custom, searches};
use crate::answer::{Answer, Call, Finish};
use crate::directive::UsageReport;
use crate::record::SimUsage;
use crate::vendor::Reply;

/// The page that a search of the web finds.
const FOUND: &str = "https://example.com/simulated";

/// How far a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Queued,
    Running,
    Ended,
}

/// The response that a caller gets who does not stream: one that runs in the background has only been queued.
pub(super) fn whole(reply: &Reply<'_>) -> Value {
    let progress = if is_background(reply) {
        Progress::Queued
    } else {
        Progress::Ended
    };
    response(reply, progress)
}

pub(super) fn is_background(reply: &Reply<'_>) -> bool {
    reply.asked["background"] == true
}

/// The response as it stands at one point of its life.
pub(super) fn response(reply: &Reply<'_>, progress: Progress) -> Value {
    let answer = reply.answers.first();
    let has_ended = progress == Progress::Ended;
    let (status, incomplete, error) = match answer.filter(|_| has_ended) {
        Some(answer) => ending(answer),
        None if progress == Progress::Queued => ("queued", Value::Null, Value::Null),
        None => ("in_progress", Value::Null, Value::Null),
    };
    let output: Vec<Value> = if has_ended {
        items(reply).iter().map(|item| item.done(reply)).collect()
    } else {
        Vec::new()
    };
    let mut body = json!({
        "id": reply.response_id,
        "object": "response",
        "created_at": reply.created,
        "status": status,
        "background": is_background(reply),
        "completed_at": (status == "completed").then_some(reply.created),
        "error": error,
        "incomplete_details": incomplete,
        "model": reply.prompt.model,
        "output": output,
    });
    let usage = if has_ended { usage(reply) } else { None };
    if let Some(body) = body.as_object_mut() {
        echo(reply.asked, body);
        body.insert("usage".to_owned(), json!(usage));
    }
    body
}

/// What was asked, with the defaults of what was not.
fn echo(asked: &Value, body: &mut Map<String, Value>) {
    for (key, default) in [
        ("instructions", Value::Null),
        ("max_output_tokens", Value::Null),
        ("max_tool_calls", Value::Null),
        ("metadata", json!({})),
        ("parallel_tool_calls", json!(true)),
        ("previous_response_id", Value::Null),
        ("prompt_cache_key", Value::Null),
        ("prompt_cache_retention", Value::Null),
        ("safety_identifier", Value::Null),
        ("store", json!(true)),
        ("temperature", json!(1.0)),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        ("top_logprobs", json!(0)),
        ("top_p", json!(1.0)),
        ("truncation", json!("disabled")),
        ("user", Value::Null),
    ] {
        let value = asked.get(key).filter(|value| !value.is_null());
        body.insert(key.to_owned(), value.cloned().unwrap_or(default));
    }
    for tool in body
        .get_mut("tools")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter(|tool| tool["type"] == "function")
        .filter_map(Value::as_object_mut)
    {
        for (key, default) in [
            ("description", Value::Null),
            ("parameters", Value::Null),
            ("strict", json!(true)),
        ] {
            let slot = tool.entry(key).or_insert(default);
            if key == "strict" && slot.is_null() {
                *slot = json!(true);
            }
        }
    }
    let reasoning = &asked["reasoning"];
    body.insert(
        "reasoning".to_owned(),
        json!({"effort": reasoning["effort"], "summary": reasoning["summary"]}),
    );
    let format = asked["text"]["format"].clone();
    let format = if format.is_null() {
        json!({"type": "text"})
    } else {
        format
    };
    let verbosity = asked["text"]["verbosity"].as_str().unwrap_or("medium");
    body.insert(
        "text".to_owned(),
        json!({"format": format, "verbosity": verbosity}),
    );
    body.insert("service_tier".to_owned(), json!("default"));
}

/// The status, why it is incomplete, and what went wrong.
fn ending(answer: &Answer) -> (&'static str, Value, Value) {
    match &answer.finish {
        Finish::Length => (
            "incomplete",
            json!({"reason": "max_output_tokens"}),
            Value::Null,
        ),
        Finish::Native(reason) if reason == "failed" => (
            "failed",
            Value::Null,
            json!({"code": "server_error", "message": "The model failed to generate a response (simulated)."}),
        ),
        Finish::Native(reason) => ("incomplete", json!({"reason": reason}), Value::Null),
        Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls | Finish::Refused => {
            ("completed", Value::Null, Value::Null)
        }
    }
}

/// The status of a response that ended, as the last event of a stream names it.
pub(super) fn status(reply: &Reply<'_>) -> &'static str {
    reply
        .answers
        .first()
        .map_or("completed", |answer| ending(answer).0)
}

pub(super) fn usage(reply: &Reply<'_>) -> Option<Value> {
    let usage = match reply.directive.usage {
        UsageReport::None => return None,
        UsageReport::Zero => SimUsage::default(),
        UsageReport::Full => reply.usage,
    };
    Some(json!({
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached_input, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }))
}

/// One item of the output.
pub(super) enum Item<'a> {
    /// With its summary, where one was asked for and there is one.
    Reasoning {
        id: String,
        summary: Option<&'a str>,
    },
    /// A search of the web, which OpenAI makes itself.
    Search { id: String, query: &'a str },
    Message {
        id: String,
        text: &'a str,
        /// Whether it cites what was found.
        cites: bool,
        is_refusal: bool,
        is_cut: bool,
    },
    Call {
        id: String,
        call: &'a Call,
        is_custom: bool,
    },
}

/// What is said, in order.
pub(super) fn items<'a>(reply: &Reply<'a>) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    let Some(answer) = reply.answers.first() else {
        return items;
    };
    let own = reply
        .response_id
        .strip_prefix("resp_")
        .unwrap_or(reply.response_id);
    if answer.reasoning > 0 {
        let summary = answer
            .thinking
            .as_ref()
            .filter(|thinking| !thinking.redacted)
            .map(|thinking| thinking.text.as_str())
            .filter(|text| !text.is_empty());
        items.push(Item::Reasoning {
            id: format!("rs_{own}"),
            summary,
        });
    }
    let searches = searches(reply.asked, &reply.prompt.said) && answer.calls.is_empty();
    if searches {
        items.push(Item::Search {
            id: format!("ws_{own}"),
            query: excerpt(&reply.prompt.said),
        });
    }
    if answer.calls.is_empty() || !answer.text.is_empty() {
        items.push(Item::Message {
            id: format!("msg_{own}"),
            text: &answer.text,
            cites: searches && answer.finish != Finish::Refused && !answer.text.is_empty(),
            is_refusal: answer.finish == Finish::Refused,
            is_cut: answer.finish == Finish::Length && answer.calls.is_empty(),
        });
    }
    for (number, call) in answer.calls.iter().enumerate() {
        let is_custom = is_custom(reply.asked, &call.name);
        let prefix = if is_custom { "ctc" } else { "fc" };
        items.push(Item::Call {
            id: format!("{prefix}_{own}{number:02x}"),
            call,
            is_custom,
        });
    }
    items
}

impl Item<'_> {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Reasoning { id, .. }
            | Self::Search { id, .. }
            | Self::Message { id, .. }
            | Self::Call { id, .. } => id,
        }
    }

    /// The item before anything of it was said.
    pub(super) fn begun(&self, reply: &Reply<'_>) -> Value {
        let mut item = self.done(reply);
        let (key, empty) = match self {
            Self::Reasoning { .. } => ("summary", json!([])),
            Self::Message { .. } => ("content", json!([])),
            Self::Search { .. } => ("action", json!({"type": "search", "query": ""})),
            Self::Call { is_custom, .. } => {
                let key = if *is_custom { "input" } else { "arguments" };
                (key, json!(""))
            }
        };
        if let Some(item) = item.as_object_mut() {
            item.insert(key.to_owned(), empty);
            if !matches!(self, Self::Reasoning { .. }) {
                item.insert("status".to_owned(), json!("in_progress"));
            }
        }
        item
    }

    /// The item when all of it was said.
    pub(super) fn done(&self, reply: &Reply<'_>) -> Value {
        match self {
            Self::Reasoning { id, summary } => {
                let summary: Vec<Value> = summary
                    .iter()
                    .map(|text| json!({"type": "summary_text", "text": text}))
                    .collect();
                let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
                let wants_sealed = includes(reply, "reasoning.encrypted_content");
                if let Some(item) = item.as_object_mut().filter(|_| wants_sealed) {
                    let sealed = sealed::seal(reply.seed, id);
                    item.insert("encrypted_content".to_owned(), json!(sealed));
                }
                item
            }
            Self::Search { id, query } => {
                let mut action = json!({"type": "search", "query": query, "queries": [query]});
                let wants_sources = includes(reply, "web_search_call.action.sources");
                if let Some(action) = action.as_object_mut().filter(|_| wants_sources) {
                    let sources = json!([{"type": "url", "url": FOUND}]);
                    action.insert("sources".to_owned(), sources);
                }
                json!({"id": id, "type": "web_search_call", "status": "completed", "action": action})
            }
            Self::Message { id, is_cut, .. } => json!({
                "id": id,
                "type": "message",
                "status": if *is_cut { "incomplete" } else { "completed" },
                "role": "assistant",
                "content": [self.part(true)],
            }),
            Self::Call {
                id,
                call,
                is_custom,
            } => {
                let (kind, key, said) = if *is_custom {
                    ("custom_tool_call", "input", free_text(call))
                } else {
                    ("function_call", "arguments", call.arguments.clone())
                };
                json!({"id": id, "type": kind, "status": "completed", key: said, "call_id": call_id(call), "name": call.name})
            }
        }
    }

    /// The only part of a message, whole or before anything of it was said.
    pub(super) fn part(&self, is_whole: bool) -> Value {
        let Self::Message {
            text, is_refusal, ..
        } = self
        else {
            return Value::Null;
        };
        let text = if is_whole { *text } else { "" };
        if *is_refusal {
            return json!({"type": "refusal", "refusal": text});
        }
        let annotations: Vec<Value> = self.annotation().filter(|_| is_whole).into_iter().collect();
        json!({"type": "output_text", "annotations": annotations, "logprobs": [], "text": text})
    }

    /// What a message cites: its first word, from the one page that is ever found.
    pub(super) fn annotation(&self) -> Option<Value> {
        let Self::Message {
            text, cites: true, ..
        } = self
        else {
            return None;
        };
        let end = text.split_whitespace().next()?.chars().count();
        Some(
            json!({"type": "url_citation", "start_index": 0, "end_index": end, "url": FOUND, "title": "A simulated page"}),
        )
    }
}

fn includes(reply: &Reply<'_>, wanted: &str) -> bool {
    reply.asked["include"]
        .as_array()
        .is_some_and(|include| include.iter().any(|included| included == wanted))
}

/// As much of the caller's words as a search takes.
fn excerpt(said: &str) -> &str {
    said.get(..said.floor_char_boundary(200)).unwrap_or(said)
}

fn call_id(call: &Call) -> String {
    format!("call_sim{:016x}", call.hash)
}
