//! Generated content, whole and streamed.
//! See <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>.

use serde_json::{Map, Value, json};

use super::signature;
use crate::answer::{Answer, Call, Finish, pieces};
use crate::clock;
use crate::directive::UsageReport;
use crate::frames::Frames;
use crate::prompt::Reasoning;
use crate::record::{Host, SimUsage};
use crate::tokens;
use crate::vendor::Reply;

/// A streamed piece is about a sentence.
const PIECE: usize = 48;

pub(super) fn whole(reply: &Reply<'_>) -> Value {
    let mut body = Map::new();
    if is_blocked(reply) {
        body.insert("promptFeedback".to_owned(), feedback());
    } else {
        let candidates: Vec<Value> = reply
            .answers
            .iter()
            .enumerate()
            .map(|(index, answer)| {
                let parts: Vec<Value> = parts(reply, answer, usize::MAX)
                    .into_iter()
                    .map(|(part, _)| part)
                    .collect();
                candidate(index, &parts, Some(finish_reason(answer)))
            })
            .collect();
        body.insert("candidates".to_owned(), json!(candidates));
    }
    finish_body(reply, &mut body, None);
    Value::Object(body)
}

/// Every part of an answer, in order, with the tokens of what was said up to its end.
fn parts(reply: &Reply<'_>, answer: &Answer, piece: usize) -> Vec<(Value, u64)> {
    let mut parts = Vec::new();
    if let Some(thinking) = &answer.thinking {
        for piece in pieces(&thinking.text, None, piece) {
            parts.push((json!({"text": piece, "thought": true}), 0));
        }
    }
    let mut said = 0;
    let chunks = reply.directive.chunks.filter(|_| piece != usize::MAX);
    if !answer.text.is_empty() {
        for piece in pieces(&answer.text, chunks, piece) {
            said += piece.len();
            parts.push((json!({"text": piece}), (said as u64).div_ceil(4)));
        }
        if reply.prompt.habits.signs_calls
            && let Some((Value::Object(last), _)) = parts.last_mut()
        {
            last.insert(
                "thoughtSignature".to_owned(),
                json!(signature::sign(reply.seed, said as u64)),
            );
        }
    }
    let mut spent = tokens::of_text(&answer.text);
    let is_signed = reply.prompt.habits.signs_calls || reply.prompt.reasoning != Reasoning::Off;
    for (index, call) in answer.calls.iter().enumerate() {
        spent += tokens::of_text(&call.name) + tokens::of_text(&call.arguments);
        if let Some(part) = call_part(reply, call, is_signed && index == 0) {
            parts.push((part, spent));
        }
    }
    parts
}

/// A call; none if the output limit cut its arguments short, since the vendor never sends half of one.
fn call_part(reply: &Reply<'_>, call: &Call, is_signed: bool) -> Option<Value> {
    let args: Value = serde_json::from_str(&call.arguments).ok()?;
    let mut function = json!({"name": call.name, "args": args});
    if reply.prompt.habits.signs_calls
        && let Some(function) = function.as_object_mut()
    {
        function.insert(
            "id".to_owned(),
            json!(format!("sim{:013x}", call.hash >> 12)),
        );
    }
    let mut part = json!({"functionCall": function});
    if is_signed && let Some(part) = part.as_object_mut() {
        part.insert(
            "thoughtSignature".to_owned(),
            json!(signature::sign(reply.seed, call.hash)),
        );
    }
    Some(part)
}

fn candidate(index: usize, parts: &[Value], finish_reason: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}});
    if let Some(candidate) = candidate.as_object_mut() {
        if let Some(reason) = finish_reason {
            candidate.insert("finishReason".to_owned(), json!(reason));
        }
        candidate.insert("index".to_owned(), json!(index));
    }
    candidate
}

fn finish_reason(answer: &Answer) -> &str {
    match &answer.finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Refused => "PROHIBITED_CONTENT",
        Finish::Native(reason) => reason,
    }
}

fn is_blocked(reply: &Reply<'_>) -> bool {
    reply
        .answers
        .iter()
        .any(|answer| answer.finish == Finish::Refused)
}

fn feedback() -> Value {
    json!({"blockReason": "PROHIBITED_CONTENT"})
}

/// Adds what every body ends with; `so_far` is the output told in the middle of a stream.
fn finish_body(reply: &Reply<'_>, body: &mut Map<String, Value>, so_far: Option<u64>) {
    if let Some(usage) = usage(reply, so_far) {
        body.insert("usageMetadata".to_owned(), usage);
    }
    body.insert("modelVersion".to_owned(), json!(reply.prompt.model));
    body.insert("responseId".to_owned(), json!(reply.response_id));
    if reply.host == Host::Vertex {
        body.insert(
            "createTime".to_owned(),
            json!(clock::written(reply.created)),
        );
    }
}

fn usage(reply: &Reply<'_>, so_far: Option<u64>) -> Option<Value> {
    let usage = match reply.directive.usage {
        UsageReport::None => return None,
        UsageReport::Zero => SimUsage::default(),
        UsageReport::Full => reply.usage,
    };
    let all = usage.output - usage.reasoning;
    let candidates = so_far.map_or(all, |so_far| so_far.min(all));
    let mut told = json!({
        "promptTokenCount": usage.input,
        "candidatesTokenCount": candidates,
        "totalTokenCount": usage.input + candidates + usage.reasoning,
    });
    if let Some(told) = told.as_object_mut() {
        if usage.cached_input > 0 {
            told.insert(
                "cachedContentTokenCount".to_owned(),
                json!(usage.cached_input),
            );
            told.insert(
                "cacheTokensDetails".to_owned(),
                json!([{"modality": "TEXT", "tokenCount": usage.cached_input}]),
            );
        }
        let media = reply.prompt.media_input.min(usage.input);
        let mut details = vec![json!({"modality": "TEXT", "tokenCount": usage.input - media})];
        if media > 0 {
            details.push(json!({"modality": "IMAGE", "tokenCount": media}));
        }
        told.insert("promptTokensDetails".to_owned(), json!(details));
        if reply.host == Host::Vertex {
            told.insert("trafficType".to_owned(), json!("ON_DEMAND"));
        }
        if usage.reasoning > 0 {
            told.insert("thoughtsTokenCount".to_owned(), json!(usage.reasoning));
        }
    }
    Some(told)
}

pub(super) fn stream(reply: &Reply<'_>, frames: &mut Frames) {
    if is_blocked(reply) {
        let mut body = Map::new();
        body.insert("promptFeedback".to_owned(), feedback());
        finish_body(reply, &mut body, None);
        return frames.event(None, &body);
    }
    let mut queues: Vec<_> = reply
        .answers
        .iter()
        .map(|answer| events(reply, answer).into_iter())
        .collect();
    let mut said = vec![0; queues.len()];
    // The candidates of one answer come interleaved.
    let mut is_open = true;
    while is_open {
        is_open = false;
        for (index, queue) in queues.iter_mut().enumerate() {
            let Some(event) = queue.next() else { continue };
            is_open = true;
            if let Some(said) = said.get_mut(index) {
                *said = event.said;
            }
            let mut body = Map::new();
            let candidate = candidate(index, &[event.part], event.finish_reason);
            body.insert("candidates".to_owned(), json!([candidate]));
            finish_body(reply, &mut body, Some(said.iter().sum()));
            frames.event(None, &body);
        }
    }
}

/// One candidate's share of one event.
struct Event<'a> {
    part: Value,
    /// Tokens of what was said up to here.
    said: u64,
    finish_reason: Option<&'a str>,
}

/// The events of one candidate: a part each. The reason to finish comes with the last text, or with an empty one after a call.
fn events<'a>(reply: &Reply<'_>, answer: &'a Answer) -> Vec<Event<'a>> {
    let mut events: Vec<Event<'a>> = parts(reply, answer, PIECE)
        .into_iter()
        .map(|(part, said)| Event {
            part,
            said,
            finish_reason: None,
        })
        .collect();
    let reason = Some(finish_reason(answer));
    match events.last_mut() {
        Some(last) if last.part.get("functionCall").is_none() => {
            last.finish_reason = reason;
            last.said = answer.output - answer.reasoning;
        }
        _ => events.push(Event {
            part: json!({"text": ""}),
            said: answer.output - answer.reasoning,
            finish_reason: reason,
        }),
    }
    events
}
