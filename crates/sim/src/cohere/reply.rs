//! Chats, whole and streamed.
//! See <https://docs.cohere.com/reference/chat> and <https://docs.cohere.com/reference/chat-stream>.

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Call, Finish, fragments, pieces};
use crate::directive::UsageReport;
use crate::frames::Frames;
use crate::record::SimUsage;
use crate::vendor::Reply;

/// A streamed piece is about a word.
const PIECE: usize = 6;

pub(super) fn whole(reply: &Reply<'_>) -> Value {
    let Some(answer) = reply.answers.first() else {
        return Value::Null;
    };
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    let mut content = Vec::new();
    if let Some(thinking) = &answer.thinking {
        content.push(json!({"type": "thinking", "thinking": thinking.text}));
    }
    if answer.calls.is_empty() {
        content.push(json!({"type": "text", "text": answer.text}));
    } else {
        let calls: Vec<Value> = answer
            .calls
            .iter()
            .map(|call| tool_call(call, &call.arguments))
            .collect();
        message.insert("tool_plan".to_owned(), json!(answer.text));
        message.insert("tool_calls".to_owned(), json!(calls));
    }
    if !content.is_empty() {
        message.insert("content".to_owned(), json!(content));
    }
    if let Some(citation) = citation(reply, answer) {
        message.insert("citations".to_owned(), json!([citation]));
    }
    let mut body = json!({
        "id": reply.response_id,
        "message": message,
        "finish_reason": finish_reason(answer),
    });
    if let (Some(usage), Some(body)) = (usage(reply), body.as_object_mut()) {
        body.insert("usage".to_owned(), usage);
    }
    body
}

fn tool_call(call: &Call, arguments: &str) -> Value {
    json!({
        "id": format!("{}_sim{:016x}", call.name, call.hash),
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    })
}

/// The first document is cited for the first word, unless the caller wants no citations.
fn citation(reply: &Reply<'_>, answer: &Answer) -> Option<Value> {
    let first = reply.asked["documents"].as_array()?.first()?;
    let mode = reply.asked["citation_options"]["mode"].as_str();
    if matches!(mode, Some("OFF" | "DISABLED")) || !answer.calls.is_empty() {
        return None;
    }
    let word = answer.text.split_whitespace().next()?;
    let id = first["id"].as_str().unwrap_or("doc:0");
    let mut document = match first {
        Value::String(text) => json!({"snippet": text}),
        _ => first["data"].clone(),
    };
    if let Some(document) = document.as_object_mut() {
        document.insert("id".to_owned(), json!(id));
    }
    Some(json!({
        "start": 0,
        "end": word.chars().count(),
        "text": word,
        "sources": [{"type": "document", "id": id, "document": document}],
        "content_index": usize::from(answer.thinking.is_some()),
        "type": "TEXT_CONTENT",
    }))
}

fn finish_reason(answer: &Answer) -> &str {
    match &answer.finish {
        Finish::Stop | Finish::Refused => "COMPLETE",
        Finish::Length => "MAX_TOKENS",
        Finish::StopSequence(_) => "STOP_SEQUENCE",
        Finish::ToolCalls => "TOOL_CALL",
        Finish::Native(reason) => reason,
    }
}

fn usage(reply: &Reply<'_>) -> Option<Value> {
    let usage = match reply.directive.usage {
        UsageReport::None => return None,
        UsageReport::Zero => SimUsage::default(),
        UsageReport::Full => reply.usage,
    };
    let tokens = json!({"input_tokens": usage.input, "output_tokens": usage.output});
    Some(json!({"billed_units": tokens, "tokens": tokens, "cached_tokens": usage.cached_input}))
}

pub(super) fn stream(reply: &Reply<'_>, frames: &mut Frames) {
    let Some(answer) = reply.answers.first() else {
        return;
    };
    let message = json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
    frames.event(
        Some("message-start"),
        &json!({"id": reply.response_id, "type": "message-start", "delta": {"message": message}}),
    );
    let mut index = 0;
    if let Some(thinking) = &answer.thinking {
        block(
            frames,
            index,
            "thinking",
            &pieces(&thinking.text, None, PIECE),
        );
        index += 1;
    }
    if answer.calls.is_empty() {
        let said = if answer.text.is_empty() {
            Vec::new()
        } else {
            pieces(&answer.text, reply.directive.chunks, PIECE)
        };
        block(frames, index, "text", &said);
    } else {
        for piece in pieces(&answer.text, None, PIECE) {
            event(
                frames,
                "tool-plan-delta",
                None,
                &json!({"tool_plan": piece}),
            );
        }
    }
    for (index, call) in answer.calls.iter().enumerate() {
        event(
            frames,
            "tool-call-start",
            Some(index),
            &json!({"tool_calls": tool_call(call, "")}),
        );
        for fragment in fragments(&call.arguments, call.hash) {
            let delta = json!({"tool_calls": {"function": {"arguments": fragment}}});
            event(frames, "tool-call-delta", Some(index), &delta);
        }
        end(frames, "tool-call-end", index);
    }
    if let Some(citation) = citation(reply, answer) {
        event(
            frames,
            "citation-start",
            Some(0),
            &json!({"citations": citation}),
        );
        end(frames, "citation-end", 0);
    }
    let mut delta = json!({"finish_reason": finish_reason(answer)});
    if let (Some(usage), Some(delta)) = (usage(reply), delta.as_object_mut()) {
        delta.insert("usage".to_owned(), usage);
    }
    frames.event(
        Some("message-end"),
        &json!({"type": "message-end", "delta": delta}),
    );
    frames.text("[DONE]");
}

/// A block of content, from its start to its end.
fn block(frames: &mut Frames, index: usize, kind: &str, said: &[&str]) {
    event(
        frames,
        "content-start",
        Some(index),
        &json!({"content": {"type": kind, kind: ""}}),
    );
    for piece in said {
        event(
            frames,
            "content-delta",
            Some(index),
            &json!({"content": {kind: piece}}),
        );
    }
    end(frames, "content-end", index);
}

fn end(frames: &mut Frames, name: &str, index: usize) {
    frames.event(Some(name), &json!({"type": name, "index": index}));
}

/// An event that changes the message.
fn event(frames: &mut Frames, name: &str, index: Option<usize>, message: &Value) {
    let mut data = json!({"type": name});
    if let Some(data) = data.as_object_mut() {
        if let Some(index) = index {
            data.insert("index".to_owned(), json!(index));
        }
        data.insert("delta".to_owned(), json!({"message": message}));
    }
    frames.event(Some(name), &data);
}
