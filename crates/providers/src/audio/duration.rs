//! How long a recording lasts, as far as its first bytes and its size tell: it is what is reserved, and what
//! is recorded where the provider does not say.

use domain::usage::Usage;

use super::wav;

/// What recordings of the usual compressed formats take: 64 kbit/s, which is eight bytes a millisecond.
/// Speech is often recorded with less, music with more.
const BYTES_PER_MILLISECOND: u64 = 8;

/// The length in milliseconds: exact for a wave file, else by size.
pub(super) fn milliseconds(file: &[u8]) -> u64 {
    wav::milliseconds(file).unwrap_or(file.len() as u64 / BYTES_PER_MILLISECOND)
}

/// What writing down a recording of this length takes. Some models are billed by the minute and others by
/// the token, at ten a second that go in (<https://platform.openai.com/docs/pricing>) and about three that
/// come out; which of them it is, the price list knows.
pub(super) fn usage(milliseconds: u64) -> Usage {
    let input = milliseconds.div_ceil(100);
    Usage {
        input_audio_tokens: input,
        input_audio_milliseconds: milliseconds,
        ..Usage::text(input, milliseconds.div_ceil(333))
    }
}

/// A length in seconds, as providers tell it, in milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and what is less than nothing is nothing"
)]
pub(super) fn from_seconds(seconds: f64) -> u64 {
    (seconds * 1_000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_sound_is_measured_by_its_size() {
        assert_eq!(milliseconds(&vec![0; 80_000]), 10_000);
    }

    #[test]
    fn seconds_are_rounded_and_nonsense_is_nothing() {
        assert_eq!(from_seconds(1.2346), 1_235);
        assert_eq!(from_seconds(-3.0), 0);
        assert_eq!(from_seconds(f64::NAN), 0);
    }
}
