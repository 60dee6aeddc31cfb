//! Bounds on waiting.

use std::pin::pin;
use std::time::Duration;

use domain::clock::Clock;
use futures_util::future::{Either, select};

/// What `future` gives, or `None` when it takes longer than `bound`; then it is dropped.
pub(crate) async fn within<T>(
    clock: &dyn Clock,
    bound: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    match select(pin!(future), clock.sleep(bound)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(((), _)) => None,
    }
}
