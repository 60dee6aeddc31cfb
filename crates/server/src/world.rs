//! The real clock and the real randomness.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use domain::clock::{Clock, Moment, Sleep};
use domain::entropy::Entropy;
use jiff::Timestamp;

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Clocks whose moments count from now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock port's one real implementation"
    )]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock port's one real implementation"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn moment(&self) -> Moment {
        Moment::at(self.started.elapsed())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Seconds since 1970, for the simulated provider, which has no ports.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock port's one real implementation"
)]
pub fn unix_seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// The operating system's randomness, fetched for several uses at a time: every request takes a few bytes
/// of it, and fetching costs more than they do.
#[derive(Default)]
pub struct SystemEntropy {
    fetched: Mutex<Fetched>,
}

/// Bytes that nobody has been given yet: the last `left` of the buffer.
struct Fetched {
    bytes: [u8; 512],
    left: usize,
}

impl Default for Fetched {
    fn default() -> Self {
        Self {
            bytes: [0; 512],
            left: 0,
        }
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.len() > fetched.bytes.len() {
            return fetch(bytes);
        }
        if fetched.left < bytes.len() {
            fetch(&mut fetched.bytes);
            fetched.left = fetched.bytes.len();
        }
        let end = fetched.left;
        let start = end - bytes.len();
        if let Some(given) = fetched.bytes.get_mut(start..end) {
            bytes.copy_from_slice(given);
            // What was given may become a key: it does not stay here.
            given.fill(0);
        }
        fetched.left = start;
    }
}

fn fetch(bytes: &mut [u8]) {
    // The generator fails only when the operating system gives no seed, and then TLS could not work
    // either.
    let filled = rand::fill(bytes);
    debug_assert!(filled.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_are_given_twice() {
        let entropy = SystemEntropy::default();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let mut bytes = [0; 10];
            entropy.fill(&mut bytes);
            assert!(seen.insert(bytes));
        }
    }

    #[test]
    fn more_than_was_fetched_is_filled_to_its_end() {
        let mut bytes = [0; 2_000];
        SystemEntropy::default().fill(&mut bytes);
        assert!(
            bytes
                .rchunks(100)
                .all(|chunk| chunk.iter().any(|byte| *byte != 0))
        );
    }
}
