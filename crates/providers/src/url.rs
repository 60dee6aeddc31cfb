//! The pieces that URLs are made of, written so that nothing in them leads elsewhere.

use crate::aws::sigv4::percent_encode;
use crate::dialect::Refusal;

/// A name that a caller chose, as one segment of a path (RFC 3986 §3.3).
pub(crate) fn segment(name: &str) -> Result<String, Refusal> {
    if matches!(name, "" | "." | "..") {
        return Err(Refusal::of(
            "model",
            format!("{name:?} is no name that the provider could know."),
        ));
    }
    let mut encoded = String::with_capacity(name.len());
    percent_encode(name, &mut encoded);
    Ok(encoded)
}

/// Fields as a form posts them (<https://url.spec.whatwg.org/#application/x-www-form-urlencoded>), which
/// is also the form of a query.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let mut form = String::new();
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        percent_encode(name, &mut form);
        form.push('=');
        percent_encode(value, &mut form);
    }
    form
}

/// The URL of a request, put in the place of another.
pub(crate) fn replace<T>(request: &mut http::Request<T>, url: &str) -> Result<(), Refusal> {
    *request.uri_mut() = url.parse().map_err(|error| Refusal {
        detail: format!("The provider's base URL makes no request target: {error}."),
        param: None,
    })?;
    Ok(())
}

/// A text with its percent-encoded bytes as they are meant (RFC 3986 §2.1); `None` where that is no text.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        digits
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
            .then_some(())?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(
            segment("a/../b?c#d é@1").unwrap(),
            "a%2F..%2Fb%3Fc%23d%20%C3%A9%401"
        );
        for name in ["", ".", ".."] {
            assert_eq!(segment(name).unwrap_err().param.as_deref(), Some("model"));
        }
    }

    #[test]
    fn a_form_keeps_what_separates_its_fields_apart() {
        assert_eq!(
            form(&[("a", "b&c=d"), ("e", "f g+h")]),
            "a=b%26c%3Dd&e=f%20g%2Bh"
        );
    }
}
