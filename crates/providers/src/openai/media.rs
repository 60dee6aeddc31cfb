//! Pictures, documents and recordings as the format writes them: data URLs, URLs and bare base64.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::chat::Source;

use crate::face::InvalidRequest;

/// Reads a data URL (RFC 2397) or another absolute URL.
pub(crate) fn source(url: &str, path: &str) -> Result<Source, InvalidRequest> {
    match url.split_once(':') {
        Some((scheme, data)) if scheme.eq_ignore_ascii_case("data") => inline(data, path),
        Some((scheme, rest)) if is_scheme(scheme) && !rest.is_empty() => Ok(Source::Url {
            url: url.to_owned(),
            media_type: None,
        }),
        _ => Err(refuse(path, "an `https:` URL or a `data:` URL")),
    }
}

/// Reads a file's data, which may also be bare base64; the type is then told by the name's ending.
pub(crate) fn file_source(
    data: &str,
    name: Option<&str>,
    path: &str,
) -> Result<Source, InvalidRequest> {
    if data.contains(':') {
        return source(data, path);
    }
    Ok(Source::Inline {
        media_type: name
            .map_or("application/octet-stream", type_of_name)
            .to_owned(),
        base64: standard_base64(data, path)?.into(),
    })
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn inline(data: &str, path: &str) -> Result<Source, InvalidRequest> {
    let expected = "a `data:` URL with base64, as in `data:image/png;base64,…`";
    let Some((head, base64)) = data.split_once(',') else {
        return Err(refuse(path, expected));
    };
    let Some(head) = head.strip_suffix(";base64") else {
        return Err(refuse(path, expected));
    };
    let media_type = head.split(';').next().unwrap_or_default().trim();
    let media_type = if media_type.is_empty() {
        "application/octet-stream".to_owned()
    } else {
        media_type.to_ascii_lowercase()
    };
    Ok(Source::Inline {
        media_type,
        base64: standard_base64(base64, path)?.into(),
    })
}

/// Brings base64 into the standard alphabet with padding: clients send the URL-safe alphabet, line
/// breaks, and leave the padding out.
pub(crate) fn standard_base64(text: &str, path: &str) -> Result<String, InvalidRequest> {
    let text = if is_standard(text.as_bytes()) {
        Cow::Borrowed(text)
    } else {
        let mut digits: String = text
            .trim_end_matches('=')
            .chars()
            .filter(|c| !c.is_ascii_whitespace())
            .map(|c| match c {
                '-' => '+',
                '_' => '/',
                other => other,
            })
            .collect();
        digits.truncate(digits.trim_end_matches('=').len());
        if digits.len() % 4 == 1 || !is_plain(digits.as_bytes()) {
            return Err(refuse(path, "base64"));
        }
        while !digits.len().is_multiple_of(4) {
            digits.push('=');
        }
        Cow::Owned(digits)
    };
    if text.is_empty() {
        return Err(refuse(path, "base64 of at least one byte"));
    }
    Ok(text.into_owned())
}

/// Whether a text is base64 in the standard alphabet with padding.
pub(crate) fn is_standard(text: &[u8]) -> bool {
    let padding = text.iter().rev().take(3).take_while(|byte| **byte == b'=');
    let digits = text.len() - padding.count();
    text.len().is_multiple_of(4)
        && text.len() - digits <= 2
        && text.get(..digits).is_some_and(is_plain)
}

/// Whether every byte is a digit of base64. A block is looked at to its end whatever is found in it, so that
/// the compiler can look at many bytes at once: pictures are long.
fn is_plain(digits: &[u8]) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.chunks(1024).all(|block| {
        let others = block.iter().map(|byte| u8::from(!is_digit(*byte)));
        others.fold(0, |any, other| any | other) == 0
    })
}

/// Bytes in standard base64 with padding.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn refuse(path: &str, expected: &str) -> InvalidRequest {
    InvalidRequest::of(path, format!("`{path}` must be {expected}."))
}

fn type_of_name(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

/// The media type of an audio format's short name.
pub(crate) fn audio_type(format: &str) -> String {
    let format = format.to_ascii_lowercase();
    match format.as_str() {
        "mp3" => "audio/mpeg".to_owned(),
        "m4a" => "audio/mp4".to_owned(),
        _ => format!("audio/{format}"),
    }
}

/// The short name of an audio type.
pub(crate) fn audio_format(media_type: &str) -> &str {
    match media_type {
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/x-wav" | "audio/wave" => "wav",
        _ => media_type.strip_prefix("audio/").unwrap_or(media_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_brought_into_the_standard_form() {
        for (text, expected) in [
            ("aGk=", "aGk="),
            ("aGk", "aGk="),
            ("_-8=", "/+8="),
            ("aG\nk=\n", "aGk="),
        ] {
            assert_eq!(standard_base64(text, "x").unwrap(), expected);
        }
        for text in ["", "a", "a$b=", "====", "aGk=aGk="] {
            assert!(standard_base64(text, "x").is_err(), "{text}");
        }
    }

    #[test]
    fn a_data_url_keeps_its_type_and_loses_its_parameters() {
        assert_eq!(
            source("data:Image/PNG;name=a;base64,aGk=", "x").unwrap(),
            Source::Inline {
                media_type: "image/png".to_owned(),
                base64: "aGk=".into()
            }
        );
    }

    #[test]
    fn what_is_no_url_is_refused_by_its_path() {
        for text in ["", "picture.png", "data:image/png,raw", ":x", "data:"] {
            let refusal = source(text, "messages[0].content[1].image_url.url").unwrap_err();
            assert_eq!(
                refusal.param.as_deref(),
                Some("messages[0].content[1].image_url.url")
            );
        }
    }

    #[test]
    fn bare_base64_of_a_file_is_typed_by_its_name() {
        let Source::Inline { media_type, .. } = file_source("aGk=", Some("a.PDF"), "x").unwrap()
        else {
            panic!("it is inline");
        };
        assert_eq!(media_type, "application/pdf");
    }
}
