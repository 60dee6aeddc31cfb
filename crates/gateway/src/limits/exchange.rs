//! Exchanging shares with the other replicas.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::fleet::SharedStateError;
use domain::id::ReplicaId;
use domain::limit::{Demand, MAX_DEMANDS, SharedCounters};
use tokio::sync::Notify;

use super::counter::{Counter, Now};
use super::share::Word;
use super::{Bench, Limits};
use crate::within::within;

/// How long a replica that has nothing to say waits before it asks whether everything was lost, in seconds.
const REST: u64 = 1;

/// How long those wait for another exchange to whom one did not give enough: nobody but the others can help them,
/// and they are heard every fifth of a second.
const SOON: Duration = Duration::from_millis(20);

/// When a counter is to be exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// With the others, in its time.
    None,
    /// After [`SOON`].
    Soon,
    /// At once: a call waits for it.
    Now,
}

/// Which counters are shared at the moment, and with how many others.
pub(super) struct Sharing {
    listed: Mutex<Vec<Arc<Counter>>>,
    wake: Notify,
    /// Whether a counter is to be exchanged at once.
    is_urgent: AtomicBool,
    replicas: AtomicU64,
    /// When what is shared began, as it was heard last; 0 before.
    began: AtomicU64,
    /// When something was asked last, in seconds.
    asked: AtomicU64,
    /// Whether what was asked last was not answered.
    is_alone: AtomicBool,
}

impl Default for Sharing {
    fn default() -> Self {
        Self {
            listed: Mutex::default(),
            wake: Notify::new(),
            is_urgent: AtomicBool::new(false),
            replicas: AtomicU64::new(1),
            began: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            is_alone: AtomicBool::new(false),
        }
    }
}

impl Sharing {
    /// Whether the shared counters did not answer when they were asked last.
    pub(super) fn is_alone(&self) -> bool {
        self.is_alone.load(Ordering::Relaxed)
    }

    fn listed(&self) -> MutexGuard<'_, Vec<Arc<Counter>>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bench {
    /// Whether counters are shared with other replicas.
    pub(super) fn is_shared(&self) -> bool {
        self.sharing.is_some()
    }

    /// Puts a counter on the list of those that are exchanged, and has that done as soon as `haste` says.
    pub(super) fn list(&self, counter: &Arc<Counter>, haste: Haste) {
        let Some(sharing) = &self.sharing else { return };
        let is_new = {
            let mut state = counter.lock();
            state.share.as_mut().is_some_and(|share| share.list())
        };
        if is_new {
            sharing.listed().push(Arc::clone(counter));
        }
        if haste == Haste::Now {
            sharing.is_urgent.store(true, Ordering::Release);
        }
        if haste != Haste::None {
            sharing.wake.notify_one();
        }
    }
}

impl Limits {
    /// Waits until a call needs more than this process's share of something. Never returns where nothing is
    /// shared.
    pub async fn share_wanted(&self) {
        let Some(sharing) = &self.bench.sharing else {
            return std::future::pending().await;
        };
        let clock = &*self.bench.clock;
        sharing.wake.notified().await;
        let woken = clock.moment();
        while !sharing.is_urgent.swap(false, Ordering::Acquire) {
            let left = SOON.saturating_sub(clock.moment().since(woken));
            if left.is_zero() {
                return;
            }
            within(clock, left, sharing.wake.notified()).await;
        }
    }

    /// How many replicas were seen last, this one included: what is left is divided by so many while the shared
    /// counters cannot be asked.
    pub fn replicas_seen(&self, count: u64) {
        if let Some(sharing) = &self.bench.sharing {
            sharing.replicas.store(count.max(1), Ordering::Relaxed);
        }
    }

    /// Says what was given out of every shared counter that is used, and takes over what is granted. Answers how
    /// many there were. After a failure each replica goes on with its share, and with its part of what was
    /// nobody's. With nothing to say, it asks once a second whether everything was lost.
    pub async fn exchange(
        &self,
        shared: &dyn SharedCounters,
        replica: ReplicaId,
    ) -> Result<usize, SharedStateError> {
        let Some(sharing) = &self.bench.sharing else {
            return Ok(0);
        };
        let now = self.bench.now();
        let (counters, demands) = demands(sharing, now);
        let mut outcome = Ok(demands.len());
        let only_asks = self.is_to_ask(sharing, demands.is_empty(), now);
        if only_asks && let Err(error) = shared.exchange(replica, &[]).await {
            outcome = Err(error);
        }
        for (counters, demands) in counters
            .chunks(MAX_DEMANDS)
            .zip(demands.chunks(MAX_DEMANDS))
        {
            match shared.exchange(replica, demands).await {
                Ok(grants) => {
                    for ((counter, demand), grant) in counters.iter().zip(demands).zip(grants) {
                        let alert = {
                            let mut state = counter.lock();
                            state.granted(counter, demand, grant, now);
                            state.alert(&counter.subject, false, now)
                        };
                        // All of them together may have come to it.
                        if let Some(alert) = alert {
                            self.bench.announce(alert);
                        }
                    }
                }
                Err(error) => {
                    let replicas = sharing.replicas.load(Ordering::Relaxed);
                    for counter in counters {
                        counter.lock().lost(replicas, now);
                    }
                    outcome = Err(error);
                }
            }
        }
        if only_asks || !demands.is_empty() {
            let is_alone = outcome.is_err();
            sharing.is_alone.store(is_alone, Ordering::Relaxed);
        }
        if outcome.is_ok() {
            self.say_anew_after_a_loss(sharing, shared.began(), now);
        }
        outcome
    }

    /// Gives back what is not used of every share, so that the others may have it at once. To be called when
    /// nothing is admitted any more.
    pub async fn give_back(
        &self,
        shared: &dyn SharedCounters,
        replica: ReplicaId,
    ) -> Result<(), SharedStateError> {
        if let Some(sharing) = &self.bench.sharing {
            for counter in sharing.listed().iter() {
                counter.lock().expect_nothing();
            }
        }
        self.exchange(shared, replica).await.map(|_| ())
    }

    /// Whether a replica that `rests` has something that it would have to say anew, and has not asked lately.
    fn is_to_ask(&self, sharing: &Sharing, rests: bool, now: Now) -> bool {
        let asked = sharing.asked.load(Ordering::Relaxed);
        if rests && (now.second < asked + REST || self.bench.counters().is_empty()) {
            return false;
        }
        sharing.asked.store(now.second, Ordering::Relaxed);
        rests
    }

    /// Puts every counter of which something is taken on the list when all of them were lost: others count on
    /// what is said of it.
    fn say_anew_after_a_loss(&self, sharing: &Sharing, began: u64, now: Now) {
        let before = sharing.began.swap(began, Ordering::Relaxed);
        if before == 0 || before == began {
            return;
        }
        let counters: Vec<_> = self.bench.counters().values().map(Arc::clone).collect();
        for counter in counters {
            if counter.lock().must_say_anew(now) {
                self.bench.list(&counter, Haste::Now);
            }
        }
    }
}

/// What is said of the counters on the list; those of which nothing is taken any more leave it.
fn demands(sharing: &Sharing, now: Now) -> (Vec<Arc<Counter>>, Vec<Demand>) {
    let (mut counters, mut demands) = (Vec::new(), Vec::new());
    // No call takes the lock of the list while it has that of a counter.
    sharing
        .listed()
        .retain(|counter| match counter.lock().say(counter, now) {
            Word::Demand(demand) => {
                counters.push(Arc::clone(counter));
                demands.push(demand);
                true
            }
            Word::Nothing => true,
            Word::Farewell => false,
        });
    (counters, demands)
}

#[cfg(test)]
mod counters;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
