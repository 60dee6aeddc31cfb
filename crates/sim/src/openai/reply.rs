//! Chat completions, whole and streamed.
//! See <https://platform.openai.com/docs/api-reference/chat/object> and
//! <https://platform.openai.com/docs/api-reference/chat-streaming>.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Call, Finish, fragments, pieces};
use crate::azure;
use crate::directive::UsageReport;
use crate::frames::Frames;
use crate::record::{Host, SimUsage};
use crate::vendor::Reply;

pub(super) const FINGERPRINT: &str = "fp_sim";
const TIER: &str = "default";
/// A streamed piece is about one word.
pub(super) const PIECE: usize = 4;

pub(super) fn whole(reply: &Reply<'_>) -> Value {
    let choices: Vec<Value> = reply
        .answers
        .iter()
        .enumerate()
        .map(|(index, answer)| choice(reply, index, answer))
        .collect();
    let mut body = json!({
        "id": reply.response_id,
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.prompt.model,
        "choices": choices,
        "service_tier": TIER,
        "system_fingerprint": FINGERPRINT,
    });
    if let (Some(usage), Some(body)) = (usage(reply), body.as_object_mut()) {
        body.insert("usage".to_owned(), usage);
    }
    if reply.host == Host::AzureOpenAi {
        note_filters(&mut body);
    }
    body
}

/// What Azure adds to an answer.
fn note_filters(body: &mut Value) {
    for choice in body["choices"].as_array_mut().into_iter().flatten() {
        choice["content_filter_results"] = azure::unfiltered();
    }
    body["prompt_filter_results"] = azure::prompt_filter_results();
}

fn choice(reply: &Reply<'_>, index: usize, answer: &Answer) -> Value {
    let refused = answer.finish == Finish::Refused;
    let only_calls = answer.text.is_empty() && !answer.calls.is_empty();
    let content = (!refused && !only_calls).then_some(answer.text.as_str());
    let mut message = json!({
        "role": "assistant",
        "content": content,
        "refusal": refused.then_some(answer.text.as_str()),
        "annotations": [],
    });
    if let Some(message) = message.as_object_mut() {
        if let Some(thinking) = &answer.thinking {
            message.insert("reasoning_content".to_owned(), json!(thinking.text));
        }
        if !answer.calls.is_empty() {
            let calls: Vec<Value> = answer
                .calls
                .iter()
                .map(|call| {
                    if is_custom(reply, call) {
                        json!({"id": call_id(call), "type": "custom", "custom": {"name": call.name, "input": free_text(call)}})
                    } else {
                        json!({"id": call_id(call), "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
                    }
                })
                .collect();
            message.insert("tool_calls".to_owned(), json!(calls));
        }
    }
    json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish_reason(answer)})
}

/// Whether a call is of a tool that takes free text instead of arguments.
fn is_custom(reply: &Reply<'_>, call: &Call) -> bool {
    reply.asked["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|tool| tool["type"] == "custom" && tool["custom"]["name"] == call.name)
}

/// What a custom tool is given: the simulated arguments as they are.
pub(super) fn free_text(call: &Call) -> String {
    format!("simulated input {}", call.arguments)
}

fn call_id(call: &Call) -> String {
    format!("call_sim{:016x}", call.hash)
}

pub(super) fn finish_reason(answer: &Answer) -> &str {
    match &answer.finish {
        // A refusal by the model ends as an ordinary answer does.
        Finish::Stop | Finish::StopSequence(_) | Finish::Refused => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Native(reason) => reason,
    }
}

pub(super) fn usage(reply: &Reply<'_>) -> Option<Value> {
    let usage = match reply.directive.usage {
        UsageReport::None => return None,
        UsageReport::Zero => SimUsage::default(),
        UsageReport::Full => reply.usage,
    };
    Some(json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }))
}

/// A member that is absent, `null`, or there: OpenAI tells the three apart.
#[derive(Default, Serialize)]
#[serde(untagged)]
enum Field<T> {
    #[default]
    Absent,
    Null,
    Present(T),
}

impl<T> Field<T> {
    const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// One event. Fields stand in the vendor's order.
#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    service_tier: &'static str,
    system_fingerprint: &'static str,
    choices: &'a [ChunkChoice<'a>],
    /// Absent unless usage was asked for; then `null` until the last event.
    #[serde(skip_serializing_if = "Field::is_absent")]
    usage: Field<Value>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: usize,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
    /// What Azure's filters say.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_filter_results: Option<Value>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// Present and `null` in the first event of a choice that only calls tools.
    #[serde(skip_serializing_if = "Field::is_absent")]
    content: Field<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    refusal: Field<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[DeltaCall<'a>; 1]>,
}

#[derive(Serialize)]
struct DeltaCall<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(flatten)]
    said: DeltaSaid<'a>,
}

/// What a piece of a call says, under the name of the call's kind.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum DeltaSaid<'a> {
    Function(DeltaFunction<'a>),
    Custom(DeltaCustom<'a>),
}

#[derive(Serialize)]
struct DeltaCustom<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    input: Cow<'a, str>,
}

#[derive(Serialize)]
struct DeltaFunction<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

pub(super) fn stream(reply: &Reply<'_>, frames: &mut Frames) {
    let mut queues: Vec<std::vec::IntoIter<Delta<'_>>> = reply
        .answers
        .iter()
        .map(|answer| deltas(reply, answer).into_iter())
        .collect();
    let is_filtered = reply.host == Host::AzureOpenAi;
    if is_filtered {
        // Azure tells what it thinks of the prompt in an event of its own, which has nothing else.
        frames.event(
            None,
            &json!({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": azure::prompt_filter_results()}),
        );
    }
    // The choices of one answer come interleaved.
    let mut is_open = true;
    while is_open {
        is_open = false;
        for (index, queue) in queues.iter_mut().enumerate() {
            if let Some(delta) = queue.next() {
                chunk(
                    reply,
                    frames,
                    ChunkChoice {
                        index,
                        content_filter_results: is_filtered.then(|| match &delta.content {
                            Field::Present(said) if !said.is_empty() => azure::unfiltered(),
                            _ => json!({}),
                        }),
                        delta,
                        logprobs: None,
                        finish_reason: None,
                    },
                );
                is_open = true;
            }
        }
    }
    for (index, answer) in reply.answers.iter().enumerate() {
        let finish_reason = Some(finish_reason(answer));
        chunk(
            reply,
            frames,
            ChunkChoice {
                index,
                delta: Delta::default(),
                logprobs: None,
                finish_reason,
                content_filter_results: is_filtered.then(|| json!({})),
            },
        );
    }
    if reply.prompt.reports_usage
        && let Some(usage) = usage(reply)
    {
        frames.event(
            None,
            &Chunk {
                usage: Field::Present(usage),
                ..empty(reply, &[])
            },
        );
    }
    frames.text("[DONE]");
}

fn chunk(reply: &Reply<'_>, frames: &mut Frames, choice: ChunkChoice<'_>) {
    frames.event(None, &empty(reply, &[choice]));
}

fn empty<'a>(reply: &'a Reply<'_>, choices: &'a [ChunkChoice<'a>]) -> Chunk<'a> {
    Chunk {
        id: reply.response_id,
        object: "chat.completion.chunk",
        created: reply.created,
        model: &reply.prompt.model,
        service_tier: TIER,
        system_fingerprint: FINGERPRINT,
        choices,
        usage: if reply.prompt.reports_usage {
            Field::Null
        } else {
            Field::Absent
        },
    }
}

/// What is said of one choice, event by event.
fn deltas<'a>(reply: &Reply<'_>, answer: &'a Answer) -> Vec<Delta<'a>> {
    let refused = answer.finish == Finish::Refused;
    let only_calls = answer.text.is_empty() && !answer.calls.is_empty();
    let content = if only_calls || refused {
        Field::Null
    } else {
        Field::Present("")
    };
    let mut deltas = vec![Delta {
        role: Some("assistant"),
        content,
        refusal: Field::Null,
        ..Delta::default()
    }];
    if let Some(thinking) = &answer.thinking {
        for piece in pieces(&thinking.text, None, PIECE) {
            deltas.push(Delta {
                reasoning_content: Some(piece),
                ..Delta::default()
            });
        }
    }
    if !answer.text.is_empty() {
        for piece in pieces(&answer.text, reply.directive.chunks, PIECE) {
            let said = Field::Present(piece);
            deltas.push(if refused {
                Delta {
                    refusal: said,
                    ..Delta::default()
                }
            } else {
                Delta {
                    content: said,
                    ..Delta::default()
                }
            });
        }
    }
    for (index, call) in answer.calls.iter().enumerate() {
        let is_custom = is_custom(reply, call);
        let (kind, begun) = if is_custom {
            ("custom", custom(Some(&call.name), Cow::Borrowed("")))
        } else {
            ("function", function(Some(&call.name), ""))
        };
        deltas.push(with_call(DeltaCall {
            index,
            id: Some(call_id(call)),
            kind: Some(kind),
            said: begun,
        }));
        let free = is_custom.then(|| free_text(call));
        let said: Vec<DeltaSaid<'_>> = match &free {
            Some(text) => fragments(text, call.hash)
                .into_iter()
                .map(|fragment| custom(None, Cow::Owned(fragment.to_owned())))
                .collect(),
            None => fragments(&call.arguments, call.hash)
                .into_iter()
                .map(|fragment| function(None, fragment))
                .collect(),
        };
        deltas.extend(said.into_iter().map(|said| {
            with_call(DeltaCall {
                index,
                id: None,
                kind: None,
                said,
            })
        }));
    }
    deltas
}

const fn function<'a>(name: Option<&'a str>, arguments: &'a str) -> DeltaSaid<'a> {
    DeltaSaid::Function(DeltaFunction { name, arguments })
}

const fn custom<'a>(name: Option<&'a str>, input: Cow<'a, str>) -> DeltaSaid<'a> {
    DeltaSaid::Custom(DeltaCustom { name, input })
}

fn with_call(call: DeltaCall<'_>) -> Delta<'_> {
    Delta {
        tool_calls: Some([call]),
        ..Delta::default()
    }
}
