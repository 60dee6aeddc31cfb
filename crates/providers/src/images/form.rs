//! Requests for pictures that are written as forms: edits and variations.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::OpenaiImages;
use super::request::{Delivery, FOREIGN, ImageRequest, Seen, Shown, count, sniff};
use super::size::Size;
use crate::face::{Asked, InvalidRequest};
use crate::multipart::{Form, Part, model_name};

/// Reads what the envelope is made of.
pub(super) fn envelope(
    goal: OpenaiImages,
    asked: &Asked,
    body: &[u8],
) -> Result<Seen, InvalidRequest> {
    let form = Form::read(&asked.headers, body)?;
    let prompt = form.text("prompt")?;
    if prompt.is_none() && goal != OpenaiImages::Variations {
        return Err(InvalidRequest::of(
            "prompt",
            "`prompt` is missing; it must be a string.",
        ));
    }
    Ok(Seen {
        model: model_name(form.text_of(model(&form)?)?)?,
        stream: form.text("stream")? == Some("true"),
        count: count(number(&form, "n")?)?,
        prompt_bytes: prompt.unwrap_or_default().len(),
        images: form.list("image").count(),
        quality: form.text("quality")?.map(str::to_owned),
    })
}

/// The part that names the model.
pub(super) fn model<'f>(form: &'f Form<'_>) -> Result<&'f Part, InvalidRequest> {
    form.one("model")?.ok_or_else(|| {
        InvalidRequest::of(
            "model",
            "`model` is missing; it must be the name of a model.",
        )
    })
}

/// Reads the whole request.
pub(super) fn request(
    goal: OpenaiImages,
    asked: &Asked,
    body: &Bytes,
) -> Result<ImageRequest, InvalidRequest> {
    let form = Form::read(&asked.headers, body)?;
    let text = |name: &str| -> Result<Option<String>, InvalidRequest> {
        Ok(form.text(name)?.map(str::to_owned))
    };
    let images = form
        .list("image")
        .map(|part| shown(part, body))
        .collect::<Result<_, _>>()?;
    let delivery = match form.text("response_format")? {
        None | Some("b64_json") => Delivery::Base64,
        Some("url") => Delivery::Url,
        Some(other) => {
            return Err(InvalidRequest::of(
                "response_format",
                format!("`response_format` is `{other}`; known are `b64_json` and `url`."),
            ));
        }
    };
    let is_there = |name: &str| form.parts().iter().any(|part| part.name == name);
    let mut others = Vec::new();
    for part in form.parts() {
        let name = part.name.split('[').next().unwrap_or_default();
        let is_foreign = FOREIGN.iter().any(|(known, _)| *known == name);
        if !KNOWN.contains(&name) && !is_foreign {
            others.push((part.name.clone(), value(form.text_of(part)?)));
        }
    }
    Ok(ImageRequest {
        goal,
        prompt: text("prompt")?.unwrap_or_default(),
        count: count(number(&form, "n")?)?,
        size: Size::read(form.text("size")?)?,
        quality: text("quality")?,
        background: text("background")?,
        output_format: text("output_format")?,
        output_compression: number(&form, "output_compression")?,
        delivery,
        stream: form.text("stream")? == Some("true"),
        images,
        masked: is_there("mask"),
        foreign: FOREIGN
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| form.list(name).next().is_some())
            .collect(),
        others,
    })
}

const KNOWN: [&str; 12] = [
    "model",
    "prompt",
    "image",
    "mask",
    "n",
    "size",
    "quality",
    "background",
    "output_format",
    "output_compression",
    "response_format",
    "stream",
];

fn number(form: &Form<'_>, name: &str) -> Result<Option<u32>, InvalidRequest> {
    let Some(text) = form.text(name)? else {
        return Ok(None);
    };
    text.trim()
        .parse()
        .map(Some)
        .map_err(|_| InvalidRequest::of(name, format!("`{name}` must be a positive integer.")))
}

/// A form has no numbers: what reads as one, or as true or false, is meant as one.
fn value(text: &str) -> Box<RawValue> {
    let is_plain = matches!(text, "true" | "false") || text.parse::<f64>().is_ok();
    let json = if is_plain {
        RawValue::from_string(text.to_owned()).ok()
    } else {
        None
    };
    json.or_else(|| serde_json::value::to_raw_value(text).ok())
        .unwrap_or_else(|| RawValue::NULL.to_owned())
}

fn shown(part: &Part, body: &Bytes) -> Result<Shown, InvalidRequest> {
    let bytes = body.slice(part.span.clone());
    if bytes.is_empty() {
        return Err(InvalidRequest::of(
            part.name.clone(),
            format!("`{}` is empty; it must be a picture.", part.name),
        ));
    }
    let told = part.content_type.clone();
    let media_type = sniff(&bytes)
        .map(str::to_owned)
        .or(told)
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    Ok(Shown::Bytes { media_type, bytes })
}
