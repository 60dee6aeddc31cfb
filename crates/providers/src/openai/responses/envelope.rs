//! What is read of every request before anything is decided, and the edits of the verbatim path.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::super::envelope::{apply, bound, model_name, span, text};
use super::super::fields::{Fields, Kind, list};
use super::custody;
use crate::face::{Envelope, InvalidRequest, Spliced};

/// What a request must have: one of these says what is talked about.
const SUBJECTS: [&str; 4] = ["input", "previous_response_id", "conversation", "prompt"];

/// Reads the envelope; the items are counted, not read.
pub(super) fn read(body: &[u8]) -> Result<Envelope, InvalidRequest> {
    let text = text(body)?;
    let mut fields = Fields::read_body(text)?;
    let Some(model_raw) = fields.take("model") else {
        return Err(fields.missing("model", "the name of a model"));
    };
    let model = model_name(model_raw)?;
    let messages = count_items(&fields)?;
    Ok(Envelope {
        model,
        stream: fields.flag("stream")?.unwrap_or(false),
        // The last event of every stream holds the usage.
        stream_usage: true,
        max_output_tokens: bound(&mut fields, "max_output_tokens")?,
        choices: 1,
        messages,
        model_span: Some(span(text, model_raw.get())),
        stream_options_span: None,
    })
}

fn count_items(fields: &Fields<'_>) -> Result<usize, InvalidRequest> {
    const EXPECTED: &str = "a string or an array of items";
    let Some(input) = fields.look("input") else {
        if SUBJECTS.iter().any(|name| fields.look(name).is_some()) {
            return Ok(0);
        }
        return Err(fields.missing("input", EXPECTED));
    };
    match Kind::of(input.get()) {
        Some(Kind::Text) => Ok(1),
        // The value is known to be JSON; an item takes no memory.
        Some(Kind::List) => {
            Ok(serde_json::from_str::<Vec<IgnoredAny>>(input.get()).map_or(0, |items| items.len()))
        }
        _ => Err(fields.wrong_type("input", EXPECTED, input.get())),
    }
}

/// The caller's bytes with the model's name replaced.
pub(super) fn splice(envelope: &Envelope, body: &Bytes, model: &str) -> Spliced {
    let span = envelope.model_span.clone().unwrap_or_default();
    let name = serde_json::Value::from(model).to_string();
    Spliced {
        body: apply(body, &[(span, name)]),
        withhold_usage: false,
    }
}

/// Whether `input` holds what this gateway gave out for another provider, which OpenAI itself would refuse.
pub(super) fn holds_foreign_state(body: &[u8]) -> bool {
    custody::may_hold_envelopes(body) && envelopes(body).is_some_and(|count| count > 0)
}

/// How many items of `input` are envelopes of ours.
fn envelopes(body: &[u8]) -> Option<usize> {
    let fields = Fields::read_body(text(body).ok()?).ok()?;
    let items = list(fields.look("input")?, "input").ok()?;
    let is_ours = |raw: &RawValue| {
        let item = Fields::read(raw, String::new());
        let sealed = item.and_then(|mut item| item.text("encrypted_content"));
        sealed.is_ok_and(|sealed| sealed.is_some_and(|sealed| custody::is_envelope(&sealed)))
    };
    Some(items.into_iter().filter(|(_, raw)| is_ours(raw)).count())
}
