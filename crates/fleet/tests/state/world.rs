//! What the tests hand in: a clock that they set, and a replica's connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::clock::{Clock, Moment, Sleep};
use domain::entropy::Entropy;
use domain::id::ReplicaId;
use fleet::{Namespace, Shared};
use jiff::Timestamp;

use crate::server::RedisServer;

/// A clock that stands still until it is told to go on.
#[derive(Default)]
pub(crate) struct Watch(AtomicU64);

impl Watch {
    pub(crate) fn goes_on(&self, by: Duration) {
        let milliseconds = u64::try_from(by.as_millis()).unwrap();
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.elapsed()
    }

    fn moment(&self) -> Moment {
        Moment::at(self.elapsed())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Bytes that count up from a number: another number makes another identifier.
struct Counting(u8);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

pub(crate) fn replica(number: u8) -> ReplicaId {
    ReplicaId::new(Timestamp::UNIX_EPOCH, &Counting(number))
}

/// A connection of one replica's.
pub(crate) fn connected(server: &RedisServer) -> (Shared, Arc<Watch>) {
    connected_in(server, 1)
}

/// The same for a replica of another installation.
pub(crate) fn connected_in(server: &RedisServer, fingerprint: u64) -> (Shared, Arc<Watch>) {
    connected_as(&server.url(), fingerprint)
}

/// The same for a server that is reached at `url`.
pub(crate) fn connected_at(url: &str) -> (Shared, Arc<Watch>) {
    connected_as(url, 1)
}

fn connected_as(url: &str, fingerprint: u64) -> (Shared, Arc<Watch>) {
    let watch = Arc::new(Watch::default());
    let location = url.parse().unwrap();
    let shared = Shared::open(&location, Namespace::new(fingerprint), watch.clone()).unwrap();
    (shared, watch)
}
