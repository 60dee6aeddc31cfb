//! Answers of `Converse`, whole and streamed.
//! See <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>.

use serde_json::{Value, json};

use super::model::Family;
use crate::answer::{Answer, Call, Finish, Thinking, fragments, pieces};
use crate::anthropic::signature;
use crate::directive::UsageReport;
use crate::frames::Frames;
use crate::record::SimUsage;
use crate::vendor::Reply;

/// A streamed piece is a few words.
const PIECE: usize = 12;
/// What hides how long an event is.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyz";

pub(super) fn whole(reply: &Reply<'_>) -> Value {
    let Some(answer) = reply.answers.first() else {
        return Value::Null;
    };
    let mut content = Vec::new();
    if let Some(thinking) = &answer.thinking {
        content.push(json!({"reasoningContent": reasoning(reply, thinking)}));
    }
    if has_text(answer) {
        content.push(json!({"text": answer.text}));
    }
    for call in &answer.calls {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        content.push(
            json!({"toolUse": {"toolUseId": call_id(call), "name": call.name, "input": input}}),
        );
    }
    let mut body = json!({
        "metrics": {"latencyMs": 7},
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(answer),
    });
    if let (Some(usage), Some(body)) = (usage(reply), body.as_object_mut()) {
        body.insert("usage".to_owned(), usage);
    }
    if let (Some(fields), Some(body)) = (additional(reply, answer), body.as_object_mut()) {
        body.insert("additionalModelResponseFields".to_owned(), fields);
    }
    body
}

/// What the model says beyond the format, as far as the caller asks for it.
fn additional(reply: &Reply<'_>, answer: &Answer) -> Option<Value> {
    let paths = reply.asked["additionalModelResponseFieldPaths"].as_array()?;
    if !paths.contains(&json!("/stop_sequence")) {
        return None;
    }
    let sequence = match &answer.finish {
        Finish::StopSequence(sequence) => Some(sequence),
        _ => None,
    };
    Some(json!({"stop_sequence": sequence}))
}

pub(super) fn stream(reply: &Reply<'_>, frames: &mut Frames) {
    let Some(answer) = reply.answers.first() else {
        return;
    };
    event(frames, "messageStart", json!({"role": "assistant"}));
    let mut index = 0;
    if let Some(thinking) = &answer.thinking {
        stream_reasoning(reply, thinking, index, frames);
        index += 1;
    }
    if has_text(answer) {
        for piece in pieces(&answer.text, reply.directive.chunks, PIECE) {
            delta(frames, index, &json!({"text": piece}));
        }
        end(frames, index);
        index += 1;
    }
    for call in &answer.calls {
        let start = json!({"toolUse": {"toolUseId": call_id(call), "name": call.name}});
        event(
            frames,
            "contentBlockStart",
            json!({"start": start, "contentBlockIndex": index}),
        );
        for fragment in fragments(&call.arguments, call.hash) {
            delta(frames, index, &json!({"toolUse": {"input": fragment}}));
        }
        end(frames, index);
        index += 1;
    }
    let mut stop = json!({"stopReason": stop_reason(answer)});
    if let (Some(fields), Some(stop)) = (additional(reply, answer), stop.as_object_mut()) {
        stop.insert("additionalModelResponseFields".to_owned(), fields);
    }
    event(frames, "messageStop", stop);
    if let Some(usage) = usage(reply) {
        event(
            frames,
            "metadata",
            json!({"usage": usage, "metrics": {"latencyMs": 7}}),
        );
    }
}

fn stream_reasoning(reply: &Reply<'_>, thinking: &Thinking, index: usize, frames: &mut Frames) {
    if thinking.redacted {
        let content = reasoning(reply, thinking);
        delta(frames, index, &json!({"reasoningContent": content}));
    } else {
        for piece in pieces(&thinking.text, None, PIECE) {
            delta(frames, index, &json!({"reasoningContent": {"text": piece}}));
        }
        if let Some(signature) = signature(reply, thinking) {
            delta(
                frames,
                index,
                &json!({"reasoningContent": {"signature": signature}}),
            );
        }
    }
    end(frames, index);
}

fn reasoning(reply: &Reply<'_>, thinking: &Thinking) -> Value {
    if thinking.redacted {
        return json!({"redactedContent": signature::redact(reply.seed, &thinking.text)});
    }
    let mut text = json!({"text": thinking.text});
    if let (Some(signature), Some(text)) = (signature(reply, thinking), text.as_object_mut()) {
        text.insert("signature".to_owned(), json!(signature));
    }
    json!({"reasoningText": text})
}

/// Only Anthropic's models sign what they think.
fn signature(reply: &Reply<'_>, thinking: &Thinking) -> Option<String> {
    (Family::of(&reply.prompt.model) == Some(Family::Claude))
        .then(|| signature::sign(reply.seed, &thinking.text))
}

fn delta(frames: &mut Frames, index: usize, delta: &Value) {
    event(
        frames,
        "contentBlockDelta",
        json!({"delta": delta, "contentBlockIndex": index}),
    );
}

fn end(frames: &mut Frames, index: usize) {
    event(
        frames,
        "contentBlockStop",
        json!({"contentBlockIndex": index}),
    );
}

fn event(frames: &mut Frames, name: &str, mut data: Value) {
    let length = 1 + frames.count() * 7 % PADDING.len();
    if let Some(data) = data.as_object_mut() {
        data.insert("p".to_owned(), json!(PADDING.get(..length)));
    }
    frames.event(Some(name), &data);
}

/// A refused answer says nothing where the model does not refuse in words.
fn has_text(answer: &Answer) -> bool {
    !answer.text.is_empty()
}

fn call_id(call: &Call) -> String {
    format!("tooluse_sim{:016x}", call.hash)
}

fn stop_reason(answer: &Answer) -> &str {
    match &answer.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::StopSequence(_) => "stop_sequence",
        Finish::ToolCalls => "tool_use",
        Finish::Refused => "content_filtered",
        Finish::Native(reason) => reason,
    }
}

fn usage(reply: &Reply<'_>) -> Option<Value> {
    let usage = match reply.directive.usage {
        UsageReport::None => return None,
        UsageReport::Zero => SimUsage::default(),
        UsageReport::Full => reply.usage,
    };
    let written = usage.cache_write_5m + usage.cache_write_1h;
    let mut told = json!({
        "inputTokens": usage.input - usage.cached_input - written,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output,
        "cacheReadInputTokens": usage.cached_input,
        "cacheWriteInputTokens": written,
    });
    if written > 0
        && let Some(told) = told.as_object_mut()
    {
        let details: Vec<Value> = [("5m", usage.cache_write_5m), ("1h", usage.cache_write_1h)]
            .into_iter()
            .filter(|(_, tokens)| *tokens > 0)
            .map(|(ttl, tokens)| json!({"ttl": ttl, "inputTokens": tokens}))
            .collect();
        told.insert("cacheDetails".to_owned(), json!(details));
    }
    Some(told)
}
