//! Answers as Mistral gives them: thoughts are parts of the content, calls come whole, and the last event of a stream
//! has the usage, asked for or not.

use serde_json::{Value, json};

use super::super::reply::{PIECE, finish_reason, usage};
use crate::answer::{Answer, Call, pieces};
use crate::frames::Frames;
use crate::vendor::Reply;

pub(in crate::openai) fn whole(reply: &Reply<'_>) -> Value {
    let choices = reply.answers.iter().enumerate().map(|(index, answer)| {
        let content = match &answer.thinking {
            Some(thinking) => {
                json!([thought(&thinking.text), {"type": "text", "text": answer.text}])
            }
            None => json!(answer.text),
        };
        let mut message =
            json!({"role": "assistant", "content": content, "prefix": false, "tool_calls": null});
        if !answer.calls.is_empty() {
            let calls = answer.calls.iter().enumerate();
            message["tool_calls"] = calls.map(|(index, made)| call(index, made)).collect();
        }
        json!({"index": index, "message": message, "finish_reason": finish_reason(answer)})
    });
    let choices: Vec<Value> = choices.collect();
    let mut body = json!({
        "id": reply.response_id,
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.prompt.model,
        "choices": choices,
    });
    if let Some(usage) = counted(reply) {
        body["usage"] = usage;
    }
    body
}

pub(in crate::openai) fn stream(reply: &Reply<'_>, frames: &mut Frames) {
    let last = reply.answers.len().saturating_sub(1);
    for (index, answer) in reply.answers.iter().enumerate() {
        for delta in deltas(reply, answer) {
            frames.event(None, &chunk(reply, index, &delta, None));
        }
        let mut end = chunk(
            reply,
            index,
            &json!({"content": ""}),
            Some(finish_reason(answer)),
        );
        if index == last
            && let Some(usage) = counted(reply)
        {
            end["usage"] = usage;
        }
        frames.event(None, &end);
    }
    frames.text("[DONE]");
}

fn chunk(reply: &Reply<'_>, index: usize, delta: &Value, finish: Option<&str>) -> Value {
    json!({
        "id": reply.response_id,
        "object": "chat.completion.chunk",
        "created": reply.created,
        "model": reply.prompt.model,
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    })
}

fn deltas(reply: &Reply<'_>, answer: &Answer) -> Vec<Value> {
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    let is_in_parts = answer.thinking.is_some();
    if let Some(thinking) = &answer.thinking {
        let thoughts = pieces(&thinking.text, None, PIECE);
        deltas.extend(
            thoughts
                .into_iter()
                .map(|piece| json!({"content": [thought(piece)]})),
        );
    }
    if !answer.text.is_empty() {
        let said = pieces(&answer.text, reply.directive.chunks, PIECE);
        deltas.extend(said.into_iter().map(|piece| {
            if is_in_parts {
                json!({"content": [{"type": "text", "text": piece}]})
            } else {
                json!({"content": piece})
            }
        }));
    }
    if !answer.calls.is_empty() {
        let calls = answer.calls.iter().enumerate();
        let calls: Vec<Value> = calls.map(|(index, made)| call(index, made)).collect();
        deltas.push(json!({"content": "", "tool_calls": calls}));
    }
    deltas
}

/// Its usage does not tell thoughts from the rest of the output.
fn counted(reply: &Reply<'_>) -> Option<Value> {
    let mut usage = usage(reply)?;
    if let Some(usage) = usage.as_object_mut() {
        usage.remove("completion_tokens_details");
    }
    Some(usage)
}

fn thought(text: &str) -> Value {
    json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]})
}

/// Its identifiers are nine letters and digits.
fn call(index: usize, call: &Call) -> Value {
    let hash = format!("{:016x}", call.hash);
    let id = hash.get(..9).unwrap_or_default();
    json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}, "index": index})
}
