//! What is read of every request before anything is decided, and the edits of the verbatim path.

use bytes::Bytes;
use domain::name::ModelName;

use super::{custody, fields};
use crate::face::{Asked, Envelope, InvalidRequest, Spliced};
use crate::gemini::config::MAX_CANDIDATES;
use crate::openai::envelope::text;
use crate::openai::fields::{Fields, Kind, count_items};

/// Reads the envelope; the contents are counted, not read.
pub(in crate::gemini) fn read(asked: &Asked, body: &[u8]) -> Result<Envelope, InvalidRequest> {
    let mut request = Fields::read_body(text(body)?)?.in_camel_case()?;
    let messages = count_contents(&mut request)?;
    let mut config = fields::object(&mut request, "generationConfig")?;
    let (max_output_tokens, choices) = match &mut config {
        None => (None, 1),
        Some(config) => (max_output_tokens(config)?, candidates(config)?),
    };
    Ok(Envelope {
        model: model(asked)?,
        stream: asked.stream.unwrap_or(false),
        // Every chunk of the vendor's tells what was used so far.
        stream_usage: true,
        max_output_tokens,
        choices,
        messages,
        model_span: None,
        stream_options_span: None,
    })
}

/// The model that the URL names.
pub(in crate::gemini) fn model(asked: &Asked) -> Result<ModelName, InvalidRequest> {
    asked.model.clone().ok_or_else(|| {
        InvalidRequest::of(
            "model",
            "The URL names no model; it must be `models/{model}:generateContent`.",
        )
    })
}

/// Reads the bound on the output.
pub(super) fn max_output_tokens(config: &mut Fields<'_>) -> Result<Option<u64>, InvalidRequest> {
    let bound = fields::whole(config, "maxOutputTokens", 1, i64::MAX)?;
    Ok(bound.and_then(|bound| u64::try_from(bound).ok()))
}

/// Reads how many answers are wanted.
pub(super) fn candidates(config: &mut Fields<'_>) -> Result<u32, InvalidRequest> {
    let count = fields::whole(config, "candidateCount", 1, MAX_CANDIDATES.into())?;
    Ok(count
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(1))
}

fn count_contents(request: &mut Fields<'_>) -> Result<usize, InvalidRequest> {
    const EXPECTED: &str = "an array of at least one content";
    let Some(raw) = request.take("contents") else {
        return Err(request.missing("contents", EXPECTED));
    };
    match Kind::of(raw.get()) {
        Some(Kind::Object) => Ok(1),
        Some(Kind::List) => {
            let count = count_items(raw);
            if count > 0 {
                return Ok(count);
            }
            Err(InvalidRequest::of(
                "contents",
                format!("`contents` is empty; it must be {EXPECTED}."),
            ))
        }
        _ => Err(request.wrong_type("contents", EXPECTED, raw.get())),
    }
}

/// The URL names the model, and streams always tell their usage, so nothing is edited but signatures that
/// the provider did not write.
pub(in crate::gemini) fn splice(body: &Bytes) -> Spliced {
    Spliced {
        body: custody::without_seals(body).map_or_else(|| body.clone(), Bytes::from),
        withhold_usage: false,
    }
}
