//! Reads a whole answer. Lenient: hosts leave fields out and add their own, which are kept.

use domain::chat::{ChatResponse, Choice, Extensions, Part, Reasoning, Text, ToolCall};
use serde_json::value::RawValue;

use super::fields::{self, Fields, Kind};
use super::parse::FORMAT;
use super::{annotations, error, finish, parse_message, usage};
use crate::dialect::DecodeError;
use crate::exchange::Exchange;
use crate::face::InvalidRequest;

impl From<InvalidRequest> for DecodeError {
    fn from(invalid: InvalidRequest) -> Self {
        Self::Malformed(format!(
            "the provider's answer is not valid: {}",
            invalid.detail
        ))
    }
}

/// Reads the body of a successful answer.
pub(super) fn response(exchange: &Exchange, body: &[u8]) -> Result<ChatResponse, DecodeError> {
    let text = std::str::from_utf8(body)
        .map_err(|_| DecodeError::Malformed("the provider's answer is not UTF-8".to_owned()))?;
    let Ok(mut fields) = Fields::read_body(text) else {
        return Err(DecodeError::Malformed(not_json(text)));
    };
    let choices = fields.list("choices")?.unwrap_or_default();
    if choices.is_empty() {
        return Err(match error::of_frame(text) {
            Some(error) => DecodeError::Provider(error),
            None => DecodeError::Malformed("the provider's answer has no choices".to_owned()),
        });
    }
    let mut response = ChatResponse {
        id: fields.text("id")?,
        model: fields.text("model")?,
        ..ChatResponse::default()
    };
    if let Some(native) = fields.take("usage") {
        // A usage that contradicts itself is as good as none: the ledger estimates and says so.
        response.usage = usage::read(native.get().as_bytes()).unwrap_or(None);
    }
    response.service_tier = fields
        .text("service_tier")?
        .and_then(|tier| tier.parse().ok());
    // The face writes these itself.
    for name in ["object", "created"] {
        fields.take(name);
    }
    let mut extensions = Extensions::new();
    for (path, raw) in choices {
        let choice = choice(exchange, Fields::read(raw, path)?, &mut extensions)?;
        response.choices.push(choice);
    }
    fields.keep_rest(&mut extensions);
    response.extensions = extensions;
    Ok(response)
}

fn not_json(text: &str) -> String {
    let words = crate::failure::sentence(text.as_bytes());
    let start: String = words.chars().take(120).collect();
    format!("the provider's answer is not a JSON object; it begins with: {start}")
}

fn choice(
    exchange: &Exchange,
    mut fields: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Choice, DecodeError> {
    let index = fields.integer("index", "an integer")?.unwrap_or(0);
    let content = match fields.object("message")? {
        Some(message) => message_parts(exchange, message, extensions)?,
        None => Vec::new(),
    };
    let has_calls = content.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let native = fields.text("native_finish_reason")?;
    let reason = fields.text("finish_reason")?.unwrap_or_default();
    let mut finish = finish::read(&reason, native.as_deref(), has_calls);
    finish.stop_sequence = stop_text(&mut fields);
    let logprobs = fields.take("logprobs").map(ToOwned::to_owned);
    fields.keep_rest(extensions);
    Ok(Choice {
        index,
        content,
        finish,
        logprobs,
    })
}

/// The stop text that was met: `stop_sequence` of our own answers, `stop_reason` of vLLM, which may also
/// be the number of a token.
fn stop_text(fields: &mut Fields<'_>) -> Option<String> {
    ["stop_sequence", "stop_reason"]
        .into_iter()
        .find_map(|name| {
            let raw = fields.look(name)?;
            let text = serde_json::from_str(raw.get()).ok()?;
            fields.take(name);
            Some(text)
        })
}

fn message_parts(
    exchange: &Exchange,
    mut message: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Vec<Part>, DecodeError> {
    message.take("role");
    let mut parts = parse_message::reasoning(&mut message)?;
    if let Some(raw) = message.take("content") {
        content(raw, &mut parts)?;
    }
    let signature = parse_message::thought_signature(&mut message, extensions)?;
    let annotations = annotations::take(&mut message)?;
    if signature.is_some() || !annotations.is_empty() {
        let mut text = match parts.pop() {
            Some(Part::Text(text)) => text,
            other => {
                parts.extend(other);
                Text::default()
            }
        };
        text.signature = signature;
        text.annotations = annotations;
        parts.push(Part::Text(text));
    }
    if let Some(refusal) = message.text("refusal")?.filter(|text| !text.is_empty()) {
        parts.push(Part::Refusal(refusal));
    }
    let calls = message.list("tool_calls")?.unwrap_or_default();
    for (place, (path, raw)) in calls.into_iter().enumerate() {
        parts.push(tool_call(exchange, place, path, raw, extensions)?);
    }
    for (name, raw) in message.rest().filter(|(_, raw)| raw.get() != "null") {
        parts.push(field(&name, raw));
    }
    Ok(parts)
}

/// Reads the content: a text, or the list of parts in which Mistral's reasoning models answer
/// (<https://docs.mistral.ai/capabilities/reasoning>).
fn content(raw: &RawValue, parts: &mut Vec<Part>) -> Result<(), InvalidRequest> {
    let path = "message.content";
    if Kind::of(raw.get()) == Some(Kind::Text) {
        let text = fields::text(raw, || path.to_owned())?;
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        return Ok(());
    }
    for (path, raw) in fields::list(raw, path)? {
        content_part(raw, path, parts)?;
    }
    Ok(())
}

/// Reads one item of a content that is a list.
pub(super) fn content_part(
    raw: &RawValue,
    path: String,
    parts: &mut Vec<Part>,
) -> Result<(), InvalidRequest> {
    let mut item = Fields::read(raw, path)?;
    match item.text("type")?.as_deref() {
        Some("text") => parts.push(Part::Text(item.required_text("text")?.into())),
        Some("thinking") => {
            let mut thoughts = String::new();
            for (path, raw) in item.list("thinking")?.unwrap_or_default() {
                let piece = Fields::read(raw, path)?.text("text")?;
                thoughts.push_str(&piece.unwrap_or_default());
            }
            parts.push(Part::Reasoning(Reasoning {
                text: Some(thoughts),
                ..Reasoning::default()
            }));
        }
        _ => parts.push(field("content", raw)),
    }
    Ok(())
}

/// A field that the domain has no word for, as an object of that one field.
fn field(name: &str, raw: &RawValue) -> Part {
    Part::Unknown {
        format: FORMAT,
        raw: object_of(name, raw),
    }
}

/// A thought of a type that is not known.
pub(super) fn unknown_detail(raw: &RawValue) -> Part {
    let json = format!("{{\"reasoning_details\":[{}]}}", raw.get());
    Part::Unknown {
        format: FORMAT,
        raw: RawValue::from_string(json).unwrap_or_else(|_| raw.to_owned()),
    }
}

/// An object of one field.
pub(super) fn object_of(name: &str, raw: &RawValue) -> Box<RawValue> {
    let json = format!("{{{}:{}}}", serde_json::Value::from(name), raw.get());
    // Both pieces are JSON, so that the whole is; the raw value alone would not lie either.
    RawValue::from_string(json).unwrap_or_else(|_| raw.to_owned())
}

fn tool_call(
    exchange: &Exchange,
    place: usize,
    path: String,
    raw: &RawValue,
    extensions: &mut Extensions,
) -> Result<Part, DecodeError> {
    let mut call = Fields::read(raw, path)?;
    let Some(mut function) = call.object("function")? else {
        return Ok(Part::Unknown {
            format: FORMAT,
            raw: raw.to_owned(),
        });
    };
    let name = function.required_text("name")?;
    Ok(Part::ToolCall(ToolCall {
        id: call
            .text("id")?
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| format!("call_{place}")),
        name: exchange.tool_name(&name).to_owned(),
        arguments: arguments(&mut function)?,
        signature: parse_message::thought_signature(&mut call, extensions)?,
        cache: None,
    }))
}

/// The arguments as the model wrote them; some hosts answer an object where a text of one belongs.
fn arguments(function: &mut Fields<'_>) -> Result<String, InvalidRequest> {
    let is_object = function
        .look("arguments")
        .is_some_and(|raw| Kind::of(raw.get()) == Some(Kind::Object));
    if is_object {
        let raw = function.take("arguments").map(RawValue::get);
        return Ok(raw.unwrap_or_default().to_owned());
    }
    Ok(function.text("arguments")?.unwrap_or_default())
}
