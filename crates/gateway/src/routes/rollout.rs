//! Who gets something new: a share of the callers, and always the same ones.

use super::hash::StableHash;

/// A share, 0 to 100 per cent, with two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u16);

/// The number is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a share is 0 to 100 per cent, with at most two decimals")]
pub struct InvalidPercent;

impl Percent {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(Self::WHOLE);
    /// Everybody, in hundredths of a per cent.
    const WHOLE: u16 = 10_000;

    /// A share of so many hundredths of a per cent.
    pub fn of_hundredths(hundredths: u16) -> Result<Self, InvalidPercent> {
        if hundredths > Self::WHOLE {
            return Err(InvalidPercent);
        }
        Ok(Self(hundredths))
    }

    /// In hundredths of a per cent.
    pub fn hundredths(self) -> u16 {
        self.0
    }

    /// Whether who draws this belongs to the share. Who belongs to it belongs to every greater one.
    pub fn holds(self, draw: StableHash) -> bool {
        draw.fraction() * f64::from(Self::WHOLE) < f64::from(self.0)
    }
}

/// Which of several shares, laid end to end, who draws this belongs to; `None` for the rest.
pub fn arm(shares: impl IntoIterator<Item = Percent>, draw: StableHash) -> Option<usize> {
    let at = draw.fraction() * f64::from(Percent::WHOLE);
    let mut end = 0_u32;
    shares.into_iter().position(|share| {
        end += u32::from(share.0);
        at < f64::from(end)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn percent(number: u16) -> Percent {
        Percent::of_hundredths(number * 100).unwrap()
    }

    fn draw(number: u64) -> StableHash {
        StableHash::EMPTY.and_number(number)
    }

    #[test]
    fn a_share_of_all_callers_is_reached() {
        let count = (0..100_000)
            .filter(|number| percent(10).holds(draw(*number)))
            .count();
        assert!((9_700..=10_300).contains(&count), "{count}");
    }

    #[test]
    fn nobody_and_everybody_are_exact() {
        assert!((0..10_000).all(|number| Percent::ALL.holds(draw(number))));
        assert!(!(0..10_000).any(|number| Percent::NONE.holds(draw(number))));
        assert_eq!(Percent::of_hundredths(10_001), Err(InvalidPercent));
    }

    #[test]
    fn shares_laid_end_to_end_do_not_overlap() {
        let mut counts = [0_u32; 3];
        for number in 0..100_000 {
            let arm = arm([percent(20), percent(30)], draw(number));
            counts[arm.unwrap_or(2)] += 1;
        }
        for (count, expected) in counts.into_iter().zip([20_000, 30_000, 50_000]) {
            assert!(count.abs_diff(expected) < 700, "{counts:?}");
        }
    }

    proptest! {
        #[test]
        fn who_is_in_stays_in_when_the_share_grows(number: u64, small in 0..=10_000_u16, more in 0..=10_000_u16) {
            let (small, large) = (small.min(more), small.max(more));
            let in_share = |share| Percent::of_hundredths(share).unwrap().holds(draw(number));
            prop_assert!(!in_share(small) || in_share(large));
            prop_assert_eq!(in_share(small), in_share(small));
        }
    }
}
