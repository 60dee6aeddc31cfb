//! The one place that reads the clock: a benchmark measures real time.

use std::time::Instant;

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured here is real time; there is no test double for it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
