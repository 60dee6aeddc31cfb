//! Percent-encoding, as URLs and signatures use it.
//! See <https://datatracker.ietf.org/doc/html/rfc3986#section-2.1>.

use std::fmt::Write;

/// A text without its percent signs; what is no escape stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if let (b'%', [high, low, after @ ..]) = (first, after)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            bytes.push(high << 4 | low);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A text in which everything but unreserved characters and those of `kept` is escaped.
pub(crate) fn encoded(text: &str, kept: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing into a text cannot fail.
            write!(escaped, "%{byte:02X}").ok();
        }
    }
    escaped
}

fn digit(letter: u8) -> Option<u8> {
    char::from(letter)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_reads_as_it_was() {
        let text = "anthropic.claude-v2:1/é %";
        assert_eq!(encoded(text, b"/"), "anthropic.claude-v2%3A1/%C3%A9%20%25");
        assert_eq!(decoded(&encoded(text, b"")), text);
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz"), "%zz");
    }
}
