//! How the simulated provider counts tokens: one token for every four bytes of text, rounded up, on every face.
//! Images, documents and the frame around each message have fixed or size-derived costs, so that a test can work a bill out by hand.

/// Tokens of one image, whatever its size and detail.
pub(crate) const IMAGE: u64 = 258;
/// Tokens that each message costs beside its content.
pub(crate) const MESSAGE: u64 = 3;

/// Tokens of a piece of text.
pub(crate) fn of_text(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}

/// Tokens of an attached document, from its decoded size in bytes.
pub(crate) fn of_document(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4).max(IMAGE)
}

/// The longest head of `text` that costs at most `tokens`, cut between characters.
pub(crate) fn head(text: &str, tokens: u64) -> &str {
    let bytes = usize::try_from(tokens.saturating_mul(4)).unwrap_or(usize::MAX);
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bytes_are_a_token_and_a_rest_is_one_more() {
        for (text, tokens) in [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("世界", 2)] {
            assert_eq!(of_text(text), tokens, "{text}");
        }
    }

    #[test]
    fn a_head_is_never_cut_inside_a_character() {
        assert_eq!(head("abcdefgh", 1), "abcd");
        assert_eq!(head("ab世界", 1), "ab");
        assert_eq!(head("abc", 9), "abc");
    }
}
