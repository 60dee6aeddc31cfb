//! What is read of every request before anything is decided, and the edits of the verbatim path.

use std::ops::Range;

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

/// The caller's bytes with the model's name replaced. Reasoning items that hold what another provider wants
/// back are taken out: OpenAI refuses a request for an encrypted content that it did not write.
pub(super) fn splice(envelope: &Envelope, body: &Bytes, model: &str) -> Spliced {
    let span = envelope.model_span.clone().unwrap_or_default();
    let own = custody::may_hold_envelopes(body)
        .then(|| without_envelopes(body))
        .flatten();
    let name = serde_json::Value::from(model).to_string();
    let mut edits: Vec<_> = own.into_iter().chain([(span, name)]).collect();
    edits.sort_by_key(|(span, _)| span.start);
    Spliced {
        body: apply(body, &edits),
        withhold_usage: false,
    }
}

/// The edit that leaves of `input` what is not an envelope of ours; `None` where there is none.
fn without_envelopes(body: &[u8]) -> Option<(Range<usize>, String)> {
    let text = text(body).ok()?;
    let fields = Fields::read_body(text).ok()?;
    let input = fields.look("input")?;
    let items = list(input, "input").ok()?;
    let count = items.len();
    let is_own = |raw: &RawValue| {
        let item = Fields::read(raw, String::new());
        let sealed = item.and_then(|mut item| item.text("encrypted_content"));
        !sealed.is_ok_and(|sealed| sealed.is_some_and(|sealed| custody::is_envelope(&sealed)))
    };
    let own: Vec<&str> = items
        .into_iter()
        .filter_map(|(_, raw)| is_own(raw).then_some(raw.get()))
        .collect();
    (own.len() < count).then(|| (span(text, input.get()), format!("[{}]", own.join(","))))
}
