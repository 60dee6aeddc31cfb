//! Reads pictures, documents and recordings: `inlineData` and `fileData`
//! (<https://ai.google.dev/api/caching#Blob>).

use domain::chat::{Extensions, Media, Part, Source};

use super::fields;
use crate::face::InvalidRequest;
use crate::openai::fields::Fields;
use crate::openai::media::standard_base64;

/// Takes the media of a part; `None` where it has none, or such as only Google knows how to read: videos,
/// and what lies in Google's own stores.
pub(super) fn read(
    part: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Option<Part>, InvalidRequest> {
    let Some((name, raw)) = ["inlineData", "fileData"]
        .into_iter()
        .find_map(|name| Some((name, part.look(name)?)))
    else {
        return Ok(None);
    };
    let path = part.path_of(name);
    let mut data = fields::read(raw, path)?;
    let media_type = data.text("mimeType")?.map(|word| word.to_ascii_lowercase());
    let display_name = data.text("displayName")?;
    let source = if name == "inlineData" {
        let Some(media_type) = media_type.clone().filter(|word| !word.is_empty()) else {
            return Err(data.missing("mimeType", "a media type such as `image/png`"));
        };
        let path = data.path_of("data");
        Source::Inline {
            media_type,
            base64: standard_base64(&data.required_text("data")?, &path)?.into(),
        }
    } else {
        let url = data.required_text("fileUri")?;
        if is_googles(&url) {
            return Ok(None);
        }
        Source::Url {
            url,
            media_type: media_type.clone(),
        }
    };
    let Some(kind) = kind(media_type.as_deref().unwrap_or_default()) else {
        return Ok(None);
    };
    let detail = detail(part)?;
    data.keep_rest(extensions);
    part.take(name);
    Ok(Some(kind(Media {
        source,
        name: display_name,
        detail,
        cache: None,
    })))
}

/// What a media type is; `None` for a video, which no other format takes.
fn kind(media_type: &str) -> Option<fn(Media) -> Part> {
    let (family, _) = media_type.split_once('/').unwrap_or((media_type, ""));
    match family {
        "image" => Some(Part::Image),
        "audio" => Some(Part::Audio),
        "video" => None,
        _ => Some(Part::Document),
    }
}

/// Whether only Google can read what a URI names: its stores, and videos of `youtube.com`.
fn is_googles(uri: &str) -> bool {
    !uri.starts_with("http")
        || [
            "https://generativelanguage.googleapis.com/",
            "https://www.youtube.com/",
            "https://youtube.com/",
            "https://youtu.be/",
        ]
        .iter()
        .any(|host| uri.starts_with(host))
}

/// How closely to look, in the word that most formats have for it. Others stay where they are.
fn detail(part: &mut Fields<'_>) -> Result<Option<String>, InvalidRequest> {
    let Some(raw) = part.look("mediaResolution") else {
        return Ok(None);
    };
    let mut resolution = fields::read(raw, part.path_of("mediaResolution"))?;
    let level = resolution.text("level")?;
    let word = level.as_deref().and_then(word_of_resolution);
    if word.is_some() && resolution.is_empty() {
        part.take("mediaResolution");
        return Ok(word.map(str::to_owned));
    }
    Ok(None)
}

/// The common word for a resolution; `None` for what is between or beyond.
pub(super) fn word_of_resolution(level: &str) -> Option<&'static str> {
    match level {
        "MEDIA_RESOLUTION_LOW" => Some("low"),
        "MEDIA_RESOLUTION_HIGH" => Some("high"),
        _ => None,
    }
}
