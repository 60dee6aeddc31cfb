//! Pictures, documents and recordings: bytes in the request, or a URI that Google reads itself
//! (<https://ai.google.dev/gemini-api/docs/file-input-methods>).

use std::borrow::Cow;
use std::fmt;

use domain::chat::{ChatRequest, Conversion, Media, Source};

use super::wire::request::{Blob, FileData, KnownPart, Part as WirePart};
use crate::dialect::{Refusal, Target};
use crate::outgoing;

/// Which part of which message; prints as the caller's path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) message: usize,
    pub(super) part: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "messages[{}].content[{}]",
            self.message, self.part
        )
    }
}

/// The URLs that Google does not read itself, each once.
pub(super) fn needed(request: &ChatRequest, base_url: &str) -> Vec<String> {
    outgoing::urls(request, |_, url| !is_read_by_google(url, base_url))
}

/// Cloud Storage, the Files API, and videos of `youtube.com`.
fn is_read_by_google(url: &str, base_url: &str) -> bool {
    const HOSTS: [&str; 5] = [
        "https://generativelanguage.googleapis.com/",
        "https://www.youtube.com/watch",
        "https://youtube.com/watch",
        "https://www.youtube.com/shorts/",
        "https://youtu.be/",
    ];
    url.starts_with("gs://")
        || HOSTS.iter().any(|host| url.starts_with(host))
        || url
            .strip_prefix(base_url)
            .is_some_and(|path| path.starts_with('/'))
}

/// Translates one of them.
pub(super) fn encode<'a>(
    media: &'a Media,
    place: Place,
    target: &Target<'_>,
    report: &mut Conversion,
) -> Result<WirePart<'a>, Refusal> {
    if let Some(name) = &media.name
        && !matches!(media.source, Source::Text(_))
    {
        let reason = format!("Gemini takes no file name; the model does not see {name:?}");
        report.drop(format!("{place}.file.filename"), reason);
    }
    let mut part = KnownPart::default();
    match &media.source {
        Source::Inline { media_type, base64 } => {
            part.inline_data = Some(Blob {
                mime_type: mime_type(media_type),
                data: base64,
            });
        }
        Source::Url { url, media_type } => {
            let media_type = media_type.as_deref().map(mime_type);
            part.file_data = Some(FileData {
                mime_type: media_type.or_else(|| mime_type_of_path(url)),
                file_uri: Cow::Borrowed(url),
            });
        }
        Source::File(name) => {
            part.file_data = Some(FileData {
                mime_type: None,
                file_uri: file_uri(name, place, target.base_url)?,
            });
        }
        Source::Text(text) => {
            report.change(
                format!("{place}.file"),
                "the document's words are sent as text",
            );
            part.text = Some(Cow::Borrowed(text));
        }
    }
    Ok(part.into())
}

/// A name in the Files API is only known by its full URI.
fn file_uri<'a>(name: &'a str, place: Place, base_url: &str) -> Result<Cow<'a, str>, Refusal> {
    if name.contains("://") {
        Ok(Cow::Borrowed(name))
    } else if name.starts_with("files/") {
        Ok(Cow::Owned(format!("{base_url}/v1beta/{name}")))
    } else {
        Err(Refusal::of(
            format!("{place}.file.file_id"),
            format!(
                "the file {name:?} is not in Gemini's Files API, whose names begin with files/; \
                 send the file's content as file_data"
            ),
        ))
    }
}

/// A name that is often used and that Google does not know.
fn mime_type(media_type: &str) -> &str {
    match media_type {
        "image/jpg" => "image/jpeg",
        other => other,
    }
}

/// What the end of a path says. Google knows the type of what its own stores hold.
fn mime_type_of_path(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        _ => return None,
    })
}

/// How closely every picture is looked at: Gemini is told once for the whole request, so the closest look
/// that was asked for holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resolution {
    #[default]
    Unsaid,
    Low,
    High,
}

impl Resolution {
    /// Takes one picture's `detail` into account.
    pub(super) fn note(&mut self, media: &Media, place: Place, report: &mut Conversion) {
        let wanted = match media.detail.as_deref() {
            None | Some("auto") => return,
            Some("low") => Self::Low,
            Some("high") => Self::High,
            Some(other) => {
                let reason = format!("Gemini has no such look as {other:?}");
                report.drop(format!("{place}.image_url.detail"), reason);
                return;
            }
        };
        report.change(
            format!("{place}.image_url.detail"),
            "sent as the request's mediaResolution; the closest look that was asked for holds for all",
        );
        *self = wanted.max(*self);
    }

    /// The word on the wire.
    pub(super) fn word(self) -> Option<&'static str> {
        match self {
            Self::Unsaid => None,
            Self::Low => Some("MEDIA_RESOLUTION_LOW"),
            Self::High => Some("MEDIA_RESOLUTION_HIGH"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://proxy.example";

    #[test]
    fn google_reads_its_own_stores_and_nothing_else() {
        for url in [
            "gs://bucket/a.pdf",
            "https://generativelanguage.googleapis.com/v1beta/files/abc",
            "https://proxy.example/v1beta/files/abc",
            "https://www.youtube.com/watch?v=9hE5-98ZeCg",
            "https://youtu.be/9hE5-98ZeCg",
        ] {
            assert!(is_read_by_google(url, BASE), "{url}");
        }
        for url in [
            "https://example.com/a.png",
            "https://proxy.example.evil.net/a",
            "https://youtube.com.evil.net/watch",
        ] {
            assert!(!is_read_by_google(url, BASE), "{url}");
        }
    }

    #[test]
    fn a_file_of_another_provider_is_refused_by_name() {
        let place = Place {
            message: 1,
            part: 0,
        };
        let refusal = file_uri("file-abc", place, BASE).unwrap_err();
        assert_eq!(
            refusal.param.as_deref(),
            Some("messages[1].content[0].file.file_id")
        );
        assert_eq!(
            file_uri("files/abc", place, BASE).unwrap(),
            "https://proxy.example/v1beta/files/abc"
        );
    }
}
