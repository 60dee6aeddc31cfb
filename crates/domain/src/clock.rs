//! The clock port: the only source of time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;

/// Completes when its time has come; dropping it forgets the alarm.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A moment on a clock that never goes back; only differences mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The moment that lies `since_start` after the clock's own beginning.
    pub fn at(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment that comes `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// Tells the time and wakes.
pub trait Clock: Send + Sync {
    /// The wall clock: for records, expiry and prices.
    fn now(&self) -> Timestamp;

    /// The monotonic clock: for durations and deadlines.
    fn moment(&self) -> Moment;

    /// A future that completes after `duration`.
    fn sleep(&self, duration: Duration) -> Sleep;
}
