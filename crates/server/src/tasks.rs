//! Every task that outlives a request is started and joined here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

/// The background tasks of the process.
pub struct Tasks {
    set: Mutex<JoinSet<()>>,
    stop: watch::Sender<bool>,
}

/// Says when it is time to stop. Cheap to clone.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self {
            set: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }

    /// Starts a task. It ends by itself soon after [`Stop::requested`].
    pub fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.set
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(task);
    }

    /// The signal that tasks watch.
    pub fn stop_signal(&self) -> Stop {
        Stop(self.stop.subscribe())
    }

    /// Tells every task to stop.
    pub fn request_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until every task has ended, for at most `bound`; what goes on then is cut off.
    pub async fn join(&self, bound: Duration) {
        let mut set = std::mem::take(&mut *self.set.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while set.join_next().await.is_some() {} };
        if tokio::time::timeout(bound, all).await.is_err() {
            tracing::warn!(
                seconds = bound.as_secs(),
                "background tasks did not stop in time"
            );
        }
    }
}

impl Stop {
    /// Completes when it is time to stop; at once when it already is.
    pub async fn requested(&mut self) {
        // An error means that the sender is gone, and then it is time as well.
        let waited = self.0.wait_for(|stop| *stop).await.map(|_| ());
        drop(waited);
    }

    /// Waits for `pause`; answers whether the task goes on.
    pub async fn pause(&mut self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.requested()).await.is_err()
    }
}
