//! Images and documents as Anthropic takes them.
//! <https://platform.claude.com/docs/en/build-with-claude/vision>,
//! <https://platform.claude.com/docs/en/build-with-claude/pdf-support>

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::chat::{Conversion, Media, Source};

use super::wire;
use crate::dialect::Refusal;

/// An image block. Its media type is what its bytes say: callers often mislabel them, and Anthropic
/// refuses a label that is wrong.
pub(super) fn image<'a>(
    media: &'a Media,
    path: &str,
    report: &mut Conversion,
) -> Result<wire::Block<'a>, Refusal> {
    if media
        .detail
        .as_deref()
        .is_some_and(|detail| detail != "auto")
    {
        report.drop(
            format!("{path}.image_url.detail"),
            "the provider chooses the resolution by the image's size",
        );
    }
    let source = match &media.source {
        Source::Inline { media_type, base64 } => {
            let media_type = image_type(media_type, base64, path, report)?;
            wire::Source::Base64 {
                media_type,
                data: base64,
            }
        }
        Source::Url { url, .. } => wire::Source::Url {
            url: fetchable(url, path)?,
        },
        Source::File(file_id) => wire::Source::File { file_id },
        Source::Text(_) => return Err(Refusal::of(path, "An image cannot be given as text.")),
    };
    Ok(wire::Block::Image {
        source,
        cache_control: media.cache.map(Into::into),
    })
}

/// A document block: PDF as it is, text as text.
pub(super) fn document<'a>(
    media: &'a Media,
    path: &str,
    report: &mut Conversion,
) -> Result<wire::Block<'a>, Refusal> {
    let source = match &media.source {
        Source::Inline { media_type, base64 } if is_pdf(media_type, base64) => {
            wire::Source::Base64 {
                media_type: Cow::Borrowed("application/pdf"),
                data: base64,
            }
        }
        Source::Inline { media_type, base64 } => {
            let text = decoded_text(media_type, base64).ok_or_else(|| {
                let detail = format!(
                    "The target reads PDF and plain text, not {media_type:?}. Convert the file first."
                );
                Refusal::of(path, detail)
            })?;
            if media_type != "text/plain" {
                report.change(
                    path.to_owned(),
                    format!("{media_type} is sent as plain text"),
                );
            }
            plain(Cow::Owned(text))
        }
        Source::Url { url, .. } => wire::Source::Url {
            url: fetchable(url, path)?,
        },
        Source::File(file_id) => wire::Source::File { file_id },
        Source::Text(text) => plain(Cow::Borrowed(text)),
    };
    Ok(wire::Block::Document {
        source,
        title: media.name.as_deref(),
        cache_control: media.cache.map(Into::into),
    })
}

/// Whether the provider fetches this URL itself; it follows `https` only.
pub(super) fn is_fetchable(url: &str) -> bool {
    url.get(..8)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

fn fetchable<'a>(url: &'a str, path: &str) -> Result<&'a str, Refusal> {
    if is_fetchable(url) {
        return Ok(url);
    }
    let detail = "The target fetches https URLs only. Send the file as a data URL.";
    Err(Refusal::of(path, detail))
}

fn plain(data: Cow<'_, str>) -> wire::Source<'_> {
    wire::Source::Text {
        media_type: "text/plain",
        data,
    }
}

fn image_type<'a>(
    declared: &'a str,
    base64: &str,
    path: &str,
    report: &mut Conversion,
) -> Result<Cow<'a, str>, Refusal> {
    let Some(found) = sniff(base64) else {
        return match declared {
            "image/jpeg" | "image/png" | "image/gif" | "image/webp" => Ok(Cow::Borrowed(declared)),
            "image/jpg" => Ok(Cow::Borrowed("image/jpeg")),
            _ => {
                let detail = format!(
                    "The target sees JPEG, PNG, GIF and WebP images, not {declared:?}. Convert the image first."
                );
                Err(Refusal::of(path, detail))
            }
        };
    };
    if found != declared && declared != "image/jpg" {
        report.change(
            path.to_owned(),
            format!("labelled {declared:?}; sent as {found}, which its bytes are"),
        );
    }
    Ok(Cow::Borrowed(found))
}

/// The media type that the first bytes tell.
pub(crate) fn sniff(base64: &str) -> Option<&'static str> {
    let head = STANDARD.decode(base64.get(..16)?).ok()?;
    match head.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Some("image/webp"),
        _ => None,
    }
}

fn is_pdf(media_type: &str, base64: &str) -> bool {
    // "%PDF-" in base64, whatever follows.
    media_type == "application/pdf" || base64.starts_with("JVBERi")
}

fn decoded_text(media_type: &str, base64: &str) -> Option<String> {
    let is_text = media_type.starts_with("text/")
        || matches!(
            media_type,
            "application/json" | "application/xml" | "application/yaml" | "application/x-yaml"
        );
    if !is_text {
        return None;
    }
    String::from_utf8(STANDARD.decode(base64).ok()?).ok()
}
