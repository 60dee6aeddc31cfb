//! Requests to vendors: their paths, queries and bodies.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};

use crate::dialect::{DecodeError, Refusal};

/// A request with a body.
pub(crate) fn post(
    url: &str,
    content_type: &HeaderValue,
    accept: &'static str,
    body: Bytes,
) -> Result<Request<Bytes>, Refusal> {
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(CONTENT_TYPE, content_type)
        .header(ACCEPT, accept)
        .body(body)
        .map_err(|error| Refusal {
            detail: format!("The provider's base URL makes no request target: {error}."),
            param: None,
        })
}

/// A request with a JSON body.
pub(crate) fn post_json(
    url: &str,
    accept: &'static str,
    body: &serde_json::Value,
) -> Result<Request<Bytes>, Refusal> {
    let json = HeaderValue::from_static("application/json");
    post(url, &json, accept, body.to_string().into())
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
    let is_strange = |segment: &str| matches!(segment, "" | "." | "..");
    if name.split('/').any(is_strange) {
        return Err(Refusal::of(
            param,
            format!("`{param}` is {name:?}, which is no name at this provider."),
        ));
    }
    Ok(encoded(name, b"/"))
}

/// Parameters as a query, with its question mark.
pub(crate) fn query<'a>(parameters: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut query = String::new();
    for (name, value) in parameters {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        query.push_str(&encoded(&value, b""));
    }
    query
}

/// Everything but the unreserved characters of RFC 3986 §2.3, and those to keep, is escaped.
fn encoded(text: &str, keep: &[u8]) -> String {
    let digit = |half: u8| {
        let digit = char::from_digit(u32::from(half), 16).unwrap_or('0');
        digit.to_ascii_uppercase()
    };
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', digit(byte >> 4), digit(byte & 0xF)]);
        }
    }
    encoded
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
    fn a_query_escapes_its_values() {
        let query = query([
            ("model", "nova-3".to_owned()),
            ("keyterm", "a&b ü".to_owned()),
        ]);
        assert_eq!(query, "?model=nova-3&keyterm=a%26b%20%C3%BC");
    }

    #[test]
    fn only_web_addresses_are_asked() {
        assert!(get("https://delivery.example/x.png?sig=a%2Fb", "image/*").is_ok());
        for url in ["file:///etc/passwd", "/v1/x", "ftp://a/b", "", "https://"] {
            assert!(get(url, "image/*").is_err(), "{url}");
        }
    }
}
