//! What is read of every request before anything is decided.

use domain::name::ModelName;

use crate::face::{Envelope, InvalidRequest};
use crate::openai::envelope::{model_name, span, text};
use crate::openai::fields::{Fields, Kind, count_items};

/// Reads the envelope of a message; the messages are counted, not read.
pub(super) fn read(body: &[u8]) -> Result<Envelope, InvalidRequest> {
    envelope(body, |fields| max_tokens(fields).map(Some))
}

/// Reads the envelope of a count of tokens, which has no bound on the output.
pub(in crate::anthropic) fn of_count(body: &[u8]) -> Result<Envelope, InvalidRequest> {
    envelope(body, |_| Ok(None))
}

fn envelope(
    body: &[u8],
    bound: impl Fn(&mut Fields<'_>) -> Result<Option<u64>, InvalidRequest>,
) -> Result<Envelope, InvalidRequest> {
    let text = text(body)?;
    let mut fields = Fields::read_body(text)?;
    let Some(model) = fields.take("model") else {
        return Err(fields.missing("model", "the name of a model"));
    };
    Ok(Envelope {
        model: model_name(model)?,
        stream: fields.flag("stream")?.unwrap_or(false),
        stream_usage: true,
        max_output_tokens: bound(&mut fields)?,
        choices: 1,
        messages: count_messages(&mut fields)?,
        model_span: Some(span(text, model.get())),
        stream_options_span: None,
    })
}

/// Reads the model's name, which every request has.
pub(super) fn model(fields: &mut Fields<'_>) -> Result<ModelName, InvalidRequest> {
    match fields.take("model") {
        Some(raw) => model_name(raw),
        None => Err(fields.missing("model", "the name of a model")),
    }
}

/// Reads the bound on the output, which every request has. 0 fills the prompt cache and answers nothing
/// (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pre-warming-the-cache>).
pub(super) fn max_tokens(fields: &mut Fields<'_>) -> Result<u64, InvalidRequest> {
    const EXPECTED: &str = "a non-negative integer";
    fields
        .integer("max_tokens", EXPECTED)?
        .ok_or_else(|| fields.missing("max_tokens", EXPECTED))
}

fn count_messages(fields: &mut Fields<'_>) -> Result<usize, InvalidRequest> {
    const EXPECTED: &str = "an array of at least one message";
    let Some(raw) = fields.take("messages") else {
        return Err(fields.missing("messages", EXPECTED));
    };
    if Kind::of(raw.get()) != Some(Kind::List) {
        return Err(fields.wrong_type("messages", EXPECTED, raw.get()));
    }
    match count_items(raw) {
        0 => Err(InvalidRequest::of(
            "messages",
            format!("`messages` is empty; it must be {EXPECTED}."),
        )),
        count => Ok(count),
    }
}
