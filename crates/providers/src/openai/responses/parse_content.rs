//! Reads the content of messages and of tools' results.

use domain::chat::{CacheControl, Extensions, Media, Part, Source, Text};
use serde_json::value::RawValue;

use super::super::fields::{self, Fields, Kind};
use super::super::media;
use super::annotations;
use super::words::FORMAT;
use crate::face::InvalidRequest;

/// Reads a content that must be there: a string or a list of parts.
pub(super) fn required(
    fields: &mut Fields<'_>,
    name: &str,
    extensions: &mut Extensions,
) -> Result<Vec<Part>, InvalidRequest> {
    const EXPECTED: &str = "a string or an array of parts";
    let Some(raw) = fields.take(name) else {
        return Err(fields.missing(name, EXPECTED));
    };
    let path = fields.path_of(name);
    match Kind::of(raw.get()) {
        Some(Kind::Text) => {
            let text = fields::text(raw, || path.clone())?;
            Ok(vec![Part::Text(text.into())])
        }
        Some(Kind::List) => fields::list(raw, &path)?
            .into_iter()
            .map(|(path, raw)| part(Fields::read(raw, path)?, raw, extensions))
            .collect(),
        kind => Err(fields::wrong_type(path, EXPECTED, kind)),
    }
}

fn part(
    mut fields: Fields<'_>,
    raw: &RawValue,
    extensions: &mut Extensions,
) -> Result<Part, InvalidRequest> {
    let kind = fields.required_text("type")?;
    let part = match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            let annotations = annotations::take(&mut fields)?;
            // Of an earlier answer; nobody takes them back.
            fields.take("logprobs");
            Part::Text(Text {
                text: fields.required_text("text")?,
                cache: breakpoint(&mut fields, extensions)?,
                signature: None,
                annotations,
            })
        }
        "refusal" => Part::Refusal(fields.required_text("refusal")?),
        "input_image" => Part::Image(image(&mut fields, extensions)?),
        "input_file" => Part::Document(file(&mut fields, extensions)?),
        "input_audio" => Part::Audio(audio(&mut fields, extensions)?),
        _ => {
            return Ok(Part::Unknown {
                format: FORMAT,
                raw: raw.to_owned(),
            });
        }
    };
    fields.keep_rest(extensions);
    Ok(part)
}

/// Reads a prompt-cache breakpoint
/// (<https://developers.openai.com/api/docs/guides/prompt-caching>). Its lifetimes are not others': the
/// short one is taken for the short one.
fn breakpoint(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Option<CacheControl>, InvalidRequest> {
    let Some(mut breakpoint) = fields.object("prompt_cache_breakpoint")? else {
        return Ok(None);
    };
    breakpoint.take("mode");
    let is_long = breakpoint
        .look("ttl")
        .is_some_and(|raw| raw.get() == r#""12h""#);
    breakpoint.keep_rest(extensions);
    Ok(Some(if is_long {
        CacheControl::OneHour
    } else {
        CacheControl::FiveMinutes
    }))
}

/// `auto` is what holds anyway.
fn detail(fields: &mut Fields<'_>) -> Result<Option<String>, InvalidRequest> {
    Ok(fields.text("detail")?.filter(|word| word != "auto"))
}

fn image(fields: &mut Fields<'_>, extensions: &mut Extensions) -> Result<Media, InvalidRequest> {
    let url = fields.text("image_url")?;
    let source = match (url, fields.text("file_id")?) {
        (Some(url), None) => media::source(&url, &fields.path_of("image_url"))?,
        (None, Some(id)) => Source::File(id),
        _ => return Err(one_of(fields, "`image_url` or `file_id`")),
    };
    Ok(Media {
        source,
        name: None,
        detail: detail(fields)?,
        cache: breakpoint(fields, extensions)?,
    })
}

fn file(fields: &mut Fields<'_>, extensions: &mut Extensions) -> Result<Media, InvalidRequest> {
    let name = fields.text("filename")?;
    let data = fields.text("file_data")?;
    let url = fields.text("file_url")?;
    let source = match (data, url, fields.text("file_id")?) {
        (Some(data), None, None) => {
            media::file_source(&data, name.as_deref(), &fields.path_of("file_data"))?
        }
        (None, Some(url), None) => media::source(&url, &fields.path_of("file_url"))?,
        (None, None, Some(id)) => Source::File(id),
        _ => return Err(one_of(fields, "`file_data`, `file_url` or `file_id`")),
    };
    Ok(Media {
        source,
        name,
        detail: detail(fields)?,
        cache: breakpoint(fields, extensions)?,
    })
}

fn audio(fields: &mut Fields<'_>, extensions: &mut Extensions) -> Result<Media, InvalidRequest> {
    let mut audio = fields.required_object("input_audio")?;
    let data = audio.required_text("data")?;
    let source = Source::Inline {
        media_type: media::audio_type(&audio.required_text("format")?),
        base64: media::standard_base64(&data, &audio.path_of("data"))?.into(),
    };
    audio.keep_rest(extensions);
    Ok(Media {
        source,
        name: None,
        detail: None,
        cache: None,
    })
}

fn one_of(fields: &Fields<'_>, names: &str) -> InvalidRequest {
    let path = fields.path().to_owned();
    let detail = format!("`{path}` must have one of {names}.");
    InvalidRequest::of(path, detail)
}
