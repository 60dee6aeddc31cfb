//! Requests for pictures that are written in JSON: all that make new ones, and edits that name addresses.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::OpenaiImages;
use super::request::{Delivery, FOREIGN, ImageRequest, Seen, Shown, count, sniff};
use super::size::Size;
use crate::face::InvalidRequest;
use crate::openai::envelope::text;
use crate::openai::fields::{Fields, Kind, text as string};
use crate::openai::media;
use crate::passing;

use domain::chat::Source;

/// Reads what the envelope is made of.
pub(super) fn envelope(goal: OpenaiImages, body: &[u8]) -> Result<Seen, InvalidRequest> {
    let mut fields = Fields::read_body(text(body)?)?;
    let model = passing::required_model(&mut fields)?;
    let prompt = match goal {
        OpenaiImages::Generations | OpenaiImages::Edits => fields.required_text("prompt")?,
        OpenaiImages::Variations => String::new(),
    };
    let images = fields.list("images")?.map_or(0, |images| images.len());
    Ok(Seen {
        model,
        stream: fields.flag("stream")?.unwrap_or(false),
        count: count(fields.integer("n", "an integer from 1 to 10")?)?,
        prompt_bytes: prompt.len(),
        images,
        quality: fields.text("quality")?,
    })
}

/// Reads the whole request.
pub(super) fn request(goal: OpenaiImages, body: &Bytes) -> Result<ImageRequest, InvalidRequest> {
    let mut fields = Fields::read_body(text(body)?)?;
    fields.take("model");
    let prompt = match goal {
        OpenaiImages::Generations | OpenaiImages::Edits => fields.required_text("prompt")?,
        OpenaiImages::Variations => String::new(),
    };
    let mut images = Vec::new();
    for (path, raw) in fields.list("images")?.unwrap_or_default() {
        images.push(shown(raw, &path)?);
    }
    let mask = fields.take("mask");
    let delivery = match fields.text("response_format")?.as_deref() {
        None | Some("b64_json") => Delivery::Base64,
        Some("url") => Delivery::Url,
        Some(other) => {
            return Err(fields.unknown_word("response_format", other, "`b64_json` and `url`"));
        }
    };
    let foreign = FOREIGN
        .iter()
        .filter(|(name, _)| fields.take(name).is_some())
        .map(|(name, _)| *name)
        .collect();
    Ok(ImageRequest {
        goal,
        prompt,
        count: count(fields.integer("n", "an integer from 1 to 10")?)?,
        size: Size::read(fields.text("size")?.as_deref())?,
        quality: fields.text("quality")?,
        background: fields.text("background")?,
        output_format: fields.text("output_format")?,
        output_compression: fields.integer("output_compression", "an integer from 0 to 100")?,
        delivery,
        stream: fields.flag("stream")?.unwrap_or(false),
        images,
        masked: mask.is_some(),
        foreign,
        others: fields
            .rest()
            .filter(|(_, raw)| raw.get() != "null")
            .map(|(name, raw)| (name.into_owned(), raw.to_owned()))
            .collect(),
    })
}

/// `{"image_url": "…"}` or `{"file_id": "…"}`; some clients write the address alone.
fn shown(raw: &RawValue, path: &str) -> Result<Shown, InvalidRequest> {
    if Kind::of(raw.get()) == Some(Kind::Text) {
        return of_url(&string(raw, || path.to_owned())?, path);
    }
    let mut fields = Fields::read(raw, path.to_owned())?;
    if let Some(id) = fields.text("file_id")? {
        return Ok(Shown::File(id));
    }
    let path = fields.path_of("image_url");
    of_url(&fields.required_text("image_url")?, &path)
}

fn of_url(url: &str, path: &str) -> Result<Shown, InvalidRequest> {
    match media::source(url, path)? {
        Source::Inline { media_type, base64 } => {
            let bytes = decode(&base64).ok_or_else(|| {
                InvalidRequest::of(path, format!("`{path}` does not hold valid base64."))
            })?;
            let media_type = sniff(&bytes).map_or(media_type, str::to_owned);
            Ok(Shown::Bytes {
                media_type,
                bytes: bytes.into(),
            })
        }
        _ => Ok(Shown::Url(url.to_owned())),
    }
}

fn decode(base64: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(base64)
        .ok()
}
