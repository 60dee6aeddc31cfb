//! Small deterministic hashing: the same seed and request always give the same numbers, on every machine and in every version.
//! Not cryptography: it keeps nothing secret, it only makes altered text visible to the simulated provider.

/// A running 64-bit hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest(u64);

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Digest {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed ^ 0x51_7c_c1_b7_27_22_0a_95)
    }

    /// Takes in one piece of text; its length counts, so that `"ab","c"` and `"a","bc"` differ.
    #[must_use]
    pub(crate) fn with(self, text: &[u8]) -> Self {
        let mut state = self.0;
        let (words, rest) = text.as_chunks::<8>();
        for word in words {
            state = step(state, u64::from_le_bytes(*word));
        }
        let mut tail = [0_u8; 8];
        for (slot, byte) in tail.iter_mut().zip(rest) {
            *slot = *byte;
        }
        state = step(state, u64::from_le_bytes(tail));
        Self(step(state, text.len() as u64))
    }

    #[must_use]
    pub(crate) fn with_number(self, number: u64) -> Self {
        Self(step(self.0, number))
    }

    /// The hash of everything taken in so far, well mixed.
    pub(crate) const fn value(self) -> u64 {
        mix(self.0)
    }
}

const fn step(state: u64, word: u64) -> u64 {
    (state ^ word).wrapping_mul(MULTIPLIER).rotate_left(29)
}

/// The finalizer of `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>).
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A deterministic sequence of choices that starts from a digest.
#[derive(Debug)]
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) const fn new(digest: Digest) -> Self {
        Self(digest.0)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(MULTIPLIER);
        mix(self.0)
    }

    /// A number in `0..bound`; zero when the bound is zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// One of the items, if there is any.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len() as u64);
        items.get(usize::try_from(index).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_gives_the_same_number_and_other_text_another() {
        let value = |text: &str| Digest::new(7).with(text.as_bytes()).value();
        assert_eq!(value("a simulated thought"), value("a simulated thought"));
        assert_ne!(value("a simulated thought"), value("a simulated thoughT"));
        assert_ne!(value(""), value("\0"));
    }

    #[test]
    fn where_the_pieces_are_cut_matters() {
        let digest = Digest::new(7);
        assert_ne!(digest.with(b"ab").with(b"c"), digest.with(b"a").with(b"bc"));
    }
}
