//! Renders a whole answer as a chat completion, and problems as the vendor's error object.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use domain::chat::{ChatResponse, Choice, Extensions, FinishReason, Part};
use domain::problem::{Problem, ProblemKind};
use domain::usage::ServiceTier;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::annotations;
use super::fields::Fields;
use super::parse::FORMAT;
use super::pictures::Picture;
use super::usage::Shown;
use super::wire::{
    Detail, Extra, ExtraContent, WireCall, reasoning_content, reasoning_details, refusals, texts,
};
use crate::face::Rendering;

#[derive(Serialize)]
struct Completion<'a> {
    id: Cow<'a, str>,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(flatten)]
    extra: Extra<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunkline: Option<&'a Value>,
}

#[derive(Serialize)]
struct WireChoice<'a> {
    index: u32,
    message: WireMessage<'a>,
    logprobs: Option<&'a RawValue>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    native_finish_reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequence: Option<&'a str>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ShownCall<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<&'a Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    native_annotations: Vec<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Picture>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    provider_content: Vec<Block<'a>>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// A call of a function, or one of another kind as it came.
#[derive(Serialize)]
#[serde(untagged)]
enum ShownCall<'a> {
    Function(WireCall<'a>),
    Other(&'a RawValue),
}

/// One item of `provider_content`, our own extension field: the parts in the order in which the model
/// made them, with what only the provider's format knows.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: &'a str,
    },
    ToolCall {
        id: &'a str,
    },
    Unknown {
        format: &'static str,
        raw: &'a RawValue,
    },
}

/// Renders a whole answer.
pub(super) fn completion(
    response: &ChatResponse,
    rendering: &Rendering,
    report: Option<&Value>,
) -> Bytes {
    let completion = Completion {
        id: identifier(response.id.as_deref(), rendering),
        object: "chat.completion",
        created: rendering.created.as_second(),
        model: response.model.as_deref().unwrap_or(&rendering.model),
        choices: response
            .choices
            .iter()
            .map(|choice| wire_choice(choice, &response.extensions))
            .collect(),
        usage: response.usage.as_ref().map(Shown::from),
        service_tier: response.service_tier.and_then(tier_word),
        extra: Extra::at(&response.extensions, ""),
        trunkline: report,
    };
    let mut out = BytesMut::with_capacity(1024);
    append(&completion, &mut out);
    out.freeze()
}

/// Appends `value` as JSON. A failure is impossible: the keys are strings and the memory grows.
pub(crate) fn append(value: &impl Serialize, out: &mut BytesMut) {
    if domain::json::write(value, out).is_err() {
        out.put_slice(b"null");
    }
}

/// Clients know an answer by this prefix; the provider's own identifier stays readable in it.
pub(super) fn identifier<'a>(provided: Option<&'a str>, rendering: &'a Rendering) -> Cow<'a, str> {
    match provided.filter(|id| !id.is_empty()) {
        None => Cow::Borrowed(&rendering.id),
        Some(id) if id.starts_with("chatcmpl-") => Cow::Borrowed(id),
        Some(id) => Cow::Owned(format!("chatcmpl-{id}")),
    }
}

/// The word for a class of service; `None` for batches, of which OpenAI's answers say nothing.
pub(super) fn tier_word(tier: ServiceTier) -> Option<&'static str> {
    match tier {
        ServiceTier::Standard => Some("default"),
        ServiceTier::Flex | ServiceTier::Priority => Some(tier.as_str()),
        ServiceTier::Batch => None,
    }
}

/// The word for a reason. `pause` has no peer and ends the turn (`native_finish_reason` tells); `error`
/// is not OpenAI's but is better than a `stop` that is none.
pub(super) fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::Pause => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Error => "error",
    }
}

fn wire_choice<'a>(choice: &'a Choice, extensions: &'a Extensions) -> WireChoice<'a> {
    WireChoice {
        index: choice.index,
        message: wire_message(&choice.content),
        logprobs: choice.logprobs.as_deref(),
        finish_reason: finish_word(choice.finish.reason),
        native_finish_reason: &choice.finish.native,
        stop_sequence: choice.finish.stop_sequence.as_deref(),
        extra: Extra::at(extensions, &format!("choices[{}]", choice.index)),
    }
}

fn wire_message(parts: &[Part]) -> WireMessage<'_> {
    let refusal: String = refusals(parts).collect();
    let mut tool_calls = Vec::new();
    let mut extra = Extra::default();
    let mut blocks = Vec::new();
    let mut images = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => blocks.push(Block::Text { text: &text.text }),
            Part::ToolCall(call) => {
                tool_calls.push(ShownCall::Function(call.into()));
                blocks.push(Block::ToolCall { id: &call.id });
            }
            Part::Unknown { format, raw } => match unknown(raw) {
                OwnUnknown::Call(raw) if *format == FORMAT => {
                    tool_calls.push(ShownCall::Other(raw));
                }
                OwnUnknown::Fields(fields) if *format == FORMAT && extra.add(&fields) => {}
                _ => {
                    images.extend(Picture::of(format, raw, images.len()));
                    blocks.push(Block::Unknown { format, raw });
                }
            },
            _ => {}
        }
    }
    let (annotations, native_annotations) = annotations::parted(texts(parts));
    WireMessage {
        role: "assistant",
        content: content(
            parts,
            tool_calls.is_empty() && refusal.is_empty() && extra.0.is_empty(),
        ),
        refusal: (!refusal.is_empty()).then_some(refusal),
        reasoning_content: reasoning_content(parts),
        reasoning_details: reasoning_details(parts),
        tool_calls,
        annotations,
        native_annotations,
        extra_content: texts(parts)
            .find_map(|text| text.signature.as_deref())
            .map(ExtraContent::signed),
        images,
        provider_content: provider_content(blocks),
        extra,
    }
}

/// The texts in one; an answer of nothing at all is the empty text, one of calls or refusal only is null.
fn content(parts: &[Part], must_say_something: bool) -> Option<String> {
    let mut texts = texts(parts).peekable();
    if texts.peek().is_none() && !must_say_something {
        return None;
    }
    Some(texts.map(|text| text.text.as_str()).collect())
}

/// Something of this format that the domain has no word for.
pub(super) enum OwnUnknown<'a> {
    /// A tool call that is not one of a function.
    Call(&'a RawValue),
    /// Fields of the message.
    Fields(Vec<(&'a str, &'a RawValue)>),
}

/// Tells a call, which has a `type`, from fields of the message.
pub(super) fn unknown(raw: &RawValue) -> OwnUnknown<'_> {
    match Fields::read(raw, String::new()) {
        Ok(fields) if fields.look("type").is_none() => OwnUnknown::Fields(
            fields
                .rest()
                .filter_map(|(name, raw)| match name {
                    Cow::Borrowed(name) => Some((name, raw)),
                    // A name with escapes is no field of any host.
                    Cow::Owned(_) => None,
                })
                .collect(),
        ),
        _ => OwnUnknown::Call(raw),
    }
}

/// Empty unless the message's own fields lose something: a block of another format, or text that stands
/// after or between calls.
fn provider_content(blocks: Vec<Block<'_>>) -> Vec<Block<'_>> {
    let mut after_call = blocks
        .iter()
        .skip_while(|block| !matches!(block, Block::ToolCall { .. }));
    let says_more = blocks
        .iter()
        .any(|block| matches!(block, Block::Unknown { .. }))
        || after_call.any(|block| matches!(block, Block::Text { .. }));
    if says_more { blocks } else { Vec::new() }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// Renders a problem as the vendor's error object.
pub(crate) fn problem(problem: &Problem) -> Bytes {
    if let Some(verbatim) = &problem.verbatim {
        return verbatim.clone();
    }
    let mut out = BytesMut::with_capacity(256);
    append(&error_body(problem), &mut out);
    out.freeze()
}

/// The event that tells a problem in a stream; nothing follows it.
pub(super) fn problem_event(problem: &Problem, out: &mut BytesMut) {
    out.put_slice(b"data: ");
    match problem.verbatim.as_deref() {
        // A body of several lines would break the event.
        Some(verbatim) if !verbatim.iter().any(|byte| matches!(byte, b'\n' | b'\r')) => {
            out.put_slice(verbatim);
        }
        _ => append(&error_body(problem), out),
    }
    out.put_slice(b"\n\n");
}

fn error_body(problem: &Problem) -> ErrorBody<'_> {
    let (kind, code) = kind_and_code(problem.kind);
    ErrorBody {
        error: ErrorObject {
            message: &problem.detail,
            kind,
            param: problem.param.as_deref(),
            code: problem.provider_code.as_deref().or(code),
        },
    }
}

/// The vendor's words (<https://platform.openai.com/docs/guides/error-codes>), our own where it has none.
pub(super) fn kind_and_code(kind: ProblemKind) -> (&'static str, Option<&'static str>) {
    let code = match kind {
        ProblemKind::InvalidRequest => None,
        ProblemKind::BudgetExhausted => Some("insufficient_quota"),
        ProblemKind::ProviderRateLimited => Some("rate_limit_exceeded"),
        other => Some(other.slug()),
    };
    let kind = match kind {
        ProblemKind::InvalidRequest
        | ProblemKind::Unauthenticated
        | ProblemKind::PermissionDenied
        | ProblemKind::NotFound
        | ProblemKind::Conflict
        | ProblemKind::UnknownModel
        | ProblemKind::MethodNotAllowed
        | ProblemKind::NotImplemented
        | ProblemKind::TooLarge
        | ProblemKind::ContextTooLong
        | ProblemKind::Unsupported
        | ProblemKind::ContentPolicy => "invalid_request_error",
        ProblemKind::RateLimited | ProblemKind::ProviderRateLimited => "requests",
        ProblemKind::BudgetExhausted => "insufficient_quota",
        ProblemKind::ProviderCredential
        | ProblemKind::ProviderOverloaded
        | ProblemKind::ProviderFailed
        | ProblemKind::ProviderUnreachable
        | ProblemKind::ProviderTimeout
        | ProblemKind::Unavailable
        | ProblemKind::Internal => "server_error",
    };
    (kind, code)
}

/// Puts a report into an answer that passes verbatim. What is not an object stays as it is.
pub(crate) fn attach_report(body: Bytes, report: &Value) -> Bytes {
    let Some(close) = body.iter().rposition(|byte| !byte.is_ascii_whitespace()) else {
        return body;
    };
    let (object, tail) = body.split_at(close);
    if !tail.starts_with(b"}") {
        return body;
    }
    let is_empty = object.iter().rfind(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let mut out = BytesMut::with_capacity(body.len() + 256);
    out.put_slice(object);
    out.put_slice(if is_empty {
        b"\"trunkline\":"
    } else {
        b",\"trunkline\":"
    });
    append(report, &mut out);
    out.put_slice(tail);
    out.freeze()
}
