//! The picture of large requests.

use std::iter;

/// Characters of base64.
pub const LENGTH: usize = 10_000_000;

/// The head of a PNG file (<https://www.w3.org/TR/png-3/#5PNG-file-signature>) in base64.
pub const HEAD: &str = "iVBORw0KGgoAAAANSUhEUgAA";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The picture in base64: behind its head, noise that is the same every time and that no two places share.
pub fn base64() -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let noise = iter::repeat_with(|| {
        // Xorshift (Marsaglia 2003): cheap, and without a short period.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let digit = usize::try_from(state >> 58).unwrap_or_default();
        ALPHABET.get(digit).map_or('A', |digit| char::from(*digit))
    });
    HEAD.chars().chain(noise).take(LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_length_and_no_padding() {
        let picture = base64();
        assert_eq!(picture.len(), LENGTH);
        assert!(LENGTH.is_multiple_of(4));
        assert!(picture.starts_with(HEAD));
        let (first, second) = picture.split_at(LENGTH / 2);
        assert_ne!(first, second);
    }
}
