//! Requests to providers: their paths and bodies, and what has to be fetched before.

use bytes::Bytes;
use domain::chat::{ChatRequest, Conversion, Media, Message, Part, Source};
use domain::json::Unwritable;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use serde::Serialize;

use crate::dialect::{DecodeError, Refusal};
use crate::url;

/// The media type of JSON.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Room for a body beside its media, in bytes; it grows where that is not enough.
const WITHOUT_MEDIA: usize = 4 * 1024;

/// How many fields a request's header has room for at once: these, the credential's, and the client's.
const FIELDS: usize = 8;

/// A `POST` of a body.
pub(crate) fn post(
    url: &str,
    content_type: &HeaderValue,
    accept: &'static str,
    body: Bytes,
) -> Result<Request<Bytes>, Refusal> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url
        .parse()
        .map_err(|error: http::uri::InvalidUri| Refusal {
            detail: format!("The provider's base URL makes no request target: {error}."),
            param: None,
        })?;
    let headers = request.headers_mut();
    headers.reserve(FIELDS);
    headers.insert(CONTENT_TYPE, content_type.clone());
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    Ok(request)
}

/// A `POST` of a chat in JSON, with what its format says beside the body. A streamed answer is wanted as
/// server-sent events.
pub(crate) fn post_chat(
    url: &str,
    stream: bool,
    fields: &HeaderMap,
    body: Bytes,
) -> Result<Request<Bytes>, Refusal> {
    let accept = if stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let mut request = post(url, &JSON, accept, body)?;
    request.headers_mut().extend(fields.clone());
    Ok(request)
}

/// A request with a JSON body.
pub(crate) fn post_json(
    url: &str,
    accept: &'static str,
    body: &serde_json::Value,
) -> Result<Request<Bytes>, Refusal> {
    post(url, &JSON, accept, body.to_string().into())
}

/// A chat's body as JSON. Room for its pictures is made before: to grow by doubling would copy them several
/// times, and hold them twice.
pub(crate) fn json(body: &impl Serialize, request: &ChatRequest) -> Result<Vec<u8>, Unwritable> {
    let parts = request.messages.iter().flat_map(Message::content);
    let inline = parts.map(|part| match part {
        Part::Image(media) | Part::Document(media) | Part::Audio(media) => match &media.source {
            Source::Inline { base64, .. } => base64.len(),
            _ => 0,
        },
        _ => 0,
    });
    let mut json = Vec::with_capacity(WITHOUT_MEDIA + inline.sum::<usize>());
    domain::json::write(body, &mut json)?;
    Ok(json)
}

/// The texts that end an answer, for providers that refuse blank ones.
pub(crate) fn stop_sequences<'a>(
    request: &'a ChatRequest,
    report: &mut Conversion,
) -> Vec<&'a str> {
    let mut kept = Vec::new();
    for (index, stop) in request.stop.iter().enumerate() {
        if stop.trim().is_empty() {
            report.drop(format!("stop[{index}]"), "the provider refuses blank texts");
        } else {
            kept.push(stop.as_str());
        }
    }
    if !kept.is_empty() {
        report.carry("stop");
    }
    kept
}

/// A look at an address that a provider's answer named. It must be an absolute web address: whatever else it
/// names is not for us to open.
pub(crate) fn get(url: &str, accept: &'static str) -> Result<Request<Bytes>, DecodeError> {
    let strange = || DecodeError::Malformed("the provider names no web address".to_owned());
    let uri: Uri = url.parse().map_err(|_| strange())?;
    if !matches!(uri.scheme_str(), Some("https" | "http")) || uri.host().is_none() {
        return Err(strange());
    }
    Request::builder()
        .method(Method::GET)
        .uri(uri)
        .header(ACCEPT, accept)
        .body(Bytes::new())
        .map_err(|_| strange())
}

/// A name as one or several segments of a path. It comes from a caller, so nothing in it may lead to another
/// path of the provider.
pub(crate) fn path(name: &str, param: &str) -> Result<String, Refusal> {
    let segments: Result<Vec<String>, Refusal> = name.split('/').map(url::segment).collect();
    match segments {
        Ok(segments) => Ok(segments.join("/")),
        Err(_) => Err(Refusal::of(
            param,
            format!("`{param}` is {name:?}, which is no name at this provider."),
        )),
    }
}

/// The URLs of the media that `is_wanted` wants, each once.
pub(crate) fn urls(request: &ChatRequest, is_wanted: impl Fn(&Part, &str) -> bool) -> Vec<String> {
    let mut urls = Vec::new();
    for part in request.messages.iter().flat_map(Message::content) {
        if let Part::Image(Media { source, .. })
        | Part::Document(Media { source, .. })
        | Part::Audio(Media { source, .. }) = part
            && let Source::Url { url, .. } = source
            && is_wanted(part, url)
            && !urls.contains(url)
        {
            urls.push(url.clone());
        }
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_where_it_belongs() {
        assert_eq!(path("fal-ai/flux/dev", "model").unwrap(), "fal-ai/flux/dev");
        assert_eq!(path("a?b#c d", "voice").unwrap(), "a%3Fb%23c%20d");
        for name in ["", "..", "a/../b", "/a", "a/"] {
            let refusal = path(name, "voice").unwrap_err();
            assert_eq!(refusal.param.as_deref(), Some("voice"), "{name}");
        }
    }

    #[test]
    fn only_web_addresses_are_asked() {
        assert!(get("https://delivery.example/x.png?sig=a%2Fb", "image/*").is_ok());
        for url in ["file:///etc/passwd", "/v1/x", "ftp://a/b", "", "https://"] {
            assert!(get(url, "image/*").is_err(), "{url}");
        }
    }
}
