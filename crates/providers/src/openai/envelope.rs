//! What is read of every request before anything is decided, and the edits of the verbatim path.

use std::ops::Range;

use bytes::Bytes;
use domain::name::ModelName;
use serde_json::value::RawValue;

use super::fields::{Fields, Kind};
use crate::face::{Envelope, InvalidRequest, Spliced};

/// The most answers that may be asked for at once, as the vendor has it
/// (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-n>).
pub(crate) const MAX_CHOICES: u32 = 128;

/// Reads the envelope; the messages are counted, not read.
pub(crate) fn read(body: &[u8]) -> Result<Envelope, InvalidRequest> {
    let text = text(body)?;
    let mut fields = Fields::read_body(text)?;
    let model = fields.take("model");
    let Some(model_raw) = model else {
        return Err(fields.missing("model", "the name of a model"));
    };
    let model = model_name(model_raw)?;
    let messages = count_messages(&mut fields)?;
    let stream = fields.flag("stream")?.unwrap_or(false);
    let stream_options = fields.take_or_null("stream_options");
    let stream_usage = stream_options.map(include_usage).transpose()?;
    let limit = bound(&mut fields, "max_tokens")?;
    let max_output_tokens = bound(&mut fields, "max_completion_tokens")?.or(limit);
    let choices = choices(&mut fields)?;
    Ok(Envelope {
        model,
        stream,
        stream_usage: stream_usage.unwrap_or(false),
        max_output_tokens,
        choices,
        messages,
        model_span: Some(span(text, model_raw.get())),
        stream_options_span: stream_options.map(|raw| span(text, raw.get())),
    })
}

/// The body as text.
pub(crate) fn text(body: &[u8]) -> Result<&str, InvalidRequest> {
    std::str::from_utf8(body).map_err(|error| InvalidRequest {
        detail: format!(
            "The request body is not valid UTF-8: the byte at {} is out of place.",
            error.valid_up_to()
        ),
        param: None,
    })
}

/// Reads a model's name.
pub(crate) fn model_name(raw: &RawValue) -> Result<ModelName, InvalidRequest> {
    super::fields::words(raw, || "model".to_owned())?
        .parse()
        .map_err(|_| {
            InvalidRequest::of(
                "model",
                "`model` must have 1 to 256 bytes and no control characters.",
            )
        })
}

/// Reads a bound on the output.
pub(crate) fn bound(
    fields: &mut Fields<'_>,
    name: &'static str,
) -> Result<Option<u64>, InvalidRequest> {
    const EXPECTED: &str = "a positive integer";
    match fields.integer(name, EXPECTED)? {
        Some(0) => Err(InvalidRequest::of(
            name,
            format!("`{name}` must be {EXPECTED}, not 0."),
        )),
        bound => Ok(bound),
    }
}

/// Reads how many answers are wanted.
pub(crate) fn choices(fields: &mut Fields<'_>) -> Result<u32, InvalidRequest> {
    const EXPECTED: &str = "an integer from 1 to 128";
    let count = fields.integer("n", EXPECTED)?.unwrap_or(1);
    if (1..=MAX_CHOICES).contains(&count) {
        return Ok(count);
    }
    Err(InvalidRequest::of(
        "n",
        format!("`n` must be {EXPECTED}, not {count}."),
    ))
}

fn count_messages(fields: &mut Fields<'_>) -> Result<usize, InvalidRequest> {
    const EXPECTED: &str = "an array of at least one message";
    let Some(raw) = fields.take("messages") else {
        return Err(fields.missing("messages", EXPECTED));
    };
    if Kind::of(raw.get()) != Some(Kind::List) {
        return Err(fields.wrong_type("messages", EXPECTED, raw.get()));
    }
    let count = super::fields::count_items(raw);
    if count == 0 {
        return Err(InvalidRequest::of(
            "messages",
            format!("`messages` is empty; it must be {EXPECTED}."),
        ));
    }
    Ok(count)
}

fn include_usage(options: &RawValue) -> Result<bool, InvalidRequest> {
    if options.get() == "null" {
        return Ok(false);
    }
    let mut options = Fields::read(options, "stream_options".to_owned())?;
    Ok(options.flag("include_usage")?.unwrap_or(false))
}

/// Where `part`, a piece of `whole`, stands.
pub(crate) fn span(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

/// The caller's bytes with the model's name replaced and, for a stream that would carry no usage, with
/// the option that asks for it. Nothing else is touched.
pub(crate) fn splice(envelope: &Envelope, body: &Bytes, model: &str) -> Spliced {
    // A text always makes JSON.
    let model = serde_json::to_string(model).unwrap_or_default();
    let model_span = envelope.model_span.clone().unwrap_or_default();
    let after_model = model_span.end;
    let named = (model_span, model);
    let withhold_usage = envelope.stream && !envelope.stream_usage;
    let body = if withhold_usage {
        let asking = if let Some(span) = &envelope.stream_options_span {
            ask_within(body, span)
        } else {
            let asking = r#","stream_options":{"include_usage":true}"#;
            (after_model..after_model, asking.to_owned())
        };
        let mut edits = [named, asking];
        edits.sort_by_key(|(span, _)| span.start);
        apply(body, &edits)
    } else {
        apply(body, &[named])
    };
    Spliced {
        body,
        withhold_usage,
    }
}

/// The edit that makes options ask for the usage.
fn ask_within(body: &[u8], span: &Range<usize>) -> (Range<usize>, String) {
    let options = body
        .get(span.clone())
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .unwrap_or_default();
    let parsed = serde_json::from_str(options)
        .ok()
        .and_then(|raw: &RawValue| Fields::read(raw, String::new()).ok());
    let Some(fields) = parsed else {
        return (span.clone(), r#"{"include_usage":true}"#.to_owned());
    };
    let mut others = false;
    for (name, raw) in fields.rest() {
        if name == "include_usage" {
            let value = self::span(options, raw.get());
            return (
                span.start + value.start..span.start + value.end,
                "true".to_owned(),
            );
        }
        others = true;
    }
    let comma = if others { "," } else { "" };
    let after_brace = span.start + 1;
    (
        after_brace..after_brace,
        format!(r#""include_usage":true{comma}"#),
    )
}

/// Applies edits that are in order and do not overlap.
pub(crate) fn apply(body: &Bytes, edits: &[(Range<usize>, String)]) -> Bytes {
    let growth: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut edited = Vec::with_capacity(body.len() + growth);
    let mut copied = 0;
    for (span, text) in edits {
        edited.extend_from_slice(body.get(copied..span.start).unwrap_or_default());
        edited.extend_from_slice(text.as_bytes());
        copied = span.end;
    }
    edited.extend_from_slice(body.get(copied..).unwrap_or_default());
    edited.into()
}
