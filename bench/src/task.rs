//! Tasks that end with their connection.

/// Starts a task that nobody waits for.
#[expect(
    clippy::disallowed_methods,
    reason = "these processes have nothing to drain: they are ended from outside"
)]
pub(crate) fn detach(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}
