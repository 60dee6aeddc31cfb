//! Answers whose callers went away, read to their end so that their usage is known.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::Clock;
use domain::egress::EgressBody;
use futures_util::StreamExt;
use providers::dialect::End;
use tokio::sync::mpsc;

use crate::ledger::{Ending, OpenCall};
use crate::pipeline::Pipeline;
use crate::within::within;

/// An answer without a caller. Dropping it cancels the provider's work and ends the call.
pub struct Drain {
    pub(crate) body: EgressBody,
    pub(crate) pipeline: Pipeline,
    pub(crate) call: Box<OpenCall>,
}

/// The bounded queue of answers without a caller.
#[derive(Clone)]
pub struct Drains {
    queue: mpsc::Sender<Drain>,
}

impl Drains {
    /// A queue of at most `capacity` answers, and its other end, which `server` reads.
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Drain>) {
        let (queue, drains) = mpsc::channel(capacity);
        (Self { queue }, drains)
    }

    /// Takes an answer in; when the queue is full, the answer is dropped, and what it costs is estimated.
    pub(crate) fn offer(&self, mut drain: Drain) {
        drain.call.drain();
        if let Err(refused) = self.queue.try_send(drain) {
            drop(refused);
        }
    }
}

impl Drain {
    /// Reads the answer to its end, for at most `bound`, and ends the call.
    pub async fn run(mut self, clock: Arc<dyn Clock>, bound: Duration) {
        let read = within(&*clock, bound, self.read()).await;
        self.call.observe(self.pipeline.observed().clone());
        tracing::debug!(
            request_id = %self.call.request_id(),
            complete = read.is_some(),
            "an answer without a caller was drained"
        );
        self.call.end(&Ending::CallerGone);
    }

    async fn read(&mut self) {
        let mut unsent = Vec::new();
        let mut end = End::Clean;
        while let Some(piece) = self.body.next().await {
            let pushed = match piece {
                Ok(piece) => self.pipeline.push(piece, &mut unsent).is_ok(),
                Err(_) => false,
            };
            unsent.clear();
            if !pushed {
                end = End::Broken;
                break;
            }
        }
        // The caller is gone: what the stream says at its end matters for its usage only.
        let finished = self.pipeline.finish(end, &mut unsent);
        if let Err(error) = finished {
            tracing::debug!(%error, "an answer without a caller broke off");
        }
    }
}
