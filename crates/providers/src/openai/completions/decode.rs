//! Reads a whole answer.

use domain::chat::{ChatResponse, Choice, Finish, Part};
use serde_json::value::RawValue;

use super::super::fields::Fields;
use super::super::{error, finish, usage};
use super::logprobs;
use crate::dialect::DecodeError;

/// Reads the body of a successful answer.
pub(super) fn response(body: &[u8]) -> Result<ChatResponse, DecodeError> {
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
    for (path, raw) in choices {
        response.choices.push(choice(Fields::read(raw, path)?)?);
    }
    Ok(response)
}

fn not_json(text: &str) -> String {
    let words = crate::failure::sentence(text.as_bytes());
    let start: String = words.chars().take(120).collect();
    format!("the provider's answer is not a JSON object; it begins with: {start}")
}

fn choice(mut fields: Fields<'_>) -> Result<Choice, DecodeError> {
    let text = fields.text("text")?.unwrap_or_default();
    let content = match text.as_str() {
        "" => Vec::new(),
        _ => vec![Part::Text(text.into())],
    };
    Ok(Choice {
        index: fields.integer("index", "an integer")?.unwrap_or(0),
        content,
        finish: end(&mut fields)?,
        logprobs: fields.take("logprobs").and_then(logprobs::by_token),
    })
}

/// Why a choice ended.
pub(super) fn end(fields: &mut Fields<'_>) -> Result<Finish, DecodeError> {
    let reason = fields.text("finish_reason")?.unwrap_or_default();
    let mut finish = finish::read(&reason, None, false);
    // vLLM's stop text, or the number of the token that stopped.
    let stopped: Option<&RawValue> = fields.take("stop_reason");
    finish.stop_sequence = stopped.and_then(|raw| serde_json::from_str(raw.get()).ok());
    Ok(finish)
}
