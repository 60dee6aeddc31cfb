//! Messages, whole and streamed.
//! See <https://docs.claude.com/en/api/messages> and <https://docs.claude.com/en/docs/build-with-claude/streaming>.

use serde_json::{Value, json};

use super::{model, signature};
use crate::answer::{Answer, Call, Finish, Thinking, fragments, pieces};
use crate::directive::UsageReport;
use crate::frames::Frames;
use crate::record::{Host, SimUsage};
use crate::vendor::Reply;

/// A streamed piece is a few words.
const PIECE: usize = 12;

pub(super) fn whole(reply: &Reply<'_>) -> Value {
    let Some(answer) = reply.answers.first() else {
        return Value::Null;
    };
    let mut content = Vec::new();
    if let Some(thinking) = &answer.thinking {
        content.push(thinking_block(reply.seed, thinking));
    }
    if has_text(answer) {
        content.push(json!({"type": "text", "text": answer.text}));
    }
    for call in &answer.calls {
        // Arguments that the limit cut short are no object; the vendor leaves the input empty then.
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        content.push(
            json!({"type": "tool_use", "id": call_id(call), "name": call.name, "input": input}),
        );
    }
    let mut message = message(reply, &content);
    if let Some(message) = message.as_object_mut() {
        message.insert("stop_reason".to_owned(), json!(stop_reason(answer)));
        message.insert("stop_sequence".to_owned(), json!(stop_sequence(answer)));
        if answer.finish == Finish::Refused {
            message.insert("stop_details".to_owned(), refusal_details());
        }
        if let Some(usage) = usage(reply, None) {
            message.insert("usage".to_owned(), usage);
        }
    }
    message
}

fn message(reply: &Reply<'_>, content: &[Value]) -> Value {
    json!({
        "id": reply.response_id,
        "type": "message",
        "role": "assistant",
        "model": model::told(&reply.prompt.model),
        "content": content,
        "stop_reason": null,
        "stop_sequence": null,
    })
}

fn refusal_details() -> Value {
    json!({"type": "refusal", "category": null, "explanation": null})
}

fn thinking_block(seed: u64, thinking: &Thinking) -> Value {
    if thinking.redacted {
        json!({"type": "redacted_thinking", "data": signature::redact(seed, &thinking.text)})
    } else {
        json!({"type": "thinking", "thinking": thinking.text, "signature": signature::sign(seed, &thinking.text)})
    }
}

/// A refused answer says nothing.
fn has_text(answer: &Answer) -> bool {
    !answer.text.is_empty() && answer.finish != Finish::Refused
}

fn call_id(call: &Call) -> String {
    format!("toolu_sim{:016x}", call.hash)
}

fn stop_reason(answer: &Answer) -> &str {
    match &answer.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::StopSequence(_) => "stop_sequence",
        Finish::ToolCalls => "tool_use",
        Finish::Refused => "refusal",
        Finish::Native(reason) => reason,
    }
}

fn stop_sequence(answer: &Answer) -> Option<&str> {
    if let Finish::StopSequence(sequence) = &answer.finish {
        Some(sequence)
    } else {
        None
    }
}

/// Usage as told; `so_far` is the output told at the beginning of a stream.
fn usage(reply: &Reply<'_>, so_far: Option<u64>) -> Option<Value> {
    let usage = told(reply)?;
    let mut told = json!({
        "input_tokens": usage.input - usage.cached_input - usage.cache_write_5m - usage.cache_write_1h,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cached_input,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write_5m, "ephemeral_1h_input_tokens": usage.cache_write_1h},
        "output_tokens": so_far.map_or(usage.output, |so_far| so_far.min(usage.output)),
        "service_tier": "standard",
        "inference_geo": "not_available",
    });
    if so_far.is_none()
        && let Some(told) = told.as_object_mut()
    {
        told.insert(
            "output_tokens_details".to_owned(),
            json!({"thinking_tokens": usage.reasoning}),
        );
    }
    Some(told)
}

fn told(reply: &Reply<'_>) -> Option<SimUsage> {
    match reply.directive.usage {
        UsageReport::None => None,
        UsageReport::Zero => Some(SimUsage::default()),
        UsageReport::Full => Some(reply.usage),
    }
}

pub(super) fn stream(reply: &Reply<'_>, frames: &mut Frames) {
    let Some(answer) = reply.answers.first() else {
        return;
    };
    let mut start = message(reply, &[]);
    if let (Some(start), Some(usage)) = (start.as_object_mut(), usage(reply, Some(1))) {
        start.insert("usage".to_owned(), usage);
    }
    event(frames, "message_start", json!({"message": start}));
    event(frames, "ping", json!({}));
    let mut index = 0;
    if let Some(thinking) = &answer.thinking {
        stream_thinking(reply.seed, thinking, index, frames);
        index += 1;
    }
    if has_text(answer) {
        begin(frames, index, &json!({"type": "text", "text": ""}));
        for piece in pieces(&answer.text, reply.directive.chunks, PIECE) {
            delta(frames, index, &json!({"type": "text_delta", "text": piece}));
        }
        end(frames, index);
        index += 1;
    }
    for call in &answer.calls {
        begin(
            frames,
            index,
            &json!({"type": "tool_use", "id": call_id(call), "name": call.name, "input": {}}),
        );
        delta(
            frames,
            index,
            &json!({"type": "input_json_delta", "partial_json": ""}),
        );
        // Tools without arguments get no further fragment: the empty object is what the block began with.
        for fragment in fragments(&call.arguments, call.hash)
            .into_iter()
            .filter(|_| call.arguments != "{}")
        {
            delta(
                frames,
                index,
                &json!({"type": "input_json_delta", "partial_json": fragment}),
            );
        }
        end(frames, index);
        index += 1;
    }
    let mut last = json!({"delta": {"stop_reason": stop_reason(answer), "stop_sequence": stop_sequence(answer)}});
    if answer.finish == Finish::Refused
        && let Some(delta) = last.get_mut("delta").and_then(Value::as_object_mut)
    {
        delta.insert("stop_details".to_owned(), refusal_details());
    }
    if let (Some(last), Some(usage)) = (last.as_object_mut(), final_usage(reply)) {
        last.insert("usage".to_owned(), usage);
    }
    event(frames, "message_delta", last);
    let mut stop = json!({});
    if reply.host == Host::Bedrock
        && let Some(stop) = stop.as_object_mut()
    {
        let usage = reply.usage;
        let metrics = json!({
            "inputTokenCount": usage.input - usage.cached_input - usage.cache_write_5m - usage.cache_write_1h,
            "outputTokenCount": usage.output,
            "invocationLatency": 7,
            "firstByteLatency": 3,
        });
        stop.insert("amazon-bedrock-invocationMetrics".to_owned(), metrics);
    }
    event(frames, "message_stop", stop);
}

/// The cumulative usage that ends a stream.
fn final_usage(reply: &Reply<'_>) -> Option<Value> {
    let usage = told(reply)?;
    Some(json!({
        "input_tokens": usage.input - usage.cached_input - usage.cache_write_5m - usage.cache_write_1h,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }))
}

fn stream_thinking(seed: u64, thinking: &Thinking, index: usize, frames: &mut Frames) {
    if thinking.redacted {
        begin(frames, index, &thinking_block(seed, thinking));
    } else {
        begin(
            frames,
            index,
            &json!({"type": "thinking", "thinking": "", "signature": ""}),
        );
        for piece in pieces(&thinking.text, None, PIECE) {
            delta(
                frames,
                index,
                &json!({"type": "thinking_delta", "thinking": piece}),
            );
        }
        delta(
            frames,
            index,
            &json!({"type": "signature_delta", "signature": signature::sign(seed, &thinking.text)}),
        );
    }
    end(frames, index);
}

fn begin(frames: &mut Frames, index: usize, block: &Value) {
    event(
        frames,
        "content_block_start",
        json!({"index": index, "content_block": block}),
    );
}

fn delta(frames: &mut Frames, index: usize, delta: &Value) {
    event(
        frames,
        "content_block_delta",
        json!({"index": index, "delta": delta}),
    );
}

fn end(frames: &mut Frames, index: usize) {
    event(frames, "content_block_stop", json!({"index": index}));
}

/// An event; its name stands in its data as well.
fn event(frames: &mut Frames, name: &str, rest: Value) {
    let mut data = json!({"type": name});
    if let (Some(data), Value::Object(rest)) = (data.as_object_mut(), rest) {
        data.extend(rest);
    }
    frames.event(Some(name), &data);
}
