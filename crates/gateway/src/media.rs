//! Fetches what a target cannot fetch itself: images and documents that a request names by URL.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::chat::{ChatRequest, Media, Part, Source};
use domain::clock::Clock;
use domain::egress::{Egress, Outbound, Reach};
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::uri::Authority;
use http::{Method, Uri};
use providers::dialect::Refusal;

use crate::within::within;

/// Bounds on fetching. The URLs are the caller's, so the addresses are public ones unless the operator
/// says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct MediaRules {
    /// Which addresses may be reached.
    pub reach: Reach,
    /// The largest file, in bytes.
    pub max_bytes: u64,
    /// The most files of one request.
    pub max_files: usize,
    /// The most redirections that are followed.
    pub max_redirects: usize,
    /// For one file, redirections included.
    pub timeout: Duration,
}

impl Default for MediaRules {
    fn default() -> Self {
        Self {
            reach: Reach::Public,
            max_bytes: 20 * 1024 * 1024,
            max_files: 20,
            max_redirects: 3,
            timeout: Duration::from_secs(20),
        }
    }
}

/// Fetches `urls` and puts their bytes where `request` names them.
pub async fn fetch_into(
    request: &mut ChatRequest,
    urls: &[String],
    rules: &MediaRules,
    egress: &dyn Egress,
    clock: &dyn Clock,
) -> Result<(), Refusal> {
    if urls.len() > rules.max_files {
        let detail = format!(
            "The request names {} files by URL and at most {} are fetched.",
            urls.len(),
            rules.max_files
        );
        return Err(Refusal::of("messages", detail));
    }
    for url in urls {
        let fetched = within(clock, rules.timeout, fetch(url, rules, egress))
            .await
            .unwrap_or_else(|| Err("it took too long".to_owned()));
        let (media_type, bytes) = fetched.map_err(|reason| {
            let detail = format!(
                "The target cannot fetch URLs itself, and the gateway could not fetch {url}: {reason}."
            );
            Refusal::of("messages", detail)
        })?;
        let base64 = STANDARD.encode(&bytes).into();
        replace(request, url, &Source::Inline { media_type, base64 });
    }
    Ok(())
}

fn replace(request: &mut ChatRequest, url: &str, source: &Source) {
    let is_it =
        |media: &Media| matches!(&media.source, Source::Url { url: named, .. } if named == url);
    for message in &mut request.messages {
        for part in message.content_mut() {
            if let Part::Image(media) | Part::Document(media) | Part::Audio(media) = part
                && is_it(media)
            {
                media.source = source.clone();
            }
        }
    }
}

async fn fetch(
    url: &str,
    rules: &MediaRules,
    egress: &dyn Egress,
) -> Result<(String, Bytes), String> {
    let mut uri: Uri = url.parse().map_err(|_| "it is not a URL".to_owned())?;
    for _ in 0..=rules.max_redirects {
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("only http and https are fetched".to_owned());
        }
        let request = http::Request::builder()
            .method(Method::GET)
            .uri(uri.clone())
            .body(Bytes::new())
            .map_err(|_| "it is not a URL".to_owned())?;
        let outbound = Outbound {
            request,
            reach: rules.reach,
        };
        let response = egress
            .send(outbound)
            .await
            .map_err(|error| error.to_string())?;
        if response.status().is_redirection() {
            uri = redirected(&uri, response.headers().get(LOCATION))?;
            continue;
        }
        if !response.status().is_success() {
            return Err(format!("it answered {}", response.status().as_u16()));
        }
        return read(response, rules.max_bytes).await;
    }
    Err(format!(
        "it redirects more than {} times",
        rules.max_redirects
    ))
}

/// Where a redirection leads: `location` is a URL, or one relative to `from` (RFC 9110 §10.2.2).
fn redirected(from: &Uri, location: Option<&http::HeaderValue>) -> Result<Uri, String> {
    let no_url = || "it redirects to what is no URL".to_owned();
    let location = location
        .and_then(|value| value.to_str().ok())
        .ok_or_else(no_url)?;
    let scheme = from.scheme_str().unwrap_or_default();
    let host = from.authority().map(Authority::as_str).unwrap_or_default();
    let absolute = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{host}{location}")
    } else if has_scheme(location) {
        location.to_owned()
    } else {
        let folder = from
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{host}{folder}/{location}")
    };
    absolute.parse().map_err(|_| no_url())
}

/// The first segment of a relative reference has no colon (RFC 3986 §4.2).
fn has_scheme(location: &str) -> bool {
    let first = location.split(['/', '?', '#']).next();
    first.is_some_and(|segment| segment.contains(':'))
}

async fn read(
    response: http::Response<domain::egress::EgressBody>,
    max_bytes: u64,
) -> Result<(String, Bytes), String> {
    let (head, mut body) = response.into_parts();
    let too_large = || format!("it is larger than {max_bytes} bytes");
    let announced = head
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    if announced
        .and_then(|value| value.parse::<u64>().ok())
        .is_some_and(|it| it > max_bytes)
    {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| error.to_string())?;
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > max_bytes {
            return Err(too_large());
        }
    }
    let said = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = sniff(&bytes)
        .or_else(|| said.and_then(named_type))
        .ok_or_else(|| {
            "it is neither a PNG, JPEG, GIF or WebP image nor a PDF document".to_owned()
        })?;
    Ok((media_type.to_owned(), bytes.into()))
}

/// The media type by the file's first bytes (WHATWG MIME Sniffing §6); servers often name it wrongly.
pub(crate) fn sniff(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("application/pdf"),
        _ => None,
    }
}

/// Types that have no signature to sniff and that models take.
fn named_type(said: &str) -> Option<&'static str> {
    let essence = said.split(';').next().unwrap_or_default().trim();
    [
        "image/heic",
        "image/heif",
        "text/plain",
        "audio/wav",
        "audio/mpeg",
        "audio/mp3",
    ]
    .into_iter()
    .find(|known| known.eq_ignore_ascii_case(essence))
}

#[cfg(test)]
mod tests;
