//! Shared counters in this process, for tests. They mean what [`Shares`] says, and may be lost, be away, answer late,
//! and be set by their clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use domain::fleet::SharedStateError;
use domain::id::ReplicaId;
use domain::limit::{CounterName, Demand, Epoch, Grant, SharedCounters, Shares};

use crate::testing::Hand;

/// How what is shared is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Whole,
    /// What is said is heard, and the answer does not come.
    Deaf,
    /// What is said is heard, and the answer comes when [`Counters::answer`] lets it.
    Slow,
    Cut,
}

/// Late enough on the counters' own clock that it can be set back.
const BEGINNING: Duration = Duration::from_hours(1_000);

/// The counters.
pub(super) struct Counters {
    clock: Arc<Hand>,
    state: Mutex<State>,
}

struct State {
    shares: HashMap<CounterName, Shares>,
    /// How often they have begun, and when they did last, by their own clock.
    run: u64,
    began: Duration,
    /// By how much their clock was set back.
    set_back: Duration,
    link: Link,
    replicas: u64,
    /// Whether the answers that are on their way arrive.
    answers: HashMap<ReplicaId, bool>,
    /// What the last exchange was about, where it was heard.
    last: Option<(Demand, Grant)>,
}

#[derive(Debug, thiserror::Error)]
#[error("not heard")]
struct NotHeard;

impl Counters {
    /// Counters that so many replicas share.
    pub(super) fn shared_by(replicas: u64, clock: &Arc<Hand>) -> Self {
        Self {
            clock: Arc::clone(clock),
            state: Mutex::new(State {
                shares: HashMap::new(),
                run: 1,
                // Long ago: nobody is waited for.
                began: Duration::ZERO,
                set_back: Duration::ZERO,
                link: Link::Whole,
                replicas,
                answers: HashMap::new(),
                last: None,
            }),
        }
    }

    /// How whoever asks from now on reaches them.
    pub(super) fn link(&self, link: Link) {
        self.state().link = link;
    }

    /// How many replicas there are from now on.
    pub(super) fn replicas_seen(&self, replicas: u64) {
        self.state().replicas = replicas;
    }

    /// Forgets everything.
    pub(super) fn lose(&self) {
        let now = self.now();
        let mut state = self.state();
        state.shares.clear();
        state.run += 1;
        state.began = now;
    }

    /// Sets their own clock back.
    pub(super) fn set_back(&self, by: Duration) {
        self.state().set_back += by;
    }

    /// Lets the answer to `replica` arrive, or be lost.
    pub(super) fn answer(&self, replica: ReplicaId, arrives: bool) {
        self.state().answers.insert(replica, arrives);
    }

    /// What the last exchange was about, once.
    pub(super) fn take_last(&self) -> Option<(Demand, Grant)> {
        self.state().last.take()
    }

    fn now(&self) -> Duration {
        let set_back = self.state().set_back;
        (BEGINNING + self.clock.elapsed()).saturating_sub(set_back)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

#[async_trait]
impl SharedCounters for Counters {
    async fn exchange(
        &self,
        replica: ReplicaId,
        demands: &[Demand],
    ) -> Result<Vec<Grant>, SharedStateError> {
        let now = self.now();
        let not_heard = || SharedStateError::Unavailable(Box::new(NotHeard));
        let (link, grants) = {
            let mut guard = self.state();
            let state = &mut *guard;
            if state.link == Link::Cut {
                return Err(not_heard());
            }
            let mut grants = Vec::new();
            for demand in demands {
                let shares = state.shares.entry(demand.counter.clone());
                let (run, began) = (state.run, state.began);
                let shares = shares.or_insert_with(|| Shares::new(Epoch(run), began));
                let grant = shares.exchange(replica, state.replicas, demand, now);
                state.last = Some((demand.clone(), grant));
                grants.push(grant);
            }
            state.answers.remove(&replica);
            (state.link, grants)
        };
        let arrives = match link {
            Link::Slow => {
                let answer =
                    |_: &mut std::task::Context<'_>| match self.state().answers.remove(&replica) {
                        Some(arrives) => Poll::Ready(arrives),
                        None => Poll::Pending,
                    };
                std::future::poll_fn(answer).await
            }
            link => link == Link::Whole,
        };
        if arrives {
            Ok(grants)
        } else {
            Err(not_heard())
        }
    }

    fn began(&self) -> u64 {
        self.state().run
    }
}
