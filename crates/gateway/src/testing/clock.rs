//! A clock that is moved by hand.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::clock::{Clock, Moment, Sleep};
use jiff::{SignedDuration, Timestamp};

/// When every test begins, in Unix seconds.
pub(crate) const BEGINNING: i64 = 1_790_000_000;

/// A clock that stands still until it is moved.
#[derive(Default)]
pub(crate) struct Hand(Arc<Mutex<Times>>);

#[derive(Default)]
struct Times {
    now: Duration,
    /// What the wall clock was set by, which the monotonic one does not mind.
    set_by: SignedDuration,
    alarms: HashMap<u64, Duration>,
    last_alarm: u64,
}

struct Alarm {
    times: Arc<Mutex<Times>>,
    number: u64,
}

impl Hand {
    pub(crate) fn forward(&self, by: Duration) {
        self.0.lock().unwrap().now += by;
    }

    /// Sets the wall clock, as somebody does whose clock was wrong.
    pub(crate) fn set_wall(&self, by: SignedDuration) {
        self.0.lock().unwrap().set_by += by;
    }

    /// Moves to the next alarm; `false` when none is set.
    pub(crate) fn to_next_alarm(&self) -> bool {
        let mut times = self.0.lock().unwrap();
        let Some(next) = times.alarms.values().min().copied() else {
            return false;
        };
        times.now = times.now.max(next);
        true
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().now
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.elapsed()).unwrap();
        let set_by = self.0.lock().unwrap().set_by;
        Timestamp::from_second(BEGINNING).unwrap() + elapsed + set_by
    }

    fn moment(&self) -> Moment {
        Moment::at(self.elapsed())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut times = self.0.lock().unwrap();
        times.last_alarm += 1;
        let number = times.last_alarm;
        let at = times.now + duration;
        times.alarms.insert(number, at);
        Box::pin(Alarm {
            times: Arc::clone(&self.0),
            number,
        })
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let times = self.times.lock().unwrap();
        let is_due = times
            .alarms
            .get(&self.number)
            .is_none_or(|at| *at <= times.now);
        if is_due {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.times.lock().unwrap().alarms.remove(&self.number);
    }
}
