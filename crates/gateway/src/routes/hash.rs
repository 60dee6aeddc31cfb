//! A hash that is the same in every process, on every machine and in every version, so that replicas agree
//! on what it decides without talking.
//!
//! It spreads well and is not a secret: what callers could gain by choosing its input is another target of
//! the same route.

/// The golden ratio in 64 bits, as `SplitMix64` has it (<https://prng.di.unimi.it/splitmix64.c>).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// The sign and the exponent of 1 as a double.
const ONE: u64 = 0x3ff0_0000_0000_0000;

/// A hash of some texts, of which each is set apart from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StableHash(u64);

impl StableHash {
    /// The hash of nothing.
    pub const EMPTY: Self = Self(STEP);

    /// The hash of one text.
    pub fn of(bytes: &[u8]) -> Self {
        Self::EMPTY.and(bytes)
    }

    /// The hash of what was hashed before and of one text more.
    #[must_use]
    pub fn and(self, bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(8);
        let mut hash = words.by_ref().fold(self.0, |hash, word| {
            let word = <[u8; 8]>::try_from(word).map_or(0, u64::from_le_bytes);
            mixed(hash, word)
        });
        let mut rest = [0; 8];
        for (place, byte) in rest.iter_mut().zip(words.remainder()) {
            *place = *byte;
        }
        hash = mixed(hash, u64::from_le_bytes(rest));
        Self(mixed(hash, bytes.len() as u64))
    }

    /// The hash of what was hashed before and of a number.
    #[must_use]
    pub fn and_number(self, number: u64) -> Self {
        Self(mixed(self.0, number))
    }

    /// All of its bits.
    pub fn bits(self) -> u64 {
        finished(self.0)
    }

    /// A number that lies evenly between 0 and 1, and is neither.
    pub fn fraction(self) -> f64 {
        // The mantissa of a number from 1 to 2, and half of its last place more.
        f64::from_bits(ONE | (self.bits() >> 12)) - 1.0 + f64::EPSILON / 2.0
    }
}

fn mixed(hash: u64, word: u64) -> u64 {
    finished(hash.rotate_left(5) ^ word.wrapping_add(STEP))
}

/// The finish of `SplitMix64`: every bit of the input moves every bit of the output.
fn finished(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::StableHash;

    #[test]
    fn it_never_changes() {
        assert_eq!(StableHash::of(b"").bits(), 0x9b52_7174_d539_1d93);
        assert_eq!(
            StableHash::of(b"user-42 of a project").bits(),
            0x9b2d_7eec_ee76_fda1
        );
    }

    #[test]
    fn texts_are_set_apart() {
        let of = |texts: &[&str]| {
            let empty = StableHash::EMPTY;
            texts
                .iter()
                .fold(empty, |hash, text| hash.and(text.as_bytes()))
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
        assert_ne!(of(&["a"]), of(&["a\0"]));
    }

    #[test]
    fn fractions_of_similar_names_are_spread_evenly() {
        let mut tenths = [0_u32; 10];
        let bounds = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
        for number in 0..100_000 {
            let fraction = StableHash::of(format!("user-{number}").as_bytes()).fraction();
            assert!(fraction > 0.0 && fraction < 1.0);
            tenths[bounds.iter().filter(|bound| fraction >= **bound).count()] += 1;
        }
        assert!(
            tenths.iter().all(|count| (9_600..=10_400).contains(count)),
            "{tenths:?}"
        );
    }
}
