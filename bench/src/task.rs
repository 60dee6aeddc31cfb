//! Tasks that nobody joins.

use tokio::task::JoinSet;

use crate::pinning::Pinning;

/// Starts a task that ends with its connection.
#[expect(
    clippy::disallowed_methods,
    reason = "these processes have nothing to drain: they are ended from outside"
)]
pub(crate) fn detach(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

/// Keeps the load's thread from sleeping until it is dropped.
///
/// Whoever writes to a socket wakes its reader, and pays for it: on virtual machines, waking a core that
/// sleeps costs as much as the write. How often load and provider sleep depends on how fast the subject is,
/// so a slower subject would be charged for its peers' naps as well. With a core of their own they do not
/// sleep; without one they would take the subject's time.
pub(crate) fn keep_awake(pinning: Pinning) -> JoinSet<()> {
    let mut busy = JoinSet::new();
    if pinning == Pinning::Apart {
        busy.spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
    }
    busy
}
