//! The real clock and the real randomness.

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

/// The operating system's randomness.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // The generator fails only when the operating system gives no seed, and then TLS could not
        // work either: the process has verified at start that it does.
        let filled = rand::fill(bytes);
        debug_assert!(filled.is_ok());
    }
}
