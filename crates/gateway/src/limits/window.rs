//! How much happened in the last minute.

use std::time::Duration;

const SECONDS: usize = 60;

/// A sliding minute, counted in seconds: whatever 60 seconds one looks at, at most the limit is in it.
#[derive(Debug)]
pub(super) struct Window {
    slots: [i64; SECONDS],
    total: i64,
    /// The second that was looked at last.
    now: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            slots: [0; SECONDS],
            total: 0,
            now: 0,
        }
    }
}

impl Window {
    /// Adds `amount` when it fits below `limit`, or says when it would.
    pub(super) fn admit(&mut self, second: u64, amount: u64, limit: u64) -> Result<(), Duration> {
        self.advance(second);
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if self.total.saturating_add(amount) > limit {
            return Err(self.wait_for(amount, limit));
        }
        self.add(second, amount);
        Ok(())
    }

    /// What is in the window.
    pub(super) fn total(&mut self, second: u64) -> i64 {
        self.advance(second);
        self.total
    }

    /// Changes what was added at the second `at` by `difference`; nothing when that second is over.
    pub(super) fn correct(&mut self, second: u64, at: u64, difference: i64) {
        self.advance(second);
        if at <= self.now && self.now - at < SECONDS as u64 {
            self.add(at, difference);
        }
    }

    fn add(&mut self, second: u64, amount: i64) {
        let slot = self.slot(second);
        // A correction never takes more out of a second than is in it.
        let amount = amount.max(-*slot);
        *slot = slot.saturating_add(amount);
        self.total = self.total.saturating_add(amount);
    }

    fn slot(&mut self, second: u64) -> &mut i64 {
        // Always within the array: the remainder is less than its length.
        &mut self.slots[usize::try_from(second % SECONDS as u64).unwrap_or(0)]
    }

    fn advance(&mut self, second: u64) {
        let passed = second.saturating_sub(self.now);
        if passed >= SECONDS as u64 {
            self.slots = [0; SECONDS];
            self.total = 0;
        } else {
            for gone in self.now + 1..=second {
                let left = std::mem::take(self.slot(gone));
                self.total -= left;
            }
        }
        self.now = self.now.max(second);
    }

    /// How long until enough of the window has passed for `amount` to fit.
    fn wait_for(&mut self, amount: i64, limit: i64) -> Duration {
        let mut left = self.total.saturating_add(amount);
        for age in (0..SECONDS as u64).rev() {
            let Some(second) = self.now.checked_sub(age) else {
                continue;
            };
            left -= *self.slot(second);
            if left <= limit {
                return Duration::from_secs(SECONDS as u64 - age);
            }
        }
        Duration::from_secs(SECONDS as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sixty_seconds_hold_more_than_the_limit() {
        let mut window = Window::default();
        let mut admitted = Vec::new();
        for second in 0..300 {
            for _ in 0..7 {
                if window.admit(second, 1, 10).is_ok() {
                    admitted.push(second);
                }
            }
        }
        for start in 0..240 {
            let inside = admitted
                .iter()
                .filter(|at| (start..start + 60).contains(*at))
                .count();
            assert!(inside <= 10, "{inside} in the minute from {start}");
        }
        assert_eq!(admitted.len(), 50);
    }

    #[test]
    fn the_wait_is_as_long_as_it_takes_and_no_longer() {
        let mut window = Window::default();
        window.admit(0, 6, 10).unwrap();
        window.admit(20, 4, 10).unwrap();
        let wait = window.admit(30, 5, 10).unwrap_err();
        assert_eq!(wait, Duration::from_secs(30));
        assert!(window.admit(59, 5, 10).is_err());
        assert!(window.admit(60, 5, 10).is_ok());
    }

    #[test]
    fn a_correction_counts_where_it_was_added() {
        let mut window = Window::default();
        window.admit(0, 10, 10).unwrap();
        window.correct(5, 0, -4);
        assert_eq!(window.total(5), 6);
        window.correct(5, 0, -100);
        assert_eq!(window.total(5), 0);
        window.correct(70, 0, 9);
        assert_eq!(window.total(70), 0);
    }
}
