//! How many tokens a request has, about, when nobody has counted them.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Tokens that stand for one inline image or document: what a middling picture costs on most models.
const MEDIA_TOKENS: u64 = 1_000;

/// What stands before the bytes of inline media.
static INLINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b";base64,"));

/// What stands before bytes without a `data:` URL around them, as Anthropic and Gemini write them.
static DATA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"data\""));

/// Bytes in fewer characters than these count as text: an icon of that size takes about as many tokens.
const SHORT: usize = 4_096;
/// How many characters tell whether a text is base64.
const LOOKED_AT: usize = 64;

/// About how many input tokens a request body has: a token for every four bytes, inline media counted
/// by the piece and not by their bytes.
pub(crate) fn input_tokens(body: &[u8]) -> u64 {
    let mut media = 0;
    let mut media_bytes = 0;
    let mut rest = body;
    while let Some(at) = INLINE.find(rest) {
        let (_, after) = rest.split_at(at);
        let end = memchr::memchr(b'"', after).unwrap_or(after.len());
        rest = after.get(end..).unwrap_or_default();
        media_bytes += end as u64;
        media += 1;
    }
    // Most requests are too short to have any.
    let mut rest = body;
    while rest.len() > SHORT
        && let Some(at) = DATA.find(rest)
    {
        let (_, after) = rest.split_at(at + DATA.needle().len());
        rest = after;
        if let Some(length) = raw_media(after) {
            rest = after.get(length..).unwrap_or_default();
            media_bytes += length as u64;
            media += 1;
        }
    }
    let text_bytes = (body.len() as u64).saturating_sub(media_bytes);
    text_bytes.div_ceil(4) + media * MEDIA_TOKENS
}

/// How many bytes of what follows a name are media: a long text in base64.
fn raw_media(after_name: &[u8]) -> Option<usize> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == b':';
    let quote = after_name.iter().position(|byte| !is_space(byte))?;
    let text = after_name.get(quote..)?.strip_prefix(b"\"")?;
    let length = memchr::memchr(b'"', text)?;
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
    let beginning = text.get(..LOOKED_AT)?;
    (length >= SHORT && beginning.iter().all(is_base64)).then_some(quote + 1 + length)
}

#[cfg(test)]
mod tests {
    use super::input_tokens;

    #[test]
    fn four_bytes_are_a_token() {
        assert_eq!(input_tokens(b""), 0);
        assert_eq!(input_tokens(b"12345678"), 2);
        assert_eq!(input_tokens(b"123456789"), 3);
    }

    #[test]
    fn an_inline_image_counts_by_the_piece() {
        let mut body = b"{\"url\":\"data:image/png;base64,".to_vec();
        body.extend(std::iter::repeat_n(b'A', 1_000_000));
        body.extend(b"\"}");
        assert!(input_tokens(&body) < 1_100);
    }

    #[test]
    fn raw_base64_counts_by_the_piece_where_it_is_long() {
        let body = |before: &str, length: usize| {
            let mut body = before.as_bytes().to_vec();
            body.extend(std::iter::repeat_n(b'A', length));
            body.extend(b"\"}");
            input_tokens(&body)
        };
        let anthropic = r#"{"source":{"type":"base64","media_type":"image/png","data": ""#;
        let gemini = r#"{"inlineData":{"mimeType":"image/png","data":""#;
        for before in [anthropic, gemini] {
            assert!(body(before, 1_000_000) < 1_100);
            assert!(body(before, 2_000) < 600, "an icon is no picture");
        }
        let prose = r#"{"data":"Some words, and then "#;
        assert!(body(prose, 1_000_000) > 200_000, "a text is a text");
        let url = r#"{"data":"data:image/png;base64,"#;
        assert!(body(url, 1_000_000) < 1_100, "it is counted once");
        let two = format!("{{\"data\":\"{0}\",\"data\" : \"{0}\"}}", "A".repeat(9_000));
        assert_eq!(input_tokens(two.as_bytes()) / 1_000, 2);
    }
}
