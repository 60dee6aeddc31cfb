//! How much happened in the last minute, hour or day.

use std::time::Duration;

use domain::limit;

const SLOTS: usize = 60;

/// A window that slides along in sixty steps: whatever stretch of its length one looks at, at most the limit
/// is in it, to one step.
#[derive(Debug)]
pub(super) struct Window {
    slots: [u64; SLOTS],
    total: u64,
    /// The step that was looked at last.
    now: u64,
    /// How long a step is, in seconds.
    step: u64,
}

impl Window {
    /// An empty window of this length.
    pub(super) fn of(length: limit::Window) -> Self {
        Self {
            slots: [0; SLOTS],
            total: 0,
            now: 0,
            step: (length.length().as_secs() / SLOTS as u64).max(1),
        }
    }

    /// How long it is.
    pub(super) fn length(&self) -> Duration {
        Duration::from_secs(SLOTS as u64 * self.step)
    }

    /// What is in the window at `second`.
    pub(super) fn total(&mut self, second: u64) -> u64 {
        self.advance(second / self.step);
        self.total
    }

    /// Puts `amount` into the window.
    pub(super) fn add(&mut self, second: u64, amount: u64) {
        self.advance(second / self.step);
        let now = self.now;
        self.put(now, amount);
    }

    /// Puts what was put in at the second `at` right: it was `before` and is `after`. Nothing when that second
    /// is over.
    pub(super) fn correct(&mut self, second: u64, at: u64, before: u64, after: u64) {
        self.advance(second / self.step);
        let at = at / self.step;
        if at > self.now || self.now - at >= SLOTS as u64 {
            return;
        }
        // A correction never takes more out of a step than is in it.
        let gone = before.saturating_sub(after).min(*self.slot(at));
        *self.slot(at) -= gone;
        self.total -= gone;
        self.put(at, after.saturating_sub(before));
    }

    /// How long until `amount` fits below `limit`, when nothing else happens; the whole window when it never
    /// does.
    pub(super) fn wait_for(&mut self, second: u64, amount: u64, limit: u64) -> Duration {
        self.advance(second / self.step);
        let mut left = self.total.saturating_add(amount);
        for age in (0..SLOTS as u64).rev() {
            let Some(slot) = self.now.checked_sub(age) else {
                continue;
            };
            if left <= limit {
                return Duration::ZERO;
            }
            left = left.saturating_sub(*self.slot(slot));
            if left <= limit {
                let free = (slot + SLOTS as u64) * self.step;
                return Duration::from_secs(free.saturating_sub(second));
            }
        }
        self.length()
    }

    fn put(&mut self, at: u64, amount: u64) {
        let amount = amount.min(u64::MAX - self.total);
        *self.slot(at) += amount;
        self.total += amount;
    }

    fn slot(&mut self, at: u64) -> &mut u64 {
        // Always within the array: the remainder is less than its length.
        &mut self.slots[usize::try_from(at % SLOTS as u64).unwrap_or(0)]
    }

    fn advance(&mut self, to: u64) {
        let passed = to.saturating_sub(self.now);
        if passed >= SLOTS as u64 {
            self.slots = [0; SLOTS];
            self.total = 0;
        } else {
            for gone in self.now + 1..=to {
                let left = std::mem::take(self.slot(gone));
                self.total -= left;
            }
        }
        self.now = self.now.max(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute() -> Window {
        Window::of(limit::Window::Minute)
    }

    fn admit(window: &mut Window, second: u64, amount: u64, limit: u64) -> bool {
        let fits = window.total(second) + amount <= limit;
        if fits {
            window.add(second, amount);
        }
        fits
    }

    #[test]
    fn no_sixty_seconds_hold_more_than_the_limit() {
        let mut window = minute();
        let mut admitted = Vec::new();
        for second in 0..300 {
            for _ in 0..7 {
                if admit(&mut window, second, 1, 10) {
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
        let mut window = minute();
        window.add(0, 6);
        window.add(20, 4);
        assert_eq!(window.wait_for(30, 5, 10), Duration::from_secs(30));
        assert!(!admit(&mut window, 59, 5, 10));
        assert!(admit(&mut window, 60, 5, 10));
        assert_eq!(window.wait_for(60, 1, 10), Duration::ZERO);
    }

    #[test]
    fn an_hour_and_a_day_slide_in_sixty_steps() {
        let mut hour = Window::of(limit::Window::Hour);
        hour.add(59, 10);
        assert_eq!(hour.wait_for(61, 1, 10), Duration::from_secs(3_539));
        assert_eq!(hour.total(3_599), 10);
        assert_eq!(hour.total(3_600), 0);
        let mut day = Window::of(limit::Window::Day);
        day.add(0, 10);
        assert_eq!(day.total(86_399), 10);
        assert_eq!(day.total(86_400), 0);
    }

    #[test]
    fn a_correction_counts_where_it_was_added() {
        let mut window = minute();
        window.add(0, 10);
        window.correct(5, 0, 10, 6);
        assert_eq!(window.total(5), 6);
        window.correct(5, 0, 100, 0);
        assert_eq!(window.total(5), 0);
        window.correct(70, 0, 0, 9);
        assert_eq!(window.total(70), 0);
    }
}
