//! Copies of calls are sent here, where nobody waits for them.

use std::sync::Arc;

use gateway::shadow::CallCopy;
use tokio::sync::{Semaphore, mpsc};

use crate::app::Shared;
use crate::tasks::{Stop, Tasks};

/// Copies that are under way at the same time.
const COPIES: usize = 64;

/// Sends copies until it is time to stop; then those under way are given up, and their calls end.
pub async fn send_copies(
    app: Shared,
    mut copies: mpsc::Receiver<CallCopy>,
    tasks: Arc<Tasks>,
    mut stop: Stop,
) {
    let room = Arc::new(Semaphore::new(COPIES));
    loop {
        let next = async {
            // The semaphore is never closed.
            let place = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((copies.recv().await?, place))
        };
        let (copy, place) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => return,
            },
            () = stop.requested() => return,
        };
        let app = Arc::clone(&app);
        let mut stop = tasks.stop_signal();
        tasks.start(async move {
            tokio::select! {
                () = app.gateway.send_copy(copy) => {}
                () = stop.requested() => {}
            }
            drop(place);
        });
    }
}
