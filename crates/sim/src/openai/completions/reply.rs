//! Completions, whole and streamed.
//! See <https://platform.openai.com/docs/api-reference/completions/object>.

use serde_json::{Value, json};

use super::super::reply::{FINGERPRINT, PIECE, finish_reason, usage};
use crate::answer::{Answer, pieces};
use crate::frames::Frames;
use crate::vendor::Reply;

pub(super) fn whole(reply: &Reply<'_>) -> Value {
    let choices: Vec<Value> = reply
        .answers
        .iter()
        .enumerate()
        .map(|(index, answer)| {
            let said = said(reply, index, answer);
            choice(reply, index, &said, 0, Some(finish_reason(answer)))
        })
        .collect();
    let mut body = body(reply, &choices);
    if let (Some(usage), Some(body)) = (usage(reply), body.as_object_mut()) {
        body.insert("usage".to_owned(), usage);
    }
    body
}

pub(super) fn stream(reply: &Reply<'_>, frames: &mut Frames) {
    for (index, answer) in reply.answers.iter().enumerate() {
        let said = said(reply, index, answer);
        let mut offset = 0;
        for piece in pieces(&said, reply.directive.chunks, PIECE) {
            let choice = choice(reply, index, piece, offset, None);
            chunk(reply, &[choice], &Value::Null, frames);
            offset += piece.len();
        }
        let end = choice(reply, index, "", offset, Some(finish_reason(answer)));
        chunk(reply, &[end], &Value::Null, frames);
    }
    if reply.prompt.reports_usage
        && let Some(usage) = usage(reply)
    {
        chunk(reply, &[], &usage, frames);
    }
    frames.text("[DONE]");
}

fn chunk(reply: &Reply<'_>, choices: &[Value], usage: &Value, frames: &mut Frames) {
    let mut body = body(reply, choices);
    if reply.prompt.reports_usage
        && let Some(body) = body.as_object_mut()
    {
        body.insert("usage".to_owned(), usage.clone());
    }
    frames.event(None, &body);
}

fn body(reply: &Reply<'_>, choices: &[Value]) -> Value {
    json!({
        "id": reply.response_id,
        "object": "text_completion",
        "created": reply.created,
        "model": reply.prompt.model,
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
    })
}

/// What one choice says: the prompt first, if the caller wants it back.
fn said(reply: &Reply<'_>, index: usize, answer: &Answer) -> String {
    if reply.asked["echo"] != true {
        return answer.text.clone();
    }
    let prompt = match &reply.asked["prompt"] {
        Value::Array(prompts) => {
            let each = reply.answers.len() / prompts.len().max(1);
            prompts
                .get(index / each.max(1))
                .and_then(Value::as_str)
                .unwrap_or(&reply.prompt.said)
        }
        one => one.as_str().unwrap_or_default(),
    };
    format!("{prompt}{}", answer.text)
}

fn choice(
    reply: &Reply<'_>,
    index: usize,
    text: &str,
    offset: usize,
    finish_reason: Option<&str>,
) -> Value {
    let wanted = reply.asked["logprobs"].as_u64();
    let logprobs = wanted.map(|wanted| logprobs(text, offset, wanted > 0));
    json!({"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish_reason})
}

/// Probabilities of simulated tokens: each is certain.
fn logprobs(text: &str, offset: usize, has_alternatives: bool) -> Value {
    let tokens = if text.is_empty() {
        Vec::new()
    } else {
        pieces(text, None, PIECE)
    };
    let mut reached = offset;
    let offsets: Vec<usize> = tokens
        .iter()
        .map(|token| {
            let start = reached;
            reached += token.len();
            start
        })
        .collect();
    let alternatives: Option<Vec<Value>> =
        has_alternatives.then(|| tokens.iter().map(|token| json!({*token: 0.0})).collect());
    json!({
        "tokens": tokens,
        "token_logprobs": vec![0.0; tokens.len()],
        "top_logprobs": alternatives,
        "text_offset": offsets,
    })
}
