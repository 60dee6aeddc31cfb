//! Pictures, documents, recordings and films as Converse takes them: inline or from Amazon S3.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html>

use std::borrow::Cow;
use std::collections::HashSet;

use domain::chat::{Conversion, Media, Source};

use super::wire::{self, Block};
use crate::anthropic::media::sniff;
use crate::dialect::Refusal;
use crate::openai::media::encode_base64;

/// The longest name of a document, in characters.
const MAX_NAME: usize = 200;

/// Where the provider reads a file itself.
const S3: &str = "s3://";

/// Whether the bytes behind this URL must be put into the request.
pub(super) fn must_be_inlined(url: &str) -> bool {
    !url.starts_with(S3)
}

/// A picture. Its format is what its bytes say: callers often mislabel them.
pub(super) fn image<'a>(
    media: &'a Media,
    path: &str,
    report: &mut Conversion,
) -> Result<Block<'a>, Refusal> {
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
    let declared = declared_type(media);
    let found = match &media.source {
        Source::Inline { base64, .. } => sniff(base64),
        _ => None,
    };
    if let Some(found) = found
        && found != declared
        && declared != "image/jpg"
    {
        report.change(
            path.to_owned(),
            format!("labelled {declared:?}; sent as {found}, which its bytes are"),
        );
    }
    let format = match found.unwrap_or(&declared) {
        "image/png" => "png",
        "image/jpeg" | "image/jpg" => "jpeg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => {
            let detail = format!(
                "The target sees JPEG, PNG, GIF and WebP images, not {other:?}. Convert the image first."
            );
            return Err(Refusal::of(path, detail));
        }
    };
    let source = source(media, path)?;
    Ok(Block::Image(wire::Media { format, source }))
}

/// A recording.
pub(super) fn audio<'a>(media: &'a Media, path: &str) -> Result<Block<'a>, Refusal> {
    let declared = declared_type(media);
    let format = match &*declared {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/flac" | "audio/x-flac" => "flac",
        "audio/ogg" => "ogg",
        "audio/opus" => "opus",
        "audio/aac" | "audio/x-aac" => "aac",
        "audio/mp4" | "audio/m4a" | "audio/x-m4a" => "m4a",
        "audio/webm" => "webm",
        "audio/pcm" | "audio/l16" | "audio/pcm16" => "pcm",
        other => {
            let detail = format!("The target hears no {other:?}. Send WAV or MP3.");
            return Err(Refusal::of(path, detail));
        }
    };
    let source = source(media, path)?;
    Ok(Block::Audio(wire::Media { format, source }))
}

/// A document, or a film that was attached as a file.
pub(super) fn document<'a>(
    media: &'a Media,
    names: &mut DocumentNames,
    path: &str,
    report: &mut Conversion,
) -> Result<Block<'a>, Refusal> {
    let source = source(media, path)?;
    let declared = declared_type(media);
    if let Some(format) = video_format(&declared) {
        return Ok(Block::Video(wire::Media { format, source }));
    }
    if declared.starts_with("image/") {
        return image(media, path, report);
    }
    let format = match document_format(&declared) {
        Some(format) => format,
        None if is_pdf(media) => "pdf",
        None if is_text(&declared) => {
            report.change(path.to_owned(), format!("{declared} is sent as plain text"));
            "txt"
        }
        None => {
            let detail = format!(
                "The target reads PDF, CSV, Word, Excel, HTML, Markdown and plain text, not {declared:?}. Convert the file first."
            );
            return Err(Refusal::of(path, detail));
        }
    };
    let name = names.give(media.name.as_deref());
    if media.name.as_ref().is_some_and(|wished| *wished != name) {
        report.change(
            format!("{path}.file.filename"),
            format!("sent as {name:?}, in which the provider's rule for names is kept"),
        );
    }
    Ok(Block::Document(wire::Document {
        format,
        name,
        source,
    }))
}

fn source<'a>(media: &'a Media, path: &str) -> Result<wire::Source<'a>, Refusal> {
    match &media.source {
        Source::Inline { base64, .. } => Ok(wire::Source::Bytes(Cow::Borrowed(base64))),
        Source::Text(text) => Ok(wire::Source::Bytes(Cow::Owned(encode_base64(
            text.as_bytes(),
        )))),
        Source::Url { url: uri, .. } | Source::File(uri) if uri.starts_with(S3) => {
            Ok(wire::Source::S3Location { uri })
        }
        Source::Url { .. } => {
            let detail = "The target fetches `s3://` locations only. Send the file as a data URL.";
            Err(Refusal::of(path, detail))
        }
        Source::File(_) => {
            let detail = "The target has no file store of its own. Send the file inline or as an `s3://` location.";
            Err(Refusal::of(path, detail))
        }
    }
}

/// The media type that the caller gives, else the one that the name's ending tells.
fn declared_type(media: &Media) -> Cow<'_, str> {
    let by_name = |name: &str| {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        type_of_ending(&ending.to_ascii_lowercase())
    };
    match &media.source {
        Source::Text(_) => Cow::Borrowed("text/plain"),
        Source::Inline { media_type, .. } if media_type == "application/octet-stream" => {
            Cow::Borrowed(media.name.as_deref().map_or(media_type, by_name))
        }
        Source::Inline { media_type, .. }
        | Source::Url {
            media_type: Some(media_type),
            ..
        } => Cow::Borrowed(media_type.split(';').next().unwrap_or(media_type).trim()),
        Source::Url { url: place, .. } | Source::File(place) => Cow::Borrowed(by_name(place)),
    }
}

fn type_of_ending(ending: &str) -> &'static str {
    match ending {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "csv" => "text/csv",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "html" | "htm" => "text/html",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "json" => "application/json",
        "xml" => "application/xml",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

fn document_format(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "text/html" => "html",
        "text/plain" => "txt",
        "text/markdown" | "text/x-markdown" => "md",
        _ => return None,
    })
}

fn video_format(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "video/mp4" => "mp4",
        "video/quicktime" => "mov",
        "video/x-matroska" => "mkv",
        "video/webm" => "webm",
        "video/x-flv" => "flv",
        "video/mpeg" => "mpeg",
        "video/x-ms-wmv" => "wmv",
        "video/3gpp" => "three_gp",
        _ => return None,
    })
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || matches!(
            media_type,
            "application/json" | "application/xml" | "application/yaml" | "application/x-yaml"
        )
}

fn is_pdf(media: &Media) -> bool {
    // "%PDF-" in base64, whatever follows.
    matches!(&media.source, Source::Inline { base64, .. } if base64.starts_with("JVBERi"))
}

/// The names of a request's documents: letters, digits, single spaces, hyphens, parentheses and square
/// brackets, each name given once. The same conversation gives the same names, so that a prompt cache
/// survives the next turn.
#[derive(Debug, Default)]
pub(super) struct DocumentNames(HashSet<String>);

impl DocumentNames {
    /// The caller's name without its ending as near as the rule allows; a neutral one where the caller
    /// gave none.
    fn give(&mut self, wish: Option<&str>) -> String {
        let stem = wish.map(|wish| match wish.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => wish,
        });
        let plain = stem.map(plain).filter(|name| !name.is_empty());
        let plain = plain.unwrap_or_else(|| "Document".to_owned());
        let mut name = plain.clone();
        let mut count = 2_u32;
        while !self.0.insert(name.clone()) {
            name = format!("{plain} ({count})");
            count += 1;
        }
        name
    }
}

/// Words of allowed characters with single spaces between them; empty where no letter or digit is left.
fn plain(name: &str) -> String {
    // Room remains for a count.
    const MAX_STEM: usize = MAX_NAME - 16;
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || "-()[]".contains(c) {
            c
        } else {
            ' '
        }
    };
    let spaced: String = name.chars().map(allowed).take(MAX_STEM).collect();
    if !spaced.chars().any(|c| c.is_ascii_alphanumeric()) {
        return String::new();
    }
    let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_named_by_the_providers_rule_and_once() {
        let mut names = DocumentNames::default();
        let cases = [
            (Some("report_v1.2 (final).pdf"), "report v1 2 (final)"),
            (Some("report_v1.2 (final).docx"), "report v1 2 (final) (2)"),
            (Some("資料.pdf"), "Document"),
            (None, "Document (2)"),
            (Some(".env"), "env"),
            (Some("README"), "README"),
        ];
        for (wish, name) in cases {
            assert_eq!(names.give(wish), name, "{wish:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        let name = DocumentNames::default().give(Some(&"a".repeat(500)));
        assert!(name.len() <= MAX_NAME);
    }
}
