//! What is read of every request before anything is decided.

use serde_json::value::RawValue;

use super::super::envelope::{bound, choices, model_name, span, text};
use super::super::fields::{Fields, Kind};
use crate::face::{Envelope, InvalidRequest};

/// What a prompt may be.
pub(super) const PROMPT: &str = "a string, an array of strings, or an array of tokens";

/// Reads the envelope; the prompts are counted, not read.
pub(super) fn read(body: &[u8]) -> Result<Envelope, InvalidRequest> {
    let text = text(body)?;
    let mut fields = Fields::read_body(text)?;
    let Some(model_raw) = fields.take("model") else {
        return Err(fields.missing("model", "the name of a model"));
    };
    let model = model_name(model_raw)?;
    let prompts = count_prompts(&fields)?;
    let stream = fields.flag("stream")?.unwrap_or(false);
    let stream_options = fields.take_or_null("stream_options");
    let stream_usage = match fields_of(stream_options)? {
        Some(mut options) => options.flag("include_usage")?.unwrap_or(false),
        None => false,
    };
    let max_output_tokens = bound(&mut fields, "max_tokens")?;
    // Every prompt is answered so often, and the candidates that are not shown are paid for too.
    let shown = choices(&mut fields)?;
    let made = fields
        .integer("best_of", "a positive integer")?
        .unwrap_or(1)
        .max(shown);
    let answers = u32::try_from(prompts).unwrap_or(u32::MAX);
    Ok(Envelope {
        model,
        stream,
        stream_usage,
        max_output_tokens,
        choices: made.saturating_mul(answers),
        messages: prompts,
        model_span: Some(span(text, model_raw.get())),
        stream_options_span: stream_options.map(|raw| span(text, raw.get())),
    })
}

fn fields_of(options: Option<&RawValue>) -> Result<Option<Fields<'_>>, InvalidRequest> {
    options
        .filter(|raw| raw.get() != "null")
        .map(|raw| Fields::read(raw, "stream_options".to_owned()))
        .transpose()
}

fn count_prompts(fields: &Fields<'_>) -> Result<usize, InvalidRequest> {
    let Some(prompt) = fields.look("prompt") else {
        return Err(fields.missing("prompt", PROMPT));
    };
    match Kind::of(prompt.get()) {
        Some(Kind::Text) => Ok(1),
        Some(Kind::List) => {
            let items: Vec<&RawValue> = serde_json::from_str(prompt.get()).unwrap_or_default();
            let count = match items.first().and_then(|item| Kind::of(item.get())) {
                None => {
                    let detail = format!("`prompt` is empty; it must be {PROMPT}.");
                    return Err(InvalidRequest::of("prompt", detail));
                }
                // One prompt, as tokens.
                Some(Kind::Number) => 1,
                Some(_) => items.len(),
            };
            Ok(count)
        }
        _ => Err(fields.wrong_type("prompt", PROMPT, prompt.get())),
    }
}
