//! Waiting for what will happen, for as long as it may take and no longer.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Longer than anything takes on a busy machine; a test that waits for so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something to be found.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// Looks for at most `bound` until there is something to be found.
pub(crate) async fn within<T>(
    bound: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {bound:?}: {what}");
        sleep(PAUSE).await;
    }
}

/// The outcome of `future`, which must come in time.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}
